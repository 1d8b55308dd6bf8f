"""Real short trainings on planted truths: what comes out must be what was put in."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau, spearmanr

from autobuild_core.api import Run, train
from autobuild_core.architectures.features import JOINT, make_codebook
from autobuild_core.architectures.lens import Lens
from autobuild_core.architectures.module_table import SCORE_COLUMNS, top_modules
from autobuild_core.architectures.records import ABSENT, ArchTable
from autobuild_core.errors import Cancelled, ConfigError, TargetError
from autobuild_core.jobs.kinds.train import pipeline
from autobuild_core.jobs.kinds.train.pipeline import train_run
from autobuild_core.predictor import gaussian_process, learning_curve
from autobuild_core.predictor.ensemble import Predictor
from autobuild_core.predictor.forward import GAUSSIAN, Ensemble
from autobuild_core.predictor.model import ModelConfig
from autobuild_core.predictor.run_metrics import RunMetrics
from autobuild_core.predictor.training import TrainConfig, split_folds
from autobuild_core.scorers import make_scorer, score_modules, unit_groups
from autobuild_core.spaces import load_space, space_named
from autobuild_core.store.quality import Progress
from autobuild_core.store.run_folder import RunConfig, RunFolder
from tests.flat_spaces import infer_spec
from tests.learning import MACRO_VALUES, MACRO_WEIGHTS, macro_data, macro_truth

MACRO = space_named("nas_bench_macro")
BLOCKS = pd.DataFrame({f"b{b}_{n}": v for b in range(3) for n, v in (("k", [3, 5]), ("e", [1, 6]), ("l", [1, 2]))})
FLAT = load_space(infer_spec(BLOCKS, list(BLOCKS)))  # 8 modules a block, 512 architectures


def latency(codes: np.ndarray) -> np.ndarray:
    """A sum over blocks; the eight modules of a block cost 0 to 7 times its weight: depth, expansion, kernel as binary digits."""
    kernel = np.array([int(k) for k in FLAT.spec.attributes["k"]]) == 5
    expansion = np.array([int(e) for e in FLAT.spec.attributes["e"]]) == 6
    first, second = codes[:, 0::2], codes[:, 1::2]  # (n, blocks)
    cost = 4 * (second != ABSENT) + 2 * expansion[first] + kernel[first]
    return 5 + cost @ np.array([1.0, 1.5, 2.0])


@pytest.fixture(scope="module")
def fast(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A minimised latency from 110 rows, six of them without it."""
    codes = FLAT.sample(110, np.random.default_rng(0))
    values = latency(codes)
    values[[0, 5, 17, 18, 40, 69]] = np.nan
    metrics = pd.DataFrame({"latency": values})
    table = ArchTable(FLAT.spec, codes, FLAT.hash_networks(codes), metrics, np.arange(100, 210), "csv_table", 110)
    out = tmp_path_factory.mktemp("fast") / "run"
    return train(table, "latency", out, minimize=True, num_members=3, num_steps=200, threads=1)


def test_of_many_a_sample_is_learned_from_and_all_are_evidence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"WHOLE_LIMIT": 150, "FIRST_SIZE": 60, "LAST_SIZE": 120, "NUM_JUDGED": 50, "WORTHWHILE": -2}.items():
        monkeypatch.setattr(learning_curve, name, value)
    run = train(macro_data(400), "acc", tmp_path / "run", num_members=2, num_steps=60, max_length=1, threads=1)
    quality, frame = run.quality, run.folder.read_frame("predictions.parquet")
    assert [point["num_networks"] for point in quality["learning_curve"]] == [60, 120]
    assert all(0.5 < point["srcc"] <= 1 for point in quality["learning_curve"])
    better = max(quality["learning_curve"], key=lambda point: point["srcc"])["num_networks"]  # a close race
    assert quality["num_networks"] == better and quality["num_train"] == len(frame) < quality["num_evidence"] == 400
    table = run.table()
    assert (frame["target"] == table.metrics["acc"][frame["row"]].to_numpy()).all()
    layers = run.modules()
    assert layers[layers["positions"] == '["L1"]']["num_evaluated"].sum() == 400


