"""A search by evaluations: its file, what it goes on from, failures, seeds, targets, and a run that predicts in place of them."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autobuild_core import api
from autobuild_core.api import Run
from autobuild_core.datasets import read_table
from autobuild_core.errors import Cancelled, ConfigError, TargetError
from autobuild_core.evaluators import load_evaluator
from autobuild_core.evaluators._results import DIVERGED, FAILED, FINISHED, ResultsFile
from autobuild_core.evaluators._searching import PATIENCE, Found, SearchPlan, found_so_far, run_search
from autobuild_core.spaces import space_named
from autobuild_core.testing.examples import declared_space, flat_space
from tests.learning import macro_data, macro_json, macro_truth

MACRO = space_named("nas_bench_macro")
# Its accuracy counts large blocks; what begins with 1 fails, with 0 diverges.
MINE = """
import math

def evaluate(arch, budget, seed):
    with open(LOG, "a") as log:
        log.write(f"{arch} {seed}\\n")
    if arch[0] == FAILS:
        raise ValueError("out of memory")
    if arch[0] == "0" and FAILS:
        return {"acc": math.nan}
    return {"acc": arch.count("2") + seed / 10, "size": float(arch.count("1"))}
"""


@pytest.fixture
def mine(tmp_path: Path) -> Callable[[str], str]:
    """Makes the evaluator, which writes down what it is asked, into asked.txt."""

    def make(fails: str = "") -> str:
        (tmp_path / "mine.py").write_text(f"LOG, FAILS = {str(tmp_path / 'asked.txt')!r}, {fails!r}\n{MINE}")
        return str(tmp_path / "mine.py")

    return make


def run(plan: SearchPlan, path: Path, **more: Any) -> Found:
    return run_search(MACRO, plan, ResultsFile(path), **more)


class TestFile:
    def test_a_line_is_a_measurement_that_inspect_reads(self, mine: Callable[[str], str], tmp_path: Path) -> None:
        found = run(SearchPlan(mine(""), "acc", num=25), tmp_path / "o.jsonl")
        lines = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
        assert [line["arch"] for line in lines] == list(found.archs) and len(set(found.archs)) == 25
        assert lines[0]["search"].startswith("regularised_evolution; population 20; sample 5; seed 0; maximise acc; space ")
        table = read_table(tmp_path / "o.jsonl")
        assert len(table) == 25 and list(table.metrics.columns) == ["acc", "size"] and "search" not in table.contexts

    @pytest.mark.parametrize("searcher", ["random", "regularised_evolution"])
    def test_killed_and_gone_on_equals_unbroken(self, searcher: str, mine: Callable[[str], str], tmp_path: Path) -> None:
        plan = SearchPlan(mine(""), "acc", searcher=searcher, num=40, seeds=2, settings={})
        whole = run(plan, tmp_path / "whole.jsonl")
        (tmp_path / "asked.txt").unlink()
        for lines in (1, 33, 60):  # evaluations after which it is stopped, in the middle of a network too

            def heard(record: Mapping[str, object], lines: int = lines) -> None:
                path = tmp_path / "o.jsonl"
                if path.exists() and path.read_text().count("\n") >= lines:
                    raise Cancelled

            with pytest.raises(Cancelled):
                run(plan, tmp_path / "o.jsonl", report=heard)
            with (tmp_path / "o.jsonl").open("a") as file:
                file.write('{"arch": "torn')
        again = run(plan, tmp_path / "o.jsonl")
        assert again.archs == whole.archs and (again.values == whole.values).all() and again.summary() == whole.summary()
        asked = (tmp_path / "asked.txt").read_text().splitlines()
        assert len(asked) == len(set(asked)) == 80, "no evaluation was done twice"

    def test_asked_for_more_it_goes_on(self, mine: Callable[[str], str], tmp_path: Path) -> None:
        few = run(SearchPlan(mine(""), "acc", num=30), tmp_path / "o.jsonl")
        more = run(SearchPlan(mine(""), "acc", num=45), tmp_path / "o.jsonl")
        assert more.archs[:30] == few.archs and len((tmp_path / "asked.txt").read_text().splitlines()) == 45
        assert run(SearchPlan(mine(""), "acc", num=30), tmp_path / "o.jsonl").summary() == few.summary()

    @pytest.mark.parametrize(
        ("other", "said"),
        [
            ({"seed": 1}, "got results of seed 0, expected seed 1 as asked"),
            ({"searcher": "random"}, "got results of regularised_evolution, population 20, sample 5, expected random as asked"),
            ({"settings": {"sample": 2}}, "got results of sample 5, expected sample 2 as asked"),
            ({"target": "size"}, "got results of maximise acc, expected maximise size as asked"),
            ({"minimize": True}, "got results of maximise acc, expected minimise acc as asked"),
            ({"seeds": 2}, "got results of evaluation seeds 0 to 0, expected evaluation seeds 0 to 1 as asked"),
            ({"budget": 3}, "got measurements with budget 1, expected 3 as asked"),
        ],
    )
    def test_other_settings_are_refused(
        self, other: dict[str, Any], said: str, mine: Callable[[str], str], tmp_path: Path
    ) -> None:
        asked: dict[str, Any] = {"evaluator": mine(""), "target": "acc", "num": 2}
        run(SearchPlan(**asked), tmp_path / "o.jsonl")
        with pytest.raises(ConfigError, match=said):
            run(SearchPlan(**asked | other), tmp_path / "o.jsonl")

    def test_measurements_of_no_search_are_refused(self, mine: Callable[[str], str], tmp_path: Path) -> None:
        api.evaluate(["22222222"], mine(""), tmp_path / "o.jsonl")
        with pytest.raises(ConfigError, match="got results of no search, expected regularised_evolution"):
            run(SearchPlan(mine(""), "acc"), tmp_path / "o.jsonl")


class TestValues:
    def test_what_fails_is_kept_counts_and_the_search_goes_on(self, mine: Callable[[str], str], tmp_path: Path) -> None:
        found = run(SearchPlan(mine("1"), "acc", searcher="random", num=40), tmp_path / "o.jsonl")
        states = {arch[0]: lines[0]["state"] for arch, lines in zip(found.archs, found.lines, strict=True)}
        assert states == {"2": FINISHED, "1": FAILED, "0": DIVERGED}
        lines = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
        assert len(lines) == 40 and "ValueError: out of memory" in next(x for x in lines if x["state"] == FAILED)["error"]
        told = found.summary()
        failed = sum(arch[0] != "2" for arch in found.archs)
        assert (told["num"], told["failed"]) == (40, failed) and told["best"]["arch"][0] == "2"
        table = found.table()
        assert list(table) == ["arch", "value", "best", "state", "acc", "size"]
        assert (table["value"].isna() == (table["state"] != FINISHED)).all() and table["best"].dropna().is_monotonic_increasing

    def test_where_all_fail_there_is_no_best(self, tmp_path: Path) -> None:
        (tmp_path / "bad.py").write_text("def evaluate(arch, budget, seed):\n    raise ValueError('no')\n")
        told = run(SearchPlan(str(tmp_path / "bad.py"), "acc", num=25), tmp_path / "o.jsonl").summary()
        assert (told["num"], told["failed"], told["best"], told["anytime"]) == (25, 25, None, [])

    def test_the_best_so_far(self, mine: Callable[[str], str], tmp_path: Path) -> None:
        found = run(SearchPlan(mine(""), "acc - size", minimize=True, num=60), tmp_path / "o.jsonl")
        anytime = found.summary()["anytime"]
        values = np.minimum.accumulate(found.values[:, 0])
        assert all(values[number - 1] == value for number, value in anytime)
        assert [value for _, value in anytime[:-1]] == sorted({*values}, reverse=True)[: len(anytime) - 1]
        assert anytime[-1] == (60, found.summary()["best"]["value"])

    def test_the_mean_over_seeds_is_judged(self, mine: Callable[[str], str], tmp_path: Path) -> None:
        found = run(SearchPlan(mine(""), "acc", num=3, seeds=3, first_seed=5), tmp_path / "o.jsonl")
        assert [line["seed"] for line in found.lines[0]] == [5, 6, 7]
        assert found.values[0, 0] == pytest.approx(found.archs[0].count("2") + 0.6)
        assert found.summary()["num_evaluated"] == 9

    def test_a_network_without_a_value_of_the_equation_counts_as_failed(self, mine: Callable[[str], str], tmp_path: Path) -> None:
        found = run(SearchPlan(mine(""), "log(acc - 2)", num=30, searcher="random"), tmp_path / "o.jsonl")
        assert np.isnan(found.values[:, 0]).tolist() == [arch.count("2") <= 2 for arch in found.archs]
        assert 0 < found.summary()["failed"] < 30

    def test_a_metric_that_none_of_the_first_networks_has_is_said(self, mine: Callable[[str], str], tmp_path: Path) -> None:
        with pytest.raises(TargetError, match=r"got 'accc', expected one of the metrics \(acc, size\); did you mean acc"):
            run(SearchPlan(mine(""), "accc", num=9), tmp_path / "o.jsonl")
        assert len((tmp_path / "asked.txt").read_text().splitlines()) == PATIENCE

    def test_unasked_the_first_metric_in_its_own_direction(self) -> None:
        aims = {
            name: SearchPlan(name).aims(load_evaluator(name))[0].words
            for name in ("cost", "classification", "diffusion", "latency")
        }
        wanted = {"cost": "minimise madds_m", "classification": "minimise test_loss", "latency": "minimise latency_ms"}
        assert aims == wanted | {"diffusion": "minimise log_frechet"}


class TestRefused:
    @pytest.mark.parametrize(
        ("asked", "said"),
        [
            ({"num": 0}, "num: got 0, expected at least 1"),
            ({"seeds": 0}, "seeds: got 0, expected at least 1"),
            ({"first_seed": -1}, "first seed: got -1, expected at least 0"),
            ({"seconds": 0}, "seconds: got 0, expected more than 0"),
            ({"budget": 3}, "nothing to spend it on"),
            ({"evaluator": "abacus"}, "evaluator: got 'abacus'"),
            (
                {"searcher": "abacus"},
                "search/searchers: got 'abacus', expected one of bayesian_optimisation, local_search, pareto_evolution, ",
            ),
            ({"settings": {"sample": 0}}, "sample: got 0, expected a whole number from 1 on"),
            ({"searcher": "random", "settings": {"sample": 3}}, "got 'sample', expected none"),
            ({"reference": (1.0, 2.0)}, r"reference: got \[1.0, 2.0\], expected a number for each of two targets"),
            ({"second": "params_m", "reference": (1.0,)}, r"reference: got \[1.0\], expected a number for each of two targets"),
            ({"evaluator": "table:x.csv"}, "target: got none, expected an equation over the metrics that table:x.csv gives"),
        ],
    )
    def test_settings_that_do_not_do(self, asked: dict[str, Any], said: str) -> None:
        with pytest.raises(ConfigError, match=said):
            SearchPlan(**{"evaluator": "cost"} | asked)

    @pytest.mark.parametrize("target", ["madds_m +", "latency_ms"])
    def test_a_target_that_does_not_do(self, target: str) -> None:
        with pytest.raises(TargetError):
            SearchPlan("cost", target)

    def test_a_space_that_is_not_measured(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"evaluator: got cost, which does not measure this space: .*expected stages"):
            run(SearchPlan("cost", num=3), tmp_path / "o.jsonl")
        assert not (tmp_path / "o.jsonl").exists()


class TestTwoTargets:
    """`acc` counts large blocks, `size` middling ones, which is made small: large blocks alone are the front's one corner."""

    @staticmethod
    def plan(evaluator: str, **more: Any) -> SearchPlan:
        settings = {"initial": 10, "generation": 10}
        asked = {"target": "acc", "second": "size", "minimize_second": True, "searcher": "pareto_evolution", "num": 40}
        return SearchPlan(evaluator, settings=settings, **asked | more)

    def test_the_front_is_what_no_other_exceeds(self, mine: Callable[[str], str], tmp_path: Path) -> None:
        found = run(self.plan(mine("")), tmp_path / "o.jsonl")
        values = found.values
        beaten = [
            any((a >= acc and s <= size) and (a, s) != (acc, size) for a, s in values.tolist()) for acc, size in values.tolist()
        ]
        assert found.on_front.tolist() == [not one for one in beaten] and 1 <= found.on_front.sum() < 40
        front = found.summary()["front"]
        assert [record["arch"] for record in front] == sorted(
            np.array(found.archs)[found.on_front].tolist(), key=lambda arch: -arch.count("2")
        )
        assert {"arch", "value", "second", "metrics"} == set(front[0]) and found.table()["on_front"].sum() == len(front)

    def test_its_hypervolume_grows_against_a_reference_that_stays(self, mine: Callable[[str], str], tmp_path: Path) -> None:
        found = run(self.plan(mine(""), reference=(0.0, 8.0)), tmp_path / "o.jsonl")
        told, volumes = found.summary(), found.table()["hypervolume"].to_numpy()
        assert told["reference"] == [0.0, 8.0] and told["hypervolume"] == volumes[-1] == told["anytime"][-1][1]
        assert (np.diff(volumes) >= 0).all()
        corners = {
            (acc, min(s for a, s in found.values.tolist() if a >= acc))
            for acc in range(1, 9)
            if (found.values[:, 0] >= acc).any()
        }
        assert volumes[-1] == pytest.approx(sum(8 - size for _, size in corners))

    def test_unasked_the_reference_is_the_worst_of_the_first(self, mine: Callable[[str], str], tmp_path: Path) -> None:
        found = run(self.plan(mine("")), tmp_path / "o.jsonl")
        assert found.reference == (found.values[:10, 0].min(), found.values[:10, 1].max())
        assert run(self.plan(mine(""), num=60), tmp_path / "o.jsonl").reference == found.reference

    def test_killed_and_gone_on_equals_unbroken(self, mine: Callable[[str], str], tmp_path: Path) -> None:
        whole = run(self.plan(mine("1")), tmp_path / "whole.jsonl")
        lines = (tmp_path / "whole.jsonl").read_text().splitlines(keepends=True)
        for num in (0, 7, 26):
            (tmp_path / "o.jsonl").write_text("".join(lines[:num]))
            again = run(self.plan(mine("1")), tmp_path / "o.jsonl")
            assert again.archs == whole.archs and again.summary() == whole.summary()
        assert 0 < whole.summary()["failed"] < 40

    def test_a_loss_or_a_cost_is_made_small_unasked_and_another_second_is_refused(
        self, mine: Callable[[str], str], tmp_path: Path
    ) -> None:
        aims = SearchPlan("cost", "params_m", True, second="madds_m").aims(load_evaluator("cost"))
        assert [aim.words for aim in aims] == ["minimise params_m", "minimise madds_m"]
        run(self.plan(mine("")), tmp_path / "o.jsonl")
        with pytest.raises(ConfigError, match="got results of minimise size, expected maximise size - acc as asked"):
            run(self.plan(mine(""), second="size - acc", minimize_second=False), tmp_path / "o.jsonl")


