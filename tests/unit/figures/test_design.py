"""Figures of a design: what they draw, and that text from outside stays text."""

import numpy as np
import pandas as pd

from autobuild_core.figures.design import front_figure, front_table, gauges_figure, price_figure
from autobuild_core.search.gauges import Known

LINES = pd.DataFrame(
    [
        {"metric": "latency_ms", "value": 5.0, "low": 4.5, "high": 5.5, "known": Known.PREDICTED, "least": 1.0, "most": 9.0}
        | {"limit": 4.0, "is_upper": True, "within": 0.02, "supported": True, "srcc": 0.9},
        {"metric": "<b>params</b>", "value": 3.0, "low": 3.0, "high": 3.0, "known": Known.EXACT, "least": 1.0, "most": 5.0}
        | {"limit": np.nan, "is_upper": True, "within": np.nan, "supported": True, "srcc": np.nan},
    ]
)


def notes(figure: object) -> list[str]:
    return [note.text for note in figure.layout.annotations]  # type: ignore[attr-defined]


def test_a_gauge_says_how_its_number_is_known_and_whether_its_limit_is_kept() -> None:
    said = notes(gauges_figure(LINES))
    assert said[-1] == "5.00 (4.50 to 5.50) predicted" and said[1] == "3.00 exact"
    assert said[-2] == "<b>latency_ms</b> at most 4.00: 2 % sure to be kept"
    assert said[0] == "<b>&lt;b>params&lt;/b></b>"
    gone = LINES.assign(within=[0.0, np.nan])
    assert "at most 4.00: exceeded" in notes(gauges_figure(gone))[-2]


def test_gauges_stand_in_their_order_each_on_its_own_scale() -> None:
    figure = gauges_figure(LINES)
    places = [(float(trace.x[0]), float(trace.y[0])) for trace in figure.data]
    assert places[0][0] == 0.5 and places[1][0] == 0.5 and places[1][1] > places[0][1]
    assert len([shape for shape in figure.layout.shapes if shape.type == "line"]) == 1
    assert figure.data[0].marker.color != figure.data[1].marker.color  # one budget is not kept


def test_the_front_has_its_members_lines_for_clicks() -> None:
    records = [
        {"arch": "1", "acc": 2.0, "acc_measured": 2.1, "ms": 3.0, "ms_measured": 3.1, "modules": []}
        | {"is_measured": True, "on_measured": True, "on_predicted": False, "probability": 0.1},
        {"arch": "2", "acc": 2.5, "acc_measured": None, "ms": 2.9, "ms_measured": None, "modules": []}
        | {"is_measured": False, "on_measured": False, "on_predicted": True, "probability": 0.8},
    ]
    members = front_table(records)
    assert "modules" not in members
    figure = front_figure(members, pd.DataFrame({"acc": [2.1], "ms": [3.1]}), ("acc", "ms"), ("Accuracy", "ms"), (2.2, 3.0))
    named = {trace.name: trace for trace in figure.data}
    assert set(named) == {"measured", "measured front", "predicted, not measured", "on the screen"}
    assert (named["measured front"].x[0], named["measured front"].y[0]) == (3.1, 2.1)
    assert [list(one) for one in named["predicted, not measured"].customdata] == [[1, 0.8]]
    assert (named["on the screen"].x[0], named["on the screen"].y[0]) == (3.0, 2.2)


def test_prices_are_drawn_where_something_keeps_to_the_limit() -> None:
    curve = pd.DataFrame(
        {"limit": [1.0, 2.0, 3.0], "best": [np.nan, 5.0, 6.0], "best_low": [np.nan, 4.0, 5.5], "best_high": [np.nan, 5.5, 7.0]}
    )
    figure = price_figure(curve, 2.0, ("acc", "latency_ms"))
    assert list(figure.data[1].x) == [2.0, 3.0] and list(figure.data[0].y) == [5.5, 7.0, 5.5, 4.0]
    assert figure.layout.yaxis.title.text == "best of a draw, acc" and "budget 2.00" in notes(figure)
