"""Batches: what waits comes first, the rest is filled up from the run, a fifth are random controls, nothing comes twice."""

from pathlib import Path

import numpy as np
import pytest

from autobuild_core.api import Run
from autobuild_core.errors import ConfigError
from autobuild_core.loop.proposing import candidates_of, codes_of, hand_out, num_controls, predictions, proposed
from autobuild_core.store.candidates import CandidateLog, Origin, Result


@pytest.fixture
def log(tmp_path: Path) -> CandidateLog:
    return CandidateLog(tmp_path / "candidates.jsonl")


@pytest.fixture(scope="module")
def run() -> Run:
    """The run that ships."""
    from autobuild_core.registry import APP

    return Run(APP / "sample_data" / "run")


@pytest.mark.parametrize(("num", "controls"), [(1, 0), (2, 1), (5, 1), (10, 2), (16, 3), (20, 4)])
def test_a_fifth_are_controls(num: int, controls: int) -> None:
    assert num_controls(num) == controls


def test_a_batch_is_predicted_distinct_and_new(run: Run, log: CandidateLog) -> None:
    batch = hand_out(run, log, 10)
    origins = [one.origin for one in batch.candidates]
    assert batch.number == 1 and [origins.count(o) for o in (Origin.BUILT, Origin.NEXT, Origin.CONTROL)] == [4, 4, 2]
    networks, space = [one.network for one in batch.candidates], run.predictor.space
    evaluated = {str(int(one)) for one in run.table().networks}
    assert len(set(networks)) == 10 and not set(networks) & evaluated
    codes = codes_of(space, [one.arch for one in batch.candidates])
    assert networks == [str(int(one)) for one in space.hash_networks(codes)]
    for one, again in zip(batch.candidates, predictions(run, codes), strict=True):
        assert one.prediction.target == "test_loss" and one.prediction.minimize
        assert one.prediction.predicted == pytest.approx(again.predicted, rel=1e-6)
        assert one.prediction.low is not None and one.prediction.low < one.prediction.predicted < one.prediction.high


def test_nothing_is_handed_out_twice_and_controls_differ(trained: Run, log: CandidateLog) -> None:
    batches = [hand_out(trained, log, 6), hand_out(trained, log, 6)]
    assert [one.number for one in batches] == [1, 2]
    assert len({one.network for batch in batches for one in batch.candidates}) == 12
    first = batches[0].candidates[0]
    log.tell([(first.id, Result("finished", {"acc": 90.0}))])
    assert first.network not in {one.network for one in hand_out(trained, log, 6).candidates}


def test_those_that_wait_come_first_and_still_beside_controls(trained: Run, log: CandidateLog) -> None:
    typed = candidates_of(trained, trained.predictor.space.sample(6, np.random.default_rng(5)), Origin.TYPED)
    ids = [one.id for one in log.propose(typed)]
    batch = hand_out(trained, log, 5)
    assert [one.id for one in batch.candidates[:4]] == ids[:4] and batch.candidates[4].origin is Origin.CONTROL
    following = hand_out(trained, log, 5)
    assert [one.id for one in following.candidates[:2]] == ids[4:]
    assert [one.origin for one in following.candidates[2:]] == [Origin.BUILT, Origin.NEXT, Origin.CONTROL]


def test_none_is_no_batch(trained: Run, log: CandidateLog) -> None:
    with pytest.raises(ConfigError, match="ask: got 0, expected at least 1"):
        hand_out(trained, log, 0)
    assert log.all() == []


def test_what_a_reader_withdrew_is_not_proposed_unasked(trained: Run, log: CandidateLog) -> None:
    first = log.propose(proposed(trained, log, 2, Origin.BUILT))
    log.withdraw([one.id for one in first])
    networks = {one.network for one in first}
    assert not networks & {one.network for one in proposed(trained, log, 2, Origin.BUILT)}
    assert not networks & {one.network for one in hand_out(trained, log, 4).candidates}
