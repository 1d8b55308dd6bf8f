"""The papers' experiments, on planted truths that a fake evaluator measures: what is charged, unseen, kept and said."""

import itertools
import json
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import spearmanr, t

from autobuild_core.benchmark import paper
from autobuild_core.benchmark.paper import arms, diffusion, hops
from autobuild_core.benchmark.paper import ledger as ledgers
from autobuild_core.benchmark.paper.arms import EVALUATED, EVOLUTION, NAMES, OURS, PUBLISHED
from autobuild_core.benchmark.paper.building import Build, Building
from autobuild_core.benchmark.paper.comparing import LOSES, OPEN, WINS, Verdict, verdict
from autobuild_core.benchmark.paper.labels import read_sample
from autobuild_core.benchmark.paper.ledger import UNSEEN_SEEDS, Ledger, Settings
from autobuild_core.benchmark.paper.outcome import Outcome, Table
from autobuild_core.benchmark.paper.page import markdown
from autobuild_core.cli import main
from autobuild_core.errors import Cancelled, ConfigError
from autobuild_core.evaluators import Conditions, Evaluator, Measured, Watch
from autobuild_core.jobs.kinds.train import pipeline
from autobuild_core.predictor import published
from autobuild_core.scoring.intervals import Mean
from autobuild_core.spaces import space_named
from autobuild_core.targets.aim import Aim

MACRO = space_named("nas_bench_macro")
AIMS = (Aim("loss", minimize=True, name="loss"), Aim("map_pct / latency_cpu_ms", name="speed"))


def measured(arch: Any, seed: int) -> dict[str, float]:
    """A planted truth with the noise of a seed."""
    layers = arch.values() if isinstance(arch, dict) else map(int, arch)
    worth = sum(layer * place for place, layer in enumerate(layers, 1)) / 10
    noise = random.Random(f"{arch} {seed}").gauss(0, 0.05)
    return {"loss": 10 - worth + noise, "map_pct": 50 + 10 * worth - noise}


class Fake(Evaluator):
    """Says the planted truth; `log` has what it was asked."""

    title = "Fake"
    budget = 1
    log: ClassVar[list[tuple[str, int]]] = []

    def data(self) -> str:
        return "planted"

    def check(self, arch: Any) -> None:
        pass

    def evaluate(self, arch: Any, at: Conditions, watch: Watch) -> Measured:
        watch.step()
        self.log.append((str(arch), at.seed))
        return Measured(measured(arch, at.seed))


