"""The networks that rounds asked for: what was predicted of each, and what was measured since. Imports nothing heavy."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd

from autobuild_core.evaluators._results import FINISHED, Line, metrics_of
from autobuild_core.loop.folder import LoopFolder
from autobuild_core.loop.handing import candidates_in
from autobuild_core.loop.rounds_folder import RoundsFolder, Row
from autobuild_core.targets.equation import Target

COLUMNS = ("round", "id", "arch", "predicted", "low", "high", "measured", "inside", "state", "error")
MEASURED, FAILED, WAITING = "measured", "failed", "waiting"


def networks_table(
    folder: LoopFolder, rows: Sequence[Row], lines: Sequence[Line], target: Target, num_seeds: int = 1
) -> pd.DataFrame:
    """The networks that rounds asked for, those of the round that is under way too.

    Args:
        folder: of the loop.
        rows: of the rounds that are over.
        lines: the evaluations so far.
        target: of the rounds.
        num_seeds: evaluations of each network.

    Returns:
        A line a network with COLUMNS, in the order in which they were asked for: `arch` in its native encoding;
        `predicted`, `low` and `high` NaN where too little was known; `measured` the target of the means over seeds so
        far that have a target, NaN where none has; `inside` 1 where the interval holds it, 0 where not, NaN where one
        of the two is missing; `state` MEASURED, WAITING where seeds of it are left, else FAILED; `error` why the last
        evaluation of one that failed did.

    Raises:
        ConfigError: a file of the rounds is damaged.
        DataError: the list of candidates is damaged.
    """
    files, log = RoundsFolder(folder.path), folder.log
    pending = files.pending(len(rows))
    by_batch = {int(row["batch"]): int(row["round"]) for row in rows}
    own = {} if pending is None else {one.id: pending.round for one in candidates_in(log, pending)}
    values, errors = _values(lines, target), {str(line.get("id", "")): str(line.get("error", "")) for line in lines}
    num_lines = Counter(str(line.get("id", "")) for line in lines)
    found = []
    for one in log.all():
        if (number := own.get(one.id, by_batch.get(one.batch))) is None:
            continue
        said = one.prediction
        three = [np.nan if part is None else part for part in (said.predicted, said.low, said.high)]
        value = values.get(one.id, np.nan)
        inside = float(three[1] <= value <= three[2]) if np.isfinite([value, *three]).all() else np.nan
        is_over = one.batch in by_batch or num_lines[one.id] >= num_seeds
        state = MEASURED if np.isfinite(value) else FAILED if one.id in errors and is_over else WAITING
        error = errors[one.id] if state == FAILED else ""
        found.append((number, one.id, one.arch, *three, value, inside, state, error))
    return pd.DataFrame(found, columns=list(COLUMNS))


def _values(lines: Sequence[Line], target: Target) -> dict[str, float]:
    """{id of a candidate: the target of its means over the seeds that have one}, as `known.Known` has it."""
    fine = [line for line in lines if line["state"] == FINISHED and line.get("id")]
    each = pd.DataFrame([{"": line["id"]} | {name: line[name] for name in metrics_of(line)} for line in fine])
    if not set(target.names) <= set(each):
        return {}
    means = each[np.isfinite(target.values_or_nan(each))].groupby("", sort=False).mean()
    return dict(zip(map(str, means.index), target.values_or_nan(means).tolist(), strict=True))
