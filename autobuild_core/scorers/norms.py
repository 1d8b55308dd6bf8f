"""The paper's norms, standardised as published."""

from collections.abc import Callable
from typing import final

import numpy as np
import pandas as pd

from autobuild_core.architectures.modules import ModuleGroup, active_rows, eligible_rows
from autobuild_core.architectures.topologies import topology_of
from autobuild_core.scorers._learned import Array, DataScorer, around, score_frame
from autobuild_core.scoring.intervals import jackknife_half_width
from autobuild_core.scoring.population import pooled

MOST_MOMENTS = 400  # evaluated networks whose nodes give the moments of a hop: thousands of nodes


@final
class PublishedNorms(DataScorer):
    """The norm of a module's last node at hop L - 1, standardised over all nodes at that hop, scaled to architectures' targets.

    Source: Mills et al., CVPR 2024 (AutoBuild), section 3.3 and the published code; our network and training. Kept as published,
    its limits too: moments are those of all nodes at a hop, not of the modules that compete; the spread is that of architectures,
    not of modules; so the number orders modules and estimates no definite quantity. Where no evaluated architecture has layers at
    the module's places, the published code takes moments 0 and 1; here it is the mean and spread of all targets.
    """

    title = "Paper's norms"
    explained = "AutoBuild's own score as published: an order by magnitude at the module's hop, not an estimate of a mean"

    def score(self, groups: list[ModuleGroup], report: Callable[[float], None] = lambda share: None) -> list[pd.DataFrame]:
        ensemble, values, topology = self.predictor.ensemble, self.evaluated.values, topology_of(self.predictor.spec)
        looked_at = self.evaluated.codes[:MOST_MOMENTS]  # by hash, hence at random
        moments: dict[int, tuple[Array, Array]] = {}
        frames = []
        for number, group in enumerate(groups):
            sink, hop = topology.sink(group)
            hop = min(hop, ensemble.num_hops)
            if hop not in moments:
                nodes = ensemble.node_norms(looked_at, hop).astype(float)
                nodes = nodes[:, ~np.isnan(nodes[0])]
                moments[hop] = nodes.mean(1), np.maximum(nodes.std(1), 1e-12)
            mean, spread = moments[hop]
            contexts = topology.contexts(group)
            alone = np.mean([ensemble.node_norms(codes, hop)[:, :, sink].astype(float) for codes in contexts], axis=0)
            standard = pooled((alone - mean[:, None]) / spread[:, None], group)
            rows = eligible_rows(self.evaluated.codes, group, self.predictor.spec)
            alike = values[rows] if len(rows) > 1 else values
            score = float(alike.mean()) + self.predictor.scaling.sign * float(alike.std()) * standard
            beside = values[active_rows(self.evaluated.codes, group, self.predictor.spec)]
            lenses = {"score": score, "effect": score - float((beside if len(beside) else values).mean())}
            frame = score_frame(**{name: around(v, jackknife_half_width(v)) for name, v in lenses.items()})
            frame["embedding_norm"] = standard.mean(0)
            frames.append(frame)
            report((number + 1) / len(groups))
        return frames
