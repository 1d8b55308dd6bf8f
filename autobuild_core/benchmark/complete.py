"""Complete spaces: a training on some networks, judged by all others, beside three baselines. Ours.

A file that holds a measurement of every network of a space is its own truth. So many networks are drawn, at random or as the log
of a search, a training learns from them as a user's would, and what it says of networks and modules is compared with the rest.
"""

import json
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autobuild_core.api import Run, train
from autobuild_core.architectures.lens import GOOD_SHARE, Lens
from autobuild_core.architectures.modules import ModuleGroup
from autobuild_core.architectures.records import ArchTable, Codes
from autobuild_core.architectures.structure import one_hot, structure_features, token_counts
from autobuild_core.benchmark import report as show
from autobuild_core.benchmark.truth import LONGEST, Truth
from autobuild_core.errors import ConfigError
from autobuild_core.scorers import make_scorer
from autobuild_core.scoring.intervals import CONFIDENCE, student_bound
from autobuild_core.scoring.population import exact_means
from autobuild_core.spaces import Space, load_space
from autobuild_core.store.tables import append_lines
from autobuild_core.targets.equation import Target

Array = NDArray[np.float64]
Result = dict[str, Any]
SAMPLES, SIZE = ("random", "log"), 100
BASELINES = ("ridge", "kernel", "forest")
POPULATION, TOURNAMENT = 20, 5  # of the regularised evolution that writes a log
PENALTIES = np.logspace(-4, 3, 29)
NUM_TREES, TREE_FEATURES = 500, 1 / 3  # of the forest, and the share of the features that a split looks at
NUM_BUILT = 10
ROUNDING = 1e-9  # of the ends of intervals
CASE = ("data", "sample", "size", "seed")  # of a draw
LOWER_IS_BETTER = ("winkler", "unit_regret", "good_unit_regret", "product_rank", "built_rank", "built_regret")


@dataclass(frozen=True, eq=False)
class Whole:
    """A space of which every network was measured.

    Args:
        table: rows with a target, one or more a network.
        truth: the mean of each network's measurements, larger is better.
        networks: (n,) hash of every encoding of the space.
        first: (networks,) an encoding of each network.
    """

    table: ArchTable
    truth: Truth
    networks: NDArray[np.uint64]
    first: NDArray[np.intp]

    @classmethod
    def of(cls, table: ArchTable, target: Target) -> "Whole":
        """The space of a table.

        Raises:
            ConfigError: the space is large, or a network of it was not measured.
        """
        values, space = target.values(table.metrics), load_space(table.spec)
        known = np.isfinite(values)
        rows = table.take(known)
        truth = Truth.of(rows, (-1 if target.minimize else 1) * values[known], space)
        if truth is None:
            got = f"{len(np.unique(rows.networks)):,} measured networks of {space.title}"
            raise ConfigError(f"complete space: got {got}, expected a measurement of every network of a declared space.")
        networks = space.hash_networks(truth.population.codes)
        return cls(rows, truth, networks, np.unique(networks, return_index=True)[1])

    @property
    def space(self) -> Space:
        """The search space."""
        return self.truth.space

    @property
    def codes(self) -> Codes:
        """(n, num_positions) every encoding."""
        return self.truth.population.codes

    def draw(self, sample: str, size: int, seed: int) -> NDArray[np.intp]:
        """(size,) encodings of as many distinct networks, at random or from a search's log.

        Raises:
            ConfigError: there is no such sample, or there are too few networks.
        """
        if sample not in SAMPLES:
            raise ConfigError(f"complete space: got the sample '{sample}', expected one of {', '.join(SAMPLES)}.")
        if not POPULATION <= size <= len(self.first) - NUM_BUILT:
            most = len(self.first) - NUM_BUILT
            raise ConfigError(f"sizes: got {size}, expected {POPULATION} to {most} of {len(self.first)} networks.")
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(self.codes)) if sample == "random" else self._log(size, rng)
        return order[np.sort(np.unique(self.networks[order], return_index=True)[1])][:size]

    def _log(self, size: int, rng: np.random.Generator) -> NDArray[np.intp]:
        """Encodings in the order in which a regularised evolution evaluates them, until they are `size` networks.

        Source: Real et al., "Regularized Evolution for Image Classifier Architecture Search", AAAI 2019, algorithm 1: of
        TOURNAMENT members the best is changed at one position, and the oldest leaves.
        """
        alive = list(rng.choice(len(self.codes), POPULATION, replace=False))
        log, seen = list(alive), set(self.networks[alive].tolist())
        while len(seen) < size:
            parent = max(rng.choice(alive, TOURNAMENT, replace=False), key=lambda row: self.truth.values[row])
            kept = np.arange(self.codes.shape[1]) != rng.integers(self.codes.shape[1])
            child = rng.choice(np.flatnonzero((self.codes[:, kept] == self.codes[parent, kept]).all(1)))
            alive = [*alive[1:], child]
            log.append(child)
            seen.add(int(self.networks[child]))
        return np.array(log)

    def rows_of(self, drawn: NDArray[np.intp]) -> ArchTable:
        """All measurements of the networks of drawn encodings."""
        return self.table.take(np.flatnonzero(np.isin(self.table.networks, self.networks[drawn])))

    def means_of(self, values: Array) -> Callable[[list[ModuleGroup]], list[Array]]:
        """Mean of (n,) values of all encodings over those that contain a module: scores as `Truth` asks for them."""
        return lambda groups: [exact_means(values[None], self.truth.population, g, self.space.spec)[0] for g in groups]