class TestTrained:
    def test_unseen_architectures_are_ordered(self, trained: Run) -> None:
        quality = trained.quality
        assert quality["srcc"] > 0.85 and quality["kendall"] > 0.65 and max(quality["hop_srcc"]) > 0.8
        assert len(quality["hop_srcc"]) == 5 and 0.6 < quality["coverage"] <= 1
        codes = MACRO.sample(400, np.random.default_rng(9))
        frame = trained.predictor.predict(codes)
        assert spearmanr(frame["predicted"], macro_truth(codes)).statistic > 0.9
        assert np.mean((frame["low"] <= macro_truth(codes)) & (macro_truth(codes) <= frame["high"])) > 0.6

    def test_quality_is_that_of_the_held_out_predictions(self, trained: Run) -> None:
        quality, frame = trained.quality, trained.folder.read_frame("predictions.parquet")
        assert quality["srcc"] == pytest.approx(spearmanr(frame["predicted"], frame["target"]).statistic, abs=2e-3)
        assert quality["kendall"] == pytest.approx(kendalltau(frame["predicted"], frame["target"]).statistic, abs=5e-3)
        assert quality["mae"] == pytest.approx((frame["predicted"] - frame["target"]).abs().mean(), rel=1e-6)
        assert quality["coverage"] == pytest.approx(frame["target"].between(frame["low"], frame["high"]).mean())
        assert (frame["low"] <= frame["high"]).all()
        table = trained.table()
        assert (frame["target"] == table.metrics["acc"][frame["row"]].to_numpy()).all()

    def test_one_member_judges_all_encodings_of_a_network(self, tmp_path: Path) -> None:
        table = macro_data(80, seed=5)
        twins = pd.Series(table.networks).duplicated(keep=False).to_numpy()
        run = train(table, "acc", tmp_path / "run", num_members=2, num_steps=5, max_length=1, threads=1)
        frame = run.folder.read_frame("predictions.parquet")
        assert twins.sum() == 6 and frame["row"].tolist() == list(range(80))
        assert (frame[twins].groupby(table.networks[twins])["predicted"].nunique() == 1).all()

    def test_scores_recover_the_planted_effects(self, trained: Run) -> None:
        modules, codes = trained.modules(), MACRO.enumerate()
        assert codes is not None
        truth = macro_truth(codes)
        single = modules[modules["hop"] == 0].reset_index(drop=True)
        true_effects = []
        for position, token in zip(single["first_position"], single["layers"].str[2:-2], strict=True):
            inside = codes[:, position] == MACRO.token_index[token]
            true_effects.append(truth[inside].mean() - truth.mean())
        true = np.array(true_effects)
        assert spearmanr(single["effect"], true).statistic > 0.85
        clear = np.abs(true) > 0.08
        assert clear.sum() >= 12 and (np.sign(single["effect"][clear]) == np.sign(true[clear])).all()
        assert (single["effect"] - true).abs().max() < 0.2
        assert trained.quality["space_mean"] == pytest.approx(truth.mean(), abs=0.1)
        assert trained.quality["good_threshold"] == pytest.approx(np.quantile(truth, 0.9), abs=0.25)

    def test_a_feature_is_worth_what_its_layers_are(self, trained: Run) -> None:
        frame = trained.folder.read_frame("features.parquet")
        assert list(frame.columns) == ["feature", "value", "effect", "effect_low", "effect_high", "num_nodes"]
        assert (frame["effect_low"] <= frame["effect"]).all() and (frame["effect"] <= frame["effect_high"]).all()
        kernel = frame[frame["feature"] == "kernel"].set_index("value").loc[["0", "3", "5"]]
        true = (MACRO_VALUES - MACRO_VALUES.mean()) * MACRO_WEIGHTS.mean()  # identity hurts, mb6_k5 helps
        assert kernel["effect"].to_numpy() == pytest.approx(true, abs=0.05)
        assert kernel["effect_high"]["0"] < 0 < kernel["effect_low"]["5"]  # and that is told from nothing
        nodes = frame.groupby("feature")["num_nodes"].sum()
        assert (nodes == 80 * 8).all() and JOINT in nodes.index

    def test_files_have_the_columns_of_the_contract(self, trained: Run) -> None:
        folder = trained.folder
        modules = folder.read_frame("modules.parquet")
        evidence = {"num_evaluated", "whole_unit", "unit_index", "first_position"}
        assert set(modules.columns) == {"unit", "positions", "layers", "hop", *SCORE_COLUMNS} | evidence
        assert not modules.duplicated(["positions", "layers"]).any()
        whole = modules[modules["whole_unit"]]
        assert whole["unit"].value_counts().to_dict() == {"L1-2": 9, "L3-5": 27, "L6-8": 27}
        predictions = folder.read_frame("predictions.parquet")
        assert list(predictions.columns) == ["row", "source_row", "target", "predicted", "low", "high"]
        keys = {"srcc", "kendall", "mae", "hop_srcc", "coverage", "seconds", "num_train", "num_networks", "ensemble_size"}
        keys |= {"space_mean", "good_threshold", "verdict", "verdict_why"}
        assert keys <= set(trained.quality)
        assert (trained.quality["num_train"], trained.quality["ensemble_size"]) == (80, 4)
        assert trained.quality["num_networks"] == 80 - trained.table().num_duplicates
        progress = folder.progress()
        assert progress["phase"].drop_duplicates().tolist()[-2:] == ["checking", "metrics"]
        assert progress["step"].max() == 120 and {"loss", "hop_srcc", "srcc", "seconds", "phase"} <= set(progress.columns)
        assert folder.state["state"] == "finished"

    def test_the_trust_report_is_whole(self, trained: Run) -> None:
        report, folder = trained.trust, trained.folder
        assert report.srcc.low <= report.srcc.value <= report.srcc.high
        assert report.srcc.value == pytest.approx(trained.quality["srcc"])
        assert {b.scorer for b in report.baselines} == {"forest", "ridge"}
        assert report.permutation is not None and report.permutation.passed
        assert report.permutation.spread < 0.3 * report.permutation.real_spread and report.permutation.seconds > 0
        assert report.data.kind == "uniform sample" and report.cost.agreement is None
        assert [u.unit for u in report.units] == ["L1-2", "L3-5", "L6-8"]
        assert report.seconds > 0

        scorers = folder.read_frame("scorers.parquet")
        assert set(scorers["scorer"]) == {"autobuild", "forest", "mean", "norms", "ridge"}
        assert (scorers.groupby("scorer").size() == 63).all()
        own = scorers[scorers["scorer"] == "autobuild"].sort_values(["unit_index", "rank"])
        assert (own.groupby("unit_index")["score"].diff().dropna() <= 0).all()
        best = folder.read_frame("trust_best.parquet")
        assert (best.groupby("unit_index")["prob_best"].sum() <= 1 + 1e-9).all()
        assert (best.groupby("unit_index")["bootstrap_share"].sum() <= 1 + 1e-9).all() and best["bootstrap_share"].max() > 0.5
        assert best.groupby("unit_index")["cannot_be_told"].any().all()
        assert folder.read_frame("trust_calibration.parquet")["num"].sum() == 80
        assert len(folder.read_frame("trust_positions.parquet")) == 8
        assert set(trained.interactions()["kind"]) == {"layers", "units"}
        following = folder.read_frame("next.parquet")
        archs = [json.loads(line)["arch"] for line in following["record"]]
        codes = np.array([MACRO.parse(arch) for arch in archs], np.int16)
        assert len(archs) == 16 and not np.isin(MACRO.hash_networks(codes), trained.table().networks).any()

    def test_whole_units_are_read_as_the_training_scored_them(self, trained: Run) -> None:
        table, scorer = trained.table(), make_scorer("autobuild", trained.predictor, None, trained.table())
        again = score_modules(scorer, unit_groups(MACRO), table).set_index(["positions", "layers"])
        read = trained.scores(units=True).set_index(["positions", "layers"])
        assert len(read) == len(again) and read["score"].is_monotonic_decreasing
        for column in ("score", "effect_low", "good_high", "embedding_norm", "num_evaluated"):
            assert read[column].to_numpy(float) == pytest.approx(again.loc[read.index, column].to_numpy(float), abs=1e-6)

    def test_scores_by_any_scorer(self, trained: Run) -> None:
        ours, ridge = (
            trained.scores(units=True, scorer=name).set_index(["positions", "layers"])["score"] for name in ("autobuild", "ridge")
        )
        assert ours.corr(ridge.loc[ours.index], method="spearman") > 0.8
        assert trained.scores(units=True, scorer="norms")["score_low"].notna().all()
        with pytest.raises(ConfigError, match="cannot tell"):
            trained.scores("good", scorer="norms")
        with pytest.raises(ConfigError, match="got 'nonsense'"):
            trained.scores(scorer="nonsense")
        with pytest.raises(ConfigError, match="expected it with 'autobuild' only"):
            trained.scores(scorer="ridge", cost="steps")

    def test_two_targets_are_compared_over_one_space(self, trained: Run, fast: Run) -> None:
        with pytest.raises(ConfigError, match="another search space"):
            trained.compare(fast)
        with pytest.raises(ConfigError, match="same target"):
            trained.compare(trained)


