"""Once-for-all spaces: stages of inverted residual layers, each layer an expansion and a kernel."""

from collections.abc import Sequence
from typing import Any, ClassVar

from autobuild_core.architectures.records import ABSENT, Codes, SpaceSpec, UnitSpec
from autobuild_core.errors import ArchitectureError
from autobuild_core.spaces import Space

KERNELS, EXPANSIONS = (3, 5, 7), (3, 4, 6)


class OfaSpace(Space):
    """A list of one list of tokens a stage, or OFA's own dictionary {"ks", "e", "d"}.

    Source: Cai et al., "Once-for-All", ICLR 2020, section 4 and its published code (ks and e have an entry for every layer
    that there may be, d one a stage; entries behind a stage's depth are ignored). All encodings are distinct networks.

    Attributes:
        prefix: how tokens begin, e.g. "mbconv3".
        stages: the depths that each stage may have. A stage of exactly one layer joins the unit before it, so that units
            stay comparable; the unit's layers are consecutive, that of the joined stage last.
    """

    prefix: ClassVar[str]
    stages: ClassVar[tuple[tuple[int, ...], ...]]

    @classmethod
    def default_spec(cls) -> SpaceSpec:
        pairs = [(e, k) for e in EXPANSIONS for k in KERNELS]
        tokens = tuple(f"{cls.prefix}_e{e}_k{k}" for e, k in pairs)
        labels: list[str] = []
        units: list[UnitSpec] = []
        for depths in cls._unit_depths():
            start, label = len(labels), f"U{len(units) + 1}"
            labels += [f"{label}.L{i + 1}" for i in range(depths[-1])]
            units.append(UnitSpec(label, tuple(range(start, len(labels))), depths, tuple(range(len(tokens)))))
        attributes = {"expansion": tuple(str(e) for e, _ in pairs), "kernel": tuple(str(k) for _, k in pairs)}
        name = cls.__module__.rsplit(".")[-1]
        return SpaceSpec(name, cls.title, tuple(labels), tokens, tuple(units), attributes)

    def __init__(self, spec: SpaceSpec | None = None) -> None:
        super().__init__(spec)
        widths: dict[int, dict[tuple[str, ...], list[int]]] = {len(unit.positions): {} for unit in self.spec.units}
        self._parsed = [widths[len(unit.positions)] for unit in self.spec.units]  # codes of what was met so far: files repeat it

    @classmethod
    def _unit_depths(cls) -> list[tuple[int, ...]]:
        """The depths of each unit."""
        units: list[tuple[int, ...]] = []
        for depths in cls.stages:
            if depths == (1,) and units:
                units[-1] = tuple(depth + 1 for depth in units[-1])
            else:
                units.append(depths)
        return units

    @classmethod
    def _joined(cls) -> int:
        """The number of stages at the end that belong to the last unit besides its own."""
        return len(cls.stages) - len(cls._unit_depths())

    def parse(self, native: Any) -> list[int]:
        if isinstance(native, dict):
            native = self._from_ofa(native)
        if not (isinstance(native, list) and len(native) == len(self.stages) and all(isinstance(s, list) for s in native)):
            raise ArchitectureError(f"arch: got {str(native)[:60]}, expected {len(self.stages)} lists of layer tokens.")
        units = self._units_of(native)
        try:
            return [code for parsed, layers in zip(self._parsed, units, strict=True) for code in parsed[tuple(layers)]]
        except (KeyError, TypeError):
            return self._parse_anew(native, units)

    def context_of(self, native: Any) -> dict[str, Any]:
        """The input resolution of OFA's own dictionary, its field r: a number, or a list that begins with it."""
        found = native.get("r") if isinstance(native, dict) else None
        found = found[0] if isinstance(found, list) and found else found
        return {"resolution": found} if isinstance(found, int | float) and not isinstance(found, bool) else {}

    def _units_of(self, native: list[Any]) -> list[Any]:
        """The lists of the stages as one list a unit; a joined stage has exactly one layer."""
        if not self._joined():
            return native
        own, (joined,) = native[:-1], native[-1:]
        if len(joined) != 1:
            raise ArchitectureError(f"arch, last stage: got {len(joined)} layers, expected 1.")
        return [*own[:-1], own[-1] + joined]

    def _parse_anew(self, native: list[Any], units: list[Any]) -> list[int]:
        """Codes of lists of tokens, everything checked."""
        row: list[int] = []
        for stage, layers, depths in zip(range(1, len(native) + 1), native, self.stages, strict=True):
            for token in layers:
                if not isinstance(token, str) or token not in self.token_index:
                    raise ArchitectureError(
                        f"arch, unit U{stage}: got {str(token)[:60]!r}, expected one of {', '.join(self.spec.tokens)}."
                    )
            if len(layers) not in depths:
                expected = ", ".join(map(str, depths))
                raise ArchitectureError(f"arch, unit U{stage}: got {len(layers)} layers, expected {expected}.")
        for unit, parsed, layers in zip(self.spec.units, self._parsed, units, strict=True):
            codes = [self.token_index[token] for token in layers]
            parsed[tuple(layers)] = codes + [ABSENT] * (len(unit.positions) - len(codes))
            row += parsed[tuple(layers)]
        return row

    def native(self, row: Codes) -> list[list[str]]:
        units = [layers for _, layers in self.describe(row)]
        return [*units[:-1], *self.native_module(len(units) - 1, units[-1])] if self._joined() else units

    def native_module(self, unit_index: int, layers: Sequence[str]) -> list[Any]:
        """The module's tokens; of a unit with a joined stage a pair of lists, the stage's and the joined stage's.

        Source: the published code of AutoBuild keeps reduced spaces so.
        """
        own, is_joined = list(layers), self._joined() and unit_index == len(self.spec.units) - 1
        return [own[:-1], own[-1:]] if is_joined else own

    @classmethod
    def _from_ofa(cls, native: dict[str, Any]) -> list[list[str]]:
        """OFA's own dictionary as lists of tokens; a depth counts up to what its stage holds, as in OFA's code."""
        kernels, expansions, depths = (native.get(name) for name in ("ks", "e", "d"))
        widths = [stage[-1] for stage in cls.stages]
        lists, sizes = [kernels, expansions, depths], [sum(widths), sum(widths), len(widths)]
        if not all(isinstance(x, list) for x in lists) or [len(x) for x in lists if isinstance(x, list)] != sizes:
            expected = f"expected ks and e of {sizes[0]} entries and d of {sizes[2]}"
            raise ArchitectureError(f"OFA dictionary: got {str(native)[:60]}, {expected}.")
        assert isinstance(kernels, list) and isinstance(expansions, list) and isinstance(depths, list)
        layers = [f"{cls.prefix}_e{e}_k{k}" for e, k in zip(expansions, kernels, strict=True)]
        if not all(
            type(d) is int and (d in stage or (stage == (1,) and d > 0)) for d, stage in zip(depths, cls.stages, strict=True)
        ):
            count = {5: "five", 6: "six"}[len(widths)]
            raise ArchitectureError(f"OFA dictionary, d: got {str(depths)[:60]}, expected {count} depths of 2, 3 or 4.")
        out, start = [], 0
        for width, depth in zip(widths, depths, strict=True):
            out.append(layers[start : start + min(depth, width)])
            start += width
        return out
