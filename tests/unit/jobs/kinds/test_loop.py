"""The closed loop: what each stage leaves, that it goes on wherever it was stopped or killed, what is charged and said."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autobuild_core import api
from autobuild_core.autospace import EvolutionFolder, evolve, read_learned
from autobuild_core.datasets import read_table
from autobuild_core.errors import Cancelled, ConfigError, EvaluationError
from autobuild_core.evaluators._results import key_of
from autobuild_core.jobs.kinds.loop.closing import close_loop, draw, madds_within_budget
from autobuild_core.jobs.kinds.loop.files import (
    HAND_MADE,
    LEARNED,
    SPACES,
    LoopFiles,
    evaluations_table,
    loop_summary,
    stages_table,
)
from autobuild_core.jobs.kinds.loop.keeping import keep
from autobuild_core.jobs.kinds.loop.plan import LoopPlan
from autobuild_core.registry import ROOT
from autobuild_core.scoring.intervals import Mean
from autobuild_core.spaces import load_space
from autobuild_core.spaces._cells import MBCONVS
from autobuild_core.spaces._learned import CellLists
from autobuild_core.spaces._skeletons import SKELETONS, TOLERANCE
from autobuild_core.spaces.autospace import spec_of
from autobuild_core.store.workspace import Workspace
from tests.unit.jobs.test_executor import until

# Every cell has a worth in its layer; a seed adds noise. What has failed says so.
PLANTED = """
import hashlib, random

def worth(text):
    return int(hashlib.sha256(text.encode()).hexdigest()[:6], 16) / 16**6

def evaluate(arch, budget, seed):
    value = sum(worth(f"{layer} {cell}") for layer, cell in enumerate(arch["cells"]))
    if FAULTY:
        raise ValueError("no such luck")
    return {"accuracy_pct": 60 + 4 * value + random.Random(f"{arch['cells']} {seed}").gauss(0, 0.2)}
"""
CHANCE = {"fitness": "random", "generations": 3, "madds_m": 0.4}


def planted(folder: Path, faulty: str = "False") -> str:
    """An evaluator of one's own."""
    path = folder / "planted.py"
    path.write_text(PLANTED.replace("FAULTY", faulty))
    return str(path)


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> LoopPlan:
    """A small loop on a planted truth."""
    sizes = {"num_sampled": 16, "num_built": 3, "num_again": 2, "charged": 4, "num_members": 2, "num_steps": 20}
    evaluator = planted(tmp_path_factory.mktemp("evaluator"))
    return LoopPlan(CHANCE, evaluator=evaluator, target="accuracy_pct", seed=3, **sizes)


@pytest.fixture(scope="module")
def closed(plan: LoopPlan, tmp_path_factory: pytest.TempPathFactory) -> LoopFiles:
    """The loop, unbroken."""
    files = LoopFiles(tmp_path_factory.mktemp("loop") / "whole")
    records: list[Mapping[str, Any]] = []
    found = close_loop(plan, files, records.append)
    assert records[0]["phase"] == "Evolving the space" and records[0]["step"] == 1
    shares = [record["share"] for record in records]
    assert shares == sorted(shares) and shares[0] >= 0 and shares[-1] == pytest.approx(1)
    assert {record["step"] for record in records} == set(range(1, 11)) and records[-1]["num_steps"] == 10
    assert found == loop_summary(files, plan, plan.aim())
    return files


def content(files: LoopFiles) -> dict[str, Any]:
    """What a loop left, without times."""
    found: dict[str, Any] = {"again": _lines(files.again.read())}
    for space in SPACES:
        found[space] = [_lines(files.results(space, stage).read()) for stage in ("sampled", "built")], files.built(space)
    return found


def _lines(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in line.items() if name != "seconds"} for line in lines]


