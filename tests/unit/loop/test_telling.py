"""Results from elsewhere are joined to candidates and to the data, in any order, partial, failed, by id or by network."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autobuild_core import api
from autobuild_core.architectures.records import ArchTable
from autobuild_core.errors import DataError
from autobuild_core.loop.telling import Joined, Told, join
from autobuild_core.spaces import load_space
from autobuild_core.store.candidates import Candidate, CandidateLog, Origin, Prediction

FLAT = "k,e,seed,acc,latency_ms\n" + "".join(
    f"{k},{e},{seed},{0.5 + k / 100 + e / 50 + seed / 1000:.4f},{k + e}\n"
    for k, e in ((3, 1), (3, 3), (3, 6), (5, 1), (5, 3), (7, 6))
    for seed in (0, 1)
)


def lines(*rows: dict[str, Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def read(path: Path, text: str) -> ArchTable:
    path.write_text(text)
    return api.read(path)


@pytest.fixture
def log(tmp_path: Path) -> CandidateLog:
    return CandidateLog(tmp_path / "candidates.jsonl")


def proposed(log: CandidateLog, table: ArchTable, archs: list[Any]) -> list[str]:
    """Ids of candidates."""
    space, predicted = load_space(table.spec), Prediction("acc", False, "r", 0.6, 0.5, 0.7)
    networks = space.hash_networks(np.array([space.parse(arch) for arch in archs], np.int16)).tolist()
    pairs = zip(archs, networks, strict=True)
    return [one.id for one in log.propose([Candidate("", a, str(n), Origin.BUILT, predicted, 0.0) for a, n in pairs])]


def told(path: Path, text: str, table: ArchTable, log: CandidateLog) -> Joined:
    path.write_text(text)
    return join(path, table, log.all(), lambda file, data: api.read_more(file, data))


class TestMacro:
    ARCHS = ("00000001", "00000002", "00000011", "20000000")

    @pytest.fixture
    def table(self, tmp_path: Path) -> ArchTable:
        archs = ["00000000", "11111111", "22222222", "02012100"]
        return read(tmp_path / "macro.jsonl", lines(*({"arch": arch, "acc": 0.5 + n / 100} for n, arch in enumerate(archs))))

    @pytest.fixture
    def ids(self, log: CandidateLog, table: ArchTable) -> list[str]:
        return proposed(log, table, list(self.ARCHS))

    def test_shuffled_partial_and_failed(self, tmp_path: Path, table: ArchTable, log: CandidateLog, ids: list[str]) -> None:
        text = lines(
            {"id": ids[2], "acc": 0.71},
            {"id": ids[0], "state": "failed", "error": "CUDA out of memory"},
            {"acc": 0.6, "arch": "20000000"},
            {"id": ids[1], "state": "running"},
        )
        joined = told(tmp_path / "night.jsonl", text, table, log)
        assert [(one, result.state, result.metrics, result.error) for one, result in joined.results] == [
            (ids[2], "finished", {"acc": 0.71}, ""),
            (ids[0], "failed", {}, "CUDA out of memory"),
            (ids[3], "finished", {"acc": 0.6}, ""),
        ]
        said = "state: got 'running', expected a result; hand the file in again when there is one."
        assert [(r.row, r.reason) for r in joined.rejected] == [(3, said)]
        assert joined.rows.source_rows.tolist() == [0, 1, 2] and joined.num_foreign == 0
        assert np.isnan(joined.rows.censored).tolist() == [True, False, True]
        added = api.append(table, joined.rows, "night.jsonl")
        assert (added.num_added, added.table.num_censored, len(added.table)) == (3, 1, 7)

    def test_a_twin_of_its_network_is_found(self, tmp_path: Path, table: ArchTable, log: CandidateLog) -> None:
        (twin,) = proposed(log, table, ["00010000"])
        joined = told(tmp_path / "x.csv", "arch,acc\n00001000,0.5\n22222220,0.6\n", table, log)
        assert [one for one, _ in joined.results] == [twin] and joined.num_foreign == 1 and len(joined.rows) == 2

    def test_an_id_that_does_not_fit_is_refused(
        self, tmp_path: Path, table: ArchTable, log: CandidateLog, ids: list[str]
    ) -> None:
        text = lines({"id": ids[0], "arch": self.ARCHS[1], "acc": 0.5}, {"id": "c999", "acc": 0.5}, {"id": ids[3], "acc": 0.4})
        joined = told(tmp_path / "x.jsonl", text, table, log)
        assert [r.row for r in joined.rejected] == [0, 1] and "beside another network" in joined.rejected[0].reason
        assert "id: got 'c999', expected one of a candidate" in joined.rejected[1].reason

    @pytest.mark.parametrize(
        ("row", "state", "said"),
        [
            ({"state": "diverged", "reason": "loss is nan"}, "diverged", "loss is nan"),
            ({"status": "OOM"}, "failed", "oom"),
            ({"error": "killed by the scheduler"}, "failed", "killed by the scheduler"),
            ({"state": "COMPLETED", "acc": 0.5}, "finished", ""),
        ],
    )
    def test_every_way_to_end(
        self, row: dict[str, Any], state: str, said: str, tmp_path: Path, table: ArchTable, log: CandidateLog, ids: list[str]
    ) -> None:
        ((one, result),) = told(tmp_path / "x.json", json.dumps([{"id": ids[1]} | row]), table, log).results
        assert (one, result.state, result.error) == (ids[1], state, said)

    def test_a_file_without_a_result_is_said(self, tmp_path: Path, table: ArchTable, log: CandidateLog, ids: list[str]) -> None:
        with pytest.raises(DataError, match=r"x\.jsonl: got no result, expected measurements of candidates; row 0: state: got"):
            told(tmp_path / "x.jsonl", lines({"id": ids[0], "state": "queued"}), table, log)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (Told(2, 3, 0, 1, ()), "2 results of candidates, 3 rows joined the data, 1 row of networks that are not on the list."),
        (Told(0, 6, 0, 6, ()), "6 rows joined the data, 6 rows of networks that are not on the list."),
        (Told(0, 0, 1, 0, ()), "0 results of candidates, 1 row of before gained metrics."),
    ],
)
def test_the_sentence(told: Told, said: str) -> None:
    assert told.sentence == said


class TestFlat:
    @pytest.fixture
    def table(self, tmp_path: Path) -> ArchTable:
        return read(tmp_path / "flat.csv", FLAT)

    @pytest.fixture
    def ids(self, log: CandidateLog, table: ArchTable) -> list[str]:
        return proposed(log, table, [{"k": 5, "e": 6}, {"k": 7, "e": 1}])

    def test_by_id_alone_with_seeds(self, tmp_path: Path, table: ArchTable, log: CandidateLog, ids: list[str]) -> None:
        text = f"id,seed,acc\n{ids[0]},1,0.71\n{ids[0]},0,0.70\n{ids[1]},0,0.66\n"
        joined = told(tmp_path / "results.csv", text, table, log)
        assert [(one, r.seed, r.metrics) for one, r in joined.results] == [
            (ids[0], 1, {"acc": 0.71}),
            (ids[0], 0, {"acc": 0.70}),
            (ids[1], 0, {"acc": 0.66}),
        ]
        assert joined.rows.contexts["seed"].tolist() == [1, 0, 0] and joined.rows.metrics["acc"].tolist() == [0.71, 0.7, 0.66]

    def test_by_its_choices_and_a_failure_among_them(
        self, tmp_path: Path, table: ArchTable, log: CandidateLog, ids: list[str]
    ) -> None:
        text = "k,e,seed,acc,state\n5,6,0,0.7,ok\n7,1,0,,diverged\n9,1,0,0.5,ok\n"
        joined = told(tmp_path / "results.csv", text, table, log)
        assert [(one, r.state) for one, r in joined.results] == [(ids[0], "finished"), (ids[1], "diverged")]
        assert [r.row for r in joined.rejected] == [2] and joined.rows.censored.tolist()[1] == 0.5

    def test_told_twice_it_joins_once(self, tmp_path: Path, table: ArchTable, log: CandidateLog, ids: list[str]) -> None:
        text = f"id,seed,acc\n{ids[0]},0,0.70\n"
        first = told(tmp_path / "results.csv", text, table, log)
        log.tell(first.results)
        grown = api.append(table, first.rows, "results.csv").table
        again = told(tmp_path / "results.csv", text, grown, log)
        assert log.tell(again.results) == []
        with pytest.raises(DataError, match="is in the data set already"):
            api.append(grown, again.rows, "results.csv")

    def test_predictions_of_before_are_left_alone(
        self, tmp_path: Path, table: ArchTable, log: CandidateLog, ids: list[str]
    ) -> None:
        before = [replace(one, results=()) for one in log.all()]
        log.tell(told(tmp_path / "results.csv", f"id,acc\n{ids[0]},0.70\n", table, log).results)
        assert [replace(one, results=()) for one in log.all()] == before


ABOUT = {"evaluator": "classification", "version": "1", "data": "fashion_mnist_pairs", "budget": 400, "device": "cpu"}


def measured(arch: Any, loss: float, seed: int = 0) -> dict[str, Any]:
    """A line as `evaluate` writes it."""
    return {"arch": arch, "seed": seed, "loss": loss} | ABOUT | {"seconds": 8.1, "state": "finished", "curve": [{"step": 1.0}]}


def test_lines_of_an_evaluator_bring_what_it_measured_and_no_contexts_of_their_own(tmp_path: Path, log: CandidateLog) -> None:
    archs = ["00000000", "11111111", "22222222", "02012100"]
    table = read(tmp_path / "macro.jsonl", lines(*({"arch": arch, "loss": 0.5 + n / 100} for n, arch in enumerate(archs))))
    ids = proposed(log, table, ["00000001", "00000002"])
    joined = told(tmp_path / "r.jsonl", lines(measured("00000001", 0.4), measured("00000002", 0.45)), table, log)
    assert [(one, result.metrics, result.seed) for one, result in joined.results] == [
        (ids[0], {"loss": 0.4}, 0),
        (ids[1], {"loss": 0.45}, 0),
    ]
    assert joined.rows.metrics.columns.tolist() == ["loss"] and set(joined.rows.context_kinds) <= {"seed"}
    assert set(api.append(table, joined.rows).table.context_kinds) <= {"seed"}


def test_data_of_evaluators_keep_what_they_know_of_each_line(tmp_path: Path, log: CandidateLog) -> None:
    archs = ["00000000", "11111111", "22222222", "02012100"]
    table = read(tmp_path / "measured.jsonl", lines(*(measured(arch, 0.5 + n / 100) for n, arch in enumerate(archs))))
    proposed(log, table, ["00000001", "00000002"])
    other = measured("00000002", 0.45) | {"budget": 20}
    joined = told(tmp_path / "r.jsonl", lines(measured("00000001", 0.4), other), table, log)
    assert len(joined.results) == 2 and joined.rows.metrics.columns.tolist() == ["loss"]
    both = api.append(table, joined.rows).table
    assert both.metrics.columns.tolist() == ["loss"] and both.contexts["budget"].astype(float).tolist() == [400.0] * 5 + [20.0]


def test_states_of_the_list_itself_are_understood(tmp_path: Path, log: CandidateLog) -> None:
    archs = ["00000000", "11111111", "22222222", "02012100"]
    table = read(tmp_path / "macro.jsonl", lines(*({"arch": arch, "acc": 0.5 + n / 100} for n, arch in enumerate(archs))))
    ids = proposed(log, table, ["00000001", "00000002"])
    text = f"id,state,acc\n{ids[0]},measured,0.7\n{ids[1]},out,\n"
    joined = told(tmp_path / "list.csv", text, table, log)
    assert [(one, result.state, result.metrics) for one, result in joined.results] == [(ids[0], "finished", {"acc": 0.7})]
    assert [rejection.row for rejection in joined.rejected] == [1]
