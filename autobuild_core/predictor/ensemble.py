"""A trained run, ready to predict: numpy only, loaded in milliseconds, used by pages and the command line alike."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from autobuild_core.architectures.features import make_codebook
from autobuild_core.architectures.records import ArchTable, Codes, SpaceSpec
from autobuild_core.errors import ConfigError, RunError
from autobuild_core.predictor.contexts import Contexts, Held, Mixed
from autobuild_core.predictor.forward import Ensemble
from autobuild_core.spaces import load_space
from autobuild_core.targets.equation import Target
from autobuild_core.targets.scaling import TWO_SIDED_90, NormalScores

Array = NDArray[np.float64]
FORMAT = 2  # of a run's model; 2: beside the GNN stands a Gaussian process, in 1 a linear readout
SPREAD_DRAWS = 2048  # random architectures that tell the spread between members
HELD = "held."  # prefix of the arrays of `Held`
OWN_SCALING = (
    0.25  # so that 90 % intervals of scores cover 83 to 96 % on NAS-Bench-Macro at every length and size; 1 covers 100 %
)


@dataclass(frozen=True)
class Calibration:
    """The error of predictions of held-out architectures, on the normal-score scale.

    Args:
        error: root mean squared error of one member on what it held out.
        member_spread: root mean variance between members over the space; averaging removes about that much error.
    """

    error: float
    member_spread: float

    @property
    def residual(self) -> float:
        """Error of the ensemble's mean that its own spread does not show."""
        return float(np.sqrt(max(self.error**2 - 2 * self.member_spread**2, 0.25 * self.error**2)))

    def half_width(self, spread: Array) -> Array:
        """Half of the 90 % interval for predictions with the given spread between members."""
        half: Array = TWO_SIDED_90 * np.sqrt(self.residual**2 + spread**2)
        return half


