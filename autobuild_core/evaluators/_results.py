"""A measurement as a line of a file: what was measured, with what, and how it ended.

`inspect` and `train` read such lines as a tracker's file (docs/evaluators.md).
"""

import json
import math
import time
from collections.abc import Mapping
from typing import Any

from autobuild_core.errors import StudioError
from autobuild_core.evaluators import Conditions, Evaluator, Report

FINISHED, FAILED, DIVERGED = "finished", "failed", "diverged"
Line = dict[str, Any]


def measure(
    name: str, evaluator: Evaluator, arch: Any, at: Conditions, report: Report = lambda metrics: None
) -> tuple[Line, list[Mapping[str, float]]]:
    """Measures one architecture; whatever happens, there is a line.

    Args:
        name: of the evaluator.
        evaluator: the evaluator.
        arch: in its native encoding.
        at: budget, seed and device.
        report: hears the metrics after every epoch.

    Returns:
        (the line: {"arch", "seed", metrics..., "evaluator", "version", "data", "budget", "device", "seconds", "state"}, with "reason"
        where it failed; the metrics after every epoch).
    """
    from autobuild_core.evaluators._training import Diverged

    start = time.perf_counter()
    curve: list[Mapping[str, float]] = []

    def heard(metrics: Mapping[str, float]) -> None:
        curve.append(metrics)
        report(metrics)

    metrics: dict[str, Any] = {}
    state, reason = FINISHED, ""
    try:
        measured = evaluator.evaluate(arch, at, heard)
        metrics = dict(measured.metrics) | dict(measured.artefacts or {})
        if not all(math.isfinite(value) for value in measured.metrics.values()):
            metrics, state, reason = {}, DIVERGED, "a metric is no finite number"
    except Diverged as error:
        state, reason = DIVERGED, str(error)
    except StudioError as error:
        state, reason = FAILED, str(error)
    line = {"arch": arch, "seed": at.seed} | metrics
    line |= {"evaluator": name, "version": evaluator.version, "data": evaluator.data(), "budget": at.budget, "device": at.device}
    line |= {"seconds": round(time.perf_counter() - start, 3), "state": state} | ({"reason": reason} if reason else {})
    return line, curve


def key_of(line: Mapping[str, Any]) -> tuple[str, int]:
    """(architecture as JSON, seed) of a line."""
    return json.dumps(line["arch"], sort_keys=True), int(line["seed"])
