"""Experiments about learned spaces, on a planted truth: arms, tuning, what is written before it is trained, and verdicts."""

import itertools
import json
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from autobuild_core.autospace import EvolutionPlan, evolve
from autobuild_core.benchmark import autospace
from autobuild_core.benchmark.autospace import claim, fitness, page, searching, work
from autobuild_core.benchmark.autospace.spaces_compared import Difference
from autobuild_core.benchmark.paper import ledger as ledgers
from autobuild_core.benchmark.paper.comparing import LOSES, OPEN, WINS
from autobuild_core.cli import main
from autobuild_core.errors import Cancelled, ConfigError
from autobuild_core.evaluators import Conditions, Evaluator, Measured, Watch, _searching
from autobuild_core.spaces._cells import REFERENCE, SUPPORTS, Cell
from autobuild_core.spaces._skeletons import CellNetwork

BEST_RATE = 0.006


class Fake(Evaluator):
    """Likes skips, and one learning rate; `log` has what it was asked."""

    title = "Fake"
    budget = 1
    metrics = ("recall_at_2_pct",)
    log: ClassVar[list[tuple[Any, int, int]]] = []

    def data(self) -> str:
        return "planted"

    def check(self, arch: Any) -> None:
        CellNetwork.read(arch)

    def evaluate(self, arch: Any, at: Conditions, watch: Watch) -> Measured:
        self.log.append((arch, at.seed, at.budget))
        skips = sum(Cell.read(cell).operations.count(2) for cell in arch["cells"])
        noise = random.Random(f"{arch} {at.seed}").gauss(0, 0.2)
        return Measured({"recall_at_2_pct": 50.0 + skips - 3 * (arch["max_lr"] != BEST_RATE) + noise})


