"""The map of the space: known axes, known shares, cells that lose nobody, regions of any shape."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from autobuild_core.architectures.graphs import make_graphs
from autobuild_core.architectures.records import ABSENT, SpaceSpec, UnitSpec
from autobuild_core.scoring import space_map
from autobuild_core.scoring.space_map import Axes, Brush
from autobuild_core.spaces import load_space, space_named
from tests.conftest import macro_table

SPEC = space_named("nas_bench_macro").spec


def plane(num: int, dim: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """(num, 2) places with variances 9 and 1, uncorrelated, and the same turned into `dim` dimensions by a rotation."""
    rng = np.random.default_rng(0)
    cloud = rng.normal(size=(num, 2))
    flat = np.linalg.qr(cloud - cloud.mean(0))[0] * np.sqrt(num) * np.array([3.0, 1.0])
    turn = np.linalg.qr(rng.normal(size=(dim, dim)))[0]
    return flat, np.pad(flat, ((0, 0), (0, dim - 2))) @ turn.T + 5.0


class TestAxes:
    def test_a_turned_plane_is_found_with_its_shares(self) -> None:
        flat, turned = plane(200)
        axes = Axes.fit(turned, flat[:, 0] + 0.1 * flat[:, 1])
        assert axes.shares == pytest.approx([0.9, 0.1], abs=1e-9)
        assert axes.directions.T @ axes.directions == pytest.approx(np.eye(2), abs=1e-9)
        assert axes.project(turned) == pytest.approx(flat, abs=1e-8)

    def test_distances_within_the_plane_are_kept(self) -> None:
        flat, turned = plane(50)
        places = Axes.fit(turned, flat[:, 0]).project(turned)
        ours = np.linalg.norm(places[:, None] - places[None], axis=2)
        theirs = np.linalg.norm(turned[:, None] - turned[None], axis=2)
        assert ours == pytest.approx(theirs, abs=1e-8)

    @pytest.mark.parametrize("sign", [1, -1])
    def test_better_is_to_the_right_and_up(self, sign: int) -> None:
        flat, turned = plane(80)
        better = sign * (flat[:, 0] + 0.5 * flat[:, 1])
        places = Axes.fit(turned, better).project(turned)
        assert all(np.corrcoef(places[:, axis], better)[0, 1] > 0 for axis in (0, 1))

    def test_embeddings_of_one_number_lie_on_a_line(self) -> None:
        line = np.arange(5.0)[:, None]
        axes = Axes.fit(line, line[:, 0])
        assert axes.shares == pytest.approx([1, 0])
        assert axes.project(line) == pytest.approx(np.stack([line[:, 0] - 2, np.zeros(5)], 1))

    def test_equal_embeddings_have_no_share(self) -> None:
        axes = Axes.fit(np.ones((4, 3)), np.arange(4.0))
        assert axes.shares == pytest.approx([0, 0])


def test_members_get_one_voice_each() -> None:
    sample = np.random.default_rng(0).normal(size=(100, 6)) * np.array([10, 10, 10, 0.1, 0.1, 0.1])
    weighted = sample * space_map.member_weights(sample, 2)
    assert weighted.var(0).reshape(2, 3).sum(1) == pytest.approx([1, 1])


def test_explanations_of_a_coordinate() -> None:
    codes = space_named("nas_bench_macro").sample(400, np.random.default_rng(0))
    predicted = codes[:, 2] * 1.0
    found = space_map.explained(-2.0 * codes[:, 2] + 3, codes, predicted, SPEC).set_index("what")
    assert found.loc["L3", "r2"] == pytest.approx(1)
    assert tuple(found.loc[space_map.PREDICTED, ["r2", "sign"]]) == (pytest.approx(1), -1)
    assert found.loc["L7", "r2"] < 0.05
    assert found.loc[space_map.DEPTH, "r2"] == 0  # all have eight layers
    assert found["r2"].is_monotonic_decreasing


class TestSurface:
    def test_equal_values_make_a_level_surface_and_nobody_is_lost(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(space_map, "THINNEST", -1.0)
        places = np.random.default_rng(0).uniform(-1, 1, (500, 2))
        found = space_map.surface(places, np.full(500, 3.0), (-1, 1, -1, 1), grid=20)
        assert len(found) == 400
        assert found["num"].sum() == pytest.approx(500)
        assert found.loc[found["num"] > 0.01, "value"].to_numpy() == pytest.approx(3)

    def test_values_stay_where_they_are(self) -> None:
        places = np.array([[-0.95, -0.95]] * 9 + [[0.95, 0.95]] * 9)
        found = space_map.surface(places, np.repeat([1.0, 2.0], 9), (-1, 1, -1, 1), grid=10, blur=0.5)
        near = found.set_index([found["x"].round(2), found["y"].round(2)])["value"]
        assert near[(-0.9, -0.9)] == pytest.approx(1)
        assert near[(0.9, 0.9)] == pytest.approx(2)
        assert (0.1, 0.1) not in near.index  # nobody is there


class TestAggregate:
    def test_counts_and_sums_are_conserved(self) -> None:
        rng = np.random.default_rng(1)
        points = pd.DataFrame({"x": rng.normal(size=3000), "y": rng.normal(size=3000), "target": rng.normal(size=3000)})
        points["row"] = np.arange(3000)
        bounds = space_map.around(points[["x", "y"]].to_numpy())
        cells = space_map.aggregate(points, bounds, minimize=False, across=30, down=20)
        assert len(cells) <= 600
        assert cells["num"].sum() == 3000
        assert (cells["num"] * cells["target"]).sum() == pytest.approx(points["target"].sum())
        assert (cells["num"] * cells["x"]).sum() == pytest.approx(points["x"].sum())

    @pytest.mark.parametrize(("minimize", "best"), [(False, 8), (True, 7)])
    def test_a_cell_is_opened_by_its_best(self, minimize: bool, best: int) -> None:
        points = pd.DataFrame({"x": [0.1, 0.2, 5.0], "y": [0.1, 0.1, 5.0], "target": [1.0, 3.0, 2.0], "row": [7, 8, 9]})
        cells = space_map.aggregate(points, (0, 1, 0, 1), minimize, across=1, down=1)
        assert cells.to_dict("records") == [{"x": pytest.approx(0.15), "y": 0.1, "num": 2, "target": 2.0, "row": best}]


class TestBrush:
    def test_a_box(self) -> None:
        brush = Brush.of("box", [1, -1], [0, 2])
        assert brush.inside(np.array([[0, 1], [0, 3], [1, 0], [1.1, 0]])).tolist() == [True, False, True, False]

    def test_a_lasso_with_a_bay(self) -> None:
        brush = Brush("lasso", ((0, 0), (4, 0), (4, 4), (2, 1), (0, 4)))
        assert brush.inside(np.array([[0.5, 2], [2, 2], [3.5, 2], [2, 0.5], [5, 0.5]])).tolist() == [
            True,
            False,
            True,
            True,
            False,
        ]

    @pytest.mark.parametrize("brush", [Brush("box", ((0, 1.5), (-2, 1e-5))), Brush("lasso", ((0, 0), (1, 0), (0.25, 3)))])
    def test_the_url_gives_back_what_it_got(self, brush: Brush) -> None:
        assert Brush.parse(brush.text) == brush

    @pytest.mark.parametrize("text", [None, "", "box", "box:1,2,3", "lasso:1,2,3,4", "lasso:1,2,3,4,5,6,7", "ring:1,2,3,4"])
    @pytest.mark.parametrize("number", ["1", "a", "nan", "inf"])
    def test_what_is_no_region_is_none(self, text: str | None, number: str) -> None:
        assert Brush.parse(text and text.replace("1", number)) is None

    def test_a_long_lasso_fits_into_a_url(self) -> None:
        angle = np.linspace(0, 2 * np.pi, 1000, endpoint=False)
        brush = Brush.of("lasso", list(np.cos(angle)), list(np.sin(angle)))
        assert len(brush.corners) <= Brush.MOST_CORNERS
        assert len(brush.text) < 1200
        assert brush.inside(np.array([[0.0, 0.0], [0.95, 0.0], [1.1, 0.0]])).tolist() == [True, True, False]


def test_what_marked_architectures_have_in_common() -> None:
    codes = np.array([[0, 1], [0, 2], [1, 2], [1, ABSENT]], np.int16)
    units = (UnitSpec("U", (0, 1), (1, 2), (0, 1, 2)),)
    spec = SpaceSpec("ofa_mbv3", "small", ("L1", "L2"), ("a", "b", "c"), units)
    found = space_map.in_common(codes, spec, np.array([True, True, False, False]))
    first = found.set_index(["position", "layer"])
    assert first.loc[("L1", "a")].to_dict() == {"num": 2, "share": 1.0, "share_of_all": 0.5, "change": 0.5}
    assert first.loc[("L2", "c")].to_dict() == {"num": 1, "share": 0.5, "share_of_all": 0.5, "change": 0.0}
    assert len(found) == 4  # the absent layer is none
    assert found["change"].abs().is_monotonic_decreasing


class TestOfARun:
    def test_a_mapped_architecture_is_its_projected_embedding(self, trained: Any) -> None:
        predictor, table = trained.predictor, trained.table()
        maps = space_map.make_map(predictor, table)
        points, network, space = maps["map"], predictor.ensemble, load_space(table.spec)
        assert points["row"].tolist() == np.flatnonzero(np.isfinite(table.metrics[predictor.target_name])).tolist()
        drawn = space.canonical(space.sample(space_map.NUM_RANDOM, np.random.default_rng(0)))
        sample = space_map.embeddings(network, drawn).astype(float)
        sample *= (weights := space_map.member_weights(sample, network.members))
        centred = sample - sample.mean(0)
        top = np.linalg.svd(centred, full_matrices=False)
        own = network.pooled(make_graphs(space.canonical(table.codes[points["row"][:5]]), table.spec))[-1]
        own = np.concatenate(list(own), 1) * weights - sample.mean(0)
        expected = np.abs(own @ top.Vh[:2].T)
        assert np.abs(points[["x", "y"]].to_numpy()[:5]) == pytest.approx(expected, abs=1e-3)
        shares = maps["map_axes"].groupby("axis")["share"].first()
        assert shares.tolist() == pytest.approx((top.S[:2] ** 2 / (top.S**2).sum()).tolist(), rel=1e-6)
        assert maps["map_surface"]["num"].sum() == pytest.approx(space_map.NUM_RANDOM, rel=0.05)

    def test_rows_without_a_target_have_no_place(self, trained: Any) -> None:
        table = macro_table(20)
        metric = trained.predictor.target_name
        table.metrics[metric] = table.metrics.iloc[:, 0]
        table.metrics.loc[table.metrics.index[3], metric] = np.nan
        points = space_map.make_map(trained.predictor, table)["map"]
        assert points["row"].tolist() == [row for row in range(20) if row != 3]

    def test_a_run_has_the_files(self, trained: Any) -> None:
        for name in space_map.FILES:
            assert len(trained.folder.read_frame(f"{name}.parquet")), name


@pytest.mark.parametrize(("minimize", "held"), [(True, [0, 1]), (False, [18, 19])])
def test_the_best_tenth_follows_the_direction(minimize: bool, held: list[int]) -> None:
    assert np.flatnonzero(space_map.best_tenth(np.arange(20.0), minimize)).tolist() == held
