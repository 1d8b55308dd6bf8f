"""A reduced space against the full one: by hand over all encodings, in both directions, and by random draws."""

import numpy as np
import pytest
from numpy.typing import NDArray

from autobuild_core import spaces
from autobuild_core.architectures.records import Codes
from autobuild_core.predictor.ensemble import Calibration, Predictor
from autobuild_core.scoring.intervals import jackknife_half_width
from autobuild_core.scoring.population import Population
from autobuild_core.scoring.space_quality import SpaceQuality, space_quality
from autobuild_core.spaces import Space, load_space, space_named
from autobuild_core.spaces._listed import reduced_spec
from tests.learning import chain_space, random_predictor

MACRO = space_named("nas_bench_macro")
KEPT = [[(2, 2), (2, 1)], [(2, 2, 2), (1, 2, 2), (0, 2, 1)], [(2, 2, 2), (2, 1, 2)]]
RNG = np.random.default_rng(0)


def populations(full: Space, reduced: Space) -> tuple[Population, Population]:
    return Population.of(full, np.random.default_rng(1)), Population.of(reduced, np.random.default_rng(2))


def believed(predictor: Predictor, codes: Codes) -> NDArray[np.float64]:
    """(members, n) expected targets."""
    return predictor.member_expected(predictor.member_scores(codes).astype(float))


def sure(members: int = 4, minimize: bool = False) -> Predictor:
    """A predictor that makes no error that its members share."""
    predictor = random_predictor(MACRO, members=members, minimize=minimize)
    predictor.calibration = Calibration(0.0, 0.0)
    return predictor


def quality(predictor: Predictor, reduced: Space) -> SpaceQuality:
    return space_quality(predictor, *populations(predictor.space, reduced))


@pytest.mark.parametrize("minimize", [False, True])
def test_all_levels_are_those_of_the_predictions(minimize: bool) -> None:
    predictor = sure(minimize=minimize)
    reduced = load_space(reduced_spec(MACRO.spec, KEPT))
    found = quality(predictor, reduced)
    every, some = MACRO.enumerate(), reduced.enumerate()
    assert every is not None and some is not None
    members = [believed(predictor, codes) for codes in (every, some)]
    values = [own.mean(0) for own in members]
    rank = [np.sort(own) if minimize else np.sort(own)[::-1] for own in values]  # best first
    tenth = rank[0][656]  # the last of a tenth of 6,561
    for levels, own, best_first in zip((found.full, found.reduced), values, rank, strict=True):
        assert levels.mean == pytest.approx(own.mean())
        assert levels.median == pytest.approx(best_first[int(np.ceil(0.5 * len(own))) - 1])
        assert levels.best_tenth == pytest.approx(best_first[int(np.ceil(0.1 * len(own))) - 1])
        assert levels.in_best_tenth == pytest.approx(np.mean(own <= tenth if minimize else own >= tenth), abs=1e-3)
        drawn = own[RNG.integers(len(own), size=(4000, 100))]
        best = drawn.min(1) if minimize else drawn.max(1)
        assert levels.best_of_100 == pytest.approx(best.mean(), abs=0.02 * own.std())
    difference = members[1].mean(1) - members[0].mean(1)
    assert found.difference.mean == pytest.approx(difference.mean())
    assert found.difference.half == pytest.approx(jackknife_half_width(difference[:, None])[0])
    assert (found.num_full, found.num_reduced, found.full_is_exact, found.reduced_is_exact) == (6561, 12, True, True)


@pytest.mark.parametrize("minimize", [False, True])
def test_the_space_of_the_predicted_best_is_better_in_the_targets_own_direction(minimize: bool) -> None:
    predictor = random_predictor(MACRO, members=4, minimize=minimize)
    every = MACRO.enumerate()
    assert every is not None
    best = every[int(predictor.predict(every)["score"].argmax())]
    kept = [[tuple(best[list(unit.positions)].tolist())] for unit in MACRO.spec.units]
    found, turn = quality(predictor, load_space(reduced_spec(MACRO.spec, kept))), -1 if minimize else 1
    assert turn * found.difference.mean > 0
    assert turn * found.reduced.mean == pytest.approx(turn * found.reduced.best_of_100)
    for name in ("mean", "median", "best_tenth", "best_of_100"):
        assert turn * getattr(found.reduced, name) > turn * getattr(found.full, name)
    assert found.reduced.in_best_tenth == 1.0 and 0.1 <= found.full.in_best_tenth < 0.101
    order = [turn * getattr(found.full, name) for name in ("median", "best_tenth", "best_of_100")]
    assert order == sorted(order)


