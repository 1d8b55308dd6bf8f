"""Evolutions: populations and their rules, generations that are saved, and one that goes on as if it had never been stopped."""

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
from autobuild_core.autospace import EvolutionFolder, EvolutionPlan, evolve, make_plan, read_learned, summary
from autobuild_core.autospace.population import AT_RANDOM, FROM_REFERENCE, Member, Population, changes, mutate
from autobuild_core.errors import Cancelled, ConfigError
from autobuild_core.registry import ROOT
from autobuild_core.spaces._cells import REFERENCE, SUPPORTS, Cell, canonical, mbconv, network
from autobuild_core.store.tables import alone
from tests.unit.jobs.test_executor import until

SUPPORT = SUPPORTS["published"]
SMALL = EvolutionPlan(generations=4, warming=0, steps=2, batch=8, population=6, madds_m=0.2)
CHANCE = EvolutionPlan(generations=12, fitness="random")


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def files(folder: Path) -> dict[str, bytes]:
    """The bytes of an evolution's files, its lines without the seconds."""
    lines = [json.loads(line) for line in (folder / "evolution.jsonl").read_text().splitlines()]
    for line in lines:
        line.pop("seconds", None)
    return {
        "lines": json.dumps(lines).encode(),
        "state": (folder / "state.safetensors").read_bytes(),
        "learned": (folder / "learned.json").read_bytes(),
    }


