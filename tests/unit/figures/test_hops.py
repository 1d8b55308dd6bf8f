"""Rankings from hop to hop and from target to target, on modules small enough to rank by hand."""

import json

import pandas as pd
import pytest

from autobuild_core.architectures.lens import Lens
from autobuild_core.architectures.module_table import module_index
from autobuild_core.figures import hops, quality, rankings
from autobuild_core.figures.colours import Scale
from autobuild_core.scoring import comparing
from autobuild_core.trust.findings import Baseline

SCALE = Scale(Lens.SCORE, 0.0, -2.0, 2.0, "points")


def line(positions: list[str], layers: list[str], score: float, whole: bool = False, unit: int = 0) -> dict[str, object]:
    scores = {"score": score, "effect": score, "effect_low": score - 0.1, "effect_high": score + 0.1, "embedding_norm": score}
    good = {"good": 0.5, "good_low": 0.4, "good_high": 0.6, "num_evaluated": 3}
    where = {"positions": json.dumps(positions), "layers": json.dumps(layers), "hop": len(positions) - 1}
    return where | scores | good | {"whole_unit": whole, "unit_index": unit, "unit": f"stage{unit + 1}", "first_position": 0}


@pytest.fixture
def modules() -> pd.DataFrame:
    one, two = "stage1.L1", "stage1.L2"
    return pd.DataFrame(
        [
            *(line([one], ["a"], 0.1), line([one], ["b"], 0.3), line([two], ["a"], 1.0), line([two], ["b"], -1.0)),
            *(line([one, two], ["a", "a"], -0.5, True), line([one, two], ["a", "b"], 2.0, True), line([one], ["b"], 0.4, True)),
            line([one, two], ["b", "b"], 0.0, True),
        ]
    )


class TestBump:
    def table(self, modules: pd.DataFrame, minimize: bool = False, **more: int) -> pd.DataFrame:
        index = module_index(modules)
        whole = modules[modules["whole_unit"]]
        return hops.bump_table(modules, index, whole, Lens.SCORE, minimize, 9, "acc_pct", **more)

    def test_a_module_is_followed_from_its_last_layer_to_all_of_it(self, modules: pd.DataFrame) -> None:
        table = self.table(modules)
        best = table[table["line"] == 0]
        assert best["part"].tolist() == ["L2: b", "L1 to L2: a, b"]
        assert best["value"].tolist() == [-1.0, 2.0]
        assert best["layers"].tolist() == ['["a", "b"]'] * 2

    def test_ranks_are_those_of_each_hop(self, modules: pd.DataFrame) -> None:
        ranks = self.table(modules).pivot(index="line", columns="hop", values="rank")
        # by the whole: ab 2.0, b 0.4 (one layer), bb 0.0, aa -0.5; by the last layer: b -1.0, b 0.4, b -1.0, a 1.0
        assert ranks[1].tolist() == [1, 2, 3, 4]
        assert ranks[0].tolist() == [3, 2, 4, 1]

    def test_a_module_with_no_more_layers_keeps_its_score(self, modules: pd.DataFrame) -> None:
        short = self.table(modules).query("line == 1")
        assert short["value"].tolist() == [0.4, 0.4]

    def test_a_minimised_target_is_ranked_the_other_way_round(self, modules: pd.DataFrame) -> None:
        table = self.table(modules, minimize=True, num=2)
        assert table.query("hop == 1")["value"].tolist() == [-0.5, 0.0]

    def test_a_part_that_was_not_scored_has_no_rank(self, modules: pd.DataFrame) -> None:
        table = self.table(modules.drop(index=3).reset_index(drop=True))
        assert table.query("line == 0 and hop == 0")["rank"].isna().all()
        figure = hops.bump_figure(table, SCALE, "dark", chosen=0)
        assert len(figure.data[0].x) == 1

    def test_the_figure_has_a_line_a_module_and_marks_the_chosen_one(self, modules: pd.DataFrame) -> None:
        figure = hops.bump_figure(self.table(modules), SCALE, chosen=2)
        assert [len(trace.x) for trace in figure.data] == [2, 2, 2, 2]
        assert [trace.line.width for trace in figure.data].index(4) == 2
        assert any(note.text == "<b>3  L1 to L2: 2 x b</b>" for note in figure.layout.annotations)

    def test_long_names_are_wrapped_so_that_they_fit_beside_the_chart(self, modules: pd.DataFrame) -> None:
        table = self.table(modules)
        table["module"] = "width to act: width=64, depth=4, kernel=5, act=gelu"
        figure = hops.bump_figure(table, SCALE)
        beside = [note.text for note in figure.layout.annotations if "gelu" in note.text]
        assert beside and all(max(map(len, text.split("<br>"))) <= hops.LABEL + 3 for text in beside)
        assert figure.layout.margin.r >= 6 * max(len(line) for text in beside for line in text.split("<br>"))

    def test_no_module_no_line(self, modules: pd.DataFrame) -> None:
        assert hops.bump_table(modules, {}, modules.head(0), Lens.SCORE, False, 9, "acc").empty


def test_what_changes_between_two_targets(modules: pd.DataFrame) -> None:
    other = modules.assign(score=-modules["score"])
    table = hops.targets_table(comparing.two_targets(modules, other, False, False))
    assert table.to_dict("records") == [
        {
            "unit": "stage1",
            "best_first": "a, b",
            "best_second": "2 x a",
            "rank_under_second": 4,
            "rank_under_first": 4,
            "num_modules": 4,
            "agreement": pytest.approx(-1),
        }
    ]


def test_baselines_stand_beside_the_hops() -> None:
    baselines = [Baseline("cost", 0.5, 0.4, 0.6, 0.9, "Cost"), Baseline("ridge", 0.9, 0.8, 0.95, 0.6, "Ridge")]
    table = quality.hop_srcc_table([0.7, 0.8], 0.95, baselines)
    assert table["what"].tolist() == ["hop 0", "hop 1", "prediction", "Ridge", "Cost"]
    figure = quality.hop_srcc_figure(table)
    assert figure.layout.shapes[0].x0 == 0.9
    assert len(quality.hop_srcc_figure(quality.hop_srcc_table([0.7], 0.8)).layout.shapes) == 0


def test_units_are_ranked_one_below_the_other(modules: pd.DataFrame) -> None:
    both = pd.concat([modules, modules.assign(unit_index=1)], ignore_index=True)
    table = rankings.units_ranking_table(both[both["whole_unit"]], Lens.SCORE, False, 9, "acc", 2, 1)
    assert table["section"].tolist() == [0, 0, 0, 1, 1, 1]
    assert table["rank"].tolist() == [1, 2, 4, 1, 2, 4]
    figure = rankings.ranking_figure(table.head(3).assign(section=[0, 0, 1]), SCALE, chosen=1)
    lines = [shape for shape in figure.layout.shapes if shape.line.dash == "dot"]
    assert [shape.y0 for shape in lines] == [1.5]
    assert list(figure.data[0].marker.size).index(16) == 1


def test_the_heat_map_marks_the_chosen_layer(modules: pd.DataFrame) -> None:
    spec = type("Spec", (), {"position_labels": ("stage1.L1", "stage1.L2"), "tokens": ("a", "b")})
    heat = rankings.heat_table(modules, spec, Lens.SCORE, 9, "acc")  # type: ignore[arg-type]
    assert heat["layers"].tolist() == ['["a"]', '["b"]', '["a"]', '["b"]']
    shape = rankings.heat_figure(heat, SCALE, chosen=2).layout.shapes[0]
    assert (shape.x0, shape.x1, shape.y0, shape.y1) == (0.5, 1.5, -0.5, 0.5)