class TestHeldOut:
    """No member learns from its fold, through both halves of the ensemble; 60 rows of NAS-Bench-Macro in three folds."""

    settings = TrainConfig(members=3, steps=15, batch_size=24, model=ModelConfig(width=8), clip=1e9)

    def learn(self, scores: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
        """(weights, fold, canonical codes)."""
        table = macro_data(60, seed=3)
        fold = split_folds(table.networks, 3, np.random.default_rng(0))
        codes, codebook = MACRO.canonical(table.codes), make_codebook(MACRO.spec)
        return pipeline._ensemble(codes, scores, fold, codebook, self.settings, 1, lambda r: None, lambda: False), fold, codes

    def test_the_same_seed_gives_the_same_ensemble_bitwise(self) -> None:
        scores = np.random.default_rng(0).normal(size=60)
        first, again = self.learn(scores)[0], self.learn(scores)[0]
        assert first.keys() == again.keys() and all(np.array_equal(first[name], again[name]) for name in first)
        assert any(name.startswith(GAUSSIAN) for name in first)

    def test_labels_of_its_fold_change_nothing_that_a_member_predicts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The share of the halves is one number, chosen on all folds: it is held fixed here."""
        monkeypatch.setattr(gaussian_process, "gaussian_share", lambda solved, trained, scores: 0.5)
        rng = np.random.default_rng(1)
        scores = rng.normal(size=60)
        weights, fold, codes = self.learn(scores)
        others = self.learn(np.where(fold == 0, rng.normal(size=60), scores))[0]
        first, second = (Ensemble(w, make_codebook(MACRO.spec), 4).predict(codes).scores for w in (weights, others))
        assert np.array_equal(first[0], second[0])
        assert not np.allclose(first[1], second[1], atol=0.01) and not np.allclose(first[2], second[2], atol=0.01)

    def test_permuted_labels_give_no_signal_through_the_whole_pipeline(self, trained: Run, tmp_path: Path) -> None:
        """Folds, both halves, their shares, calibration and scores: what is left of a target that says nothing is chance."""
        found = []
        for seed in range(3):
            table = macro_data(80, seed=seed)
            twins = pd.Series(table.networks).duplicated().to_numpy()
            table = table.take(np.flatnonzero(~twins))
            shuffled = table.metrics.sample(frac=1, random_state=seed).reset_index(drop=True)
            table = replace(table, metrics=shuffled)
            run = train(table, "acc", tmp_path / str(seed), num_members=4, num_steps=60, max_length=1, threads=1)
            ensemble = run.predictor.ensemble
            assert ensemble.random is not None and ensemble.weights[GAUSSIAN + "share"] > 0.1  # the readout takes part
            modules = run.modules()
            effects = modules[modules["hop"] == 0]["effect"]
            surely = (modules["effect_low"] > 0) | (modules["effect_high"] < 0)
            assert run.quality["verdict"] != trained.quality["verdict"]
            found.append((run.quality["srcc"], effects.std(), surely.mean(), run.quality["coverage"]))
        srcc, spread, surely, coverage = np.array(found).T
        real = trained.modules().query("hop == 0")["effect"].std()
        assert abs(srcc.mean()) < 0.2 and np.abs(srcc).max() < 0.35  # one of 80 rows: 0.11 by chance
        assert spread.mean() < 0.4 * real
        assert surely.mean() < 0.2  # one in ten by definition of the intervals
        assert coverage.min() > 0.8  # the intervals say that nothing is known


class TestMinimised:
    def test_rows_without_a_target_are_left_out_and_counted(self, fast: Run) -> None:
        assert (fast.quality["num_train"], fast.quality["num_without_target"]) == (104, 6)
        frame = fast.folder.read_frame("predictions.parquet")
        assert sorted(set(range(110)) - set(frame["row"])) == [0, 5, 17, 18, 40, 69]
        assert (frame["source_row"] == frame["row"] + 100).all() and frame.notna().all(axis=None)
        assert fast.modules().query("hop == 0 and first_position == 0 and not whole_unit")["num_evaluated"].sum() == 104

    def test_a_smaller_target_is_better_everywhere(self, fast: Run) -> None:
        assert fast.quality["srcc"] > 0.85 and max(fast.quality["hop_srcc"]) > 0.7
        frame = fast.folder.read_frame("predictions.parquet")
        assert spearmanr(frame["predicted"], frame["target"]).statistic > 0.85
        assert fast.quality["good_threshold"] < fast.quality["space_mean"]
        predictions = fast.predictor.predict(FLAT.sample(50, np.random.default_rng(1)))
        assert spearmanr(predictions["score"], predictions["predicted"]).statistic < -0.99

    def test_bootstraps_find_the_smallest_score_the_best(self, fast: Run) -> None:
        best = fast.folder.read_frame("trust_best.parquet")
        shares = best.groupby("unit_index")["bootstrap_share"]
        assert (best.loc[shares.idxmax(), "rank"] <= 3).all() and shares.max().min() > 0.3
        worst = best.loc[best.groupby("unit_index")["score"].idxmax()]
        assert (worst["bootstrap_share"] < 0.1).all()

    @pytest.mark.parametrize("lens", [Lens.SCORE, Lens.GOOD])
    def test_the_best_modules_are_the_cheapest(self, fast: Run, lens: Lens) -> None:
        ranked = top_modules(fast.modules(), lens, minimize=True)
        codes = FLAT.enumerate()
        assert codes is not None and len(codes) == 512
        for index, unit in enumerate(FLAT.spec.units):
            ours = ranked[ranked["unit_index"] == index]
            assert len(ours) == 8
            average = []
            for layers in ours["layers"]:
                tokens = [FLAT.token_index[t] for t in json.loads(layers)]
                padded = tokens + [ABSENT] * (2 - len(tokens))
                average.append(latency(codes[(codes[:, list(unit.positions)] == padded).all(1)]).mean())
            assert spearmanr(average, np.arange(8)).statistic > 0.8
            assert average[0] == min(average)

    def test_built_ones_are_fast_and_new(self, fast: Run) -> None:
        built = fast.build(num=5)
        codes = np.array([FLAT.parse(arch) for arch in built["arch"]], np.int16)
        every = FLAT.enumerate()
        assert every is not None
        assert built["predicted"].is_monotonic_increasing
        assert latency(codes).mean() < np.quantile(latency(every), 0.1) and latency(codes).max() < np.quantile(
            latency(every), 0.2
        )
        assert not np.isin(FLAT.hash_networks(codes), fast.table().networks).any()


class TestEnds:
    def folder(self, path: Path, target: str = "acc", rows: int = 30) -> RunFolder:
        config = RunConfig("", "x", "x", "", target, num_members=2, num_steps=3, max_length=1, threads=1)
        return RunFolder(path / "run").create(config, macro_data(rows))

    def test_what_was_finished_before_a_stop_is_kept(self, tmp_path: Path) -> None:
        folder = self.folder(tmp_path)
        with pytest.raises(Cancelled):
            train_run(folder, lambda record: None, (folder.path / "predictions.parquet").exists)
        assert len(Predictor.load(folder.path).predict(folder.table().codes)) == 30
        assert not (folder.path / "quality.json").exists()

    def test_a_stop_among_the_metrics_writes_nothing_of_them(self, tmp_path: Path) -> None:
        folder, told = self.folder(tmp_path), list[Progress]()
        with pytest.raises(Cancelled):
            train_run(folder, told.append, lambda: any(record["phase"] == "metrics" for record in told))
        assert [record["share"] for record in told if record["phase"] == "metrics"] == [0.0]
        assert not RunMetrics.is_in(folder) and not (folder.path / "quality.json").exists()

    @pytest.mark.parametrize(("target", "error"), [("accc", TargetError), ("acc +", TargetError), ("acc - acc", TargetError)])
    def test_a_refused_target(self, tmp_path: Path, target: str, error: type[Exception]) -> None:
        with pytest.raises(error):
            train_run(self.folder(tmp_path, target), lambda record: None, lambda: False)

    def test_too_few_networks(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="expected at least 10"):
            train_run(self.folder(tmp_path, rows=6), lambda record: None, lambda: False)
