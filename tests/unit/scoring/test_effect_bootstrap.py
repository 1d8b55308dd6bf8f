"""Over the bootstraps: what moves, what holds, and what is too rare to say."""

import numpy as np
import pandas as pd
import pytest

from autobuild_core.api import Run
from autobuild_core.scorers.autobuild import AutoBuildScorer
from autobuild_core.scoring import effect_bootstrap
from autobuild_core.scoring.bootstrap import Bootstraps


@pytest.fixture(scope="module")
def scorer(trained: Run) -> AutoBuildScorer:
    return AutoBuildScorer(trained.predictor, table=trained.table())


@pytest.fixture(scope="module")
def modules(trained: Run) -> pd.DataFrame:
    return trained.modules()


@pytest.fixture(scope="module")
def bootstraps(trained: Run) -> Bootstraps:
    """Drawn as the run drew them."""
    predictor, table = trained.predictor, trained.table()
    scores = predictor.scaling.to_scores(table.metrics["acc"].to_numpy(float))
    return Bootstraps.draw(predictor, predictor.space.canonical(table.codes), scores, table.networks)


def test_the_run_has_it_and_it_is_the_same_again(
    trained: Run, scorer: AutoBuildScorer, modules: pd.DataFrame, bootstraps: Bootstraps
) -> None:
    written = trained.folder.read_frame(effect_bootstrap.FILE)
    pd.testing.assert_frame_equal(
        written, effect_bootstrap.holding_table(scorer.population, scorer.predictor.spec, bootstraps, modules)
    )
    assert written[["positions", "layers", "whole_unit"]].equals(modules[["positions", "layers", "whole_unit"]])
    assert written["holds"].between(0, 1).all()


def test_what_is_planted_holds_and_what_is_near_nothing_does_less(trained: Run, modules: pd.DataFrame) -> None:
    table = trained.folder.read_frame(effect_bootstrap.FILE)
    assert ((table["bootstrap_low"] <= modules["effect"]) & (modules["effect"] <= table["bootstrap_high"])).mean() > 0.9
    sure = np.abs(modules["effect"]) / (table["bootstrap_high"] - table["bootstrap_low"])
    assert (table["holds"][sure > 1.5] >= 0.99).all() and (sure > 1.5).any()
    assert table["holds"][sure < 0.2].mean() < 0.8 and (sure < 0.2).any()


def test_without_moves_everything_holds(scorer: AutoBuildScorer, modules: pd.DataFrame, bootstraps: Bootstraps) -> None:
    still = Bootstraps(scorer.predictor, np.zeros_like(bootstraps.moves))
    table = effect_bootstrap.holding_table(scorer.population, scorer.predictor.spec, still, modules)
    assert (table["holds"] == 1).all()
    np.testing.assert_allclose(table["bootstrap_low"], modules["effect"])


def test_a_module_in_too_few_architectures_has_none(
    scorer: AutoBuildScorer, modules: pd.DataFrame, bootstraps: Bootstraps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(effect_bootstrap, "FEWEST", 400)  # of 2,048: a single layer is in 683, a pair in 228
    table = effect_bootstrap.holding_table(scorer.population, scorer.predictor.spec, bootstraps, modules)
    single = modules["hop"] == 0
    assert table["holds"][single].notna().all() and table["holds"][~single].isna().all()
