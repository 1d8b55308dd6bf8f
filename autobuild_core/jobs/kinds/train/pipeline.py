"""One training from a table to the tables that pages read; the worker and the command line both call it."""

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import kendalltau, spearmanr

from autobuild_core.architectures.features import Codebook, make_codebook
from autobuild_core.architectures.graphs import hops_that_differ, make_graphs
from autobuild_core.architectures.records import ArchTable, Codes, noise_shares
from autobuild_core.architectures.structure import structure_features, structure_scale
from autobuild_core.errors import Cancelled, ConfigError, RunError, StudioError
from autobuild_core.jobs.kinds.train.metrics import write_metrics
from autobuild_core.predictor import gaussian_process, stopped, target_scale, tree_growing
from autobuild_core.predictor.contexts import Contexts, Held, Mixed
from autobuild_core.predictor.distillation import distil
from autobuild_core.predictor.ensemble import Calibration, Predictor, as_held, member_spread
from autobuild_core.predictor.forward import GAUSSIAN, RANDOM, Ensemble, GaussianProcess
from autobuild_core.predictor.learning_curve import learn_enough
from autobuild_core.predictor.trees import TREES, Trees
from autobuild_core.scorers import default_groups, further_units, score_modules
from autobuild_core.scorers.autobuild import AutoBuildScorer
from autobuild_core.scoring.intervals import jackknife_half_width
from autobuild_core.scoring.overlap import mark_confounded
from autobuild_core.scoring.space_map import write_map
from autobuild_core.spaces import load_space
from autobuild_core.store import tables
from autobuild_core.store.quality import Progress, Quality, Report, Stopped, TaskLine
from autobuild_core.store.run_folder import RunConfig, RunFolder
from autobuild_core.store.states import RunState
from autobuild_core.targets.scaling import NormalScores
from autobuild_core.trust.permutation import layer_spread
from autobuild_core.trust.report import PROBES, Trained, write_report

SPREAD_DRAWS = 2048
MOST_REFERENCE = 2000  # evaluated rows kept with the model, where contexts vary: its scale in another context
MOST_TASKS = 8  # with a table of modules of their own
ROWS_AT_ONCE = 16_384
THREADS = "AUTOBUILD_THREADS"  # environment variable: most threads of a worker
PERMUTED_MEMBERS, PERMUTED_SHARE = 3, 0.12


def train_new(folder: RunFolder, config: RunConfig, table: ArchTable, report: Report, should_stop: Callable[[], bool]) -> None:
    """Makes the folder of a run outside of a workspace and trains it; a run that cannot be trained leaves none.

    Args:
        folder: of the run, not there yet or empty.
        config: its settings.
        table: the data.
        report: hears every progress record.
        should_stop: asked at every step.

    Raises:
        ConfigError: the folder cannot be made.
        StudioError: the data or settings do not do.
        Cancelled: should_stop said so; the folder says that it was cancelled.
    """
    try:
        folder.create(config, table)
    except OSError as error:
        raise ConfigError(f"{folder.path}: got {error.strerror}, expected a place where a run folder can be made.") from error
    folder.set_state(RunState.RUNNING)

    def record(progress: Progress) -> None:
        folder.append_progress(progress)
        report(progress)

    try:
        train_run(folder, record, should_stop)
    except StudioError:
        shutil.rmtree(folder.path)  # nothing was learned, and the place is free for the next try
        raise
    except (KeyboardInterrupt, Cancelled):
        folder.set_state(RunState.CANCELLED)
        raise
    except Exception as error:
        folder.set_state(RunState.FAILED, f"{type(error).__name__}: {error}")
        raise
    folder.set_state(RunState.FINISHED)


