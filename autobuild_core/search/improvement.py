"""Expected improvement by a Gaussian process: promising networks of a space, and the batch of them that promises most.

Source: Jones, Schonlau and Welch, "Efficient global optimization of expensive black-box functions", 1998; a batch as in
Ginsbourger, Le Riche and Carraro, "Kriging is well-suited to parallelize optimization", 2010 (q-EI), by joint draws and chosen
one by one.
"""

from collections.abc import Callable, Container

import numpy as np
from numpy.typing import NDArray

from autobuild_core.architectures.records import Codes
from autobuild_core.predictor.posterior import Posterior
from autobuild_core.spaces import Space

Array = NDArray[np.float64]
POOL = 400  # promising networks whose joint draws are looked at
DRAWS = 512
REACH = 2.0  # standard deviations above the mean that a network is promising by, where all are looked at
ROUNDS, PARENTS, CHILDREN, STRANGERS = 15, 32, 8, 1_000  # of the search for promising ones, where all are too many
LOCAL_REACH = 1.0  # of that search: further out it finds what is uncertain, not what is good
TIE = 1e-9  # weight of the mean where nothing promises anything


def best_batch(draws: Array, mean: Array, least: float, num: int) -> list[int]:
    """Places of the networks that together are expected to exceed a score by most, chosen one by one.

    Args:
        draws: (draws, n) joint draws of their scores.
        mean: (n,) of them, which decides where no draw exceeds it.
        least: the score to exceed.
        num: how many, at most.
    """
    reached, free = np.full(len(draws), least), np.ones(draws.shape[1], bool)
    chosen: list[int] = []
    for _ in range(min(num, draws.shape[1])):
        gain = np.maximum(draws - reached[:, None], 0).mean(0) + TIE * mean
        pick = int(np.where(free, gain, -np.inf).argmax())
        chosen.append(pick)
        free[pick] = False
        reached = np.maximum(reached, draws[:, pick])
    return chosen


def expected_gain(posterior: Posterior, codes: Codes, least: float, rng: np.random.Generator) -> float:
    """The amount, in the metric's units, by which the best of some networks is expected to exceed a normal score together.

    Args:
        posterior: of a metric of which larger values are better.
        codes: (n, num_positions) the networks, not none.
        least: the score to exceed.
        rng: of the joint draws.
    """
    best = posterior.draws(codes, DRAWS, rng).max(1)
    values = posterior.scaling.straight(np.append(best, least))
    return float(np.maximum(values[:-1] - values[-1], 0).mean())


def most_promising(posterior: Posterior, codes: Codes, columns: Array) -> Codes:
    """(at most POOL, num_positions) of the codes those with the largest mean and REACH deviations; columns as `scaled`."""
    mean, spread = posterior.moments(columns)
    return codes[np.argsort(-(mean + REACH * spread), kind="stable")[:POOL]]


def look_for_promising(
    worth_of: Callable[[Codes], Array], space: Space, start: Codes, known: Container[int], rng: np.random.Generator
) -> Codes:
    """(at most POOL, num_positions) networks of the largest worth found in a space too large to look at all, best first.

    An evolution by the worth alone, which costs no evaluation.

    Args:
        worth_of: (n, num_positions) codes -> (n,), larger is better.
        space: that is looked through; it may be a reduced one.
        start: (n, num_positions) architectures that it begins from beside random ones.
        known: networks that are not wanted.
        rng: draws and mutates.
    """
    codes, seen = _distinct(space, np.concatenate([space.sample(STRANGERS, rng), start]), set())
    worth = worth_of(codes)
    for number in range(ROUNDS):
        order = np.argsort(-worth, kind="stable")[:POOL]
        codes, worth = codes[order], worth[order]
        children = np.repeat(codes[:PARENTS], CHILDREN, axis=0)
        for _ in range(1 + number % 2):  # one change a child, and two in every other round
            children = space.mutate(children, rng)
        children, seen = _distinct(space, children, seen)
        if len(children):
            codes, worth = np.concatenate([codes, children]), np.append(worth, worth_of(children))
    codes = codes[np.argsort(-worth, kind="stable")]
    return codes[[int(network) not in known for network in space.hash_networks(codes)]][:POOL]


def optimistic(posterior: Posterior) -> Callable[[Codes], Array]:
    """The worth by which promising networks are looked for: means and LOCAL_REACH standard deviations."""

    def worth(codes: Codes) -> Array:
        mean, spread = posterior.moments(codes)
        return mean + LOCAL_REACH * spread

    return worth


def _distinct(space: Space, codes: Codes, seen: set[int]) -> tuple[Codes, set[int]]:
    """(codes of networks that were not seen, one each; all that are seen now)."""
    networks = space.hash_networks(codes)
    first = np.sort(np.unique(networks, return_index=True)[1])
    new = [row for row in first if int(networks[row]) not in seen]
    return codes[new], seen | set(networks[new].tolist())
