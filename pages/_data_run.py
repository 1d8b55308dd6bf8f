"""Data: the run beside the data set, and what is chosen in it."""

import numpy as np
from numpy.typing import NDArray

from autobuild_core.errors import StudioError
from autobuild_core.scoring.finished_run import FinishedRun
from pages import _linked, _memory, _pair, _run, _selection


def shown() -> FinishedRun | None:
    """The run at the top, once it is finished: what is chosen in it can be shown here."""
    current = _pair.current_run()
    if current is None or current["state"] != "finished":
        return None
    try:
        return _run.read_run(str(current["id"]))
    except StudioError:
        return None


def chosen_place(run: FinishedRun | None) -> int | None:
    """Place of the chosen architecture in the table; None where none is chosen or it belongs to other data."""
    return _selection.chosen_row(run) if run is not None and _memory.recall("arch") else None


def marks(run: FinishedRun | None) -> "NDArray[np.bool_] | None":
    """(rows,) what is marked on the map of the run that was trained on these data."""
    return None if run is None else _linked.marked(run)
