"""Knowledge of a run's metrics in its folder: read in milliseconds, with numpy alone, and nothing is fitted again.

metrics.safetensors holds the arrays, in the precision they were found in, metrics.json all else. Of a Gaussian process its kernel
and the architectures that it learned from are kept, a hundred kilobytes at most; what follows from them (`Posterior.inverse`,
eight megabytes of a thousand architectures) is worked out again, to the same digits.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from autobuild_core.errors import RunError
from autobuild_core.predictor.kernel import PARTS, Layers
from autobuild_core.predictor.metrics import Formula, HeldOut, MetricModel, Metrics
from autobuild_core.predictor.posterior import Posterior
from autobuild_core.spaces import Space
from autobuild_core.store import tables
from autobuild_core.store.run_folder import RunFolder
from autobuild_core.targets.costs import CostModel
from autobuild_core.targets.equation import Target
from autobuild_core.targets.scaling import NormalScores
from autobuild_core.targets.vocabulary import by_cost

Arrays = dict[str, NDArray[Any]]
FORMAT = 1
ARRAYS, ABOUT = "metrics.safetensors", "metrics.json"
TARGET = "(target)"  # an equation's name among the models; no metric can be called so
STRAIGHT = "straight"  # prefix of the arrays of `RunMetrics.straight`; those of models have their number


def name_of_target(target: Target) -> str:
    """The name under which a target stands among the models: that of the metric that it is, else TARGET."""
    expression = target.expression.strip()
    return expression if expression in target.names else TARGET


@dataclass(frozen=True, eq=False)
class RunMetrics:
    """All that is known of the metrics of a run's data, and of its target. Contexts are averaged over.

    Args:
        metrics: models of the metrics, and of the target under `target`; of those that have none, why.
        target: name of the target among them (`name_of_target`).
        straight: the Gaussian process of the target on its own straight scale, which prices are drawn from (`search/prices.py`).
    """

    metrics: Metrics
    target: str
    straight: Posterior

    @property
    def in_order(self) -> list[str]:
        """The metrics that can have budgets: costs first, then the others, the target at the end."""
        names = [name for name in self.metrics.models if name != self.target]
        costs, target = by_cost(names), [self.target] if self.target in self.metrics.models else []
        return [*costs, *(name for name in names if name not in costs), *target]

    @classmethod
    def is_in(cls, folder: RunFolder) -> bool:
        """Whether a run has them; one that an older version trained does not."""
        return (folder.path / ABOUT).is_file()

    def save(self, folder: RunFolder) -> None:
        """Writes both files, each atomically, the one that says that they are there last."""
        arrays = _prefixed(STRAIGHT, _arrays_of(self.straight))
        models = []
        for number, model in enumerate(self.metrics.models.values()):
            residuals = {} if model.is_exact else {"residuals": model.residuals}
            arrays |= _prefixed(str(number), _arrays_of(model.known) | residuals)
            about: dict[str, Any] = {"name": model.name, "held_out": asdict(model.held_out)}
            about |= {} if model.is_exact else {"widening": model.widening, "support": model.support}
            models.append(about | {"num_rows": len(model.residuals), "known": _about(model.known)})
        with tables.replacing(folder.path / ARRAYS) as part:
            save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, part)
        known = {"unknown": dict(self.metrics.unknown), "models": models, STRAIGHT: _about(self.straight)}
        folder.write_json(ABOUT, {"format": FORMAT, "target": self.target} | known)

    @classmethod
    def load(cls, folder: RunFolder, space: Space) -> Self:
        """The knowledge that `save` wrote.

        Args:
            folder: of the run.
            space: its search space.

        Raises:
            RunError: a file is missing or damaged, or another version wrote it.
        """
        about = folder.read_json(ABOUT)
        try:
            if (found := about.get("format")) != FORMAT:
                raise RunError(f"{folder.path / ABOUT}: got format {found}, expected {FORMAT}; train the run anew.")
            return cls._read(about, load_file(folder.path / ARRAYS), space)
        except (OSError, SafetensorError, LookupError, TypeError, ValueError, AttributeError) as error:
            said = f"{type(error).__name__}: {error}"[:200]
            raise RunError(f"{folder.path / ABOUT}: got a damaged or missing file ({said}); train the run anew.") from error

    @classmethod
    def _read(cls, about: Mapping[str, Any], arrays: Arrays, space: Space) -> Self:
        """From the contents of both files; raises whatever damaged ones cause."""
        layers, models = Layers(space.spec), {}
        for number, raw in enumerate(about["models"]):
            own = _of_prefix(str(number), arrays)
            residuals = own["residuals"] if "residuals" in own else np.full(int(raw["num_rows"]), np.nan)
            known = _known(raw["known"], own, space, layers)
            doubt = {name: float(raw[name]) for name in ("widening", "support") if isinstance(known, Posterior)}
            models[raw["name"]] = MetricModel(raw["name"], known, HeldOut(**raw["held_out"]), residuals, **doubt)
        straight = _posterior(about[STRAIGHT], _of_prefix(STRAIGHT, arrays), space, layers)
        return cls(Metrics(models, about["unknown"]), str(about["target"]), straight)


def _prefixed(prefix: str, arrays: Arrays) -> Arrays:
    """Arrays by names that no other part has."""
    return {f"{prefix}.{name}": array for name, array in arrays.items()}


def _of_prefix(prefix: str, arrays: Arrays) -> Arrays:
    """The inverse of `_prefixed`."""
    return {name.removeprefix(f"{prefix}."): array for name, array in arrays.items() if name.startswith(f"{prefix}.")}


def _arrays_of(known: Formula | Posterior) -> Arrays:
    """The arrays that a model is made of again."""
    if isinstance(known, Formula):
        return {"weights": known.cost.weights, "seen": known.seen}
    names = ("centre", "roots", "weights", "codes", "scores", "shares")
    knots = {"knot_scores": known.scaling.scores, "knot_values": known.scaling.values}
    return {name: getattr(known, name) for name in names} | knots


def _about(known: Formula | Posterior) -> dict[str, Any]:
    """The numbers and texts that a model is made of again."""
    if isinstance(known, Formula):
        return {name: getattr(known.cost, name) for name in ("metric", "as_written", "intercept", "explained")}
    return {"noise": known.noise, "sign": known.scaling.sign, "ranked": known.scaling.ranked}


def _known(about: Mapping[str, Any], arrays: Arrays, space: Space, layers: Layers) -> Formula | Posterior:
    """The inverse of `_arrays_of` and `_about`."""
    if "metric" not in about:
        return _posterior(about, arrays, space, layers)
    seen = arrays["seen"].astype(bool)
    _check(seen=(seen, (space.spec.num_positions, len(space.spec.tokens) + 1)))
    return Formula(CostModel(space=space, weights=arrays["weights"], **about), seen)


def _posterior(about: Mapping[str, Any], arrays: Arrays, space: Space, layers: Layers) -> Posterior:
    """A Gaussian process of its numbers and arrays."""
    knots, codes, roots = arrays.pop("knot_scores"), arrays["codes"], arrays["roots"]
    scaling = NormalScores(knots, arrays.pop("knot_values"), int(about["sign"]), float(about["ranked"]))
    _check(
        codes=(codes, (len(codes), space.spec.num_positions)),
        scores=(arrays["scores"], (len(codes),)),
        shares=(arrays["shares"], (len(codes),)),
        centre=(arrays["centre"], (len(roots),)),
        weights=(arrays["weights"], (PARTS,)),
        knots=(scaling.values, (len(knots),)),
    )
    centre, weights, scores, shares = (arrays[name] for name in ("centre", "weights", "scores", "shares"))
    return Posterior(space, layers, scaling, centre, roots, weights, float(about["noise"]), codes, scores, shares)


def _check(**arrays: tuple[NDArray[Any], tuple[int, ...]]) -> None:
    """Returns when each array has its shape.

    Raises:
        ValueError: one has another.
    """
    for name, (array, shape) in arrays.items():
        if array.shape != shape:
            raise ValueError(f"{name}: got the shape {array.shape}, expected {shape}")
