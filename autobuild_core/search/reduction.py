"""The reduced space: the product of the best modules of each unit, by one run or by several of different targets.

Source: AutoBuild, section 4. Ours: a share of each unit's modules in place of K, the union over targets, and the predicted
quality of what is kept (`scoring/space_quality.py`).
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from autobuild_core.architectures.lens import Lens
from autobuild_core.architectures.module_table import top_modules, with_values
from autobuild_core.architectures.records import SpaceSpec
from autobuild_core.errors import ConfigError
from autobuild_core.predictor.ensemble import Predictor
from autobuild_core.scoring.population import Population
from autobuild_core.scoring.space_quality import SpaceQuality, space_quality
from autobuild_core.spaces import Space, load_space
from autobuild_core.spaces._listed import reduced_spec


@dataclass(frozen=True)
class Keep:
    """The number of modules of each unit that are kept: so many, or a share of those that have a score.

    A range of numbers counts as one module, and all its values are kept.

    Args:
        top_k: modules of each unit; all where it has fewer.
        share: above 0, up to 1; of every unit rounded down, at least one module.

    Raises:
        ConfigError: both are given, neither is, or it is out of range.
    """

    top_k: int | None = None
    share: float | None = None

    def __post_init__(self) -> None:
        if (self.top_k is None) == (self.share is None):
            got = "neither" if self.top_k is None else "both"
            raise ConfigError(f"reduced space: got {got} of top k and share, expected one of them.")
        if self.top_k is not None and self.top_k < 1:
            raise ConfigError(f"top k: got {self.top_k}, expected at least 1.")
        if self.share is not None and not 0 < self.share <= 1:
            raise ConfigError(f"share: got {self.share:g}, expected above 0 and at most 1.")

    def of(self, num: int) -> int:
        """The number of modules that are kept of so many."""
        if self.top_k is not None:
            return min(self.top_k, num)
        assert self.share is not None
        return max(int(self.share * num + 1e-9), 1)


@dataclass(frozen=True, eq=False)
class Ranking:
    """The modules of a finished run, and the lens that ranks them.

    Args:
        name: of the run, as a reader calls it.
        predictor: its ensemble, which has the target, its direction and what all holds at.
        modules: modules.parquet.
        lens: a column of it.
    """

    name: str
    predictor: Predictor
    modules: pd.DataFrame
    lens: Lens = Lens.GOOD

    @property
    def ranked(self) -> pd.DataFrame:
        """Whole-unit modules that have a score, with `rank` in their unit and `num`, how many of it there are."""
        ranked = top_modules(self.modules, self.lens, self.predictor.minimize)
        return ranked.assign(num=ranked.groupby("unit_index")["rank"].transform("size"))

    def record(self) -> dict[str, Any]:
        """Facts for JSON: {"run", "target", "minimize", "lens"}, and "context" where contexts vary."""
        own, held = self.predictor, self.predictor.held
        where = {} if held is None else {"context": held.words}
        return {"run": self.name, "target": own.target_name, "minimize": own.minimize, "lens": self.lens.value} | where


@dataclass(frozen=True)
class ReducedUnit:
    """A unit of a reduced space.

    Args:
        label: of the unit.
        modules: tokens of each module that it may have, best first; () at the end where it may have no layer.
        kept_by: of each module the runs that keep it, by their places among the runs; of () none, it stays anyway.
        num_modules: of the full space, () among them.
        num_unscored: of these without a score by some run, which it cannot keep.
    """

    label: str
    modules: tuple[tuple[str, ...], ...]
    kept_by: tuple[tuple[int, ...], ...]
    num_modules: int
    num_unscored: int

    def counts(self) -> dict[str, Any]:
        """{"unit", "num_kept", "num_modules", "num_unscored"}."""
        counts = {"num_kept": len(self.modules), "num_modules": self.num_modules, "num_unscored": self.num_unscored}
        return {"unit": self.label} | counts


@dataclass(frozen=True, eq=False)
class Reduction:
    """A reduced space, with the reasons for what it keeps.

    Args:
        space: it itself, a space like any other, whose codes are those of the full one.
        full: the space that it is a part of.
        keep: how many modules each run keeps of each unit.
        rankings: of the runs; a module that any of them keeps is kept.
        units: in the order of the space.
        quality: predicted, of each run; () until it is asked for.
    """

    space: Space
    full: Space
    keep: Keep
    rankings: tuple[Ranking, ...]
    units: tuple[ReducedUnit, ...]
    quality: tuple[SpaceQuality, ...] = ()

    def with_quality(self, seed: int = 0, report: Callable[[float], None] = lambda share: None) -> "Reduction":
        """The same, with the quality that each run predicts, over all of a space that can be enumerated, else over random draws.

        Args:
            seed: of the draws.
            report: hears the share that is done.
        """
        rng, found = np.random.default_rng(seed), []
        populations = [Population.of(one, rng) for one in (self.full, self.space)]
        for number, ranking in enumerate(self.rankings):
            report(number / len(self.rankings))
            found.append(space_quality(ranking.predictor, *populations))
        return replace(self, quality=tuple(found))

    def quality_records(self) -> list[dict[str, Any]]:
        """One object a run: what it ranks by, and `SpaceQuality.record`."""
        return [one.record() | own.record() for one, own in zip(self.rankings[: len(self.quality)], self.quality, strict=True)]

    def record(self) -> dict[str, Any]:
        """The reduced space, ready for JSON; `read_reduced` reads its "spec".

        Returns:
            {"space", "top_k", "share", "size", "full_size", "runs", "units": [{"unit", "num_kept", "num_modules",
            "num_unscored", "modules": [[token, ...], ...], "kept_by": [[place among the runs, ...], ...]}], "quality", "spec"}.
        """
        sizes = {"size": self.space.size, "full_size": self.full.size}
        units = [unit.counts() | {"modules": unit.modules, "kept_by": unit.kept_by} for unit in self.units]
        about = {"runs": [one.record() for one in self.rankings], "units": units, "quality": self.quality_records()}
        kept = {"top_k": self.keep.top_k, "share": self.keep.share}
        return {"space": self.full.spec.name} | kept | sizes | about | {"spec": json.loads(self.space.spec.to_json())}

    def lists(self) -> list[list[Any]]:
        """One list a unit of its modules, each a list of layer tokens, as AutoBuild's published code keeps reduced spaces."""
        return [[self.full.native_module(index, own) for own in unit.modules] for index, unit in enumerate(self.units)]


