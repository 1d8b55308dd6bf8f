"""Writes the trust report of a trained run: every scorer's scores, the figures of the panel, what to evaluate next.

Files: scorers.parquet, trust_calibration.parquet, trust_best.parquet, trust_positions.parquet, interactions.parquet,
next.parquet, claims.parquet; and the dictionary that becomes quality.json["trust"].
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autobuild_core import registry
from autobuild_core.architectures.lens import Lens
from autobuild_core.architectures.module_table import groups_of, top_modules
from autobuild_core.architectures.modules import eligible_rows
from autobuild_core.architectures.records import ArchTable
from autobuild_core.predictor.ensemble import Predictor
from autobuild_core.scorers import DEFAULT_SCORER, make_scorer, score_groups
from autobuild_core.scorers._learned import DataScorer, LearnedScorer
from autobuild_core.scorers.autobuild import AutoBuildScorer
from autobuild_core.scoring import effect_bootstrap
from autobuild_core.scoring.bootstrap import Bootstraps
from autobuild_core.scoring.interactions import interactions
from autobuild_core.scoring.intervals import jackknife_half_width
from autobuild_core.scoring.population import NUM_CONTEXTS, exact_means, pooled, range_weights
from autobuild_core.search.acquisition import NUM_NEXT, suggest
from autobuild_core.search.assembly import architecture_records
from autobuild_core.spaces._in_contexts import in_contexts
from autobuild_core.store.quality import Quality
from autobuild_core.store.run_folder import RunFolder
from autobuild_core.targets.noise import label_noise
from autobuild_core.trust import statistics
from autobuild_core.trust.findings import Baseline, CostShare, HeldOut, PermutationCheck, ScorerLine, TrustReport, UnitFinding
from autobuild_core.trust.permutation import layer_spread, permutation_check

Array = NDArray[np.float64]
MOST_EXACT, MOST_SAMPLED = 20_000, 3_000  # whole-unit modules that every scorer scores: by table look-up, by contexts
PROBES = 2048
STABLE_CONTENDERS, STABLE_CONTEXTS = 24, 24  # modules of a unit, architectures that each is averaged over
SCORER_COLUMNS = ["score", "score_low", "score_high", "effect", "effect_low", "effect_high", "good", "good_low", "good_high"]
Refit = Callable[[NDArray[np.intp], Array], tuple[Array, float]]


@dataclass(frozen=True, eq=False)
class Trained:
    """Data and results of a training, when its report is written.

    Args:
        predictor: the ensemble.
        scorer: its scorer.
        rows: the architectures that were learned from, in the order of `values` and `fold`.
        values: (n,) measured targets; where contexts vary, as they would be where the predictor holds.
        scores: (n,) held-out normal scores.
        fold: (n,) the member that did not see each row.
        predictions: predictions.parquet.
        modules: modules.parquet.
    """

    predictor: Predictor
    scorer: AutoBuildScorer
    rows: ArchTable
    values: Array
    scores: Array
    fold: NDArray[np.int64]
    predictions: pd.DataFrame
    modules: pd.DataFrame

    @property
    def whole(self) -> pd.DataFrame:
        """Whole-unit modules, best first by the average lens in each unit."""
        return top_modules(self.modules, Lens.SCORE, self.predictor.minimize)


def write_report(folder: RunFolder, trained: Trained, refit: Refit | None, quality: Quality) -> Quality:
    """Writes the tables and returns what quality.json gets: "trust", "verdict", "verdict_why".

    Args:
        folder: the run.
        trained: the training.
        refit: trains on other labels, for the permutation check; None leaves it out.
        quality: "srcc", "num_networks" and "coverage" so far.
    """
    start, predictor, rows = time.monotonic(), trained.predictor, trained.rows
    scorers = applicable_scorers(predictor, rows, trained.fold)
    oriented = predictor.scaling.sign * trained.values
    data, positions = statistics.data_shape(rows.codes, predictor.space)
    table = scorer_table(trained, scorers)
    codes, scores = predictor.space.canonical(rows.codes), predictor.scaling.to_scores(trained.values)
    bootstraps = Bootstraps.draw(predictor, codes, scores, rows.networks, rows.noise_shares)
    best = best_table(trained, bootstraps)
    holding = effect_bootstrap.holding_table(trained.scorer.population, predictor.spec, bootstraps, trained.modules)
    folder.write_frame(effect_bootstrap.FILE, holding)
    folder.write_frame("scorers.parquet", table)
    folder.write_frame("trust_best.parquet", best)
    folder.write_frame("trust_positions.parquet", positions)
    folder.write_frame("trust_calibration.parquet", statistics.calibration_table(trained.predictions))
    folder.write_frame("interactions.parquet", interactions(predictor, trained.modules, predictor.minimize))
    folder.write_frame("next.parquet", next_table(trained))
    report = TrustReport(
        srcc=HeldOut(*statistics.grouped_srcc(trained.scores, oriented, rows.networks)),
        baselines=tuple(_baselines(trained, scorers)),
        cost=_cost(table, scorers),
        noise=label_noise(rows, predictor.target, predictor.scaling, None if predictor.held is None else trained.values),
        data=data,
        units=tuple(unit_findings(trained, best)),
        scorers=tuple(ScorerLine(n, s.title, s.explained, w) for n, (s, w) in scorers.items()),
        seconds=time.monotonic() - start,
    )
    check = None if refit is None else _permuted(trained, refit)
    said = statistics.verdict(quality["srcc"], quality["num_networks"], report.baselines, report.noise, report.data, check)
    report = replace(report, permutation=check, reasons=said.reasons)
    return {"trust": report.to_json(), "verdict": said.word, "verdict_why": said.why}


def _permuted(trained: Trained, refit: Refit) -> PermutationCheck:
    """The check on permuted labels of a training."""
    start, predictor = time.monotonic(), trained.predictor
    probes = predictor.space.sample(PROBES, np.random.default_rng(1))
    real = layer_spread(predictor.member_scores(probes).mean(0).astype(float), probes, len(predictor.spec.tokens))
    scores = predictor.scaling.to_scores(trained.values)
    found = permutation_check(refit, scores, trained.rows.networks, real)
    return replace(found, seconds=time.monotonic() - start)


def applicable_scorers(predictor: Predictor, rows: ArchTable, fold: NDArray[np.int64]) -> dict[str, tuple[Any, str | None]]:
    """{name: (scorer, why it does not apply, or None)} of all scorers but AutoBuild's own, to be judged on its very folds."""
    first = np.unique(rows.networks, return_index=True)[1]
    out = {}
    for name in registry.names("scorers"):
        if name != DEFAULT_SCORER:
            scorer = make_scorer(name, predictor, table=rows)
            why_not = scorer.supports(predictor)
            if why_not is None and isinstance(scorer, DataScorer):
                scorer.folds = fold[first]
            out[name] = (scorer, why_not)
    return out


