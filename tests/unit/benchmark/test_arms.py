"""AutoBuild's arms where the truth is known: fronts are judged by what no search sees, and what is counted is counted right."""

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from autobuild_core.architectures.records import ArchTable, Codes
from autobuild_core.benchmark import arms
from autobuild_core.cli import main
from autobuild_core.errors import ConfigError
from autobuild_core.search.searchers import searcher_class
from autobuild_core.search.searching import search
from autobuild_core.spaces import space_named
from autobuild_core.store.tables import save_table
from autobuild_core.targets.equation import Target
from tests.learning import macro_truth, table_of

SPACE = space_named("nas_bench_macro")
TARGETS = Target("seen", False), Target("cost", True)


@pytest.fixture(scope="module")
def whole() -> ArchTable:
    """Every encoding with an accuracy as it is observed and as it is, and a cost."""
    every = SPACE.enumerate()
    assert every is not None
    true, luck = macro_truth(every), np.sin(SPACE.hash_networks(every) % 1000)  # equal for equal networks
    return table_of(every, pd.DataFrame({"seen": true + luck, "true": true, "cost": 1.0 + SPACE.canonical(every).sum(1)}))


@pytest.fixture(scope="module")
def found(whole: ArchTable) -> arms.TwoTargets:
    return arms.TwoTargets.of(whole, TARGETS, "true")


def numbers(whole: ArchTable, codes: Codes) -> list[tuple[float, float, float]]:
    """(seen, true, cost) of each network."""
    lines = whole.metrics.groupby(whole.networks).first().loc[SPACE.hash_networks(codes)]
    return [tuple(line) for line in lines[["seen", "true", "cost"]].to_numpy().tolist()]


def area(points: list[tuple[float, float]], corner: tuple[float, float]) -> float:
    """What (accuracy, cost) pairs dominate, counted a column of cost at a time."""
    costs = sorted({cost for _, cost in points if cost < corner[1]} | {corner[1]})
    best = [max([accuracy for accuracy, cost in points if cost <= left] + [corner[0]]) for left in costs]
    return sum(
        (height - corner[0]) * (right - left) for height, (left, right) in zip(best, itertools.pairwise(costs), strict=False)
    )


def exceeded(one: tuple[float, ...], others: list[tuple[float, float, float]]) -> bool:
    """Whether another is as good in what is seen and in cost, and better in one."""
    return any(other[0] >= one[0] and other[2] <= one[2] and (other[0], other[2]) != (one[0], one[2]) for other in others)


def test_a_front_is_what_is_seen_and_is_judged_by_what_is_true(whole: ArchTable, found: arms.TwoTargets) -> None:
    every = numbers(whole, SPACE.enumerate())  # type: ignore[arg-type]
    networks = np.unique(whole.networks, return_index=True)[1]
    corner = (np.quantile(whole.metrics["true"].iloc[networks], 0.1), np.quantile(whole.metrics["cost"].iloc[networks], 0.9))
    assert found.corner == pytest.approx(corner)
    assert found.volume == pytest.approx(area([(true, cost) for _, true, cost in every], corner))
    codes = SPACE.sample(40, np.random.default_rng(1))
    own = numbers(whole, codes)
    taken = [(true, cost) for seen, true, cost in own if not exceeded((seen, true, cost), own)]
    assert found.share(codes) == pytest.approx(area(taken, corner) / found.volume)
    assert area(taken, corner) < area([(true, cost) for _, true, cost in own], corner), "luck is taken for worth"


