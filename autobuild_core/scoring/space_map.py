"""A map of the space: architectures in two dimensions, by the graph embeddings of the ensemble.

Ours. The embeddings of random architectures decide the axes, so a map does not depend on what happened to be evaluated;
evaluated architectures are projected onto them. Files of a run: map.parquet (a line an evaluated architecture),
map_surface.parquet (the prediction behind them), map_axes.parquet (what the axes are).
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autobuild_core.architectures.graphs import make_graphs
from autobuild_core.architectures.ranges import by_range, shown_layer
from autobuild_core.architectures.records import ABSENT, ArchTable, Codes, SpaceSpec
from autobuild_core.predictor.ensemble import Predictor
from autobuild_core.predictor.forward import Ensemble
from autobuild_core.store.run_folder import RunFolder

Array = NDArray[np.float64]
BEST = 0.1  # share of the architectures that a map without a mark tells of
Bounds = tuple[float, float, float, float]  # left, right, bottom, top
NUM_RANDOM = 4096  # architectures that the axes and the surface are made from
ROWS_AT_ONCE = 8192
GRID, BLUR, THINNEST = 80, 1.8, 0.04  # cells a side; standard deviation of the smoothing in cells; architectures a cell must hold
PREDICTED, DEPTH = "predicted target", "number of layers"
FILES = ("map", "map_surface", "map_axes")


# Axes


@dataclass(frozen=True, eq=False)
class Axes:
    """Two principal axes of embeddings.

    Args:
        mean: (dim,) of the embeddings.
        directions: (dim, 2) orthonormal.
        shares: (2,) share of the embeddings' variance along each.
    """

    mean: Array
    directions: Array
    shares: Array

    @classmethod
    def fit(cls, embeddings: Array, better: Array) -> Self:
        """The first two principal components of (n, dim) embeddings, each turned so that `better` (n,) grows along it."""
        mean = embeddings.mean(0)
        centred = embeddings - mean
        variances, vectors = np.linalg.eigh(centred.T @ centred)
        if len(variances) < 2:  # one number an embedding: the second axis is empty
            variances, vectors = np.pad(variances, (1, 0)), np.pad(vectors, ((0, 0), (1, 0)))
        directions = vectors[:, :-3:-1]
        turned = np.sign((centred @ directions).T @ (better - better.mean()))
        shares = variances[:-3:-1].clip(min=0) / max(float(variances.clip(min=0).sum()), 1e-300)
        return cls(mean, directions * np.where(turned == 0, 1, turned), shares)

    def project(self, embeddings: Array) -> Array:
        """(n, 2) places of (n, dim) embeddings."""
        places: Array = (embeddings - self.mean) @ self.directions
        return places


def embeddings(ensemble: Ensemble, canonical: Codes) -> NDArray[np.float32]:
    """(n, members * dim) graph embeddings at the last hop, one member's behind the other's, of canonical codes."""
    parts = ensemble.by_chunks(lambda codes: ensemble.pooled(make_graphs(codes, ensemble.codebook.spec))[-1], canonical)
    members_first = np.concatenate(parts, 1) if parts else np.zeros((ensemble.members, 0, 1), np.float32)
    return np.moveaxis(members_first, 0, 1).reshape(len(canonical), -1)


def member_weights(sample: Array, members: int) -> Array:
    """(members * dim,) factors that give every member the same total variance over a (n, members * dim) sample."""
    variances = sample.var(0).reshape(members, -1).sum(1)
    return np.repeat(1 / np.sqrt(np.maximum(variances, 1e-12)), sample.shape[1] // members)


def explained(place: Array, codes: Codes, predicted: Array, spec: SpaceSpec) -> pd.DataFrame:
    """The quantities that a coordinate goes with: what, r2, sign; best explanation first.

    Args:
        place: (n,) coordinate.
        codes: (n, num_positions).
        predicted: (n,) predicted target.
        spec: the space.

    Returns:
        R2 of a linear fit on the predicted target and on the number of layers (`sign` is that of the slope), and of the layer
        at each position taken as a category (`sign` 0; an absent layer is one too).
    """
    lines = [(what, *_linear(place, values)) for what, values in ((PREDICTED, predicted), (DEPTH, (codes != ABSENT).sum(1)))]
    lines += [(label, _between(place, codes[:, p]), 0) for p, label in enumerate(spec.position_labels)]
    frame = pd.DataFrame(lines, columns=["what", "r2", "sign"])
    return frame.sort_values("r2", ascending=False, kind="stable", ignore_index=True)


def _linear(place: Array, values: NDArray[np.generic]) -> tuple[float, int]:
    spreads = place.std() * np.asarray(values, float).std()
    slope = float(np.corrcoef(place, np.asarray(values, float))[0, 1]) if spreads > 0 else 0.0
    return slope**2, int(np.sign(slope))


def _between(place: Array, category: NDArray[np.int16]) -> float:
    """Share of the variance of (n,) numbers that lies between categories."""
    _, group = np.unique(category, return_inverse=True)
    means = np.bincount(group, place) / np.bincount(group)
    total = float(place.var())
    return float(means[group].var()) / total if total > 0 else 0.0


# The surface behind, and points in cells


def surface(places: Array, values: Array, bounds: Bounds, grid: int = GRID, blur: float = BLUR) -> pd.DataFrame:
    """The smoothed mean of values over a grid: x, y (centres), value, num (architectures a cell holds, smoothed).

    The smoothing moves architectures between cells and loses none: `num` over all cells adds up to n. Empty cells are left out.

    Args:
        places: (n, 2), within the bounds.
        values: (n,).
        bounds: left, right, bottom, top of the grid.
        grid: cells a side.
        blur: standard deviation of the smoothing, in cells.
    """
    column, row = cell_of(places, bounds, grid, grid)
    num, total = (np.zeros((grid, grid)) for _ in range(2))
    np.add.at(num, (row, column), 1.0)
    np.add.at(total, (row, column), values)
    steps = np.arange(grid)
    kernel = np.exp(-0.5 * ((steps[:, None] - steps) / blur) ** 2)
    kernel /= kernel.sum(0)
    num, total = kernel @ num @ kernel.T, kernel @ total @ kernel.T
    at_row, at_column = np.nonzero(num > THINNEST)
    left, right, bottom, top = bounds
    x, y = left + (steps + 0.5) * (right - left) / grid, bottom + (steps + 0.5) * (top - bottom) / grid
    found = num[at_row, at_column]
    return pd.DataFrame({"x": x[at_column], "y": y[at_row], "value": total[at_row, at_column] / found, "num": found})


def cell_of(places: Array, bounds: Bounds, across: int, down: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """(column, row), each (n,), of (n, 2) places in a grid over the bounds; what lies outside is put into the nearest cell."""
    left, right, bottom, top = bounds
    column = np.floor((places[:, 0] - left) / max(right - left, 1e-12) * across)
    row = np.floor((places[:, 1] - bottom) / max(top - bottom, 1e-12) * down)
    return column.clip(0, across - 1).astype(np.intp), row.clip(0, down - 1).astype(np.intp)


def aggregate(points: pd.DataFrame, bounds: Bounds, minimize: bool, across: int = 110, down: int = 70) -> pd.DataFrame:
    """Points of a map gathered in cells, so that any number of them stays a few thousand marks.

    Args:
        points: x, y, target, row.
        bounds: left, right, bottom, top; points outside are left out.
        minimize: smaller targets are better.
        across: cells side by side.
        down: cells on top of each other.

    Returns:
        A line a cell that holds a point: x, y (mean place of its points), num, target (mean), row (of its best point).
    """
    left, right, bottom, top = bounds
    shown = points[points["x"].between(left, right) & points["y"].between(bottom, top)]
    column, row = cell_of(shown[["x", "y"]].to_numpy(float), bounds, across, down)
    best_first = np.argsort(shown["target"].to_numpy(float) * (1 if minimize else -1), kind="stable")
    cells = shown.assign(cell=row * across + column).iloc[best_first].groupby("cell", sort=True)
    found = cells.agg(x=("x", "mean"), y=("y", "mean"), num=("row", "size"), target=("target", "mean"), row=("row", "first"))
    return found.reset_index(drop=True)


def around(places: Array, margin: float = 0.04) -> Bounds:
    """Bounds of (n, 2) places with a margin, as a share of their extent."""
    low, high = places.min(0), places.max(0)
    pad = np.where(high > low, (high - low) * margin, 0.5)
    return float(low[0] - pad[0]), float(high[0] + pad[0]), float(low[1] - pad[1]), float(high[1] + pad[1])


# What is brushed


@dataclass(frozen=True)
class Brush:
    """A region of the map that a reader marked.

    Args:
        kind: "box" or "lasso".
        corners: (x, y) of the two opposite corners of a box, or of the polygon.
    """

    kind: str
    corners: tuple[tuple[float, float], ...]

    MOST_CORNERS = 48  # of a lasso: so much fits into a URL
    FARTHEST = 1e9  # from the middle: no map is as wide

    @classmethod
    def of(cls, kind: str, x: list[float], y: list[float]) -> Self:
        """From what the browser says of a drag; a long lasso keeps every so many corners."""
        corners = [(float(f"{a:.4g}"), float(f"{b:.4g}")) for a, b in zip(x, y, strict=True)]
        return cls(kind, tuple(corners[:: -(-len(corners) // cls.MOST_CORNERS) or 1]))

    @classmethod
    def parse(cls, text: str | None) -> "Brush | None":
        """From the URL ("box:-1,0.5,2,3"; x and y in turn); None where it is no region of a map."""
        kind, _, rest = (text or "").partition(":")
        try:
            numbers = [float(part) for part in rest.split(",")]
        except ValueError:
            return None
        whole = len(numbers) == 4 if kind == "box" else kind == "lasso" and len(numbers) >= 6 and len(numbers) % 2 == 0
        on_a_map = whole and bool(np.all(np.abs(numbers) < cls.FARTHEST))  # also no NaN
        return cls(kind, tuple(zip(numbers[::2], numbers[1::2], strict=True))) if on_a_map else None

    @property
    def text(self) -> str:
        """For the URL; `parse` is its inverse."""
        return f"{self.kind}:{','.join(f'{number:g}' for corner in self.corners for number in corner)}"

    @property
    def bounds(self) -> Bounds:
        """Of its corners."""
        x, y = zip(*self.corners, strict=True)
        return min(x), max(x), min(y), max(y)

    def inside(self, places: Array) -> NDArray[np.bool_]:
        """(n,) which of (n, 2) places it holds; for a lasso by the number of sides to the right, even where it crosses itself."""
        left, right, bottom, top = self.bounds
        x, y = places[:, 0], places[:, 1]
        held: NDArray[np.bool_] = (x >= left) & (x <= right) & (y >= bottom) & (y <= top)
        if self.kind == "box":
            return held
        odd = np.zeros(len(places), bool)
        for (x0, y0), (x1, y1) in zip(self.corners, self.corners[1:] + self.corners[:1], strict=True):
            if y0 != y1:
                crossed = (y0 > y) != (y1 > y)
                odd ^= crossed & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
        return held & odd


def in_common(codes: Codes, spec: SpaceSpec, held: NDArray[np.bool_]) -> pd.DataFrame:
    """The frequency of each layer at each position in some architectures, against all: their common layers.

    Args:
        codes: (n, num_positions).
        spec: the space.
        held: (n,) the architectures in question.

    Returns:
        position, layer (a range of numbers is one), num (of the held ones), share, share_of_all, change; the largest change
        first, absent layers left out.
    """
    lines, codes = [], by_range(codes, spec)
    for position, label in enumerate(spec.position_labels):
        for code in np.unique(codes[:, position]):
            if code != ABSENT:
                there = codes[:, position] == code
                num = int((there & held).sum())
                lines.append((label, shown_layer(spec, int(code)), num, num / max(int(held.sum()), 1), float(there.mean())))
    frame = pd.DataFrame(lines, columns=["position", "layer", "num", "share", "share_of_all"])
    frame["change"] = frame["share"] - frame["share_of_all"]
    return frame.iloc[np.argsort(-frame["change"].abs().to_numpy(), kind="stable")].reset_index(drop=True)


def best_tenth(targets: Array, minimize: bool) -> NDArray[np.bool_]:
    """(n,) which of n measured targets are among the best tenth; ties with the last of it are."""
    order = targets if minimize else -targets
    return order <= np.quantile(order, BEST)


# The tables of a run


def make_map(predictor: Predictor, table: ArchTable) -> dict[str, pd.DataFrame]:
    """The map of a run, by the names of FILES.

    Args:
        predictor: the ensemble.
        table: the run's architectures; those without a target have no place.

    Returns:
        map: row (of the table), source_row, x, y, target. map_surface: x, y, value (predicted target), num.
        map_axes: axis (0 across, 1 up), share (of the embeddings' variance), what, r2, sign; see `explained`.
    """
    ensemble, space = predictor.ensemble, predictor.space
    drawn = space.canonical(space.sample(NUM_RANDOM, np.random.default_rng(0)))
    scores = ensemble.predict(drawn).scores.mean(0)  # standardised, larger is better
    sample = embeddings(ensemble, drawn).astype(float)
    weights = member_weights(sample, ensemble.members)
    axes = Axes.fit(sample * weights, scores.astype(float))
    random, predicted = axes.project(sample * weights), predictor.expected(scores)
    values = predictor.target.values(table.metrics)
    rows = np.flatnonzero(np.isfinite(values))
    places = np.empty((len(rows), 2))
    for start in range(0, len(rows), ROWS_AT_ONCE):
        chunk = rows[start : start + ROWS_AT_ONCE]
        places[start : start + ROWS_AT_ONCE] = axes.project(embeddings(ensemble, space.canonical(table.codes[chunk])) * weights)
    points = pd.DataFrame({"row": rows, "source_row": np.asarray(table.source_rows)[rows]})
    points = points.assign(x=places[:, 0], y=places[:, 1], target=values[rows])
    about = [explained(random[:, a], drawn, predicted, predictor.spec).assign(axis=a, share=axes.shares[a]) for a in (0, 1)]
    behind = surface(random, predicted, around(np.concatenate([random, places])))
    return {"map": points, "map_surface": behind, "map_axes": pd.concat(about, ignore_index=True)}


def write_map(folder: RunFolder, predictor: Predictor, table: ArchTable) -> None:
    """Writes the files of `make_map` into a run folder."""
    for name, frame in make_map(predictor, table).items():
        folder.write_frame(f"{name}.parquet", frame)
