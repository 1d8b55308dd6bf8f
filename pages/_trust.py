"""The trust panel: on every page that shows scores, folded to the verdict and one line."""

import streamlit as st

from autobuild_core.architectures.names import module_name
from autobuild_core.figures import trust
from autobuild_core.scoring.finished_run import FinishedRun
from autobuild_core.trust.findings import TrustReport
from pages import _bar, _memory, _run, _text, _widgets

OLDER = "This run was trained before there was a full report: train it anew on Train to see calibration, baselines and stability."


def report_of(run: FinishedRun) -> TrustReport | None:
    """The report behind the verdict; None where an older version trained the run."""
    return TrustReport.of(run.quality)


def panel(run: FinishedRun, opened: bool = False) -> None:
    """The verdict and its reason; opened, everything behind it. Only what is open is drawn."""
    _panel(run, opened)
    _holds(run)


def _holds(run: FinishedRun) -> None:
    """The contexts that scores and predictions hold at, where they vary, and the choice of a task."""
    held = run.predictor.held
    if held is None:
        return
    free = [column.name for column in held.contexts.columns if column.width and column.name not in held.chosen]
    over = f"average over {_text.plain(', '.join(free), 160)} as observed" if free else ""
    num = f" ({len(run.predictions):,} measured)" if run.task else ""
    said = ", ".join(part for part in (f"{_text.plain(run.task, 120)}{num}" if run.task else "", over) if part)
    more = "; other values by `--context` on the command line" if free else ""
    sentence = f"Scores, predictions and builds hold at: {said}{more}."
    if not run.tasks:
        st.caption(sentence)
        return
    left, right = st.columns([1, 3], vertical_alignment="center", gap="medium")
    names = ["", *(task.name for task in run.tasks)]
    left.selectbox(
        "Numbers hold for",
        names,
        names.index(run.task),
        format_func=lambda one: f"For {one}" if one else "For all tasks, averaged",
        key=f"task_{run.key}",
        label_visibility="collapsed",
        on_change=lambda: _memory.keep(task=st.session_state[f"task_{run.key}"] or None),
    )
    right.caption(sentence)


def of_the_average(run: FinishedRun) -> None:
    """Says of a section that it is not of the task that is chosen, where one is."""
    if run.task:
        st.caption(f"Worked out by the training for the average over contexts, not for {_text.plain(run.task, 120)}.")


@st.fragment
def _panel(run: FinishedRun, opened: bool) -> None:
    verdict = run.quality["verdict"]
    badge = f":{_bar.VERDICT_COLOURS.get(verdict, 'gray')}-badge[{_text.plain(verdict)}]"
    label = f"**Should I trust this?** {badge} {_text.plain(trust.headline(run.quality), 260)}"
    folded = st.expander(label, opened, key="trust_panel", on_change="rerun")
    with folded:
        if folded.open:
            _inside(run)


def _inside(run: FinishedRun) -> None:
    """Everything behind the verdict."""
    report = report_of(run)
    if report is None:
        st.caption(OLDER)
        return
    of_the_average(run)
    st.markdown(_text.plain(trust.meaning(report), 600))
    for reason in report.reasons[1:]:
        st.markdown(f"- {_text.plain(reason[:1].upper() + reason[1:], 300)}")
    left, right = st.columns(2, gap="large")
    with left:
        _order(report)
    with right:
        _calibration(run)
    _best_modules(run, report)
    st.markdown("##### Size, noise and chance")
    st.markdown(
        f"- Size: {_text.plain(trust.cost_sentence(report), 500)}\n"
        f"- Label noise: {_text.plain(trust.noise_sentence(report, run.unit), 500)}\n"
        f"- Permuted labels: {_text.plain(trust.permutation_sentence(report), 500)}"
    )


def _best_modules(run: FinishedRun, report: TrustReport) -> None:
    """The certainty of each unit's best module, and the number of layers on which it rests."""
    st.markdown("##### Is the best module really the best?")
    st.caption(
        "Many modules are looked at, so the largest is partly luck. The probability that a module is the best of its unit counts "
        "all of them, over the ensemble (each member leaves out a part of the data); each unit's likeliest is green. Not ruled "
        "out: so many are within the 90 % error of all differences to the best at once, a test more cautious than the "
        "probability. "
        "First in bootstraps: the share of a hundred samples of the evaluated networks, drawn with replacement, that name it too."
    )
    evidence = trust.evidence_table(report)
    st.dataframe(evidence, hide_index=True)
    _widgets.csv_button(evidence, "evidence")
    left, right = st.columns(2, gap="large")
    with left:
        table = trust.contenders_table(run.best, report)
        _widgets.show(trust.contenders_figure(table), table, "best_modules", "Probability of being the best module of each unit")
    with right:
        positions = _run.extra(run, "trust_positions")
        _widgets.show(
            trust.overlap_figure(positions), positions, "overlap", "Effective number of layers evaluated at each position"
        )
        st.caption(_text.plain(trust.data_sentence(report), 500))


def _order(report: TrustReport) -> None:
    st.markdown("##### Does it order networks it never saw?")
    table = trust.srcc_table(report)
    st.caption("Rank correlation with the measurement, held out by network, with the 90 % interval; baselines on the same folds.")
    _widgets.show(trust.srcc_figure(table), table, "held_out", "Held-out rank correlation beside the baselines")


def _calibration(run: FinishedRun) -> None:
    st.markdown("##### Are its numbers right?")
    table = _run.extra(run, "trust_calibration")
    st.caption(
        f"Held-out predictions in equal bins against the mean measured; labels: share inside the 90 % interval "
        f"(overall {run.quality['coverage']:.0%})."
    )
    _widgets.show(trust.calibration_figure(table, run.label.axis), table, "calibration", "Predicted against measured, in bins")


def best_note(run: FinishedRun, positions: str, layers: str) -> str:
    """The report's sentence on a module that is shown as a best one; "" where it says nothing."""
    best = run.best
    return trust.module_sentence(best, positions, layers) if len(best) else ""


def unit_note(run: FinishedRun, unit_index: int) -> str:
    """The selection-adjusted statement on a unit's best module; "" without a report."""
    report = report_of(run)
    unit = next((unit for unit in (report.units if report else ()) if unit.unit_index == unit_index), None)
    if unit is None or run.task:
        return ""
    return f"{unit.unit}: {module_name(unit.positions, unit.layers, False)} is {trust.best_sentence(unit)}."
