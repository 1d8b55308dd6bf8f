"""Should I trust this? Every figure of the report that `train` writes, and the plain verdict. Ours throughout (issue 3).

Statistics on arrays; the ensemble comes in as predictions, training anew (the label-permutation check) as a function.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata, spearmanr

from autobuild_core.architectures.records import Codes
from autobuild_core.spaces import Space
from autobuild_core.targets.noise import LabelNoise
from autobuild_core.targets.scaling import TWO_SIDED_90
from autobuild_core.trust.findings import Baseline, DataShape, PermutationCheck, Verdict

Array = NDArray[np.float64]
BOOTSTRAPS = 200
DRAWS = 2000
CONTENDERS, CONTENDERS_IN_CONTEXTS = 200, 40  # modules of a unit, the best by their mean, among which the best is sought
UNIFORM_SETS, PROBES, NEIGHBOURS = 24, 256, 1500

# Thresholds of the verdict; measured on NAS-Bench-Macro's random samples and evolution logs (docs/decisions.md).
LOG_DEPARTURE = 0.08  # mean distance from the uniform layer frequencies, beyond that of uniform samples of the same size
SELDOM, SELDOM_SEEN, FEW_LAYERS, FAR = 3, 0.15, 0.5, 1.5  # a layer seen less than SELDOM times at a position is seldom
TRUSTED_SRCC, USABLE_SRCC, TRUSTED_NETWORKS = 0.9, 0.6, 50
BETTER_BY = 0.01  # a baseline ahead by less is no reason for doubt


# Held-out order


def grouped_srcc(predicted: Array, measured: Array, networks: NDArray[Any], seed: int = 0) -> tuple[float, float, float]:
    """(srcc, low, high): Spearman's correlation over rows with the 90 % interval of a bootstrap over networks.

    Args:
        predicted: (n,) predictions, larger is better.
        measured: (n,) targets in the same direction.
        networks: (n,) hashes; rows of one network are drawn together.
        seed: of the bootstrap.
    """
    value = float(spearmanr(predicted, measured).statistic)
    draws = _srcc_draws([predicted], measured, networks, seed)[0]
    low, high = np.quantile(draws, [0.05, 0.95])
    return value, float(low), float(high)


def _srcc_draws(predictions: list[Array], measured: Array, networks: NDArray[Any], seed: int) -> Array:
    """(predictions, BOOTSTRAPS) correlations on the same bootstraps of networks."""
    rng, (_, group) = np.random.default_rng(seed), np.unique(networks, return_inverse=True)
    order, sizes = np.argsort(group, kind="stable"), np.bincount(group)
    starts = np.cumsum(sizes) - sizes
    out = np.empty((len(predictions), BOOTSTRAPS))
    for b in range(BOOTSTRAPS):
        drawn = rng.integers(len(sizes), size=len(sizes))
        if sizes.max() > 1:
            counts = sizes[drawn]
            inside = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
            rows = order[np.repeat(starts[drawn], counts) + inside]
        else:
            rows = order[drawn]
        ranked = rankdata(measured[rows])
        for index, predicted in enumerate(predictions):
            out[index, b] = np.corrcoef(rankdata(predicted[rows]), ranked)[0, 1]
    return np.nan_to_num(out)


def against_baselines(
    ours: Array, baselines: dict[str, Array], measured: Array, networks: NDArray[Any], seed: int = 0
) -> list[Baseline]:
    """Each baseline's held-out SRCC beside ours, on the same networks and bootstraps of them."""
    draws = _srcc_draws([ours, *baselines.values()], measured, networks, seed)
    out = []
    for name, predicted, drawn in zip(baselines, baselines.values(), draws[1:], strict=True):
        low, high = np.quantile(drawn, [0.05, 0.95])
        value = float(spearmanr(predicted, measured).statistic) if np.ptp(predicted) > 0 else 0.0
        ahead = float((draws[0] > drawn).mean())
        out.append(Baseline(name, value, float(low), float(high), ahead))
    return out


