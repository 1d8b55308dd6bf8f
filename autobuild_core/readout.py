"""The solved half of the ensemble: a graph network whose message passing stays random and whose readout is solved exactly.

Few architectures do not determine a message-passing network, but they do determine a linear readout of many random ones: the prediction
is a Gaussian process over graphs whose kernel weights are found by evidence. It orders well from 50 architectures on, and the trained
half takes over where there is more to learn; `inference.py` mixes both by what each predicts of held-out architectures.

Source: random features (Rahimi and Recht, NIPS 2007) of a graph network at initialisation; evidence as in Rasmussen and Williams,
"Gaussian Processes for Machine Learning", 2006, equation 5.8. The combination is ours.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autobuild_core.features import Codebook
from autobuild_core.graphs import Graphs, make_graphs
from autobuild_core.network import CHUNK, Floats, Network
from autobuild_core.records import Codes

Array = NDArray[np.float64]
NUM_RANDOM = 512  # rectified random projections of the layer counts
MAX_NETWORKS = 1000  # beyond this many the readout is not solved: the trained half predicts alone
MAX_EVIDENCE = 300  # rows from which the kernel weights are found
BIAS_VARIANCE = 1e-2
LOG_PRIOR = (-1.0, -3.0, 2.0)  # mean of a kernel's log weight, of the noise's, and their standard deviation


class Readout:
    """The solved half, ready to predict.

    Args:
        network: one random member, whose graph embeddings are read.
        weights: "solved.projection" (dim + 1, NUM_RANDOM), last row a bias; "solved.readout" (features, members) and "solved.bias" (members,).
    """

    def __init__(self, network: Network, weights: dict[str, Floats]) -> None:
        self.network, self.weights = network, weights

    def groups(self, codes: Codes) -> list[Array]:
        """Groups of features, each (n, dim): structure and layer counts, the random hops' graph embeddings, rectified projections."""
        return _groups(self.network, self.weights["solved.projection"], codes)

    def predict(self, codes: Codes) -> Floats:
        """(members, n) predicted normal scores of (n, num_positions) canonical codes."""
        parts = [np.zeros((0, len(self.weights["solved.bias"])))]
        for start in range(0, len(codes), CHUNK):
            features = np.concatenate(self.groups(codes[start : start + CHUNK]), 1)
            parts.append(features.astype(np.float32) @ self.weights["solved.readout"] + self.weights["solved.bias"])
        predicted: Floats = np.concatenate(parts).T.astype(np.float32)
        return predicted


def _one_hot(codes: Codes, num_tokens: int) -> Array:
    """(n, num_positions * num_tokens), zero where a position is absent."""
    hot: Array = (codes[:, :, None] == np.arange(num_tokens)).reshape(len(codes), -1).astype(float)
    return hot


def _groups(network: Network, projection: Floats, codes: Codes) -> list[Array]:
    spec = network.codebook.spec
    graphs = make_graphs(codes, spec)
    share = (graphs.mask / np.maximum(graphs.mask.sum(1, keepdims=True), 1)).astype(np.float32)
    pooled = [np.einsum("gnd,gn->gd", h[0], share).astype(float) for h in network.node_embeddings(graphs)[1:]]
    structure, layers = network.structure(codes).astype(float), _one_hot(codes, len(spec.tokens)) / np.sqrt(spec.num_positions)
    both = np.concatenate([structure, layers], 1)
    rectified = [np.maximum(part @ projection[: part.shape[1]] + projection[-1], 0) for part in (both,)]
    return [structure, layers, *pooled, *rectified]
