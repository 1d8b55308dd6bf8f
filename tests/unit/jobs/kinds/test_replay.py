"""Replays: all modes begin alike, nobody sees the judge, what was known goes on, and the table says what the curves do."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from autobuild_core.architectures.names import native_text
from autobuild_core.architectures.records import ArchTable
from autobuild_core.cli import main
from autobuild_core.errors import Cancelled, ConfigError, TargetError
from autobuild_core.jobs.kinds import load_kind
from autobuild_core.jobs.kinds.evaluate import RESULTS
from autobuild_core.jobs.kinds.replay import CURVES, ReplaySettings
from autobuild_core.jobs.kinds.replay.curves import COLUMNS, read_curves
from autobuild_core.jobs.kinds.replay.modes import make_searcher
from autobuild_core.jobs.kinds.replay.outcome import course_table, in_words, outcome_table, summary
from autobuild_core.jobs.kinds.replay.plan import MODES, ReplayPlan
from autobuild_core.jobs.kinds.replay.replaying import Replay
from autobuild_core.jobs.kinds.replay.worlds import Looked
from autobuild_core.jobs.kinds.train import pipeline
from autobuild_core.predictor import published
from autobuild_core.search.searchers import History
from autobuild_core.spaces import load_space, space_named
from autobuild_core.spaces._listed import reduced_spec
from autobuild_core.store.run_folder import RunFolder
from autobuild_core.targets.equation import Target
from tests.learning import macro_truth, table_of

SPACE = space_named("nas_bench_macro")
SAMPLE = Path(__file__).resolve().parents[4] / "sample_data" / "run"
QUICK = ("default", "gp", "ridge", "random", "local", "evolution")


def whole(noise: float = 0.1) -> ArchTable:
    """Every network of a space of 648, its accuracy with noise that twins share, and without as `true`."""
    every = SPACE.enumerate()
    assert every is not None
    kept = reduced_spec(
        SPACE.spec,
        [[(a, b) for a in range(3) for b in (1, 2)]] + [[(a, b, c) for a in (1, 2) for b in range(3) for c in (1, 2)]] * 2,
    )
    space = load_space(kept)
    codes = space.enumerate()
    assert codes is not None
    true = macro_truth(codes)
    seen = np.random.default_rng(0).normal(0, noise, 2**12)[(space.hash_networks(codes) % np.uint64(2**12)).astype(int)]
    table = table_of(codes, pd.DataFrame({"acc": true + seen, "true": true, "loss": -true}))
    return ArchTable(**{**vars(table), "spec": kept})


@pytest.fixture(scope="module")
def table() -> ArchTable:
    return whole()


def plan(**settings: Any) -> ReplayPlan:
    return ReplayPlan(**{"target": "acc", "evaluations": 30, "initial": 15, "batch": 10, "seeds": 2, "modes": QUICK} | settings)


def looked(table: ArchTable, made: ReplayPlan) -> Looked:
    return Looked(table, Target(made.target, made.minimize), Target(made.judged, made.minimize))


def run(table: ArchTable, out: Path, **settings: Any) -> pd.DataFrame:
    made = plan(**settings)
    return Replay(made, looked(table, made), out).run()


class TestReplay:
    def test_curves_are_judged_and_begin_alike(self, table: ArchTable, tmp_path: Path) -> None:
        curves = run(table, tmp_path / "out.csv", judge="true")
        assert list(curves.columns) == list(COLUMNS)
        assert sorted(set(curves["evaluations"])) == [15, 25, 30] and len(curves) == 2 * len(QUICK) * 3
        first = curves[(curves["evaluations"] == 15) & ~curves["mode"].isin(["default", "gp"])]
        assert (first.groupby("seed")["arch"].nunique() == 1).all()  # those that believe what was measured pick the same
        codes = np.array([SPACE.parse(arch) for arch in curves["arch"]], np.int16)
        assert curves["best"].to_numpy() == pytest.approx(macro_truth(codes))
        top = table.metrics["true"].max()
        assert curves["regret"].to_numpy() == pytest.approx(top - macro_truth(codes), abs=1e-9)
        values = table.metrics["true"].groupby(table.networks).first().to_numpy()
        better = [(values > value + 1e-9).sum() + 1 for value in macro_truth(codes)]
        assert curves["network_rank"].tolist() == better

    def test_minimised_it_is_the_same(self, table: ArchTable, tmp_path: Path) -> None:
        more = run(table, tmp_path / "more.csv", target="true", modes=("local", "evolution"))
        less = run(table, tmp_path / "less.csv", target="loss", minimize=True, modes=("local", "evolution"))
        assert (more["arch"] == less["arch"]).all() and less["best"].to_numpy() == pytest.approx(-more["best"].to_numpy())
        assert less["regret"].to_numpy() == pytest.approx(more["regret"].to_numpy()) and (less["regret"] >= 0).all()

    def test_no_more_is_evaluated_than_was_asked_for(self, table: ArchTable, tmp_path: Path) -> None:
        made = plan()
        world = looked(table, made)
        asked: list[int] = []
        observe = world.observe
        world.observe = lambda codes: (asked.extend(world.space.hash_networks(codes).tolist()), observe(codes))[1]  # type: ignore[method-assign]
        Replay(made, world, tmp_path / "out.csv").run()
        curves = np.array(asked).reshape(2 * len(QUICK), 30)
        assert all(len(set(curve)) == 30 for curve in curves.tolist())
        assert all((curves[: len(QUICK), :15] == curves[0, :15]).all(1)) and set(curves[0, :15]) != set(curves[-1, :15])

    def test_what_is_there_is_not_made_again(self, table: ArchTable, tmp_path: Path) -> None:
        whole = run(table, tmp_path / "whole.csv")
        stopped, made = iter([False] * 11 + [True] * 99), plan()
        with pytest.raises(Cancelled):
            Replay(made, looked(table, made), tmp_path / "out.csv").run(should_stop=lambda: next(stopped))
        some = pd.read_csv(tmp_path / "out.csv")
        assert 0 < len(some) < len(whole)
        again = Replay(made, looked(table, made), tmp_path / "out.csv").run()
        both = [frame.sort_values(["seed", "mode", "evaluations"])[["arch", "best", "regret"]] for frame in (whole, again)]
        assert both[0].reset_index(drop=True).equals(both[1].reset_index(drop=True))
        kept = again.merge(some, on=["mode", "seed", "evaluations"])
        assert (kept["seconds_x"] == kept["seconds_y"]).all() and len(kept) == len(some)

    def test_modes_and_seeds_may_be_added(self, table: ArchTable, tmp_path: Path) -> None:
        run(table, tmp_path / "out.csv", modes=("random",))
        curves = run(table, tmp_path / "out.csv", modes=("local",), seeds=3)
        assert set(curves["mode"]) == {"local"} and set(curves["seed"]) == {0, 1, 2}
        assert set(pd.read_csv(tmp_path / "out.csv")["mode"]) == {"random", "local"}

    @pytest.mark.parametrize("text", [None, "mode,seed\nrandom,0\n", "\x00\x01"])
    def test_another_file_is_not_written_over(self, table: ArchTable, tmp_path: Path, text: str | None) -> None:
        out = tmp_path / "out.csv"
        if text is None:
            run(table, out, modes=("random",))
        else:
            out.write_text(text)
        before = out.read_bytes()
        with pytest.raises(ConfigError, match=r"name another file|holds no replay"):
            run(table, out, modes=("random",), batch=9)
        assert out.read_bytes() == before

    def test_failed_networks_cost_and_are_no_picks(self, table: ArchTable, tmp_path: Path) -> None:
        metrics = table.metrics.assign(acc=table.metrics["acc"].where(table.metrics["acc"] < table.metrics["acc"].median()))
        part = ArchTable(**{**vars(table), "metrics": metrics})
        curves = run(part, tmp_path / "out.csv", judge="true")
        picked = curves.merge(
            pd.DataFrame({"arch": [SPACE.native(row) for row in table.codes], "acc": metrics["acc"]}), on="arch"
        )
        assert len(picked) == len(curves) and picked["acc"].notna().all()

    @pytest.mark.parametrize("mode", list(MODES))
    def test_every_mode_proposes_new_networks(self, table: ArchTable, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
        learn_problem, few = pipeline.learn_problem, {"members": 2, "steps": 20}  # how well is the next test's
        monkeypatch.setattr(pipeline, "learn_problem", lambda of, by, given, *how: learn_problem(of, by, given | few, *how))
        monkeypatch.setattr(published, "train", partial(published.train, epochs=10))
        world = looked(table, plan())
        history = History()
        codes = make_searcher("random", world.space, 0, 15).propose(history, 15)
        for row, network, score in zip(
            codes, world.space.hash_networks(codes).tolist(), world.observe(codes).tolist(), strict=True
        ):
            history.visit(row, network, score)
        proposed = make_searcher(mode, world.space, 0, 15).propose(history, 5)
        assert 1 <= len(proposed) <= 5 and world.space.valid(proposed).all()
        again = make_searcher(mode, world.space, 0, 15).propose(history, 5)
        assert (proposed == again).all()

    def test_a_model_takes_better_networks_than_chance(self, table: ArchTable) -> None:
        world = looked(table, plan(judge="true"))
        history = History()
        codes = make_searcher("random", world.space, 1, 40).propose(history, 40)
        for row, network, score in zip(
            codes, world.space.hash_networks(codes).tolist(), world.observe(codes).tolist(), strict=True
        ):
            history.visit(row, network, score)
        every = world.every()
        assert every is not None
        for mode in ("default", "gp", "gnn", "ridge", "norms"):
            found = world.judge(make_searcher(mode, world.space, 1, 40).propose(history, 10))
            assert (found.mean() > every.mean() + every.std()) == (mode != "norms"), mode


class TestPlan:
    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ({"evaluations": 15}, "initial: got 15 of 15 evaluations"),
            ({"batch": 0}, "batch: got 0"),
            ({"seeds": "2"}, "seeds: got '2'"),
            ({"modes": ()}, "modes: got none"),
            ({"modes": ("magic",)}, "modes: got 'magic', expected some of default, gp"),
            ({"within": -1}, "within: got -1"),
        ],
    )
    def test_settings_that_do_not_do(self, wrong: dict[str, Any], said: str) -> None:
        with pytest.raises(ConfigError, match=said):
            plan(**wrong)

    def test_steps_end_at_the_last_evaluation(self) -> None:
        assert plan(evaluations=34).steps == (15, 25, 34) and plan(evaluations=35).steps == (15, 25, 35)


class TestLooked:
    def test_a_file_without_every_network_is_refused(self, table: ArchTable) -> None:
        with pytest.raises(ConfigError, match=r"got a file with 9 of the \d+ networks of its space, expected every network"):
            looked(table.take(np.unique(table.networks, return_index=True)[1][:9]), plan())

    def test_a_space_too_large_is_refused(self) -> None:
        large = space_named("ofa_mbv3")
        codes = large.sample(5, np.random.default_rng(0))
        table = ArchTable(large.spec, codes, large.hash_networks(codes), pd.DataFrame({"acc": np.ones(5)}), np.arange(5))
        with pytest.raises(ConfigError, match="a space too large to hold"):
            looked(table, plan())

    def test_of_several_seeds_the_first_is_observed_and_the_mean_judges(self, table: ArchTable) -> None:
        both = pd.concat([table.metrics.assign(acc=2.0), table.metrics.assign(acc=6.0)], ignore_index=True)
        rows = {"codes": np.tile(table.codes, (2, 1)), "networks": np.tile(table.networks, 2), "metrics": both}
        seeds = pd.DataFrame({"seed": np.repeat([7.0, 3.0], len(table))})
        more = {"source_rows": np.arange(2 * len(table)), "contexts": seeds, "context_kinds": {"seed": "seed"}}
        doubled = ArchTable(**{**vars(table), **rows, **more, "censored": np.zeros(0), "repeats": np.zeros(0, np.int64)})
        world = looked(doubled, plan())
        assert set(world.observe(table.codes)) == {6.0} and set(world.judge(table.codes)) == {4.0}

    def test_of_several_tasks_both_are_means(self, table: ArchTable) -> None:
        """Whichever task a network's first row is of: none may stand for all."""
        both = pd.concat([table.metrics.assign(acc=2.0), table.metrics.assign(acc=6.0)], ignore_index=True)
        tasks = pd.DataFrame({"task": np.repeat(["a", "b"], len(table))})
        rows = {"codes": np.tile(table.codes, (2, 1)), "networks": np.tile(table.networks, 2), "metrics": both}
        rows |= {"source_rows": np.arange(2 * len(table)), "contexts": tasks, "context_kinds": {"task": "task"}}
        whole = ArchTable(**{**vars(table), **rows, "censored": np.zeros(0), "repeats": np.zeros(0, np.int64)})
        mixed = whole.take(np.random.default_rng(0).permutation(len(whole)))
        world = looked(mixed, plan())
        assert set(world.observe(table.codes)) == set(world.judge(table.codes)) == {4.0}


