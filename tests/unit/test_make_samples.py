"""The sample data's producer: its lists of trainings, its certified ratio, and the runs that ship."""

import json
import shlex
from pathlib import Path

import numpy as np
import pytest

from autobuild_core import api
from autobuild_core.scoring.finished_run import FinishedRun
from autobuild_core.spaces._declared import to_json
from autobuild_core.store.run_folder import RunFolder
from autobuild_core.store.tables import content_hash
from sample_data.make_samples import HERE, SAMPLES, read_runs, run_of, signal_to_noise


@pytest.mark.parametrize("ratio", [0.5, 2.0, 8.0])
def test_intervals_of_the_ratio_cover_the_truth_as_often_as_they_say(ratio: float) -> None:
    rng = np.random.default_rng(0)
    networks = ratio * rng.normal(size=(1000, 60, 1))
    drawn = np.array([signal_to_noise(values) for values in networks + rng.normal(size=(1000, 60, 2))])
    inside = (drawn[:, 1] <= ratio) & (ratio <= drawn[:, 2])
    assert 0.87 <= inside.mean() <= 0.93
    assert np.median(drawn[:, 0]) == pytest.approx(ratio, rel=0.05)


def test_alike_networks_have_no_ratio_above_zero() -> None:
    seeds = np.tile([0.0, 1.0], (60, 1))
    assert signal_to_noise(seeds).tolist() == [0, 0, 0]


@pytest.mark.parametrize("name", SAMPLES)
def test_a_list_trains_nothing_twice_and_first_seeds_first(name: str) -> None:
    trainings = SAMPLES[name].trainings()
    assert len({one.key for one in trainings}) == len(trainings)
    assert [one.seed for one in trainings] == sorted(one.seed for one in trainings)


@pytest.mark.parametrize("name", SAMPLES)
def test_every_training_of_a_list_is_there_and_none_failed(name: str) -> None:
    lines = read_runs(name)
    assert len(lines) == len(SAMPLES[name].trainings())
    assert {line["state"] for line in lines} == {"finished"}


@pytest.mark.parametrize("name", SAMPLES)
def test_the_run_that_ships_is_what_its_command_says(name: str) -> None:
    said, sample = shlex.split(run_of(name)), SAMPLES[name]
    folder = RunFolder(HERE / sample.run)
    config, data = folder.config, HERE.parent / said[4]
    assert said[said.index("--name") + 1] == config.name
    assert said[said.index("--target") + 1] == config.target
    assert ("--minimize" in said) == config.minimize
    assert said[said.index("--out") + 1] == f"sample_data/{sample.run}"
    space = data.with_name("space.json")
    assert (f"sample_data/{name}/space.json" in said) == space.is_file()
    table = api.read(data, space=space if space.is_file() else None)
    assert config.data_name == data.name and config.data_hash == content_hash(table)
    assert run_of(name) in (HERE / name / "PROVENANCE.md").read_text()


@pytest.mark.parametrize("run", sorted(HERE.glob("**/run")), ids=lambda path: path.parent.name)
def test_a_run_that_ships_knows_the_metrics_of_its_data(run: Path) -> None:
    found = FinishedRun.load(RunFolder(run))
    known = found.known
    assert known is not None and known.target in known.metrics.models
    assert {*known.metrics.models, *known.metrics.unknown} == set(found.table.metrics.columns)
    model, rows = known.metrics.model(known.target), np.isfinite(found.values)
    assert len(model.residuals) == len(found.table)
    _, low, high = model.interval(found.table.codes[rows])
    assert ((low <= found.values[rows]) & (found.values[rows] <= high)).mean() > 0.8


@pytest.mark.parametrize("name", [name for name, sample in SAMPLES.items() if sample.declared is not None])
def test_a_declared_space_is_the_one_of_its_file(name: str) -> None:
    declared = SAMPLES[name].declared
    assert declared is not None
    assert json.loads((HERE / name / "space.json").read_text()) == json.loads(to_json(declared()))
