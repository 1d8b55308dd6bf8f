"""Results that reach a data set of a workspace: the next version, the list of candidates, each once."""

import json
from pathlib import Path

import numpy as np
import pytest

from autobuild_core import api
from autobuild_core.errors import ConfigError, DataError
from autobuild_core.loop import shared
from autobuild_core.store.candidates import Candidate, Origin, Prediction
from autobuild_core.store.workspace import Workspace
from tests.app.workspaces import flat_file


@pytest.fixture
def store(tmp_path: Path) -> tuple[Workspace, str]:
    """A workspace with a data set, and its id."""
    made = Workspace(tmp_path / "workspace")
    return made, made.add_dataset(api.read(flat_file(tmp_path / "flat.csv")), "flat")


def fresh(workspace: Workspace, dataset: str, num: int) -> list[dict[str, object]]:
    """Architectures that were not measured, as native encodings."""
    table = workspace.dataset(dataset)
    from autobuild_core.spaces import load_space

    space = load_space(table.spec)
    codes = space.sample(200, np.random.default_rng(3))
    new = ~np.isin(space.hash_networks(codes), table.networks)
    _, first = np.unique(space.hash_networks(codes[new]), return_index=True)
    return [space.native(row) for row in codes[new][np.sort(first)][:num]]


def results(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_results_make_a_version_and_are_told_once(store: tuple[Workspace, str], tmp_path: Path) -> None:
    workspace, dataset = store
    archs, log = fresh(workspace, dataset, 3), workspace.candidates(dataset)
    space = api.read(tmp_path / "flat.csv").spec
    from autobuild_core.spaces import load_space

    hashes = [str(int(load_space(space).hash_networks(np.array([load_space(space).parse(a)], np.int16))[0])) for a in archs]
    ids = [
        one.id
        for one in log.propose([Candidate("", a, h, Origin.BUILT, Prediction(), 0.0) for a, h in zip(archs, hashes, strict=True)])
    ]
    file = results(
        tmp_path / "r.jsonl",
        {"id": ids[1], "acc_pct": 61.0, "latency_ms": 4.0},
        {"id": ids[0], "state": "failed", "error": "out of memory"},
    )
    told, newest = shared.tell(workspace, dataset, file, api.read_more, "Batch 1", "run", "evaluation")
    assert (told.num_told, told.num_added) == (2, 2) and newest != dataset == log.path.stem
    assert workspace.newest_version(dataset) == newest and len(workspace.dataset(newest)) == 92
    assert [one.state.value for one in log.all()] == ["failed", "measured", "waiting"]
    assert log.heard() == {"evaluation": 2} and workspace.candidates(newest).path == log.path
    assert log.all()[1].results[0].source == "evaluation" and "2 rows joined the data" in told.sentence
    with pytest.raises(DataError):
        shared.tell(workspace, dataset, file, api.read_more)
    assert len(workspace.datasets()) == 2


def test_one_that_was_cut_short_between_data_and_list_is_told_later(store: tuple[Workspace, str], tmp_path: Path) -> None:
    workspace, dataset = store
    arch = fresh(workspace, dataset, 1)[0]
    file = results(tmp_path / "r.jsonl", {"arch": arch, "acc_pct": 61.0, "latency_ms": 4.0})
    shared.tell(workspace, dataset, file, api.read_more, "Batch 1")
    log = workspace.candidates(dataset)
    from autobuild_core.spaces import load_space

    space = load_space(workspace.dataset(dataset).spec)
    network = str(int(space.hash_networks(np.array([space.parse(arch)], np.int16))[0]))
    log.propose([Candidate("", arch, network, Origin.TYPED, Prediction(), 0.0)])
    told, newest = shared.tell(workspace, dataset, file, api.read_more, "Batch 1")
    assert (told.num_told, told.num_added) == (1, 0) and newest == workspace.newest_version(dataset)


def test_rows_are_heard_though_the_candidates_among_them_were_told_before(store: tuple[Workspace, str], tmp_path: Path) -> None:
    """A loop that was cancelled and went on: the first of its networks is on the list, the next is not."""
    workspace, dataset = store
    first, second = fresh(workspace, dataset, 2)
    from autobuild_core.spaces import load_space

    space, log = load_space(workspace.dataset(dataset).spec), workspace.candidates(dataset)
    network = str(int(space.hash_networks(np.array([space.parse(first)], np.int16))[0]))
    log.propose([Candidate("", first, network, Origin.TYPED, Prediction(), 0.0)])
    lines = [{"arch": arch, "acc_pct": 61.0, "latency_ms": 4.0} for arch in (first, second)]
    shared.tell(workspace, dataset, results(tmp_path / "r.jsonl", lines[0]), api.read_more, "My loop", "", "run")
    assert log.heard() == {"run": 1}
    told, _ = shared.tell(workspace, dataset, results(tmp_path / "r.jsonl", *lines), api.read_more, "My loop", "", "run")
    assert (told.num_told, told.num_added) == (0, 1) and log.heard() == {"run": 2}


def test_the_list_goes_with_its_data(store: tuple[Workspace, str]) -> None:
    workspace, dataset = store
    log = workspace.candidates(dataset)
    log.propose([Candidate("", {}, "1", Origin.TYPED, Prediction(), 0.0)])
    assert log.path.exists()
    workspace.delete_dataset(dataset)
    assert not log.path.exists()
    with pytest.raises(ConfigError, match="expected"):
        log.ask(["c1"])
