"""The table of modules: a line a module, ranked within units, as codes and as groups."""

import json
import math
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autobuild_core.architectures.lens import Lens
from autobuild_core.architectures.modules import ModuleGroup, count_evaluated
from autobuild_core.architectures.ranges import range_of, ranges_of, some_of, standing_tokens, tokens_of
from autobuild_core.architectures.records import ABSENT, Codes, SpaceSpec
from autobuild_core.architectures.topologies import topology_of

SCORE_COLUMNS = (
    "embedding_norm",
    *("score", "score_low", "score_high"),
    *("effect", "effect_low", "effect_high"),
    *("good", "good_low", "good_high"),
)
Index = dict[tuple[str, str, bool], int]  # (positions, layers, whole unit) -> line of the table
COST_COLUMNS = ("equal_cost", "equal_cost_low", "equal_cost_high")
RANGE = "range"  # column of a module table that has ranges: JSON [least, largest value], "" of other modules


def module_index(modules: pd.DataFrame) -> Index:
    """The line of each module in a run's module table."""
    keys = zip(modules["positions"], modules["layers"], modules["whole_unit"], strict=True)
    return {(places, layers, bool(whole)): line for line, (places, layers, whole) in enumerate(keys)}


def top_modules(modules: pd.DataFrame, lens: Lens = Lens.GOOD, minimize: bool = False) -> pd.DataFrame:
    """Whole-unit modules that have a score, ranked within their unit by a lens (ties by `score`).

    Args:
        modules: modules.parquet; what cannot be told from a context has no score.
        lens: ranks them.
        minimize: smaller targets are better.

    Returns:
        The whole-unit rows with `rank` from 1, sorted by unit and rank.
    """
    return ranked_modules(modules[modules["score"].notna()], lens, minimize)


def ranked_modules(modules: pd.DataFrame, lens: Lens = Lens.GOOD, minimize: bool = False) -> pd.DataFrame:
    """As `top_modules`, with those that have no score behind the others."""
    whole = modules[modules["whole_unit"]].copy()
    whole["_lens"] = whole[lens] * lens.direction(minimize)
    whole["_score"] = whole["score"] * Lens.SCORE.direction(minimize)
    whole = whole.sort_values(["unit_index", "_lens", "_score"], ascending=[True, False, False], kind="stable")
    whole["rank"] = whole.groupby("unit_index").cumcount() + 1
    return whole.drop(columns=["_lens", "_score"]).reset_index(drop=True)


def module_rows(modules: pd.DataFrame, spec: SpaceSpec) -> Codes:
    """(n, num_positions) codes of whole-unit modules: their layers at the unit's positions, ABSENT elsewhere.

    A range of numbers is the value that stands for it.
    """
    position = {label: i for i, label in enumerate(spec.position_labels)}
    token = {label: i for i, label in enumerate(spec.tokens)} | standing_tokens(spec)
    codes = np.full((len(modules), spec.num_positions), ABSENT, np.int16)
    for row, (positions, layers) in enumerate(zip(modules["positions"], modules["layers"], strict=True)):
        codes[row, [position[p] for p in json.loads(positions)]] = [token[t] for t in json.loads(layers)]
    return codes


def groups_of(modules: pd.DataFrame, spec: SpaceSpec) -> list[tuple[ModuleGroup, NDArray[np.intp]]]:
    """Modules as groups of equal places, each with the lines of the table it holds: of a range all its values, as one line."""
    codes, out = module_rows(modules, spec), []
    for (positions, whole, unit), lines in modules.groupby(["positions", "whole_unit", "unit_index"], sort=False).indices.items():
        columns = tuple(spec.position_labels.index(label) for label in json.loads(positions))
        own, number, ranges = codes[lines][:, list(columns)], int(unit) if whole else None, None
        values = [tokens_of(spec, json.loads(text)[0]) for text in modules["layers"].iloc[lines]] if len(columns) == 1 else []
        if any(len(some) > 1 for some in values):
            own = np.array([[token] for some in values for token in some], np.int16)
            ranges = np.repeat(np.arange(len(values)), list(map(len, values)))
        out.append((ModuleGroup(columns, own, number, ranges), np.asarray(lines, np.intp)))
    return out


