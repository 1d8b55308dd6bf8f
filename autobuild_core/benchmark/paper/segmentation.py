"""Segmentation: encoder-decoders built for panoptic quality against the best of the evaluated set and AutoBuild's own recipe."""

from autobuild_core.benchmark.paper.arms import OURS, PUBLISHED
from autobuild_core.benchmark.paper.building import Building
from autobuild_core.targets.aim import Aim

EXPERIMENT = Building(
    name="segmentation",
    title="Segmentation: panoptic quality of what is built",
    about=(
        "Source: AutoBuild, section 4, which builds for panoptic quality. The labels of all arms are the "
        "encoder-decoders of the sample `segmentation`, some of them trained twice. Ours: data, evaluator "
        "and scale, and that each pick is trained anew on seeds that no selection saw. The published recipe "
        "gives every unit at least one layer, so it leaves no decoder stage out."
    ),
    data="segmentation/segmentation.csv",
    evaluator="segmentation",
    aims=(Aim("pq_pct", name="panoptic quality"),),
    arms=(OURS, PUBLISHED),
)