def baseline_values(whole: Whole, drawn: NDArray[np.intp], seed: int = 0) -> dict[str, Array]:
    """{baseline: (n,) predicted ranks of every encoding}, each fitted to the ranks of the drawn networks' targets.

    Ridge regression and a kernel of all pairs on one-hot (position, layer) features and counts, with the penalty of the least
    leave-one-out error; a random forest on these and the structure (paths, depths, counts).
    """
    from scipy.stats import rankdata
    from sklearn.ensemble import RandomForestRegressor  # here: it takes seconds to import

    spec, codes = whole.space.spec, whole.space.canonical(whole.codes)
    plain = np.concatenate([one_hot(codes, spec), token_counts(codes, spec)], 1)
    ranks = (rankdata(whole.truth.values[drawn]) - 0.5) / len(drawn)
    centred, size = plain - plain[drawn].mean(0), plain.sum(1).mean()
    pairs = (1 + plain @ plain[drawn].T / size) ** 2
    out = {"ridge": _smoothed(centred @ centred[drawn].T, drawn, ranks), "kernel": _smoothed(pairs, drawn, ranks)}
    features = np.concatenate([plain, structure_features(codes, spec)], 1)
    forest = RandomForestRegressor(NUM_TREES, max_features=TREE_FEATURES, random_state=seed, n_jobs=1)
    return out | {"forest": forest.fit(features[drawn], ranks).predict(features)}


def _smoothed(likeness: Array, drawn: NDArray[np.intp], ranks: Array) -> Array:
    """(n,) kernel ridge regression of the (n, drawn) likeness, with the penalty of the least leave-one-out error."""
    values, vectors = np.linalg.eigh(likeness[drawn])
    along, best, dual = vectors.T @ (ranks - ranks.mean()), np.inf, np.zeros(len(drawn))
    for penalty in PENALTIES:
        weights = 1 / (np.maximum(values, 0) + penalty)
        own, leverage = vectors @ (weights * along), vectors**2 @ weights
        error = float(np.mean((own / leverage) ** 2))
        if error < best:
            best, dual = error, own
    smoothed: Array = likeness @ dual + ranks.mean()
    return smoothed


def winkler(low: Array, high: Array, truth: Array) -> float:
    """Mean interval score of 90 % intervals: width, and what is missed times 20.

    Source: Gneiting and Raftery, "Strictly proper scoring rules, prediction, and estimation", JASA 2007, equation 43.
    """
    missed = np.maximum(low - truth, 0) + np.maximum(truth - high, 0)
    return float(np.mean(high - low + 2 / (1 - CONFIDENCE) * missed))


