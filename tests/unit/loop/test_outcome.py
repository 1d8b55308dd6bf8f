"""Outcomes: bias and coverage of predictions, apart for what was chosen by them and for controls."""

import numpy as np
import pandas as pd
import pytest

from autobuild_core.figures import outcome as figures
from autobuild_core.loop.outcome import GROUPS, by_group, outcomes, selection_cost
from autobuild_core.store.candidates import Candidate, Origin, Prediction, Result
from autobuild_core.targets.equation import Target

GOAL = Target("acc", False)


def one(number: int, origin: Origin, predicted: float, *measured: float, half: float = 1.0, target: str = "acc") -> Candidate:
    said = Prediction(target, False, "run", predicted, predicted - half, predicted + half)
    results = tuple(Result("finished", {"acc": value, "latency": 2.0}, seed) for seed, value in enumerate(measured))
    return Candidate(f"c{number}", {"k": number}, str(number), origin, said, 0.0, 1, results)


def test_only_what_was_predicted_and_measured_of_the_target_counts() -> None:
    failed = Candidate(
        "c9", {}, "9", Origin.BUILT, Prediction("acc", False, "r", 1, 0, 2), 0.0, 1, (Result("failed", error="x"),)
    )
    given = [
        one(1, Origin.BUILT, 70, 71, 73),
        one(2, Origin.BUILT, 70),
        one(3, Origin.CONTROL, 70, 70.5, target="acc / latency"),
        failed,
        Candidate("c5", {}, "5", Origin.TYPED, Prediction(), 0.0, 0, (Result("finished", {"acc": 1.0}),)),
        Candidate(
            "c6", {}, "6", Origin.BUILT, Prediction("acc", False, "r", 1, 0, 2), 0.0, 1, (Result("finished", {"loss": 1.0}),)
        ),
    ]
    table = outcomes(given, GOAL)
    assert table["id"].tolist() == ["c1"]
    line = table.iloc[0]
    assert (line["measured"], line["seeds"], line["better_by"], line["inside"]) == (72.0, 2, 2.0, False)


def test_an_equation_is_worked_out_from_what_was_measured() -> None:
    target = Target("acc / latency", True)
    said = Prediction("acc / latency", True, "run", 40.0, 30.0, 50.0)
    found = Candidate("c1", {}, "1", Origin.BUILT, said, 0.0, 1, (Result("finished", {"acc": 70.0, "latency": 2.0}),))
    assert outcomes([found], target)["better_by"].tolist() == [5.0]  # 35 is smaller than 40, and smaller is better
    broken = Candidate("c2", {}, "2", Origin.BUILT, said, 0.0, 1, (Result("finished", {"acc": 70.0, "latency": 0.0}),))
    assert outcomes([broken], target).empty


def test_predictions_of_another_context_do_not_count() -> None:
    said = Prediction("acc", False, "run", 70.0, 69.0, 71.0, "device a")
    found = Candidate("c1", {}, "1", Origin.BUILT, said, 0.0, 1, (Result("finished", {"acc": 70.5}),))
    assert outcomes([found], GOAL).empty and len(outcomes([found], GOAL, "device a")) == 1


def test_selection_is_told_from_a_predictor_that_is_wrong() -> None:
    rng = np.random.default_rng(0)
    built = [one(n, Origin.BUILT, 75, 75 - 2 + rng.normal(0, 0.3)) for n in range(12)]
    control = [one(20 + n, Origin.CONTROL, 70, 70 - 0.5 + rng.normal(0, 0.3)) for n in range(6)]
    table = outcomes([*built, *control], GOAL)
    groups = by_group(table).set_index("origin")
    assert groups.loc["built", "bias"] == pytest.approx(-2, abs=0.3) and groups.loc["control", "bias"] == pytest.approx(
        -0.5, abs=0.4
    )
    assert groups.loc["built", "num_inside"] == 0 and groups.loc["control", "coverage"] > 0.5
    cost = selection_cost(table)
    assert cost is not None and 0.8 < cost.low < cost.cost < cost.high < 2
    words = figures.outcome_words(cost.built, cost.control, cost.cost, cost.low, cost.high, "points")
    assert "cost +1" in words and "points" in words


def test_no_cost_is_claimed_where_there_is_none() -> None:
    rng = np.random.default_rng(1)
    table = outcomes(
        [one(n, o, 70, 70 + rng.normal(0, 1)) for n, o in enumerate([Origin.BUILT] * 8 + [Origin.CONTROL] * 4)], GOAL
    )
    cost = selection_cost(table)
    assert cost is not None and cost.low < 0 < cost.high
    assert "does not tell a cost" in figures.outcome_words(cost.built, cost.control, cost.cost, cost.low, cost.high, "")
    assert selection_cost(table[table["origin"] == "built"]) is None


def test_intervals_of_bias_cover_as_they_say() -> None:
    rng = np.random.default_rng(2)
    held = []
    for _ in range(300):
        built = [one(n, Origin.BUILT, 70, 71 + rng.normal(0, 2)) for n in range(6)]
        control = [one(9 + n, Origin.CONTROL, 70, 70 + rng.normal(0, 1)) for n in range(3)]
        table = outcomes([*built, *control], GOAL)
        line, cost = by_group(table).iloc[0], selection_cost(table)
        assert cost is not None
        held.append((line["bias_low"] <= 1 <= line["bias_high"], cost.low <= -1 <= cost.high))
    assert all(0.85 <= share <= 0.95 for share in np.mean(held, 0))


def test_a_reader_sees_groups_and_a_chart() -> None:
    table = outcomes([one(1, Origin.BUILT, 70, 71), one(2, Origin.CONTROL, 70, 70), one(3, Origin.CONTROL, 71, 69)], GOAL)
    shown = figures.group_table(by_group(table), "points")
    assert shown["proposed"].tolist() == ["built, for their prediction", "random controls"]
    assert shown["better than predicted by"].tolist()[0] == "+1 points" and "1 of 2" in shown["inside 90 %"].tolist()[1]
    figure = figures.outcome_figure(table, {o.value: words for o, words in GROUPS.items()}, "acc <b>%{x}")
    names = [trace.name for trace in figure.data if trace.name]
    assert (
        names == ["built, for their prediction (1)", "random controls (2)"] and "&lt;b>%&#123;" in figure.layout.xaxis.title.text
    )
    assert isinstance(table, pd.DataFrame)
