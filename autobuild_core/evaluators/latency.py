"""Latency: how long a network takes for a batch of inputs, measured in rounds over all architectures."""

import os
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, final

import numpy as np

from autobuild_core.evaluators import Conditions, Evaluator, Measured, Watch
from autobuild_core.evaluators._networks import family_of

if TYPE_CHECKING:
    from torch import Tensor, nn

BATCH_SIZE, NUM_REPEATS = 32, 5
BUSY = 0.25  # load of other processes, of one processor, from which a machine is called busy


@final
class Latency(Evaluator):
    """`latency_ms` of 32 inputs in torch eager mode, one thread on the CPU: the median over rounds of the fastest of five runs.

    9 rounds unasked, each over all architectures and after a run to warm up, so that a slow moment of the machine does not fall
    on a few of them. `latency_spread_pct` is half the distance between the quartiles of an architecture's rounds. A remark says
    how well odd and even rounds agree, and whether the machine was busy with something else when it began.
    """

    title = "Latency"
    about = "times networks on this machine, round by round"
    budget = 9
    metrics = ("latency_ms", "latency_spread_pct")
    typical_seconds = (0.5, 0.5)
    by_seed = False
    at_once = 8

    def data(self) -> str:
        return f"{BATCH_SIZE}_inputs"

    def check(self, arch: Any) -> None:
        family_of(arch)

    def evaluate(self, arch: Any, at: Conditions, watch: Watch) -> Measured:
        return next(self.evaluate_together([arch], at, watch))

    def evaluate_together(self, archs: Sequence[Any], at: Conditions, watch: Watch) -> Iterator[Measured]:
        import torch

        load, threads = os.getloadavg()[0], torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            times = self._rounds(archs, at, watch)
        finally:
            torch.set_num_threads(threads)
        medians = np.median(times, 0)
        spread = 50 * np.subtract(*np.percentile(times, [75, 25], axis=0)) / medians
        remark = remark_of(times, load)
        for median, width in zip(medians, spread, strict=True):
            yield Measured({"latency_ms": float(median), "latency_spread_pct": float(width)}, remark=remark)

    @staticmethod
    def _rounds(archs: Sequence[Any], at: Conditions, watch: Watch) -> "np.ndarray[Any, np.dtype[np.float64]]":
        """(rounds, architectures) milliseconds."""
        import torch

        made: list[tuple[nn.Module, tuple[Tensor, ...]]] = []
        for arch in archs:
            family = family_of(arch)
            network = family.make(arch).eval().to(at.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
            made.append((network, tuple(part.to(at.device) for part in family.inputs(arch, BATCH_SIZE))))
        times = np.zeros((at.budget, len(made)))
        with torch.inference_mode():
            for row in range(at.budget):
                for column, (network, inputs) in enumerate(made):
                    watch.step()
                    times[row, column] = 1000 * fastest(network, inputs)
        return times


def fastest(network: "nn.Module", inputs: "tuple[Tensor, ...]") -> float:
    """Seconds of the fastest of NUM_REPEATS runs after one to warm up."""
    import torch

    on_gpu = inputs[0].device.type == "cuda"
    network(*inputs)
    seconds = []
    for _ in range(NUM_REPEATS):
        if on_gpu:
            torch.cuda.synchronize()
        start = time.perf_counter()
        network(*inputs)
        if on_gpu:
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def remark_of(times: "np.ndarray[Any, np.dtype[np.float64]]", load: float) -> str:
    """A sentence on how well the rounds agree, and whether the machine was busy.

    Args:
        times: (rounds, architectures).
        load: load average of the last minute when the measuring began.
    """
    parts = []
    if times.shape[0] > 1 and times.shape[1] > 2:
        halves = np.median(times[0::2], 0), np.median(times[1::2], 0)
        parts.append(f"odd and even rounds correlate at {np.corrcoef(*halves)[0, 1]:.3f}")
    if load > BUSY:
        parts.append(f"the machine was busy (load {load:.1f} before it began)")
    return "; ".join(parts)
