"""The log of candidates: predictions that are never edited, batches, results in any order, two writers at once."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autobuild_core.errors import ConfigError, DataError
from autobuild_core.store.candidates import Candidate, CandidateLog, CandidateState, Origin, Prediction, Result

PREDICTED = Prediction("acc", False, "r" * 32, 0.7, 0.6, 0.8, "digits")


def proposal(network: int, origin: Origin = Origin.BUILT, **changed: Any) -> Candidate:
    return Candidate("", {"k": network}, str(network), origin, changed.get("prediction", PREDICTED), 0.0)


@pytest.fixture
def log(tmp_path: Path) -> CandidateLog:
    return CandidateLog(tmp_path / "candidates.jsonl")


@pytest.fixture
def three(log: CandidateLog) -> list[str]:
    """Ids of three candidates that wait."""
    return [one.id for one in log.propose([proposal(1), proposal(2, Origin.CONTROL), proposal(3, Origin.NEXT)])]


def states(log: CandidateLog) -> list[str]:
    return [one.state.value for one in log.all()]


def test_an_empty_list(log: CandidateLog) -> None:
    assert log.all() == [] and log.propose([]) == []


def test_what_was_predicted_stays(log: CandidateLog, three: list[str]) -> None:
    found = log.all()
    assert [one.id for one in found] == three and len(set(three)) == 3 and all(one[0] == "c" for one in three)
    assert [one.origin for one in found] == [Origin.BUILT, Origin.CONTROL, Origin.NEXT]
    assert found[0].prediction == PREDICTED and found[0].arch == {"k": 1} and found[0].created > 0
    before = log.path.read_bytes()
    log.ask(three[:2])
    log.tell([(three[0], Result("finished", {"acc": 0.5}))])
    assert log.path.read_bytes().startswith(before) and log.all()[0].prediction == PREDICTED


def test_an_open_or_measured_network_is_not_proposed_again_and_a_failed_one_is(log: CandidateLog, three: list[str]) -> None:
    log.ask(three)
    log.tell([(three[0], Result("finished", {"acc": 0.5})), (three[1], Result("failed", error="out of memory"))])
    added = log.propose([proposal(1), proposal(2), proposal(3), proposal(4), proposal(4)])
    assert [one.network for one in added] == ["2", "4"]
    assert states(log) == ["measured", "failed", "asked", "waiting", "waiting"]


def test_batches_are_counted_and_nothing_is_handed_out_twice(log: CandidateLog, three: list[str]) -> None:
    assert log.ask(three[:1]) == 1 and log.ask([three[2], three[2]]) == 2
    assert [one.batch for one in log.all()] == [1, 0, 2]
    with pytest.raises(ConfigError, match="got one that is asked, expected one that waits"):
        log.ask(three)
    with pytest.raises(ConfigError, match="got one that is not in the list"):
        log.ask(["c00000000"])
    assert [one.batch for one in log.all()] == [1, 0, 2]


def test_results_come_in_any_order_partial_and_failed(log: CandidateLog, three: list[str]) -> None:
    log.ask(three)
    told = [
        (three[2], Result("finished", {"acc": 0.6, "latency_ms": 3.0}, seed=1, source="night.csv")),
        (three[0], Result("diverged", seed=0, error="loss: got nan")),
        (three[2], Result("finished", {"acc": 0.5}, seed=0)),
    ]
    assert len(log.tell(told)) == 3 and states(log) == ["failed", "asked", "measured"]
    last = log.all()[2].results
    assert [(r.seed, r.metrics) for r in last] == [(1, {"acc": 0.6, "latency_ms": 3.0}), (0, {"acc": 0.5})]
    assert last[0].source == "night.csv" and last[0].time > 0
    log.tell([(three[0], Result("finished", {"acc": 0.4}, seed=1))])
    assert states(log)[0] == CandidateState.MEASURED and len(log.all()[0].results) == 2


def test_a_result_that_was_told_is_not_counted_twice(log: CandidateLog, three: list[str]) -> None:
    result = Result("finished", {"acc": 0.6}, seed=0)
    assert len(log.tell([(three[0], result), (three[0], result)])) == 1
    assert log.tell([(three[0], result)]) == [] and len(log.all()[0].results) == 1
    assert len(log.tell([(three[0], Result("finished", {"acc": 0.7}, seed=0))])) == 1
    with pytest.raises(ConfigError, match="not in the list"):
        log.tell([("c00000000", result)])


def test_withdrawn_ones_keep_their_line_and_may_be_proposed_again(log: CandidateLog, three: list[str]) -> None:
    log.tell([(three[0], Result("finished", {"acc": 0.6}))])
    log.withdraw([three[0], three[1], "c00000000"])
    assert states(log) == ["measured", "withdrawn", "waiting"]
    assert [one.network for one in log.propose([proposal(1), proposal(2)])] == ["2"]


def test_a_torn_last_line_is_no_event(log: CandidateLog, three: list[str]) -> None:
    log.path.write_bytes(log.path.read_bytes() + b'{"event": "asked", "ba')
    assert states(log) == ["waiting"] * 3
    log.ask(three[:1])
    assert states(log) == ["asked", "waiting", "waiting"]


@pytest.mark.parametrize("line", ['{"event": "danced"}', "[1]", "no JSON", '{"event": "told", "id": "c00000000", "state": "x"}'])
def test_a_damaged_line_is_said_with_its_number(line: str, log: CandidateLog, three: list[str]) -> None:
    log.path.write_text(log.path.read_text() + line + "\n")
    with pytest.raises(DataError, match=r"candidates\.jsonl, line 4: got a damaged event"):
        log.all()


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="expected a file that can be written"):
        CandidateLog(tmp_path / "file" / "candidates.jsonl").propose([proposal(1)])


def test_two_writers_lose_nothing(log: CandidateLog) -> None:
    code = (
        "import sys, json; from autobuild_core.store.candidates import *\n"
        "for n in range(int(sys.argv[2]), int(sys.argv[2]) + 25):\n"
        "    CandidateLog(sys.argv[1]).propose([Candidate('', n, str(n), Origin.TYPED, Prediction(), 0.0)])\n"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, str(log.path), str(first)]) for first in (0, 15)]
    assert [writer.wait() for writer in writers] == [0, 0]
    assert sorted(int(one.network) for one in log.all()) == list(range(40))
    assert len(log.path.read_text().splitlines()) == 40 and all(map(json.loads, log.path.read_text().splitlines()))


def test_a_batch_that_nobody_got_waits_again(log: CandidateLog, three: list[str]) -> None:
    log.ask(three)
    log.tell([(three[0], Result("finished", {"acc": 0.5}))], "night.jsonl", 4)
    log.give_back(three)
    assert states(log) == ["measured", "waiting", "waiting"]
    assert log.ask(three[1:]) == 2 and log.heard() == {"night.jsonl": 4}


def test_a_source_of_known_results_alone_is_no_news(log: CandidateLog, three: list[str]) -> None:
    told = [(three[0], Result("finished", {"acc": 0.5}, 0))]
    log.tell(told, "night.jsonl", 1)
    before = log.path.read_bytes()
    assert log.tell(told, "again.jsonl", 1) == [] and log.path.read_bytes() == before
    log.tell([], "broken.jsonl", 3)
    assert log.heard() == {"night.jsonl": 1, "broken.jsonl": 3}


def test_a_readers_reason_stays_with_a_candidate(log: CandidateLog) -> None:
    (one,) = log.propose([replace(proposal(9), why="fits 8 ms")])
    log.propose([proposal(10)])
    assert one.why == "fits 8 ms" and [found.why for found in CandidateLog(log.path).all()] == ["fits 8 ms", ""]
