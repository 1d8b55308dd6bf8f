"""The measurements of the benchmark, each made by `main` in a process of its own, which says it as one JSON object."""

import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autobuild_core.architectures.lens import Lens
from autobuild_core.architectures.modules import ModuleGroup
from autobuild_core.architectures.records import ABSENT, ArchTable, Codes, SpaceSpec, UnitSpec
from autobuild_core.architectures.topologies import topology_of
from autobuild_core.benchmark.truth import PRODUCT_K, Truth
from autobuild_core.errors import ConfigError, RunError
from autobuild_core.memory import keep_freed_memory, wait_briefly
from autobuild_core.spaces import Space, load_space, space_named
from autobuild_core.store import tables
from autobuild_core.store.quality import Progress
from autobuild_core.store.run_folder import RunFolder
from autobuild_core.targets.equation import Target

MOST_JUDGED = 5000  # networks that predictions are judged on
SAMPLED_MODULES = 600  # that the published recipe scores; the rest is extrapolated
NOISE = 0.05  # of the synthetic labels
SWAPPED, SWAP_COSTS = 20, 3  # architectures whose swaps are timed after the first; metrics with a budget, whose changes are told
Array = NDArray[np.float64]
Result = dict[str, Any]


@contextmanager
def clock(result: Result, name: str) -> Iterator[None]:
    """Adds the seconds that the block takes as `name`."""
    begun = time.perf_counter()
    yield
    result[name] = time.perf_counter() - begun