MADE = plan(evaluations=40, initial=20, batch=10, modes=("default", "random"), within=0.5)


def two_curves() -> pd.DataFrame:
    """Regrets of two modes and two seeds."""
    rows = [
        {
            "mode": mode,
            "seed": seed,
            "evaluations": n,
            "seconds": 1.0,
            "best": 90 - regret,
            "regret": regret,
            "network_rank": 3.0,
        }
        for mode, seed, regrets in [
            ("default", 0, (4.0, 2.0, 0.0)),
            ("default", 1, (4.0, 1.0, 1.0)),
            ("random", 0, (4.0, 4.0, 4.0)),
            ("random", 1, (4.0, 3.0, 0.4)),
        ]
        for n, regret in zip((20, 30, 40), regrets, strict=True)
    ]
    return pd.DataFrame(rows)


class TestOutcome:
    def test_it_is_what_the_curves_say(self) -> None:
        rows, made = two_curves(), MADE
        table = outcome_table(rows, made).set_index("mode")
        assert table.loc["default", "area"] == pytest.approx((2.0 + 1.75) / 2)
        assert table.loc["random", "area"] == pytest.approx((4.0 + 2.6) / 2)
        assert table.loc["random", "apart"] == pytest.approx((2.0 - 4.0 + 1.75 - 2.6) / 2)
        assert table["success"].tolist() == [0.5, 0.5] and table["success_low"].iloc[0] < 0.5 < table["success_high"].iloc[0]
        assert summary(rows, made)["modes"]["default"]["apart"] is None
        words = in_words(table.reset_index())
        assert words[0]["default less it"] == "" and words[1]["default less it"].startswith("-1.4 [")
        assert words[1]["mean regret"] == "3.3 ± 0.99" and words[0]["success"] == "0.5 [0.12, 0.88]"

    def test_the_way_has_means_spreads_and_paired_differences(self) -> None:
        course = course_table(two_curves()).set_index(["mode", "evaluations"])
        assert course.index.tolist() == [(mode, n) for mode in ("default", "random") for n in (20, 30, 40)]
        assert course.loc[("default", 30), ["regret", "seeds", "seconds"]].tolist() == [1.5, 2, 1.0]
        assert course.loc[("default", 30), ["low", "high"]].tolist() == pytest.approx([1.1, 1.9])
        apart = course.loc[("random", 30)]
        assert apart["apart"] == -2.0 and apart["apart_low"] == apart["apart_high"] == -2.0  # both seeds differ by as much
        assert course.loc[("random", 40), "apart_low"] < -1.7 < course.loc[("random", 40), "apart_high"]
        assert course.loc["default", "apart"].isna().all()

    def test_of_one_seed_there_is_no_spread_and_no_interval(self) -> None:
        curves = two_curves()
        words = in_words(outcome_table(curves[curves["seed"] == 0], MADE))
        assert [line["mean regret"] for line in words] == ["2", "4"] and words[1]["default less it"] == "-2"

    def test_the_way_of_a_replay_that_goes_on(self) -> None:
        """The last seed has one mode only: means are of what is there, differences of what both have."""
        curves = two_curves()
        course = course_table(curves[~((curves["mode"] == "random") & (curves["seed"] == 1))]).set_index(["mode", "evaluations"])
        assert course.loc[("default", 40), "seeds"] == 2 and course.loc[("random", 40), "seeds"] == 1
        assert course.loc[("random", 40), "apart"] == -4.0 and np.isnan(course.loc[("random", 40), "apart_low"])
        alone = course_table(curves[curves["mode"] == "random"])
        assert alone["apart"].isna().all() and len(alone) == 3


