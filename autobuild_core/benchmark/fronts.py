"""The Pareto front where the truth is known: how often what is said to be on it is, and how far doubt can be believed. Ours."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autobuild_core.architectures.records import ArchTable
from autobuild_core.predictor.metrics import MetricModel
from autobuild_core.predictor.posterior import Posterior
from autobuild_core.search.dominance import hypervolume, on_front
from autobuild_core.search.front import Axis, find_front
from autobuild_core.spaces import load_space
from autobuild_core.targets.equation import Target
from autobuild_core.targets.vocabulary import lower_is_better

Array = NDArray[np.float64]
Result = dict[str, Any]
DRAWS = 10  # random parts of the space that are learned from
ENDS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)  # of the groups of members by their probability
PRACTICAL = 0.1  # quantile of the worse side of each axis that the hypervolume is taken against


def measure(whole: ArchTable, values: Array, target: Target, metric: str, learned: int) -> list[Result]:
    """The front of a target and a metric, from random parts of a file that holds every network of a space.

    Args:
        whole: every network once.
        values: (n,) their targets.
        target: of them.
        metric: the other axis.
        learned: networks of a part.

    Returns:
        A line a group of members, {"front with", "said to be on it", "members", "mean said", "truly on it"}; one of the
        hypervolume, {"hypervolume with", "draws", "truth inside", "expected / true"}; one of the support of the target's model,
        {"support of", "networks", "supported", "error where supported", "error elsewhere"}, root mean squares in the standard
        deviations that were expected.
    """
    from autobuild_core.predictor.fitting import fit_metrics  # here: it loads scipy

    name = target.expression
    whole = replace(whole, metrics=whole.metrics.assign(**{name: values}))
    axes = (Axis(name, target.minimize), Axis(metric, lower_is_better(metric)))
    losses = np.stack([axis.turn * whole.metrics[axis.metric].to_numpy(float) for axis in axes], 1)
    corner = np.quantile(losses, 1 - PRACTICAL, axis=0)
    truly = pd.Series(on_front(losses), whole.networks)
    members, volumes, inside, outside = list[pd.DataFrame](), list[Result](), list[Array](), list[Array]()
    for seed in range(DRAWS):
        rows = np.sort(np.random.default_rng(seed).permutation(len(whole))[:learned])
        models = fit_metrics(whole.take(rows), [name, metric])
        reference = [axis.turn * edge for axis, edge in zip(axes, corner.tolist(), strict=True)]
        found = find_front(models, axes, whole.take(rows), reference=reference, seed=seed)
        networks = load_space(whole.spec).hash_networks(found.codes)
        members.append(pd.DataFrame({"said": found.frame["probability"], "true": truly.loc[networks].to_numpy()}))
        volumes.append(found.hypervolumes().set_index("of").loc["reachable"].to_dict())
        off, supported = _errors(models.model(name), np.delete(np.arange(len(whole)), rows), whole, values)
        inside.append(off[supported])
        outside.append(off[~supported])
    groups = _groups(metric, pd.concat(members))
    return [*groups, _volume(metric, volumes, float(hypervolume(losses, corner))), _support(name, inside, outside)]


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
