"""A finished run as the pages read and draw it: read once, its further tables, its colours, an architecture in them."""

from dataclasses import replace

import pandas as pd
import streamlit as st

from autobuild_core.api import Run
from autobuild_core.architectures.lens import Lens
from autobuild_core.architectures.records import Codes
from autobuild_core.errors import RunError, StudioError
from autobuild_core.figures import colours, drawing
from autobuild_core.figures.colours import Scale
from autobuild_core.predictor.contexts import Chosen
from autobuild_core.scoring.finished_run import FinishedRun
from pages import _theme, _workspace


def read_run(run_id: str, task: str = "") -> FinishedRun:
    """The tables of a finished run.

    Args:
        run_id: its id.
        task: name of one of its tasks; "" and any other text are the average over contexts.

    Raises:
        RunError: they are missing or damaged.
    """
    folder = _workspace.workspace().run(run_id)
    files = [folder.path / "quality.json", folder.path / "modules.parquet"]
    changed = sum(f.stat().st_mtime for f in files if f.exists())
    average = _read_run(str(folder.path), run_id, changed, "")
    is_task = task in [one.name for one in average.tasks]
    return _read_run(str(folder.path), run_id, changed, task) if is_task else average


@st.cache_resource(max_entries=16, show_spinner="Reading the run")
def _read_run(path: str, run_id: str, changed: float, task: str) -> FinishedRun:
    folder, tasks = _workspace.workspace().run(run_id), _read_run(path, run_id, changed, "").tasks if task else []
    context: Chosen = next((dict(one.context) for one in tasks if one.name == task), {})
    try:
        found = replace(Run(folder.path, context).finished(), id=run_id)
        if not isinstance(found.quality, dict):
            raise TypeError("quality.json is no object")
        _ = found.index, found.tasks  # what they are made from is looked at here
    except (LookupError, TypeError, AttributeError) as error:  # a file is whole, but not what a training writes
        said = f"{type(error).__name__}: {error}"[:200]
        raise RunError(f"{folder.path}: got a damaged file ({said}), expected a training's; repeat or delete it.") from error
    return found


def handle(run: FinishedRun) -> Run:
    """The run as a notebook has it, held where the page shows it: it builds, suggests and predicts."""
    return Run(_workspace.workspace().run(run.id).path, held_at(run))


def held_at(run: FinishedRun) -> Chosen:
    """The context that a run is held at, by the names of the data's contexts; {} at the average."""
    return next((dict(one.context) for one in run.tasks if one.name == run.task), {})


def extra(run: FinishedRun, name: str) -> pd.DataFrame:
    """A table of the average over contexts that came with the trust report; without lines where an older version trained the run.

    Args:
        run: the run.
        name: of the table, e.g. "scorers".
    """
    changed = _workspace.workspace().run(run.id).path.joinpath("quality.json").stat().st_mtime
    return _read_extra(run.id, name, changed)


@st.cache_data(max_entries=64, show_spinner=False)
def _read_extra(run_id: str, name: str, changed: float) -> pd.DataFrame:
    try:
        return _workspace.workspace().run(run_id).read_frame(f"{name}.parquet")
    except StudioError:
        return pd.DataFrame()


def name_of(run: FinishedRun) -> str:
    """The name that the reader gave it last."""
    return _workspace.workspace().run_name(run.id)


def scale(run: FinishedRun, lens: Lens) -> Scale:
    """The colour scale of a lens, the same on every page."""
    return colours.scale_for(run.modules, lens, run.quality["space_mean"], run.config.minimize, run.unit)


def drawn(run: FinishedRun, codes: Codes, hop: int, lens: Lens) -> pd.DataFrame:
    """An architecture laid out and coloured at a hop through a lens."""
    nodes = drawing.architecture_table(run.table.spec, codes)
    scores = drawing.node_scores(run.modules, run.index, run.table.spec, codes, hop)
    return drawing.coloured(nodes, scores, scale(run, lens), run.unit, _theme.theme())