def train_run(folder: RunFolder, report: Report, should_stop: Callable[[], bool]) -> Quality:
    """Trains, judges and scores what a run folder's settings ask for; writes every file that pages read.

    Args:
        folder: a created run folder.
        report: hears every progress record.
        should_stop: asked at every step.

    Returns:
        quality.json.

    Raises:
        StudioError: the data or settings do not do.
        Cancelled: should_stop said so; what was finished is in the folder.
    """
    from autobuild_core.predictor import loss  # here torch is loaded, and in learn_problem

    start = time.monotonic()
    config, table = folder.config, folder.measurements()
    target = config.goal
    target.check(list(table.metrics.columns))
    values = target.values(table.metrics)
    was_stopped = np.isfinite(table.censored) & ~np.isfinite(values)
    kept = np.flatnonzero(np.isfinite(values) | (was_stopped & (not config.drop_stopped)))
    target.check_varies(values[np.isfinite(values)])
    rows, values, evidence = table.take(kept), values[kept], table.take(np.isfinite(values))
    threads = min(config.threads, int(os.environ.get(THREADS, config.threads)))  # the queue's limit holds
    given = {"members": config.num_members, "steps": config.num_steps, "seed": config.seed}
    space, codebook = load_space(table.spec), make_codebook(table.spec)
    everything = Problem.of(rows, values, config.minimize, Contexts.of(evidence))

    def learn(chosen: NDArray[np.intp]) -> Learned:
        return learn_problem(everything.take(chosen), codebook, given, threads, report, should_stop)

    def test(learned: Learned, judged: NDArray[np.intp]) -> float:
        judged = judged[everything.measured[judged]]
        codes, asked = space.canonical(rows.codes[judged]), everything.take(judged)
        predicted = learned.ensemble.predict(codes, asked.own).scores.mean(0)
        return float(spearmanr(predicted, stopped.scored(asked.values, asked.task, learned.problem.scalings)).statistic)

    chosen, learned, curve = learn_enough(rows.networks, learn, test, np.random.default_rng(config.seed))
    kept, problem, settings, ensemble = kept[chosen], learned.problem, learned.settings, learned.ensemble
    codes = space.canonical(problem.rows.codes)
    held = held_out(ensemble, codes, learned.fold, problem.own)
    if not np.isfinite(held["score"]).all():
        raise RunError("training: got predictions that are no numbers, expected finite ones; choose another seed or fewer steps.")
    lines = np.flatnonzero(problem.measured)
    rows, values, fold, kept = problem.rows.take(lines), problem.values[lines], learned.fold[lines], kept[lines]
    error = float(np.sqrt(np.mean((held["score"] - problem.scores)[lines] ** 2)))
    judges, predictor, order = _predictors(learned, held, error, config, codes)
    judged = {name: part[..., lines] for name, part in held.items()}
    _write_model(folder, predictor, learned.weights | predictor.held_arrays())
    predictions = _held_out_frame(judges, problem.task[lines], judged, values, rows, kept)
    folder.write_frame("predictions.parquet", predictions)
    quality = judge(judges[0], judged, values)
    if problem.contexts is not None:
        quality = _judge_apart(predictor, judged | {"score": order[0][lines]}, order[1][lines], predictions)
        held["score"], values = order[0], order[1][lines]  # from here on everything holds where the predictor does
    quality["zero_gradient_share"] = [loss.zero_gradient_share(norms) for norms in judged["norms"]]
    scorer = AutoBuildScorer(predictor, table=evidence)
    modules = _score(folder, scorer, evidence, config.max_length, report, should_stop, start)
    quality |= _score_tasks(folder, predictor, evidence, config.max_length, report, should_stop, start)
    folder.write_frame("features.parquet", feature_effects(predictor, scorer, evidence))
    sizes: Quality = {"num_train": len(problem.rows), "num_networks": len(np.unique(problem.rows.networks))}
    sizes |= {"ensemble_size": settings.members}
    sizes |= {
        "num_without_target": len(table) - int(evidence.repeats.sum()) - int(was_stopped.sum()),
        "num_evidence": len(evidence),
    }
    if num_repeated := int((evidence.repeats > 1).sum()):
        sizes["num_repeated"] = num_repeated
    quality["calibration"] = [{"num_modules": n, "error": e, "spread": s} for n, e, s in scorer.calibration_errors]
    quality["space_mean"], quality["good_threshold"] = scorer.space_mean, scorer.good_threshold
    quality["learning_curve"] = curve
    quality |= sizes | _about_stopped(learned, predictor, codes, int(was_stopped.sum()))
    report({"phase": "checking", "share": 0.0, "seconds": time.monotonic() - start, "seconds_left": None})
    write_map(folder, predictor, table)
    trained = Trained(predictor, scorer, rows, values, held["score"][lines], fold, predictions, modules)
    refit = _refit(codes[lines], rows.networks, predictor, settings, should_stop, problem.beside(lines))
    quality |= write_report(folder, trained, refit, quality)
    write_metrics(folder, threads, report, should_stop, start)
    quality["seconds"] = time.monotonic() - start
    folder.write_json("quality.json", quality)
    return quality


