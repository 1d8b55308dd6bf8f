"""The predictor that pages load: fast, without torch, honest about what it is not sure of."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from autobuild_core.api import Run
from autobuild_core.errors import RunError
from autobuild_core.predictor.ensemble import Calibration, Predictor
from autobuild_core.spaces import space_named
from autobuild_core.targets.scaling import NormalScores
from tests.learning import flat_space, macro_truth, random_predictor

MACRO = space_named("nas_bench_macro")


class TestPredict:
    @pytest.mark.parametrize("minimize", [False, True])
    def test_intervals_enclose_the_prediction_and_order_follows_the_score(self, minimize: bool) -> None:
        predictor = random_predictor(MACRO, minimize=minimize)
        frame = predictor.predict(MACRO.sample(300, np.random.default_rng(0)))
        assert list(frame.columns) == ["predicted", "low", "high", "score"]
        assert (frame["low"] <= frame["predicted"]).all() and (frame["predicted"] <= frame["high"]).all()
        assert (frame["high"] > frame["low"]).mean() > 0.95
        order = spearmanr(frame["score"], frame["predicted"]).statistic
        assert order < -0.999 if minimize else order > 0.999

    def test_prediction_by_hand(self) -> None:
        predictor = random_predictor(MACRO)
        codes = MACRO.canonical(MACRO.sample(5, np.random.default_rng(1)))
        scores = predictor.ensemble.predict(codes).scores.astype(float)
        frame = predictor.predict(codes)
        assert frame["score"].to_numpy() == pytest.approx(scores.mean(0), abs=1e-5)
        half = 1.645 * np.sqrt(0.3**2 - 2 * 0.1**2 + scores.var(0))
        assert frame["low"].to_numpy() == pytest.approx(predictor.scaling.to_target(scores.mean(0) - half), rel=1e-4)
        assert frame["high"].to_numpy() == pytest.approx(predictor.scaling.to_target(scores.mean(0) + half), rel=1e-4)

    def test_twins_are_one_network(self) -> None:
        predictor = random_predictor(MACRO)
        twins = np.array([[1, 2, 0, 0, 2, 1, 0, 1], [1, 2, 0, 2, 0, 1, 1, 0], [1, 2, 2, 0, 0, 1, 1, 0]], np.int16)
        frame = predictor.predict(twins)
        assert frame.iloc[0].equals(frame.iloc[1]) and not frame.iloc[0].equals(frame.iloc[2])
        alone = [predictor.predict(twins[i : i + 1])["score"][0] for i in range(3)]  # whichever encoding is asked for
        assert alone == pytest.approx(frame["score"].tolist(), abs=1e-5)

    def test_rows_stay_in_order_with_repeats(self) -> None:
        space = flat_space()
        predictor, codes = random_predictor(space), space.sample(30, np.random.default_rng(2))
        frame = predictor.predict(codes)
        for row in (0, 7, 29):
            assert frame.iloc[row].to_numpy() == pytest.approx(
                predictor.predict(codes[row : row + 1]).iloc[0].to_numpy(), abs=1e-5
            )

    def test_nothing(self) -> None:
        assert random_predictor(MACRO).predict(np.zeros((0, 8), np.int16)).shape == (0, 4)


class TestMembers:
    """Expected targets of members whose target scales are their own."""

    scaling = NormalScores(np.array([-5.0, 0.0, 5.0]), np.array([-30.0, 20.0, 70.0]), 1)

    def predictor(self, *own: NormalScores) -> Predictor:
        random = random_predictor(MACRO, members=2)
        return Predictor(random.ensemble, random.spec, self.scaling, Calibration(0.2, 0.0), "acc", False, own)

    def test_its_own_scale_has_its_part(self) -> None:
        """Both scales are lines, whose expectation at a score is the line there: a quarter of 55 and three of 21."""
        steep = NormalScores(self.scaling.scores, np.array([-200.0, 50.0, 300.0]), 1)
        found = self.predictor(self.scaling, steep).member_expected(np.array([[0.1, -0.2], [0.1, -0.2]]))
        assert found == pytest.approx(np.array([[21.0, 18.0], [29.5, 23.5]]), abs=1e-6)

    def test_without_scales_of_their_own_all_share_one(self) -> None:
        predictor, scores = self.predictor(), np.array([[0.1, -0.2], [0.3, 0.0]])
        assert predictor.member_expected(scores) == pytest.approx(np.array([[21.0, 18.0], [23.0, 20.0]]), abs=1e-6)
        assert (predictor.member_expected(scores) == predictor.expected(scores)).all()

    def test_a_curved_scale_is_averaged_over_the_error(self) -> None:
        """exp of a normal score with error 0.2: on average exp(0.2 ** 2 / 2) times that of the score itself."""
        knots = np.linspace(-3, 3, 601)
        curved = NormalScores(knots, np.exp(knots), 1)
        found = self.predictor(self.scaling, curved).member_expected(np.array([[0.0], [0.5]]))
        assert found[1, 0] == pytest.approx(0.25 * np.exp(0.5 + 0.02) + 0.75 * 25, rel=2e-4)

    def test_a_scale_a_member_of_the_rows_that_it_learns_from(self, trained: Run) -> None:
        predictor, values = trained.predictor, trained.table().metrics["acc"].to_numpy()
        assert len(predictor.member_scalings) == predictor.ensemble.members == 4
        for own in predictor.member_scalings:
            assert np.isin(own.values, values).all() and len(own.values) < len(predictor.scaling.values)
        rows = [set(own.values.tolist()) for own in predictor.member_scalings]
        for value in predictor.scaling.values:  # each target is held out by exactly one member
            assert sum(value in own for own in rows) == 3


class TestCalibration:
    def test_members_agree_so_all_error_remains(self) -> None:
        assert Calibration(0.4, 0.0).residual == pytest.approx(0.4)

    def test_averaging_removes_what_members_differ_in_but_never_all(self) -> None:
        assert Calibration(0.5, 0.2).residual == pytest.approx(np.sqrt(0.25 - 0.08))
        assert Calibration(0.5, 5.0).residual == pytest.approx(0.25)

    def test_width_grows_with_the_spread(self) -> None:
        widths = Calibration(0.4, 0.1).half_width(np.array([0.0, 0.1, 0.5]))
        assert (np.diff(widths) > 0).all()


class TestLoad:
    def test_what_was_trained_is_what_is_loaded(self, trained: Run) -> None:
        predictor = Predictor.load(trained.folder.path)
        assert (predictor.target_name, predictor.minimize, predictor.spec) == ("acc", False, MACRO.spec)
        codes = MACRO.sample(500, np.random.default_rng(3))
        assert spearmanr(predictor.predict(codes)["predicted"], macro_truth(codes)).statistic > 0.9

    def test_without_heavy_libraries(self, trained: Run) -> None:
        script = (
            "import sys, numpy as np; from autobuild_core.predictor.ensemble import Predictor\n"
            "Predictor.load(sys.argv[1]).predict(np.ones((1, 8), np.int16))\n"
            "print([n for n in ('torch', 'sklearn', 'scipy', 'torch_geometric') if n in sys.modules])"
        )
        arguments = [sys.executable, "-c", script, str(trained.folder.path)]
        done = subprocess.run(arguments, capture_output=True, text=True, check=True, timeout=60)
        assert done.stdout.strip() == "[]"

    def test_a_folder_without_a_model(self, tmp_path: Path) -> None:
        with pytest.raises(RunError, match="expected a trained run"):
            Predictor.load(tmp_path)

    @pytest.mark.parametrize(
        "name",
        [
            "model.json",
            pytest.param(
                "model.safetensors",
            ),
        ],
    )
    def test_a_damaged_model(self, trained: Run, tmp_path: Path, name: str) -> None:
        for file in ("model.json", "model.safetensors"):
            shutil.copy(trained.folder.path / file, tmp_path)
        (tmp_path / name).write_bytes(b"\x03garbage")
        with pytest.raises(RunError):
            Predictor.load(tmp_path)

    def test_features_of_another_version(self, trained: Run, tmp_path: Path) -> None:
        shutil.copy(trained.folder.path / "model.safetensors", tmp_path)
        about = json.loads((trained.folder.path / "model.json").read_text())
        (tmp_path / "model.json").write_text(json.dumps(about | {"features": ["layer"]}))
        with pytest.raises(RunError, match="train anew"):
            Predictor.load(tmp_path)

    @pytest.mark.parametrize("known", [{"format": 3}, {}])
    def test_a_model_of_another_format(self, trained: Run, tmp_path: Path, known: dict[str, int]) -> None:
        shutil.copy(trained.folder.path / "model.safetensors", tmp_path)
        about = json.loads((trained.folder.path / "model.json").read_text())
        del about["format"]
        (tmp_path / "model.json").write_text(json.dumps(about | known))
        with pytest.raises(RunError, match=f"got a model of format {known.get('format', 1)}, expected 2; train the run anew"):
            Predictor.load(tmp_path)

    def test_describe_is_what_load_reads(self, trained: Run) -> None:
        about = json.loads((trained.folder.path / "model.json").read_text())
        assert Predictor.load(trained.folder.path).describe() == about