@pytest.fixture(scope="module")
def evolved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small evolution, unbroken."""
    folder = tmp_path_factory.mktemp("unbroken")
    evolve(SMALL, folder)
    return folder


class TestPopulation:
    def test_it_begins_with_the_reference_cells_and_random_ones(self) -> None:
        population = Population.first(EvolutionPlan(), 0, rng())
        kinds = [member.mutation for member in population.members]
        assert kinds == [FROM_REFERENCE] * 3 + [AT_RANDOM] * 9
        assert tuple(member.cell for member in population.members[:3]) == REFERENCE
        assert len({network(member.cell, 2) for member in population.members}) == 12
        without = Population.first(EvolutionPlan(references=False), 0, rng())
        assert {member.mutation for member in without.members} == {AT_RANDOM} and len(without.members) == 12

    def test_a_small_support_makes_a_small_population(self) -> None:
        edges = {"0>1": [5], "0>2": [1], "1>2": [2], "0>3": [1], "1>3": [1], "2>3": [2]}
        plan = EvolutionPlan(support={"edges": edges, "expansions": [0, 1]}, references=False)
        population = Population.first(plan, 1, rng())
        assert len(population.members) == 2
        assert population.born(plan, 1, rng()).members == population.members, "no neighbour is new"

    @pytest.mark.parametrize("stride", [1, 2])
    def test_mutations_are_local_new_and_in_the_support(self, stride: int) -> None:
        cell, met = mbconv(3, 3), {canonical(mbconv(3, 3), stride)}
        for seed in range(60):
            found = mutate(cell, SUPPORT, stride, met, rng(seed))
            if found is None:
                break
            child, words = found
            assert child in SUPPORT and network(child, stride) not in {network(one, stride) for one in met}
            assert words.split(":")[0] in ("0>1", "0>2", "1>2", "1>3", "2>3") or words.startswith("expansion 3 to ")
            met.add(canonical(child, stride))
        else:
            pytest.fail("the neighbours of a cell come to an end")
        near = {canonical(other, stride) for other, _ in changes(cell, SUPPORT)}
        assert met == near | {canonical(cell, stride)}, "every neighbour was found"

    def test_children_take_over_the_fitness_of_the_winner_of_a_tournament(self) -> None:
        plan = EvolutionPlan(tournament=12, children=2, warming=0)
        population = Population.first(plan, 1, rng())
        fit = replace(population, members=tuple(replace(m, fitness=float(m.number == 5)) for m in population.members))
        children = fit.born(plan, 1, rng()).members[12:]
        assert [(child.number, child.parent, child.fitness, child.born) for child in children] == [
            (12, 5, 1.0, 1),
            (13, 5, 1.0, 1),
        ]

    def test_who_runs(self) -> None:
        plan = EvolutionPlan(generations=8, warming=0.25, settling=0.5, parallel=4, children=2)
        first = Population.first(plan, 1, rng())
        assert [first.born(plan, generation, rng()) == first for generation in (1, 2, 3, 4, 5)] == [
            True,
            True,
            False,
            False,
            True,
        ]
        grown = first.born(plan, 3, rng())
        ran = grown.drawn(plan, 3, rng())
        assert len({member.number for member in ran}) == 4 and {12, 13} <= {member.number for member in ran}
        seen = replace(grown, members=tuple(replace(m, seen=int(m.number > 3)) for m in grown.members))
        for generation in (1, 5):
            least = [member.number for member in seen.drawn(plan, generation, rng())]
            assert least == [0, 1, 2, 3], "those seen least run while nothing is mutated"

    def test_a_fitness_is_a_mean_then_a_moving_average_above_the_level_of_those_that_ran(self) -> None:
        plan = EvolutionPlan(momentum=0.25)
        population = Population(1, tuple(Member(n, cell, AT_RANDOM) for n, cell in enumerate(REFERENCE)), 3, frozenset())
        for alphas, expected in (
            ((1.0, -1.0), [1.0, -1.0, 0.0]),
            ((3.0, 1.0), [1.0, -1.0, 0.0]),
            ((0.0, 0.0), [2 / 3, -2 / 3, 0]),
        ):
            population = population.told(plan, population.members[:2], alphas)
            assert [member.fitness for member in population.members] == pytest.approx(expected)
        assert [member.seen for member in population.members] == [3, 3, 0]
        fit = replace(population, members=tuple(replace(m, fitness=5.0, seen=9) for m in population.members))
        told = fit.told(plan, fit.members[:2], (0.4, -0.4))
        assert told.members[0].fitness == pytest.approx(5.0 + 0.25 * 0.4), "who beats the fit is fitter than who beats the unfit"

    def test_the_least_fit_leave_and_reference_cells_only_later(self) -> None:
        plan = EvolutionPlan(generations=10, guarded=0.5, population=4, parallel=4, children=1)
        cells = [*REFERENCE, *[cell for cell in sorted(SUPPORT.cells()) if cell not in REFERENCE][:3]]
        kinds = [FROM_REFERENCE] * 3 + [AT_RANDOM] * 3
        members = tuple(Member(n, cell, kinds[n], fitness=float(n), seen=1) for n, cell in enumerate(cells))
        population = Population(1, members, 6, frozenset(cells))
        kept, left = population.reduced(plan, 5)
        assert [m.number for m in left] == [3, 4] and [m.number for m in kept.members] == [0, 1, 2, 5]
        kept, left = population.reduced(plan, 6)
        assert [m.number for m in left] == [0, 1]
        assert [m.number for m in population.best(2)] == [5, 4], "the best are counted without the reference cells"

    def test_it_may_begin_with_given_cells(self) -> None:
        cells = [mbconv(3, expansion) for expansion in (1, 3, 6)] + [REFERENCE[0]]
        plan = EvolutionPlan(start=[[cell.text for cell in [*cells, cells[0]]]] * 5)
        population = Population.first(plan, 1, rng())
        assert [member.cell for member in population.members] == cells, "each network once"
        assert {member.mutation for member in population.members} == {"given"}
        assert EvolutionPlan(**json.loads(json.dumps(plan.to_json()))).start_used == plan.start_used
        assert "start" not in EvolutionPlan().to_json()


class TestEvolution:
    def test_every_generation_is_a_line(self, evolved: Path) -> None:
        lines = EvolutionFolder(evolved).lines()
        assert [line["generation"] for line in lines] == [0, 1, 2, 3, 4]
        assert all(0.2 < line["loss"] < 1 and line["madds_m"] > 0 and line["seconds"] > 0 for line in lines[1:])
        for layer in range(5):
            alive = {number for number, _, _ in lines[0]["layers"][layer]["alive"]}
            assert len(alive) == 6
            for line in lines[1:]:
                own = line["layers"][layer]
                alive |= {member["number"] for member in own["entered"]}
                assert {number for number, _ in own["ran"]} <= alive and len(own["ran"]) == 4
                assert sum(alpha for _, alpha in own["ran"]) == pytest.approx(0, abs=1e-3)
                alive -= {number for number, _ in own["left"]}
                assert alive == {number for number, _, _ in own["alive"]} and len(alive) == 6

    def test_the_learned_space_has_the_kept_cells_and_the_reference_cells(self, evolved: Path) -> None:
        space = read_learned(EvolutionFolder(evolved))
        last = EvolutionFolder(evolved).lines()[-1]
        for number, cells in enumerate(space.layers):
            assert cells[-3:] == REFERENCE and not set(cells[:-3]) & set(REFERENCE)
            own = last["layers"][number]["alive"]
            assert len(cells) - 3 == min(SMALL.kept, sum(n > 2 for n, _, _ in own))
        assert (space.madds_m, space.skeleton.named) == (0.2, "pairs")
        written = json.loads((evolved / "learned.json").read_text())
        assert written["name"] == "SuperProxylessNASNets" and written["blocks"][0][-1] == REFERENCE[-1].written

    @pytest.mark.parametrize("steps", [1, 3, 5])
    def test_cancelled_and_gone_on_it_is_the_same_to_the_bit(self, steps: int, evolved: Path, tmp_path: Path) -> None:
        asked = 0

        def should_stop() -> bool:
            nonlocal asked
            asked += 1
            return asked > steps

        with pytest.raises(Cancelled):
            evolve(SMALL, tmp_path, should_stop=should_stop)
        assert summary(EvolutionFolder(tmp_path))["generations"] == steps // SMALL.steps
        records: list[Mapping[str, Any]] = []
        evolve(SMALL, tmp_path, records.append)
        assert [record["step"] for record in records] == list(range(1 + steps // SMALL.steps, 5))
        assert files(tmp_path) == files(evolved)

    def test_a_worker_that_is_killed_loses_its_generation_and_nothing_else(self, evolved: Path, tmp_path: Path) -> None:
        code = "import json, sys; from autobuild_core.autospace import evolve, make_plan\n"
        code += "evolve(make_plan(json.loads(sys.argv[1])), sys.argv[2])"
        command = [sys.executable, "-c", code, json.dumps(SMALL.to_json()), str(tmp_path)]
        lines = tmp_path / "evolution.jsonl"
        process = subprocess.Popen(command, cwd=ROOT)
        until(lambda: process.poll() is not None or (lines.exists() and lines.read_bytes().count(b"\n") >= 3), 120)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        with lines.open("ab") as file:
            file.write(b'{"generation": 9, "lay')  # as if it had been killed while it wrote
        evolve(SMALL, tmp_path)
        assert files(tmp_path) == files(evolved)

    def test_an_evolution_that_has_ended_is_left_as_it_is(self, evolved: Path) -> None:
        before = files(evolved)
        assert evolve(SMALL, evolved)["generations"] == 4 and files(evolved) == before

    def test_one_that_ended_needs_no_state_and_one_that_did_not_does(self, evolved: Path, tmp_path: Path) -> None:
        for name in ("evolution.jsonl", "learned.json"):
            shutil.copy(evolved / name, tmp_path)
        before = (tmp_path / "evolution.jsonl").read_bytes()
        assert evolve(SMALL, tmp_path)["generations"] == 4 and (tmp_path / "evolution.jsonl").read_bytes() == before
        with pytest.raises(ConfigError, match="got an evolution with seed 0, expected 1; name another folder"):
            evolve(replace(SMALL, seed=1), tmp_path)
        (tmp_path / "learned.json").unlink()
        with pytest.raises(
            ConfigError, match=r"got 4 generations without state\.safetensors, expected both; name another folder"
        ):
            evolve(SMALL, tmp_path)
        assert (tmp_path / "evolution.jsonl").read_bytes() == before
        (tmp_path / "evolution.jsonl").write_bytes(
            b"".join(before.splitlines(keepends=True)[:2])
        )  # killed before its first state
        evolve(SMALL, tmp_path)
        assert files(tmp_path) == files(evolved)

    def test_two_processes_do_not_evolve_in_one_folder(self, tmp_path: Path) -> None:
        with alone(tmp_path), pytest.raises(ConfigError, match="got another process at work in it, expected none"):
            evolve(CHANCE, tmp_path)
        assert not list(tmp_path.iterdir()) and evolve(CHANCE, tmp_path)["generations"] == 12

    def test_reference_cells_may_be_left_out_of_the_learned_space(self, tmp_path: Path) -> None:
        evolve(CHANCE, tmp_path / "with")
        evolve(replace(CHANCE, keep_references=False), tmp_path / "without")
        whole, cells = (read_learned(EvolutionFolder(tmp_path / name)).layers for name in ("with", "without"))
        assert whole == tuple((*own, *REFERENCE) for own in cells)
        lines = [EvolutionFolder(tmp_path / name).lines()[0] for name in ("with", "without")]
        assert "keep_references" not in lines[0]["plan"] and lines[1]["plan"]["keep_references"] is False

    def test_another_evolution_is_refused(self, evolved: Path) -> None:
        with pytest.raises(ConfigError, match=r"got an evolution with price 0\.035, expected 0\.1; name another folder"):
            evolve(replace(SMALL, price=0.1), evolved)

    def test_a_state_of_another_version_and_a_damaged_one_are_refused(self, evolved: Path, tmp_path: Path) -> None:
        for name, content in files(evolved).items():
            (tmp_path / {"lines": "evolution.jsonl", "state": "state.safetensors", "learned": "learned.json"}[name]).write_bytes(
                content
            )
        state = tmp_path / "state.safetensors"
        state.write_bytes(state.read_bytes().replace(b'{\\"version\\": 1,', b'{\\"version\\": 2,', 1))
        with pytest.raises(ConfigError, match=r"state.safetensors: got an evolution of version 2, expected 1; evolve anew"):
            evolve(SMALL, tmp_path)
        state.write_bytes(state.read_bytes()[:100])
        with pytest.raises(ConfigError, match="got a damaged file"):
            evolve(SMALL, tmp_path)

    def test_random_fitness_needs_no_supernet(self, tmp_path: Path) -> None:
        found = evolve(CHANCE, tmp_path / "one")
        assert found["generations"] == 12 and found["loss"] is None and found["num_cells"] == 5 * (12 + 2 * 7)
        again = evolve(CHANCE, tmp_path / "other")
        assert {**found, "seconds": 0, "learned": 0} == {**again, "seconds": 0, "learned": 0}
        other = [read_learned(EvolutionFolder(tmp_path / name)) for name in ("one", "other")]
        assert other[0] == other[1]
        evolve(replace(CHANCE, seed=1), tmp_path / "seed")
        assert read_learned(EvolutionFolder(tmp_path / "seed")) != other[0]

    def test_it_ends_early_when_the_kept_cells_stay_the_same(self, tmp_path: Path) -> None:
        plan = replace(CHANCE, patience=2, children=0, generations=60, population=4, references=False, momentum=0.0)
        found = evolve(plan, tmp_path)
        assert found["generations"] < 60
        assert "stayed the same for 2 generations" in json.loads((tmp_path / "learned.json").read_text())["ended"]

    def test_a_high_price_makes_cheap_cells_fit(self, tmp_path: Path) -> None:
        """With the loss drowned by the price, what is left of a layer's fitness is the order of multiply-adds."""
        plan = EvolutionPlan(generations=6, steps=4, batch=8, price=1000.0, children=0, population=6, parallel=6, madds_m=0.2)
        evolve(plan, tmp_path)
        lines, skeleton = EvolutionFolder(tmp_path).lines(), plan.skeleton_used
        for number, layer in enumerate(lines[-1]["layers"]):
            cells = {m["number"]: Cell.read(m["cell"]) for m in lines[0]["layers"][number]["entered"]}
            fitness = {n: fitness for n, fitness, _ in layer["alive"]}
            cost = {n: skeleton.layer_cost(number, cell).madds for n, cell in cells.items()}
            assert min(cost, key=lambda n: cost[n]) == max(fitness, key=lambda n: fitness[n])
            assert max(cost, key=lambda n: cost[n]) == min(fitness, key=lambda n: fitness[n])


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"madds_m": 1e-5}, "madds_m: got 1e-05, which these cells cannot meet"),
        ({"madds_m": 0.052}, "madds_m: got 0.052, which these cells cannot meet; expected 0.055 to"),
        ({"warming": 0.6, "settling": 0.6}, "warming, settling: got 0.6 and 0.6 of the generations, expected 1 together at most"),
        ({"keep_references": "no"}, "keep_references: got 'no', expected true or false"),
        ({"children": 4}, "children: got 4 of 4 cells that run"),
        ({"population": 3}, "population: got 3, expected at least 4"),
        ({"generations": 0}, "generations: got 0"),
        ({"steps": 1.5}, "steps: got 1.5"),
        ({"momentum": 2}, "momentum: got 2"),
        ({"lr": 0}, "lr: got 0"),
        ({"price": -1}, "price: got -1"),
        ({"fitness": "luck"}, "fitness: got 'luck', expected one of alpha, random"),
        ({"skeleton": "small"}, "skeleton: got 'small'"),
        ({"support": "small"}, "support: got 'small'"),
        ({"colour": 3}, "got the setting colour, expected some of alpha_lr"),
        ({"momentum": "much"}, "expected values of another kind"),
        ({"start": [[REFERENCE[0].text] * 4] * 2}, "start: got cells of 2 layers, expected 5"),
        ({"start": [["[]"] * 4] * 5}, "start: cell: got"),
        ({"start": [[mbconv(7, 1).text] * 4] * 5}, "start, layer 1: got 4 cells, expected at least 4 of the support"),
    ],
)
def test_settings_that_do_not_do(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make_plan(settings)
    assert said in str(caught.value)


def test_from_a_notebook(tmp_path: Path) -> None:
    frame = api.evolve(tmp_path, generations=2, fitness="random", seed=4)
    assert list(frame.columns) == ["layer", "cell", "written", "madds_k", "params_k"] and len(frame) == 5 * 9
    assert frame.groupby("layer")["written"].nunique().tolist() == [9] * 5
    assert frame.equals(api.evolve(tmp_path)), "without settings it is the one that is there"
    with pytest.raises(ConfigError, match="got the setting colour"):
        api.evolve(tmp_path, colour=1)


def test_a_skeleton_for_other_images_cannot_be_trained(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="got one for images of 3 x 224 x 224"):
        evolve(EvolutionPlan(skeleton="published", madds_m=340.0), tmp_path)
