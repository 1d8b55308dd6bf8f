"""Produces the sample data: MBConv networks trained for real on overlaid Fashion-MNIST items.

    python sample_data/make_fashion_mbconv.py train --shard 0 --num-shards 2   # resumable, one process a shard
    python sample_data/make_fashion_mbconv.py latency                          # on an idle machine, afterwards
    python sample_data/make_fashion_mbconv.py assemble                         # writes the CSV and PROVENANCE.md

The search space: four stages; each stage chooses a kernel size (3, 5, 7), an expansion (1, 3, 6) and a depth
(1, 2, 3) that all its layers share: 27 choices a stage, 531,441 networks, no two of which are the same.
The task: two Fashion-MNIST items of different classes, each flipped at random and rolled by up to 6 pixels,
overlaid by their maximum; the network names both classes. Plain Fashion-MNIST does not tell architectures
apart at such a budget, this does. Needs Debian's package dataset-fashion-mnist.
"""

import argparse
import gzip
import json
import os
import platform
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

HERE = Path(__file__).resolve().parent
FOLDER = HERE / "fashion_mbconv"
DATASET = Path("/usr/share/datasets/fashion-mnist")
NUM_STAGES = 4
KERNELS, EXPANSIONS, DEPTHS = (3, 5, 7), (1, 3, 6), (1, 2, 3)
WIDTHS, STRIDES, HEAD_WIDTH, NUM_CLASSES = (8, 16, 24, 32), (2, 1, 2, 1), 64, 10
SEEDS = (0, 1)
NUM_STEPS, NUM_EPOCHS, BATCH_SIZE, MAX_LR = 400, 4, 64, 0.003
NUM_TEST, NUM_TEST_PER_EPOCH = 10_000, 1_000
METRICS = ("test_loss", "map_pct", "recall_at_2_pct")

Stage = tuple[int, int, int]  # kernel, expansion, depth
Architecture = tuple[Stage, ...]


def sample_architectures(num: int, seed: int = 2026) -> list[Architecture]:
    """The first `num` distinct architectures of one fixed random order, so that a longer run extends a shorter one."""
    rng = np.random.default_rng(seed)
    drawn: dict[Architecture, None] = {}
    while len(drawn) < num:
        stages = rng.integers(3, size=(NUM_STAGES, 3))
        drawn[tuple((KERNELS[k], EXPANSIONS[e], DEPTHS[d]) for k, e, d in stages)] = None
    return list(drawn)


