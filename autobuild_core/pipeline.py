"""One training from a table to the tables that pages read; the worker and the command line both call it."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import kendalltau, spearmanr

from autobuild_core import readout, tables
from autobuild_core.curve import learn_enough
from autobuild_core.errors import Cancelled, RunError
from autobuild_core.features import Codebook, make_codebook
from autobuild_core.graphs import hops_that_differ, make_graphs
from autobuild_core.inference import Calibration, Predictor
from autobuild_core.network import RANDOM, SOLVED, Network, SolvedHalf
from autobuild_core.population import jackknife_half_width
from autobuild_core.records import ArchTable, Codes
from autobuild_core.runs import RunFolder
from autobuild_core.scaling import NormalScores
from autobuild_core.scorers import default_groups, make_scorer, score_modules, unit_groups
from autobuild_core.scorers.autobuild import AutoBuildScorer
from autobuild_core.space_map import write_map
from autobuild_core.spaces import load_space
from autobuild_core.structure import structure_features, structure_scale
from autobuild_core.targets import Target
from autobuild_core.teaching import teach
from autobuild_core.trust import layer_spread
from autobuild_core.trust_report import PROBES, Trained, write_report

SPREAD_DRAWS = 2048
ROWS_AT_ONCE = 16_384
THREADS = "AUTOBUILD_THREADS"  # environment variable: most threads of a worker
PERMUTED_MEMBERS, PERMUTED_SHARE = 3, 0.12
Progress = Callable[[dict[str, Any]], None]


def train_run(folder: RunFolder, report: Progress, should_stop: Callable[[], bool]) -> dict[str, Any]:
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
    from autobuild_core import loss  # here torch is loaded, and in _learn

    start = time.monotonic()
    config, table = folder.config, folder.table()
    target = Target(config.target, config.minimize)
    target.check(list(table.metrics.columns))
    values = target.values(table.metrics)
    kept = np.flatnonzero(np.isfinite(values))
    rows, values = table.take(kept), values[kept]
    target.check_varies(values)
    evidence = rows
    threads = min(config.threads, int(os.environ.get(THREADS, config.threads)))  # the queue's limit holds
    given = {"members": config.num_members, "steps": config.num_steps, "seed": config.seed}
    space, codebook = load_space(table.spec), make_codebook(table.spec)

    def learn(chosen: NDArray[np.intp]) -> Learned:
        return _learn(rows.take(chosen), values[chosen], config.minimize, codebook, given, threads, report, should_stop)

    def test(learned: Learned, judged: NDArray[np.intp]) -> float:
        predicted = learned.network.predict(space.canonical(rows.codes[judged])).scores.mean(0)
        return float(spearmanr(predicted, learned.scaling.to_scores(values[judged])).statistic)

    chosen, learned, curve = learn_enough(rows.networks, learn, test, np.random.default_rng(config.seed))
    rows, values, kept = rows.take(chosen), values[chosen], kept[chosen]
    settings, fold, scaling, network, weights = learned.settings, learned.fold, learned.scaling, learned.network, learned.weights
    scores = scaling.to_scores(values)
    held = held_out(network, space.canonical(rows.codes), fold)
    if not np.isfinite(held["score"]).all():
        raise RunError("training: got predictions that are no numbers, expected finite ones; choose another seed or fewer steps.")
    calibration = Calibration(float(np.sqrt(np.mean((held["score"] - scores) ** 2))), _member_spread(network, table, config.seed))
    own = tuple(NormalScores.fit(values[fold != member], config.minimize) for member in range(settings.members))
    predictor = Predictor(network, table.spec, scaling, calibration, config.target, config.minimize, own)
    _write_model(folder, predictor, weights)
    quality = judge(predictor, held, values)
    quality["zero_gradient_share"] = [loss.zero_gradient_share(norms) for norms in held["norms"]]
    predictions = _held_out_frame(predictor, held, values, rows, kept)
    folder.write_frame("predictions.parquet", predictions)
    scorer = make_scorer("autobuild", predictor, table=evidence)
    assert isinstance(scorer, AutoBuildScorer)
    modules = _score(folder, scorer, evidence, config.max_length, report, should_stop, start)
    folder.write_frame("features.parquet", feature_effects(predictor, scorer, evidence))
    sizes = {"num_train": len(rows), "num_networks": len(np.unique(rows.networks)), "ensemble_size": settings.members}
    sizes |= {"num_without_target": len(table) - len(evidence), "num_evidence": len(evidence)}
    quality["calibration"] = [dict(zip(("num_modules", "error", "spread"), c, strict=True)) for c in scorer.calibration_errors]
    lenses = {"space_mean": scorer.space_mean, "good_threshold": scorer.good_threshold}
    quality |= sizes | lenses | {"learning_curve": curve}
    report({"phase": "checking", "share": 0.0, "seconds": time.monotonic() - start, "seconds_left": None})
    write_map(folder, predictor, table)
    trained = Trained(predictor, scorer, rows, values, held["score"], fold, predictions, modules)
    refit = _refit(space.canonical(rows.codes), rows.networks, predictor, settings, should_stop)
    quality |= write_report(folder, trained, refit, quality)
    quality["seconds"] = time.monotonic() - start
    folder.write_json("quality.json", quality)
    return quality


@dataclass(frozen=True, eq=False)
class Learned:
    """What one training gives: settings, fold of every row, target scaling, and the ensemble as weights and as a network."""

    settings: Any
    fold: NDArray[np.int64]
    scaling: NormalScores
    weights: dict[str, NDArray[np.float32]]
    network: Network


def _learn(
    rows: ArchTable,
    values: NDArray[np.float64],
    minimize: bool,
    codebook: Codebook,
    given: dict[str, Any],
    threads: int,
    report: Progress,
    should_stop: Callable[[], bool],
) -> Learned:
    """One training on rows and their (n,) targets; `given` settings are not chosen by the data's size."""
    from autobuild_core import training

    settings = training.TrainConfig.for_size(len(np.unique(rows.networks)), **given)
    num_hops = hops_that_differ(rows.spec, settings.model.num_hops)
    settings = replace(settings, model=replace(settings.model, num_hops=num_hops))
    fold = training.split_folds(rows.networks, settings.members, np.random.default_rng(settings.seed))
    scaling = NormalScores.fit(values, minimize)
    codes = load_space(rows.spec).canonical(rows.codes)
    weights = _ensemble(codes, scaling.to_scores(values), fold, codebook, settings, threads, report, should_stop)
    return Learned(settings, fold, scaling, weights, Network(weights, codebook, settings.model.num_hops, threads))