@dataclass(frozen=True, eq=False)
class Problem:
    """Data that a training learns from.

    Args:
        rows: evaluated architectures, stopped trials among them.
        values: (n,) their targets, NaN of stopped trials.
        contexts: what varies beside the architecture; None where nothing does.
        points: context points that averages are over, with their weights.
        task: (n,) number of each row's task.
        scalings: one a task, within which the target is ranked by itself.
        scores: (n,) normal scores; of stopped trials a first guess.
        bounds: (n,) normal score below which a stopped trial is; NaN of the others.
        own: (n, dim) coordinates of each row's context, where there are contexts.
    """

    rows: ArchTable
    values: NDArray[np.float64]
    contexts: Contexts | None
    points: tuple[pd.DataFrame, NDArray[np.float64]] | None
    task: NDArray[np.int64]
    scalings: tuple[NormalScores, ...]
    scores: NDArray[np.float64]
    bounds: NDArray[np.float64]
    own: NDArray[np.float32] | None

    @classmethod
    def of(
        cls, rows: ArchTable, values: NDArray[np.float64], minimize: bool, contexts: Contexts | None, ranked: float = 1.0
    ) -> "Problem":
        """The rows with (n,) targets, on a scale with so large a share of their ranks."""
        sign, measured = -1 if minimize else 1, np.isfinite(values)
        task = np.zeros(len(rows), np.int64) if contexts is None else contexts.task_of(rows.contexts)
        scalings, scores, bounds = [], np.zeros(len(rows)), np.full(len(rows), np.nan)
        for number in range(1 if contexts is None else len(contexts.names)):
            done, cut = (task == number) & measured, (task == number) & ~measured
            share = rows.censored[cut].clip(0, 1)
            worse_than = sign * np.quantile(sign * values[done], share) if len(share) else np.zeros(0)
            scalings.append(NormalScores.fit(values[done], minimize, worse_than, ranked))
            scores[done], bounds[cut] = scalings[-1].to_scores(values[done]), scalings[-1].to_scores(worse_than)
        scores[~measured] = gaussian_process.below(0.0, 1.0, bounds[~measured])
        if contexts is None:
            return cls(rows, values, None, None, task, tuple(scalings), scores, bounds, None)
        complete = rows.take(measured)
        points = contexts.points(complete.contexts, complete.networks)
        own = contexts.encode(rows.contexts)
        return cls(rows, values, contexts, points, task, tuple(scalings), scores, bounds, own)

    def take(self, index: NDArray[np.intp]) -> "Problem":
        """Some of the rows, ranked among themselves unless they are all, at the same context points."""
        if len(index) == len(self.rows):
            return self
        minimize = self.scalings[0].sign < 0
        return replace(Problem.of(self.rows.take(index), self.values[index], minimize, self.contexts), points=self.points)

    def scaled(self, ranked: float) -> "Problem":
        """The same rows on a scale with so large a share of ranks."""
        minimize = self.scalings[0].sign < 0
        return replace(Problem.of(self.rows, self.values, minimize, self.contexts, ranked), points=self.points)

    @property
    def measured(self) -> NDArray[np.bool_]:
        """(n,) false of a stopped trial."""
        return np.isfinite(self.values)

    def beside(self, lines: NDArray[np.intp]) -> "Beside":
        """Known facts about some rows beside architecture and score."""
        bounds, repeats = self.bounds[lines], self.rows.repeats[lines]
        limits = bounds if np.isfinite(bounds).any() else None
        if self.contexts is None or self.own is None or self.points is None:
            return Beside(bounds=limits, repeats=repeats)
        points = self.contexts.encode(self.points[0])
        return Beside(self.own[lines], tuple(self.contexts.groups), points, self.points[1], limits, repeats)


@dataclass(frozen=True, eq=False)
class Beside:
    """Known facts about rows beside architecture and score.

    Args:
        own: (n, dim) coordinates of each row's context; None without contexts.
        groups: (dim,) which context each coordinate is of.
        points: (points, dim) contexts that averages are over.
        shares: (points,) their weights.
        bounds: (n,) normal score below which a stopped trial is, NaN of the others; None where none was stopped.
        repeats: (n,) seeds that each label is the mean of; None = one.
    """

    own: NDArray[np.float32] | None = None
    groups: tuple[int, ...] = ()
    points: NDArray[np.float32] | None = None
    shares: NDArray[np.float64] | None = None
    bounds: NDArray[np.float64] | None = None
    repeats: NDArray[np.int64] | None = None

    @property
    def noise(self) -> NDArray[np.float64] | None:
        """(n,) noise variance of each label as a share of their mean; None where all are equal."""
        return None if self.repeats is None else noise_shares(self.repeats)


@dataclass(frozen=True, eq=False)
class Learned:
    """Result of a training: settings, problem, fold of every row, the ensemble as weights and ready to predict.

    Where trials were stopped, `without` holds the scales of the tasks without each fold.
    """

    settings: Any
    problem: Problem
    fold: NDArray[np.int64]
    weights: dict[str, NDArray[np.float32]]
    ensemble: Ensemble
    without: list[tuple[NormalScores, ...]] | None


