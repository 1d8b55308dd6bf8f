"""NAS-Bench-Macro: eight layers in three stages, three operations each."""

from typing import Any, final

import numpy as np

from autobuild_core.architectures.records import Codes, SpaceSpec, UnitSpec
from autobuild_core.errors import ArchitectureError
from autobuild_core.spaces import Space


@final
class NasBenchMacro(Space):
    """A key of eight digits; digit = operation. 6,561 keys, 3,969 distinct networks.

    Source: Su et al., "Prioritized Architecture Sampling with Monto-Carlo Tree Search", CVPR 2021, section 5
    and its published JSON. The first layer of a stage has stride 2 and is a 1x1 downsample when it is an identity;
    an identity behind it is no operation at all, so keys that differ only by where those stand are one network.
    """

    title = "NAS-Bench-Macro"

    @classmethod
    def default_spec(cls) -> SpaceSpec:
        tokens = ("identity", "mb3_k3", "mb6_k5")
        stages = ((0, 1), (2, 3, 4), (5, 6, 7))
        units = tuple(UnitSpec(f"L{s[0] + 1}-{s[-1] + 1}", s, (len(s),), (0, 1, 2)) for s in stages)
        attributes: dict[str, tuple[str, ...]]
        attributes = {"operation": ("identity", "mbconv", "mbconv"), "expansion": ("0", "3", "6"), "kernel": ("0", "3", "5")}
        return SpaceSpec("nas_bench_macro", cls.title, tuple(f"L{i + 1}" for i in range(8)), tokens, units, attributes)

    def parse(self, native: Any) -> list[int]:
        if not (isinstance(native, str) and len(native) == 8 and set(native) <= set("012")):
            raise ArchitectureError(f"NAS-Bench-Macro key: got {str(native)[:60]!r}, expected 8 digits of 0, 1 and 2.")
        return [int(digit) for digit in native]

    def native(self, row: Codes) -> str:
        return "".join(str(int(x)) for x in row)

    def _canonical(self, codes: Codes) -> Codes:
        out = codes.copy()
        for unit in self.spec.units:
            columns = list(unit.positions[1:])
            rest = codes[:, columns]
            order = np.argsort(rest == 0, axis=1, kind="stable")  # operations keep their order, identities move back
            out[:, columns] = np.take_along_axis(rest, order, 1)
        return out
