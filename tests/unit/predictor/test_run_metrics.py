"""What a run knows of its metrics, on disk: read back to the last digit, for all kinds of spaces, and refused where damaged."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file, save_file

from autobuild_core.architectures.records import ArchTable
from autobuild_core.errors import Cancelled, RunError
from autobuild_core.predictor import fitting
from autobuild_core.predictor.fitting import fit_metrics, fit_run, fit_straight
from autobuild_core.predictor.metrics import Bound
from autobuild_core.predictor.posterior import _inverse_of_triangle
from autobuild_core.predictor.run_metrics import ABOUT, ARRAYS, TARGET, RunMetrics, name_of_target
from autobuild_core.spaces import Space, load_space, space_named
from autobuild_core.store.run_folder import RunFolder
from autobuild_core.targets.equation import Target
from autobuild_core.testing.examples import additive_truth, chain_space, flat_space

SPACES = {"chain": chain_space(3, (1, 2, 3), 3), "flat": flat_space(3), "cells": space_named("nas_bench_201")}


def made(space: Space, num: int = 90, in_contexts: bool = False) -> ArchTable:
    """Measured networks: an accuracy with noise, a latency with noise, a number of layers, a constant."""
    rng = np.random.default_rng(1)
    codes = space.sample(4 * num, rng)
    codes = codes[np.sort(np.unique(space.hash_networks(codes), return_index=True)[1])][:num]
    truth, size = additive_truth(space, codes), (space.canonical(codes) > 0).sum(1).astype(float)
    metrics = pd.DataFrame({"acc": truth + 0.1 * truth.std() * rng.standard_normal(num), "alike": 1.0})
    metrics["latency"] = np.exp(0.1 * size + 0.05 * rng.standard_normal(num))
    if space is not SPACES["cells"]:
        metrics["params"] = 1e6 + 100 * truth
    rows = np.arange(num)
    table = ArchTable(space.spec, codes, space.hash_networks(codes), metrics, rows, "csv_table", num)
    contexts = pd.DataFrame({"device": np.where(rows % 2, "a", "b")})
    return replace(table, contexts=contexts, context_kinds={"device": "task"}) if in_contexts else table


def kept(known: RunMetrics, folder: Path, space: Space) -> RunMetrics:
    """The same, written and read again."""
    known.save(RunFolder(folder))
    return RunMetrics.load(RunFolder(folder), load_space(space.spec))


@pytest.fixture(scope="module")
def known() -> RunMetrics:
    """Of rows in two contexts with a minimised equation."""
    return fit_run(made(SPACES["chain"], in_contexts=True), Target("latency / acc", minimize=True))


class TestRoundTrip:
    @pytest.mark.parametrize("name", SPACES)
    @pytest.mark.parametrize("minimize", [False, True])
    def test_everything_is_read_back_to_the_last_digit(self, tmp_path: Path, name: str, minimize: bool) -> None:
        space = SPACES[name]
        first = fit_run(made(space, 40), Target("acc", minimize))
        again = kept(first, tmp_path, space)
        codes = space.sample(60, np.random.default_rng(2))
        assert again.target == "acc" and list(again.metrics.models) == list(first.metrics.models)
        assert dict(again.metrics.unknown) == {"alike": "it never varies"}
        for metric, model in first.metrics.models.items():
            other = again.metrics.model(metric)
            assert (other.held_out, other.is_exact, other.widening) == (model.held_out, model.is_exact, model.widening)
            np.testing.assert_array_equal(other.residuals, model.residuals)
            np.testing.assert_array_equal(other.interval(codes), model.interval(codes))
            np.testing.assert_array_equal(other.quantile(codes, 0.9), model.quantile(codes, 0.9))
        bounds = [Bound("latency", 1.5), Bound("acc", float(made(space, 40).metrics["acc"].median()), False)]
        np.testing.assert_array_equal(again.metrics.within(codes, bounds), first.metrics.within(codes, bounds))
        assert again.straight.scaling.sign == (-1 if minimize else 1) and again.straight.scaling.ranked == 0
        np.testing.assert_array_equal(again.straight.joint(codes)[1], first.straight.joint(codes)[1])
        np.testing.assert_array_equal(again.straight.moments(codes), first.straight.moments(codes))

    def test_exact_and_predicted_metrics_and_the_target_are_all_there(self, known: RunMetrics, tmp_path: Path) -> None:
        again = kept(known, tmp_path, SPACES["chain"])
        assert {name: model.is_exact for name, model in again.metrics.models.items()} == {
            "latency": False,
            "acc": False,
            "params": True,
            TARGET: False,
        }
        assert again.target == TARGET and len(again.metrics.model(TARGET).residuals) == 90
        assert np.isnan(again.metrics.model("params").residuals).tolist() == [True] * 90

    def test_the_files_are_small(self, known: RunMetrics, tmp_path: Path) -> None:
        """The inverse of one process alone would take 65 kB of 90 networks."""
        known.save(RunFolder(tmp_path))
        assert (tmp_path / ARRAYS).stat().st_size < 4 * 9_000

    @pytest.mark.parametrize("size", [1, 64, 65, 200])
    def test_a_triangle_is_inverted(self, size: int) -> None:
        some = np.random.default_rng(0).standard_normal((size, size))
        lower = np.linalg.cholesky(some @ some.T + np.eye(size))
        np.testing.assert_allclose(_inverse_of_triangle(lower), np.linalg.inv(lower), atol=1e-12)


class TestDamaged:
    def test_a_run_of_before_has_none(self, known: RunMetrics, tmp_path: Path) -> None:
        assert not RunMetrics.is_in(RunFolder(tmp_path))
        known.save(RunFolder(tmp_path))
        assert RunMetrics.is_in(RunFolder(tmp_path))

    def refused(self, folder: Path) -> str:
        """The words in which they are refused."""
        with pytest.raises(RunError) as caught:
            RunMetrics.load(RunFolder(folder), SPACES["chain"])
        return str(caught.value)

    def test_missing_and_torn_files(self, known: RunMetrics, tmp_path: Path) -> None:
        known.save(RunFolder(tmp_path))
        whole = (tmp_path / ARRAYS).read_bytes()
        (tmp_path / ARRAYS).write_bytes(whole[:-100])
        assert "damaged or missing" in self.refused(tmp_path)
        (tmp_path / ARRAYS).unlink()
        assert "damaged or missing" in self.refused(tmp_path)
        (tmp_path / ARRAYS).write_bytes(whole)
        (tmp_path / ABOUT).write_text((tmp_path / ABOUT).read_text()[:-30])
        assert f"{tmp_path / ABOUT}: got a damaged file" in self.refused(tmp_path)

    def test_what_is_no_description(self, known: RunMetrics, tmp_path: Path) -> None:
        known.save(RunFolder(tmp_path))
        about = json.loads((tmp_path / ABOUT).read_text())
        for wrong in ([], {}, about | {"models": [{}]}, about | {"straight": None}, about | {"unknown": 3, "models": 3}):
            (tmp_path / ABOUT).write_text(json.dumps(wrong))
            assert "train the run anew" in self.refused(tmp_path)
        (tmp_path / ABOUT).write_text(json.dumps(about | {"format": 2}))
        assert self.refused(tmp_path).endswith("got format 2, expected 1; train the run anew.")

    @pytest.mark.parametrize("name", ["0.codes", "0.scores", "0.roots", "2.seen", "straight.weights", "0.knot_values"])
    def test_an_array_of_another_shape(self, known: RunMetrics, tmp_path: Path, name: str) -> None:
        known.save(RunFolder(tmp_path))
        arrays = load_file(tmp_path / ARRAYS)
        save_file(arrays | {name: np.ascontiguousarray(arrays[name][..., :-1])}, tmp_path / ARRAYS)
        assert "got the shape" in self.refused(tmp_path)


class TestFitted:
    def test_the_target_is_called_by_its_metric_where_it_is_one(self) -> None:
        assert name_of_target(Target(" acc ")) == "acc"
        assert [name_of_target(Target(text)) for text in ("100 - acc", "(acc)")] == [TARGET, TARGET]

    def test_it_is_what_a_fit_of_a_metric_alone_finds(self, known: RunMetrics) -> None:
        table, codes = made(SPACES["chain"], in_contexts=True), SPACES["chain"].sample(30, np.random.default_rng(3))
        alone = fit_metrics(table, ["latency"]).model("latency")
        np.testing.assert_allclose(known.metrics.model("latency").interval(codes), alone.interval(codes), rtol=1e-9)
        values = Target("latency / acc").values(table.metrics)
        straight = fit_straight(table, values, minimize=True)
        np.testing.assert_allclose(known.straight.moments(codes), straight.moments(codes), rtol=1e-9)
        measured = fit_metrics(replace(table, metrics=pd.DataFrame({TARGET: values})), [TARGET]).model(TARGET)
        np.testing.assert_allclose(known.metrics.model(TARGET).interval(codes), measured.interval(codes), rtol=1e-9)

    def test_single_repeats_are_left_to_their_mean_but_not_the_target(self) -> None:
        table = made(SPACES["flat"], 30)
        repeats = {f"acc_seed{seed}": table.metrics["acc"] + (seed - 0.5) * 0.1 for seed in (0, 1)}
        table = replace(table, metrics=table.metrics.assign(**repeats))
        said = fit_run(table, Target("latency")).metrics
        assert {name: why for name, why in said.unknown.items() if "seed" in name} == dict.fromkeys(
            repeats, "a single repeat of acc, which averages several"
        )
        assert "acc_seed1" in fit_run(table, Target("acc_seed1")).metrics.models

    def test_of_too_many_the_target_and_costs_come_first(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(fitting, "MOST_METRICS", 3)
        table = made(SPACES["flat"], 30)
        table = replace(table, metrics=table.metrics.assign(last=table.metrics["acc"] ** 2))
        known = fit_run(table, Target("log(last)"))
        assert list(known.metrics.models) == ["last", "params", "latency", TARGET]
        said = "a training learns 3 metrics of its data, others come first"
        assert dict(known.metrics.unknown) == {"acc": said, "alike": said}

    def test_threads_change_nothing_and_the_share_grows_to_nearly_all(self, known: RunMetrics) -> None:
        told = list[float]()
        table, codes = made(SPACES["chain"], in_contexts=True), SPACES["chain"].sample(30, np.random.default_rng(3))
        again = fit_run(table, Target("latency / acc", minimize=True), 3, told.append)
        np.testing.assert_array_equal(again.straight.moments(codes), known.straight.moments(codes))
        for name, model in known.metrics.models.items():
            np.testing.assert_array_equal(again.metrics.model(name).interval(codes), model.interval(codes))
        assert told == [number / 6 for number in range(1, 6)]

    def test_a_report_that_raises_ends_it(self) -> None:
        asked = list[float]()

        def stop(share: float) -> None:
            asked.append(share)
            raise Cancelled

        with pytest.raises(Cancelled):
            fit_run(made(SPACES["flat"], 30), Target("acc"), 1, stop)
        assert len(asked) == 1

    def test_values_that_no_square_holds_have_no_model(self) -> None:
        table = made(SPACES["flat"], 30)
        table = replace(table, metrics=table.metrics.assign(acc=table.metrics["acc"] * 1e200))
        assert dict(fit_metrics(table, ["acc"]).unknown) == {"acc": "it has values beyond 1e+100"}