def with_values(modules: pd.DataFrame, spec: SpaceSpec, most: int | None = None) -> pd.DataFrame:
    """Modules with exact layers: a range of numbers is a line for each of its values, or for so many at equal distances."""
    if not ranges_of(spec):
        return modules
    values = [tokens_of(spec, layers[0]) if len(layers) == 1 else () for layers in map(json.loads, modules["layers"])]
    some = [tokens if most is None else some_of(tokens, most) for tokens in values]
    texts = [
        [json.dumps([spec.tokens[token]]) for token in tokens] or [text]
        for tokens, text in zip(some, modules["layers"], strict=True)
    ]
    lines = np.repeat(np.arange(len(modules)), list(map(len, texts)))
    return modules.iloc[lines].assign(layers=[text for own in texts for text in own]).reset_index(drop=True)


def with_room(modules: pd.DataFrame, spec: SpaceSpec, limit: int) -> pd.DataFrame:
    """Modules with exact layers, of each range as many values as leave no more than `limit` combinations, at least one."""
    lengths = np.array([len(tokens_of(spec, own[0])) if len(own) == 1 else 1 for own in map(json.loads, modules["layers"])])
    units = modules["unit_index"].to_numpy()
    least, most = 1, max((len(one.tokens) for own in ranges_of(spec).values() for one in own), default=1)
    while least < most:
        middle = (least + most + 1) // 2
        if math.prod(pd.Series(np.minimum(lengths, middle)).groupby(units).sum().tolist()) <= limit:
            least = middle
        else:
            most = middle - 1
    return with_values(modules, spec, most)


def describe_modules(groups: list[ModuleGroup], spec: SpaceSpec, codes: Codes) -> pd.DataFrame:
    """A table of modules without their scores: the left-hand columns of modules.parquet.

    A range of numbers is one line; where there is one, the column RANGE has the least and the largest value of each.

    Args:
        groups: the modules.
        spec: their space.
        codes: the evaluated architectures, for the evidence.
    """
    parts, quoted = [], [json.dumps(token) for token in spec.tokens]
    ranged = any(group.ranges is not None for group in groups)
    for group in groups:
        owners = {spec.unit_of(p) for p in group.positions}
        whole = [u.label for u in spec.units if u.positions == group.positions and len(u.depths) == 1]
        unit = spec.units[group.unit].label if group.unit is not None else "".join(whole)
        layers = ["[" + ", ".join([quoted[token] for token in row]) + "]" for row in group.codes.tolist()]  # as json.dumps
        seen, ends = count_evaluated(group, spec, codes), [""] * len(group)
        if group.ranges is not None:
            first = np.unique(group.ranges, return_index=True)[1]
            own = [one for token in group.codes[first, 0] if (one := range_of(spec, int(token)))]
            layers, ends = [json.dumps([one.text]) for one in own], [json.dumps(one.ends) for one in own]
            seen = np.bincount(group.ranges, seen, len(own)).astype(np.int64)
        part = pd.DataFrame({"layers": layers}, dtype="str")
        part["positions"] = json.dumps([spec.position_labels[p] for p in group.positions])
        part["unit"], part["hop"], part["whole_unit"] = unit, topology_of(spec).sink(group)[1], group.unit is not None
        part["unit_index"] = owners.pop() if len(owners) == 1 else -1
        part["first_position"] = group.positions[0]
        part["num_evaluated"] = seen
        if ranged:
            part[RANGE] = pd.Series(ends, dtype="str")
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def rivals_of(modules: pd.DataFrame, node: "pd.Series[Any]") -> pd.DataFrame:
    """The modules that can stand in a module's place, itself among them: all that can fill its unit where it is a whole one."""
    alike = modules["whole_unit"] == node["whole_unit"]
    if node["whole_unit"]:
        return modules[alike & (modules["unit_index"] == node["unit_index"])]
    return modules[alike & (modules["positions"] == node["module_positions"])]
