"""Flat spaces by hand: loose units, chains beside them, conditions, nested ones, forbidden combinations, ties, numbers."""

import itertools
from collections.abc import Sequence

import numpy as np

from autobuild_core.architectures.records import ABSENT, Condition, SpaceSpec, UnitSpec
from autobuild_core.spaces import Space, load_space
from autobuild_core.testing.examples import infer_spec as infer_spec

NAN = float("nan")


class Columns:
    """Collects units with tokens of their own, position by position."""

    def __init__(self) -> None:
        self.labels: list[str] = []
        self.tokens: list[str] = []
        self.values: list[str] = []
        self.numbers: list[float] = []
        self.units: list[UnitSpec] = []

    def add(
        self, label: str, values: list[str], depths: tuple[int, ...] = (1,), tied: bool = False, loose: bool = True
    ) -> tuple[int, ...]:
        """Appends a unit and returns its tokens; values that are numbers get coordinates."""
        first, width = len(self.tokens), max(depths)
        tokens = tuple(range(first, first + len(values)))
        positions = tuple(range(len(self.labels), len(self.labels) + width))
        self.labels += [label] if width == 1 else [f"{label}.L{i + 1}" for i in range(width)]
        self.tokens += [f"{label}={value}" for value in values]
        self.values += values
        try:
            coordinates = np.array([float(value) for value in values])
            self.numbers += ((coordinates - coordinates.min()) / max(float(np.ptp(coordinates)), 1e-12)).tolist()
        except ValueError:
            self.numbers += [NAN] * len(values)
        self.units.append(UnitSpec(label, positions, depths, tokens, tied, loose))
        return tokens

    def space(
        self,
        conditions: tuple[Condition, ...] = (),
        forbidden: tuple[tuple[tuple[int, tuple[int, ...]], ...], ...] = (),
    ) -> Space:
        """The space of all of them."""
        attributes = {"value": tuple(self.values)}
        columns = []
        for unit in self.units:
            own = {"depth": f"{unit.label}_depth" if len(unit.depths) > 1 else None, "choices": [unit.label], "names": ["value"]}
            columns.append(own)
        numbers = {"value": tuple(self.numbers)} if any(n == n for n in self.numbers) else {}
        given = "flat", "Flat table of design choices", tuple(self.labels), tuple(self.tokens), tuple(self.units), attributes
        return load_space(SpaceSpec(*given, {"columns": columns}, (), numbers, conditions, forbidden))


def loose_space(num_columns: int = 5, most: int = 8, seed: int = 0) -> Space:
    """Plain columns of 2 to `most` values, every other one of numbers."""
    rng, columns = np.random.default_rng(seed), Columns()
    for index in range(num_columns):
        num = int(rng.integers(2, most + 1))
        values = [str(2**v) for v in range(num)] if index % 2 else [f"v{v}" for v in range(num)]
        columns.add(f"c{index}", values)
    return columns.space()


def conditional_space() -> Space:
    """optimizer; momentum only with sgd; nesterov only where momentum is 0.9 (nested); two conditions on warmup; width."""
    columns = Columns()
    sgd, _, lion = columns.add("optimizer", ["sgd", "adam", "lion"])
    schedule = columns.add("schedule", ["cosine", "step", "none"])
    momentum = columns.add("momentum", ["0", "0.5", "0.9"], (0, 1))
    columns.add("nesterov", ["False", "True"], (0, 1))
    columns.add("warmup", ["1", "5"], (0, 1))
    columns.add("width", ["16", "32", "64"])
    conditions = (
        Condition(2, 0, (sgd,)),
        Condition(3, 2, momentum[2:]),
        Condition(4, 0, (sgd, lion)),
        Condition(4, 1, schedule[:2]),
    )
    return columns.space(conditions)


def forbidden_space() -> Space:
    """As the conditional one in small, with clauses: over two units, three, a unit without layers; one value is dead."""
    columns = Columns()
    sgd, adam = columns.add("optimizer", ["sgd", "adam"])
    momentum = columns.add("momentum", ["0", "0.9"], (0, 1))
    act = columns.add("act", ["relu", "gelu", "dead"])
    width = columns.add("width", ["16", "32", "64"])
    forbidden = (
        ((2, act[:1]), (3, width[2:])),
        ((1, (ABSENT,)), (2, act[1:2]), (3, width[:1])),
        ((2, act[2:]), (3, width)),
        ((0, (sgd, adam)), (1, momentum[1:]), (2, act[:1]), (3, width[:1])),
    )
    return columns.space((Condition(1, 0, (sgd,)),), forbidden)


def mixed_space() -> Space:
    """A chain of up to three free layers that hangs on a loose choice, a tied block, a list of three, loose columns."""
    columns = Columns()
    yes, _ = columns.add("head", ["yes", "no"])
    layers = columns.add("mlp", ["16", "32"], (0, 1, 2, 3), loose=False)
    columns.add("block", ["k3", "k5"], (1, 2), tied=True, loose=False)
    columns.add("list", ["a", "b"], (3,), loose=False)
    act = columns.add("act", ["relu", "gelu"])
    return columns.space((Condition(1, 0, (yes,)),), (((1, layers[1:]), (4, act[:1])),))


def large_space() -> Space:
    """Conditions and clauses in a space that cannot be enumerated."""
    columns = Columns()
    for index in range(12):
        columns.add(f"c{index}", [str(v) for v in range(4)], (0, 1) if index == 6 else (1,))
    first = columns.units[0].tokens
    forbidden = tuple(((a, columns.units[a].tokens[:1]), (a + 1, columns.units[a + 1].tokens[1:2])) for a in (1, 3, 7, 9))
    return columns.space((Condition(6, 0, first[:2]),), forbidden)


def wide_space(sizes: Sequence[int] = (4, 5, 10, 3), num_positions: int = 4) -> Space:
    """Units of one layer that is one of very many: all combinations of a few attributes, without ordered numbers."""
    names = ("kernel", "expansion", "width", "groups")[: len(sizes)]
    every = list(itertools.product(*(range(size) for size in sizes)))
    tokens = tuple("_".join(f"{name}{value}" for name, value in zip(names, row, strict=True)) for row in every)
    attributes = {name: tuple(str(row[place]) for row in every) for place, name in enumerate(names)}
    labels = tuple(f"U{number + 1}" for number in range(num_positions))
    units = tuple(UnitSpec(label, (place,), (1,), tuple(range(len(tokens)))) for place, label in enumerate(labels))
    columns = [{"depth": None, "choices": [f"{label}_{n}" for n in names], "names": list(names)} for label in labels]
    return load_space(SpaceSpec("flat", "Flat table of design choices", labels, tokens, units, attributes, {"columns": columns}))


SPACES = {
    "loose": loose_space,
    "conditional": conditional_space,
    "forbidden": forbidden_space,
    "mixed": mixed_space,
    "large": large_space,
}
