"""Which modules cannot be told from a context, because they were only ever evaluated together with it. Ours.

In an additive model of a position's layers and of a context, two layers can be compared only where a chain of evaluations leads
from one to the other: two layers in one context, or one layer in two contexts. Where the chain breaks, what is said of one side
is as well an effect of the context.
"""

import json

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autobuild_core.architectures.ranges import by_range, standing_tokens
from autobuild_core.architectures.records import ABSENT, ArchTable, SpaceSpec
from autobuild_core.predictor.contexts import ContextColumn, Contexts, texts

CONFOUNDED = "confounded_with"
BINS, ROWS_OF_BIN = 16, 10  # a number of more values is looked at in so many bins at most, of so many rows at least
EXPLAINED = 0.85  # share of a layer's presence that the bins of a number explain, from which it cannot be told from it
BLANKED = ("score", "effect", "good", "equal_cost")  # lenses without a number, with their intervals


def levels(column: ContextColumn, values: pd.Series) -> NDArray[np.int64]:
    """(n,) which value, or bin of values, of a context each row has; -1 where it is not known."""
    if column.values:
        place = {value: number for number, value in enumerate(column.values)}
        return np.array([place.get(value, -1) for value in texts(values)], np.int64)
    numbers = values.to_numpy(float)
    known = np.isfinite(numbers)
    distinct = np.unique(numbers[known])
    bins = max(min(BINS, int(known.sum()) // ROWS_OF_BIN), 2)
    if len(distinct) > bins:
        distinct = np.unique(np.quantile(numbers[known], np.arange(bins) / bins))
    return np.where(known, np.searchsorted(distinct, numbers, side="right") - 1, -1)


def apart(choices: NDArray[np.int64], context: NDArray[np.int64], number: bool) -> NDArray[np.int64]:
    """The choices that cannot be told from a context.

    Choices and contexts that occur together are joined; what does not hang together with the most rows cannot be compared with
    them. Where no two choices hang together, none can be told. Of a number, which has an order, neither can a choice whose
    presence its bins explain nearly whole.

    Args:
        choices: (n,) what each row has at a place.
        context: (n,) its level of a context, not negative.
        number: the context is a number.
    """
    found, choice = np.unique(choices, return_inverse=True)
    if len(found) < 2:
        return found[:0]
    num_levels = int(context.max()) + 1
    part = np.arange(len(found))  # of each choice: the lowest one that it hangs together with
    for _ in found:
        of_level = np.full(num_levels, len(found))
        np.minimum.at(of_level, context, part[choice])
        np.minimum.at(part, choice, of_level[context])
    main = np.bincount(part[choice]).argmax()
    alone = part != main
    if alone.any() and (~alone).sum() == 1:
        alone[:] = True
    if number and not alone.all():
        table = np.zeros((len(found), num_levels))
        np.add.at(table, (choice, context), 1)
        total, share = np.maximum(table.sum(0), 1), table.sum(1) / len(choice)
        between = ((table / total - share[:, None]) ** 2 * table.sum(0)).sum(1) / len(choice)
        alone |= between >= EXPLAINED * share * (1 - share)
    alone_ones: NDArray[np.int64] = found[alone]
    return alone_ones


def confounded_layers(table: ArchTable, contexts: Contexts) -> dict[tuple[int, int], str]:
    """{(position, token): context} of every layer, absence included, that cannot be told from a context.

    A range of numbers is one layer here, by the token that stands for it.
    """
    out: dict[tuple[int, int], str] = {}
    codes = by_range(table.codes, table.spec)
    for column in contexts.columns:
        level = levels(column, table.contexts[column.name]) if column.width else np.zeros(0, np.int64)
        known = level >= 0
        if len(np.unique(level[known])) < 2:
            continue
        for position in range(table.spec.num_positions):
            there = codes[known, position].astype(np.int64)
            for token in apart(there, level[known], not column.values):
                out.setdefault((position, int(token)), column.name)
    return out


def mark_confounded(modules: pd.DataFrame, table: ArchTable, contexts: Contexts) -> pd.DataFrame:
    """Modules with `confounded_with`: the context that one of its layers cannot be told from, or ""; the former have no number.

    Args:
        modules: as `scorers.score_modules` gives them.
        table: the evaluated architectures.
        contexts: as the predictor sees them.
    """
    marked, spec = confounded_layers(table, contexts), table.spec
    words = [
        _reason(line, marked, spec) for line in zip(modules["positions"], modules["layers"], modules["whole_unit"], strict=True)
    ]
    blank = [name for name in modules.columns if name in BLANKED or name.rpartition("_")[0] in BLANKED]
    out = modules.assign(**{CONFOUNDED: pd.Series(words, modules.index, dtype="str")})
    out.loc[(out[CONFOUNDED] != "").to_numpy(), blank] = np.nan
    return out


def _reason(line: tuple[str, str, bool], marked: dict[tuple[int, int], str], spec: SpaceSpec) -> str:
    """The context of the first layer that cannot be told from one; of a whole unit, of the empty places behind too."""
    if not marked:
        return ""
    positions = [spec.position_labels.index(label) for label in json.loads(line[0])]
    stands, layers = standing_tokens(spec), json.loads(line[1])
    tokens = [stands[text] if text in stands else spec.tokens.index(text) for text in layers]
    pairs = list(zip(positions, tokens, strict=True))
    if line[2]:
        unit = spec.units[spec.unit_of(positions[0])]
        pairs += [(position, ABSENT) for position in unit.positions if position not in positions]
    return next((marked[pair] for pair in pairs if pair in marked), "")