Score = Callable[[list[ModuleGroup]], list[Array]]


def judge(run: Run, whole: Whole, drawn: NDArray[np.intp], target: Target) -> Result:
    """Measures of a training on drawn encodings, by all networks that are not among them, "ours" and of each baseline."""
    sign, truth, space = (-1 if target.minimize else 1), whole.truth, whole.space
    rest = whole.first[~np.isin(whole.networks[whole.first], whole.networks[drawn])]
    scorer = make_scorer("autobuild", run.predictor, table=run.learned())

    def scores(lens: Lens) -> Score:
        turn = sign if lens.in_units else 1
        return lambda groups: [turn * frame[lens].to_numpy(float) for frame in scorer.score(groups)]

    result = _predictions(run, whole, drawn, rest, sign)
    lenses = {"ours": (scores(Lens.SCORE), scores(Lens.GOOD))}
    for name, values in baseline_values(whole, drawn).items():
        top = (values >= np.quantile(values, 1 - GOOD_SHARE)).astype(float)
        lenses[name] = whole.means_of(values), whole.means_of(top)
        result[f"{name} srcc"] = _srcc(values[rest], truth.values[rest])
        best = whole.codes[rest[np.argsort(-values[rest], kind="stable")[:NUM_BUILT]]]
        result |= {f"{name} built_rank": truth.rank(best), f"{name} built_regret": truth.regret(best)}
    for length in range(1, min(LONGEST, space.spec.num_positions) + 1):
        if groups := space.windows(length):
            result |= _modules(truth, groups, length, lenses) | _covered(truth, groups, length, scorer.score(groups), sign)
    for name, (score, good) in lenses.items():
        result |= {f"{name} unit_regret": truth.unit_regret(score), f"{name} good_unit_regret": truth.unit_regret(good)}
        result[f"{name} product_rank"] = truth.product_rank(good)
    built = np.array([space.parse(arch) for arch in run.build(NUM_BUILT)["arch"]], np.int16)
    return result | {"ours built_rank": truth.rank(built), "ours built_regret": truth.regret(built)}


