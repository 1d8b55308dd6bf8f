"""The solved half of the ensemble: a graph network whose message passing stays random and whose readout is solved exactly.

Few architectures do not determine a message-passing network, but they do determine a linear readout of a random one: its
prediction is that of a Gaussian process over graphs, whose kernel is a sum of one linear kernel a group of features
(`Network.features`), weighted by evidence. It orders well from 50 architectures on; where there is more to learn the trained
half is better, and their shares follow what each predicts of held-out architectures.

Source: random features (Rahimi and Recht, NIPS 2007) of a graph network at initialisation; evidence as in Rasmussen and Williams,
"Gaussian Processes for Machine Learning", 2006, equations 5.8 and 5.9. The combination is ours.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize

from autobuild_core.graphs import make_graphs
from autobuild_core.network import SOLVED, Floats, Network
from autobuild_core.records import Codes

Array = NDArray[np.float64]
RANDOM_WIDTH = 64  # of the random network's node embeddings
NUM_PROJECTIONS = 512  # rectified random projections of a group
MAX_HOPS_ROWS = 500  # beyond this many networks the random hops add nothing to the structure and the layers (measured)
MAX_EVIDENCE = 300  # rows from which the kernel weights are found
BIAS_VARIANCE = 1e-2
PRIOR_WEIGHT, PRIOR_NOISE, PRIOR_SPREAD = -1.0, -3.0, 2.0  # of the logarithms of a kernel's weight and of the noise
LOG_WEIGHTS, LOG_NOISE = (-12.0, 6.0), (-7.0, 3.0)  # a target without noise leaves the kernel invertible
SHARE_GRID = np.linspace(0, 1, 21)
EVEN = 0.25  # how far the share is drawn to one half: few held-out architectures choose it, and the mean of two is safe


def projections(num_structure: int, num_layers: int, rng: np.random.Generator) -> dict[str, Floats]:
    """Random projections by the names that `Network.features` asks for, each with a bias as its last row."""
    out = {}
    for name, width in (("structure", num_structure), ("layers", num_layers)):
        drawn = rng.standard_normal((width + 1, NUM_PROJECTIONS))
        drawn[-1] *= 0.5
        out[f"projection_{name}"] = drawn.astype(np.float32)
    return out


def kernel_weights(kernels: list[Array], scores: Array) -> Array:
    """(kernels + 1,) weights of the kernels and the noise variance that maximise the evidence times a broad log-normal prior.

    Args:
        kernels: each (n, n).
        scores: (n,) targets of about unit variance.
    """
    num = len(scores)
    prior = np.append(np.full(len(kernels), PRIOR_WEIGHT), PRIOR_NOISE)
    stacked = np.stack([*kernels, np.eye(num)])

    def loss(logs: Array) -> tuple[float, Array]:
        weights = np.exp(logs)
        factor = cho_factor(np.tensordot(weights, stacked, 1) + BIAS_VARIANCE, lower=True)
        inverse = cho_solve(factor, np.eye(num))
        dual = inverse @ scores
        slope = 0.5 * weights * np.tensordot(stacked, inverse - np.outer(dual, dual), 2)
        misfit = 0.5 * scores @ dual + np.log(np.diag(factor[0])).sum()
        return misfit + 0.5 * (((logs - prior) / PRIOR_SPREAD) ** 2).sum(), slope + (logs - prior) / PRIOR_SPREAD**2

    bounds = [LOG_WEIGHTS] * len(kernels) + [LOG_NOISE]
    found = minimize(loss, prior, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 40})
    weights: Array = np.exp(found.x)
    return weights


def solve_readout(
    random: Network, codes: Codes, scores: Array, fold: NDArray[np.int64], members: int, seed: int
) -> dict[str, Floats]:
    """The readout of every member, by the names that `Network` asks for.

    The kernel weights are found once, on at most MAX_EVIDENCE rows of all folds; the readout of member m never sees fold m.

    Args:
        random: one random member.
        codes: (n, num_positions) canonical encodings.
        scores: (n,) targets as normal scores.
        fold: (n,) the member that does not learn from each.
        members: how many.
        seed: draws the rows for the evidence.
    """
    features = _by_groups(random, codes)
    means = [f.mean(0, dtype=float) for f in features]
    sizes = [max(float(((f - mean) ** 2).sum(1).mean()), 1e-12) for f, mean in zip(features, means, strict=True)]
    some = np.random.default_rng(seed).permutation(len(codes))[:MAX_EVIDENCE]
    centred = [f[some] - mean for f, mean in zip(features, means, strict=True)]
    *weights, noise = kernel_weights([f @ f.T / size for f, size in zip(centred, sizes, strict=True)], scores[some])
    roots = np.concatenate([np.full(len(m), np.sqrt(w / size)) for w, size, m in zip(weights, sizes, means, strict=True)])
    whole = scaled(np.concatenate(features, 1), roots, np.concatenate(means))
    solved = _posterior_means(whole, scores, fold, members, noise)
    readout = roots[:, None] * solved[:-1]
    bias = np.sqrt(BIAS_VARIANCE) * solved[-1] - np.concatenate(means) @ readout
    named = {"readout": readout, "bias": bias, "scale": np.append(roots, noise), "mean": np.concatenate(means)}
    return {SOLVED + name: value.astype(np.float32) for name, value in named.items()}


def scaled(features: Floats, roots: Array, means: Array) -> Array:
    """(n, dim + 1) features with independent weights of variance one: centred, scaled, and the bias as the last column."""
    whole: Array = np.empty((len(features), features.shape[1] + 1))
    whole[:, :-1], whole[:, -1] = (features - means) * roots, np.sqrt(BIAS_VARIANCE)
    return whole


def scaled_features(network: Network, codes: Codes) -> Array:
    """(n, dim + 1) what the solved half of an ensemble sees of (n, num_positions) canonical codes, as `scaled` has it."""
    assert network.random is not None
    weights = network.weights
    features = np.concatenate(_by_groups(network.random, codes), 1)
    return scaled(features, weights[SOLVED + "scale"][:-1].astype(float), weights[SOLVED + "mean"].astype(float))


def _by_groups(random: Network, codes: Codes) -> list[Floats]:
    """Groups of features, each (n, dim), of any number of canonical codes."""
    spec = random.codebook.spec
    parts = random.by_chunks(lambda chunk: random.features(chunk, make_graphs(chunk, spec), random.structure(chunk)), codes)
    return [np.concatenate(group) for group in zip(*parts, strict=True)]


def _posterior_means(whole: Array, scores: Array, fold: NDArray[np.int64], members: int, noise: float) -> Array:
    """(dim, members) posterior mean of the weights of the (n, dim) features, each member's without its fold.

    Solved in the smaller of the two spaces: that of the architectures or that of the features.
    """
    num, dim = whole.shape
    if num <= dim:
        kernel = whole @ whole.T + noise * np.eye(num)
        rows = [np.flatnonzero(fold != member) for member in range(members)]
        duals = [cho_solve(cho_factor(kernel[np.ix_(seen, seen)]), scores[seen]) for seen in rows]
        return np.stack([whole[seen].T @ dual for seen, dual in zip(rows, duals, strict=True)], 1)
    own = [whole[fold == member] for member in range(members)]
    grams, sums = [f.T @ f for f in own], [f.T @ scores[fold == member] for member, f in enumerate(own)]
    total, every = sum(grams) + noise * np.eye(dim), sum(sums)
    return np.stack([cho_solve(cho_factor(total - gram), every - part) for gram, part in zip(grams, sums, strict=True)], 1)


def solved_scores(random: Network, solved: dict[str, Floats], codes: Codes) -> Array:
    """(members, n) predicted normal scores of (n, num_positions) canonical codes by the solved half alone."""
    whole = np.concatenate(_by_groups(random, codes), 1)
    scores: Array = (whole @ solved[SOLVED + "readout"] + solved[SOLVED + "bias"]).T.astype(float)
    return scores


def share_of_solved(solved: Array, trained: Array, scores: Array) -> float:
    """Share of the solved half with the least squared error, drawn to one half by EVEN.

    Args:
        solved, trained: (n,) held-out predictions.
        scores: (n,) targets.
    """
    errors = [np.mean((share * solved + (1 - share) * trained - scores) ** 2) for share in SHARE_GRID]
    return float((1 - EVEN) * SHARE_GRID[int(np.argmin(errors))] + EVEN / 2)