@pytest.fixture(autouse=True)
def planted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measurements are planted, evolutions have random fitness: no training."""
    fake = Fake()
    monkeypatch.setattr(ledgers, "load_evaluator", lambda name: fake)
    monkeypatch.setattr(_searching, "load_evaluator", lambda name: fake)

    def quick(plan: EvolutionPlan, folder: Path, *rest: Any) -> dict[str, Any]:
        return evolve(replace(plan, fitness="random", generations=12), folder, *rest)

    for module in (work, fitness):
        monkeypatch.setattr(module, "evolve", quick)
    Fake.log.clear()


def test_the_arms_of_the_claim(tmp_path: Path) -> None:
    outcome = autospace.run(["claim"], tmp_path, work.settings())["claim"]
    records = {record["space"]: record for record in outcome.tables[0].records}
    assert list(records) == list(claim.ARMS)
    assert [record["trainings"] for record in records.values()] == [60] * 5
    assert {record["learning rate"] for record in records.values()} == {BEST_RATE}
    pilots = [(arch, seed) for arch, seed, _ in Fake.log if seed == work.PILOT_SEED]
    judged = [arch for arch, seed, _ in Fake.log if seed == work.TRAINING_SEED]
    assert len(pilots) == 5 * 3 * 5 and Counter(arch["max_lr"] for arch, _ in pilots) == dict.fromkeys(work.RATES, 25)
    assert {arch["max_lr"] for arch in judged} == {BEST_RATE} and {budget for *_, budget in Fake.log} == {work.STEPS}
    for arch in judged:
        assert CellNetwork.read(arch).cost.madds == pytest.approx(6e5, rel=0.02)
    assert len(outcome.conditions) == 1 and outcome.conditions[0]["device"] == "cpu"


def test_spaces_have_the_form_of_their_arm(tmp_path: Path) -> None:
    at_work = work.Work(ledgers.Ledger(tmp_path, work.settings()))
    learned, alone, mixed, nine, hand = (claim.space_of(at_work, arm, 0) for arm in claim.ARMS)
    for number in range(5):
        assert learned.layers[number] == (*alone.layers[number], *REFERENCE) and len(alone.layers[number]) == 6
        assert mixed.layers[number][6:] == REFERENCE and len(set(mixed.layers[number])) == 9
        assert len(set(nine.layers[number])) == 9 and not set(nine.layers[number]) & set(REFERENCE)
        assert all(cell in SUPPORTS["published"] for cell in (*mixed.layers[number], *nine.layers[number]))
        assert len(set(hand.layers[number])) == 6
    assert claim.space_of(at_work, claim.NINE, 1) != nine and claim.space_of(at_work, claim.NINE, 0) == nine


def test_what_was_drawn_and_trained_stays_whatever_the_code_draws_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = autospace.run(["claim"], tmp_path, work.settings())["claim"]
    trained = (tmp_path / "trainings.jsonl").read_bytes()
    monkeypatch.setattr(claim, "random_cells", lambda *given: pytest.fail("it was drawn before"))
    Fake.log.clear()
    again = autospace.run(["claim"], tmp_path, work.settings())["claim"]
    assert again == first and not Fake.log and (tmp_path / "trainings.jsonl").read_bytes() == trained


def test_nothing_is_trained_that_is_not_written_down(tmp_path: Path) -> None:
    """Stopped at the first training, the folder has every pick that trainings of this arm will be of."""
    with pytest.raises(Cancelled):
        autospace.run(["claim"], tmp_path, work.settings(), should_stop=lambda: (tmp_path / "trainings.jsonl").exists())
    picks = json.loads((tmp_path / "picks.json").read_text())
    lines = [json.loads(line) for line in (tmp_path / "trainings.jsonl").read_text().splitlines()]
    drawn = [arch for name, own in picks.items() if name.startswith("architectures") for arch in own]
    assert lines and all({n: v for n, v in line["arch"].items() if n != "max_lr"} in drawn for line in lines)


@pytest.mark.parametrize("name", ["budgets", "ablations"])
def test_the_other_experiments(name: str, tmp_path: Path) -> None:
    outcome = autospace.run([name], tmp_path, work.settings())[name]
    judged = [arch for arch, seed, _ in Fake.log if seed == work.TRAINING_SEED]
    assert Counter(arch["madds_m"] for arch in judged) == ({0.3: 80, 1.2: 80} if name == "budgets" else {0.6: 240})
    assert outcome.tables[0].records and outcome.verdicts


def test_the_array_has_every_pair_of_cells_once() -> None:
    array = fitness.orthogonal_array()
    assert array.shape == (81, 5) and set(array.ravel()) == set(range(9))
    for one, other in itertools.combinations(range(5), 2):
        assert len({(a, b) for a, b in array[:, [one, other]].tolist()}) == 81


def test_main_effects_are_those_that_were_planted() -> None:
    array, rng = fitness.orthogonal_array(), np.random.default_rng(0)
    planted = rng.normal(size=(5, 9))
    planted -= planted.mean(1, keepdims=True)
    values = 60 + sum(planted[layer, array[:, layer]] for layer in range(5))
    assert fitness.main_effects(array, values) == pytest.approx(planted)
    assert fitness.pooled(planted, planted) == "1.00 [1.00, 1.00]"
    assert float(fitness.pooled(rng.normal(size=(5, 9)), planted).split()[0]) == pytest.approx(0, abs=0.4)


def test_fitness_is_set_against_main_effects(tmp_path: Path) -> None:
    outcome = autospace.run(["fitness"], tmp_path, work.settings())["fitness"]
    picks = json.loads((tmp_path / "picks.json").read_text())
    chosen = picks["cells of the orthogonal array"]
    assert [[one["kind"] for one in own] for own in chosen] == [["final"] * 3 + ["middle"] * 3 + ["eliminated"] * 3] * 5
    assert all(len({one["written"] for one in own}) == 9 for own in chosen)
    own = [one["fitness"] for one in chosen[0]]
    assert min(own[:3]) >= max(own[3:6])
    truth, ceiling, kinds = outcome.tables
    assert [record["order of"] for record in truth.records] == [fitness.FITNESS, fitness.AGAIN, fitness.MADDS, fitness.AGE]
    assert len(ceiling.records) == 1 and sum(r["mean main effect (points)"] for r in kinds.records) == pytest.approx(0, abs=1e-6)
    trained = [arch for arch, seed, _ in Fake.log if seed == work.TRAINING_SEED]
    assert len(trained) == 81


def test_searches_are_judged_on_unseen_seeds(tmp_path: Path) -> None:
    outcome = autospace.run(["search"], tmp_path, work.settings())["search"]
    records = {record["space"]: record for record in outcome.tables[0].records}
    assert list(records) == [*searching.ARMS, f"{claim.LEARNED}: {searching.GRADIENT}"]
    searches = list((tmp_path / "searches").glob("*.jsonl"))
    assert len(searches) == 18 and all(path.read_text().count("\n") == 40 for path in searches)
    line = json.loads(searches[0].read_text().splitlines()[0])
    assert line["seed"] == searching.EVALUATION_SEED and line["arch"]["max_lr"] == BEST_RATE
    hand = [path for path in searches if path.name.startswith("hand-made")]
    trained = [[json.loads(one)["recall_at_2_pct"] for one in path.read_text().splitlines()] for path in hand]
    for num in searching.CHECKPOINTS:
        seen = np.mean([max(own[:num]) for own in trained])
        assert records["hand-made"][f"best of {num} as it seemed"] == pytest.approx(seen)
    seeds = {seed for _, seed, _ in Fake.log}
    assert seeds == {work.PILOT_SEED, work.TRAINING_SEED, searching.EVALUATION_SEED, *ledgers.UNSEEN_SEEDS}
    assert len(outcome.verdicts) == 3


def test_the_best_of_so_many_at_random_follows_from_order_statistics() -> None:
    values = [1.0, 2.0, 3.0, 4.0]
    assert searching.best_of_random(values, 1) == pytest.approx(2.5)
    pairs = [max(pair) for pair in itertools.product(values, repeat=2)]
    assert searching.best_of_random(values, 2) == pytest.approx(np.mean(pairs))


def test_differences_and_their_verdicts() -> None:
    apart = Difference.of([3.0, 3.1, 2.9, 3.2, 3.0, 2.8], [1.0, 1.1, 0.9, 1.2, 1.0, 0.8])
    assert apart.mean == pytest.approx(2) and apart.low > 1.7 and apart.p == pytest.approx(1 / 924)
    assert apart.verdict("a less b").outcome == WINS and "permutation p = 0.001" in apart.verdict("a less b").text
    assert Difference.of([1.0, 1.1, 0.9], [3.0, 3.1, 2.9]).verdict("a less b").outcome == LOSES
    noisy = Difference.of(np.random.default_rng(0).normal(size=6).tolist(), [0.0] * 5 + [float("nan"), 0.1], permute=False)
    assert noisy.verdict("a less b").outcome == OPEN and np.isnan(noisy.p)


def test_the_page_keeps_what_a_person_wrote(tmp_path: Path) -> None:
    outcomes = autospace.run(["budgets"], tmp_path / "out", work.settings())
    path = tmp_path / "autospace.md"
    path.write_text("# AutoSpace\n\nWords.\n\n## Measured\n\nold numbers\n", encoding="utf-8")
    text = page.measured(outcomes, "a command", path)
    assert text.startswith("# AutoSpace\n\nWords.\n\n## Measured\n\nMade by `a command`") and "old numbers" not in text
    assert "#### Budgets" in text and "Interaction" in text


def test_the_command_writes_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["benchmark", "--autospace", "ablations", "--out", str(tmp_path / "out"), "--out-md", str(tmp_path / "page.md")]
    assert main(asked) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["ablations"]["verdicts"] and "## Measured" in (tmp_path / "page.md").read_text()
    assert main(["benchmark", "--autospace"]) == 2
    with pytest.raises(ConfigError, match="experiment: got 'luck'"):
        autospace.run(["luck"], tmp_path, work.settings())