class Predictor:
    """The ensemble of a run with what turns its output into target units.

    Args:
        ensemble: the ensemble.
        spec: the search space.
        scaling: normal scores <-> target.
        calibration: held-out errors.
        target: the equation; `minimize` its direction.
        member_scalings: as `scaling`, from the rows that each member learns from; without them all share one. The tail of few
            targets is uncertain, and so the spread between members shows it (OWN_SCALING).
        held: the contexts that all of it holds at, where the data have some.
    """

    def __init__(
        self,
        ensemble: Ensemble,
        spec: SpaceSpec,
        scaling: NormalScores,
        calibration: Calibration,
        target: str,
        minimize: bool,
        member_scalings: tuple[NormalScores, ...] = (),
        held: Held | None = None,
    ) -> None:
        self.ensemble, self.spec, self.scaling, self.calibration = ensemble, spec, scaling, calibration
        self.target_name, self.minimize = target, minimize
        self.target = Target(target, minimize)
        self.space = load_space(spec)
        self.member_scalings, self.held = member_scalings, held
        self._grid, self._expected = scaling.expectation(calibration.residual)
        self._member_curves = [own.expectation(calibration.residual) for own in member_scalings]

    @classmethod
    def held_at(cls, ensemble: Ensemble, spec: SpaceSpec, held: Held, target: str, minimize: bool) -> Self:
        """A predictor of architectures alone: of their average over context points, in target units.

        Its scale is that of the evaluated rows as they would be there: predicted there by the member that did not see them, and
        as far from it, in normal scores, as they were from their prediction where they were evaluated.
        """
        scores, adjusted = as_held(ensemble, held, held.codes, held.fold, held.residuals)
        ranked = held.scalings[0].ranked
        common = NormalScores.fit(adjusted, minimize, ranked=ranked)
        mixed = Mixed(held.weights, held.own_scalings, common)
        ensemble = ensemble.held_at(held.contexts.encode(held.points), held.weights, mixed)
        off = (mixed(scores) - common.to_scores(adjusted))[held.measured]
        calibration = Calibration(float(np.sqrt(np.mean(off**2))), member_spread(ensemble, spec))
        own = tuple(NormalScores.fit(adjusted[held.fold != m], minimize, ranked=ranked) for m in range(ensemble.members))
        return cls(ensemble, spec, common, calibration, target, minimize, own, held)

    def at(self, context: Mapping[str, str | float]) -> Self:
        """The same ensemble, held at a chosen context; averages go on over what is not chosen.

        Raises:
            ConfigError: the data have no such context, or never had this text in it.
        """
        if not context:
            return self
        if self.held is None:
            raise ConfigError(f"context: got '{next(iter(context))}', and no context varies in the data of this run.")
        return type(self).held_at(self.ensemble, self.spec, self.held.at(context), self.target_name, self.minimize)

    def adjusted(self, table: ArchTable, values: Array) -> Array:
        """(n,) targets of evaluated rows as they would be where this predictor holds; themselves where no context varies."""
        if self.held is None:
            return values
        held, codes = self.held, self.space.canonical(table.codes)
        own = self.ensemble.predict(codes, held.contexts.encode(table.contexts)).scores.mean(0, dtype=float)
        task = held.contexts.task_of(table.contexts)
        scores = np.array([held.scalings[t].to_scores(value) for t, value in zip(task, values, strict=True)])
        at_points = self.ensemble.in_contexts(codes, held.contexts.encode(held.points)[:, None]).scores.mean(1, dtype=float)
        return _averaged(held, at_points + (scores - own))

    @classmethod
    def load(cls, folder: Path | str) -> Self:
        """The predictor that a run wrote.

        Raises:
            RunError: the folder has none.
        """
        folder = Path(folder)
        try:
            about = json.loads((folder / "model.json").read_text())
            weights = load_file(folder / "model.safetensors")
        except (OSError, ValueError, SafetensorError) as error:
            raise RunError(f"{folder}: got no finished model ({type(error).__name__}), expected a trained run.") from error
        try:
            return cls._assembled(about, weights)
        except (KeyError, TypeError) as error:
            raise RunError(
                f"{folder}/model.json: got a damaged description ({error}), expected that of a trained run."
            ) from error

    @classmethod
    def _assembled(cls, about: dict[str, Any], weights: dict[str, NDArray[np.float32]]) -> Self:
        if (found := about.get("format", 1)) != FORMAT:
            raise RunError(f"model.json: got a model of format {found}, expected {FORMAT}; train the run anew.")
        spec = SpaceSpec.from_json(json.dumps(about["spec"]))
        codebook = make_codebook(spec)
        if list(codebook.names) != about["features"]:
            raise RunError(f"model.json: got features {about['features']}, expected {list(codebook.names)}; train anew.")
        ensemble = Ensemble(weights, codebook, about["num_hops"])
        scaling, calibration = NormalScores.from_dict(about["scaling"]), Calibration(**about["calibration"])
        own = tuple(NormalScores.from_dict(raw) for raw in about["member_scalings"])
        held = None
        if "held" in about:
            held = _held_of(about["held"], weights)
            mixed = Mixed(held.weights, held.own_scalings, scaling)
            ensemble = ensemble.held_at(held.contexts.encode(held.points), held.weights, mixed)
        return cls(ensemble, spec, scaling, calibration, about["target"], about["minimize"], own, held)

    def describe(self) -> dict[str, Any]:
        """model.json."""
        held = {} if self.held is None else {"held": _describe_held(self.held)}
        return held | {
            "format": FORMAT,
            "spec": json.loads(self.spec.to_json()),
            "features": list(self.ensemble.codebook.names),
            "num_hops": self.ensemble.num_hops,
            "members": self.ensemble.members,
            "scaling": self.scaling.to_dict(),
            "member_scalings": [own.to_dict() for own in self.member_scalings],
            "calibration": asdict(self.calibration),
            "target": self.target_name,
            "minimize": self.minimize,
        }

    def held_arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays of the contexts in model.safetensors, beside the weights."""
        if self.held is None:
            return {}
        names = {"codes": np.int16, "residuals": np.float32, "fold": np.int16, "measured": np.uint8}
        return {HELD + name: getattr(self.held, name).astype(kind) for name, kind in names.items()}

    def expected(self, scores: NDArray[Any]) -> Array:
        """Expected target of predicted normal scores of any shape (the mean over the prediction's error)."""
        expected: Array = np.interp(scores, self._grid, self._expected)
        return expected

    def member_expected(self, scores: NDArray[Any]) -> Array:
        """(members, n) expected targets of the (members, n) normal scores that the members predict.

        Each member's own scaling has a part in them: the members' scores are on the common scale, so its whole part would count
        the luck of the sample twice, and none would forget the tail.
        """
        common = self.expected(scores)
        if not self._member_curves:
            return common
        own = np.stack([np.interp(row, *curve) for row, curve in zip(scores, self._member_curves, strict=True)])
        mixed: Array = OWN_SCALING * own + (1 - OWN_SCALING) * common
        return mixed

    def member_scores(self, codes: Codes) -> NDArray[np.float32]:
        """(members, n) predicted normal scores; each network is predicted once, in its canonical encoding."""
        canonical = self.space.canonical(codes)
        first, inverse = np.unique(self.space.hash_networks(codes), return_index=True, return_inverse=True)[1:]
        return self.ensemble.predict(canonical[first]).scores[:, inverse]

    def predict(self, codes: Codes) -> pd.DataFrame:
        """Predictions of (n, num_positions) codes.

        Returns:
            n rows; columns predicted (expected target), low and high (90 % interval), score (mean normal score: for ranking).
        """
        members = self.member_scores(codes)
        mean, spread = members.mean(0).astype(float), members.std(0).astype(float)
        low, high = self.interval(mean, spread)
        predicted = np.clip(self.expected(mean), low, high)
        return pd.DataFrame({"predicted": predicted, "low": low, "high": high, "score": mean})

    def interval(self, scores: Array, spread: Array) -> tuple[Array, Array]:
        """(low, high), each (n,), of the 90 % interval in target units, for normal scores with a spread between members."""
        half = self.calibration.half_width(spread)
        ends = self.scaling.to_target(np.stack([scores - half, scores + half]))
        return ends.min(0), ends.max(0)


def member_spread(ensemble: Ensemble, spec: SpaceSpec, seed: int = 0) -> float:
    """Root mean variance between members over random architectures of the space."""
    space = load_space(spec)
    codes = space.canonical(space.sample(SPREAD_DRAWS, np.random.default_rng(seed)))
    return float(np.sqrt(ensemble.predict(codes).scores.var(0).mean()))


def as_held(ensemble: Ensemble, held: Held, codes: Codes, fold: NDArray[np.int64], residuals: Array) -> tuple[Array, Array]:
    """((points, n) held-out normal scores of rows at context points, (n,) their targets as they would be on average there).

    Args:
        ensemble: the ensemble.
        held: where to hold.
        codes: (n, num_positions) canonical encodings.
        fold: (n,) the member that did not see each.
        residuals: (n,) normal score of each less its prediction, in its own context.
    """
    scores = ensemble.in_contexts(codes, held.contexts.encode(held.points)[:, None]).scores
    own = scores[:, fold, np.arange(len(codes))].astype(float)
    return own, _averaged(held, own + residuals)


def _averaged(held: Held, scores: Array) -> Array:
    """(n,) average target of (points, n) normal scores."""
    targets = (scaling.to_target(s) for scaling, s in zip(held.own_scalings, scores, strict=True))
    return np.asarray(sum(weight * target for weight, target in zip(held.weights, targets, strict=True)))


def _describe_held(held: Held) -> dict[str, Any]:
    """The part of model.json about contexts."""
    about = {"contexts": held.contexts.to_dict(), "scalings": [scaling.to_dict() for scaling in held.scalings]}
    return about | {name: held.facts()[name] for name in ("chosen", "points", "weights", "warnings")}


def _held_of(about: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Held:
    """The inverse of `_describe_held` and `held_arrays`."""
    contexts = Contexts.from_dict(about["contexts"])
    points = pd.DataFrame(about["points"], columns=[column.name for column in contexts.columns])
    for column in contexts.columns:
        points[column.name] = points[column.name].fillna("") if column.texts else points[column.name].astype(float)
    scalings = tuple(NormalScores.from_dict(raw) for raw in about["scalings"])
    codes, residuals, fold, measured = (arrays[HELD + name] for name in ("codes", "residuals", "fold", "measured"))
    own = residuals.astype(float), fold.astype(np.int64), measured.astype(bool)
    weights, warnings = np.array(about["weights"], float), tuple(about["warnings"])
    return Held(contexts, points, weights, scalings, codes, *own, about["chosen"], warnings)
