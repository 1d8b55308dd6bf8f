"""Classification: networks built for four targets against the best of the evaluated set, AutoBuild's own recipe and evolution."""

from autobuild_core.benchmark.paper.arms import EVOLUTION, OURS, PUBLISHED
from autobuild_core.benchmark.paper.building import Building
from autobuild_core.targets.aim import Aim

LATENCY = "latency_cpu_ms"

EXPERIMENT = Building(
    name="classification",
    title="Classification: what is built against what was evaluated",
    about=(
        "Source: AutoBuild (Mills et al., CVPR 2024), section 4, whose targets these are. 304 networks of "
        "the sample `fashion_mbconv` with two trainings each are the labels of all arms. Ours: data, "
        "evaluator and scale; the arm of evolution, whose population is the evaluated set and which hears "
        "of every network before it proposes the next; and that each pick is trained anew on seeds that no "
        "selection saw. Latency is measured in rounds over all networks of all arms, after the trainings; "
        "that of the final picks once more, in rounds of their own. It is one number a network, so "
        "intervals have the noise of trainings alone. Latencies among the labels are of another day and "
        "perhaps of a slower machine, so a label and the value on unseen seeds differ by that too, beside luck; "
        "evolution hears latencies on the labels' scale. Under the logarithm stand tenths of milliseconds: "
        "networks this small take about one millisecond, where the logarithm of milliseconds is zero and "
        "the target has no bound."
    ),
    data="fashion_mbconv/fashion_mbconv.csv",
    evaluator="classification",
    aims=(
        Aim("test_loss", minimize=True, name="loss"),
        Aim("100**(map_pct/100)", name="accuracy"),
        Aim(f"100**(map_pct/100) / log10(10 * {LATENCY})", name="accuracy by log latency"),
        Aim(f"map_pct/100 / {LATENCY}", name="accuracy by latency"),
    ),
    arms=(OURS, PUBLISHED, EVOLUTION),
    trainings_a_row=2,
    latency="latency",
    latency_metric=LATENCY,
)