def _baselines(trained: Trained, scorers: dict[str, tuple[Any, str | None]]) -> list[Baseline]:
    """Held-out SRCC of the scorers that predict, beside the ensemble's on the same networks and folds."""
    networks, first = np.unique(trained.rows.networks, return_index=True)
    sign = trained.predictor.scaling.sign
    held = {n: sign * s.held_out for n, (s, why_not) in scorers.items() if why_not is None and isinstance(s, LearnedScorer)}
    if not held:
        return []
    measured = next(iter(s for s, why_not in scorers.values() if why_not is None)).evaluated.values
    lines = statistics.against_baselines(trained.scores[first], held, sign * measured, networks)
    return [replace(line, title=scorers[line.scorer][0].title) for line in lines]


def scorer_table(trained: Trained, scorers: dict[str, tuple[Any, str | None]]) -> pd.DataFrame:
    """scorers.parquet: every scorer's scores of the whole-unit modules, or of the best and the observed where they are too many.

    Returns:
        scorer, title, unit_index, positions, layers, num_evaluated, SCORER_COLUMNS, rank (in its unit, from 1, best first).
    """
    whole = trained.whole
    limit = MOST_EXACT if trained.scorer.population.exact else MOST_SAMPLED
    if len(whole) > limit:
        share = limit // (2 * len(trained.predictor.spec.units))
        seen = whole[whole["num_evaluated"] > 0].sort_values("num_evaluated", ascending=False, kind="stable")
        lines = whole.index[whole["rank"] <= share].union(seen.groupby("unit_index").head(share).index)
        whole = whole.loc[lines].reset_index(drop=True)
    front = whole[["unit_index", "positions", "layers", "num_evaluated"]]
    parts = [front.assign(scorer=DEFAULT_SCORER, title=AutoBuildScorer.title).join(whole[SCORER_COLUMNS])]
    groups = groups_of(whole, trained.predictor.spec)
    for name, (scorer, why_not) in scorers.items():
        if why_not is None:
            scored = pd.concat(score_groups(scorer, [group for group, _ in groups]), ignore_index=True)
            scored.index = pd.Index(np.concatenate([lines for _, lines in groups]))
            parts.append(front.assign(scorer=name, title=scorer.title).join(scored[SCORER_COLUMNS]))
    table = pd.concat(parts, ignore_index=True)
    oriented = table["score"] * Lens.SCORE.direction(trained.predictor.minimize)
    table["rank"] = oriented.groupby([table["scorer"], table["unit_index"]]).rank(ascending=False, method="first").astype(int)
    return table


def _cost(table: pd.DataFrame, scorers: dict[str, tuple[Any, str | None]]) -> CostShare:
    """Part of the importance that is just size."""
    scorer, why_not = scorers.get("cost", (None, "there is no scorer of cost"))
    if why_not is not None:
        return CostShare("", None, why_not)
    ours, theirs = (table[table["scorer"] == name] for name in (DEFAULT_SCORER, "cost"))
    return CostShare(scorer.metric, statistics.agreement(ours, theirs), None)


