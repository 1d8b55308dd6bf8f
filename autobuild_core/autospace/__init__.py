"""AutoSpace: the search space itself is evolved. Cells compete in a supernet, layer by layer; the fittest are the learned space.

Source: Zhou et al., "AutoSpace: Neural Architecture Search with Less Human Interference", ICCV 2021, arXiv 2103.11833. Its
code was never published: what is known stands in docs/method.md, section 9, and what is ours in docs/autospace.md.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from autobuild_core.autospace.history import LEARNED, EvolutionFolder
from autobuild_core.autospace.plan import EvolutionPlan, made
from autobuild_core.errors import ConfigError, DataError
from autobuild_core.spaces._learned import CellLists
from autobuild_core.store.tables import alone

__all__ = ["LEARNED", "EvolutionFolder", "EvolutionPlan", "evolve", "make_plan", "plan_in", "read_learned", "summary"]


def make_plan(settings: Mapping[str, Any]) -> EvolutionPlan:
    """A plan from settings by name.

    Raises:
        ConfigError: one is unknown or does not do.
    """
    return made(EvolutionPlan, settings, "evolution")


def plan_in(folder: Path | str, settings: Mapping[str, Any]) -> EvolutionPlan:
    """The plan that is asked for in a folder: of these settings, or without any that of the evolution that is there.

    Args:
        folder: of an evolution; it may be none yet.
        settings: by name.

    Raises:
        ConfigError: one is unknown or does not do.
    """
    lines = [] if settings else EvolutionFolder(folder).lines()
    return make_plan(lines[0]["plan"] if lines else settings)


def evolve(
    plan: EvolutionPlan,
    folder: Path | str,
    report: Callable[[Mapping[str, object]], None] = lambda record: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Evolves a space; one whose folder is there already goes on from its last whole generation.

    Args:
        plan: the settings.
        folder: of its generations (`history.EvolutionFolder`).
        report: hears how far it is after every generation.
        should_stop: asked at every step.

    Returns:
        The `summary` of what was evolved.

    Raises:
        ConfigError: a setting does not do, the folder holds another evolution, or another process is at work in it.
        Cancelled: should_stop said so; what was finished is kept.
        Diverged: the supernet's loss is no finite number.
    """
    from autobuild_core.autospace.evolution import Evolution

    place = EvolutionFolder(folder)
    with alone(place.path):
        if not place.has_ended(plan):
            Evolution(plan, place, report, should_stop).run()
    return summary(place)


def read_learned(folder: EvolutionFolder) -> CellLists:
    """The learned space of an evolution that came to its end.

    Raises:
        ConfigError: it did not, or its file cannot be read.
    """
    path = folder.path / LEARNED
    try:
        return CellLists.read(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, DataError) as error:
        raise ConfigError(f"{path}: got no learned space ({error}), expected an evolution that has ended.") from error


def summary(folder: EvolutionFolder) -> dict[str, Any]:
    """The outcome of an evolution so far, ready for JSON: generations, num_cells (tried), seconds, loss, madds_m, learned."""
    lines = folder.lines()
    if not lines:
        return {"generations": 0, "num_cells": 0, "seconds": 0.0}
    num_cells = sum(len(layer["entered"]) for line in lines for layer in line["layers"])
    found = {"generations": lines[-1]["generation"], "num_cells": num_cells}
    found |= {name: lines[-1].get(name) for name in ("loss", "madds_m")}
    found["seconds"] = round(sum(line.get("seconds", 0.0) for line in lines), 1)
    path = folder.path / LEARNED
    return found | ({"learned": str(path)} if path.exists() else {})