def test_every_stage(plan: LoopPlan, closed: LoopFiles) -> None:
    learned = read_learned(EvolutionFolder(closed.path / "evolution"))
    table, stages = evaluations_table(closed, plan, plan.aim()), stages_table(closed, plan, plan.aim())
    assert [(one["space"], one["stage"], one["num"], one["spent"]) for one in stages.to_dict("records")] == [
        ("learned", "sampled", 16, 20),
        ("learned", "built", 3, 23),
        ("hand_made", "sampled", 20, 20),
        ("hand_made", "built", 3, 23),
    ]
    for space, cells in ((LEARNED, learned.layers), (HAND_MADE, (MBCONVS,) * 5)):
        sampled = {key_of(line)[0]: line["arch"] for line in closed.results(space, "sampled").read()}
        built = {json.dumps(one["arch"], sort_keys=True): one for one in closed.built(space)}
        assert len(sampled) == (16 if space == LEARNED else 20) and len(built) == 3 and not set(sampled) & set(built)
        for arch in [*sampled.values(), *(one["arch"] for one in built.values())]:
            network = load_space(spec_of(CellLists(cells, SKELETONS["pairs"], 0.4, plan.max_lr)))
            network.parse(arch)
            assert arch["max_lr"] == 0.012 and madds_within_budget(arch) == pytest.approx(0.4, rel=TOLERANCE)
        assert [key_of(line)[0] for line in closed.results(space, "built").read()] == list(built)
        predicted = [one["predicted"] for one in built.values()]
        assert predicted == sorted(predicted, reverse=True) and all(one["low"] < one["high"] for one in built.values())
        own = table[table["space"] == space]
        assert own["spent"].tolist() == list(range(5, 24)) if space == LEARNED else own["spent"].tolist() == list(range(1, 24))
        assert own["best"].tolist() == np.maximum.accumulate(own["value"]).tolist()
        assert own["predicted"].notna().sum() == 3


def test_the_best_of_every_stage_is_evaluated_again_with_unseen_seeds(plan: LoopPlan, closed: LoopFiles) -> None:
    table, stages = evaluations_table(closed, plan, plan.aim()), stages_table(closed, plan, plan.aim())
    lines = closed.again.read()
    assert len(lines) == 8 and {line["seed"] for line in lines} == {1, 2}
    for one in stages.to_dict("records"):
        own = table[(table["space"] == one["space"]) & (table["stage"] == one["stage"])]
        assert (one["best"], one["mean"]) == (own["value"].max(), pytest.approx(own["value"].mean()))
        arch = own.loc[own["value"].idxmax(), "arch"]
        repeated = Mean.of([line["accuracy_pct"] for line in lines if line["arch"] == arch])
        assert repeated.num == 2 and (one["again"], one["again_low"]) == (repeated.mean, repeated.low)
    found = loop_summary(closed, plan, plan.aim())
    assert (found["round"], found["num_evaluated"], found["charged"]) == (4, 16 + 3 + 20 + 3 + 8, 4)
    assert found["best"]["value"] == stages["again"].max()
    assert json.loads(json.dumps(found)) == found


def test_a_planted_truth_is_found(closed: LoopFiles, plan: LoopPlan) -> None:
    stages = stages_table(closed, plan, plan.aim()).set_index(["space", "stage"])
    for space in SPACES:
        assert stages.loc[(space, "built"), "mean"] > stages.loc[(space, "sampled"), "mean_high"]


def test_it_goes_on_from_every_stage(plan: LoopPlan, closed: LoopFiles, tmp_path: Path) -> None:
    """Stopped as soon as it begins each of its ten stages, and in the middle of each batch, it comes to the same."""
    files, stops = LoopFiles(tmp_path / "stopped"), 0
    for at in range(1, 11):
        heard: list[Mapping[str, Any]] = []
        with pytest.raises(Cancelled):
            close_loop(plan, files, heard.append, lambda at=at, heard=heard: heard[-1]["step"] >= at)
        stops += 1
        assert heard[-1]["step"] >= at
    close_loop(plan, files)
    assert stops == 10 and content(files) == content(closed)


def test_a_killed_process_leaves_what_it_had(plan: LoopPlan, closed: LoopFiles, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "autobuild_core", "loop", str(tmp_path / "killed"), "--evolve", "--seed", "3"]
    command += [
        "--evaluator",
        plan.evaluator,
        "--target",
        plan.target,
        "--charged",
        "4",
        "--num-sampled",
        "16",
        "--num-built",
        "3",
    ]
    command += ["--num-again", "2", "--members", "2", "--steps", "20"]
    command += [part for name, value in CHANCE.items() for part in ("--set", f"{name}={value}")]
    files, about = (
        LoopFiles(tmp_path / "killed"),
        {"cwd": ROOT, "stdout": subprocess.PIPE, "text": True, "start_new_session": True},
    )
    for stage, num in (("sampled", 5), ("built", 1)):
        process = subprocess.Popen(command, **about)
        until(lambda stage=stage, num=num: len(files.results(LEARNED, stage).read()) >= num, 60)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    done = subprocess.run(command, **{**about, "check": True})
    assert content(files) == content(closed)
    assert json.loads(done.stdout)["best"] == loop_summary(closed, plan, plan.aim())["best"]