def test_every_arm_is_searched_and_what_a_space_is_learned_from_is_counted(found: arms.TwoTargets) -> None:
    lines = pd.DataFrame(arms.measure(found, [2, 27], [60], [3], num_members=2, num_steps=40))
    steps = lines.groupby("arm")["evaluations"].unique().map(list)
    assert set(steps.index) == {*arms.OTHERS, arms.AUTOBUILD} and all(own == [50, 100, 150, 200, 250, 310] for own in steps)
    drawn = search(searcher_class("random")(SPACE, 3), 310, found.scores, 50).codes
    by_arm = lines.set_index(["arm", "evaluations"])["share"]
    assert by_arm["random", 310] == pytest.approx(found.share(drawn))
    assert by_arm["Layer-Full", 50] == by_arm["Stage-Full", 50] == by_arm["random", 50], "they begin with the same networks"
    narrow, full = (own.set_index("evaluations") for _, own in lines[lines["arm"] == arms.AUTOBUILD].groupby("kept a unit"))
    whole_space = lines.loc[lines["arm"] == "random", "all of it"]
    assert (full["networks"] == 3969).all() and set(full["all of it"]) == set(whole_space), "all that there is is kept"
    assert (narrow["networks"] <= 4**3).all() and narrow.loc[250, "share"] == narrow.loc[150, "share"], "it is searched through"
    assert narrow.loc[250, "share"] == pytest.approx(narrow.loc[250, "all of it"])
    assert narrow.loc[310, "share"] != narrow.loc[250, "share"], "the sixty are among those that are judged"


def test_differences_are_paired_by_seed() -> None:
    blank = {"learned from": None, "kept a unit": None, "networks": 9, "all of it": 1.0}
    kept = {"learned from": 60, "kept a unit": 2, "networks": 4, "all of it": 0.5}
    lines = [
        {"seed": seed, "arm": arm, "evaluations": n, "share": level + 0.1 * seed} | (kept if arm == arms.AUTOBUILD else blank)
        for seed in range(3)
        for arm, level in (("random", 0.1), ("Layer-Full", 0.4), ("Stage-Full", 0.2), (arms.AUTOBUILD, 0.3))
        for n in (50, 250, 310)
    ]
    published, counted = arms._as_published(pd.DataFrame(lines)), arms._all_counted(pd.DataFrame(lines))
    assert [line["arm"] for line in published] == ["random", "Layer-Full", "Stage-Full", arms.AUTOBUILD]
    assert published[0]["after 250"] == "0.200 ± 0.100" and "after 310" not in published[0]
    apart = ["+0.200 [+0.200, +0.200]", "-0.100 [-0.100, -0.100]", "+0.100 [+0.100, +0.100]"]
    for line in (published[3], counted[0]):
        assert [line[f"less {other}"] for other in arms.OTHERS] == apart
    assert (counted[0]["evaluations"], counted[0][arms.AUTOBUILD]) == (310, "0.400 ± 0.100")


def test_the_command_prints_the_tables(whole: ArchTable, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_table(whole, tmp_path / "table")
    out = tmp_path / "arms.csv"
    command = ["benchmark", str(tmp_path / "table"), "--target", "seen", "--judge", "true", "--arms", "cost", "--reduced", "2"]
    assert main([*command, "--sizes", "60", "--members", "2", "--steps", "5", "--out", str(out)]) == 0
    said = capsys.readouterr().err
    assert (
        "### The front of seen and cost" in said
        and "against true " in said
        and "counted for all" in said
        and "| Stage-AutoBuild | 60 | 2 |" in said
    )
    assert len(pd.read_csv(out)) == 4 * 6


def test_what_does_not_do_is_said(whole: ArchTable, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError, match="arms: got 3969 networks, expected at least 4250"):
        arms.measure(arms.TwoTargets.of(whole, TARGETS), sizes=[4000])
    with pytest.raises(ConfigError, match="expected every network"):
        arms.TwoTargets.of(whole.take(np.arange(600)), TARGETS)
    save_table(whole, tmp_path / "table")
    for wrong, words in (
        (["--arms", "cost"], "--arms without data and --target"),
        (["--judge", "true"], "--judge without --arms"),
    ):
        assert main(["benchmark", str(tmp_path / "table"), *wrong]) == 2
        assert words in capsys.readouterr().err
