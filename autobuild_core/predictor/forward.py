"""The predictor's forward pass in numpy, evaluation mode: what predicts wherever torch is not wanted.

Equal to `model.GraphEnsemble` at 1e-5 (tested). The weights are those of its state_dict, by the same names, with batch
norm folded to a scale and a shift.
"""

import copy
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autobuild_core.architectures.features import Codebook
from autobuild_core.architectures.graphs import MEAN, Graphs, make_graphs
from autobuild_core.architectures.records import ABSENT, Codes
from autobuild_core.architectures.structure import structure_features
from autobuild_core.architectures.topologies import topology_of
from autobuild_core.predictor.kernel import Layers, similarity
from autobuild_core.predictor.trees import TREES, Trees

Floats = NDArray[np.float32]
NEGATIVE_SLOPE = 0.2  # GATv2's LeakyReLU
NORM_EPS = 1e-5
Mix = Callable[[Floats], NDArray[Any]]  # (points, members, n) normal scores at context points -> (members, n)
CHUNK = 256  # graphs at a time: their node embeddings stay in the processor's cache
# Of more positions, so many nodes at a time (60 columns: 0.44 s for 2,048 graphs, 0.65 s with twice that).
WIDE, WIDE_NODES = 24, 3072
RANDOM, GAUSSIAN = "random.", "solved."  # prefixes of the weights of the Gaussian process


@dataclass(frozen=True, eq=False)
class Outputs:
    """The ensemble's outputs for a batch of graphs.

    Args:
        scores: (members, graphs) predicted normal scores.
        graph_norms: (members, hops + 1, graphs) embedding norms of the graphs.
    """

    scores: Floats
    graph_norms: Floats


def _shares(graphs: Graphs) -> Floats:
    """(num_graphs, 1, num_nodes) share of every node in the mean over its graph."""
    share: Floats = (graphs.mask / np.maximum(graphs.mask.sum(1, keepdims=True), 1)).astype(np.float32)[:, None]
    return share


