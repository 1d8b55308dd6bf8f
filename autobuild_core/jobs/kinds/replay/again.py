"""The final picks of a replay, evaluated with seeds that no loop saw: what was chosen for its luck loses it here."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from autobuild_core.evaluators import load_evaluator
from autobuild_core.evaluators._batch import Candidates, evaluate
from autobuild_core.evaluators._results import FINISHED
from autobuild_core.jobs.kinds.replay.plan import ReplayPlan
from autobuild_core.spaces import Space
from autobuild_core.targets.equation import Target


@dataclass(frozen=True)
class Again:
    """Evaluations of final picks.

    Args:
        evaluator: by name.
        first_seed: that no loop saw; the others follow.
        seeds: how many.
        budget: of each evaluation; None = the evaluator's own.
        device: "cpu" or "cuda".
    """

    evaluator: str
    first_seed: int
    seeds: int = 1
    budget: int | None = None
    device: str = "cpu"

    def judge(
        self,
        curves: pd.DataFrame,
        plan: ReplayPlan,
        space: Space,
        out: Path,
        report: Callable[[Mapping[str, object]], None] = lambda record: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> pd.DataFrame:
        """The curves with a column `again`: the judge's equation of the mean over the seeds, of final picks; else NaN.

        Args:
            curves: of `replaying.Replay.run`.
            plan: the protocol.
            space: that was searched.
            out: JSON lines of results; what is there is not evaluated again.
            report, should_stop: as `evaluators._batch.run_batch` has them.

        Raises:
            ConfigError: a setting does not do.
            Cancelled: should_stop said so.
            TargetError: the judge is no equation over the evaluator's metrics.
        """
        is_text = isinstance(space.native(space.sample(1, np.random.default_rng(0))[0]), str)
        is_final = (curves["evaluations"] == plan.evaluations) & (curves["arch"] != "")
        texts = list(dict.fromkeys(curves.loc[is_final, "arch"]))
        archs = tuple(text if is_text else json.loads(text) for text in texts)
        about = load_evaluator(self.evaluator), self.evaluator, out, self.seeds, self.first_seed, self.budget, self.device, None
        lines = evaluate(Candidates(archs), *about, report, should_stop)
        frame = pd.DataFrame([line for line in lines if line["state"] == FINISHED])
        own = frame.groupby(frame["arch"].map(lambda arch: arch if isinstance(arch, str) else json.dumps(arch)))
        means = own.mean(numeric_only=True)
        values = pd.Series(Target(plan.judged, plan.minimize).values(means), means.index)
        return curves.assign(again=curves["arch"].map(values).where(is_final))
