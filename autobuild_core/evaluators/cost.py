"""Cost: parameters and multiply-adds of the networks that the project makes, counted on the network itself."""

from typing import Any, final

from autobuild_core.evaluators import Conditions, Evaluator, Measured, Watch
from autobuild_core.evaluators._networks import PUBLISHED_NETWORKS, family_of


@final
class Cost(Evaluator):
    """`params_m` and `madds_m` (of one input), both in millions, exact.

    Source: `torch.utils.flop_counter`: convolutions, matrix products and attention; two operations are a multiply-add.
    """

    title = "Cost"
    about = "counts parameters and multiply-adds"
    metrics = ("madds_m", "params_m")
    typical_seconds = (0.1, 0.1)
    by_seed = False
    by_device = False

    def data(self) -> str:
        return "none"

    def check(self, arch: Any) -> None:
        family_of(arch)

    def evaluate(self, arch: Any, at: Conditions, watch: Watch) -> Measured:
        import torch
        from torch.utils.flop_counter import FlopCounterMode

        watch.step()
        family = family_of(arch)
        network = family.make(arch).eval()
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network(*family.inputs(arch, 1))
        params = sum(parameter.numel() for parameter in network.parameters())
        remark = ""
        if family is PUBLISHED_NETWORKS and (num := PUBLISHED_NETWORKS.check(arch).num_with_se):
            remark = f"squeeze and excitation of {num} blocks is not counted: how it is made was not published."
        return Measured({"madds_m": counter.get_total_flops() / 2e6, "params_m": params / 1e6}, remark=remark)
