"""The three arms of AutoBuild's Pareto evolution, and random search, where every network is known: whose front is better. Ours.

Source: Mills et al., "AutoBuild", CVPR 2024, section 5, for the arms and their 50 + 4 x 50 evaluations. There an arm is judged by
accuracies that it observes; here each front is what an arm takes for it by what it observed, judged by what it never saw.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autobuild_core.api import train
from autobuild_core.architectures.records import ArchTable, Codes
from autobuild_core.benchmark import report as show
from autobuild_core.benchmark.fronts import PRACTICAL
from autobuild_core.errors import ConfigError
from autobuild_core.jobs.kinds.replay.worlds import Looked
from autobuild_core.scoring.intervals import Mean
from autobuild_core.search.dominance import hypervolume, on_front
from autobuild_core.search.reduction import Keep, Ranking, reduce_space
from autobuild_core.search.searchers import searcher_class
from autobuild_core.search.searching import search
from autobuild_core.spaces import Space
from autobuild_core.targets.equation import Target

Array = NDArray[np.float64]
Result = dict[str, Any]
GENERATION, EVALUATIONS = 50, 250  # networks of the first draw and of every generation; networks of an arm
SIZES, TOP_KS = (50, 300), (5,)  # networks that a reduced space is learned from; modules that it keeps of each unit, a target
AUTOBUILD = "Stage-AutoBuild"
OTHERS = {"random": "random", "Layer-Full": "pareto_evolution_layers", "Stage-Full": "pareto_evolution"}  # in the whole space
CASE = ["learned from", "kept a unit"]  # of a reduced space


@dataclass(frozen=True, eq=False)
class TwoTargets:
    """A space whose every network was measured, by two targets: what a search observes, and what its front is judged by.

    Args:
        worlds: of each target.
        targets: with their directions.
        judges: equations by which they are judged.
        corner: (2,) reference of the hypervolume, in the targets' units.
    """

    worlds: tuple[Looked, Looked]
    targets: tuple[Target, Target]
    judges: tuple[Target, Target]
    corner: Array

    @classmethod
    def of(cls, table: ArchTable, targets: tuple[Target, Target], judge: str = "") -> "TwoTargets":
        """The space of a table.

        Args:
            table: evaluated architectures.
            targets: the second is judged by itself.
            judge: equation by which the first is judged, of the same direction; "" = itself.

        Raises:
            ConfigError: the space is too large, or a network of it is not in the table.
            TargetError: an equation is not one over the metrics.
        """
        first, second = targets
        judges = Target(judge or first.expression, first.minimize), second
        found = cls((Looked(table, first, judges[0]), Looked(table, second, second)), targets, judges, np.zeros(2))
        return replace(found, corner=found.turn * np.nanquantile(found.every, 1 - PRACTICAL, axis=0))

    @property
    def space(self) -> Space:
        """The whole space."""
        return self.worlds[0].space

    @property
    def turn(self) -> Array:
        """(2,) the factors that make values losses."""
        return np.array([1.0 if target.minimize else -1.0 for target in self.targets])

    @property
    def every(self) -> Array:
        """(networks, 2) losses by which each network of the space is judged."""
        losses: Array = self.turn * np.stack([np.asarray(world.every(), float) for world in self.worlds], 1)
        return losses

    @property
    def volume(self) -> float:
        """The hypervolume of the true front, in the product of the targets' units."""
        return float(hypervolume(self.every, self.turn * self.corner))

    def observed(self, codes: Codes) -> Array:
        """(n, 2) losses of (n, num_positions) networks as a search gets them."""
        losses: Array = self.turn * np.stack([world.observe(codes) for world in self.worlds], 1)
        return losses

    def scores(self, codes: Codes) -> list[tuple[float, float]]:
        """The same as scores, larger is better."""
        return [(-one, -other) for one, other in self.observed(codes).tolist()]

    def share(self, codes: Codes) -> float:
        """Hypervolume of the front that (n, num_positions) networks seem to have, as judged, as a share of the true front's.

        The front is that of the observed losses: no search knows better which of its networks to take.
        """
        seen = self.observed(codes)
        known = np.isfinite(seen).all(1)
        taken = codes[known][on_front(seen[known])]
        judged = self.turn * np.stack([world.judge(taken) for world in self.worlds], 1)
        return float(hypervolume(judged, self.turn * self.corner)) / self.volume

    def whole(self, space: Space) -> Result:
        """Number of "networks" of the space or a part of it, and "all of it", the share where all of them are evaluated."""
        codes = space.enumerate()
        assert codes is not None
        codes = codes[np.unique(space.hash_networks(codes), return_index=True)[1]]
        return {"networks": len(codes), "all of it": self.share(codes)}

    def evaluated(self, searcher: str, num: int, seed: int, space: Space | None = None) -> Codes:
        """(at most num, num_positions) networks that a searcher evaluates, in their order.

        Args:
            searcher: by name, with its own settings.
            num: networks.
            seed: of the search.
            space: a reduced one, in place of the whole.
        """
        made = searcher_class(searcher)(space or self.space, seed)
        return search(made, num, self.scores, GENERATION).codes


