"""Modules that would stand better in a module's place, and what an architecture would gain by them."""

import json
from typing import Any

import numpy as np
import pandas as pd

from autobuild_core.architectures.lens import Lens, bounds, change_words, evidence
from autobuild_core.architectures.module_table import rivals_of
from autobuild_core.architectures.names import module_name
from autobuild_core.architectures.ranges import standing_tokens
from autobuild_core.architectures.records import ABSENT, Codes, SpaceSpec
from autobuild_core.predictor.ensemble import Predictor


def replacements_table(
    modules: pd.DataFrame, node: "pd.Series[Any]", lens: Lens, minimize: bool, total: int, unit: str, num: int = 4
) -> pd.DataFrame:
    """The modules that beat one in its place, best first; no line where it is the best.

    Args:
        modules: the run's module table.
        node: a line of `drawing.node_scores`.
        lens: the question.
        minimize: smaller targets are better.
        total: number of evaluated architectures.
        unit: unit of the target.
        num: lines at most.

    Returns:
        The columns of `modules`; module (name), change, change_low, change_high (against the module that stands there, as of two
        independent errors; NaN for the norm, which has no interval), words, seen.
    """
    sign = lens.direction(minimize)
    rivals = rivals_of(modules, node)
    better = rivals[sign * (rivals[lens.value] - node[lens.value]) > 0]
    better = better.sort_values(lens.value, ascending=sign < 0, kind="stable").head(num).reset_index(drop=True)
    half = np.hypot(*((high - low) / 2 for low, high in (bounds(better, lens), bounds(node, lens))))
    change = better[lens.value] - node[lens.value]
    ends = {"change_low": change - half, "change_high": change + half} if lens is not Lens.NORM else {}
    table = better.assign(**({"change_low": np.nan, "change_high": np.nan} | {"change": change} | ends))
    names = zip(table["positions"], table["layers"], strict=True)
    table["module"] = [module_name(places, layers, False) for places, layers in names]
    table["words"] = [change_words(one, wide, lens, unit) for one, wide in zip(change, half, strict=True)]
    table["seen"] = [evidence(int(seen), total) for seen in table["num_evaluated"]]
    return table


def replaced(spec: SpaceSpec, row: Codes, table: pd.DataFrame) -> Codes:
    """(n, num_positions) an architecture with each module of a table in its place; a whole unit leaves no other layer in it.

    Of a range of numbers it is the value that stands for it.
    """
    found, stands = np.repeat(np.asarray(row)[None], len(table), axis=0), standing_tokens(spec)
    for codes, line in zip(found, table.to_dict("records"), strict=True):
        places = [spec.position_labels.index(label) for label in json.loads(line["positions"])]
        if line["whole_unit"]:
            codes[list(spec.units[spec.unit_of(places[-1])].positions)] = ABSENT
        codes[places] = [stands[text] if text in stands else spec.tokens.index(text) for text in json.loads(line["layers"])]
    return found


def with_predictions(table: pd.DataFrame, predictor: Predictor, row: Codes) -> pd.DataFrame:
    """The table with `predicted`, low and high of the architecture that has each replacement.

    NaN for single layers of units whose layers must be alike: such an architecture is none of the space.
    """
    spec = predictor.spec
    tied = [spec.units[int(unit)].tied if unit >= 0 else any(one.tied for one in spec.units) for unit in table["unit_index"]]
    allowed = table["whole_unit"].to_numpy(bool) | ~np.array(tied, bool)
    found = pd.DataFrame(np.nan, index=table.index, columns=["predicted", "low", "high"])
    if allowed.any():
        lines = predictor.predict(replaced(spec, row, table[allowed]))
        found.loc[allowed] = lines[["predicted", "low", "high"]].to_numpy()
    return table.assign(**{name: found[name] for name in found})
