"""The Pareto front where the truth is known: how often what is said to be on it is, and how far doubt can be believed. Ours."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autobuild_core.architectures.records import ArchTable
from autobuild_core.predictor.metrics import MetricModel
from autobuild_core.predictor.posterior import OWN_SHARE, Posterior
from autobuild_core.search.dominance import hypervolume, on_front
from autobuild_core.search.front import Axis, find_front
from autobuild_core.spaces import load_space
from autobuild_core.targets.equation import Target
from autobuild_core.targets.vocabulary import lower_is_better

Array = NDArray[np.float64]
Result = dict[str, Any]
MANY = 1500  # networks that a made truth is learned from
DRAWS = 10  # random parts of the space that are learned from
ENDS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)  # of the groups of members by their probability
PRACTICAL = 0.1  # quantile of the worse side of each axis that the hypervolume is taken against


@dataclass(frozen=True, eq=False)
class _World:
    """Targets of every network, as they are and as a part of them would be measured.

    Args:
        truth: in words.
        true: (n,) targets.
        measured: gives (n,) measurements of a draw.
    """

    truth: str
    true: Array
    measured: Callable[[int], Array]


def measure(whole: ArchTable, values: Array, target: Target, metric: str, learned: int) -> list[Result]:
    """The front of a target and a metric, from random parts of a file that holds every network of a space.

    The front that is true is once that of the file's own targets, their noise and all, as nobody knows them better; and once that
    of a made truth (`_made`), which is known without noise as the probabilities mean it.

    Args:
        whole: every network once.
        values: (n,) their targets.
        target: of them.
        metric: the other axis.
        learned: networks of a part.

    Returns:
        For each truth a line a group of members, {"front with", "truth", "said to be on it", "members", "mean said", "truly on
        it"}, and one of the hypervolume, {"hypervolume with", "truth", "draws", "truth inside", "expected / true"}; one of the
        support of the target's model, {"support of", "networks", "supported", "error where supported", "error elsewhere"}, root
        mean squares in the standard deviations that were expected.
    """
    name = target.expression
    axes = (Axis(name, target.minimize), Axis(metric, lower_is_better(metric)))
    lines, errors = list[Result](), list[tuple[Array, NDArray[np.bool_]]]()
    for world in (_World("the file's", values, lambda seed: values), _made(whole, values, name)):
        found, errors_of = _judged(whole, world, axes, learned)
        lines, errors = lines + found, errors or errors_of
    return [*lines, _support(name, [off[fine] for off, fine in errors], [off[~fine] for off, fine in errors])]


def _made(whole: ArchTable, values: Array, name: str) -> _World:
    """A truth of the file's kind: what a process learns from MANY networks, and half of what it leaves as the networks' own.

    The other half is the noise of a measurement. Both are shuffled, so nothing of them can be learned.
    """
    from autobuild_core.predictor.fitting import fit_metrics  # here: it loads scipy

    table = replace(whole, metrics=whole.metrics.assign(**{name: values}))
    rows = np.sort(np.random.default_rng(0).permutation(len(whole))[:MANY])
    learned = fit_metrics(table.take(rows), [name]).model(name).expected(whole.codes)
    left = np.where(np.isfinite(values - learned), values - learned, 0.0)
    true = learned + np.sqrt(OWN_SHARE) * np.random.default_rng(1).permutation(left)
    return _World("made", true, lambda seed: true + np.sqrt(1 - OWN_SHARE) * np.random.default_rng([2, seed]).permutation(left))


def _judged(
    whole: ArchTable, world: _World, axes: tuple[Axis, Axis], learned: int
) -> tuple[list[Result], list[tuple[Array, NDArray[np.bool_]]]]:
    """(lines of members and of the hypervolume, errors of predictions a draw)."""
    from autobuild_core.predictor.fitting import fit_metrics  # here: it loads scipy

    name, metric = (axis.metric for axis in axes)
    losses = np.stack([axes[0].turn * world.true, axes[1].turn * whole.metrics[metric].to_numpy(float)], 1)
    corner = np.quantile(losses, 1 - PRACTICAL, axis=0)
    reference = [axis.turn * edge for axis, edge in zip(axes, corner.tolist(), strict=True)]
    truly = pd.Series(on_front(losses), whole.networks)
    members, volumes, errors = list[pd.DataFrame](), list[Result](), list[tuple[Array, NDArray[np.bool_]]]()
    for seed in range(DRAWS):
        rows = np.sort(np.random.default_rng(seed).permutation(len(whole))[:learned])
        part = replace(whole, metrics=whole.metrics.assign(**{name: world.measured(seed)})).take(rows)
        models = fit_metrics(part, [name, metric])
        found = find_front(models, axes, part, reference=reference, seed=seed)
        networks = load_space(whole.spec).hash_networks(found.codes)
        members.append(pd.DataFrame({"said": found.frame["probability"], "true": truly.loc[networks].to_numpy()}))
        volumes.append(found.hypervolumes().set_index("of").loc["reachable"].to_dict())
        errors.append(_errors(models.model(name), np.delete(np.arange(len(whole)), rows), whole, world.measured(seed)))
    about = {"truth": world.truth}
    lines = [one | about for one in _groups(metric, pd.concat(members))]
    return [*lines, _volume(metric, volumes, float(hypervolume(losses, corner))) | about], errors


def _errors(model: MetricModel, rows: NDArray[np.intp], whole: ArchTable, values: Array) -> tuple[Array, NDArray[np.bool_]]:
    """((n,) errors of predictions, in the standard deviations that were expected; (n,) which architectures the data support)."""
    known, codes = model.known, whole.codes[rows]
    if not isinstance(known, Posterior):  # an exact one has no errors
        return np.zeros(0), np.zeros(0, bool)
    mean, spread = known.moments(codes)
    off: Array = (known.scaling.back(values[rows]) - mean) / (model.widening * np.sqrt(spread**2 + known.noise))
    return off, model.supports(codes)


def _groups(metric: str, members: pd.DataFrame) -> list[Result]:
    """Members by their probability."""
    found = []
    for group, own in members.groupby(pd.cut(members["said"], list(ENDS), include_lowest=True), observed=True):
        about = {"front with": metric, "said to be on it": f"{max(group.left, 0):g} to {group.right:g}", "members": len(own)}
        found.append(about | {"mean said": float(own["said"].mean()), "truly on it": float(own["true"].mean())})
    return found


def _volume(metric: str, volumes: Sequence[Result], true: float) -> Result:
    """The hypervolume that may be reached, against that of the true front."""
    held = sum(one["low"] <= true <= one["high"] for one in volumes)
    ratio = float(np.mean([one["expected"] for one in volumes])) / true
    return {"hypervolume with": metric, "draws": len(volumes), "truth inside": int(held), "expected / true": ratio}


def _support(name: str, inside: Sequence[Array], outside: Sequence[Array]) -> Result:
    """Errors where the data support an architecture, and elsewhere."""
    within, beyond = np.concatenate(inside), np.concatenate(outside)
    about: Result = {"support of": name, "networks": len(within) + len(beyond), "supported": len(within)}
    return about | {"error where supported": _rms(within), "error elsewhere": _rms(beyond)}


def _rms(errors: Array) -> float:
    """Root mean square; NaN of none."""
    return float(np.sqrt(np.mean(errors**2))) if len(errors) else float("nan")
