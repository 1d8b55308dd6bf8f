"""Sentences and tables of the trust panel say what the report holds; every figure draws."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from autobuild_core.api import Run
from autobuild_core.figures import trust
from autobuild_core.figures.template import ACCENT, QUIET
from autobuild_core.scoring import comparing
from autobuild_core.targets.noise import LabelNoise
from autobuild_core.trust.findings import CostShare, DataShape, HeldOut, PermutationCheck, TrustReport, UnitFinding


def report(**other: Any) -> TrustReport:
    data = DataShape("uniform sample", 0.0, 0.1, 0.2, 0.9, 0.3, 0.2)
    base = TrustReport(HeldOut(0.8, 0.7, 0.9), (), CostShare("", None, "x"), LabelNoise(), data, (), ())
    return replace(base, **other)


def test_average_effects_or_associations() -> None:
    assert trust.meaning(report()).startswith("Average effects")
    log = report(data=replace(report().data, kind="search log"))
    assert trust.meaning(log).startswith("Associations")


@pytest.mark.parametrize(
    ("alike", "said"),
    [(1, "rules out all others"), (2, "does not rule out 1 other"), (12, "test of all 27 at 90 % does not rule out 11 others")],
)
def test_the_best_comes_with_its_probability(alike: int, said: str) -> None:
    sentence = trust.best_sentence(UnitFinding("U1", 0, "[]", "[]", 0.61, 0.5, 0.4, "[]", alike, 27, 20, 3))
    assert "of 27 with probability 61%" in sentence and said in sentence


def test_sentences_of_what_is_known_and_what_is_not() -> None:
    assert trust.noise_sentence(report(), "points").startswith("Not known")
    noise = LabelNoise("repeated trainings (a, b)", 40, 0.15, 0.9, 0.93)
    assert "0.93" in trust.noise_sentence(report(noise=noise), "points")
    assert trust.cost_sentence(report()) == "Not known: x."
    cost = CostShare("madds_m", 0.9, None)
    assert trust.cost_sentence(report(cost=cost)).startswith("Mostly just size")
    check = PermutationCheck(0.6, 0.2, False, 0.5, 1.0, 80)
    assert trust.permutation_sentence(report(permutation=check)).startswith("Failed")
    assert "50% of the real one" in trust.permutation_sentence(report(permutation=check))


def test_the_strongest_interactions_are_those_that_are_sure() -> None:
    table = pd.DataFrame(
        {
            "kind": "layers",
            "first": ["L1", "L1", "L2"],
            "first_module": ['["a"]', '["b"]', '["a"]'],
            "second": ["L2", "L2", "L3"],
            "second_module": ['["c"]', '["c"]', '["c"]'],
            "value": [3.0, 2.0, -1.0],
            "low": [-1.0, 1.0, -2.0],
            "high": [7.0, 3.0, -0.5],
        }
    )
    assert trust.interactions_table(table, "layers")["value"].tolist() == [2.0, -1.0, 3.0]
    grid = trust.interactions_heat_table(table, "layers")
    assert grid.loc["L1", "L2"] == grid.loc["L2", "L1"] == 3.0 and grid.loc["L3", "L2"] == -1 and np.isnan(grid.loc["L1", "L3"])


def test_everything_draws_from_a_real_run(trained: Run) -> None:
    said, folder = trained.trust, trained.folder
    best, scorers = folder.read_frame("trust_best.parquet"), folder.read_frame("scorers.parquet")
    labels = {i: u.label for i, u in enumerate(trained.predictor.spec.units)}
    table = trust.srcc_table(said)
    assert table["what"].tolist() == ["AutoBuild", "Structural forest", "Ridge on ranks"]
    pairs = trust.interactions_table(trained.interactions(), "units")
    by_scorer = comparing.best_by_scorer(scorers)
    wide = trust.scorers_table(by_scorer, labels)
    assert wide["scorer"].iloc[0] == "AutoBuild" and list(wide.columns) == ["scorer", "L1-2", "L3-5", "L6-8"]
    sentence = trust.disagreement_sentence(by_scorer, labels)
    assert (sentence == "") == bool(by_scorer["agrees"].all())
    modules = trained.modules()
    slopes = trust.slopes_shown(comparing.two_targets(modules, modules.assign(score=-modules["score"]), False, False), 0, 4)
    assert (slopes["first_rank"] + slopes["second_rank"] == 10).all()  # nine modules, the order turned round
    contenders = trust.contenders_table(best, said)
    first = best[best["rank"] == 1].iloc[0]
    assert "by the average the best of its unit with probability" in trust.module_sentence(
        best, first["positions"], first["layers"]
    )
    assert trust.module_sentence(best, first["positions"], "[]") == ""
    second = best[(best["rank"] > 1) & best["cannot_be_told"]]  # a small probability stands without a second test beside it
    assert all(trust.module_sentence(best, *key).endswith("%") for key in second[["positions", "layers"]].to_numpy())
    bars = trust.contenders_figure(contenders).data[0]
    for _, unit in contenders.groupby("unit"):
        colours = [bars.marker.color[i] for i in unit["prob_best"].sort_values(ascending=False, kind="stable").index]
        assert colours == [ACCENT] + [QUIET] * (len(unit) - 1)
    ranking = trust.scorer_ranking(scorers, "norms", 1)
    assert ranking["rank"].tolist() == list(range(1, 13))
    figures = [
        trust.srcc_figure(table),
        trust.calibration_figure(folder.read_frame("trust_calibration.parquet"), "acc"),
        trust.contenders_figure(contenders),
        trust.overlap_figure(folder.read_frame("trust_positions.parquet")),
        trust.interactions_figure(pairs, False, "points"),
        trust.interactions_heat_figure(trust.interactions_heat_table(trained.interactions(), "layers"), True, "", "dark"),
        trust.slopes_figure(slopes, "a", "b"),
    ]
    assert all(len(figure.data) and figure.to_json() for figure in figures)
    assert len(trust.evidence_table(said)) == 3