class TestSoFar:
    def test_lines_tell_what_the_search_itself_tells_at_its_end(self, mine: Callable[[str], str], tmp_path: Path) -> None:
        for number, plan in enumerate((SearchPlan(mine("1"), "acc", num=20, seeds=2), TestTwoTargets.plan(mine("1")))):
            whole = run(plan, tmp_path / f"{number}.jsonl")
            told = found_so_far(plan, ResultsFile(tmp_path / f"{number}.jsonl").read())
            assert told.summary() == whole.summary() and told.archs == whole.archs

    def test_before_the_first_line_nothing_is_told(self, mine: Callable[[str], str]) -> None:
        told = found_so_far(TestTwoTargets.plan(mine("")), [])
        assert told.archs == () and told.summary()["best"] is None and told.table().empty


class TestTable:
    def test_a_truth_that_is_looked_up(self, tmp_path: Path) -> None:
        (tmp_path / "macro.json").write_text(macro_json(macro_data(40, noise=0)))
        data = read_table(tmp_path / "macro.json")
        plan = SearchPlan(f"table:{tmp_path / 'macro.json'}", "mean_acc", num=25, searcher="random")
        found = run(plan, tmp_path / "o.jsonl")
        known = {arch: value for arch, value in zip(found.archs, found.values[:, 0], strict=True) if np.isfinite(value)}
        networks = MACRO.hash_networks(np.array([MACRO.parse(arch) for arch in found.archs], np.int16))
        assert np.isin(networks, data.networks).sum() == len(known) < 25
        codes = np.array([MACRO.parse(arch) for arch in known], np.int16).reshape(-1, 8)
        assert macro_truth(codes).tolist() == pytest.approx(list(known.values()))