class SmallMapDepthwise(torch.autograd.Function):
    """Depthwise convolution (stride 1) of a map smaller than its kernel, with a fast gradient of the weight.

    oneDNN has no fast kernel for that gradient: it took half of the training time. Here it is the correlation of
    every input with every output place, added up by offset.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return nn.functional.conv2d(x, weight, None, 1, weight.shape[-1] // 2, groups=len(weight))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        (gradient,), (x, weight) = gradients, ctx.saved_tensors
        width, kernel, (batch, _, side, _) = len(weight), weight.shape[-1], x.shape
        pad = [kernel // 2] * 2
        only_input = [True, False, False]
        by_input = torch.ops.aten.convolution_backward(
            gradient, x, weight, None, [1, 1], pad, [1, 1], False, [0, 0], width, only_input
        )[0]
        inputs = x.permute(0, 2, 3, 1).reshape(batch, side**2, 1, width)
        outputs = gradient.permute(0, 2, 3, 1).reshape(batch, 1, side**2, width)
        products = torch.zeros(side**2, side**2, width)
        for start in range(0, batch, 8):  # eight at a time stay in the cache
            products += (inputs[start : start + 8] * outputs[start : start + 8]).sum(0)
        offset = torch.arange(side)[:, None] - torch.arange(side) + kernel // 2  # (in, out) along one axis
        inside = (offset >= 0) & (offset < kernel)
        index = (offset[:, None, :, None] * kernel + offset[None, :, None, :]).flatten()
        kept = (inside[:, None, :, None] & inside[None, :, None, :]).flatten()
        by_offset = torch.zeros(kernel**2, width).index_add_(0, index[kept], products.reshape(-1, width)[kept])
        return by_input, by_offset.t().reshape(weight.shape)


class DepthwiseConv(nn.Conv2d):
    """A same-padded depthwise convolution that avoids two backward passes oneDNN is 10 to 60 times slower at."""

    def __init__(self, width: int, kernel: int, stride: int) -> None:
        super().__init__(width, width, kernel, stride, kernel // 2, groups=width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        if x.shape[-1] < kernel and stride == 1 and torch.is_grad_enabled():
            return SmallMapDepthwise.apply(x, self.weight)  # type: ignore[no-any-return,no-untyped-call]
        if kernel == 3 and stride == 2:
            padded = nn.functional.pad(x, (kernel // 2,) * 4)
            return nn.functional.conv2d(padded, self.weight, None, stride, groups=self.groups)
        return super().forward(x)


class MBConv(nn.Module):
    """Inverted residual block (MobileNetV2): 1x1 expand (unless expansion 1), depthwise, 1x1 project, residual."""

    def __init__(self, in_width: int, width: int, kernel: int, expansion: int, stride: int) -> None:
        super().__init__()
        hidden = in_width * expansion
        layers: list[nn.Module] = []
        if expansion > 1:
            layers += [nn.Conv2d(in_width, hidden, 1, bias=False), nn.BatchNorm2d(hidden), nn.ReLU(inplace=True)]
        layers += [
            DepthwiseConv(hidden, kernel, stride),
            nn.BatchNorm2d(hidden),
            nn.ReLU(inplace=True),
            nn.Conv2d(hidden, width, 1, bias=False),
        ]
        norm = nn.BatchNorm2d(width)
        self.residual = stride == 1 and in_width == width
        if self.residual:  # starts as the identity, which steadies short trainings
            nn.init.zeros_(norm.weight)
        self.body = nn.Sequential(*layers, norm)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.body(x)
        return x + out if self.residual else out


def make_network(architecture: Architecture) -> nn.Sequential:
    """Stem (stride 2), the stages, a 1x1 head, pooling and a linear classifier; input (batch, 1, 28, 28)."""
    width = WIDTHS[0]
    layers: list[nn.Module] = [nn.Conv2d(1, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
    for (kernel, expansion, depth), stage_width, stride in zip(architecture, WIDTHS, STRIDES, strict=True):
        for index in range(depth):
            layers.append(MBConv(width, stage_width, kernel, expansion, stride if index == 0 else 1))
            width = stage_width
    layers += [nn.Conv2d(width, HEAD_WIDTH, 1, bias=False), nn.BatchNorm2d(HEAD_WIDTH), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(HEAD_WIDTH, NUM_CLASSES))


def count_costs(network: nn.Module) -> tuple[float, float]:
    """(parameters, multiply-adds of one 28x28 image), both in millions, counted by hooks on conv and linear layers."""
    madds = 0

    def count(layer: nn.Module, _: object, output: Tensor) -> None:
        nonlocal madds
        assert isinstance(layer, nn.Conv2d | nn.Linear)
        positions = output.shape[2] * output.shape[3] if isinstance(layer, nn.Conv2d) else 1
        madds += layer.weight.numel() * positions

    hooks = [m.register_forward_hook(count) for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    with torch.no_grad():
        network.eval()(torch.zeros(1, 1, 28, 28))
    for hook in hooks:
        hook.remove()
    return sum(p.numel() for p in network.parameters()) / 1e6, madds / 1e6


def read_idx(name: str) -> np.ndarray:
    """An IDX file of the MNIST family as a uint8 array."""
    with gzip.open(DATASET / name, "rb") as file:
        raw = file.read()
    num_dims = raw[3]
    shape = np.frombuffer(raw, ">i4", num_dims, 4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * num_dims).reshape(shape).copy()


class OverlayTask:
    """Batches of overlaid pairs drawn from one split; the same generator state gives the same batch."""

    def __init__(self, split: str) -> None:
        self.images = torch.from_numpy(read_idx(f"{split}-images-idx3-ubyte.gz"))  # (n, 28, 28)
        self.labels = torch.from_numpy(read_idx(f"{split}-labels-idx1-ubyte.gz")).long()  # (n,)

    def draw(self, num: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Images (num, 1, 28, 28) scaled to about unit variance, and two-hot labels (num, 10)."""
        size = len(self.labels)
        first = torch.randint(size, (num,), generator=generator)
        second = torch.randint(size, (num,), generator=generator)
        while (same := self.labels[first] == self.labels[second]).any():
            second[same] = torch.randint(size, (int(same.sum()),), generator=generator)
        overlaid = torch.maximum(self._transform(first, generator), self._transform(second, generator))
        targets = torch.zeros(num, NUM_CLASSES)
        targets.scatter_(1, self.labels[first][:, None], 1.0)
        targets.scatter_(1, self.labels[second][:, None], 1.0)
        return (overlaid.float()[:, None] / 255 - 0.4) / 0.35, targets

    def _transform(self, index: Tensor, generator: torch.Generator) -> Tensor:
        """The indexed images, each rolled by up to 6 pixels in both directions and flipped with probability 1/2."""
        num, side = len(index), torch.arange(28)
        roll = torch.randint(-6, 7, (2, num, 1), generator=generator)
        flip = torch.randint(2, (num, 1), generator=generator).bool()
        rows, columns = (side - roll[0]) % 28, (side - roll[1]) % 28  # (num, 28)
        columns = torch.where(flip, 27 - columns, columns)
        return self.images[index[:, None, None], rows[:, :, None], columns[:, None, :]]


