"""The closed loop: what each stage leaves, that it goes on wherever it was stopped or killed, what is charged and said."""

import json
import os
import shutil
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
from autobuild_core.cli import main
from autobuild_core.datasets import read_table
from autobuild_core.errors import Cancelled, ConfigError, EvaluationError
from autobuild_core.evaluators._results import ResultsFile, key_of
from autobuild_core.jobs.kinds.loop import closing
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
from autobuild_core.store.tables import alone
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
    """Stopped as soon as each of its stages begins, and in the middle of every batch, it comes to the same.

    Building takes seconds and is not asked: it is over when the loop stops.
    """
    files, stops = LoopFiles(tmp_path / "stopped"), 0
    batches = [files.results(space, stage) for space in SPACES for stage in ("sampled", "built")] + [files.again]
    middles = [
        lambda at=at, results=results: len(results.read()) >= at for results, at in zip(batches, (8, 2, 9, 2, 3), strict=True)
    ]
    heard: list[Mapping[str, Any]] = []
    begins = [lambda at=at: heard[-1]["step"] >= at for at in range(1, 11)]
    order = [
        *begins[:2],
        middles[0],
        *begins[2:5],
        middles[1],
        begins[5],
        middles[2],
        *begins[6:9],
        middles[3],
        begins[9],
        middles[4],
    ]
    for should_stop in order:
        heard.clear()
        with pytest.raises(Cancelled):
            close_loop(plan, files, heard.append, should_stop)
        stops += 1
    assert [len(results.read()) for results in batches] == [16, 3, 20, 3, 3], "the last stop was in the last batch"
    close_loop(plan, files)
    assert stops == 15 and content(files) == content(closed)


