"""The map as a figure: what is drawn in a window, what is said of the axes, what a region has in common."""

import numpy as np
import pandas as pd
import pytest

from autobuild_core.architectures.lens import Lens
from autobuild_core.architectures.names import module_name
from autobuild_core.figures import candidates, data, quality, rankings, space, template
from autobuild_core.figures.colours import Scale
from autobuild_core.scoring.space_map import DEPTH, PREDICTED, Brush
from tests.conftest import macro_table


def points(num: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=num), "y": rng.normal(size=num), "target": rng.normal(90, 1, num)})
    return frame.assign(row=np.arange(num), source_row=np.arange(num) + 5)


BEHIND = pd.DataFrame({"x": [0.0, 1.0, 1.0], "y": [0.0, 0.0, 1.0], "value": [89.0, 90.0, 91.0], "num": [1.0, 0.2, 0.05]})
ABOUT = pd.DataFrame(
    [
        {"what": PREDICTED, "r2": 0.8, "sign": -1, "axis": 0, "share": 0.4},
        {"what": "L3", "r2": 0.5, "sign": 0, "axis": 0, "share": 0.4},
        {"what": DEPTH, "r2": 0.05, "sign": 1, "axis": 1, "share": 0.1},
        {"what": PREDICTED, "r2": 0.01, "sign": 1, "axis": 1, "share": 0.1},
    ]
)


class TestScale:
    @pytest.mark.parametrize(("minimize", "better"), [(False, 92), (True, 88)])
    def test_its_ends_hold_nine_tenths(self, minimize: bool, better: float) -> None:
        frame = pd.DataFrame({"target": [90, 91, 92, 88, 89, 90, 90, 90, 90, 90, 98.0]})
        scale = space.map_scale(frame, 90.0, minimize, "points")
        assert (scale.centre, scale.better, scale.unit) == (90, better, "points")

    def test_equal_targets_still_have_a_scale(self) -> None:
        assert space.map_scale(pd.DataFrame({"target": [1.0, 1.0]}), 1.0, False, "acc").better == 2


class TestMarks:
    def test_few_architectures_are_a_mark_each(self) -> None:
        frame = points(50)
        marks = space.map_table(frame, space.window_of(frame, BEHIND, None), False)
        assert (marks["num"] == 1).all()
        assert marks["row"].tolist() == list(range(50))

    def test_many_are_gathered_and_none_is_lost(self) -> None:
        frame = points(space.MOST_POINTS + 1000)
        marks = space.map_table(frame, space.window_of(frame, BEHIND, None), False)
        assert len(marks) < len(frame)
        assert marks["num"].sum() == len(frame)

    def test_a_window_leaves_out_what_is_outside(self) -> None:
        frame = points(500)
        marks = space.map_table(frame, (0, 1, 0, 1), False)
        assert len(marks) == (frame["x"].between(0, 1) & frame["y"].between(0, 1)).sum()

    def test_the_window_of_a_region_has_a_margin(self) -> None:
        window = space.window_of(points(3), BEHIND, Brush("box", ((0.0, 0.0), (1.0, 2.0))))
        assert window == pytest.approx((-0.03, 1.03, -0.06, 2.06))


class TestFigure:
    def draw(self, **more: object) -> object:
        frame = points(20)
        marks = space.map_table(frame, (-9, 9, -9, 9), False)
        scale = space.map_scale(frame, 90.0, False, "acc")
        return space.map_figure(marks, BEHIND, (-9, 9, -9, 9), scale, ("across", "up"), **more)  # type: ignore[arg-type]

    def test_points_are_drawn_by_the_graphics_card_over_the_surface(self) -> None:
        figure = self.draw(source_rows=np.arange(20) + 5)
        assert [trace.type for trace in figure.data] == ["heatmap", "heatmap", "scattergl", "scattergl"]  # type: ignore[attr-defined]
        assert len(figure.data[3].x) == 20  # type: ignore[attr-defined]
        assert figure.data[3].customdata[4].tolist() == [9, 1, 4]  # type: ignore[attr-defined]

    def test_a_region_splits_the_marks_and_is_outlined(self) -> None:
        brush = Brush("box", ((0.0, -9.0), (9.0, 9.0)))
        figure = self.draw(brush=brush)
        outside, inside = figure.data[2:4]  # type: ignore[attr-defined]
        assert len(outside.x) + len(inside.x) == 20
        assert min(inside.x) >= 0 > max(outside.x)
        assert figure.layout.shapes[0].type == "rect"  # type: ignore[attr-defined]
        lasso = self.draw(brush=Brush("lasso", ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0))))
        assert lasso.layout.shapes[0].path == "M0,0L1,0L0,1Z"  # type: ignore[attr-defined]

    def test_the_chosen_one_has_a_ring_and_its_row(self) -> None:
        figure = self.draw(chosen=points(20).iloc[3], holding=np.arange(20) < 2, theme="dark")
        assert figure.data[4].marker.symbol == "circle-open"  # type: ignore[attr-defined]
        assert figure.layout.annotations[0].text == "row 8"  # type: ignore[attr-defined]
        assert (np.asarray(figure.data[3].marker.line.color) == "#ffffff").sum() == 2  # type: ignore[attr-defined]


