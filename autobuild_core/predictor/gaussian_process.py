"""A Gaussian process over architectures, which stands beside the graph networks of the ensemble.

Few architectures do not determine a message-passing network, but they do determine how alike architectures must be to be about as
good (`kernel.py`), and with that every prediction in closed form. Each member has a kernel of its own, found without its fold.

Source: evidence as in Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, equations 5.8 and 5.9; beyond
MAX_LANDMARKS architectures Nystroem's approximation, Williams and Seeger, "Using the Nystroem method to speed up kernel
machines", NIPS 2000. The combination is ours.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize
from scipy.special import log_ndtr
from threadpoolctl import threadpool_limits

from autobuild_core.architectures.graphs import make_graphs
from autobuild_core.architectures.records import Codes
from autobuild_core.predictor.forward import GAUSSIAN, Ensemble, Floats
from autobuild_core.predictor.kernel import BIAS_VARIANCE, PARTS, Relevances, compare, similarity

Array = NDArray[np.float64]
RANDOM_WIDTH = 64  # of the random member's node embeddings
MAX_HOPS_NETWORKS = 500  # beyond so many the random hops add nothing to the structure and the layers (measured)
MAX_EVIDENCE = 300  # rows from which a kernel is found
MAX_LANDMARKS = 1024  # architectures with which others are compared; up to so many, those that were learned from
ROUNDING = 1e-12  # of the trace: what rounding may take from an eigenvalue
LANDMARK_NOISE = 1e-4  # of their mean variance: what makes their kernel invertible
PRIOR_WEIGHTS, PRIOR_NOISE, PRIOR_SPREAD = (0.0, -1.0, -1.0), -3.0, 2.0  # logarithms of the kernel's weights, of the noise
LOGS, LOG_NOISE = (-12.0, 6.0), (-7.0, 3.0)  # a target without noise leaves the kernel invertible
MAX_STEPS, ENOUGH = 60, 1e-5  # of the search for a kernel, which ends where a step gains less of the misfit
SHARE_GRID = np.linspace(0, 1, 21)
STOPPED_ROUNDS = 2  # kernels found anew for the expectations of stopped trials
SWEEPS, STILL = 40, 1e-3  # over the stopped trials at most, until none moves further
EVEN = 0.25  # how far the share is drawn to one half: few held-out architectures choose it, and the mean of two is safe


@dataclass(frozen=True, eq=False)
class Kernel:
    """A kernel as it was found.

    Args:
        logs: (relevances + PARTS + 1,) logarithms: relevances, weights of the parts, noise variance.
        relevances: which coordinates they scale.
        evidence: logarithm of the evidence of the scores times the prior, less what is the same for all kernels.
    """

    logs: Array
    relevances: Relevances
    evidence: float = float("nan")

    @property
    def roots(self) -> Array:
        """(columns,) factors of the coordinates."""
        return np.sqrt(self.relevances.scales(self.logs[: -PARTS - 1]))

    @property
    def weights(self) -> Array:
        """(PARTS,) of the parts."""
        return np.exp(self.logs[-PARTS - 1 : -1])

    @property
    def noise(self) -> float:
        """Variance of the noise."""
        return float(np.exp(self.logs[-1]))

    def between(self, left: Array, right: Array) -> Array:
        """(n, m) of (n, columns) and (m, columns) coordinates."""
        between: Array = compare(left * self.roots, right * self.roots, self.weights)
        return between


def find_kernel(columns: Array, scores: Array, relevances: Relevances, noise: Array | float = 1.0) -> Kernel:
    """The kernel that maximises the evidence of the scores times a log-normal prior.

    Args:
        columns: (n, columns) coordinates.
        scores: (n,) targets of about unit variance.
        relevances: of the coordinates.
        noise: (n,) noise variance of each as a share of their mean, which is the kernel's.
    """
    prior = np.concatenate([relevances.prior, PRIOR_WEIGHTS, [PRIOR_NOISE]])
    spread = np.append(relevances.spread, np.full(PARTS + 1, PRIOR_SPREAD))
    identity = np.eye(len(scores))

    def loss(logs: Array) -> tuple[float, Array]:
        kernel = Kernel(logs, relevances)
        scaled, weights = columns * kernel.roots, kernel.weights
        inner = scaled @ scaled.T
        norms = np.diag(inner)
        whole = similarity(inner, norms, norms, weights)
        likeness = whole - inner * (weights[1] + weights[2] * inner) - BIAS_VARIANCE
        factor = cho_factor(whole + (kernel.noise * noise + ROUNDING * np.trace(whole)) * identity, lower=True)
        inverse = cho_solve(factor, identity)
        dual = inverse @ scores
        slope = 0.5 * (inverse - np.outer(dual, dual))  # of the misfit by the covariance
        alike = slope * likeness
        by_inner = 2 * alike + slope * (weights[1] + 2 * weights[2] * inner)
        by_inner[np.diag_indices(len(scores))] -= 2 * alike.sum(1)
        by_scale = ((by_inner @ scaled) * scaled).sum(0)
        parts = [alike.sum(), weights[1] * (slope * inner).sum(), weights[2] * (slope * inner**2).sum()]
        slopes = np.concatenate([relevances.gather(by_scale), parts, [kernel.noise * (np.diag(slope) * noise).sum()]])
        misfit = 0.5 * scores @ dual + np.log(np.diag(factor[0])).sum()
        away = (logs - prior) / spread
        return misfit + 0.5 * (away**2).sum(), slopes + away / spread

    bounds = [LOGS] * (len(prior) - 1) + [LOG_NOISE]
    found = minimize(loss, prior, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": MAX_STEPS, "ftol": ENOUGH})
    return Kernel(found.x, relevances, -float(found.fun))


def fit_gaussian_process(
    random: Ensemble,
    codes: Codes,
    scores: Array,
    fold: NDArray[np.int64],
    members: int,
    seed: int,
    contexts: Floats | None = None,
    groups: Sequence[int] = (),
) -> dict[str, Floats]:
    """The Gaussian process of every member, by the names that `Ensemble` asks for; member m never sees a score of fold m.

    Args:
        random: one random member; so many kernels as it has threads are found at the same time.
        codes: (n, num_positions) canonical encodings.
        scores: (n,) targets as normal scores.
        fold: (n,) the member that does not learn from each.
        members: how many.
        seed: draws the rows for the evidence and the landmarks.
        contexts: (n, dim) coordinates of each row's context, where there are contexts.
        groups: which context each of these is of.
    """
    return fit_with_stopped(random, codes, scores, fold, members, seed, contexts, groups)[0]


def fit_with_stopped(
    random: Ensemble,
    codes: Codes,
    scores: Array,
    fold: NDArray[np.int64],
    members: int,
    seed: int,
    contexts: Floats | None = None,
    groups: Sequence[int] = (),
    bounds: Array | None = None,
    noise: Array | None = None,
) -> tuple[dict[str, Floats], Array]:
    """As `fit_gaussian_process` where some trials were stopped, and (members, n) scores with what each member expects of those.

    Args:
        random, codes, scores, fold, members, seed, contexts, groups: see `fit_gaussian_process`; scores of stopped trials are
            first guesses.
        bounds: (n,) score below which a stopped trial is known to be; NaN of the others.
        noise: (n,) noise variance of each score as a share of their mean; None where all are equal.
    """
    shares = np.ones(len(codes)) if noise is None else noise
    columns, relevances, raw, mean, size = standard_columns(random, codes, contexts, groups)
    distinct = codes if contexts is None else np.concatenate([codes, contexts], 1)
    order = _networks_first(distinct, np.random.default_rng(seed))
    marks = np.sort(order[:MAX_LANDMARKS])
    stopped = np.zeros(len(codes), bool) if bounds is None else np.isfinite(bounds)

    def find(member: int | None) -> Kernel:
        some = order[fold[order] != member][:MAX_EVIDENCE]
        own, kernel = scores[some], find_kernel(columns[some], scores[some], relevances, shares[some])
        for _ in range(STOPPED_ROUNDS if stopped[some].any() else 0):
            assert bounds is not None
            own = expect_stopped(kernel, columns[some], own, bounds[some], shares[some])[0]
            kernel = find_kernel(columns[some], own, relevances, shares[some])
        return kernel

    def learned(kernel: Kernel, seen: NDArray[np.bool_]) -> Array:
        """(n,) scores with the expectations of stopped trials by the rows that are seen."""
        if bounds is None or not stopped.any():
            return scores
        out, inside = scores.copy(), np.intersect1d(marks, np.flatnonzero(seen))
        out[inside], spread = expect_stopped(kernel, columns[inside], out[inside], bounds[inside], shares[inside])
        others = np.setdiff1d(np.flatnonzero(stopped), inside)
        noisy = kernel.between(columns[inside], columns[inside]) + kernel.noise * np.diag(shares[inside])
        dual = cho_solve(cho_factor(noisy), out[inside])
        out[others] = below(kernel.between(columns[others], columns[inside]) @ dual, spread, bounds[others])
        return out

    with threadpool_limits(1), ThreadPoolExecutor(random.threads) as pool:  # on small matrices more threads of BLAS only wait
        every, *kernels = pool.map(find, (None, *range(members)))
        targets = [learned(k, fold != member) for member, k in enumerate(kernels)]
        readouts = [_readout(k, columns, marks, targets[member], fold != member, shares) for member, k in enumerate(kernels)]
    named = {"mean": mean, "landmarks": raw[marks] - mean, "readout": np.stack(readouts)}
    named |= {"roots": np.stack([k.roots / size for k in kernels]), "weights": np.stack([k.weights for k in kernels])}
    named |= {"every_roots": every.roots / size, "every_weights": every.weights, "every_noise": np.array([every.noise])}
    return {GAUSSIAN + name: value.astype(np.float32) for name, value in named.items()}, np.stack(targets)


def standard_columns(
    random: Ensemble, codes: Codes, contexts: Floats | None, groups: Sequence[int]
) -> tuple[Array, Relevances, Floats, Array, Array]:
    """((n, columns) standardised coordinates, their relevances, coordinates as they are, their means, their sizes).

    Args:
        random: one random member.
        codes: (n, num_positions) canonical encodings.
        contexts: (n, dim) coordinates of each row's context, where there are contexts.
        groups: which context each of these is of.
    """
    raw = _coordinates(random, codes)
    if contexts is not None:
        raw = np.concatenate([raw, contexts], 1)
    relevances = Relevances.of_space(random.codebook.spec, random.layers, random.hop_widths, groups)
    mean = raw.mean(0, dtype=float)
    size = relevances.sizes(raw - mean)
    return (raw - mean) / size, relevances, raw, mean, size


def below(mean: NDArray[Any] | float, spread: NDArray[Any] | float, bound: NDArray[Any] | float) -> NDArray[Any]:
    """Expectation of a normal variable that is known to be below a bound."""
    apart = (np.asarray(bound) - mean) / spread
    hazard = np.exp(-0.5 * apart**2 - 0.5 * np.log(2 * np.pi) - log_ndtr(apart))
    expected: NDArray[Any] = mean - spread * hazard
    return expected


def expect_stopped(
    kernel: Kernel, columns: Array, scores: Array, bounds: Array, noise: Array | float = 1.0
) -> tuple[Array, float]:
    """((n,) scores with what is expected of stopped trials, root mean variance of a score given all others).

    Each is in turn given the mean of its normal distribution given all others, cut off at its bound.

    Source: the Tobit model, Tobin, "Estimation of relationships for limited dependent variables", 1958; its expectations by the
    mean-field approximation, as in Bishop, "Pattern Recognition and Machine Learning", 2006, section 10.1.

    Args:
        kernel: of the columns.
        columns: (n, columns) coordinates.
        scores: (n,) of stopped trials a first guess.
        bounds: (n,) score below which a stopped trial is; NaN of the others.
        noise: (n,) noise variance of each as a share of their mean.
    """
    precision = np.linalg.inv(kernel.between(columns, columns) + kernel.noise * noise * np.eye(len(columns)))
    own, spread = scores.copy(), 1 / np.sqrt(np.diag(precision))
    dual, stopped = precision @ own, np.flatnonzero(np.isfinite(bounds))
    for _ in range(SWEEPS):
        furthest = 0.0
        for row in stopped:
            given = own[row] - dual[row] * spread[row] ** 2
            step = float(below(given, spread[row], bounds[row])) - own[row]
            dual += precision[:, row] * step
            own[row] += step
            furthest = max(furthest, abs(step))
        if furthest < STILL:
            break
    return own, float(np.sqrt((spread**2).mean()))


def _networks_first(codes: NDArray[Any], rng: np.random.Generator) -> NDArray[np.intp]:
    """(n,) a random order of rows in which one of every network comes before their twins."""
    order = rng.permutation(len(codes))
    first = np.zeros(len(codes), bool)
    first[np.unique(codes[order], axis=0, return_index=True)[1]] = True
    return np.concatenate([order[first], order[~first]])


def _readout(
    kernel: Kernel, columns: Array, marks: NDArray[np.intp], scores: Array, seen: NDArray[np.bool_], noise: Array
) -> Array:
    """(landmarks,) weights of the likeness to every landmark in the posterior mean, which learns from the seen rows.

    Args:
        kernel: found for these columns.
        columns: (n, columns) coordinates of the data.
        marks: rows that are landmarks.
        scores: (n,) targets.
        seen: (n,) rows to learn from.
        noise: (n,) noise variance of each as a share of their mean.
    """
    between, own, shares = kernel.between(columns[seen], columns[marks]), scores[seen], noise[seen]
    if len(marks) == len(columns):  # the posterior itself
        dual = np.zeros(len(marks))
        dual[seen] = cho_solve(cho_factor(between[:, seen] + kernel.noise * np.diag(shares)), own)
        return dual
    root = _root(kernel.between(columns[marks], columns[marks]))
    features = solve_triangular(root, between.T, lower=True)
    weighted = features / shares
    solved = cho_solve(cho_factor(weighted @ features.T + kernel.noise * np.eye(len(marks))), weighted @ own)
    weights: Array = solve_triangular(root, solved, lower=True, trans=1)
    return weights


def _root(between: Array) -> Array:
    """(m, m) lower Cholesky factor of the kernel of the landmarks."""
    noise = LANDMARK_NOISE * np.diag(between).mean()
    root: Array = cholesky(between + noise * np.eye(len(between)), lower=True)
    return root


class KernelFeatures:
    """Features of architectures whose inner products are the kernel of all rows.

    So its posterior means are those of a linear regression on them, with weights of prior variance one.

    Args:
        ensemble: an ensemble with a Gaussian process.
    """

    def __init__(self, ensemble: Ensemble) -> None:
        assert ensemble.random is not None
        names = ("mean", "landmarks", "every_roots", "every_weights")
        self._mean, marks, self._roots, self._weights = (ensemble.weights[GAUSSIAN + name].astype(float) for name in names)
        self._random, self._marks = ensemble.random, marks * self._roots
        self._root = _root(compare(self._marks, self._marks, self._weights))
        self._points, self._shares = ensemble.points, ensemble.shares

    def __call__(self, codes: Codes) -> Array:
        """(n, landmarks) of (n, num_positions) canonical codes; their mean over the context points that the ensemble holds at."""
        raw = _coordinates(self._random, codes)
        if self._points is None:
            return self._of(raw)
        parts = (np.concatenate([raw, np.broadcast_to(point, (len(raw), point.shape[1]))], 1) for point in self._points)
        return np.asarray(sum(share * self._of(part) for share, part in zip(self._shares, parts, strict=True)))

    def _of(self, raw: NDArray[Any]) -> Array:
        columns = (raw - self._mean) * self._roots
        features: Array = solve_triangular(self._root, compare(columns, self._marks, self._weights).T, lower=True).T
        return features


def _coordinates(random: Ensemble, codes: Codes) -> Floats:
    """(n, columns) what the kernel compares of any number of canonical codes."""
    spec = random.codebook.spec
    return np.concatenate(random.by_chunks(lambda c: random.coordinates(c, make_graphs(c, spec), random.structure(c)), codes))


def gaussian_share(solved: Array, trained: Array, scores: Array) -> float:
    """Share of the Gaussian process with the least squared error, drawn to one half by EVEN.

    Args:
        solved, trained: (n,) held-out predictions.
        scores: (n,) targets.
    """
    errors = [np.mean((share * solved + (1 - share) * trained - scores) ** 2) for share in SHARE_GRID]
    return float((1 - EVEN) * SHARE_GRID[int(np.argmin(errors))] + EVEN / 2)