class TestJob:
    def test_a_job_writes_its_curves_and_says_the_outcome(self, table: ArchTable, tmp_path: Path) -> None:
        kind = load_kind("replay")
        settings = ReplaySettings(name="a replay", plan={"target": "acc", "evaluations": 20, "initial": 15, "seeds": 1})
        folder = RunFolder(tmp_path / "run").create(settings, table, "replay")
        records: list[Any] = []
        kind.run(folder, settings, records.append, lambda: False)
        assert (folder.path / CURVES).exists() and len(kind.result(folder)) == 6
        assert kind.row(folder, settings).result.startswith("6 curves, least regret: ")
        assert kind.progress(records[1]).words == "Replaying, 1 of 6 curves: gp, seed 0"

    def test_predictions_of_a_run_can_be_the_truth_and_are_asked_for_once(self, tmp_path: Path) -> None:
        kind, oracle = load_kind("replay"), f"predictor:{SAMPLE}"
        asked = {"target": "predicted", "minimize": True, "evaluations": 9, "initial": 5, "batch": 2, "seeds": 2}
        settings = ReplaySettings(name="a replay", plan=asked | {"modes": ("random", "local")}, evaluator=oracle)
        folder = RunFolder(tmp_path / "run").create(settings, None, "replay")
        assert kind.row(folder, settings).aim.endswith("batches of 2; Prediction of a run")
        kind.run(folder, settings, lambda record: None, lambda: False)
        lines = [json.loads(line) for line in (folder.path / RESULTS).read_text().splitlines()]
        networks = {native_text(line["arch"]) for line in lines}
        assert len(lines) == len(networks) <= 4 * 9
        curves = read_curves(folder.path / CURVES)
        assert set(curves["arch"]) <= networks and curves["network_rank"].isna().all() and curves["regret"].min() == 0

    def test_an_evaluator_without_a_space_of_its_own_is_refused(self, tmp_path: Path) -> None:
        settings = ReplaySettings(name="a replay", plan={"target": "madds_m"}, evaluator="cost")
        folder = RunFolder(tmp_path / "run").create(settings, None, "replay")
        with pytest.raises(ConfigError, match="cost: got no --space, expected the space that it measures"):
            load_kind("replay").run(folder, settings, lambda record: None, lambda: False)
        with pytest.raises(TargetError, match="accuracy"):
            ReplaySettings(name="a replay", plan={"target": "accuracy"}, evaluator="cost")