def average_precision_pct(scores: Tensor, targets: Tensor) -> float:
    """Mean over classes of the average precision, in percent (scikit-learn's definition)."""
    from sklearn.metrics import average_precision_score

    return 100 * float(average_precision_score(targets.numpy(), scores.numpy(), average="macro"))


@torch.no_grad()
def evaluate(network: nn.Module, images: Tensor, targets: Tensor) -> dict[str, float]:
    """Test loss (mean binary cross entropy), mAP and recall at 2, over the given pairs."""
    network.eval()
    logits = torch.cat([network(part) for part in images.split(500)])
    loss = nn.functional.binary_cross_entropy_with_logits(logits, targets)
    top = logits.topk(2, dim=1).indices
    recall = 100 * targets.gather(1, top).mean()
    return dict(zip(METRICS, (float(loss), average_precision_pct(logits, targets), float(recall)), strict=True))


def train_one(architecture: Architecture, seed: int, task: OverlayTask, test: tuple[Tensor, Tensor]) -> dict[str, object]:
    """Trains one network from scratch; the final metrics on all test pairs, and a curve on the first 1,000."""
    start = time.perf_counter()
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    network = make_network(architecture).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(network.parameters(), lr=MAX_LR, weight_decay=0.01, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, MAX_LR, total_steps=NUM_STEPS)
    curve, losses = [], []
    for step in range(1, NUM_STEPS + 1):
        images, targets = task.draw(BATCH_SIZE, generator)
        network.train()
        logits = network(images.contiguous(memory_format=torch.channels_last))
        loss = nn.functional.binary_cross_entropy_with_logits(logits, targets)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        losses.append(float(loss.detach()))
        if step % (NUM_STEPS // NUM_EPOCHS) == 0 and step < NUM_STEPS:
            curve.append(evaluate(network, *(t[:NUM_TEST_PER_EPOCH] for t in test)) | {"train_loss": float(np.mean(losses))})
            losses = []
    final = evaluate(network, *test)
    curve.append(final | {"train_loss": float(np.mean(losses))})
    params_m, madds_m = count_costs(network)
    costs = {"params_m": params_m, "madds_m": madds_m, "train_seconds": time.perf_counter() - start}
    return {"architecture": architecture, "seed": seed, "epochs": curve} | final | costs


def read_results() -> list[dict[str, Any]]:
    """Every finished training, over all shards; a torn last line of a killed process is left out."""
    results = []
    for path in sorted(FOLDER.glob("runs.*.jsonl")):
        for line in path.read_text().splitlines():
            try:
                results.append(json.loads(line))
            except json.JSONDecodeError:
                print(f"{path.name}: a torn line was skipped")
    return results


def key_of(result: dict[str, Any]) -> tuple[Architecture, int]:
    """(architecture, seed) of a result."""
    return tuple(tuple(stage) for stage in result["architecture"]), result["seed"]


def train(num: int, shard: int, num_shards: int) -> None:
    """Trains what this shard has not trained yet, both seeds of an architecture before the next one."""
    torch.set_num_threads(1)
    done = {key_of(result) for result in read_results()}
    task = OverlayTask("train")
    images, targets = OverlayTask("t10k").draw(NUM_TEST, torch.Generator().manual_seed(12345))
    test = images.contiguous(memory_format=torch.channels_last), targets
    with (FOLDER / f"runs.{shard}.jsonl").open("a") as file:
        for architecture in sample_architectures(num)[shard::num_shards]:
            for seed in SEEDS:
                if (architecture, seed) not in done:
                    file.write(json.dumps(train_one(architecture, seed, task, test)) + "\n")
                    file.flush()
                    os.fsync(file.fileno())


def measure_latency(num_rounds: int = 9) -> None:
    """Single-thread latency of a batch of 32 images, in ms: the median over rounds of the fastest of five runs.

    Every round visits all networks, so that a slow moment of the machine does not fall on a few of them.
    """
    torch.set_num_threads(1)
    architectures = sorted({key_of(result)[0] for result in read_results()})
    images = torch.randn(32, 1, 28, 28).contiguous(memory_format=torch.channels_last)
    networks = [make_network(a).eval().to(memory_format=torch.channels_last) for a in architectures]  # type: ignore[call-overload]
    times = np.zeros((num_rounds, len(networks)))
    with torch.inference_mode():
        for row in range(num_rounds):
            for column, network in enumerate(networks):
                network(images)  # warm-up
                repeats = []
                for _ in range(5):
                    start = time.perf_counter()
                    network(images)
                    repeats.append(time.perf_counter() - start)
                times[row, column] = 1000 * min(repeats)
    half = np.median(times[0::2], 0), np.median(times[1::2], 0)
    record = {
        "latency_cpu_ms": dict(zip(map(json.dumps, architectures), np.median(times, 0).tolist(), strict=True)),
        "repeat_correlation": float(np.corrcoef(*half)[0, 1]),
        "load_average": os.getloadavg(),
    }
    write_atomically(FOLDER / "latency.json", json.dumps(record))
    print(f"{len(networks)} networks, correlation between odd and even rounds {record['repeat_correlation']:.4f}")


def write_atomically(path: Path, text: str) -> None:
    """Writes a file completely or not at all."""
    part = path.with_suffix(path.suffix + ".part")
    part.write_text(text)
    part.replace(path)


def signal_to_noise(values: np.ndarray) -> tuple[float, float]:
    """(std between architectures with the seed noise removed / seed std, Spearman between seeds) of (n, 2) values."""
    noise_variance = float(np.mean(np.var(values, axis=1, ddof=1)))
    between = float(np.var(values.mean(1), ddof=1)) - noise_variance / values.shape[1]
    ranks = pd.DataFrame(values).corr("spearman").to_numpy()
    return float(np.sqrt(max(between, 0.0) / noise_variance)), float(ranks[0, 1])


def assemble() -> None:
    """Writes fashion_mbconv.csv (one row an architecture, both seeds and their mean), curves.csv and PROVENANCE.md."""
    by_key = {key_of(result): result for result in read_results()}
    architectures = sorted({a for a, _ in by_key if all((a, seed) in by_key for seed in SEEDS)})
    latency = {}
    if (FOLDER / "latency.json").exists():
        latency = json.loads((FOLDER / "latency.json").read_text())["latency_cpu_ms"]
    rows, curves = [], []
    for architecture in architectures:
        row: dict[str, object] = {}
        for index, (kernel, expansion, depth) in enumerate(architecture, 1):
            row |= {f"stage{index}_e": expansion, f"stage{index}_k": kernel, f"stage{index}_l": depth}
        runs = [by_key[architecture, seed] for seed in SEEDS]
        for metric in METRICS:
            row[metric] = round(float(np.mean([run[metric] for run in runs])), 6)
        row |= {f"{metric}_seed{run['seed']}": round(run[metric], 6) for metric in METRICS for run in runs}
        row |= {"params_m": runs[0]["params_m"], "madds_m": runs[0]["madds_m"]}
        if latency:
            row["latency_cpu_ms"] = round(latency[json.dumps(architecture)], 4)
        rows.append(row)
        label = "|".join(f"k{k}e{e}l{d}" for k, e, d in architecture)
        for run in runs:
            for epoch, values in enumerate(run["epochs"], 1):
                curves.append({"architecture": label, "seed": run["seed"], "epoch": epoch} | values)
    write_atomically(FOLDER / "fashion_mbconv.csv", pd.DataFrame(rows).to_csv(index=False))
    write_atomically(FOLDER / "curves.csv", pd.DataFrame(curves).round(6).to_csv(index=False))
    write_provenance(pd.DataFrame(rows), [run["train_seconds"] for run in by_key.values()])


def write_provenance(table: pd.DataFrame, seconds: list[float]) -> None:
    """How the file came about, and how far its spread exceeds the seed noise."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=HERE).stdout.strip()
    lines = [
        "# Where fashion_mbconv.csv comes from",
        "",
        "Written by `sample_data/make_fashion_mbconv.py`; every number is measured, none is a prediction.",
        "",
        f"- {len(table)} distinct architectures, {len(SEEDS)} seeds each, {NUM_STEPS} steps of {BATCH_SIZE}: "
        f"{len(seconds)} trainings, median {np.median(seconds):.1f} s each.",
        f"- Task: {' '.join((__doc__ or '').split('The task: ')[1].split('.')[0].split())}.",
        f"- Final metrics on {NUM_TEST:,} fixed test pairs (mean of the seeds; the seeds beside it); curves.csv has "
        f"{NUM_EPOCHS} epochs of {NUM_STEPS // NUM_EPOCHS} steps, the first {NUM_EPOCHS - 1} on {NUM_TEST_PER_EPOCH:,} pairs.",
        "- latency_cpu_ms: 32 images, one thread, the median over 9 rounds of the fastest of 5 runs, in a pass of its own.",
        f"- torch {torch.__version__}, Python {platform.python_version()}, {platform.machine()}, commit {commit or 'none'}.",
        "- `run/` is a training on it: `python -m autobuild_core train sample_data/fashion_mbconv/fashion_mbconv.csv "
        '--target test_loss --minimize --name "Sample: MBConv on overlaid Fashion-MNIST" --out sample_data/run`.',
        "- Images: Fashion-MNIST (Xiao et al. 2017, MIT licence), from Debian's package dataset-fashion-mnist.",
        "",
        "| metric | mean | std between architectures / seed std | two seeds averaged | Spearman between seeds |",
        "|---|---|---|---|---|",
    ]
    for metric in METRICS:
        ratio, spearman = signal_to_noise(table[[f"{metric}_seed{seed}" for seed in SEEDS]].to_numpy())
        lines.append(f"| {metric} | {table[metric].mean():.4g} | {ratio:.2f} | {ratio * 2**0.5:.2f} | {spearman:.3f} |")
    if (FOLDER / "latency.json").exists():
        record = json.loads((FOLDER / "latency.json").read_text())
        lines += [
            "",
            f"Latency: correlation between odd and even rounds {record['repeat_correlation']:.4f}; "
            f"load average at the end {record['load_average'][0]:.2f}.",
        ]
    write_atomically(HERE / "PROVENANCE.md", "\n".join(lines) + "\n")
    print("\n".join(lines))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["train", "latency", "assemble"])
    parser.add_argument("--num", type=int, default=304, help="architectures to train (default 304)")
    parser.add_argument("--shard", type=int, default=0)
    parser.add_argument("--num-shards", type=int, default=1)
    options = parser.parse_args()
    FOLDER.mkdir(exist_ok=True)
    if options.command == "train":
        train(options.num, options.shard, options.num_shards)
    elif options.command == "latency":
        measure_latency()
    else:
        assemble()


if __name__ == "__main__":
    main()
