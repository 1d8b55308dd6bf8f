"""Once-for-all MobileNetV3: five units of two to four inverted residual layers."""

from typing import Any, final

from autobuild_core.errors import ArchitectureError
from autobuild_core.records import ABSENT, Codes, SpaceSpec, UnitSpec
from autobuild_core.spaces import Space

KERNELS, EXPANSIONS = (3, 5, 7), (3, 4, 6)
NUM_UNITS, MAX_DEPTH = 5, 4


@final
class OfaMbv3(Space):
    """A list of five lists of tokens "mbconv3_e4_k5", or OFA's own dictionary {"ks", "e", "d"}.

    Source: Cai et al., "Once-for-All", ICLR 2020, section 4 and its published code (20 entries of ks and e, five
    of d; entries behind a unit's depth are ignored). All encodings are distinct networks.
    """

    title = "Once-for-all MobileNetV3"

    @classmethod
    def default_spec(cls) -> SpaceSpec:
        pairs = [(e, k) for e in EXPANSIONS for k in KERNELS]
        tokens = tuple(f"mbconv3_e{e}_k{k}" for e, k in pairs)
        labels = tuple(f"U{u + 1}.L{i + 1}" for u in range(NUM_UNITS) for i in range(MAX_DEPTH))
        every = tuple(range(len(tokens)))
        units = tuple(
            UnitSpec(f"U{u + 1}", tuple(range(u * MAX_DEPTH, (u + 1) * MAX_DEPTH)), (2, 3, 4), every) for u in range(NUM_UNITS)
        )
        attributes = {"expansion": tuple(str(e) for e, _ in pairs), "kernel": tuple(str(k) for _, k in pairs)}
        return SpaceSpec("ofa_mbv3", cls.title, labels, tokens, units, attributes, {"resolution": 224})

    def __init__(self, spec: SpaceSpec | None = None) -> None:
        super().__init__(spec)
        self._parsed: dict[tuple[str, ...], list[int]] = {}  # codes of the units met so far, at most 7,371: files repeat them

    def parse(self, native: Any) -> list[int]:
        if isinstance(native, dict):
            native = self._from_ofa(native)
        if isinstance(native, list) and len(native) == NUM_UNITS and all(isinstance(u, list) for u in native):
            try:
                return [code for layers in native for code in self._parsed[tuple(layers)]]
            except (KeyError, TypeError):
                pass
        row = self._parse_anew(native)
        for unit, layers in zip(self.spec.units, native, strict=True):
            self._parsed[tuple(layers)] = row[unit.positions[0] : unit.positions[-1] + 1]
        return row

    def _parse_anew(self, native: Any) -> list[int]:
        """Codes of lists of tokens, everything checked."""
        if not (isinstance(native, list) and len(native) == NUM_UNITS and all(isinstance(u, list) for u in native)):
            raise ArchitectureError(f"arch: got {str(native)[:60]}, expected {NUM_UNITS} lists of layer tokens.")
        row = []
        for label, layers in zip((u.label for u in self.spec.units), native, strict=True):
            for token in layers:
                if not isinstance(token, str) or token not in self.token_index:
                    raise ArchitectureError(
                        f"arch, unit {label}: got {str(token)[:60]!r}, expected one of {', '.join(self.spec.tokens)}."
                    )
            if len(layers) > MAX_DEPTH:
                raise ArchitectureError(f"arch, unit {label}: got {len(layers)} layers, expected 2, 3 or 4.")
            row += [self.token_index[token] for token in layers] + [ABSENT] * (MAX_DEPTH - len(layers))
        return self.check(row)

    def native(self, row: Codes) -> list[list[str]]:
        return [layers for _, layers in self.describe(row)]

    @staticmethod
    def _from_ofa(native: dict[str, Any]) -> list[list[str]]:
        """OFA's own dictionary as lists of tokens."""
        kernels, expansions, depths = (native.get(name) for name in ("ks", "e", "d"))
        lists = [kernels, expansions, depths]
        if not all(isinstance(x, list) for x in lists) or [len(x) for x in lists if isinstance(x, list)] != [20, 20, 5]:
            raise ArchitectureError(f"OFA dictionary: got {str(native)[:60]}, expected ks and e of 20 entries and d of 5.")
        assert isinstance(kernels, list) and isinstance(expansions, list) and isinstance(depths, list)
        layers = [f"mbconv3_e{e}_k{k}" for e, k in zip(expansions, kernels, strict=True)]
        starts = range(0, NUM_UNITS * MAX_DEPTH, MAX_DEPTH)
        if not all(type(d) is int and 2 <= d <= MAX_DEPTH for d in depths):
            raise ArchitectureError(f"OFA dictionary, d: got {depths}, expected five depths of 2, 3 or 4.")
        return [layers[start : start + depth] for start, depth in zip(starts, depths, strict=True)]
