"""Data: what was read, what was refused, and what to aim at."""

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from autobuild_core.errors import StudioError, TargetError
from autobuild_core.figures import charts, drawing
from autobuild_core.records import ArchTable
from autobuild_core.spaces import load_space
from autobuild_core.targets import Target, suggest_targets
from pages import _intake, _shared

_shared.enter("data")
_shared.title(
    "Data", "every row of the file is either an architecture below or in the list of refused rows; nothing is dropped silently."
)


def choose() -> "pd.Series[str] | None":
    """The data set to look at, and the ways to add one."""
    frame, current = _shared.workspace().datasets(), _shared.current_dataset()
    if current is None:
        _intake.drop_zone()
        _intake.sample_data_button()
        return None
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    ids = frame["id"].tolist()
    names = {row["id"]: f"{row['name']}, {row['num_rows']:,} architectures" for _, row in frame.iterrows()}
    chosen = left.selectbox("Data set", ids, ids.index(current["id"]), format_func=names.__getitem__)
    if chosen != current["id"]:
        _shared.keep(target=None, minimize=None)
    _shared.keep(data=chosen)
    with right.popover("Add another file", width="stretch"):
        _intake.drop_zone()
        _intake.sample_data_button()
    return frame[frame["id"] == chosen].iloc[0]


def report(table: ArchTable, row: "pd.Series[str]") -> None:
    """Format, space, counts, three architectures."""
    facts = {
        "Format": row["format"].replace("_", " "),
        "Space": table.spec.title,
        "Accepted": f"{len(table):,} of {table.num_read:,}",
        "Refused": f"{len(table.rejected):,}",
        "Duplicates": f"{table.num_duplicates:,}",
        "Metrics": f"{table.metrics.shape[1]}",
    }
    for column, (name, value) in zip(st.columns([2, 3, 2, 1.2, 1.4, 1.2]), facts.items(), strict=True):
        column.markdown(f":gray[{name}]  \n**{_shared.plain(value)}**")
    for note in table.notes:
        st.caption(_shared.plain(note, 400))
    for column, index in zip(st.columns(3, gap="medium"), sorted({0, len(table) // 2, len(table) - 1}), strict=False):
        with column:
            st.caption(f"Architecture of row {int(table.source_rows[index])}")
            drawn = drawing.architecture_table(table.spec, table.codes[index])
            figure = drawing.architecture_figure(drawn, _shared.theme()).update_layout(height=230)
            _shared.show(figure, None, f"architecture_{index}", f"Architecture of row {int(table.source_rows[index])}")


def aim(table: ArchTable) -> None:
    """The target equation with its histogram."""
    st.subheader("What to aim at", anchor=False)
    metrics = [str(m) for m in table.metrics.columns]
    if not metrics:
        st.warning("This file has no metric to learn from; add a column of measurements and upload it again.")
        return
    left, right = st.columns([2, 3], gap="large")
    with left:
        suggested = suggest_targets(table.metrics) or metrics[:1]
        box = f"target_{_shared.recall('data')}"
        st.session_state.setdefault(box, _shared.recall("target") or suggested[0])
        text = st.text_input("Target, an equation over the metrics", key=box, max_chars=300)
        st.pills("For example", suggested, key="suggested", on_change=take_suggestion, args=(box,))
        ways = ["Maximise", "Minimise"]
        way = st.segmented_control(
            "Better is",
            ways,
            default=ways[_shared.recall("minimize") == "yes"],
            required=True,
            key=f"way_{_shared.recall('data')}",
        )
        st.caption(f"Metrics: {', '.join(_shared.code(m) for m in metrics)}. Also log, log2, log10, exp, sqrt, abs, min, max.")
        values = evaluated(text, table.metrics)
    unknown = _shared.recall("target") is None
    _shared.keep(target=text, minimize="yes" if way == "Minimise" else None)
    if unknown:
        st.rerun()  # the bar at the top was drawn before the target was known
    with right:
        histogram = charts.histogram_table(values, text)
        _shared.show(charts.histogram_figure(histogram), histogram, "target", f"Histogram of {text}")


def take_suggestion(box: str) -> None:
    """Puts the suggestion that was clicked into the target's box."""
    if st.session_state["suggested"]:
        st.session_state[box] = st.session_state["suggested"]


def evaluated(text: str, metrics: pd.DataFrame) -> NDArray[np.float64]:
    """The target of every row; a mistake is marked at its place and stops the page."""
    try:
        target = Target(text)
        values = np.asarray(target.values(metrics), float)
        target.check_varies(values)
    except TargetError as error:
        st.code(text + ("" if error.position is None else f"\n{' ' * error.position}^"), language=None)
        st.error(_shared.plain(error, 600))
        st.stop()
    return values


def details(table: ArchTable) -> None:
    """Metrics, refused rows, duplicates, all rows; each downloads as CSV."""
    names = ["Metrics", f"Refused rows ({len(table.rejected):,})", f"Duplicates ({table.num_duplicates:,})", "Architectures"]
    metrics, refused, doubles, rows = st.tabs(names)
    with metrics:
        if table.metrics.shape[1]:
            histograms = charts.metrics_table(table.metrics)
            _shared.show(charts.metrics_figure(histograms), histograms, "metrics", "Histogram of every metric")
        else:
            st.caption("The file has no metric.")
    with refused:
        frame = pd.DataFrame([(r.row, r.reason) for r in table.rejected], columns=["row", "reason"])
        _shared.table(frame, "refused_rows", "No row was refused.")
    with doubles:
        _shared.table(charts.duplicates_table(table), "duplicates", "No network occurs twice.")
    with rows:
        _shared.table(charts.architectures_table(table, load_space(table.spec)), "architectures", "No architecture.")


dataset = choose()
if dataset is not None:
    try:
        data = _shared.read_dataset(str(_shared.workspace().path), str(dataset["id"]))
    except StudioError as problem:
        st.error(_shared.plain(problem, 600))
        st.stop()
    report(data, dataset)
    aim(data)
    details(data)
