"""What every scorer must do; a new file in scorers/ is tested by itself."""

from functools import cache

import numpy as np
import pytest

from autobuild_core import registry
from autobuild_core.inference import Predictor
from autobuild_core.scorers import SCORE_COLUMNS, Scorer, make_scorer, score_modules, unit_groups
from autobuild_core.spaces import Space, space_named
from tests.learning import chain_space, flat_space, macro_data, random_predictor

SPACES = {"macro": space_named("nas_bench_macro"), "ofa": space_named("ofa_mbv3"), "flat": flat_space(), "chain": chain_space()}
SPACES |= {"cell": space_named("nas_bench_201")}


@cache
def predictor_of(space: str) -> Predictor:
    return random_predictor(SPACES[space], members=2)


@pytest.fixture(params=SPACES)
def space(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=registry.names("scorers"))
def scorer(request: pytest.FixtureRequest, space: str) -> Scorer:
    made = make_scorer(request.param, predictor_of(space))
    if reason := made.supports(predictor_of(space)):
        assert reason.strip()
        pytest.skip(f"{request.param}: {reason}")
    return made


def some_groups(space: Space) -> list:
    return [space.windows(1)[0], space.windows(1)[-1], space.windows(2)[0], space.unit_modules(0)[0], space.unit_modules(1)[-1]]


def test_one_finite_row_a_module_with_the_columns(scorer: Scorer, space: str) -> None:
    groups = some_groups(SPACES[space])
    groups = [g for g in groups if len(g) <= 81]
    shares: list[float] = []
    frames = scorer.score(groups, shares.append)
    assert [len(f) for f in frames] == [len(g) for g in groups]
    assert shares == sorted(shares) and shares[-1] == pytest.approx(1)
    for frame in frames:
        assert list(frame.columns) == list(SCORE_COLUMNS)
        assert np.isfinite(frame.to_numpy(float)).all()
        for lens in ("score", "effect", "good"):
            assert (frame[f"{lens}_low"] <= frame[lens] + 1e-9).all() and (frame[lens] <= frame[f"{lens}_high"] + 1e-9).all()
        assert frame[["good", "good_low", "good_high"]].to_numpy().min() >= 0
        assert frame[["good", "good_low", "good_high"]].to_numpy().max() <= 1
        differences = frame["score"] - frame["effect"]
        assert differences.to_numpy() == pytest.approx(differences.iloc[0], rel=1e-6)  # one average of the space


def test_the_same_again(scorer: Scorer, space: str) -> None:
    groups = [SPACES[space].windows(1)[0]]
    again = make_scorer(scorer.__module__.rpartition(".")[2], predictor_of(space))
    assert again.score(groups)[0].equals(scorer.score(groups)[0])


def test_it_has_a_title() -> None:
    titles = [registry.load("scorers", name, Scorer).title for name in registry.names("scorers")]  # type: ignore[type-abstract]
    assert all(titles) and len(set(titles)) == len(titles)


@pytest.mark.parametrize("name", registry.names("scorers"))
def test_its_frame_joins_the_evidence(name: str) -> None:
    predictor = predictor_of("macro")
    frame = score_modules(make_scorer(name, predictor), unit_groups(predictor.space), macro_data(30))
    assert len(frame) == 63 and frame.notna().all(axis=None) and frame["num_evaluated"].sum() == 90
