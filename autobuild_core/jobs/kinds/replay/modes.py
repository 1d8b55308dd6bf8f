"""Modes of a replay: our searchers, and baselines that learn a model from every batch and take its best predictions."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar, final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autobuild_core.architectures.modules import ModuleGroup
from autobuild_core.architectures.records import ABSENT, ArchTable, Codes
from autobuild_core.architectures.structure import one_hot, token_counts
from autobuild_core.search.assembly import PRODUCT_LIMIT
from autobuild_core.search.improvement import look_for_promising
from autobuild_core.search.searchers import History, Searcher, searcher_class
from autobuild_core.spaces import Space, load_space
from autobuild_core.spaces._listed import reduced_spec

Array = NDArray[np.float64]
Worth = Callable[[Codes], Array]
AS_SEARCHED = {
    "default": "bayesian_optimisation",
    "random": "random",
    "local": "local_search",
    "evolution": "regularised_evolution",
}
ONE_BY_ONE = ("random", "local", "evolution", "norms_evolution")  # these hear of every result at once
EVOLUTION = {"population": 20, "sample": 10}  # the best of those tried for 60 and 110 evaluations (docs/replay.md)
STARTS = 16  # best networks whose neighbourhoods a model looks through
TOP_K = 10  # modules of each unit that the published recipe keeps
THREADS = 1


def make_searcher(mode: str, space: Space, seed: int, initial: int) -> Searcher:
    """The searcher of a mode, which begins after `initial` networks."""
    if mode in AS_SEARCHED:
        kind = searcher_class(AS_SEARCHED[mode])
        settings = {"initial": initial} if "initial" in kind.defaults else {}
        return kind(space, seed, EVOLUTION if mode == "evolution" else settings)
    kinds: dict[str, type[Searcher]] = {"gp": Means, "gnn": Network, "norms": Norms, "ridge": Ridge}
    if mode == "norms_evolution":
        return NormsEvolution(space, seed, {"initial": initial})
    return kinds[mode](space, seed)


class Learner(Searcher):
    """Takes the best predictions of a model that is learned anew from all that was evaluated."""

    title = about = "Best predictions"

    @abstractmethod
    def learn(self, codes: Codes, scores: Array) -> Worth:
        """A model of (n, num_positions) evaluated networks and their (n,) scores."""

    @final
    def propose(self, history: History, num: int) -> Codes:
        codes, scores = history.evaluated()
        worth, rng = self.learn(codes, scores), self.rng(history)
        if self.every is None:
            best = codes[np.argsort(-scores, kind="stable")[:STARTS]]
            return look_for_promising(worth, self.space, best, history.known, rng)[:num]
        every, networks = self.every
        left = every[[int(network) not in history.known for network in networks]]
        return left[np.argsort(-worth(left), kind="stable")[:num]]


@final
class Ridge(Learner):
    """Ridge regression of the ranks on one-hot (position, layer) features and counts, the penalty by leave-one-out error."""

    def learn(self, codes: Codes, scores: Array) -> Worth:
        from scipy.stats import rankdata

        from autobuild_core.scorers.ridge import fit_ridge

        slopes, level = fit_ridge(self._features(codes), rankdata(scores) / len(scores))
        return lambda asked: self._features(asked) @ slopes + level

    def _features(self, codes: Codes) -> Array:
        canonical = self.space.canonical(codes)
        return np.concatenate([one_hot(canonical, self.space.spec), token_counts(canonical, self.space.spec)], 1)


@final
class Means(Learner):
    """The Gaussian process's means: the default without its doubt."""

    def learn(self, codes: Codes, scores: Array) -> Worth:
        from autobuild_core.predictor.fitting import fit_posterior

        posterior = fit_posterior(self.space, codes, scores, seed=self.seed)
        return lambda asked: posterior.moments(asked)[0]


