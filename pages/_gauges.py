"""Builder: a gauge a metric of the architecture on the screen, against its budgets; every number says how it is known."""

import streamlit as st

from autobuild_core.architectures.records import Codes
from autobuild_core.figures import design
from autobuild_core.predictor.run_metrics import RunMetrics
from autobuild_core.scoring.finished_run import FinishedRun
from autobuild_core.search.budgets import Budgets
from autobuild_core.search.gauges import gauges
from pages import _text, _widgets

MOST = 6  # gauges without a budget, unless all are wanted
UNSUPPORTED = (
    "This architecture leaves what the data support: {} is more uncertain than of 99 in 100 measured networks before "
    "they were measured. Where that was tried, errors were several times as large as the intervals say."
)


def section(run: FinishedRun, known: RunMetrics, budgets: Budgets, names: list[str], codes: Codes) -> None:
    """The gauges.

    Args:
        run: the run.
        known: what it knows of metrics.
        budgets: the limits.
        names: of the metrics, in their order; the target among them.
        codes: (num_positions,) the architecture.
    """
    bounded = list(dict.fromkeys(bound.metric for bound in budgets.bounds))
    others = [name for name in names if name not in bounded and name != known.target]
    shown = [*bounded, *others[: max(MOST - len(bounded), 0)]]
    of_target = [known.target] if known.target in known.metrics.models else []
    table = gauges(known.metrics, [*shown, *of_target], run.table, budgets.bounds, codes)
    if not table["supported"].all():
        far = ", ".join(_text.plain(_name(run, known, one)) for one in table.loc[~table["supported"], "metric"].unique())
        st.warning(UNSUPPORTED.format(far), icon=":material/explore_off:")
    if budgets.bounds:
        st.markdown(_together(float(budgets.within(codes[None])[0]), budgets))
    own = table[table["metric"].isin(shown)].reset_index(drop=True)
    if len(own):
        _widgets.show(design.gauges_figure(own, budgets.confidence), own, "gauges", "Metrics of the architecture against budgets")


def _name(run: FinishedRun, known: RunMetrics, metric: str) -> str:
    """The name of a metric as a reader knows it."""
    return run.label.title if metric == known.target else metric


def _together(within: float, budgets: Budgets) -> str:
    """Whether all budgets are kept at once, in a sentence."""
    all_of = "the budget" if len(budgets.bounds) == 1 else f"all {len(budgets.bounds)} budgets at once"
    kept = "keeps" if within >= budgets.confidence else "does not keep"
    sure = "for certain" if within in (0.0, 1.0) else f"with probability {within:.2f}"
    asked = "" if within in (0.0, 1.0) else f" ({budgets.confidence:.2f} is asked)"
    return f"It {kept} {all_of}: {sure if within else 'it exceeds one for certain'}{asked}."