def reduce_space(rankings: Sequence[Ranking], keep: Keep) -> Reduction:
    """The product of the best modules of each unit; of several runs their union, unit by unit.

    Args:
        rankings: of runs of one search space.
        keep: how many modules of each unit.

    Raises:
        ConfigError: no run is given, their spaces differ, a unit that must have layers has no module with a score, or the rules
            of the space leave nothing of what is kept.
    """
    spec = _common_spec(rankings)
    full, kept = load_space(spec), _kept(rankings, keep, spec)
    token = {name: index for index, name in enumerate(spec.tokens)}
    every = [[tuple(map(token.__getitem__, own)) for own in modules] for modules in kept]
    space = load_space(reduced_spec(spec, every))
    if space.size == 0:
        raise ConfigError("reduced space: got modules that the rules of the space do not let come together, keep more of them.")
    scored = [one.ranked.pipe(with_values, spec)["unit_index"].value_counts() for one in rankings]
    units = []
    for index, (unit, own) in enumerate(zip(space.spec.units, kept, strict=True)):
        modules = tuple(tuple(spec.tokens[code] for code in module) for module in unit.modules)
        num = full.unit_size(spec.units[index])
        unscored = num - (0 in spec.units[index].depths) - min(int(count.get(index, 0)) for count in scored)
        units.append(ReducedUnit(unit.label, modules, tuple(own.get(module, ()) for module in modules), num, unscored))
    return Reduction(space, full, keep, tuple(rankings), tuple(units))


def _common_spec(rankings: Sequence[Ranking]) -> SpaceSpec:
    """The spec that all runs share.

    Raises:
        ConfigError: there is no run, or one is of another space.
    """
    if not rankings:
        raise ConfigError("reduced space: got no run, expected at least one.")
    first = rankings[0].predictor.spec
    for one in rankings[1:]:
        other = one.predictor.spec
        if not other.encodes_as(first) or (other.conditions, other.forbidden) != (first.conditions, first.forbidden):
            got = f"'{one.name}' of {other.title} with other units, layers or rules than '{rankings[0].name}' ({first.title})"
            raise ConfigError(f"reduced space: got the run {got}, expected runs of one search space.")
    return first


def _kept(rankings: Sequence[Ranking], keep: Keep, spec: SpaceSpec) -> list[dict[tuple[str, ...], tuple[int, ...]]]:
    """Of each unit the modules that some run keeps, the best ranks first, with the places of the runs that keep them."""
    parts = []
    for place, one in enumerate(rankings):
        ranked = one.ranked
        parts.append(with_values(ranked[ranked["rank"] <= ranked["num"].map(keep.of)], spec).assign(run=place))
    every = pd.concat(parts, ignore_index=True).sort_values("rank", kind="stable")
    kept: list[dict[tuple[str, ...], tuple[int, ...]]] = [{} for _ in spec.units]
    for index, text, run in every[["unit_index", "layers", "run"]].itertuples(index=False):
        own, module = kept[index], tuple(json.loads(text))
        own[module] = (*own.get(module, ()), run)
    return [{module: tuple(sorted(runs)) for module, runs in own.items()} for own in kept]


def read_reduced(text: str) -> Space:
    """The space in the JSON of `Reduction.record`.

    Raises:
        ConfigError: there is none in it.
    """
    try:
        raw = json.loads(text)
        spec = SpaceSpec.from_json(json.dumps(raw["spec"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"reduced space: got no spec that can be read ({type(error).__name__}), expected one.") from None
    return load_space(spec)