class TestPredictor:
    def test_other_metrics_that_the_run_knows_are_predicted_too(self, trained: Run, tmp_path: Path) -> None:
        name = f"predictor:{trained.folder.path}"
        assert load_evaluator(name).metrics[:3] == ("predicted", "low", "high") and "steps" in load_evaluator(name).metrics
        plan = SearchPlan(name, "predicted", second="steps", minimize_second=True, searcher="pareto_evolution", num=60)
        found = run_search(trained.predictor.space, plan, ResultsFile(tmp_path / "o.jsonl"))
        codes = np.array([MACRO.parse(arch) for arch in found.archs], np.int16)
        assert found.values[:, 1] == pytest.approx(trained.metrics.model("steps").expected(codes)) and found.on_front.any()

    def test_a_run_is_searched_by_its_own_predictions(self, trained: Run, tmp_path: Path) -> None:
        frame = api.search(trained, tmp_path / "o.jsonl", num=150)
        own = trained.predictor.predict(np.array([MACRO.parse(arch) for arch in frame["arch"]], np.int16))
        assert frame["value"].tolist() == pytest.approx(own["predicted"].tolist()) and len(frame) == 150
        assert (frame["predicted"] == frame["value"]).all() and {"low", "high"} <= set(frame)
        every = trained.predictor.predict(MACRO.enumerate())["predicted"]  # type: ignore[arg-type]
        assert frame["best"].iloc[-1] >= every.quantile(0.99)
        text = (tmp_path / "o.jsonl").read_text()
        assert api.search(trained, tmp_path / "o.jsonl", num=150).equals(frame) and (tmp_path / "o.jsonl").read_text() == text

    def test_half_a_batch_is_gone_on_from(self, trained: Run, tmp_path: Path) -> None:
        frame = api.search(trained, tmp_path / "o.jsonl", num=70)
        lines = (tmp_path / "o.jsonl").read_text().splitlines(keepends=True)
        (tmp_path / "o.jsonl").write_text("".join(lines[:33]))
        assert api.search(trained, tmp_path / "o.jsonl", num=70).equals(frame)

    def test_a_run_of_another_space(self, trained: Run, tmp_path: Path) -> None:
        name = f"predictor:{trained.folder.path}"
        with pytest.raises(ConfigError, match="does not measure this space"):
            api.search(flat_space(), tmp_path / "o.jsonl", name, num=3)


class TestNotebook:
    @pytest.mark.parametrize("given", ["name", "space", "table"])
    def test_a_space_in_any_form(self, given: str, mine: Callable[[str], str], tmp_path: Path) -> None:
        space = {"name": "nas_bench_macro", "space": MACRO, "table": macro_data(20)}[given]
        frame = api.search(space, tmp_path / "o.jsonl", mine(""), "acc", num=12, searcher="random", seeds=2)  # type: ignore[arg-type]
        assert len(frame) == 12 and frame["acc"].tolist() == frame["value"].tolist()

    def test_conditions_and_numbered_places(self, tmp_path: Path) -> None:
        (tmp_path / "flat.py").write_text(
            "def evaluate(arch, budget, seed):\n    return {'acc': int(arch['width']) + len(arch)}\n"
        )
        space = declared_space()
        frame = api.search(space, tmp_path / "o.jsonl", str(tmp_path / "flat.py"), "acc", num=200)
        assert len(frame) == space.size and frame["best"].iloc[-1] == frame["value"].max()
        assert all(("momentum" in arch) == (arch["optimizer"] == "sgd") for arch in frame["arch"])
