"""The charts of a replay: a line and a band a mode, the axis that is asked for, and the outcome in a table."""

import pandas as pd
import pytest

from autobuild_core.figures.replaying import LINES, course_figure, outcome_shown, outcome_words
from autobuild_core.jobs.kinds.replay.plan import MODES

COURSE = pd.DataFrame(
    {
        "mode": ["default", "default", "random", "random"],
        "evaluations": [20, 30, 20, 30],
        "seeds": 2,
        "seconds": [0.0, 0.5, 0.0, 0.02],
        "regret": [4.0, 1.0, 4.0, 3.0],
        "low": [3.0, 0.5, 3.0, 2.0],
        "high": [5.0, 1.5, 5.0, 3.5],
        "apart": [float("nan"), float("nan"), 0.0, -2.0],
        "apart_low": [float("nan"), float("nan"), 0.0, -2.5],
        "apart_high": [float("nan"), float("nan"), 0.0, -1.5],
    }
)


def test_every_mode_has_a_line() -> None:
    assert list(LINES) == list(MODES) and len(set(LINES.values())) == len(LINES)


def test_regrets_with_a_band_for_the_seeds() -> None:
    figure = course_figure(COURSE, "evaluations", "points")
    bands, lines = figure.data[:2], figure.data[2:]
    assert [line.name for line in lines] == ["default", "random"] and list(lines[0].y) == [4.0, 1.0]
    assert list(bands[1].x) == [20, 30, 30, 20] and list(bands[1].y) == [5.0, 3.5, 2.0, 3.0]
    assert lines[1].customdata[1] == "30 evaluations, 0.02 s: 3 (2 to 3.5), 2 seeds"
    assert figure.layout.yaxis.title.text == "regret (points)" and figure.layout.xaxis.type == "linear"


def test_seconds_are_logarithmic_and_begin_at_a_millisecond() -> None:
    figure = course_figure(COURSE, "seconds", "")
    assert list(figure.data[2].x) == [1e-3, 0.5] and list(figure.data[0].x) == [1e-3, 0.5, 0.5, 1e-3]
    assert figure.layout.xaxis.type == "log" and figure.layout.yaxis.title.text == "regret"


def test_differences_are_of_the_other_modes() -> None:
    figure = course_figure(COURSE, "evaluations", "<b>", apart=True)
    assert [trace.name for trace in figure.data if trace.name] == ["random"] and list(figure.data[1].y) == [0.0, -2.0]
    assert figure.layout.yaxis.title.text == "regret of the default less that of the mode (&lt;b>)"


def test_the_sentence_goes_by_the_intervals() -> None:
    modes = ["default", "gp", "ridge", "random", "local"]
    table = pd.DataFrame({"mode": modes, "apart": [float("nan"), 0.1, 0.2, -1.0, -0.5]})
    table["apart_low"], table["apart_high"] = table["apart"] - 0.15, table["apart"] + 0.15
    assert outcome_words(table) == (
        "By the mean regret on the way, default is ahead of random and local; behind ridge; not told apart from gp."
    )
    assert outcome_words(table[["mode"]]) == outcome_words(table[:1]) == ""
    one_seed = table.assign(apart_low=float("nan"), apart_high=float("nan"))
    assert outcome_words(one_seed).endswith("default is not told apart from gp, ridge, random and local.")


@pytest.mark.parametrize("said", ["", "1 ± 0"])
def test_columns_that_say_nothing_are_left_out(said: str) -> None:
    lines = [{"mode": "gp", "mean regret": "1", "final rank": said}]
    shown = outcome_shown(lines, MODES)
    assert list(shown) == ["mode", "what it does", "mean regret", *(["final rank"] if said else [])]
    assert shown["what it does"].tolist() == [MODES["gp"]]