def calibration_table(predictions: pd.DataFrame, num_bins: int = 10) -> pd.DataFrame:
    """Predicted against measured in bins of equally many held-out predictions.

    Args:
        predictions: predictions.parquet: target, predicted, low, high.
        num_bins: at most; each holds at least 8.

    Returns:
        bin, num, predicted and measured (means), measured_low and measured_high (90 % interval of that mean), coverage (share of
        the bin's measurements inside their own 90 % interval).
    """
    bins = max(min(num_bins, len(predictions) // 8), 1)
    place = (rankdata(predictions["predicted"], method="ordinal") - 1) * bins // len(predictions)
    inside = predictions["target"].between(predictions["low"], predictions["high"])
    frame = predictions.assign(bin=place.astype(int), inside=inside).groupby("bin")
    mean, error = frame["target"].mean(), TWO_SIDED_90 * frame["target"].std().fillna(0) / np.sqrt(frame.size())
    table = pd.DataFrame({"num": frame.size(), "predicted": frame["predicted"].mean(), "measured": mean})
    table["measured_low"], table["measured_high"], table["coverage"] = mean - error, mean + error, frame["inside"].mean()
    return table.reset_index()


# The best of many


def jackknife_draws(members: Array, num: int = DRAWS, scale: float = 1.0, seed: int = 0) -> Array:
    """(num, n) draws of what (members, n) scores estimate, with their covariance.

    Members leave out a fold each, so their mean's covariance is that of a delete-a-group jackknife, (M - 1) times the members'.
    A draw is the mean plus a random combination of the members' deviations with that covariance, from a t distribution
    with M - 1 degrees of freedom, because few members know their own spread badly.

    Args:
        members: (M, n).
        num: draws.
        scale: factor on the spread, where intervals are calibrated otherwise.
        seed: of the draws.
    """
    count, rng = len(members), np.random.default_rng(seed)
    deviations = (members - members.mean(0)) * (scale * math.sqrt((count - 1) / count))
    heavy = np.sqrt((count - 1) / rng.chisquare(count - 1, (num, 1)))
    draws: Array = members.mean(0) + (rng.standard_normal((num, count)) * heavy) @ deviations
    return draws


def best_of(members: Array, sign: int = 1, scale: float = 1.0, seed: int = 0) -> pd.DataFrame:
    """Certainty for each of n modules that it is the best, adjusted for looking at all of them.

    `cannot_be_told`: the module's distance to the best is within the 90 % simultaneous bound of all distances to the best (the
    largest standardised error over all modules; multiple comparisons with the best, Hsu 1981).

    Args:
        members: (M, n) scores.
        sign: 1 where larger is better.
        scale: as in `jackknife_draws`.
        seed: of the draws.

    Returns:
        n lines: prob_best (share of the draws in which it is the best), share_of_members (that rank it first),
        cannot_be_told (from the best by the mean).
    """
    oriented = sign * np.asarray(members, float)
    count, number = oriented.shape
    draws = jackknife_draws(oriented, scale=scale, seed=seed)
    winners, best = draws.argmax(1), int(oriented.mean(0).argmax())
    distance = oriented.mean(0)[best] - oriented.mean(0)
    off = np.abs(draws[:, [best]] - draws - distance)
    error = np.maximum((oriented[:, [best]] - oriented).std(0) * scale * math.sqrt(count - 1), 1e-12)
    error[best] = 1.0
    bound = np.quantile((off / error).max(1), 0.9)
    return pd.DataFrame(
        {
            "prob_best": np.bincount(winners, minlength=number) / len(draws),
            "share_of_members": np.bincount(oriented.argmax(1), minlength=number) / count,
            "cannot_be_told": (distance <= bound * error) | (np.arange(number) == best),
        }
    )


# Where the data lie in the space


def layer_frequencies(codes: Codes, num_tokens: int, weights: Array | None = None) -> Array:
    """(num_positions, num_tokens + 1) share of each layer at each position; the last column is absence."""
    weights = np.full(len(codes), 1 / max(len(codes), 1)) if weights is None else weights
    shares = [np.bincount(column.astype(np.int64) % (num_tokens + 1), weights, num_tokens + 1) for column in codes.T]
    return np.stack(shares)


def effective_number(shares: Array) -> Array:
    """exp(entropy) of every line of shares: how many equally frequent choices it amounts to."""
    total = np.maximum(shares.sum(-1, keepdims=True), 1e-300)
    p = shares / total
    return np.asarray(np.exp(-(p * np.log(np.maximum(p, 1e-300))).sum(-1)), float)


def _nearest(probes: Codes, codes: Codes) -> float:
    """Mean over probes of the share of positions that differ from the nearest of the codes."""
    return float(np.mean([(codes != probe).mean(1).min() for probe in probes]))


def data_shape(codes: Codes, space: Space, seed: int = 0) -> tuple[DataShape, pd.DataFrame]:
    """Distance of evaluated architectures from a uniform sample of the space, and the part they never saw.

    Args:
        codes: (n, num_positions) as the file encodes them.
        space: their space.
        seed: of the uniform samples they are compared with.

    Returns:
        (where they lie, a line a position: position, num_layers, effective_layers, uniform_layers, never_seen, departure).
    """
    spec, rng, num = space.spec, np.random.default_rng(seed), len(codes)
    tokens = len(spec.tokens)
    everything = space.sample(20_000, rng)
    uniform = layer_frequencies(everything, tokens)
    own = layer_frequencies(codes, tokens)
    allowed = uniform > 0
    departure = 0.5 * np.abs(own - uniform).sum(1)
    sets = [layer_frequencies(space.sample(num, rng), tokens) for _ in range(UNIFORM_SETS)]
    by_chance = np.array([0.5 * np.abs(s - uniform).sum(1).mean() for s in sets])
    effective, possible = effective_number(own[:, :-1]), effective_number(uniform[:, :-1])
    never, seldom = ((allowed & (own * num < limit - 0.5))[:, :-1] for limit in (1, SELDOM))
    probes = everything[:PROBES]
    distance = _nearest(probes, codes[rng.permutation(num)[:NEIGHBOURS]])
    usual = _nearest(probes, space.sample(min(num, NEIGHBOURS), rng))
    beyond = float(departure.mean() - by_chance.mean())
    log = beyond > LOG_DEPARTURE and departure.mean() > by_chance.max()
    everything_there = space.enumerate() if space.size <= 10 * num else None
    there = 0 if everything_there is None else len(np.unique(space.hash_networks(everything_there)))
    whole = 0 < 0.99 * there <= len(np.unique(space.hash_networks(codes)))
    num_pairs = max(allowed[:, :-1].sum(), 1)
    never_share, seldom_share = float(never.sum() / num_pairs), float(seldom.sum() / num_pairs)
    variety = float((effective / np.maximum(possible, 1)).mean())
    far = distance > FAR * max(usual, 1e-9) and distance - usual > 0.5 / spec.num_positions
    enough = not (log and (seldom_share > SELDOM_SEEN or variety < FEW_LAYERS or far))
    kind = "whole space" if whole else "search log" if log else "uniform sample"
    shape = DataShape(kind, beyond, never_share, seldom_share, variety, distance, usual, bool(enough))
    positions = pd.DataFrame(
        {
            "position": list(spec.position_labels),
            "num_layers": allowed[:, :-1].sum(1),
            "effective_layers": effective,
            "uniform_layers": possible,
            "never_seen": never.sum(1),
            "departure": departure,
        }
    )
    return shape, positions


# Permuted labels


# Just size?


def agreement(modules: pd.DataFrame, others: pd.DataFrame) -> float | None:
    """Mean over units of Spearman's correlation between two scorers' scores of its modules; None where no unit has three.

    Args:
        modules: whole-unit modules with unit_index, positions, layers, score.
        others: the same modules by another scorer.
    """
    keys = ["unit_index", "positions", "layers"]
    both = modules[[*keys, "score"]].merge(others[[*keys, "score"]], on=keys, suffixes=("", "_other"))
    found = []
    for _, part in both.groupby("unit_index"):
        if len(part) >= 3 and part["score"].nunique() > 1 and part["score_other"].nunique() > 1:
            found.append(float(spearmanr(part["score"], part["score_other"]).statistic))
    return float(np.mean(found)) if found else None


# The verdict


def verdict(
    srcc: float,
    num_networks: int,
    baselines: Sequence[Baseline] = (),
    noise: LabelNoise | None = None,
    data: DataShape | None = None,
    permutation: PermutationCheck | None = None,
) -> Verdict:
    """Whether the scores are to be trusted, in words.

    Args:
        srcc: held-out rank correlation.
        num_networks: distinct networks learned from.
        baselines: on the same folds.
        noise: of the labels, where it is known.
        data: where they lie in the space, where that is known.
        permutation: the check on permuted labels, where it was made.
    """
    what = f"held-out rank correlation {srcc:.3f} from {num_networks:,} networks"
    doubts = _doubts(srcc, num_networks, baselines, noise or LabelNoise(), data)
    if permutation and not permutation.passed:
        word, why = "not trustworthy", f"labels without meaning are still predicted ({permutation.srcc:.2f}): something leaks."
    elif not srcc >= USABLE_SRCC:
        word, why = "not trustworthy", f"{what}: unseen architectures are hardly ordered; evaluate more."
    elif data and not data.enough:
        seen = f"{data.seldom_seen:.0%} of its layer choices were evaluated less than {SELDOM} times"
        word, why = "not enough", f"{what}, but the data are a search log that covers too little of the space: {seen}."
    elif doubts:
        word, why = "thin", f"{what}: {doubts[0]}"
    else:
        word, why = "trustworthy", f"{what}: the order of unseen architectures is predicted well."
    return Verdict(word, why, tuple(doubts))


def _doubts(
    srcc: float, num_networks: int, baselines: Sequence[Baseline], noise: LabelNoise, data: DataShape | None
) -> list[str]:
    """Doubts that speak against trust without forbidding it, the weightiest first."""
    doubts = []
    if srcc < TRUSTED_SRCC:
        near = noise.ceiling is not None and srcc > noise.ceiling - 0.05
        rest = f" (label noise sets a ceiling of {noise.ceiling:.2f}, so more repeats help most)" if near else ""
        doubts.append(f"the strongest effects hold, small differences do not{rest}.")
    if num_networks < TRUSTED_NETWORKS:
        doubts.append(f"{num_networks} networks are few; below {TRUSTED_NETWORKS} the intervals themselves are uncertain.")
    for baseline in baselines:
        if baseline.ahead < 0.05 and baseline.srcc > srcc + BETTER_BY:
            doubts.append(f"{baseline.title} orders unseen networks better ({baseline.srcc:.3f}).")
    if data and data.kind == "search log" and data.enough:
        doubts.append("the data are a search log: scores are associations within what the search visited.")
    return doubts