def _ensemble(
    codes: Codes,
    scores: NDArray[np.float64],
    fold: NDArray[np.int64],
    codebook: Codebook,
    settings: Any,
    threads: int,
    report: Progress,
    should_stop: Callable[[], bool],
) -> dict[str, NDArray[np.float32]]:
    """The weights of an ensemble for (n, num_positions) canonical codes: the solved half, and the trained one that it teaches."""
    from autobuild_core import model, training

    space, num_hops = load_space(codebook.spec), settings.model.num_hops
    scale = structure_scale(codes, codebook.spec)
    hops = num_hops if len(np.unique(codes, axis=0)) <= readout.MAX_HOPS_NETWORKS else 0
    sizes = model.ModelConfig(num_hops=hops, width=readout.RANDOM_WIDTH)
    drawn = model.Predictor(codebook, 1, sizes, scale.shape[1], settings.seed + 1)
    own = {name: tensor.numpy() for name, tensor in drawn.state_dict().items()} | {"structure_scale": scale}
    random = Network(own, codebook, hops, threads)
    solved = readout.solve_readout(random, codes, scores, fold, settings.members, settings.seed)
    taught = None
    if settings.taught_batch:
        taught = teach(space, SolvedHalf(random, solved).scores, num_hops, np.random.default_rng(settings.seed))
    learned = codes if taught is None else np.concatenate([codes, taught.codes])
    structure = (structure_features(learned, codebook.spec) - scale[0]) / scale[1]
    data = model.Encoded.of(make_graphs(learned, codebook.spec), codebook, structure)
    trained = training.train_ensemble(data, scores, fold, codebook, settings, report, should_stop, taught)
    weights = {name: tensor.numpy() for name, tensor in trained.state_dict().items()} | {"structure_scale": scale}
    both = weights | solved | {RANDOM + name: w for name, w in own.items()}
    alone, without = (
        held_out(Network(both | {SOLVED + "share": np.array(s, np.float32)}, codebook, num_hops, threads), codes, fold)["score"]
        for s in (1, 0)
    )
    return both | {SOLVED + "share": np.array(readout.share_of_solved(alone, without, scores), np.float32)}