def _predictions(run: Run, whole: Whole, drawn: NDArray[np.intp], rest: NDArray[np.intp], sign: int) -> Result:
    """Order and intervals of the predictions of encodings that were not drawn."""
    from scipy.stats import kendalltau

    found, actual = run.predictor.predict(whole.codes[rest]), whole.truth.values[rest]
    low, high = np.sort(sign * found[["low", "high"]].to_numpy(float), axis=1).T
    ends = np.quantile(whole.truth.values[drawn], [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return {
        "ours srcc": _srcc(sign * found["predicted"].to_numpy(), actual),
        "ours kendall": float(kendalltau(sign * found["predicted"], actual).statistic),
        "ours coverage": float(np.mean((low <= actual) & (actual <= high))),
        "ours winkler": winkler(low, high, actual) / winkler(ends[:1], ends[1:], actual),
    }


def _modules(truth: Truth, groups: list[ModuleGroup], length: int, lenses: dict[str, tuple[Score, Score]]) -> Result:
    """Spearman correlations of both lenses with the truth over all modules of a length."""
    result: Result = {}
    for measure, place in (("fidelity", 0), ("good", 1)):
        true = np.concatenate([truth.means(group, bool(place)) for group in groups])
        for name, both in lenses.items():
            result[f"{name} {measure}_{length}"] = _srcc(np.concatenate(both[place](groups)), true)
    return result


def _covered(truth: Truth, groups: list[ModuleGroup], length: int, frames: list[pd.DataFrame], sign: int) -> Result:
    """Shares of the modules of a length whose true score, and share among the best tenth, lies in its 90 % interval."""
    result: Result = {}
    for measure, column, turn in (("cover", "score", sign), ("good_cover", "good", 1)):
        true = turn * np.concatenate([truth.means(group, column == "good") for group in groups])
        low, high = (np.concatenate([frame[f"{column}_{end}"] for frame in frames]) for end in ("low", "high"))
        result[f"ours {measure}_{length}"] = float(np.mean((low - ROUNDING <= true) & (true <= high + ROUNDING)))
    return result


def _srcc(found: Array, true: Array) -> float:
    from scipy.stats import spearmanr

    return float(spearmanr(found, true).statistic)


def measure(whole: Whole, target: Target, sample: str, size: int, seed: int, **settings: Any) -> Result:
    """One draw, trained and judged; `settings` are those of the training.

    Raises:
        ConfigError: there is no such sample, or too few networks.
    """
    drawn = whole.draw(sample, size, seed)
    with tempfile.TemporaryDirectory(prefix="autobuild-complete-") as place:
        rows = whole.rows_of(drawn)
        run = train(rows, target.expression, Path(place) / "run", target.minimize, seed, **settings)
        return judge(run, whole, drawn, target)


def measure_all(
    whole: Whole,
    target: Target,
    data: str,
    cases: Sequence[tuple[str, int, int]],
    out: Path | None,
    report: Callable[[Result], None] = lambda record: None,
    **settings: Any,
) -> list[Result]:
    """All draws, each written at once; those that a file holds already are not measured again.

    Args:
        whole: the space.
        target: what is learned.
        data: name of the data in the table.
        cases: (sample, size, seed) of each draw.
        out: JSON lines.
        report: hears {"phase", "share"}.
        settings: of the trainings.
    """
    found = read_lines(out) if out is not None else []
    known = {tuple(line[key] for key in CASE) for line in found}
    for number, (sample, size, seed) in enumerate(cases):
        if (data, sample, size, seed) in known:
            continue
        report({"phase": f"{data}, {size} {sample}, draw {seed}", "share": number / len(cases)})
        case = dict(zip(CASE, (data, sample, size, seed), strict=True))
        found.append(case | measure(whole, target, sample, size, seed, **settings))
        if out is not None:
            with out.open("r+b" if out.exists() else "w+b") as file:
                append_lines(file, found[-1:])
    return found


def read_lines(path: Path) -> list[Result]:
    """The draws of a file; none where it is not there yet, and a torn last line is none."""
    if not path.exists():
        return []
    whole = path.read_text().rpartition("\n")[0]
    return [json.loads(line) for line in whole.splitlines() if line.strip()]


def markdown(records: Iterable[Result]) -> str:
    """A table of every data set and sample: means over draws, beside each baseline the paired difference to it."""
    cases: dict[tuple[Any, ...], list[Result]] = {}
    for record in records:
        cases.setdefault(tuple(record[key] for key in CASE[:-1]), []).append(record)
    parts = []
    for (data, sample, size), own in cases.items():
        drawn = "random networks" if sample == "random" else "networks of a search's log"
        measures = [name.removeprefix("ours ") for name in own[0] if name.startswith("ours ")]
        lines = [_line(name, own) for name in measures]
        parts.append(show.table(f"{data}, {size} {drawn}, {len(own)} draws", lines))
    return "\n".join(parts)


def _line(name: str, records: list[Result]) -> Result:
    """A measure's line: our mean; each baseline's with ours less it, better is positive, and its 90 % interval over draws."""
    line: Result = {"measure": name, "ours": _mean_of(records, f"ours {name}")}
    for baseline in BASELINES:
        column = f"{baseline} {name}"
        if column not in records[0]:
            continue
        better = -1 if name in LOWER_IS_BETTER else 1
        apart = better * np.array([record[f"ours {name}"] - record[column] for record in records])
        text = f"{_mean_of(records, column)} ({apart.mean():+.3f}"
        if len(apart) > 1:
            half = student_bound(1 - CONFIDENCE, len(apart) - 1) * apart.std(ddof=1) / len(apart) ** 0.5
            text += f" ± {half:.3f}"
        line[baseline] = text + ")"
    return line


def _mean_of(records: list[Result], column: str) -> str:
    return f"{np.mean([record[column] for record in records]):.3f}"