def learn_problem(
    problem: Problem,
    codebook: Codebook,
    given: dict[str, Any],
    threads: int,
    report: Report,
    should_stop: Callable[[], bool],
) -> Learned:
    """One training; `given` settings are not chosen by the data's size."""
    from autobuild_core.predictor import training

    rows = problem.rows
    settings = training.TrainConfig.for_size(len(np.unique(rows.networks)), **given)
    num_hops = hops_that_differ(rows.spec, settings.model.num_hops)
    settings = replace(settings, model=replace(settings.model, num_hops=num_hops))
    fold = training.split_folds(rows.networks, settings.members, np.random.default_rng(settings.seed))
    codes, without = load_space(rows.spec).canonical(rows.codes), None
    random = _random_ensemble(codes, codebook, settings, threads)[0]
    if problem.measured.all():
        problem = problem.scaled(_ranked_share(problem, random, codes, settings.seed))
    else:
        problem, without = _rescaled(problem, random, codes, fold, settings.seed)
    beside = problem.beside(np.arange(len(rows)))
    weights = _ensemble(codes, problem.scores, fold, codebook, settings, threads, report, should_stop, beside)
    ensemble = Ensemble(weights, codebook, settings.model.num_hops, threads)
    return Learned(settings, problem, fold, weights, ensemble, without)


def _ranked_share(problem: Problem, random: Ensemble, codes: Codes, seed: int) -> float:
    """The share of ranks in the scale that suits the targets of all rows."""
    groups = () if problem.contexts is None else tuple(problem.contexts.groups)
    columns, relevances = gaussian_process.standard_columns(random, codes, problem.own, groups)[:2]
    rows = [np.flatnonzero(problem.task == number) for number in range(len(problem.scalings))]
    targets = [problem.scalings[0].sign * problem.values[inside] for inside in rows]
    noise = noise_shares(problem.rows.repeats)
    return target_scale.ranked_share(columns, relevances, targets, rows, np.ones(len(codes)) if noise is None else noise, seed)


def _rescaled(
    problem: Problem, random: Ensemble, codes: Codes, fold: NDArray[np.int64], seed: int
) -> tuple[Problem, list[tuple[NormalScores, ...]]]:
    """(the problem on scales that know its stopped trials, the scales without each fold)."""
    groups = () if problem.contexts is None else tuple(problem.contexts.groups)
    columns, relevances = gaussian_process.standard_columns(random, codes, problem.own, groups)[:2]
    sign, task = problem.scalings[0].sign, problem.task
    limits = np.full(len(codes), np.nan)
    for number, scaling in enumerate(problem.scalings):
        own = (task == number) & ~problem.measured
        limits[own] = np.interp(problem.bounds[own], scaling.scores, scaling.values)
    study = stopped.Study(columns, relevances, task, problem.values, limits, sign)
    scalings, without = stopped.scales(study, problem.scalings, problem.scores, fold, seed)
    bounds = study.bounds(scalings)
    scores = np.where(problem.measured, stopped.scored(problem.values, task, scalings), gaussian_process.below(0.0, 1.0, bounds))
    return replace(problem, scalings=scalings, scores=scores, bounds=bounds), without


def _ensemble(
    codes: Codes,
    scores: NDArray[np.float64],
    fold: NDArray[np.int64],
    codebook: Codebook,
    settings: Any,
    threads: int,
    report: Report,
    should_stop: Callable[[], bool],
    beside: Beside = Beside(),
) -> dict[str, NDArray[np.float32]]:
    """The weights of an ensemble for (n, num_positions) canonical codes: Gaussian process, and GNN that learns from it too.

    Norms never see a context: they are to order the rows as they would be at the context points, as far from the Gaussian
    process's prediction there as they are from it in their own context.
    """
    from autobuild_core.predictor import model, training

    space, num_hops, own = load_space(codebook.spec), settings.model.num_hops, beside.own
    random, scale = _random_ensemble(codes, codebook, settings, threads)
    where = own, beside.groups, beside.bounds, beside.noise
    solved, learned_scores = gaussian_process.fit_with_stopped(
        random, codes, scores, fold, settings.members, settings.seed, *where
    )
    half, order, points = GaussianProcess(random, solved), None, None if beside.points is None else beside.points[:, None]

    def predict(asked: Codes) -> NDArray[np.float64]:
        return half.scores(asked, points, beside.shares)

    if own is not None:
        order = learned_scores + predict(codes) - half.scores(codes, own[None])
    distilled = None
    if settings.distilled_batch:
        distilled = distil(space, predict, num_hops, np.random.default_rng(settings.seed))
    learned = codes if distilled is None else np.concatenate([codes, distilled.codes])
    structure = (structure_features(learned, codebook.spec) - scale[0]) / scale[1]
    if own is not None:  # what is distilled is on norms, which see none of it
        contexts = np.concatenate([own, np.zeros((len(learned) - len(codes), own.shape[1]))])
        structure = np.concatenate([structure, contexts], 1)
    data = model.Encoded.of(make_graphs(learned, codebook.spec), codebook, structure)
    trained = training.train_ensemble(
        data, learned_scores, fold, codebook, settings, report, should_stop, distilled, order, beside.repeats
    )
    weights = {name: tensor.numpy() for name, tensor in trained.state_dict().items()} | {"structure_scale": scale}
    both = weights | solved | {RANDOM + name: w for name, w in random.weights.items()}
    measured = np.ones(len(codes), bool) if beside.bounds is None else np.isnan(beside.bounds)
    alone, without = (
        held_out(Ensemble(both | {GAUSSIAN + "share": np.array(s, np.float32)}, codebook, num_hops, threads), codes, fold, own)[
            "score"
        ]
        for s in (1, 0)
    )
    share = gaussian_process.gaussian_share(alone[measured], without[measured], scores[measured])
    both |= {GAUSSIAN + "share": np.array(share, np.float32)}
    if own is not None or not measured.all() or len(np.unique(codes, axis=0)) > tree_growing.MOST_NETWORKS:
        return both
    return both | _trees(codes, scores, fold, Ensemble(both, codebook, num_hops, threads), beside.repeats)


