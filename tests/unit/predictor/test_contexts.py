"""Contexts as coordinates, the points that averages are over, and where a reader can hold a predictor instead."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from autobuild_core.api import Run, train
from autobuild_core.architectures.lens import Lens
from autobuild_core.architectures.records import ArchTable
from autobuild_core.cli import main
from autobuild_core.errors import ConfigError
from autobuild_core.figures import candidates
from autobuild_core.predictor.contexts import ContextColumn, Contexts, Held, Mixed
from autobuild_core.predictor.ensemble import Predictor
from autobuild_core.review import bundle as report
from autobuild_core.review import verifying
from autobuild_core.review.page import page
from autobuild_core.review.record import plain, record
from autobuild_core.scoring.finished_run import FinishedRun
from autobuild_core.spaces import space_named
from autobuild_core.store.pins import Claim, Pin
from autobuild_core.store.run_folder import RunFolder
from autobuild_core.targets.scaling import NormalScores
from tests.learning import macro_data, macro_truth

MACRO = space_named("nas_bench_macro")
RNG = np.random.default_rng(0)


def with_contexts(table: ArchTable, kinds: dict[str, str], **columns: Any) -> ArchTable:
    return replace(table, contexts=pd.DataFrame(columns, index=range(len(table))), context_kinds=kinds)


def held(contexts: Contexts, frame: pd.DataFrame, networks: np.ndarray) -> Held:
    """Where a predictor of these rows holds; the parts that only the scale needs are empty."""
    nothing = np.zeros(0)
    scalings = tuple(NormalScores.fit(np.arange(9.0) * 10**t, False) for t in range(len(contexts.names)))
    points = contexts.points(frame, networks)
    return Held(contexts, *points, scalings, np.zeros((0, 8), np.int16), nothing, nothing.astype(int), nothing.astype(bool), {})


class TestCoordinates:
    def test_a_number_is_standardised_and_by_its_logarithm_where_it_spans_a_factor_of_100(self) -> None:
        lr, wd = 10.0 ** RNG.uniform(-4, -1, 60), RNG.uniform(1, 9, 60)
        table = with_contexts(macro_data(60), {"lr": "setting", "wd": "setting"}, lr=lr, wd=wd)
        contexts = Contexts.of(table)
        assert contexts is not None and contexts.groups == [0, 1] and contexts.names == ((),)
        coordinates = contexts.encode(table.contexts)
        assert coordinates.mean(0) == pytest.approx([0, 0], abs=1e-6) and coordinates.std(0) == pytest.approx([1, 1], abs=1e-6)
        assert np.corrcoef(coordinates[:, 0], np.log(lr))[0, 1] == pytest.approx(1)
        assert np.corrcoef(coordinates[:, 1], wd)[0, 1] == pytest.approx(1)

    def test_what_is_not_known_is_the_mean_and_nothing_else(self) -> None:
        columns = {"lr": [0.1, 0.3, np.nan, 0.2] * 10, "opt": ["a", "", "b", "a"] * 10}
        table = with_contexts(macro_data(40), {"lr": "setting", "opt": "setting"}, **columns)
        contexts = Contexts.of(table)
        assert contexts is not None and contexts.groups == [0, 1, 1]
        coordinates = contexts.encode(table.contexts)
        assert coordinates[2, 0] == 0 and (coordinates[1, 1:] == 0).all()
        assert coordinates[0, 1] - coordinates[2, 1] == pytest.approx(1)

    @pytest.mark.parametrize(
        ("kinds", "columns"),
        [({}, {}), ({"seed": "seed"}, {"seed": np.arange(40.0)}), ({"lr": "setting"}, {"lr": np.full(40, 0.1)})],
    )
    def test_seeds_and_what_never_varies_are_not_seen(self, kinds: dict[str, str], columns: dict[str, Any]) -> None:
        assert Contexts.of(with_contexts(macro_data(40), kinds, **columns)) is None

    def test_only_tasks_of_enough_rows_are_ranked_by_themselves(self) -> None:
        many = with_contexts(macro_data(40), {"d": "task"}, d=["a", "b"] * 20)
        few = with_contexts(macro_data(40), {"d": "task"}, d=[f"t{i // 4}" for i in range(40)])
        number = with_contexts(macro_data(40), {"r": "task"}, r=[128.0, 224.0] * 20)
        every = [Contexts.of(table) for table in (many, few, number)]
        assert [c and c.names for c in every] == [(("a",), ("b",)), ((),), (("128",), ("224",))]
        assert every[1] is not None and every[1].columns[0].width == 10  # a coordinate all the same
        assert every[0] is not None and every[0].task_of(many.contexts).tolist() == [0, 1] * 20

    def test_round_trip(self) -> None:
        table = with_contexts(macro_data(40), {"d": "task", "lr": "setting"}, d=["a", "b"] * 20, lr=RNG.uniform(0, 1, 40))
        contexts = Contexts.of(table)
        assert contexts is not None
        again = Contexts.from_dict(contexts.to_dict())
        assert again.columns == contexts.columns and again.names == contexts.names and again.tasks == contexts.tasks


class TestPoints:
    def test_tasks_weigh_by_their_networks_at_the_highest_fidelity_of_each(self) -> None:
        table = macro_data(60)
        networks = np.where(np.arange(60) < 40, np.arange(60) % 10, np.arange(60)).astype(np.uint64)
        d, epochs = ["a"] * 40 + ["b"] * 20, np.where(np.arange(60) < 40, 10.0 * (1 + np.arange(60) % 3), 5.0)
        table = with_contexts(table, {"d": "task", "epochs": "fidelity"}, d=d, epochs=epochs)
        contexts = Contexts.of(table)
        assert contexts is not None
        points, weights = contexts.points(table.contexts, networks)
        assert points.to_dict("records") == [{"d": "a", "epochs": 30.0}, {"d": "b", "epochs": 5.0}]
        assert weights == pytest.approx([1 / 3, 2 / 3])  # 10 and 20 networks

    def test_few_points_stand_for_many(self) -> None:
        lr = 10.0 ** RNG.normal(-2, 0.7, 300)
        table = with_contexts(macro_data(300), {"lr": "setting"}, lr=lr)
        contexts = Contexts.of(table)
        assert contexts is not None
        points, weights = contexts.points(table.contexts, table.networks)
        assert len(points) == 8 and weights.sum() == pytest.approx(1) and set(points["lr"]) <= set(lr)
        coordinates = contexts.encode(points)[:, 0]
        assert coordinates @ weights == pytest.approx(0, abs=0.1) and coordinates**2 @ weights == pytest.approx(1, abs=0.15)


class TestHeld:
    def table(self) -> ArchTable:
        d, lr = ["a", "b"] * 30, np.tile([0.1, 0.1, 0.01, 0.01], 15)
        return with_contexts(macro_data(60), {"d": "task", "lr": "setting"}, d=d, lr=lr)

    def held(self) -> Held:
        table = self.table()
        contexts = Contexts.of(table)
        assert contexts is not None
        return held(contexts, table.contexts, table.networks)

    def test_averages_go_on_over_what_is_not_chosen(self) -> None:
        where = self.held()
        assert len(where.points) == 4 and where.words == "average over d, lr"
        task = where.at({"d": "b"})
        assert set(task.points["d"]) == {"b"} and set(task.points["lr"]) == {0.1, 0.01}
        assert task.weights.sum() == pytest.approx(1) and task.words == "d=b; average over lr"
        both = task.at({"lr": "0.01"})
        assert both.points.to_dict("records") == [{"d": "b", "lr": 0.01}] and both.words == "d=b; lr=0.01" and not both.warnings

    def test_beyond_what_was_observed_is_allowed_with_a_warning(self) -> None:
        where = self.held().at({"lr": 3})
        assert set(where.points["lr"]) == {3.0} and "between 0.01 and 0.1" in where.warnings[0]

    @pytest.mark.parametrize(
        ("chosen", "sentence"),
        [
            ({"x": 1}, "got 'x', expected one of d, lr"),
            ({"d": "c"}, "context d: got 'c', expected one of a, b"),
            ({"lr": "fast"}, "context lr: got 'fast', expected a number from 0.01 to 0.1"),
        ],
    )
    def test_what_cannot_be_held_at_is_refused(self, chosen: dict[str, str | float], sentence: str) -> None:
        with pytest.raises(ConfigError, match=sentence):
            self.held().at(chosen)

    def test_scores_of_tasks_are_averaged_in_target_units(self) -> None:
        small, large = (NormalScores.fit(np.arange(101.0) * k, False) for k in (1, 1000))
        common = NormalScores.fit(np.arange(101.0) * 500.5, False)
        mixed = Mixed(np.array([0.5, 0.5]), (small, large), common)
        scores = np.stack([np.linspace(2, -2, 9), np.linspace(-2, 2, 9)])  # better on the small scale, worse on the large one
        assert (np.diff(mixed(scores)) > 0).all()
        assert mixed(np.stack([scores[1]] * 2)) == pytest.approx(scores[1], abs=0.02)


def test_values_of_a_number_that_names_tasks_are_read_as_written() -> None:
    column = ContextColumn.of("r", "task", pd.Series([128.0, 224.0, 224.0]), True)
    assert column.values == ("224", "128") and column.chosen("128.0") == ("128", "") and column.chosen(224.0) == ("224", "")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Two tasks on scales that differ tenfold, two learning rates of which one is bad, seeds that repeat rows."""
    table = macro_data(70)
    again = table.take(np.concatenate([np.arange(70), np.arange(70)]))
    lr, task = np.tile([0.1, 0.01], 70), np.repeat(["big", "small"], 70)
    acc = (again.metrics["acc"].to_numpy() - 88 + 0.5 * (lr == 0.1)) * np.where(task == "big", 10, 1)
    table = with_contexts(again, {"d": "task", "lr": "setting"}, d=task, lr=lr)
    table = replace(table, metrics=pd.DataFrame({"acc": acc}), source_rows=np.arange(140), num_read=140)
    out = tmp_path_factory.mktemp("contexts") / "run"
    return train(table, "acc", out, num_members=3, num_steps=60, max_length=1, threads=1)


