"""The networks of rounds: predicted before, measured since, whatever the round's state."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from autobuild_core.errors import Cancelled, ConfigError
from autobuild_core.evaluators._results import ResultsFile
from autobuild_core.loop.folder import LoopFolder
from autobuild_core.loop.plan import RoundsPlan
from autobuild_core.loop.round_networks import COLUMNS, networks_table
from autobuild_core.loop.rounds import run_rounds
from autobuild_core.loop.rounds_folder import RoundsFolder
from autobuild_core.targets.equation import Target
from tests.unit.loop.test_rounds import first_data, planted

ACC = Target("acc")


@pytest.fixture
def plan(tmp_path: Path) -> RoundsPlan:
    return RoundsPlan(planted(tmp_path, fails=7), "acc", evaluations=10, batch=6, seed=3)


@pytest.fixture
def folder(tmp_path: Path) -> LoopFolder:
    return LoopFolder(tmp_path / "loop")


def stopped(folder: LoopFolder, plan: RoundsPlan, num: int) -> ResultsFile:
    """The results of a loop that was stopped behind so many evaluations."""
    results = ResultsFile(folder.path / "results.jsonl")
    with pytest.raises(Cancelled):
        run_rounds(folder, plan, first_data(), should_stop=lambda: len(results.read()) >= num)
    return results


def test_every_network_says_what_its_row_was_made_of(folder: LoopFolder, plan: RoundsPlan) -> None:
    rows = run_rounds(folder, plan, first_data())
    table = networks_table(folder, rows, ResultsFile(folder.path / "results.jsonl").read(), ACC)
    assert tuple(table) == COLUMNS and table["round"].tolist() == [1] * 6 + [2] * 4
    assert table["arch"].tolist() == [one.arch for one in folder.log.all()]
    for row in rows:
        own = table[table["round"] == row["round"]]
        fine = own[own["state"] == "measured"]
        assert row["num_failed"] == (own["state"] == "failed").sum() == len(own) - len(fine)
        assert row["mean_predicted"] == pytest.approx(fine["predicted"].mean())
        assert row["mean_measured"] == pytest.approx(fine["measured"].mean())
        assert row["inside"] == pytest.approx(fine["inside"].mean())
    failed = table[table["state"] == "failed"]
    assert len(failed) and failed["error"].str.contains("out of memory").all() and failed["measured"].isna().all()
    assert (table.loc[table["state"] == "measured", "error"] == "").all()


def test_a_round_under_way_is_there_as_far_as_it_is(folder: LoopFolder, plan: RoundsPlan) -> None:
    results = stopped(folder, plan, 8)
    table = networks_table(folder, RoundsFolder(folder.path).rows(), results.read(), ACC)
    assert table["round"].tolist() == [1] * 6 + [2] * 4
    assert (table["state"] == "waiting").tolist() == [False] * 8 + [True] * 2
    assert table.loc[table["state"] == "waiting", ["measured", "inside"]].isna().all(axis=None)
    assert table["predicted"].notna().all()


def test_before_a_batch_is_proposed_there_are_none(folder: LoopFolder, plan: RoundsPlan) -> None:
    assert networks_table(folder, [], [], ACC).empty
    folder.begin(first_data(), "acc", False)
    assert networks_table(folder, [], [], ACC).empty


def test_what_is_measured_is_the_target_of_the_means_over_seeds(folder: LoopFolder, plan: RoundsPlan) -> None:
    target = Target("acc ** 2")
    rows = run_rounds(folder, replace(plan, target="acc ** 2", seeds=3, evaluations=4, batch=4), first_data())
    lines = ResultsFile(folder.path / "results.jsonl").read()
    table = networks_table(folder, rows, lines, target, 3)
    first = table[table["state"] == "measured"].iloc[0]
    accs = [line["acc"] for line in lines if line["id"] == first["id"]]
    assert len(accs) == 3 and first["measured"] == pytest.approx(np.mean(accs) ** 2, rel=1e-12)
    assert rows[0]["mean_measured"] == pytest.approx(table["measured"].mean())


def test_seeds_without_a_target_count_neither_here_nor_there(folder: LoopFolder, plan: RoundsPlan) -> None:
    """The loop's own row and the table are of the same seeds: the others have a target that is no number."""
    target = Target("log(acc - 88)")
    rows = run_rounds(folder, replace(plan, target=target.expression, seeds=3, evaluations=4, batch=4), first_data())
    lines = ResultsFile(folder.path / "results.jsonl").read()
    low = next(line for line in lines if line["state"] == "finished")
    table = networks_table(folder, rows, [*lines, low | {"seed": 9, "acc": 80.0}], target, 3)
    plain = networks_table(folder, rows, lines, target, 3)
    assert table["measured"].equals(plain["measured"]) and plain["measured"].notna().any()


def test_a_network_whose_seeds_are_not_all_there_has_not_failed_yet(folder: LoopFolder, plan: RoundsPlan) -> None:
    results = stopped(folder, replace(plan, seeds=3), 4)
    lines = [line | ({"state": "failed", "error": "out of memory"}) for line in results.read()[:1]]
    assert networks_table(folder, [], lines, ACC, 3)["state"].tolist() == ["waiting"] * 6
    alone = networks_table(folder, [], lines, ACC, 1)
    assert alone["state"].tolist() == ["failed"] + ["waiting"] * 5 and alone["error"].tolist()[0] == "out of memory"


def test_a_metric_that_nobody_measured_leaves_all_without(folder: LoopFolder, plan: RoundsPlan) -> None:
    rows = run_rounds(folder, replace(plan, evaluations=4, batch=4), first_data())
    table = networks_table(folder, rows, ResultsFile(folder.path / "results.jsonl").read(), Target("speed"))
    assert len(table) == 4 and table["measured"].isna().all()


def test_the_best_before_is_that_of_the_first_data(folder: LoopFolder, plan: RoundsPlan) -> None:
    best, files = first_data().metrics["acc"].max(), RoundsFolder(folder.path)
    assert files.best_before() is None
    stopped(folder, plan, 2)
    assert files.rows() == [] and files.best_before() == best
    rows = run_rounds(folder, plan)
    assert rows[0]["best_before"] == files.best_before() == best and rows[1]["best_before"] == rows[0]["best"]


def test_a_damaged_file_is_named(folder: LoopFolder, plan: RoundsPlan) -> None:
    run_rounds(folder, replace(plan, evaluations=4, batch=4), first_data())
    (folder.path / "rounds.jsonl").write_text("{\n")
    with pytest.raises(ConfigError, match=r"rounds\.jsonl: got a damaged file"):
        RoundsFolder(folder.path).rows()