def best_table(trained: Trained, bootstraps: Bootstraps) -> pd.DataFrame:
    """trust_best.parquet: of every unit the modules that may be its best, with the probability that each is.

    Returns:
        unit_index, positions, layers, rank (by the average lens), num_evaluated, score, prob_best, share_of_members,
        cannot_be_told, bootstrap_share (of the bootstraps in which it is the best; NaN beyond the first STABLE_CONTENDERS and
        where no random architecture could have it); the best, whatever cannot be told apart from it, and at least the first five.
    """
    predictor, parts = trained.predictor, []
    sign, whole = Lens.SCORE.direction(predictor.minimize), trained.whole
    for _, unit in whole.groupby("unit_index", sort=False):
        top = unit.head(
            statistics.CONTENDERS if trained.scorer.population.exact else statistics.CONTENDERS_IN_CONTEXTS
        ).reset_index(drop=True)
        members = _members(trained, top)
        width = (top["effect_high"] - top["effect_low"]).to_numpy(float) / 2
        beside = trained.scorer.means_beside(groups_of(top, predictor.spec)[0][0])
        own = jackknife_half_width(members - beside[:, None])
        scale = float(np.median(width / np.maximum(own, 1e-12))) if np.isfinite(width).all() else 1.0
        found = top[["unit_index", "positions", "layers", "rank", "num_evaluated", "score"]]
        found = found.join(statistics.best_of(members, sign, float(np.clip(scale, 0.2, 5.0))))
        found = found.join(_bootstrap_share(trained, top.head(STABLE_CONTENDERS), bootstraps))
        parts.append(found[found["cannot_be_told"] | (found["rank"] <= 5)])
    return pd.concat(parts, ignore_index=True)


def _bootstrap_share(trained: Trained, top: pd.DataFrame, bootstraps: Bootstraps) -> pd.Series:
    """Share of the bootstraps in which each of a unit's first modules is the best: scores, moved as predictions with it are."""
    predictor = trained.predictor
    spec, drawn = predictor.spec, predictor.space.sample(PROBES, np.random.default_rng(0))
    moves = np.full((bootstraps.moves.shape[1], len(top)), np.nan)
    for group, lines in groups_of(top, spec):
        most = STABLE_CONTEXTS if group.ranges is None else max(STABLE_CONTENDERS * STABLE_CONTEXTS // len(group), 2)
        contexts = drawn[eligible_rows(drawn, group, spec)[:most]]
        if len(contexts):
            inside = bootstraps.target_moves(in_contexts(group, contexts, spec))
            moves[:, lines] = pooled(inside.reshape(len(moves), len(group), -1).mean(2), group)
    scores = Lens.SCORE.direction(predictor.minimize) * (top["score"].to_numpy(float) + moves)
    best = np.where(np.isnan(scores), -np.inf, scores).argmax(1)
    shares = np.bincount(best, minlength=len(top)) / len(scores)
    return pd.Series(np.where(np.isnan(moves[0]), np.nan, shares), top.index, name="bootstrap_share")


def _members(trained: Trained, top: pd.DataFrame) -> Array:
    """(members, lines) each member's average score of whole-unit modules of one unit."""
    predictor, population = trained.predictor, trained.scorer.population
    out = np.empty((len(trained.scorer.member_targets), len(top)))
    for group, lines in groups_of(top, predictor.spec):
        if population.exact:
            found = exact_means(trained.scorer.member_targets, population, group, predictor.spec)
        else:
            contexts = population.codes[eligible_rows(population.codes, group, predictor.spec)[:NUM_CONTEXTS]]
            targets = predictor.member_expected(predictor.member_scores(in_contexts(group, contexts, predictor.spec)))
            found = targets.reshape(len(out), len(group), -1).mean(2)
        weights = None if group.ranges is None else range_weights(group, population, predictor.spec)
        out[:, lines] = pooled(found, group, weights)
    moved: Array = out + (top["score"].to_numpy(float) - out.mean(0))
    return moved  # the ensemble's mean is that of the module table


def unit_findings(trained: Trained, best: pd.DataFrame) -> Iterator[UnitFinding]:
    """The best module of every unit that has modules."""
    whole = trained.whole
    for index, unit in enumerate(trained.predictor.spec.units):
        own, contenders = whole[whole["unit_index"] == index], best[best["unit_index"] == index]
        if contenders.empty:
            continue
        first, likeliest = contenders.iloc[0], contenders.loc[contenders["prob_best"].idxmax()]
        yield UnitFinding(
            unit=unit.label,
            unit_index=index,
            positions=first["positions"],
            layers=first["layers"],
            prob_best=float(first["prob_best"]),
            share_of_members=float(first["share_of_members"]),
            bootstrap_share=float(first["bootstrap_share"]),
            likeliest=likeliest["layers"],
            num_alike=int(contenders["cannot_be_told"].sum()),
            num_modules=len(own),
            num_seen=int((own["num_evaluated"] > 0).sum()),
            num_evaluated=int(first["num_evaluated"]),
        )


def next_table(trained: Trained, num: int = NUM_NEXT) -> pd.DataFrame:
    """next.parquet: what to evaluate next, a line each: record (its JSON line), information, predicted, low, high."""
    codes, frame = suggest(trained.predictor, trained.modules, trained.rows.networks, num)
    records = architecture_records(trained.predictor, codes, frame)
    return frame.assign(record=[json.dumps(record) for record in records])