def measure(
    found: TwoTargets,
    top_ks: Sequence[int] = TOP_KS,
    sizes: Sequence[int] = SIZES,
    seeds: Sequence[int] = (0,),
    report: Callable[[Result], None] = lambda record: None,
    **settings: Any,
) -> list[Result]:
    """Fronts of every arm after every generation, and of all arms after as many evaluations as a reduced space cost in all.

    What a reduced space is learned from are the first networks that random search evaluates with the same seed. All arms in the
    whole space begin with the same networks.

    Args:
        found: the targets.
        top_ks: modules of each unit that are kept for each target; their union is the reduced space.
        sizes: networks that it is learned from.
        seeds: of searches and trainings.
        report: hears {"phase", "share"}.
        settings: of the trainings.

    Returns:
        A line a seed, arm and number of evaluations: "seed", "arm", "learned from" and "kept a unit" (None of an arm in the whole
        space), those of `TwoTargets.whole`, "evaluations", "share" (`TwoTargets.share`). With more evaluations than EVALUATIONS
        those that a reduced space was learned from are among them.

    Raises:
        ConfigError: there are too few networks, or a reduced space comes to nothing.
    """
    if len(found.every) < EVALUATIONS + max(sizes):
        raise ConfigError(f"arms: got {len(found.every)} networks, expected at least {EVALUATIONS + max(sizes)}.")
    lines, whole = list[Result](), found.whole(found.space)
    for number, seed in enumerate(seeds):
        steps = [*range(GENERATION, EVALUATIONS + 1, GENERATION), *(EVALUATIONS + size for size in sizes)]
        ways = {arm: found.evaluated(name, max(steps), seed) for arm, name in OTHERS.items()}
        for arm, codes in ways.items():
            about: Result = {"seed": seed, "arm": arm, **dict.fromkeys(CASE), **whole}
            lines += [about | {"evaluations": step, "share": found.share(codes[:step])} for step in steps]
        for place, size in enumerate(sizes):
            share = (number + place / len(sizes)) / len(seeds)
            report({"phase": f"seed {seed}, a space learned from {size} networks", "share": share})
            sample = ways["random"][:size]
            for top_k, space in _reduced(found, sample, top_ks, seed, **settings):
                codes = found.evaluated(OTHERS["Stage-Full"], EVALUATIONS, seed, space)
                about = {"seed": seed, "arm": AUTOBUILD, "learned from": size, "kept a unit": top_k} | found.whole(space)
                shares = {step: found.share(codes[:step]) for step in steps if step <= EVALUATIONS}
                shares[EVALUATIONS + size] = found.share(np.concatenate([sample, codes]))
                lines += [about | {"evaluations": step, "share": one} for step, one in shares.items()]
    return lines


