"""A space of small graphs in one file that is no file of the product."""

from typing import Any, final

from autobuild_core.architectures.records import Codes, SpaceSpec, UnitSpec
from autobuild_core.errors import ArchitectureError
from autobuild_core.spaces import Space

TOKENS = ("k3", "k5", "pool")
EDGES = ((0, 1), (0, 2), (1, 3), (2, 3), (0, 4), (3, 4))
#       a -> b, c -> d -> e, and a -> e. Units: a; b and c, which have a state; d and e.
UNITS = (("stem", (0,)), ("branches", (1, 2)), ("head", (3, 4)))


@final
class SmallDag(Space):
    """A list of five tokens, one a node."""

    title = "Small graph"

    @classmethod
    def default_spec(cls) -> SpaceSpec:
        units = tuple(UnitSpec(label, positions, (len(positions),), (0, 1, 2)) for label, positions in UNITS)
        attributes = {"kind": ("conv", "conv", "pool"), "kernel": ("3", "5", "3")}
        options = {"edges": [list(edge) for edge in EDGES]}
        return SpaceSpec("small_dag", cls.title, tuple("abcde"), TOKENS, units, attributes, options, topology="dag")

    def parse(self, native: Any) -> list[int]:
        if not (isinstance(native, list) and len(native) == 5 and all(isinstance(t, str) for t in native)):
            raise ArchitectureError(f"graph: got {str(native)[:60]}, expected five tokens.")
        if unknown := [token for token in native if token not in TOKENS]:
            raise ArchitectureError(f"graph: got {unknown[0][:60]}, expected one of {', '.join(TOKENS)}.")
        return [self.token_index[token] for token in native]

    def native(self, row: Codes) -> list[str]:
        return [self.spec.tokens[token] for token in row]