def test_smaller_targets_and_a_dear_evolution(plan: LoopPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A target that is minimised; the hand-made space gets no more evaluations than it has networks, some left to build."""
    monkeypatch.setattr(LoopFiles, "evolution_seconds", 1e5)
    monkeypatch.setattr(closing, "num_networks", lambda cells: 30)
    small = replace(plan, target="100 - accuracy_pct", minimize=True, charged=None, num_built=1, num_again=1)
    found = close_loop(small, LoopFiles(tmp_path / "loop"))
    assert json.loads(json.dumps(found, allow_nan=False)) == found and found["charged"] > 1000
    assert [one["num"] for one in found["stages"]] == [16, 1, 26, 1]
    for sampled, built in (found["stages"][:2], found["stages"][2:]):
        assert sampled["best"] < sampled["mean"] and built["mean"] < sampled["mean"] and built["mean_low"] is None
    assert found["best"]["value"] == min(one["again"] for one in found["stages"])


def test_the_networks_of_a_space_are_counted() -> None:
    lists = CellLists((MBCONVS,) * 5, SKELETONS["pairs"], 0.6)
    space = load_space(spec_of(lists))
    codes = space.enumerate()
    assert codes is not None and closing.num_networks(lists) == len(np.unique(space.hash_networks(codes))) == 6**5


def test_progress_only_rises_and_counts_its_own_time(plan: LoopPlan, monkeypatch: pytest.MonkeyPatch) -> None:
    now, records = [0.0], list[Mapping[str, Any]]()
    monkeypatch.setattr(closing.time, "monotonic", lambda: now[0])
    steps = closing.Steps(replace(plan, charged=None), records.append)
    for _ in range(5):  # all of the learned space was there before
        steps.next("Known")
    assert records[-1]["seconds_left"] is None
    steps.expect_hand_made(200)
    hear = steps.next("The rest")
    hear({"share": 0.5})
    now[0] = 100.0
    hear({"share": 1.0})
    shares = [record["share"] for record in records]
    assert shares == sorted(shares) and records[-1]["seconds_left"] == pytest.approx(4 + 1 + 3 + 8), "one evaluation a second"


def test_failures_of_a_sample_too_poor_are_tried_again(tmp_path: Path) -> None:
    results = ResultsFile(tmp_path / "sampled.jsonl")
    states = ["finished"] * 9 + ["failed", "diverged", "failed"]
    results.append({"arch": n, "seed": 0, "state": state} for n, state in enumerate(states))
    closing.forget_failures(results, 13)
    assert len(results.read()) == 12, "the sample is not whole"
    closing.forget_failures(results, 12)
    assert [line["state"] for line in results.read()] == ["finished"] * 9 + ["diverged"]
    results.append([{"arch": 20, "seed": 0, "state": "finished"}, {"arch": 21, "seed": 0, "state": "failed"}])
    closing.forget_failures(results, 12)
    assert len(results.read()) == 12, "ten are enough"


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
    shutil.copy(closed.path / "evolution" / "learned.json", tmp_path / "begun")
    (tmp_path / "begun" / "evolution.jsonl").unlink()
    with pytest.raises(ConfigError, match="without its generations, expected an evolution that has ended"):
        LoopPlan.after(tmp_path / "begun", about)
    gone = replace(taken, evolved=str(tmp_path / "gone"))
    with pytest.raises(ConfigError, match="where no ended evolution is any more; start another loop"):
        close_loop(gone, LoopFiles(tmp_path / "late"))
    assert not (tmp_path / "gone").exists(), "a folder that is gone stays so"
    assert api.close_loop(closed.path, evolved=tmp_path / "gone", **about)["round"] == 4, "its own copy is enough"
    with pytest.raises(ConfigError, match=r"evolved: got .*none, expected the folder of an evolution that has ended"):
        LoopPlan.after(tmp_path / "none", about)
    with pytest.raises(ConfigError, match="got a folder and settings of a new evolution"):
        LoopPlan.after(closed.path / "evolution", {"evolution": CHANCE})


def test_a_folder_holds_one_loop(plan: LoopPlan, closed: LoopFiles) -> None:
    before = content(closed)
    with pytest.raises(ConfigError, match="got a loop with num_built 3, expected 4 as asked; name another folder"):
        close_loop(replace(plan, num_built=4), closed)
    with pytest.raises(ConfigError, match=r"got a loop with evolution\.generations 3, expected 4 as asked"):
        close_loop(replace(plan, evolution=CHANCE | {"generations": 4}), closed)
    with alone(closed.path), pytest.raises(ConfigError, match="got another process at work in it"):
        close_loop(plan, closed)
    state = closed.path / LEARNED / "run" / "state.json"
    state.write_text(state.read_text().replace("finished", "running"))  # killed behind its last file
    close_loop(plan, closed)
    assert content(closed) == before and closed.plan == plan and "finished" in state.read_text()


def test_without_settings_it_goes_on_with_its_own(closed: LoopFiles, capsys: pytest.CaptureFixture[str]) -> None:
    before = content(closed)
    for asked in (["--evolve"], []):
        assert main(["loop", str(closed.path), *asked]) == 0
        assert json.loads(capsys.readouterr().out)["round"] == 4 and content(closed) == before


def test_the_two_kinds_of_loop_are_told_apart(closed: LoopFiles, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["loop", str(closed.path), "--ask", "3"]) == 2
    assert "got a loop that evolves its space, expected one through files" in capsys.readouterr().err
    (tmp_path / "loop.json").write_text('{"target": "accuracy_pct", "minimize": false, "seed": 0}')
    assert main(["loop", str(tmp_path), "--evolve"]) == 2
    assert "got a loop through files, expected one that evolves its space" in capsys.readouterr().err


def test_a_loop_is_of_the_evolution_with_its_settings(plan: LoopPlan, closed: LoopFiles, tmp_path: Path) -> None:
    assert closed.is_of(closed.path / "evolution") and not closed.is_of(tmp_path / "none")
    evolve(replace(plan.evolution_used, seed=4), tmp_path / "other")
    assert not closed.is_of(tmp_path / "other") and LoopFiles(tmp_path / "not begun").is_of(tmp_path / "other")


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
    (files.path / LEARNED / "built.jsonl").write_text("[1]\n")
    with pytest.raises(ConfigError, match=r"built\.jsonl: got a damaged file .*, expected networks that were built"):
        files.built(LEARNED)
    (files.path / LEARNED / "built.jsonl").unlink()
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
    with pytest.raises(ConfigError, match="draws found 32 networks within the budget, expected 33 to evaluate; start a loop"):
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
        ({"evolution": {"madds_m": "abc"}}, r"evolution: got .*madds_m 'abc', expected values of another kind"),
        ({"evolution": "x"}, "evaluator, target, evolution: got values of another kind"),
        ({"evaluator": 3}, "evaluator, target, evolution: got values of another kind"),
        ({"num_built": None}, "num_built: got None, expected a whole number"),
        ({"minimize": "yes"}, "minimize: got 'yes', expected true or false"),
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
    assert data["hash"].iloc[0] == run["data_hash"]
    assert workspace.run(run_id).config.id == run_id
    assert len(api.Run(workspace.run(run_id).path).scores()) > 30
    workspace.delete_run(run_id)
    assert keep(closed, LEARNED, "Mine", workspace) != run_id
    assert len(workspace.datasets()) == 2, "the data were there"


def test_results_are_read_as_data_of_the_learned_space(closed: LoopFiles) -> None:
    table = read_table(closed.results(LEARNED, "sampled").path)
    assert table.spec.name == "autospace" and len(table) == 16 and "accuracy_pct" in table.metrics


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--evolve", "--ask", "3"), "loop: got --evolve and --ask, expected one"),
        (("--evolve", "--space", "flat"), "loop: got --evolve and --space, expected one"),
        (("--evolve", "--role", "a=choice"), "loop: got --evolve and --role, expected one"),
        (("--num-sampled", "30"), "loop: got --num-sampled without --evolve, expected both, or neither"),
        (("--evolve", "--set", "seed"), "--set: got 'seed', expected NAME=VALUE"),
        (("--evolve", "--set", "nonsense=1"), "evolution: got the setting nonsense"),
        (("--evolve", "--set", "skeleton=gone.json"), "gone.json: got a file that cannot be read"),
        (("--evolve", "--set", "madds_m=0.000001"), "madds_m: got 1e-06, which these cells cannot meet"),
        (("--evolved", "gone"), "evolved: got gone, expected the folder of an evolution that has ended"),
    ],
)
def test_what_the_command_refuses(flags: tuple[str, ...], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["loop", str(tmp_path / "loop"), *flags]) == 2
    assert said in capsys.readouterr().err and not (tmp_path / "loop").exists()