class Clock(Fake):
    """Says a planted latency."""

    title = "Clock"

    def evaluate(self, arch: Any, at: Conditions, watch: Watch) -> Measured:
        return Measured({"latency_ms": 2.0 + sum(map(int, arch))}, remark="the clock is planted")


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Fake evaluators, and trainings without what comes after the scores."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledgers, "load_evaluator", lambda name: {"fake": Fake, "clock": Clock}[name]())
        patch.setattr(pipeline, "write_report", lambda *_: {})
        patch.setattr(pipeline, "write_map", lambda *_: None)
        yield


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of samples: 24 networks of NAS-Bench-Macro with two seeds each."""
    folder = tmp_path_factory.mktemp("world")
    codes = MACRO.sample(60, np.random.default_rng(3))
    first = np.sort(np.unique(MACRO.hash_networks(codes), return_index=True)[1])[:24]
    archs = [MACRO.native(row) for row in codes[first]]
    rows = [
        {"arch": arch, "seed": seed} | measured(arch, seed) | {"latency_cpu_ms": 4.0 + 2 * sum(map(int, arch))}
        for arch in archs
        for seed in (0, 1)
    ]
    pd.DataFrame(rows).to_csv(folder / "labels.csv", index=False)
    return folder


def plan() -> Building:
    """The experiment that builds, on the planted truth."""
    how: dict[str, Any] = {"aims": AIMS, "arms": (OURS, PUBLISHED, EVOLUTION)}
    how |= {"latency": "clock", "latency_metric": "latency_cpu_ms"}
    return Building("building", "Built", "About.", "labels.csv", "fake", **how)


def settings_in(world: Path) -> Settings:
    """The fewest trainings."""
    return Settings(world, draws=2, seeds=2, members=2, steps=4, epochs=1)


def lines_of(path: Path) -> list[dict[str, Any]]:
    """The lines of a file of results."""
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def built(world: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    """A whole experiment that builds: its folder and its outcome."""
    folder = tmp_path_factory.mktemp("built") / "building"
    return folder, plan().run(Ledger(folder, settings_in(world)))


def untouched(*_: Any) -> Any:
    raise AssertionError("chosen anew")


class TestBuilding:
    def test_every_arm_is_charged_its_labels_and_its_ten(self, built: tuple[Path, Outcome]) -> None:
        for table in built[1].tables[: len(AIMS)]:
            charged = {record["arm"]: record["trainings"] for record in table.records}
            assert charged == {NAMES[arm]: 58 for arm in (OURS, PUBLISHED, EVOLUTION)} | {NAMES[EVALUATED]: 48}
            assert {record["judged"] for record in table.records} == {len(UNSEEN_SEEDS)}

    def test_ten_new_networks_an_arm(self, world: Path, built: tuple[Path, Outcome]) -> None:
        picks = json.loads((built[0] / "picks.json").read_text())
        known = {str(arch).zfill(8) for arch in pd.read_csv(world / "labels.csv", dtype={"arch": str})["arch"]}
        for aim in AIMS:
            tens = [picks[f"{aim.name}, {arm}, built"] for arm in (OURS, PUBLISHED)]
            tens.append([picks[f"{aim.name}, {EVOLUTION}, visits {n}"][-1] for n in range(1, 11)])
            for ten in tens:
                codes = np.array([MACRO.parse(arch) for arch in ten], np.int16)
                old = np.array([MACRO.parse(arch) for arch in known], np.int16)
                assert len(set(MACRO.hash_networks(codes))) == 10
                assert not np.isin(MACRO.hash_networks(codes), MACRO.hash_networks(old)).any()

    def test_the_seeds_that_judge_are_unseen(self, world: Path, built: tuple[Path, Outcome]) -> None:
        labels = set(pd.read_csv(world / "labels.csv")["seed"])
        chosen = {line["seed"] for line in lines_of(built[0] / "selection.jsonl")}
        judged = {line["seed"] for line in lines_of(built[0] / "unseen.jsonl")}
        assert judged == set(UNSEEN_SEEDS) and not judged & (labels | chosen)

    def test_the_best_of_the_ten_is_the_pick(self, built: tuple[Path, Outcome]) -> None:
        picks = json.loads((built[0] / "picks.json").read_text())
        ten = picks[f"loss, {OURS}, built"]
        assert picks[f"loss, {OURS}, final"] == min(ten, key=lambda arch: measured(arch, 0)["loss"])
        ten = picks[f"speed, {PUBLISHED}, built"]
        speed = {arch: measured(arch, 0)["map_pct"] / (2 + sum(map(int, arch))) for arch in ten}
        assert picks[f"speed, {PUBLISHED}, final"] == max(speed, key=speed.__getitem__)

    def test_numbers_are_those_of_a_hand(self, built: tuple[Path, Outcome]) -> None:
        picks = json.loads((built[0] / "picks.json").read_text())
        loss, speed = ({record["arm"]: record for record in table.records} for table in built[1].tables[: len(AIMS)])

        def of(name: str, arm: str) -> np.ndarray:
            arch = picks[f"{name}, {arm}, final"]
            found = [measured(arch, seed) for seed in UNSEEN_SEEDS]
            each = 2 + sum(map(int, arch))
            return np.array([m["loss"] if name == "loss" else m["map_pct"] / each for m in found])

        def words(values: np.ndarray) -> str:
            half = t.ppf(0.95, 4) * values.std(ddof=1) / math.sqrt(5)
            return f"{values.mean():.4g} [{values.mean() - half:.4g}, {values.mean() + half:.4g}]"

        for name, records in (("loss", loss), ("speed", speed)):
            for arm in (OURS, PUBLISHED, EVOLUTION):
                assert records[NAMES[arm]]["unseen seeds"] == words(of(name, arm))
                assert records[NAMES[arm]]["difference"] == words(of(name, arm) - of(name, EVALUATED))
        arch = picks[f"speed, {OURS}, final"]
        assert speed[NAMES[OURS]]["latency_cpu_ms"] == f"{2 + sum(map(int, arch)):.4g}"

    def test_evolution_hears_latencies_on_the_scale_of_the_labels(self, world: Path, built: tuple[Path, Outcome]) -> None:
        """What the clock says is half of what the labels have, of every network."""
        build = Build(plan(), read_sample(world / "labels.csv"), Ledger(built[0], settings_in(world)))
        arch = json.loads((built[0] / "picks.json").read_text())[f"speed, {EVOLUTION}, visits 1"][-1]
        heard = build._value_on_the_way(build.labels["speed"], arch, 1)
        assert heard == pytest.approx(measured(arch, 0)["map_pct"] / (4 + 2 * sum(map(int, arch))))

    def test_what_evaluators_remarked_is_said(self, built: tuple[Path, Outcome]) -> None:
        folder, outcome = built
        (remarks,) = [table.records for table in outcome.tables if table.title == "Remarks of the evaluators"]
        counts = {path.name: len(lines_of(path)) for path in folder.glob("latency*.jsonl")}
        assert len(counts) > 2 and {str(one["file"]): one["evaluations"] for one in remarks} == counts
        assert {one["remark"] for one in remarks} == {"the clock is planted"}

    def test_asked_again_nothing_is_trained_or_chosen_anew(
        self, world: Path, built: tuple[Path, Outcome], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("ours", "as_published"):
            monkeypatch.setattr(arms, name, untouched)
        monkeypatch.setattr(arms.Evolution, "propose", untouched)
        before = list(Fake.log)
        assert plan().run(Ledger(built[0], settings_in(world))) == built[1]
        assert Fake.log == before and before

    @pytest.mark.parametrize(("num_picks", "num_lines"), [(3, 13), (9, 17), (26, 31), (29, 40)])
    def test_resumed_from_anywhere_it_is_as_unbroken(
        self,
        world: Path,
        built: tuple[Path, Outcome],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        num_picks: int,
        num_lines: int,
    ) -> None:
        """What a killed process left: some picks, some lines, the last of them torn. Predictors' picks are as they were."""
        folder = tmp_path / "building"
        folder.mkdir()
        whole = json.loads((built[0] / "picks.json").read_text())
        (folder / "picks.json").write_text(json.dumps(dict(itertools.islice(whole.items(), num_picks))))
        lines = (built[0] / "selection.jsonl").read_text().splitlines(keepends=True)
        (folder / "selection.jsonl").write_text("".join(lines[:num_lines]) + lines[num_lines][:30])
        for name, arm in (("ours", OURS), ("as_published", PUBLISHED)):
            monkeypatch.setattr(arms, name, lambda labels, _, arm=arm: whole[f"{labels.aim.name}, {arm}, built"])
        found = plan().run(Ledger(folder, settings_in(world)))
        assert json.loads((folder / "picks.json").read_text()) == whole
        assert (found.tables, found.verdicts) == (built[1].tables, built[1].verdicts)

    def test_picks_that_stand_there_are_measured_whatever_would_be_chosen_now(self, world: Path, tmp_path: Path) -> None:
        one = replace(plan(), aims=AIMS[:1], arms=(OURS,), latency="")
        ledger = Ledger(tmp_path / "b", settings_in(world))
        ten = ["00000000", "10000000"]
        ledger.pick(f"loss, {OURS}, built", lambda: ten)
        ledger.pick(f"loss, {OURS}, final", lambda: ten[0])
        found = one.run(ledger)
        assert {line["arch"] for line in lines_of(tmp_path / "b/unseen.jsonl")} > {"00000000"}
        ours = found.tables[0].records[0]
        assert (ours["arm"], ours["network"], ours["trainings"]) == (NAMES[OURS], "00000000", 50)

    def test_picks_are_written_before_they_are_measured(
        self, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        named, evaluate = [], Fake.evaluate

        def spy(self: Fake, arch: Any, at: Conditions, watch: Watch) -> Measured:
            named.append(arch in (tmp_path / "b/picks.json").read_text())
            return evaluate(self, arch, at, watch)

        monkeypatch.setattr(Fake, "evaluate", spy)
        few = replace(plan(), aims=AIMS[:1], arms=(EVOLUTION,), latency="")
        few.run(Ledger(tmp_path / "b", settings_in(world)))
        assert len(named) == 10 + 2 * len(UNSEEN_SEEDS) and all(named)

    def test_stopped_it_keeps_what_it_has(self, world: Path, tmp_path: Path) -> None:
        few = replace(plan(), aims=AIMS[:1], arms=(EVOLUTION,), latency="")
        calls = itertools.count()
        with pytest.raises(Cancelled):
            few.run(Ledger(tmp_path / "b", settings_in(world), should_stop=lambda: next(calls) > 9))
        kept = lines_of(tmp_path / "b/selection.jsonl")
        assert 0 < len(kept) < 10
        few.run(Ledger(tmp_path / "b", settings_in(world)))
        assert lines_of(tmp_path / "b/selection.jsonl")[: len(kept)] == kept

    def test_other_settings_or_data_are_another_folder(self, world: Path, built: tuple[Path, Outcome]) -> None:
        with pytest.raises(ConfigError, match="experiment with steps 4, expected 5"):
            plan().run(Ledger(built[0], replace(settings_in(world), steps=5)))


def test_evolution_goes_on_from_the_labels(world: Path, tmp_path: Path) -> None:
    few = replace(plan(), aims=AIMS[:1], arms=(EVOLUTION,), latency="")
    build = Build(few, read_sample(world / "labels.csv"), Ledger(tmp_path, settings_in(world)))
    evolution, labels = arms.Evolution(build.labels["loss"]), build.labels["loss"]
    assert len(evolution.history) == 24 and evolution.history.scores == pytest.approx(-labels.values)
    visits = evolution.propose()
    assert visits == evolution.propose()  # proposing alone changes nothing
    evolution.told(visits, 100.0)
    assert evolution.history.num_networks == 25 and evolution.history.scores[-1] == 100.0


@pytest.fixture(scope="module")
def drawn(world: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    """The experiment on diffusion over a space of 64 networks that was evaluated whole."""
    rows = [
        {"a": a, "b": b, "c": c, "seed": 0, "loss": measured({"a": a, "b": b, "c": c}, 0)["loss"]}
        for a, b, c in itertools.product(range(4), repeat=3)
    ]
    pd.DataFrame(rows).rename(columns=lambda name: f"design:{name}" if name in "abc" else name).to_csv(
        world / "whole.csv", index=False
    )
    whole = diffusion.Diffusion("d", "whole.csv", "fake", Aim("loss", minimize=True), 20)
    folder = tmp_path_factory.mktemp("drawn")
    return folder, whole.run(Ledger(folder, settings_in(world)))


class TestDiffusion:
    def test_predictions_and_evaluations(self, drawn: tuple[Path, Outcome]) -> None:
        table = {record["method"]: record for record in drawn[1].tables[0].records}
        assert [table[name]["predictions"] for name in (diffusion.EXHAUSTIVE, diffusion.NORMS, diffusion.GOOD)] == [
            "64",
            "39",
            "103",
        ]
        assert {name: record["evaluations"] for name, record in table.items()} == {
            **dict.fromkeys((diffusion.EXHAUSTIVE, diffusion.NORMS, diffusion.GOOD), "24"),
            diffusion.EVALUATED: "20",
            "the truth's best": "64",
        }

    def test_numbers_are_those_of_a_hand(self, drawn: tuple[Path, Outcome]) -> None:
        picks = json.loads((drawn[0] / "picks.json").read_text())
        draws = [picks[f"draw {n}"] for n in range(2)]

        def best(method: str) -> list[Any]:
            return [min(draw[method]["top"], key=lambda arch: measured(arch, 0)["loss"]) for draw in draws]

        for method in (diffusion.EXHAUSTIVE, diffusion.NORMS):
            mean = np.mean([measured(arch, 0)["loss"] for arch in best(method)])
            own, other = ({r["method"]: r for r in table.records}[method] for table in drawn[1].tables[:2])
            assert own["best of four"].split()[0] == f"{mean:.4g}" == other["table"].split()[0]
            unseen = np.mean([measured(arch, seed)["loss"] for arch in best(method) for seed in UNSEEN_SEEDS])
            assert other["unseen seeds"].split()[0] == f"{unseen:.4g}"

    def test_few_distinct_picks_are_retrained(self) -> None:
        finals = [{"one": {"a": n}, "other": {"a": n // 2}} for n in range(20)]
        assert diffusion.number_covered(finals[:5]) == 5
        assert diffusion.number_covered(finals) == diffusion.MOST_RETRAINED


class TestHops:
    @pytest.fixture
    def command(self, world: Path, tmp_path: Path) -> Callable[..., int]:
        (tmp_path / "fashion_mbconv").mkdir()
        table = pd.read_csv(world / "labels.csv", dtype={"arch": str}).rename(columns={"loss": "test_loss"})
        table.to_csv(tmp_path / "fashion_mbconv/fashion_mbconv.csv", index=False)
        few = ["--members", "2", "--steps", "3", "--epochs", "1", "--threads", "1"]
        out = ["--out", str(tmp_path / "out"), "--out-md", str(tmp_path / "page.md")]
        return lambda *more: main(["benchmark", str(tmp_path), "--paper", "hops", *few, *out, *more])

    def test_from_the_command_line_twice(
        self, command: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        weights = []
        learn = pipeline.learn_problem

        def spy(*given: Any) -> Any:
            learned = learn(*given)
            weights.append((learned.settings.spearman_weight, learned.settings.module_weight))
            return learned

        monkeypatch.setattr(pipeline, "learn_problem", spy)
        assert command("--hop-draws", "2") == 0
        assert weights == [(0.0, 0.0)] * 2 + [(1.0, 0.2)] * 2
        page = (tmp_path / "page.md").read_text()
        found = json.loads(capsys.readouterr().out)
        assert "Not there: cells, unets, segmentation." in page and "--hop-draws 2" in page and "hop 3" in page
        assert command("--hop-draws", "2") == 0
        assert json.loads(capsys.readouterr().out) == found and len(weights) == 4
        records = found["hops"]["tables"]["fashion_mbconv, test_loss, 24 networks"]
        kept = json.loads((tmp_path / "out/hops/found.json").read_text())
        pair = [[kept[f"fashion_mbconv, ours, lambda {w}, draw {n}"]["hop 1"] for n in range(2)] for w in (0, 1)]
        record = next(r for r in records if r["recipe"] == NAMES[OURS] and r["of"] == "hop 1")
        assert record["difference"] == Mean.of([b - a for a, b in zip(*pair, strict=True)]).words

    def test_without_a_folder(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["benchmark", "--paper", "hops"]) == 2
        assert "--paper without --out" in capsys.readouterr().err


def test_what_is_all_alike_orders_nothing() -> None:
    assert hops.srcc(np.ones(4), np.arange(4)) == 0
    assert hops.srcc(np.array([1, 3, 2, 4]), np.arange(4)) == pytest.approx(spearmanr([1, 3, 2, 4], range(4)).statistic)


def test_lambda_zero_leaves_the_order_out() -> None:
    predicted, norms, target = torch.tensor([0.0, 1, 2]), torch.tensor([[3.0, 1, 2]]), torch.tensor([1.0, 1, 4])
    assert float(published.loss(predicted, norms, target, 0.0)) == pytest.approx((1 + 0 + 4) / 3)
    assert float(published.loss(predicted, norms, target)) > (1 + 0 + 4) / 3


@pytest.mark.parametrize(
    ("apart", "minimize", "outcome", "said"),
    [
        ([1.0, 1.2, 1.1], False, WINS, "here: A wins against B, gain 1.1 [0.9314, 1.269] (3 pairs)."),
        ([1.0, 1.2, 1.1], True, LOSES, "here: A loses against B, gain -1.1 [-1.269, -0.9314] (3 pairs)."),
        ([1.0, -1.0], False, OPEN, "here: A against B cannot be told, gain 0 [-6.314, 6.314] (2 pairs)."),
        ([1.0, float("nan")], False, OPEN, "here: A against B cannot be told from 1 pair."),
    ],
)
def test_verdicts(apart: list[float], minimize: bool, outcome: str, said: str) -> None:
    assert verdict("A", "B", "here", apart, minimize) == Verdict(outcome, said)


def test_the_same_network_is_no_comparison() -> None:
    found = verdict("A", "B", "here", [0.0, 0.0], False, same=True)
    assert found.outcome == OPEN and "both picked the same" in found.text


def test_the_page_says_what_is_not_won() -> None:
    verdicts = [
        verdict("A", "B", name, apart, False) for name, apart in (("x", [1.0, 1.1]), ("y", [-1.0, -1.1]), ("z", [1.0, -1.0]))
    ]
    outcome = Outcome("Title", "About.", [Table("Numbers", [{"arm": "A", "value": "1"}], "Notes.")], verdicts)
    first, second = markdown({"one": outcome}, "python -m made").split("## Title")
    assert "`python -m made`" in first and "Of 3 comparisons 1 are won, 1 lost, 1 cannot be told." in first
    assert [line[2] for line in first.splitlines() if line.startswith("- ")] == ["y", "z"]
    assert all(part in second for part in ("About.", "| A | 1 |", "Notes.", "x: A wins"))


def test_experiments_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected some of classification"):
        paper.run(["astrology"], tmp_path, Settings(tmp_path))
    with pytest.raises(ConfigError, match="expected the sample data"):
        paper.run(["segmentation"], tmp_path, Settings(tmp_path))
    with pytest.raises(ConfigError, match="draws: got 0"):
        Settings(tmp_path, draws=0)