def test_what_both_get_wrong_cancels_out() -> None:
    predictor = sure()
    reduced = load_space(reduced_spec(MACRO.spec, KEPT))
    full = populations(MACRO, reduced)[0]
    assert space_quality(predictor, full, full).difference.half == pytest.approx(0, abs=1e-9)
    member = believed(predictor, full.codes) @ full.weights
    assert jackknife_half_width(member[:, None])[0] > 0.01


@pytest.mark.parametrize("minimize", [False, True])
def test_the_error_of_each_network_does_not_average_out_of_few(minimize: bool) -> None:
    predictor, without = random_predictor(MACRO, members=4, minimize=minimize), sure(minimize=minimize)
    kept = [[(2, 0), (0, 2), (1, 1)], [(1, 2, 1)], [(2, 2, 2), (2, 0, 2), (2, 2, 0)]]  # the last two are twins
    reduced = load_space(reduced_spec(MACRO.spec, kept))
    own = space_quality(predictor, *populations(MACRO, reduced)).difference.half
    alone = space_quality(without, *populations(MACRO, reduced)).difference.half
    errors, variance = predictor.calibration.residual, 0.0
    for population in populations(MACRO, reduced):
        scores, shares = predictor.member_scores(population.codes).astype(float).mean(0), dict[int, float]()
        ends = [predictor.scaling.to_target(scores + turn * errors) for turn in (-1, 1)]
        networks = MACRO.hash_networks(population.codes).tolist()
        for network, weight, width in zip(networks, population.weights, np.abs(ends[1] - ends[0]) / 2, strict=True):
            shares[network] = shares.get(network, 0.0) + weight * width
        variance += sum(share**2 for share in shares.values())
        assert len(shares) < len(networks)
    assert own == pytest.approx(np.hypot(alone, 1.645 * np.sqrt(variance)), rel=1e-4) and own > alone + 1e-3


def test_variable_depth_weighs_as_the_space_draws() -> None:
    whole = chain_space()
    predictor = random_predictor(whole)
    reduced = load_space(reduced_spec(whole.spec, [[(0,), (1, 1), (2, 1), (0, 1)], [(2,), (1, 0, 2)]]))
    found = quality(predictor, reduced)
    drawn = believed(predictor, reduced.sample(40_000, np.random.default_rng(0))).mean(0)
    close, each = 4 * drawn.std() / 200, believed(predictor, populations(whole, reduced)[1].codes).mean()
    assert abs(found.reduced.mean - drawn.mean()) < close < abs(found.reduced.mean - each)
    assert found.difference.mean == pytest.approx(found.reduced.mean - found.full.mean)


def test_random_draws_widen_the_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    predictor, reduced = sure(), load_space(reduced_spec(MACRO.spec, KEPT))
    exact = quality(predictor, reduced)
    monkeypatch.setattr(spaces, "ENUMERATION_LIMIT", 100)
    drawn = quality(predictor, reduced)
    assert (drawn.full_is_exact, drawn.reduced_is_exact, drawn.num_full, drawn.num_reduced) == (False, True, 4096, 12)
    full, some = (believed(predictor, one.codes) for one in populations(MACRO, reduced))
    error = full.mean(0).std() / 64
    assert drawn.difference.mean == pytest.approx(exact.difference.mean, abs=4 * error)
    difference = some.mean(1) - full.mean(1)
    assert drawn.difference.mean == pytest.approx(difference.mean())
    expected = np.hypot(jackknife_half_width(difference[:, None])[0], 1.645 * error)
    assert drawn.difference.half == pytest.approx(expected)


def test_its_record_has_the_difference_with_its_interval() -> None:
    found = quality(random_predictor(MACRO), load_space(reduced_spec(MACRO.spec, KEPT)))
    record = found.record()
    ends = record["difference_low"], record["difference"], record["difference_high"]
    assert ends == (found.difference.low, found.difference.mean, found.difference.high)
    assert record["reduced"]["best_of_100"] == found.reduced.best_of_100 and record["full"]["mean"] == found.full.mean
    assert list(record)[5:] == ["num_full", "num_reduced", "full_is_exact", "reduced_is_exact"]