def test_the_axes_say_what_they_are_and_how_much_they_explain() -> None:
    said = space.axes_sentence(ABOUT, minimize=True)
    assert "Left to right, 40% of the variance of the graph embeddings: a smaller, so better, predicted target (R² 0.80)" in said
    assert "the layer at L3 0.50" in said
    assert "Bottom to top, 10% of the variance of the graph embeddings: no single choice explains it." in said
    assert space.axis_title(ABOUT, 0) == "first axis: 40% of the variance (predicted target 0.80; layer at L3 0.50)"
    assert space.axis_title(ABOUT, 1) == "second axis: 10% of the variance<br>(no single choice explains it)"


def test_what_is_in_common_is_drawn_largest_change_first() -> None:
    table = pd.DataFrame({"position": ["L1", "L2"], "layer": ["a", "b"], "share": [0.9, 0.1], "share_of_all": [0.4, 0.3]})
    figure = space.in_common_figure(table.assign(change=[0.5, -0.2], num=[9, 1]))
    assert list(figure.data[1].y) == ["L1: a", "L2: b"]
    assert [(shape.x0, shape.x1) for shape in figure.layout.shapes] == [(0.4, 0.9), (0.3, 0.1)]


def test_marked_shares_stand_in_the_heat_map_as_rings() -> None:
    heat = pd.DataFrame({"position": ["L1", "L1", "L2"], "layer": ["a", "b", "a"], "value": 0.0, "low": -1.0, "high": 1.0})
    common = pd.DataFrame({"position": ["L1", "L2"], "layer": ["a", "a"], "share": [1.0, 0.25], "share_of_all": [0.5, 0.5]})
    table = space.with_marked_shares(heat.assign(words="w"), common)
    assert table["marked"].tolist() == [1.0, 0.0, 0.25]
    assert table["words"].tolist()[1:] == ["w; in 0% of the marked, 0% of all", "w; in 25% of the marked, 50% of all"]
    rings = rankings.heat_figure(table, Scale(Lens.SCORE, 0.0, -1.0, 1.0, "")).data[3]
    assert list(zip(rings.x, rings.y, rings.marker.size, strict=True)) == [("L1", "a", 25.0), ("L2", "a", 8.5)]


class TestCharts:
    def test_architectures_in_short(self) -> None:
        table = macro_table(5)
        shown = candidates.units_table(table, np.array([2, 0]))
        assert shown["row"].tolist() == [3, 1]
        assert list(shown.columns[1:]) == [unit.label for unit in table.spec.units]
        tokens = [table.spec.tokens[code] for code in table.codes[2, :2]]
        assert shown.iloc[0, 1] == module_name('["", ""]', str(tokens).replace("'", '"'), False)

    def test_a_part_is_counted_in_the_bins_of_all(self) -> None:
        values = np.array([0.0, 1.0, 2.0, np.nan])
        part = data.histogram_table(values, "x", 2, np.array([False, True, True, True]))
        assert part["count"].tolist() == [0, 2]
        assert (part["low"].iloc[0], part["high"].iloc[-1]) == (0, 2)
        figure = data.histogram_figure(data.histogram_table(values, "x", 2), 200, part, (1.0, "row 7"))
        assert [trace.name for trace in figure.data] == ["all", "marked on the map"]
        assert figure.layout.annotations[0].text == "row 7"

    def test_the_scatter_matrix_shows_what_varies_and_repeats_last(self) -> None:
        metrics = pd.DataFrame({"a_seed0": [1.0, 2, 3], "same": [1.0, 1, 1], "a": [1.0, 2, 3], "b": [3.0, 1, 2]})
        table = data.scatter_matrix_table(metrics, ["b", "not there"], 3)
        assert list(table.columns) == ["place", "b", "a", "a_seed0"]
        figure = data.scatter_matrix_figure(table, np.array([7, 8, 9]), np.array([True, False, False]), chosen=2)
        assert figure.data[0].text.tolist() == [8, 7, 9]  # what matters is drawn last
        assert figure.data[0].marker.size == (5, 5, 13)

    def test_costs_come_before_repeats_and_spreads(self) -> None:
        names = ["test_acc_0", "test_acc_1", "test_acc_2", "mean_acc", "std", "params", "flops"]
        metrics = pd.DataFrame({name: [1.0, 2, 3] for name in names})
        drawn = ["mean_acc", "params", "flops", "test_acc_0", "test_acc_1"]
        assert list(data.scatter_matrix_table(metrics).columns) == ["place", *drawn]
        assert list(data.scatter_matrix_table(metrics, ["std"]).columns) == ["place", "std", *drawn[:-1]]

    def test_a_long_file_is_thinned_out_evenly(self) -> None:
        metrics = pd.DataFrame({"a": np.arange(10.0), "b": np.arange(10.0)})
        assert data.scatter_matrix_table(metrics, num_rows=4)["place"].tolist() == [0, 3, 6, 9]

    def test_the_chosen_row_stays_when_predictions_are_thinned_out(self) -> None:
        rows = np.arange(7000)
        table = pd.DataFrame(dict.fromkeys(("target", "predicted", "low", "high"), rows * 1.0))
        figure = quality.predictions_figure(table.assign(row=rows, source_row=rows), "acc", chosen=1, marked=rows < 100)
        assert figure.data[1].x.tolist()[:3] == [0, 1, 3]
        assert figure.data[1].marker.size[1] == 13
        assert figure.data[1].marker.color[-1] == template.QUIET
