"""Exact assembly: the modules, one a unit, with the largest sum of terms under additive budgets, by integer programming.

Terms are those of single modules and of pairs of them. HiGHS solves it (scipy.optimize.milp) once what cannot be in a solution is
left out: modules of a unit that others dominate in score and all costs, unless a pair term names them. Ours.

Source: linearised products of binary variables, Glover and Woolsey, "Converting the 0-1 polynomial programming problem to a 0-1
linear program", Operations Research 1974.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autobuild_core.errors import ConfigError

Array = NDArray[np.float64]
MOST_PAIRS = 300  # pair terms, the strongest
SECONDS = 20.0  # of all solutions together
AT_ONCE = 2_000  # modules that are compared with all others at a time
SOLVED, TIMED_OUT, INFEASIBLE = 0, 1, 2  # statuses of scipy.optimize.milp


@dataclass(frozen=True)
class Pair:
    """A term that counts where two modules of different units are both there.

    Args:
        first, second: (unit, module) of each.
        value: of the term.
    """

    first: tuple[int, int]
    second: tuple[int, int]
    value: float


@dataclass(frozen=True, eq=False)
class Problem:
    """A choice of one module a unit.

    Args:
        scores: of each unit (modules,) terms, larger is better.
        costs: of each unit (modules, budgets) what they cost.
        limits: (budgets,) that the sums of the costs keep to.
        pairs: terms of two modules.
    """

    scores: Sequence[Array]
    costs: Sequence[Array]
    limits: Array
    pairs: Sequence[Pair] = ()

    def value(self, chosen: Sequence[int]) -> float:
        """The sum of the terms of a choice."""
        single = sum(float(scores[module]) for scores, module in zip(self.scores, chosen, strict=True))
        return single + sum(
            p.value for p in self.pairs if chosen[p.first[0]] == p.first[1] and chosen[p.second[0]] == p.second[1]
        )

    def cost(self, chosen: Sequence[int]) -> Array:
        """(budgets,) what a choice costs."""
        return np.asarray(sum(costs[module] for costs, module in zip(self.costs, chosen, strict=True)))

    @property
    def strongest(self) -> "Problem":
        """The same with MOST_PAIRS pair terms at most, the strongest."""
        pairs = sorted(self.pairs, key=lambda pair: -abs(pair.value))[:MOST_PAIRS]
        return self if len(pairs) == len(self.pairs) else Problem(self.scores, self.costs, self.limits, pairs)


@dataclass(frozen=True, eq=False)
class Solutions:
    """Choices, in the order in which they were found.

    Args:
        chosen: (n, units) the module of each unit.
        values: (n,) sums of their terms.
        bound: no choice has a larger sum than this; NaN where none was proven.
        is_proven: every one is proven to be the best that was left.
        ended: why there are fewer than were asked for, a sentence; "" where there are as many.
    """

    chosen: NDArray[np.int64]
    values: Array
    bound: float
    is_proven: bool
    ended: str = ""

    @property
    def gap(self) -> float:
        """Difference by which the best choice may exceed the first solution; 0 where it is proven, NaN without a bound."""
        return float(self.bound - self.values[0]) if len(self.values) else float("nan")


def assemble(problem: Problem, num: int = 1, apart: int = 1, seconds: float = SECONDS) -> Solutions:
    """The best choices, one after the other, each as good as any that is left.

    Args:
        problem: what is chosen from.
        num: choices, at most.
        apart: units in which each differs from all before it, at least.
        seconds: that all of it may take; what was found by then is returned.

    Raises:
        ConfigError: num or apart is out of range.
    """
    units = len(problem.scores)
    if num < 1 or not 1 <= apart <= units:
        raise ConfigError(f"assembly: got {num} choices that differ in {apart} units, expected at least 1 in 1 to {units}.")
    problem = problem.strongest
    kept = [_kept(problem, unit, num) for unit in range(units)]
    model = _Model(problem, kept)
    chosen, values, begun, bound, is_proven, ended = list[list[int]](), list[float](), time.monotonic(), np.nan, True, ""
    for number in range(num):
        left = seconds - (time.monotonic() - begun)
        status, found, dual = (TIMED_OUT, None, np.nan) if left <= 0 else model.solve(chosen, apart, left)
        bound = dual if not number else bound
        if found is None:
            ended = _why(status, number, seconds)
            is_proven &= status == INFEASIBLE
            break
        is_proven &= status == SOLVED
        chosen.append(found)
        values.append(problem.value(found))
    return Solutions(np.array(chosen, np.int64).reshape(-1, units), np.array(values), float(bound), bool(is_proven), ended)


def _why(status: int, number: int, seconds: float) -> str:
    """The reason why no further choice was found."""
    if status == TIMED_OUT:
        return f"The limit of {seconds:.3g} s was reached after {number} of them."
    return "No choice keeps to all budgets." if not number else f"There are only {number} choices that keep to all budgets."


def _kept(problem: Problem, unit: int, layers: int) -> NDArray[np.int64]:
    """Modules of a unit that may be in a solution: those that fewer than `layers` others dominate, and those that pairs name.

    With so many dominators, one is in no solution that was found before, so the module's place can be given to it without a loss
    of value or of difference. A dominator must be no part of a pair, whose term its choice would bring.
    """
    scores, costs = problem.scores[unit], problem.costs[unit]
    named = np.zeros(len(scores), bool)
    named[[one[1] for pair in problem.pairs for one in (pair.first, pair.second) if one[0] == unit]] = True
    free = np.flatnonzero(~named)
    order = np.arange(len(scores))
    counts = np.zeros(len(scores), np.int64)
    for some in np.array_split(order, max(len(order) // AT_ONCE, 1)):
        better = scores[free] >= scores[some, None]
        same = scores[free] == scores[some, None]
        for budget in range(costs.shape[1]):
            better &= costs[free, budget] <= costs[some, None, budget]
            same &= costs[free, budget] == costs[some, None, budget]
        counts[some] = (better & ~(same & (free >= some[:, None]))).sum(1)  # of equals the first dominates
    kept: NDArray[np.int64] = np.flatnonzero(named | (counts < layers))
    return kept


class _Model:
    """The integer program of a problem.

    Args:
        problem: the problem.
        kept: of each unit the modules that may be chosen.
    """

    def __init__(self, problem: Problem, kept: Sequence[NDArray[np.int64]]) -> None:
        self.kept, self.first = kept, np.cumsum([0, *map(len, kept)])
        self.column = {
            (unit, int(module)): int(self.first[unit]) + place
            for unit, modules in enumerate(kept)
            for place, module in enumerate(modules)
        }
        self.pairs, self.num = problem.pairs, int(self.first[-1])
        single = [scores[modules] for scores, modules in zip(problem.scores, kept, strict=True)]
        self.gain = np.concatenate([*single, [pair.value for pair in self.pairs]])
        rows, columns, values, low, high = list[int](), list[int](), list[float](), list[float](), list[float]()

        def row(entries: dict[int, float], least: float, most: float) -> None:
            columns.extend(entries)
            values.extend(entries.values())
            rows.extend([len(low)] * len(entries))
            low.append(least)
            high.append(most)

        for unit in range(len(kept)):
            row(dict.fromkeys(range(self.first[unit], self.first[unit + 1]), 1.0), 1.0, 1.0)
        costs = np.concatenate([costs[modules] for costs, modules in zip(problem.costs, kept, strict=True)])
        for budget, limit in enumerate(problem.limits):
            row(dict(enumerate(costs[:, budget].tolist())), -np.inf, float(limit))
        for number, pair in enumerate(self.pairs):
            both, term = (self.column[pair.first], self.column[pair.second]), self.num + number
            if pair.value > 0:
                for one in both:
                    row({term: 1.0, one: -1.0}, -np.inf, 0.0)
            else:
                row({both[0]: 1.0, both[1]: 1.0, term: -1.0}, -np.inf, 1.0)
        self.rows, self.columns, self.values, self.low, self.high = rows, columns, values, low, high

    def solve(self, before: Sequence[Sequence[int]], apart: int, seconds: float) -> tuple[int, list[int] | None, float]:
        """(status, the best choice that differs from those before in `apart` units, what no choice exceeds).

        Source of the cuts: Balas and Jeroslow, "Canonical cuts on the unit hypercube", 1972.
        """
        from scipy.optimize import Bounds, LinearConstraint, milp
        from scipy.sparse import csr_array

        rows, columns, values = list(self.rows), list(self.columns), list(self.values)
        low, high = list(self.low), list(self.high)
        for chosen in before:
            own = [self.column[unit, module] for unit, module in enumerate(chosen)]
            columns += own
            values += [1.0] * len(own)
            rows += [len(low)] * len(own)
            low.append(-np.inf)
            high.append(len(own) - apart)
        matrix = csr_array((values, (rows, columns)), shape=(len(low), len(self.gain)))
        whole = np.arange(len(self.gain)) < self.num
        found = milp(
            -self.gain,
            constraints=LinearConstraint(matrix, low, high),
            integrality=whole.astype(int),
            bounds=Bounds(0, 1),
            options={"time_limit": seconds, "mip_rel_gap": 0.0},
        )
        dual = np.nan if found.mip_dual_bound is None else -float(found.mip_dual_bound)
        if found.x is None:
            return int(found.status), None, dual
        picked = [int(np.argmax(found.x[a:b])) for a, b in zip(self.first[:-1], self.first[1:], strict=True)]
        return int(found.status), [int(modules[p]) for modules, p in zip(self.kept, picked, strict=True)], dual
