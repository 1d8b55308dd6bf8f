"""The chart, the table and the sentence of a loop in rounds."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from autobuild_core.figures.rounds import MOST_NAMED, rounds_figure, rounds_table, rounds_words

NAN = float("nan")


@pytest.fixture
def networks() -> pd.DataFrame:
    """Two rounds of two networks, the last of which waits; the first round was drawn at random, one failed."""
    columns = ["round", "predicted", "low", "high", "measured", "inside", "state", "error"]
    lines: list[tuple[Any, ...]] = [
        (1, NAN, NAN, NAN, 90.0, NAN, "measured", ""),
        (1, 91.0, 90.0, 92.0, NAN, NAN, "failed", "<b>out</b> of memory"),
        (2, 92.0, 91.0, 93.0, 93.5, 0.0, "measured", ""),
        (2, 92.5, 91.5, 93.5, NAN, NAN, "waiting", ""),
    ]
    return pd.DataFrame(lines, columns=columns)


@pytest.fixture
def rounds() -> pd.DataFrame:
    """The round that is over."""
    known = {"round": 1, "num_proposed": 2, "num_failed": 1, "best": 91.5, "inside": 0.5, "srcc": None, "seconds_fit": 0.2}
    return pd.DataFrame([known])


def traces(networks: pd.DataFrame, rounds: pd.DataFrame, before: float | None = 91.5) -> dict[str, Any]:
    return {trace.name: trace for trace in rounds_figure(networks, rounds, "accuracy (%)", before).data}


def test_every_network_has_its_prediction_and_its_measurement(networks: pd.DataFrame, rounds: pd.DataFrame) -> None:
    drawn = traces(networks, rounds)
    predicted = drawn["predicted, with its 90 % interval"]
    assert list(predicted.x) == [2, 3, 4] and list(predicted.y) == [91, 92, 92.5]
    assert list(predicted.error_y.array) == [1, 1, 1] and list(predicted.error_y.arrayminus) == [1, 1, 1]
    assert list(drawn["measured"].x) == [1, 2, 3, 4]
    assert np.array_equal(drawn["measured"].y, [90, NAN, 93.5, NAN], equal_nan=True)
    assert (list(drawn["failed"].x), list(drawn["failed"].y)) == ([2], [91])


def test_the_best_so_far_steps_where_a_round_ends(networks: pd.DataFrame, rounds: pd.DataFrame) -> None:
    second = rounds.assign(round=2, best=93.5)
    drawn = traces(networks, pd.concat([rounds, second]))
    assert (list(drawn["best so far"].x), list(drawn["best so far"].y)) == ([0, 2, 4], [91.5, 91.5, 93.5])
    assert drawn["best so far"].line.shape == "hv"
    under_way = traces(networks, rounds)["best so far"]
    assert (list(under_way.x), list(under_way.y)) == ([0, 2, 4], [91.5, 91.5, 91.5])
    assert list(traces(networks, rounds)["best before the loop, 91.5"].y) == [91.5, 91.5]


def test_where_nothing_was_known_before_the_line_begins_with_the_first_round(
    networks: pd.DataFrame, rounds: pd.DataFrame
) -> None:
    drawn = traces(networks, rounds, None)
    assert not [name for name in drawn if name.startswith("best before")]
    assert list(drawn["best so far"].y) == [None, 91.5, 91.5]
    assert list(traces(networks, pd.DataFrame())["best so far"].x) == [0, 4]


def test_rounds_are_divided_and_named_while_they_are_few(networks: pd.DataFrame, rounds: pd.DataFrame) -> None:
    figure = rounds_figure(networks, rounds, "accuracy (%)", None)
    assert [(note.text, note.x) for note in figure.layout.annotations] == [("round 1", 1.5), ("round 2", 3.5)]
    assert [line.x0 for line in figure.layout.shapes] == [2.5] and figure.layout.yaxis.title.text == "accuracy (%)"
    many = pd.concat([networks[networks["round"] == 1].assign(round=number) for number in range(1, 2 * MOST_NAMED + 2)])
    figure = rounds_figure(many.reset_index(drop=True), rounds, "accuracy (%)", None)
    assert [note.text for note in figure.layout.annotations][:3] == ["round 1", "round 4", "round 7"]


def test_nothing_is_drawn_of_predictions_that_were_not_made(networks: pd.DataFrame, rounds: pd.DataFrame) -> None:
    assert list(traces(networks[:1], rounds, None)) == ["measured", "best so far"]


def test_the_table_has_a_line_a_round_with_shares_in_percent(rounds: pd.DataFrame) -> None:
    table = rounds_table(rounds.assign(batch=7, arch="x"))
    assert list(table.columns)[:4] == ["round", "networks", "failed", "best so far"] and "arch" not in table
    assert table["inside 90 %"].tolist() == [50.0] and "rank correlation" not in table  # of two networks there is none


def test_the_sentence(networks: pd.DataFrame, rounds: pd.DataFrame) -> None:
    better = rounds.assign(best=93.5)
    said = "1 round over, 2 networks measured, 1 failed; the best 93.5, 91.5 before the loop; 0 of 1 inside their 90 % intervals."
    assert rounds_words(networks, better, 91.5) == said
    assert "; the best 93.5; 0 of 1" in rounds_words(networks, better, None)
    none = rounds_words(networks[:1], rounds, 91.5)
    assert none == "1 round over, 1 network measured; none is better than the best before the loop, 91.5."
    assert rounds_words(networks[3:], pd.DataFrame(), 91.5) == "0 rounds over, 0 networks measured."
    assert rounds_words(networks[:1], rounds.assign(best=None), None) == "1 round over, 1 network measured."