@pytest.fixture(scope="module")
def again(run: Run, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """The same training once more."""
    return verifying.train_again(run.table(), run.config, tmp_path_factory.mktemp("again") / "run", lambda record: None)


class TestRun:
    def test_it_says_where_it_holds_and_is_saved_with_that(self, run: Run) -> None:
        again = Predictor.load(run.folder.path)
        codes = MACRO.sample(50, np.random.default_rng(1))
        assert (again.predict(codes) == run.predictor.predict(codes)).all(axis=None)
        assert run.holds_at["words"] == "average over d, lr" and run.quality["held"]["words"] == "average over d, lr"
        assert len(run.holds_at["points"]) == 4

    def test_each_task_is_predicted_in_its_own_units(self, run: Run) -> None:
        codes = MACRO.sample(200, np.random.default_rng(1))
        truth = macro_truth(codes) - 88
        for task, factor in (("big", 10), ("small", 1)):
            for lr, bonus in ((0.1, 0.5), (0.01, 0.0)):
                found = run.at(d=task, lr=lr).predictor.predict(codes)["predicted"]
                assert found.mean() == pytest.approx(factor * (truth.mean() + bonus), abs=0.15 * factor)
                assert np.corrcoef(found, truth)[0, 1] > 0.9
        average = run.predictor.predict(codes)
        assert average["predicted"].mean() == pytest.approx(5.5 * (truth.mean() + 0.25), abs=0.6)
        inside = (average["low"] <= 5.5 * (truth + 0.25)) & (5.5 * (truth + 0.25) <= average["high"])
        assert inside.mean() > 0.7

    def test_a_table_of_modules_for_each_task(self, run: Run) -> None:
        tasks = run.quality["tasks"]
        assert [task["context"] for task in tasks] == [{"d": "big"}, {"d": "small"}]
        means = [task["space_mean"] for task in tasks]
        assert means[0] == pytest.approx(10 * means[1], rel=0.1) and run.quality["space_mean"] == pytest.approx(
            np.mean(means), rel=0.1
        )
        big = run.folder.read_frame(tasks[0]["file"])
        assert (run.at(d="big").modules() == big).all(axis=None)
        assert big["num_evaluated"].sum() < run.modules()["num_evaluated"].sum()

    def test_rows_that_differ_in_context_are_neither_noise_nor_measured_values(self, run: Run) -> None:
        assert run.trust.noise.source == ""
        codes = run.table().codes[:1]
        measured = run.table().metrics["acc"][0]
        from autobuild_core.scorers import make_scorer

        scorer: Any = make_scorer("autobuild", run.predictor, table=run.table())
        line = (scorer.population.codes == codes).all(1)
        assert abs(scorer.member_targets[:, line].mean() - measured) > 1  # one task's value is not the average

    def test_predictions_file_is_in_each_rows_own_context(self, run: Run) -> None:
        frame, table = run.folder.read_frame("predictions.parquet"), run.table()
        assert (frame["target"] == table.metrics["acc"]).all()
        big = (table.contexts["d"] == "big").to_numpy()
        for own in (big, ~big):
            assert np.corrcoef(frame["predicted"][own], frame["target"][own])[0, 1] > 0.85
        assert run.quality["srcc"] > 0.85 and 0.7 < run.quality["coverage"] <= 1

    def test_the_command_line_holds_at_a_context_and_says_so(
        self, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        out = tmp_path / "scores.csv"
        assert main(["score", str(run.folder.path), "--out", str(out), "--context", "d=small", "--context", "lr=7"]) == 0
        said = json.loads(capsys.readouterr().out)["context"]
        assert said["chosen"] == {"d": "small", "lr": 7.0} and "lr = 7 was never observed" in said["warnings"][0]
        frame = pd.read_csv(out)
        assert set(frame["context"]) == {"d=small; lr=7"} and frame["confounded_with"].isna().all()
        for given, sentence in (("d", "got 'd', expected NAME=VALUE"), ("d=huge", "got 'huge', expected one of big, small")):
            assert main(["build", str(run.folder.path), "--out", str(out), "--context", given]) == 2
            assert sentence in capsys.readouterr().err

    def test_predict_says_that_a_rows_own_context_is_not_looked_at(
        self, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        data, out = tmp_path / "more.csv", tmp_path / "predicted.csv"
        ask = ["predict", str(run.folder.path), str(data), "--out", str(out)]
        rows = [f"{key},{task},{lr}\n" for key in ("02012100", "22222222") for task in ("big", "small") for lr in (0.1, 0.01)]
        for columns, chosen, sentence in (
            (3, [], "predict: d and lr of the rows are not looked at: predictions are for average over d, lr, --context d=VALUE"),
            (
                3,
                ["--context", "d=big"],
                "predict: lr of the rows is not looked at: predictions are for d=big; average over lr, --context lr=",
            ),
            (3, ["--context", "d=big", "--context", "lr=0.1"], ""),
            (1, [], ""),
        ):
            lines = [",".join(row.strip().split(",")[:columns]) + "\n" for row in ["arch,d,lr", *rows]]
            data.write_text("".join(lines))
            assert main([*ask, *chosen]) == 0
            said = capsys.readouterr().err
            assert sentence in said if sentence else said == ""
            assert pd.read_csv(out)["predicted"].nunique() == 2  # one value an architecture, whatever its row says

    def test_a_report_of_it_is_worked_out_again_to_the_last_digit(self, run: Run, again: RunFolder) -> None:
        said = report.make_bundle(run.folder)
        assert said["data"]["contexts"] == {"d": "task", "lr": "setting"}
        checks = verifying.compare(said["results"], plain(report.results(again, FinishedRun.load(again), [])))
        assert sum(check.numbers for check in checks) > 500 and not [check.wrong for check in checks if check.wrong]

    @pytest.mark.parametrize(("context", "scale"), [({"d": "small"}, 1), ({"d": "big", "lr": 0.1}, 10)])
    def test_claims_reports_and_interactions_hold_at_it(
        self, run: Run, again: RunFolder, context: dict[str, Any], scale: float
    ) -> None:
        here, average = run.at(**context), run.finished()
        facts = here.finished()
        own = (facts.table.contexts["d"] == context["d"]).to_numpy()
        assert own[facts.predictions["row"]].all() and len(facts.predictions) == 70 and facts.quality["num_evidence"] == 70
        assert facts.quality["space_mean"] == pytest.approx(average.quality["space_mean"] / 5.5 * scale, rel=0.2)
        line = facts.modules.sort_values("score").iloc[-1]
        claim = Claim(tuple(json.loads(line["positions"])), tuple(json.loads(line["layers"])), bool(line["whole_unit"]))
        found = record(facts, claim)
        assert found.effects[0].value == pytest.approx(line["effect"]) and found.with_it.value < 7.5 * scale
        assert found.best is None and found.holds is None  # the training asked these of the average
        said = report.make_bundle(run.folder, [Pin(claim)], run=facts)
        assert said["context"]["chosen"] == context and here.predictor.held is not None
        assert f"<dd>{here.predictor.held.words}</dd>" in page(said) and "average over contexts, which the training" in page(said)
        ranks = said["results"]["tables"]["ranking"]["value"]
        assert set(ranks) <= set(facts.modules["score"]) and not set(ranks) & set(average.modules["score"])
        results = report.results(again, Run(again.path, said["context"]["chosen"]).finished(), [Pin(claim)])
        checks = verifying.compare(said["results"], plain(results))
        assert sum(check.numbers for check in checks) > 500 and not [check.wrong for check in checks if check.wrong]
        assert here.interactions()["value"].abs().max() != run.interactions()["value"].abs().max()

    def test_measured_differences_are_within_contexts(self, run: Run) -> None:
        """Rows of two tasks, whose scales differ tenfold, or of two learning rates are neither averaged nor compared."""
        claim, table = Claim(("L1",), ("mb6_k5",), False, Lens.SCORE), run.table()
        found = record(run.finished(), claim).bootstrap
        values, inside = table.metrics["acc"], claim.contained_in(table)
        apart = values - values.groupby([table.contexts["d"], table.contexts["lr"]]).transform("mean")
        own = pd.DataFrame({"apart": apart, "inside": inside, "row": table.evaluations}).groupby("row")
        mean, has = own["apart"].mean(), own["inside"].any()
        assert found is not None
        assert found.difference == pytest.approx(mean[has].mean() - mean[~has].mean())
        assert found.num_with + found.num_without == len(np.unique(table.networks))

    def test_a_download_is_what_the_command_writes(self, run: Run, tmp_path: Path) -> None:
        out = tmp_path / "built.jsonl"
        assert main(["build", str(run.folder.path), "--context", "d=small", "--num", "2", "--out", str(out)]) == 0
        built = run.at(d="small").build(2).to_dict("records")
        assert candidates.built_files(built)["built.jsonl"] == out.read_text()
        assert '"context": "d=small; average over lr"' in out.read_text()

    def test_tables_name_it(self, run: Run, tmp_path: Path) -> None:
        here = run.at(d="small")
        assert set(here.scores()["context"]) == {"d=small; average over lr"}
        assert set(here.build(2)["context"]) == set(here.suggest(2)["context"]) == {"d=small; average over lr"}
        assert set(here.predict(run.table())["context"]) == {"d=small; average over lr"}


def test_a_seed_makes_rows_repeats(tmp_path: Path) -> None:
    table = macro_data(40)
    table = with_contexts(table.take(np.repeat(np.arange(40), 2)), {"seed": "seed"}, seed=np.tile([0.0, 1.0], 40))
    acc = table.metrics["acc"] + np.random.default_rng(0).normal(0, 0.05, 80)
    table = replace(table, metrics=pd.DataFrame({"acc": acc}))
    run = train(table, "acc", tmp_path / "run", num_members=2, num_steps=10, max_length=1, threads=1)
    assert run.trust.noise.source == "repeats with other seeds"
    assert run.trust.noise.noise_sd == pytest.approx(0.05 / 2**0.5, rel=0.4)  # of the mean of two
    assert not run.holds_at and "held" not in run.quality and "context" not in run.scores()
    with pytest.raises(ConfigError, match="no context varies"):
        run.at(seed=1)