def _trees(
    codes: Codes, scores: NDArray[np.float64], fold: NDArray[np.int64], others: Ensemble, repeats: NDArray[np.int64] | None
) -> dict[str, NDArray[np.float32]]:
    """The weights of the trees beside the other two parts of the ensemble; {} where held-out networks are better without."""
    columns = others.told(codes, others.structure(codes))
    counts = np.ones(len(codes)) if repeats is None else repeats.astype(float)
    grown = tree_growing.grow_trees(columns, scores, fold, others.members, counts)
    own = Trees(grown).predict(columns)[fold, np.arange(len(codes))].astype(float)
    share = tree_growing.tree_share(own, held_out(others, codes, fold)["score"], scores)
    return grown | {TREES + "share": np.array(share, np.float32)} if share > 0 else {}


def _random_ensemble(codes: Codes, codebook: Codebook, settings: Any, threads: int) -> tuple[Ensemble, NDArray[np.float32]]:
    """One random member, whose graph embeddings the Gaussian process compares, and the scale of the structure features."""
    from autobuild_core.predictor import model

    scale = structure_scale(codes, codebook.spec)
    hops = settings.model.num_hops if len(np.unique(codes, axis=0)) <= gaussian_process.MAX_HOPS_NETWORKS else 0
    sizes = model.ModelConfig(num_hops=hops, width=gaussian_process.RANDOM_WIDTH)
    drawn = model.GraphEnsemble(codebook, 1, sizes, scale.shape[1], settings.seed + 1)
    own = {name: tensor.numpy() for name, tensor in drawn.state_dict().items()} | {"structure_scale": scale}
    return Ensemble(own, codebook, hops, threads), scale


