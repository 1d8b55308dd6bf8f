"""The arms that choose networks from the same labels: ours, AutoBuild's own recipe, and evolution that goes on from them."""

import copy
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from autobuild_core import api
from autobuild_core.architectures.records import Codes
from autobuild_core.benchmark.paper.labels import Labels, natives
from autobuild_core.benchmark.paper.ledger import Ledger
from autobuild_core.benchmark.truth import PRODUCT_K
from autobuild_core.search.searchers import History, searcher_class

OURS, PUBLISHED, EVOLUTION, EVALUATED = "ours", "published", "evolution", "evaluated"
NAMES = {
    OURS: "AutoBuild (ours)",
    PUBLISHED: "AutoBuild (as published)",
    EVOLUTION: "evolution continued",
    EVALUATED: "the evaluated set's best",
}
NUM_BUILT = 10
SAMPLE_SHARE = 4  # a parent is the best of a quarter of the population, as the searcher's defaults and the paper have it
EVOLUTION_SEED = 0


@contextmanager
def trained(labels: Labels, ledger: Ledger, seed: int = 0) -> Iterator[api.Run]:
    """A run of ours on labels, gone afterwards: its folder holds far more than what is kept of it."""
    own, aim = ledger.settings, labels.aim
    place = tempfile.mkdtemp(prefix="autobuild-paper-")
    sizes: dict[str, Any] = {"num_members": own.members, "num_steps": own.steps, "threads": own.threads}
    sizes |= {"report": ledger.report, "should_stop": ledger.should_stop}
    try:
        yield api.train(labels.table, aim.expression, Path(place) / "run", aim.minimize, seed, **sizes)
    finally:
        shutil.rmtree(place)


def ours(labels: Labels, ledger: Ledger) -> list[Any]:
    """Ten networks as a user of ours gets them: a training with its defaults, and `build`."""
    with trained(labels, ledger) as run:
        return list(run.build(NUM_BUILT)["arch"])


def as_published(labels: Labels, ledger: Ledger) -> list[Any]:
    """Ten networks by the published recipe: the largest sums of scores in the product of each unit's top K modules.

    Ours: networks that were evaluated already are left out, as they are in the other arms.
    """
    from autobuild_core.predictor import published
    from autobuild_core.scorers import unit_groups

    epochs = {} if ledger.settings.epochs is None else {"epochs": ledger.settings.epochs}
    spec, space = labels.table.spec, labels.space
    model = published.train(spec, labels.rows.codes, labels.gains, **epochs)
    groups = unit_groups(space)
    everything = PRODUCT_K ** len(spec.units)
    codes = published.build(spec, groups, [model.score(group) for group in groups], PRODUCT_K, everything)
    networks = space.hash_networks(codes)
    first = np.sort(np.unique(networks, return_index=True)[1])
    new = first[~np.isin(networks[first], labels.rows.networks)]
    return natives(space, codes[new[:NUM_BUILT]])


class Evolution:
    """Regularised evolution whose population is the evaluated set, and that goes on one network at a time.

    Args:
        labels: the evaluated set.
    """

    def __init__(self, labels: Labels) -> None:
        self.space, num = labels.space, len(labels.rows)
        settings = {"population": num, "sample": max(num // SAMPLE_SHARE, 1)}
        self.searcher = searcher_class("regularised_evolution")(self.space, EVOLUTION_SEED, settings)
        self.history = History()
        for row, gain in zip(labels.rows.codes, labels.gains.tolist(), strict=True):
            self.visit([row], gain)

    def propose(self) -> list[Any]:
        """The next visits in native encodings: networks that are known, which cost nothing, and one that is new; [] = no more."""
        trial, found = copy.deepcopy(self.history), list[Codes]()
        while True:
            proposed = self.searcher.propose(trial, 1)
            if not len(proposed):
                return []
            found.append(proposed[0])
            network = self._network(proposed[0])
            if network not in trial.known:
                return natives(self.space, np.stack(found))
            trial.visit(proposed[0], network, float("nan"))

    def told(self, archs: list[Any], gain: float) -> None:
        """Goes on from proposed visits, of which the last is new and was measured."""
        self.visit([np.array(self.space.parse(arch), np.int16) for arch in archs], gain)

    def visit(self, codes: list[Codes], gain: float) -> None:
        """Adds visits; the score counts for those that are new."""
        for row in codes:
            self.history.visit(row, self._network(row), gain)

    def _network(self, row: Codes) -> int:
        """The hash of the network of an encoding."""
        return int(self.space.hash_networks(row[None])[0])