@final
class Network(Learner):
    """The graph network of the ensemble, taught as a training teaches it, without the Gaussian process and trees beside it."""

    def learn(self, codes: Codes, scores: Array) -> Worth:
        from autobuild_core.architectures.features import make_codebook
        from autobuild_core.jobs.kinds.train.pipeline import Problem, learn_problem
        from autobuild_core.predictor.forward import GAUSSIAN, Ensemble
        from autobuild_core.predictor.trees import TREES

        spec = self.space.spec
        table = ArchTable(
            spec, codes, self.space.hash_networks(codes), pd.DataFrame(index=range(len(codes))), np.arange(len(codes))
        )
        codebook, given = make_codebook(spec), {"seed": self.seed}
        learned = learn_problem(
            Problem.of(table, scores, False, None), codebook, given, THREADS, lambda record: None, lambda: False
        )
        weights = {name: part for name, part in learned.weights.items() if not name.startswith(TREES)}
        weights[GAUSSIAN + "share"] = np.array(0, np.float32)
        alone = Ensemble(weights, codebook, learned.settings.model.num_hops, THREADS)
        return lambda asked: alone.predict(self.space.canonical(asked)).scores.mean(0).astype(float)


@final
class Norms(Searcher):
    """The published recipe, trained on every batch: combinations of each unit's best modules by the sum of their scores.

    Source: Mills et al., CVPR 2024, section 4; what was evaluated already is left out.
    """

    title = about = "As published"

    def propose(self, history: History, num: int) -> Codes:
        from autobuild_core.predictor import published

        groups, scores = _module_norms(self.space, *history.evaluated(), self.seed)
        top_k = _top_k(self.space)
        products = published.build(self.space.spec, groups, scores, top_k, top_k ** len(self.space.spec.units))
        found = self.new(products, history)[:num]
        return found if len(found) else self.draw_new(history, num, self.rng(history))


@final
class NormsEvolution(Searcher):
    """The published recipe, trained once on the first networks, and an evolution over the best modules of each unit.

    Source: Mills et al., CVPR 2024, section 5: the reduced space is handed to an evolutionary search.
    """

    title = about = "As published, with an evolution"
    defaults: ClassVar[Mapping[str, int]] = {"initial": 20}

    def propose(self, history: History, num: int) -> Codes:
        first, own = self.settings["initial"], History()
        for codes, network, score in zip(history.codes[first:], history.networks[first:], history.scores[first:], strict=True):
            own.visit(codes, network, score)
        return self._evolution(history).propose(own, num)

    def _evolution(self, history: History) -> Searcher:
        """The evolution over the reduced space, which follows from the first networks."""
        from autobuild_core.predictor import published

        if self._made is None:
            first = self.settings["initial"]
            codes, scores = np.stack(history.codes[:first]), np.array(history.scores[:first])
            known = np.isfinite(scores)
            norms = _module_norms(self.space, codes[known], scores[known], self.seed)
            best = published.best_modules(self.space.spec, *norms, _top_k(self.space))
            kept = [[tuple(row[row != ABSENT].tolist()) for _, row in modules] for modules in best]
            reduced = load_space(reduced_spec(self.space.spec, kept))
            self._made = searcher_class("regularised_evolution")(reduced, self.seed, EVOLUTION)
        return self._made

    _made: Searcher | None = None


def _module_norms(space: Space, codes: Codes, scores: Array, seed: int) -> tuple[list[ModuleGroup], list[Array]]:
    """(whole-unit modules, their scores by the published recipe trained on (n, num_positions) networks)."""
    from autobuild_core.predictor import published
    from autobuild_core.scorers import unit_groups

    model, groups = published.train(space.spec, codes, scores, seed), unit_groups(space, codes)
    return groups, [model.score(group) for group in groups]


def _top_k(space: Space) -> int:
    """Modules of each unit whose product can be made: TOP_K, or as many as that needs."""
    return max(min(TOP_K, int(PRODUCT_LIMIT ** (1 / len(space.spec.units)) + 1e-9)), 1)