def _predictors(
    learned: Learned, held: dict[str, NDArray[np.float64]], error: float, config: RunConfig, codes: Codes
) -> tuple[list[Predictor], Predictor, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Predictors of each task's rows in their own contexts, the run's predictor, and the rows where that holds.

    The rows are their held-out normal scores there and their targets as they would be there, each (n,); where no context varies
    all three are one and the same.
    """
    ensemble, problem, fold = learned.ensemble, learned.problem, learned.fold
    spec, aim = problem.rows.spec, (config.target, config.minimize)
    contexts, measured = problem.contexts, problem.measured
    if contexts is None or problem.points is None:
        calibration = Calibration(error, member_spread(ensemble, spec, config.seed))
        if learned.without is None:
            values = problem.values
            ranked = problem.scalings[0].ranked
            own = tuple(
                NormalScores.fit(values[fold != m], config.minimize, ranked=ranked) for m in range(learned.settings.members)
            )
        else:
            own = tuple(scalings[0] for scalings in learned.without)
        predictor = Predictor(ensemble, spec, problem.scalings[0], calibration, *aim, own)
        return [predictor], predictor, (held["score"], problem.values)
    calibration = Calibration(error, float(np.sqrt(np.mean(held["spread"] ** 2))))
    judges = [Predictor(ensemble, spec, scaling, calibration, *aim) for scaling in problem.scalings]
    scores = np.where(measured, problem.scores, gaussian_process.below(held["score"], error, problem.bounds))
    residuals = scores - held["score"]
    lines = np.sort(np.random.default_rng(config.seed).permutation(len(codes))[:MOST_REFERENCE])
    points, residual = problem.points, residuals[lines]
    at = Held(contexts, *points, problem.scalings, codes[lines], residual, fold[lines], measured[lines], {})
    predictor = Predictor.held_at(ensemble, spec, at, *aim)
    at_points, adjusted = as_held(ensemble, at, codes, fold, residuals)
    return judges, predictor, (Mixed(at.weights, at.own_scalings, predictor.scaling)(at_points), adjusted)


def held_out(
    ensemble: Ensemble, codes: NDArray[np.int16], fold: NDArray[np.int64], own: NDArray[np.float32] | None = None
) -> dict[str, NDArray[np.float64]]:
    """{"score": (n,), "norms": (hops + 1, n), "spread": (n,)} of every row by the member that did not see its network.

    Norms of different members have different scales: each member's are standardised over all rows. `own` is (n, dim), each row's
    context, where there are contexts.
    """
    outputs = ensemble.predict(codes, own)
    norms = outputs.graph_norms.astype(float)
    norms = (norms - norms.mean(2, keepdims=True)) / np.maximum(norms.std(2, keepdims=True), 1e-12)
    row = np.arange(len(codes))
    spread = outputs.scores.std(0).astype(float)
    return {"score": outputs.scores[fold, row].astype(float), "norms": norms[fold, :, row].T, "spread": spread}


def judge(predictor: Predictor, held: dict[str, NDArray[np.float64]], values: NDArray[np.float64]) -> Quality:
    """Held-out quality: srcc, kendall, mae (target units), srcc per hop, coverage of the 90 % intervals.

    Correlations are with the target in its own direction, so they are positive for a good predictor of a minimised target too.
    """
    oriented = predictor.scaling.sign * values
    predicted = predictor.expected(held["score"])
    low, high = predictor.interval(held["score"], held["spread"])
    return {
        "srcc": float(spearmanr(held["score"], oriented).statistic),
        "kendall": float(kendalltau(held["score"], oriented).statistic),
        "mae": float(np.abs(predicted - values).mean()),
        "hop_srcc": [float(spearmanr(norms, oriented).statistic) for norms in held["norms"]],
        "coverage": float(np.mean((low <= values) & (values <= high))),
    }


def _about_stopped(learned: Learned, predictor: Predictor, codes: Codes, num: int) -> Quality:
    """Facts on stopped trials in quality.json: how many, and what leaving them out changes; {} without any.

    Without them the Gaussian process is found anew, alone; compared are the mean predictions of random architectures with each
    layer.

    Returns:
        {"num_censored", "stopped": {"dropped", "correlation" and "slope" of the layers' effects without them by those with them,
        "best_changed" (positions whose best layer is another), "num_positions"}}.
    """
    if not num:
        return {}
    problem, spec = learned.problem, predictor.spec
    if problem.measured.all():
        return {"num_censored": num, "stopped": {"dropped": True}}
    lines = np.flatnonzero(problem.measured)
    left = problem.take(lines)
    random, _ = _random_ensemble(codes[lines], predictor.ensemble.codebook, learned.settings, predictor.ensemble.threads)
    beside, nobody = left.beside(np.arange(len(lines))), np.full(len(lines), -1)
    where = beside.own, beside.groups
    solved = gaussian_process.fit_gaussian_process(random, codes[lines], left.scores, nobody, 1, learned.settings.seed, *where)
    probes = predictor.space.sample(PROBES, np.random.default_rng(1))
    half, canonical = GaussianProcess(random, solved), predictor.space.canonical(probes)
    if beside.points is None or beside.shares is None or predictor.held is None:
        alone = left.scalings[0].to_target(half.scores(canonical)[0])
    else:
        at_points = [half.scores(canonical, point[None, None])[0] for point in beside.points]
        alone = Mixed(beside.shares, predictor.held.own_scalings, predictor.scaling).targets(np.stack(at_points))
    effects = []
    for targets in (predictor.expected(predictor.member_scores(probes).mean(0)), alone):
        parts = [
            [targets[column == token].mean() if (column == token).any() else np.nan for token in range(len(spec.tokens))]
            for column in probes.T
        ]
        effects.append(np.array(parts) - targets.mean())
    known = np.isfinite(effects[0])
    with_them, without = (e[known] for e in effects)
    best = [np.nanargmax(predictor.scaling.sign * np.where(known, e, np.nan), axis=1) for e in effects]
    about: Stopped = {
        "dropped": False,
        "correlation": float(spearmanr(with_them, without).statistic),
        "num_positions": spec.num_positions,
        "slope": float(without @ with_them / (with_them @ with_them)),
        "best_changed": int((best[0] != best[1]).sum()),
    }
    return {"num_censored": num, "stopped": about}


def _judge_apart(
    predictor: Predictor, held: dict[str, NDArray[np.float64]], adjusted: NDArray[np.float64], predictions: pd.DataFrame
) -> Quality:
    """As `judge` where contexts vary.

    The order is that of architectures, contexts apart: by what was predicted where the predictor holds, against the targets as
    they would be there. The error and the coverage are those of the measurements, each in its own context.

    Args:
        predictor: the run's.
        held: held-out scores where it holds.
        adjusted: (n,) targets as they would be there.
        predictions: predictions.parquet.
    """
    target, inside = predictions["target"], predictions["target"].between(predictions["low"], predictions["high"])
    assert predictor.held is not None
    own: Quality = {"mae": float((predictions["predicted"] - target).abs().mean()), "coverage": float(inside.mean())}
    own["held"] = predictor.held.facts()
    return judge(predictor, held, adjusted) | own


def _held_out_frame(
    judges: list[Predictor],
    task: NDArray[np.int64],
    held: dict[str, NDArray[np.float64]],
    values: NDArray[np.float64],
    rows: ArchTable,
    kept: NDArray[np.intp],
) -> pd.DataFrame:
    """predictions.parquet: every row in its own context, by the scale of its (n,) task."""
    predicted, low, high = np.empty((3, len(values)))
    for number, own in enumerate(judges):
        inside = task == number
        predicted[inside] = own.expected(held["score"][inside])
        low[inside], high[inside] = own.interval(held["score"][inside], held["spread"][inside])
    columns = {"row": kept, "source_row": rows.source_rows, "target": values, "predicted": predicted, "low": low, "high": high}
    return pd.DataFrame(columns)


def _write_model(folder: RunFolder, predictor: Predictor, weights: dict[str, NDArray[np.float32]]) -> None:
    from safetensors.numpy import save_file

    with tables.replacing(folder.path / "model.safetensors") as part:
        save_file({name: np.ascontiguousarray(w) for name, w in weights.items()}, part)
    folder.write_json("model.json", predictor.describe())


def _score(
    folder: RunFolder,
    scorer: AutoBuildScorer,
    rows: ArchTable,
    max_length: int | None,
    report: Report,
    should_stop: Callable[[], bool],
    start: float,
    name: str = "modules.parquet",
    learned: ArchTable | None = None,
) -> pd.DataFrame:
    """Writes and returns the table of modules: windows, then the whole units that are no window.

    Rows are the evidence; `learned`, all that were learned from where these are others, say what cannot be told from a context.
    """
    space = scorer.predictor.space
    groups = default_groups(space, max_length)
    groups += further_units(space, groups, rows.codes if learned is None else learned.codes)
    begun = reported = time.monotonic()

    def progress(share: float) -> None:
        nonlocal reported
        if should_stop():
            raise Cancelled
        if (now := time.monotonic()) - reported > 1.0:
            reported = now
            left = (now - begun) / share * (1 - share)
            report({"phase": "scoring", "share": share, "seconds": now - start, "seconds_left": left})

    modules = score_modules(scorer, groups, rows, progress)
    if scorer.predictor.held is not None:
        modules = mark_confounded(modules, rows if learned is None else learned, scorer.predictor.held.contexts)
    folder.write_frame(name, modules)
    return modules


def _score_tasks(
    folder: RunFolder,
    predictor: Predictor,
    rows: ArchTable,
    max_length: int | None,
    report: Report,
    should_stop: Callable[[], bool],
    start: float,
) -> Quality:
    """Writes modules_task_<i>.parquet for each of the most frequent tasks; {"tasks": [{"file", "context", "space_mean"}]}."""
    if predictor.held is None or len(predictor.held.contexts.names) < 2:
        return {}
    contexts, lines = predictor.held.contexts, list[TaskLine]()
    task = contexts.task_of(rows.contexts)
    for number, values in enumerate(contexts.names[:MOST_TASKS]):
        name, context = f"modules_task_{number}.parquet", dict(zip(contexts.tasks, values, strict=True))
        scorer = AutoBuildScorer(predictor.at(context))
        own = rows.take(task == number)
        _score(folder, scorer, own, max_length, report, should_stop, start, name, rows)
        lines.append({"file": name, "context": context, "num_rows": len(own), "space_mean": scorer.space_mean})
    return {"tasks": lines}


def _refit(
    codes: Codes,
    networks: NDArray[np.uint64],
    predictor: Predictor,
    settings: Any,
    should_stop: Callable[[], bool],
    beside: Beside,
) -> Callable[[NDArray[np.intp], NDArray[np.float64]], tuple[NDArray[np.float64], float]]:
    """The training of the label-permutation check: as the real one, on other labels, with a few members and steps.

    PERMUTED_MEMBERS members cost about (2 + PERMUTED_MEMBERS) / (2 + members) of a step of all, so the steps keep them within
    PERMUTED_SHARE of the training time; kernels of so few members are added.
    """
    from autobuild_core.predictor import training

    share = PERMUTED_SHARE * (2 + settings.members) / (2 + PERMUTED_MEMBERS)
    small = replace(settings, members=PERMUTED_MEMBERS, steps=max(20, int(share * settings.steps)))
    codebook, threads = predictor.ensemble.codebook, predictor.ensemble.threads
    probes = predictor.space.sample(PROBES, np.random.default_rng(1))

    def refit(rows: NDArray[np.intp], scores: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
        fold = training.split_folds(networks[rows], small.members, np.random.default_rng(settings.seed))
        own = beside.own if beside.own is None else beside.own[rows]
        repeats = beside.repeats if beside.repeats is None else beside.repeats[rows]
        given = replace(beside, own=own, repeats=repeats)
        weights = _ensemble(codes[rows], scores, fold, codebook, small, threads, lambda record: None, should_stop, given)
        ensemble = held = Ensemble(weights, codebook, small.model.num_hops, threads)
        if beside.points is not None and beside.shares is not None:
            held = ensemble.held_at(beside.points, beside.shares)
        spread = held.predict(predictor.space.canonical(probes)).scores.mean(0).astype(float)
        return held_out(ensemble, codes[rows], fold, own)["score"], layer_spread(spread, probes, len(predictor.spec.tokens))

    return refit


def feature_effects(predictor: Predictor, scorer: AutoBuildScorer, rows: ArchTable) -> pd.DataFrame:
    """Worth of a feature's value: the mean effect of single layers that have it, as often as the space does.

    Signed, so a reader sees what hurts. The FE-MLP's own numbers are no use for this: the joint (position, layer) feature shares
    a layer's norm with the others as each member likes, and their spread drowned every effect.

    Returns:
        columns feature, value, effect, effect_low, effect_high (target units), num_nodes (layers evaluated with it).
    """
    codebook, population, spec = predictor.ensemble.codebook, scorer.population, predictor.spec
    effects = np.zeros((predictor.ensemble.members, spec.num_positions, len(spec.tokens)))
    for group in predictor.space.windows(1):
        effects[:, group.positions[0], group.codes[:, 0]] = scorer.member_effects(group)
    drawn = np.random.default_rng(0).choice(len(population.codes), SPREAD_DRAWS, p=population.weights)
    in_space, worth = _by_category(predictor, population.codes[drawn], effects)
    seen = np.zeros(len(in_space), np.int64)
    for start in range(0, len(rows), ROWS_AT_ONCE):
        seen += _by_category(predictor, rows.codes[start : start + ROWS_AT_ONCE], effects[:0])[0]
    means = worth / np.maximum(in_space, 1)
    half = jackknife_half_width(means)
    names, values = zip(*[(codebook.names[feature], value) for feature, value in codebook.values], strict=True)
    frame = pd.DataFrame({"feature": names, "value": values, "effect": means.mean(0)})
    frame["effect_low"], frame["effect_high"], frame["num_nodes"] = frame["effect"] - half, frame["effect"] + half, seen
    mixed = frame.loc[frame.duplicated(["feature", "value"]), "feature"]  # one number, of columns that mean other things by it
    kept = (seen > 0) & (in_space > 0) & ~frame["feature"].isin(mixed)
    return frame[kept].reset_index(drop=True)  # what was never evaluated is not reported


def _by_category(
    predictor: Predictor, codes: Codes, effects: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(categories,) layers of (n, num_positions) codes that have each; (members, categories) sums of the layers' effects.

    effects is (members, num_positions, num_tokens). Sums of cells are no layers.
    """
    graphs, codebook = make_graphs(predictor.space.canonical(codes), predictor.spec), predictor.ensemble.codebook
    layers = graphs.mask & (graphs.positions < predictor.spec.num_positions)
    categories = codebook.encode(graphs)[layers]  # (layers, features)
    own = effects[:, graphs.positions[layers], graphs.tokens[layers]]  # (members, layers)
    num, every = len(codebook.values), categories.ravel()
    weights = np.repeat(own, categories.shape[1], axis=1)
    sums = np.array([np.bincount(every, part, num) for part in weights]).reshape(len(effects), num)
    return np.bincount(every, minlength=num), sums
