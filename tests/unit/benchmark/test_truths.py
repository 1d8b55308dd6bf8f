"""Made truths: contexts and stopped trials, where it is known what scores must say. The bounds are those of the issue."""

import numpy as np
import pytest

from autobuild_core.benchmark.truths import TRUTHS, World, confounded, depth, markdown, measure, study
from autobuild_core.errors import ConfigError
from autobuild_core.jobs.kinds.train import pipeline

WORLD = World.made()
FEW = {"num_members": 3, "num_steps": 60, "threads": 1}


@pytest.fixture(autouse=True)
def nothing_after_the_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Truths are about predictor and modules, which are there before the trust report and the map: these take half the time."""
    monkeypatch.setattr(pipeline, "write_report", lambda *_: {})
    monkeypatch.setattr(pipeline, "write_map", lambda *_: None)


def test_a_confounder_is_adjusted_for() -> None:
    table = confounded(WORLD, 100, 0)
    lr = np.log(table.contexts["lr"])
    assert np.corrcoef(lr, depth(table.codes))[0, 1] == pytest.approx(0.7, abs=0.12)
    found = measure("confounder", WORLD, 0, **FEW)
    assert found["srcc"] > 0.95 and found["srcc ignored"] < 0.8


def test_what_comes_after_the_choice_is_not_adjusted_for() -> None:
    found = measure("mediator", WORLD, 0, **FEW)
    assert found["srcc"] > 0.9 and found["slope"] == pytest.approx(1, abs=0.15)
    assert found["slope adjusted for"] < 0.3  # that is what adjusting would have hidden


def test_stopped_trials_keep_effects_as_large_as_they_are() -> None:
    draws = [measure("stopped trials", WORLD, seed, **FEW) for seed in (0, 4)]
    assert np.mean([draw["slope"] for draw in draws]) == pytest.approx(1, abs=0.15) and min(draw["srcc"] for draw in draws) > 0.97
    assert 0.4 < study(WORLD, 200, 0)[1].num_censored / 200 < 0.6


def test_without_overlap_there_is_no_number() -> None:
    found = measure("no overlap", WORLD, 0, **FEW)
    assert found["no number"] == 1 and found["no number elsewhere"] == 0


def test_an_effect_that_changes_its_sign_is_right_on_average_and_in_each_task() -> None:
    found = measure("sign changes", WORLD, 0, **FEW)
    assert found["srcc"] > 0.9 and found["srcc Cora"] > 0.9 and found["srcc Arxiv"] > 0.9


def test_the_table_has_all_truths() -> None:
    records = [{"truth": name, "seed": seed, "srcc": 0.5 + seed} for name in TRUTHS for seed in (0, 1)]
    text = markdown(records)
    assert all(name in text for name in TRUTHS) and "| 1 |" in text
    with pytest.raises(ConfigError, match="expected some of confounder"):
        measure("astrology", WORLD, 0)