class TestCommand:
    @pytest.fixture(autouse=True)
    def _place(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)

    def test_an_evaluator_measures_what_is_asked_for_once(self, capsys: pytest.CaptureFixture[str]) -> None:
        asked = ["replay", "--evaluator", "cost", "--space", "nas_bench_201", "--target", "madds_m", "--minimize"]
        asked += ["--evaluations", "12", "--initial", "6", "--batch", "3", "--seeds", "2", "--modes", "default", "random"]
        assert main([*asked, "--out", "out.csv", "--out-md", "out.md"]) == 0
        curves = pd.read_csv("out.csv")
        assert len(curves) == 2 * 2 * 3 and curves["network_rank"].isna().all() and curves["regret"].min() == 0
        lines = Path("out.jsonl").read_text().splitlines()
        assert len(lines) == len(set(lines)) <= 48
        assert '"modes": {"default"' in capsys.readouterr().out and "| default |" in Path("out.md").read_text()
        assert main([*asked, "--out", "out.csv", "--out-md", "out.md"]) == 0
        assert Path("out.jsonl").read_text().splitlines() == lines

    def test_final_picks_are_evaluated_again(self, table: ArchTable, capsys: pytest.CaptureFixture[str]) -> None:
        """The pick of a search for the smallest costs what it was said to: a seed changes no cost."""
        asked = ["replay", "--evaluator", "cost", "--space", "nas_bench_201", "--target", "madds_m", "--minimize"]
        asked += ["--evaluations", "9", "--initial", "6", "--seeds", "2", "--modes", "default", "random", "--again", "cost"]
        assert main([*asked, "--out", "out.csv", "--out-md", "out.md"]) == 0
        modes = json.loads(capsys.readouterr().out)["modes"]
        for line in modes.values():
            assert line["again"] == pytest.approx(line["best"])
        assert modes["random"]["again_apart"] == pytest.approx(modes["default"]["best"] - modes["random"]["best"])
        assert Path("out.again.jsonl").exists()

    @pytest.mark.parametrize("given", [[], ["x.json", "--evaluator", "cost"]])
    def test_what_is_searched_must_be_said_once(self, given: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["replay", *given, "--target", "acc", "--out", "o.csv"]) == 2
        assert "neither or both of DATA and --evaluator" in capsys.readouterr().err
