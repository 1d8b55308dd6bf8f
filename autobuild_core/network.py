"""The predictor's forward pass in numpy, evaluation mode: what predicts wherever torch is not wanted.

Equal to `model.Predictor` at 1e-5 (tested). The weights are those of its state_dict, by the same names, with batch
norm folded to a scale and a shift.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autobuild_core.features import Codebook
from autobuild_core.graphs import Graphs, make_graphs
from autobuild_core.records import Codes

Floats = NDArray[np.float32]
NEGATIVE_SLOPE = 0.2  # GATv2's LeakyReLU
NORM_EPS = 1e-5
CHUNK = 1024  # graphs at a time: their node embeddings stay in the processor's cache


@dataclass(frozen=True, eq=False)
class Outputs:
    """What the ensemble says of a batch of graphs.

    Args:
        scores: (members, graphs) predicted normal scores.
        graph_norms: (members, hops + 1, graphs) embedding norms of the graphs.
    """

    scores: Floats
    graph_norms: Floats


class Network:
    """An ensemble of trained predictors.

    Args:
        weights: name -> array with a leading dimension of members.
        codebook: the node features they were trained with.
        num_hops: message-passing layers.
    """

    def __init__(self, weights: dict[str, Floats], codebook: Codebook, num_hops: int) -> None:
        self.weights, self.codebook, self.num_hops = weights, codebook, num_hops
        self.members = len(weights["out_bias"])
        self._values = self._category_values()
        self._folded = [self._fold(hop) for hop in range(num_hops)]

    def category_values(self) -> Floats:
        """(members, categories) the one number that the FE-MLP gives each category."""
        return self._values

    def _category_values(self) -> Floats:
        w, feature_of = self.weights, self.codebook.feature_of
        hidden = np.maximum(w["embedding.table"], 0) * w["embedding.out"][:, feature_of]
        raw = hidden.sum(-1) + w["embedding.bias"][:, feature_of]
        softplus: Floats = np.logaddexp(0, raw).astype(np.float32)
        return softplus

    def _fold(self, hop: int) -> tuple[Floats, Floats]:
        """(factor, shift), each (members, 1, dim), of a hop's batch norm and GATv2's bias together."""
        w, name = self.weights, f"norms.{hop}."
        factor = w[name + "scale"] / np.sqrt(w[name + "variance"] + NORM_EPS)
        shift = w[name + "shift"] + (w[f"hops.{hop}.bias"] - w[name + "mean"]) * factor
        return factor.astype(np.float32), shift.astype(np.float32)

    def _gat(self, hop: int, h: Floats, sources: NDArray[np.intp], present: NDArray[np.bool_]) -> Floats:
        """One GATv2 layer without its bias; h (members, nodes, dim), sources and present (nodes, degree)."""
        w, name = self.weights, f"hops.{hop}."
        source = h @ w[name + "weight_source"] + w[name + "bias_source"]
        target = h @ w[name + "weight_target"] + w[name + "bias_target"]
        logits = np.empty((*h.shape[:2], sources.shape[1]), np.float32)
        heard = []
        for k in range(sources.shape[1]):
            heard.append(source if k == 0 else source[:, sources[:, k]])
            mixed = heard[k] + target
            np.maximum(mixed, NEGATIVE_SLOPE * mixed, out=mixed)
            logits[..., k] = (mixed @ w[name + "attention"])[..., 0]
        logits[:, ~present] = -np.inf
        weights = np.exp(logits - logits.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        out: Floats = sum(weights[..., k, None] * heard[k] for k in range(len(heard)))
        return out

    def node_embeddings(self, graphs: Graphs) -> list[Floats]:
        """Node embeddings at hops 0..M, each (members, graphs, nodes, dim); those of padded nodes are meaningless."""
        num_graphs, num_nodes = graphs.positions.shape
        categories = self.codebook.encode(graphs).reshape(num_graphs * num_nodes, -1)
        sources = graphs.sources.astype(np.intp)
        present = (sources >= 0).reshape(num_graphs * num_nodes, -1)
        offset = (np.arange(num_graphs) * num_nodes)[:, None, None]
        flat = (np.maximum(sources, 0) + offset).reshape(num_graphs * num_nodes, -1)
        h = self._values[:, categories]
        out = [h]
        for hop in range(self.num_hops):
            factor, shift = self._folded[hop]
            fresh = np.maximum(self._gat(hop, h, flat, present) * factor + shift, 0)
            h = fresh + h if hop else fresh
            out.append(h)
        return [x.reshape(self.members, num_graphs, num_nodes, -1) for x in out]

    def forward(self, graphs: Graphs) -> Outputs:
        """Predictions and graph embedding norms of a batch small enough for memory."""
        w = self.weights
        share = (graphs.mask / np.maximum(graphs.mask.sum(1, keepdims=True), 1)).astype(np.float32)
        pooled = [np.einsum("mgnd,gn->mgd", h, share, optimize=True) for h in self.node_embeddings(graphs)]
        norms = np.stack([g.sum(-1) for g in pooled], 1)
        hidden = np.maximum(pooled[-1] @ w["hidden_weight"] + w["hidden_bias"], 0)
        scores = hidden @ w["out_weight"] + w["out_bias"] + np.concatenate(pooled, -1) @ w["linear_weight"]
        return Outputs(scores[..., 0], norms)

    def predict(self, codes: Codes) -> Outputs:
        """Predictions and graph embedding norms of any number of architectures; codes (n, num_positions)."""
        spec = self.codebook.spec
        parts = [self.forward(make_graphs(codes[start : start + CHUNK], spec)) for start in range(0, len(codes), CHUNK)]
        if not parts:
            empty = np.zeros((self.members, 0), np.float32)
            return Outputs(empty, np.zeros((self.members, self.num_hops + 1, 0), np.float32))
        return Outputs(np.concatenate([p.scores for p in parts], 1), np.concatenate([p.graph_norms for p in parts], 2))

    def node_norms(self, codes: Codes, hop: int) -> Floats:
        """(members, n, num_positions + num_states) norm of each node's embedding at a hop; NaN where it is absent."""
        spec = self.codebook.spec
        out = np.full((self.members, len(codes), spec.num_positions + spec.num_states), np.nan, np.float32)
        for start in range(0, len(codes), CHUNK):
            graphs = make_graphs(codes[start : start + CHUNK], spec)
            norms = self.node_embeddings(graphs)[hop].sum(-1)  # (members, graphs, nodes)
            rows, nodes = np.nonzero(graphs.mask)
            out[:, rows + start, graphs.positions[rows, nodes]] = norms[:, rows, nodes]
        return out