class GaussianProcess:
    """The Gaussian processes of an ensemble: how alike to the landmarks an architecture is, weighted.

    Args:
        random: the ensemble of one random member whose graph embeddings are compared.
        weights: what `gaussian_process.fit_gaussian_process` found, by its names.
    """

    def __init__(self, random: "Ensemble", weights: dict[str, Floats]) -> None:
        self._random = random
        self._mean, self._weights, self._readout = (weights[GAUSSIAN + name] for name in ("mean", "weights", "readout"))
        squares = weights[GAUSSIAN + "roots"] ** 2  # (members, columns)
        self._squares = squares.T
        self._marks = weights[GAUSSIAN + "landmarks"].T * squares[:, :, None]  # (members, columns, landmarks)
        self._norms = (weights[GAUSSIAN + "landmarks"] ** 2 @ squares.T).T  # (members, landmarks)

    def predict(self, codes: Codes, graphs: Graphs, structure: Floats) -> Floats:
        """(members, graphs) predicted normal scores."""
        columns = self._random.coordinates(codes, graphs, structure) - self._mean
        norms = (columns**2 @ self._squares).T
        alike = (
            similarity(columns @ marks, *known)
            for marks, *known in zip(self._marks, norms, self._norms, self._weights, strict=True)
        )
        return np.stack([a @ readout for a, readout in zip(alike, self._readout, strict=True)])

    def predict_in(self, codes: Codes, graphs: Graphs, structure: Floats, contexts: Floats) -> Floats:
        """(points, members, graphs) predicted normal scores at (points, graphs or 1, dim) contexts."""
        columns = self._random.coordinates(codes, graphs, structure)
        num = columns.shape[1]
        columns, beside = columns - self._mean[:num], contexts - self._mean[num:]
        norms, more = (columns**2 @ self._squares[:num]).T, np.moveaxis(beside**2 @ self._squares[num:], 2, 0)
        out = np.empty((len(contexts), len(self._readout), len(codes)), np.float32)
        for member, (marks, weights, readout) in enumerate(zip(self._marks, self._weights, self._readout, strict=True)):
            inner, added = columns @ marks[:num], beside @ marks[num:]
            for point in range(len(contexts)):
                left = norms[member] + more[member, point]
                out[point, member] = similarity(inner + added[point], left, self._norms[member], weights) @ readout
        return out

    def scores(
        self, codes: Codes, points: Floats | None = None, shares: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """(members, n) predicted normal scores of any number of canonical codes, by this half alone.

        Args:
            codes: (n, num_positions).
            points: (points, n or 1, dim) contexts whose scores are averaged, where there are contexts.
            shares: (points,) their weights, equal unless given.
        """
        random = self._random

        def work(rows: NDArray[np.intp]) -> Floats:
            own = codes[rows]
            given = own, make_graphs(own, random.codebook.spec), random.structure(own)
            if points is None:
                return self.predict(*given)
            at_points = self.predict_in(*given, points if points.shape[1] == 1 else points[:, rows])
            return np.average(at_points, 0, shares)

        return np.concatenate(random.by_chunks(work, np.arange(len(codes))), 1).astype(float)


class Ensemble:
    """The ensemble as arrays: trained GNNs, each mixed with the Gaussian process of `gaussian_process.py` and trees, if any.

    Args:
        weights: name -> array with a leading dimension of members; but "structure_scale" (2, dim), mean and scale of the
            structure features over the training data.
        codebook: the node features they were trained with.
        num_hops: message-passing layers.
        threads: chunks of architectures that are predicted at the same time.

    Where it was trained on contexts, its predictions hold at some of them: see `held_at`.
    """

    points: Floats | None = None  # (points, 1, dim)
    shares: NDArray[np.float64] = np.ones(1)  # (points,) weights of them
    mix: Mix

    def __init__(self, weights: dict[str, Floats], codebook: Codebook, num_hops: int, threads: int = 2) -> None:
        self.weights, self.codebook, self.num_hops, self.threads = weights, codebook, num_hops, threads
        self.members = len(weights["out_bias"])
        self._values = self._category_values()
        own = {name.removeprefix(RANDOM): w for name, w in weights.items() if name.startswith(RANDOM)}
        random_hops = sum(name.startswith("norms.") and name.endswith(".scale") for name in own)
        self.random = Ensemble(own, codebook, random_hops, threads) if own else None
        self.solved = GaussianProcess(self.random, weights) if self.random is not None else None
        self.trees = Trees(weights) if TREES + "share" in weights else None
        self._folded = [self._fold(hop) for hop in range(num_hops)]

    def held_at(self, points: Floats, shares: NDArray[np.float64], mix: Mix | None = None) -> "Ensemble":
        """The same ensemble, held at context points.

        Args:
            points: (points, dim) contexts.
            shares: (points,) their weights, summing to one.
            mix: what makes one score of those at the points; their mean unless given.
        """
        held = copy.copy(self)
        held.points, held.shares = points[:, None], shares
        held.mix = mix or (lambda scores: np.tensordot(shares, scores, 1).astype(np.float32))
        return held

    def structure(self, codes: Codes) -> Floats:
        """(n, dim) structure features of (n, num_positions) codes, standardised as in the training."""
        mean, spread = self.weights["structure_scale"]
        standard: Floats = ((structure_features(codes, self.codebook.spec) - mean) / spread).astype(np.float32)
        return standard

    def _category_values(self) -> Floats:
        w, feature_of = self.weights, self.codebook.feature_of
        entering = w["embedding.table"]
        if "embedding.slope" in w:
            numbers = self.codebook.numbers.astype(np.float32)[:, None]
            line = np.nan_to_num(numbers) * w["embedding.slope"][:, feature_of] + w["embedding.offset"][:, feature_of]
            entering = np.where(np.isnan(numbers), entering, line)
        hidden = np.maximum(entering, 0) * w["embedding.out"][:, feature_of]
        raw = hidden.sum(-1) + w["embedding.bias"][:, feature_of]
        softplus: Floats = np.logaddexp(0, raw).astype(np.float32)
        return softplus

    def _fold(self, hop: int) -> tuple[Floats, Floats]:
        """(factor, shift), each (members, 1, dim), of a hop's batch norm and GATv2's bias together."""
        w, name = self.weights, f"norms.{hop}."
        factor = w[name + "scale"] / np.sqrt(w[name + "variance"] + NORM_EPS)
        shift = w[name + "shift"] + (w[f"hops.{hop}.bias"] - w[name + "mean"]) * factor
        return factor.astype(np.float32), shift.astype(np.float32)

    def _gat(self, hop: int, h: Floats, sources: NDArray[np.intp], present: NDArray[np.bool_], share: Floats | None) -> Floats:
        """One GATv2 layer without its bias; h (members, nodes, dim), sources and present (nodes, degree).

        With a share (graphs, 1, nodes of a graph) of each node in its graph's mean, sources beyond the nodes are these means.
        """
        w, name = self.weights, f"hops.{hop}."
        source = h @ w[name + "weight_source"] + w[name + "bias_source"]
        target = h @ w[name + "weight_target"] + w[name + "bias_target"]
        every = source
        if share is not None:
            nodes = source.reshape(len(source), len(share), -1, source.shape[2])
            every = np.concatenate([source, np.matmul(share, nodes)[:, :, 0]], 1)
        logits = np.empty((*h.shape[:2], sources.shape[1]), np.float32)
        heard = []
        for k in range(sources.shape[1]):
            heard.append(source if k == 0 else every[:, sources[:, k]])
            mixed = heard[k] + target
            np.maximum(mixed, NEGATIVE_SLOPE * mixed, out=mixed)
            logits[..., k] = (mixed @ w[name + "attention"])[..., 0]
        logits[:, ~present] = -np.inf
        weights = np.exp(logits - logits.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        out: Floats = sum(weights[..., k, None] * heard[k] for k in range(len(heard)))
        return out

    def node_embeddings(self, graphs: Graphs, last_hop: int | None = None) -> list[Floats]:
        """Node embeddings at hops 0..last_hop (M), each (members, graphs, nodes, dim); those of padded nodes are meaningless."""
        num_graphs, num_nodes = graphs.positions.shape
        categories = self.codebook.encode(graphs).reshape(num_graphs * num_nodes, -1)
        sources = graphs.sources.astype(np.intp)
        present = (sources != ABSENT).reshape(num_graphs * num_nodes, -1)
        graph = np.arange(num_graphs)[:, None, None]
        flat = np.where(sources == MEAN, num_graphs * num_nodes + graph, np.maximum(sources, 0) + graph * num_nodes)
        flat, share = flat.reshape(num_graphs * num_nodes, -1), _shares(graphs) if (sources == MEAN).any() else None
        h = self._values[:, categories]
        out = [h]
        for hop in range(self.num_hops if last_hop is None else last_hop):
            factor, shift = self._folded[hop]
            fresh = np.maximum(self._gat(hop, h, flat, present, share) * factor + shift, 0)
            h = fresh + h if hop else fresh
            out.append(h)
        return [x.reshape(self.members, num_graphs, num_nodes, -1) for x in out]

    def pooled(self, graphs: Graphs) -> list[Floats]:
        """Graph embeddings at hops 0..M, each (members, graphs, dim): means over the nodes of each graph."""
        share = _shares(graphs)
        return [np.matmul(share, h)[:, :, 0] for h in self.node_embeddings(graphs)]

    def forward(self, graphs: Graphs, structure: Floats) -> Outputs:
        """Predictions and graph embedding norms of a batch small enough for memory; structure is (graphs, dim), standardised."""
        pooled = self.pooled(graphs)
        return Outputs(self._read(pooled, structure), np.stack([g.sum(-1) for g in pooled], 1))

    def _read(self, pooled: list[Floats], structure: Floats) -> Floats:
        """(members, graphs) predictions from graph embeddings at all hops and what stands beside them."""
        w = self.weights
        whole = np.broadcast_to(structure, (self.members, *structure.shape))
        hidden = np.maximum(np.concatenate([pooled[-1], whole], -1) @ w["hidden_weight"] + w["hidden_bias"], 0)
        scores: Floats = hidden @ w["out_weight"] + w["out_bias"] + np.concatenate([*pooled, whole], -1) @ w["linear_weight"]
        return scores[..., 0]

    @cached_property
    def layers(self) -> Layers:
        """The layers of the space as coordinates."""
        return Layers(self.codebook.spec)

    @property
    def _chunk(self) -> int:
        """Architectures at a time."""
        num_positions = self.codebook.spec.num_positions
        return CHUNK if num_positions <= WIDE else max(WIDE_NODES // num_positions, 1)

    @property
    def hop_widths(self) -> list[int]:
        """Dimensions of the graph embeddings of hops 1..M."""
        return [self.weights[f"hops.{hop}.bias"].shape[-1] for hop in range(self.num_hops)]

    def coordinates(self, codes: Codes, graphs: Graphs, structure: Floats) -> Floats:
        """(graphs, columns) what the kernel compares: layers, structure, graph embeddings of hops 1..M of one random member."""
        pooled = [h[0] for h in self.pooled(graphs)[1:]] if self.num_hops else []
        return np.concatenate([self.layers.coordinates(codes), structure, *pooled], 1)

    def _outputs(self, codes: Codes) -> Outputs:
        """Of a chunk of codes: the two halves mixed."""
        graphs, structure = make_graphs(codes, self.codebook.spec), self.structure(codes)
        outputs = self.forward(graphs, structure)
        if self.solved is None:
            return outputs
        share = self.weights[GAUSSIAN + "share"]
        scores = (1 - share) * outputs.scores + share * self.solved.predict(codes, graphs, structure)
        if self.trees is not None:
            share = self.weights[TREES + "share"]
            scores = (1 - share) * scores + share * self.trees.predict(self.told(codes, structure))
        return Outputs(scores, outputs.graph_norms)

    def told(self, codes: Codes, structure: Floats) -> Floats:
        """(n, columns) what the trees ask of (n, num_positions) canonical codes: their layers and standardised structure."""
        return np.concatenate([self.layers.coordinates(codes), structure], 1)

    def _outputs_in(self, codes: Codes, contexts: Floats) -> Outputs:
        """As `_outputs` at (points, codes or 1, dim) contexts; scores are (points, members, codes)."""
        graphs, structure = make_graphs(codes, self.codebook.spec), self.structure(codes)
        pooled = self.pooled(graphs)
        every = np.broadcast_to(contexts, (len(contexts), len(codes), contexts.shape[2]))
        scores = np.stack([self._read(pooled, np.concatenate([structure, own], 1)) for own in every])
        if self.solved is not None:
            share = self.weights[GAUSSIAN + "share"]
            scores = (1 - share) * scores + share * self.solved.predict_in(codes, graphs, structure, contexts)
        return Outputs(scores, np.stack([g.sum(-1) for g in pooled], 1))

    def in_contexts(self, codes: Codes, contexts: Floats) -> Outputs:
        """Predictions of (n, num_positions) codes at (points, n or 1, dim) contexts; scores are (points, members, n)."""
        if not len(codes):
            return Outputs(np.zeros((len(contexts), self.members, 0), np.float32), self.predict(codes).graph_norms)

        def work(rows: NDArray[np.intp]) -> Outputs:
            return self._outputs_in(codes[rows], contexts if contexts.shape[1] == 1 else contexts[:, rows])

        parts = self.by_chunks(work, np.arange(len(codes)))
        return Outputs(np.concatenate([p.scores for p in parts], 2), np.concatenate([p.graph_norms for p in parts], 2))

    def by_chunks(self, work: Callable[[NDArray[Any]], Any], codes: NDArray[Any]) -> list[Any]:
        """The results of `work`, one a chunk, `threads` of them at a time.

        The chunks are of (n, num_positions) codes or (n,) row numbers.
        """
        chunks = [codes[start : start + self._chunk] for start in range(0, len(codes), self._chunk)]
        if len(chunks) < 2 or self.threads < 2:
            return [work(chunk) for chunk in chunks]
        with ThreadPoolExecutor(self.threads) as pool:
            return list(pool.map(work, chunks))

    def predict(self, codes: Codes, contexts: Floats | None = None) -> Outputs:
        """Predictions and graph embedding norms of any number of architectures.

        Args:
            codes: (n, num_positions).
            contexts: (n, dim) each one's own, where the ensemble was trained on contexts; without them at the points it holds at.
        """
        if len(codes) and contexts is not None:
            own = self.in_contexts(codes, contexts[None])
            return Outputs(own.scores[0], own.graph_norms)
        if len(codes) and self.points is not None:
            held = self.in_contexts(codes, self.points)
            return Outputs(self.mix(held.scores), held.graph_norms)
        parts = self.by_chunks(self._outputs, codes)
        if not parts:
            empty = np.zeros((self.members, 0), np.float32)
            return Outputs(empty, np.zeros((self.members, self.num_hops + 1, 0), np.float32))
        return Outputs(np.concatenate([p.scores for p in parts], 1), np.concatenate([p.graph_norms for p in parts], 2))

    def node_norms(self, codes: Codes, hop: int) -> Floats:
        """(members, n, nodes of the topology) norm of each node's embedding at a hop; NaN where it is absent."""
        spec = self.codebook.spec
        out = np.full((self.members, len(codes), topology_of(spec).num_nodes), np.nan, np.float32)

        def place(chunk: Codes) -> Floats:
            graphs = make_graphs(chunk, spec)
            norms = self.node_embeddings(graphs, hop)[hop].sum(-1)  # (members, graphs, nodes)
            part = np.full((self.members, len(chunk), out.shape[2]), np.nan, np.float32)
            rows, nodes = np.nonzero(graphs.mask)
            part[:, rows, graphs.positions[rows, nodes]] = norms[:, rows, nodes]
            return part

        for start, part in zip(range(0, len(codes), self._chunk), self.by_chunks(place, codes), strict=True):
            out[:, start : start + self._chunk] = part
        return out