def test_the_evolution_is_charged_by_its_seconds(plan: LoopPlan, tmp_path: Path) -> None:
    files, converted = LoopFiles(tmp_path), replace(plan, charged=None)
    files.begin(converted)
    assert files.charged(converted) == 0 and files.evolution_seconds == 0
    lines = [
        {"generation": 0, "layers": []},
        {"generation": 1, "layers": [], "seconds": 21.0},
        {"generation": 2, "layers": [], "seconds": 20.0},
    ]
    (tmp_path / "evolution" / "evolution.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    results = [
        {"arch": {"cells": [str(n)]}, "seed": 0, "seconds": seconds, "state": "finished"} for n, seconds in enumerate((8.0, 12.0))
    ]
    files.results(LEARNED, "sampled").append(results)
    assert files.evolution_seconds == 41 and files.charged(converted) == 5, "41 s are 4.1 evaluations of 10 s, rounded up"
    assert files.charged(plan) == 4, "as given"


def test_an_evolution_that_has_ended_is_taken(plan: LoopPlan, closed: LoopFiles, tmp_path: Path) -> None:
    about = {name: value for name, value in plan.to_json().items() if name not in ("evolution", "evolved")}
    taken = LoopPlan.after(closed.path / "evolution", about)
    assert taken.evolution_used == plan.evolution_used
    files, heard = LoopFiles(tmp_path / "taken"), list[Mapping[str, Any]]()
    with pytest.raises(Cancelled):
        close_loop(taken, files, heard.append, lambda: len(files.results(LEARNED, "sampled").read()) > 3)
    ours, theirs = (_lines(one.results(LEARNED, "sampled").read()) for one in (files, closed))
    assert 4 <= len(ours) < 16 and ours == theirs[: len(ours)]
    for name in ("learned.json", "evolution.jsonl"):
        assert (files.path / "evolution" / name).read_bytes() == (closed.path / "evolution" / name).read_bytes()
    assert "evolved" not in json.loads((files.path / "loop.json").read_text()), "no path of this machine is in the file"
    (tmp_path / "begun").mkdir()
    evolve(plan.evolution_used, tmp_path / "begun")
    (tmp_path / "begun" / "learned.json").unlink()
    with pytest.raises(ConfigError, match="got no learned space"):
        LoopPlan.after(tmp_path / "begun", about)
    with pytest.raises(ConfigError, match=r"evolved: got .*none, expected the folder of an evolution that has ended"):
        LoopPlan.after(tmp_path / "none", about)
    with pytest.raises(ConfigError, match="got a folder and settings of a new evolution"):
        LoopPlan.after(closed.path / "evolution", {"evolution": CHANCE})


def test_a_folder_holds_one_loop(plan: LoopPlan, closed: LoopFiles) -> None:
    before = content(closed)
    with pytest.raises(ConfigError, match="got a loop with num_built 3, expected 4 as asked; name another folder"):
        close_loop(replace(plan, num_built=4), closed)
    close_loop(plan, closed)
    assert content(closed) == before and closed.plan == plan


def test_evaluations_that_fail(plan: LoopPlan, tmp_path: Path) -> None:
    """One that fails is counted and left out; where too few are left, the first reason is said and nothing is trained."""
    files = LoopFiles(tmp_path / "some")
    files.begin(plan)
    about = {"evaluator": plan.evaluator, "seconds": 1.0}
    archs = [{"cells": [str(number)]} for number in range(4)]
    lines = [{"arch": archs[n], "seed": 0, "accuracy_pct": 60.0 + n, **about, "state": "finished"} for n in range(2)]
    lines += [{"arch": archs[2], "seed": 0, **about, "state": "failed", "error": "no such luck"}]
    lines += [{"arch": archs[3], "seed": 0, "loss": 0.1, **about, "state": "finished"}]
    files.results(LEARNED, "sampled").append(lines)
    (one,) = stages_table(files, plan, plan.aim()).to_dict("records")
    assert (one["num"], one["failed"], one["mean"], one["best"], one["spent"]) == (4, 2, 60.5, 61.0, 8)
    assert np.isnan(one["again"]) and loop_summary(files, plan, plan.aim())["best"] is None
    hopeless = replace(plan, evaluator=planted(tmp_path, "True"))
    with pytest.raises(EvaluationError, match=r"learned space: got 0 of 16 evaluations, expected at least 10; .*no such luck"):
        close_loop(hopeless, LoopFiles(tmp_path / "none"))
    assert not (tmp_path / "none" / "learned" / "run").exists()


