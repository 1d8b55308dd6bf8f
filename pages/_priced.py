"""Builder: what more of a budget would buy, and the best architecture against its limit."""

import io
from dataclasses import dataclass

import pandas as pd
import streamlit as st

from autobuild_core.figures import design
from autobuild_core.predictor.metrics import Bound
from autobuild_core.scoring.finished_run import FinishedRun
from autobuild_core.search.budgets import Budgets, budget_text, budget_words, read_budget
from pages import _asking, _text, _widgets

ABOUT = (
    "For every budget the best architecture within tighter and looser limits, the others kept to, in 100 joint draws of what may "
    "be true: a step of a limit never makes it worse. Predicted by the Gaussian process, measurement noise and all, so the "
    "best of a draw is lucky too, and better than any one architecture is predicted to be: read the steps, not the level."
)
NONE = "Add a budget above: then this tells what more of it would buy."


@dataclass(frozen=True, eq=False)
class Priced:
    """The prices that were worked out.

    Args:
        run: key of the run.
        budgets: in words.
        curves: as `price_curves` has them; empty where `refused` says why.
        refused: why there are none.
    """

    run: str
    budgets: str
    curves: pd.DataFrame
    refused: str


def section(run: FinishedRun, budgets: Budgets) -> None:
    """The button that works prices out, their sentences and curves."""
    if not budgets.bounds:
        st.caption(NONE)
        return
    words = ", ".join(map(budget_text, budgets.bounds)) + f", {budgets.confidence}"
    found: Priced | None = st.session_state.get("priced")
    is_same = found is not None and (found.run, found.budgets) == (run.key, words)
    st.caption(ABOUT)
    if st.button("Work out the prices", type="secondary" if is_same else "primary", key="do_prices"):
        found = _work_out(run, budgets, words)
        st.session_state["priced"] = found
        is_same = True
    if found is None or found.run != run.key:
        return
    if not is_same:
        st.caption("The prices below are those of other budgets.")
    if found.refused:
        st.info(_text.plain(found.refused, 900))
        return
    _show(run, found.curves)


def _work_out(run: FinishedRun, budgets: Budgets, words: str) -> Priced:
    """Asks for the prices."""
    got = _asking.asked(run, "prices", _asking.of_budgets(budgets), "Drawing what may be true")
    if isinstance(got, str):
        return Priced(run.key, words, pd.DataFrame(), got)
    return Priced(run.key, words, pd.read_csv(io.StringIO(got[1])), "")


def _show(run: FinishedRun, curves: pd.DataFrame) -> None:
    """A sentence and a curve a budget."""
    for place, (budget, curve) in enumerate(curves.groupby("budget", sort=False)):
        bound = read_budget(str(budget))
        st.markdown(_sentence(run, bound, curve))
        figure = design.price_figure(curve, bound.limit, (run.label.axis, bound.metric))
        _widgets.show(
            figure, curve, f"prices_{place}", f"The best architecture against the limit of {bound.metric}", key=f"prices_{place}"
        )


def _sentence(run: FinishedRun, bound: Bound, curve: pd.DataFrame) -> str:
    """The price of the step beyond the budget, in words."""
    name = _text.plain(bound.metric)
    line = curve.iloc[(curve["limit"] - bound.limit).abs().argmin()]
    if pd.isna(line["price"]):
        return f"Nothing keeps to {_text.plain(budget_words(bound))}, or the step beyond it: there is no price."
    step = _text.plain(f"{abs(line['next'] - line['limit']):.4g}")
    ends = (_text.plain(run.amount(float(line[end]))) for end in ("price", "low", "high"))
    price, low, high = ends
    more = "more" if bound.is_upper else "less"
    return f"{step} {more} of **{name}** buys **{price}** ({low} to {high}), predicted."