def held_out(network: Network, codes: NDArray[np.int16], fold: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
    """{"score": (n,), "norms": (hops + 1, n), "spread": (n,)} of every row by the member that did not see its network.

    Norms of different members have different scales: each member's are standardised over all rows.
    """
    outputs = network.predict(codes)
    norms = outputs.graph_norms.astype(float)
    norms = (norms - norms.mean(2, keepdims=True)) / np.maximum(norms.std(2, keepdims=True), 1e-12)
    row = np.arange(len(codes))
    spread = outputs.scores.std(0).astype(float)
    return {"score": outputs.scores[fold, row].astype(float), "norms": norms[fold, :, row].T, "spread": spread}


def _member_spread(network: Network, table: ArchTable, seed: int) -> float:
    """Root mean variance between members over random architectures of the space."""
    space = load_space(table.spec)
    codes = space.canonical(space.sample(SPREAD_DRAWS, np.random.default_rng(seed)))
    return float(np.sqrt(network.predict(codes).scores.var(0).mean()))


def judge(predictor: Predictor, held: dict[str, NDArray[np.float64]], values: NDArray[np.float64]) -> dict[str, Any]:
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


def _held_out_frame(
    predictor: Predictor,
    held: dict[str, NDArray[np.float64]],
    values: NDArray[np.float64],
    rows: ArchTable,
    kept: NDArray[np.intp],
) -> pd.DataFrame:
    """predictions.parquet."""
    low, high = predictor.interval(held["score"], held["spread"])
    predicted = predictor.expected(held["score"])
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
    report: Progress,
    should_stop: Callable[[], bool],
    start: float,
) -> pd.DataFrame:
    """Writes and returns modules.parquet: windows, then the whole units that are no window."""
    space = scorer.predictor.space
    groups = default_groups(space, max_length)
    windows = {group.positions for group in groups if group.unit is not None}
    groups += [group for group in unit_groups(space) if group.positions not in windows]
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
    folder.write_frame("modules.parquet", modules)
    return modules


def _refit(
    codes: Codes, networks: NDArray[np.uint64], predictor: Predictor, settings: Any, should_stop: Callable[[], bool]
) -> Callable[[NDArray[np.intp], NDArray[np.float64]], tuple[NDArray[np.float64], float]]:
    """The training of the label-permutation check: as the real one, on other labels, with a few members and steps.

    PERMUTED_MEMBERS members cost about (2 + PERMUTED_MEMBERS) / (2 + members) of a step of all, so the steps keep them within
    PERMUTED_SHARE of the training time; kernels of so few members are added.
    """
    from autobuild_core import training

    share = PERMUTED_SHARE * (2 + settings.members) / (2 + PERMUTED_MEMBERS)
    small = replace(settings, members=PERMUTED_MEMBERS, steps=max(20, int(share * settings.steps)))
    codebook, threads = predictor.network.codebook, predictor.network.threads
    probes = predictor.space.sample(PROBES, np.random.default_rng(1))

    def refit(rows: NDArray[np.intp], scores: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
        fold = training.split_folds(networks[rows], small.members, np.random.default_rng(settings.seed))
        weights = _ensemble(codes[rows], scores, fold, codebook, small, threads, lambda record: None, should_stop)
        network = Network(weights, codebook, small.model.num_hops, threads)
        spread = network.predict(predictor.space.canonical(probes)).scores.mean(0).astype(float)
        return held_out(network, codes[rows], fold)["score"], layer_spread(spread, probes, len(predictor.spec.tokens))

    return refit


def feature_effects(predictor: Predictor, scorer: AutoBuildScorer, rows: ArchTable) -> pd.DataFrame:
    """What a layer with a feature's value is worth: the mean effect of single layers that have it, as often as the space does.

    Signed, so a reader sees what hurts. The FE-MLP's own numbers are no use for this: the joint (position, layer) feature shares
    a layer's norm with the others as each member likes, and their spread drowned every effect.

    Returns:
        columns feature, value, effect, effect_low, effect_high (target units), num_nodes (layers evaluated with it).
    """
    codebook, population, spec = predictor.network.codebook, scorer.population, predictor.spec
    effects = np.zeros((predictor.network.members, spec.num_positions, len(spec.tokens)))
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
    graphs, codebook = make_graphs(predictor.space.canonical(codes), predictor.spec), predictor.network.codebook
    layers = graphs.mask & (graphs.positions < predictor.spec.num_positions)
    categories = codebook.encode(graphs)[layers]  # (layers, features)
    own = effects[:, graphs.positions[layers], graphs.tokens[layers]]  # (members, layers)
    num, every = len(codebook.values), categories.ravel()
    weights = np.repeat(own, categories.shape[1], axis=1)
    sums = np.array([np.bincount(every, part, num) for part in weights]).reshape(len(effects), num)
    return np.bincount(every, minlength=num), sums