def test_the_multiply_adds_are_a_filter() -> None:
    space = load_space(spec_of(CellLists((MBCONVS,) * 5, SKELETONS["pairs"], 0.6)))
    (arch,) = draw(space, 1, np.random.default_rng(0))
    assert madds_within_budget(arch) == pytest.approx(0.6, rel=TOLERANCE)
    assert madds_within_budget({**arch, "madds_m": 1e-5}) is None, "no widths are so narrow"
    assert madds_within_budget({**arch, "madds_m": None}) == pytest.approx(api_cost(arch["cells"]), rel=1e-6)
    drawn = draw(space, 200, np.random.default_rng(0))
    assert len({json.dumps(one) for one in drawn}) == 200
    few = load_space(spec_of(CellLists((MBCONVS[:2],) * 5, SKELETONS["pairs"], 0.6)))
    with pytest.raises(ConfigError, match="draws found 32 networks within the budget, expected 33 to evaluate; ask for fewer"):
        draw(few, 33, np.random.default_rng(0))


def api_cost(cells: list[str]) -> float:
    """The multiply-adds in millions that the network itself has."""
    from autobuild_core.evaluators import Conditions, Watch, load_evaluator

    arch = {"skeleton": "pairs", "cells": cells}
    return load_evaluator("cost").evaluate(arch, Conditions(0, 0), Watch()).metrics["madds_m"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"num_sampled": 9}, "num_sampled: got 9, expected a whole number of at least 10"),
        ({"charged": -1}, "charged: got -1, expected a whole number of at least 0"),
        ({"max_lr": 0}, "max_lr: got 0, expected above 0 and below 1"),
        ({"device": "tpu"}, "device: got 'tpu', expected cpu or cuda"),
        ({"evaluator": "nobody"}, "nobody"),
        ({"target": "speed"}, "speed"),
        ({"evolution": {"madds_m": 1e-6}}, "madds_m: got 1e-06, which these cells cannot meet"),
        ({"evolution": {"nonsense": 1}}, "evolution: got the setting nonsense"),
        ({"nonsense": 1}, "closed loop: got the setting nonsense, expected some of budget, charged"),
    ],
)
def test_what_cannot_be_asked(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(Exception, match=said) as caught:
        LoopPlan.read(settings)
    assert type(caught.value).__name__ in ("ConfigError", "TargetError")


def test_an_evaluator_that_measures_no_networks_of_cells(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="evaluator: got segmentation, which does not measure these networks"):
        close_loop(LoopPlan(evaluator="segmentation"), LoopFiles(tmp_path / "loop"))
    assert not (tmp_path / "loop").exists(), "nothing was evolved for it"


def test_a_space_of_a_loop_is_kept_beside_the_other_runs(plan: LoopPlan, closed: LoopFiles, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "work")
    run_id = keep(closed, LEARNED, "Mine", workspace)
    assert keep(closed, LEARNED, "Mine", workspace) == run_id, "once"
    run = workspace.runs().iloc[0]
    assert (run["id"], run["name"], run["state"], bool(run["has_scores"])) == (run_id, "Mine: learned space", "finished", True)
    data = workspace.datasets().sort_values("version")
    assert data["version"].tolist() == [1, 2] and data["num_rows"].tolist() == [16, 19]
    assert data["hash"].iloc[0] == run["data_hash"] and data["run"].iloc[1] == run_id
    assert workspace.run(run_id).config.id == run_id
    assert len(api.Run(workspace.run(run_id).path).scores()) > 30


def test_results_are_read_as_data_of_the_learned_space(closed: LoopFiles) -> None:
    table = read_table(closed.results(LEARNED, "sampled").path)
    assert table.spec.name == "autospace" and len(table) == 16 and "accuracy_pct" in table.metrics