def draw(table: ArchTable, size: int, seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows to learn from, of `size` random distinct networks, and rows to judge on, of up to MOST_JUDGED others."""
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(len(table))  # a network stands for itself in a random one of its encodings
    first = np.sort(np.unique(table.networks[shuffled], return_index=True)[1])
    rows = shuffled[first]
    return rows[:size], rows[size : size + MOST_JUDGED]


def read(options: Result) -> tuple[ArchTable, Array]:
    """The rows of the data with a target, and the target as larger-is-better."""
    from autobuild_core import api

    table = api.read(options["data"])
    values = Target(options["target"], options["minimize"]).values(table.metrics)
    known = np.isfinite(values)
    return table.take(known), values[known] * (-1 if options["minimize"] else 1)


def synthetic_truth(codes: Codes, num_tokens: int, rng: np.random.Generator) -> Array:
    """An accuracy in percent: each layer adds something at its place, neighbours interact, noise is NOISE."""
    layers = rng.normal(0, 0.3, (codes.shape[1], num_tokens))
    pairs = rng.normal(0, 0.1, (codes.shape[1], num_tokens, num_tokens))
    present, place = codes != ABSENT, np.arange(codes.shape[1])
    both = present[:, 1:] & present[:, :-1]
    alone = np.where(present, layers[place, codes], 0).sum(1)
    together = np.where(both, pairs[place[1:], codes[:, :-1], codes[:, 1:]], 0).sum(1)
    noisy: Array = 75 + alone + together + rng.normal(0, NOISE, len(codes))
    return noisy


def write_synthetic(path: Path, space: Space, num: int, seed: int = 0) -> None:
    """JSON lines of `num` random architectures with the metric acc."""
    rng = np.random.default_rng(seed)
    codes = space.sample(num, rng)
    truth = synthetic_truth(codes, len(space.spec.tokens), np.random.default_rng([seed, 1]))
    with path.open("w") as file:
        for row, value in zip(codes, truth.round(4).tolist(), strict=True):
            file.write(json.dumps({"arch": space.native(row), "acc": value}) + "\n")


def columns_table(num_columns: int, num_rows: int, seed: int = 0) -> ArchTable:
    """Random rows of so many loose columns of 2 to 8 values, every other one of numbers, with an additive accuracy and a cost."""
    rng = np.random.default_rng(seed)
    units: list[UnitSpec] = []
    values: list[str] = []
    numbers: list[float] = []
    for index in range(num_columns):
        num, start = int(rng.integers(2, 9)), len(values)
        units.append(UnitSpec(f"c{index}", (index,), (1,), tuple(range(start, start + num)), loose=True))
        values += [str(2**value) if index % 2 else f"v{value}" for value in range(num)]
        numbers += np.linspace(0, 1, num).tolist() if index % 2 else [np.nan] * num
    labels = tuple(unit.label for unit in units)
    tokens = tuple(f"{unit.label}={values[token]}" for unit in units for token in unit.tokens)
    columns = [{"depth": None, "choices": [label], "names": ["value"]} for label in labels]
    spec = SpaceSpec("flat", "Flat table of design choices", labels, tokens, tuple(units), {"value": tuple(values)})
    space = load_space(replace(spec, options={"columns": columns}, numbers={"value": tuple(numbers)}))
    codes = space.sample(num_rows, rng)
    worth, cost = rng.normal(0, 0.3, len(tokens)), rng.random(len(tokens))
    metrics = pd.DataFrame({"acc": 75 + worth[codes].sum(1) + rng.normal(0, NOISE, num_rows), "flops": cost[codes].sum(1)})
    return ArchTable(space.spec, codes, space.hash_networks(codes), metrics, np.arange(num_rows), "", num_rows)


def measure_train(options: Result) -> Result:
    """Reads, draws and trains into `run`: "train_s" learns, "run_s" is all that a training does (scores and reports too).

    With "columns" the data are `columns_table`.
    """
    from autobuild_core import api
    from autobuild_core.jobs.kinds.train import pipeline as train
    from autobuild_core.predictor import loss, training

    assert loss and train and training  # imported before the clock starts
    result: Result = {}
    with clock(result, "read_s"):
        table = columns_table(options["columns"], options["rows"]) if options.get("columns") else read(options)[0]
    if options.get("size"):
        table = table.take(draw(table, options["size"], options["seed"])[0])
    begun, used = time.perf_counter(), time.process_time()
    last = begun

    def report(record: Progress) -> None:
        nonlocal last
        if record.get("phase") == "training":
            last = time.perf_counter()

    settings = {"threads": options["threads"], "num_members": options["members"], "num_steps": options["steps"]}
    run = api.train(table, options["target"], options["run"], options["minimize"], options["seed"], report=report, **settings)
    result |= {"train_s": last - begun, "run_s": time.perf_counter() - begun, "num": len(table)}
    result["run_cpu_s"] = time.process_time() - used  # of all threads: what a busy machine does not stretch
    wanted = ("num_networks", "ensemble_size", "learning_curve", "srcc", "hop_srcc")
    return result | {f"held_{name}" if "srcc" in name else name: run.quality.get(name) for name in wanted}


def measure_score(options: Result) -> Result:
    """Scores every whole-unit module of `run` (of its first `units` units) and makes the CSV."""
    from autobuild_core import api
    from autobuild_core.scorers import make_scorer, score_modules, unit_groups

    run = api.Run(options["run"])
    table, result = run.table(), Result()
    groups = [g for g in unit_groups(run.predictor.space) if options.get("units") is None or (g.unit or 0) < options["units"]]
    with clock(result, "score_s"):
        frame = score_modules(make_scorer("autobuild", run.predictor, table=table), groups, table)
        tables.to_csv(frame)
    return result | {"modules": len(frame)}


def measure_build(options: Result) -> Result:
    """Builds ten architectures from `run`."""
    from autobuild_core import api

    result: Result = {}
    run = api.Run(options["run"])
    with clock(result, "build_s"):
        run.build(10)
    return result


def measure_swaps(options: Result) -> Result:
    """Every swap of random architectures of the finished `run`, as Builder's table has them, with budgets at its medians.

    The first has what is worked out once a run; the medians and the longest are of SWAPPED others. "cpu" is processor time, which
    a busy machine does not stretch.
    """
    from autobuild_core.predictor.metrics import Bound
    from autobuild_core.scoring.finished_run import FinishedRun
    from autobuild_core.search.budgets import Budgets
    from autobuild_core.search.swaps import find_swaps

    run = FinishedRun.load(RunFolder(options["run"]))
    if (known := run.known) is None:
        raise RunError(f"{options['run']}: got a run without models of its metrics, expected them; train it anew.")
    metrics = [name for name in known.in_order if name != known.target][:SWAP_COSTS]
    budgets = Budgets(known.metrics, tuple(Bound(name, float(run.table.metrics[name].median())) for name in metrics))
    tried = list[Result]()
    for codes in run.predictor.space.sample(1 + SWAPPED, np.random.default_rng(0)):
        begun, one = time.process_time(), Result()
        with clock(one, "s"):
            one["swaps"] = len(find_swaps(run.predictor, known.straight, budgets, run.modules, codes, metrics).codes)
        tried.append(one | {"cpu_s": time.process_time() - begun})
    others = pd.DataFrame(tried[1:])
    about = {"space": run.predictor.spec.title, "learned_from": run.quality["num_networks"]}
    about |= {"members": run.quality["ensemble_size"], "budgets": len(metrics), "swaps": round(others["swaps"].median())}
    times = {"first_s": tried[0]["s"], "median_s": others["s"].median(), "longest_s": others["s"].max()}
    return about | times | {"first_cpu_s": tried[0]["cpu_s"], "median_cpu_s": others["cpu_s"].median()}


def measure_quality(options: Result) -> Result:
    """Quality of `run`'s order of unseen networks, beside ridge; and its modules, where the data hold the whole space."""
    from scipy.stats import spearmanr

    from autobuild_core import api
    from autobuild_core.scorers import make_scorer
    from autobuild_core.scorers.ridge import Ridge

    run = api.Run(options["run"])
    table, values = read(options)
    rows, rest = draw(table, options["size"], options["seed"])
    predictor, sign = run.predictor, -1 if options["minimize"] else 1
    codes = predictor.space.canonical(table.codes[rest])
    ridge = make_scorer("ridge", predictor, table=table.take(rows))
    assert isinstance(ridge, Ridge)
    norms = predictor.ensemble.predict(codes).graph_norms  # (members, hops + 1, n)
    result: Result = {
        "ours srcc": spearmanr(predictor.predict(codes)["score"], values[rest]).statistic,
        "ridge srcc": spearmanr(sign * ridge.predict(codes).mean(0), values[rest]).statistic,
        "ours hop_srcc": [float(np.mean([spearmanr(m, values[rest]).statistic for m in hop])) for hop in norms.swapaxes(0, 1)],
    }
    truth = Truth.of(table, values, predictor.space)
    if truth is None:
        return result
    ours = make_scorer("autobuild", predictor, table=table.take(rows))

    def scores(scorer: Any, lens: Lens) -> Callable[[list[ModuleGroup]], list[Array]]:
        turn = sign if lens.in_units else 1
        return lambda groups: [turn * frame[lens].to_numpy(float) for frame in scorer.score(groups)]

    for name, scorer in {"ours": ours, "ridge": ridge}.items():
        result |= {f"{name} fidelity": truth.fidelity(scores(scorer, Lens.SCORE))}
        result |= {f"{name} good": truth.fidelity(scores(scorer, Lens.GOOD), good=True)}
        result |= {f"{name} product_rank": truth.product_rank(scores(scorer, Lens.GOOD))}
    result["ours norm_in_unit"] = truth.in_unit(scores(ours, Lens.NORM))
    built = np.array([predictor.space.parse(arch) for arch in run.build(10)["arch"]], np.int16)
    return result | {"ours built_rank": truth.rank(built), "ours built_regret": truth.regret(built)}


def measure_published(options: Result) -> Result:
    """The published recipe on the same rows: trains, scores a sample of the modules, builds, and is judged alike."""
    from scipy.stats import spearmanr

    from autobuild_core.predictor import published
    from autobuild_core.scorers import unit_groups

    result: Result = {}
    table, values = read(options)
    rows, rest = draw(table, options["size"], options["seed"])
    spec, space = table.spec, load_space(table.spec)
    if not topology_of(spec).in_order:
        raise ConfigError(f"published recipe: got a graph ({spec.title}), expected a space of sequences.")
    import torch

    torch.set_num_threads(1)  # its fastest: tensors this small only wait for a second thread
    codes = table.codes[rows]
    epochs = {"epochs": options["epochs"]} if options.get("epochs") else {}
    with clock(result, "train_s"):
        model = published.train(spec, codes, values[rows], options["seed"], **epochs)
    predicted, norms = model.predict(table.codes[rest])
    result["published srcc"] = spearmanr(predicted, values[rest]).statistic
    result["published hop_srcc"] = [float(spearmanr(norm, values[rest]).statistic) for norm in norms]
    groups = unit_groups(space)
    total = sum(map(len, groups))
    limits = [min(len(g), max(1, round(SAMPLED_MODULES * len(g) / total))) for g in groups]
    with clock(result, "sample_s"):
        for group, limit in zip(groups, limits, strict=True):
            model.score(group, limit)
    result |= {"modules": total, "sampled": sum(limits), "score_s": result["sample_s"] * total / sum(limits)}
    result["peak_mib"] = peak_mib()  # before what only the judge needs
    truth = Truth.of(table, values, space)
    scores = [model.score(group) for group in groups] if truth else [np.random.default_rng(0).random(len(g)) for g in groups]
    with clock(result, "build_s"):
        published.build(spec, groups, scores, PRODUCT_K, 10)
    if truth is not None:

        def norms_of(some: list[ModuleGroup]) -> list[Array]:
            return [model.norms(group) for group in some]

        result |= {"published fidelity": truth.fidelity(norms_of), "published good": truth.fidelity(norms_of, good=True)}
        result |= {
            "published norm_in_unit": truth.in_unit(norms_of),
            "published product_rank": truth.product_rank(lambda _: scores),
        }
    return result


def measure_start(options: Result) -> Result:
    """From submitting a run to its worker's first word, and to its first training step: warm and cold."""
    from autobuild_core.jobs import executor as executors
    from autobuild_core.jobs import warm
    from autobuild_core.store.workspace import Workspace

    space = space_named("nas_bench_macro")
    codes = space.sample(60, np.random.default_rng(0))
    metrics = pd.DataFrame({"acc": synthetic_truth(codes, len(space.spec.tokens), np.random.default_rng(1))})
    table = ArchTable(space.spec, codes, space.hash_networks(codes), metrics, np.arange(60), "", 60)
    result: Result = {}
    # A worker that has said its last word may still be closing its files there.
    with tempfile.TemporaryDirectory(prefix="autobuild-benchmark-", ignore_cleanup_errors=True) as scratch:
        workspace = Workspace(scratch)
        data = workspace.add_dataset(table, "start")
        executor = executors.SubprocessExecutor(workspace, 1, options["threads"])
        for name in ("cold", "warm"):
            executor.use_warm = name == "warm"
            wait(lambda: not executor.use_warm or executor.keep_warm(), 120)
            run_id = workspace.add_run(data, "acc", num_members=2, num_steps=2, threads=options["threads"])
            begun = time.perf_counter()
            executor.submit(run_id)
            for moment, seconds in _moments(workspace.run(run_id), begun).items():
                result[f"{name} {moment}_s"] = seconds
            wait(lambda: executor.poll() == 0, 60)
        for _, child in warm._started.values():
            child.kill()
            child.wait()
    return result


def _moments(folder: RunFolder, begun: float) -> Result:
    """Seconds from `begun` to a run's first word and to its first step; returns when it has ended."""
    from autobuild_core.store.states import ACTIVE_STATES, RunState

    result: Result = {}
    wait(lambda: folder.state["state"] != RunState.QUEUED, 60)
    result["begins"] = time.perf_counter() - begun
    wait(lambda: folder.last_progress() or folder.state["state"] == RunState.FAILED, 120)
    result["first_step"] = time.perf_counter() - begun
    wait(lambda: folder.state["state"] not in ACTIVE_STATES, 120)
    return result


def wait(done: Callable[[], Any], seconds: float) -> None:
    """Until something is so; looks every 5 ms.

    Raises:
        RunError: it takes too long.
    """
    limit = time.monotonic() + seconds
    while not done():
        if time.monotonic() > limit:
            raise RunError(f"benchmark: got nothing within {seconds:.0f} s, expected a run that starts.")
        time.sleep(0.005)


def peak_mib() -> float:
    """Peak resident memory of this process in MiB: its own alone, for what getrusage says on Linux begins at its parent's."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 2**20)
    return float(status.partition("VmHWM:")[2].split()[0]) / 1024


def main(arguments: list[str]) -> int:
    """One measurement, NAME JSON: calls `measure_NAME`, prints its JSON object with "peak_mib"."""
    name, options = arguments[0], json.loads(arguments[1])
    keep_freed_memory()
    wait_briefly()
    result = globals()[f"measure_{name}"](options)
    print(tables.to_json({"peak_mib": peak_mib()} | result))
    return 0