def _reduced(found: TwoTargets, sample: Codes, top_ks: Sequence[int], seed: int, **settings: Any) -> Iterator[tuple[int, Space]]:
    """(modules a unit and target, the reduced space), learned for both targets from what is observed of some networks."""
    rows = found.worlds[0].rows(sample)
    names = list(dict.fromkeys(name for target in found.targets for name in target.names))
    rows = replace(rows, metrics=rows.metrics[names])
    with tempfile.TemporaryDirectory(prefix="autobuild-arms-") as place:
        runs = [
            train(rows, target.expression, Path(place) / str(number), target.minimize, seed, **settings)
            for number, target in enumerate(found.targets)
        ]
        rankings = [Ranking(run.config.name, run.predictor, run.modules()) for run in runs]
        for top_k in top_ks:
            yield top_k, reduce_space(rankings, Keep(top_k)).space


def markdown(lines: Sequence[Result], found: TwoTargets) -> str:
    """Two tables of means over the seeds ± standard deviation: as in the paper, and with the learned networks counted.

    Differences are paired by seed, with their 90 % intervals; above zero Stage-AutoBuild is better.

    Args:
        lines: of `measure`.
        found: the targets.
    """
    frame = pd.DataFrame(lines)
    names = " and ".join(target.expression for target in found.targets)
    corner = ", ".join(f"{one.expression} {value:.6g}" for one, value in zip(found.judges, found.corner, strict=True))
    notes = f"Shares of the true front's hypervolume, {found.volume:.6g}, against {corner}; {frame['seed'].nunique()} seeds."
    parts = [show.table(f"The front of {names}", _as_published(frame), notes)]
    parts.append(show.table("The same, what a space is learned from counted for all", _all_counted(frame), notes))
    return "\n".join(parts)


def _as_published(frame: pd.DataFrame) -> list[Result]:
    """A line an arm and reduced space: its shares after every generation, and the last less those of the others."""
    lines = []
    for (arm, *case), own in frame[frame["evaluations"] <= EVALUATIONS].groupby(["arm", *CASE], dropna=False, sort=False):
        line: Result = {"arm": arm} | {name: _whole(value) for name, value in zip(CASE, case, strict=True)}
        line["networks"] = f"{own['networks'].mean():.0f}"
        line |= {f"after {step}": _spread(part["share"]) for step, part in own.groupby("evaluations")}
        line["all of it"] = f"{own['all of it'].mean():.3f}"
        lines.append(line | (_differences(frame, own, EVALUATIONS) if arm == AUTOBUILD else {}))
    return lines


def _all_counted(frame: pd.DataFrame) -> list[Result]:
    """A line a reduced space: the shares of all arms after as many evaluations as it cost with what it was learned from."""
    lines = []
    for (size, kept), own in frame[frame["arm"] == AUTOBUILD].groupby(CASE, sort=False):
        last = EVALUATIONS + int(size)
        line: Result = dict(zip(CASE, (int(size), int(kept)), strict=True)) | {"evaluations": last}
        line[AUTOBUILD] = _spread(own.loc[own["evaluations"] == last, "share"])
        for other in OTHERS:
            line[other] = _spread(frame.loc[(frame["arm"] == other) & (frame["evaluations"] == last), "share"])
        lines.append(line | _differences(frame, own, last))
    return lines


def _differences(frame: pd.DataFrame, own: pd.DataFrame, evaluations: int) -> dict[str, str]:
    """The share of a reduced space's arm less that of each other arm, seed by seed, after a number of evaluations."""
    at = frame[frame["evaluations"] == evaluations]
    share = own[own["evaluations"] == evaluations].set_index("seed")["share"]
    apart = {arm: Mean.of((share - at[at["arm"] == arm].set_index("seed")["share"]).tolist()) for arm in OTHERS}
    return {f"less {arm}": _interval(one) for arm, one in apart.items()}


def _interval(one: Mean) -> str:
    """A difference with its 90 % interval, where there is one."""
    return f"{one.mean:+.3f}" + (f" [{one.low:+.3f}, {one.high:+.3f}]" if np.isfinite(one.half) else "")


def _spread(shares: "pd.Series[float]") -> str:
    """Mean ± standard deviation over the seeds; the mean alone of one."""
    return f"{shares.mean():.3f}" + (f" ± {shares.std():.3f}" if len(shares) > 1 else "")


def _whole(value: float) -> str:
    """A whole number; "" of NaN."""
    return "" if np.isnan(value) else f"{value:.0f}"
