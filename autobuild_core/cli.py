"""The same pipeline as the pages, without a browser: train, predict, score, build, evaluate and others.

Progress goes to standard error, one JSON object to standard output at the end. Exit status 0; 2 for what the user
can mend, with one clear sentence; 130 when interrupted, with what was finished kept; 141 when nobody reads on (`| head`).
"""

import argparse
import json
import os
import re
import shlex
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from autobuild_core import api, registry
from autobuild_core.architectures.lens import TRAINED
from autobuild_core.architectures.names import layers_named
from autobuild_core.architectures.records import ArchTable, Batch, SpaceSpec
from autobuild_core.autospace.plan import EvolutionPlan
from autobuild_core.errors import Cancelled, ConfigError, StudioError, listed
from autobuild_core.jobs.kinds.replay.plan import DEFAULT_MODES, MODES, ReplayPlan
from autobuild_core.memory import keep_freed_memory, wait_briefly
from autobuild_core.scorers import DEFAULT_SCORER
from autobuild_core.search.assembly import json_lines
from autobuild_core.search.budgets import CONFIDENCE
from autobuild_core.search.prices import STEPS
from autobuild_core.search.searchers import DEFAULT_SEARCHER, searcher_names
from autobuild_core.spaces import load_space, unit_facts
from autobuild_core.spaces._configspace import declared_json
from autobuild_core.spaces._learned import CellLists
from autobuild_core.store import tables
from autobuild_core.targets.equation import Target

if TYPE_CHECKING:
    from autobuild_core.jobs.kinds.replay.worlds import World

USER_ERROR, INTERRUPTED, READER_GONE = 2, 130, 141
OF_FILES = "skeleton", "support"  # settings of an evolution that a file may hold
# Settings of `loop --evolve` that are left to their defaults unless given.
OF_CLOSING = "num_sampled", "num_built", "num_again", "charged", "evaluator", "budget", "max_lr", "device"
# Settings of the rounds of `loop` that are left to their defaults unless given; some are those of --evolve too.
OF_ROUNDS = "evaluator", "evaluations", "batch", "budgets", "confidence", "seeds", "first_seed", "budget", "device", "seconds"
TEMPLATES = "candidates.yaml", "commands.sh", "array.sbatch"
LINE_SECONDS = 3.0


class Progress:
    """Says how far a command is: a line that redraws itself on a terminal, a line every few seconds elsewhere."""

    def __init__(self) -> None:
        self.live = sys.stderr.isatty()
        self.said = 0.0

    def __call__(self, record: Mapping[str, Any]) -> None:
        now = time.monotonic()
        if now - self.said < (0.2 if self.live else LINE_SECONDS):
            return
        self.said = now
        share = record.get("share") or record.get("step", 0) / max(record.get("num_steps", 1), 1)
        words = [f"{record.get('phase', '')} {100 * share:3.0f} %"]
        words += [f"{name} {record[name]:.3f}" for name in ("loss", "srcc") if record.get(name) is not None]
        words += [f"best {record['best']:.6g}"] if record.get("best") is not None else []
        if record.get("seconds_left") is not None:
            words.append(f"{record['seconds_left']:.0f} s left")
        line = ", ".join(words)
        print(f"\r{line:70s}" if self.live else line, end="" if self.live else "\n", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Ends the live line."""
        if self.live and self.said:
            print(file=sys.stderr)


def inspect(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """Reads and checks a file: how each column is read and why, the units that follow, what to look at before training."""
    table = _read(options)
    if options.write_space:
        _write(options.write_space, declared_json(table.spec))
    nodes = (table.codes >= 0).sum(1)
    spread = (nodes.min(), np.median(nodes), nodes.max()) if len(table) else (0, 0, 0)
    return {
        "format": table.format,
        "space": table.spec.name,
        "num_read": table.num_read,
        "num_accepted": len(table),
        "num_duplicates": table.num_duplicates,
        "rejected": [{"row": r.row, "reason": r.reason} for r in table.rejected],
        "metrics": list(table.metrics.columns),
        "num_nodes": dict(zip(("min", "median", "max"), map(float, spread), strict=True)),
        "columns": [{name: getattr(c, name) for name in ("name", "role", "kind", "num_values", "why")} for c in table.columns],
        "units": unit_facts(table.spec),
        "contexts": table.context_kinds,
        "num_censored": table.num_censored,
        "warnings": list(table.warnings),
        "notes": list(table.notes),
    }


def _read(options: argparse.Namespace) -> ArchTable:
    """The table of --format, --space and --role."""
    return api.read(options.data, options.format, options.space, roles_of(options.role))


def append(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """Appends later measurements to a data set: writes its next version, a folder that `inspect` and `train` read."""
    table = api.read(options.data)
    table = table if table.batches else replace(table, batches=(Batch(Path(options.data).name),))
    added = api.append(table, options.results, options.origin, options.run, options.format)
    out = Path(options.out)
    if out.exists():
        raise ConfigError(f"--out {out}: got something that exists already, expected a new folder.")
    try:
        tables.save_table(added.table, out)
    except OSError as error:
        raise ConfigError(f"--out {out}: got {error.strerror}, expected a place that can be written.") from error
    return {
        "path": str(out),
        "version": added.table.version,
        "hash": tables.content_hash(added.table),
        "parent": added.table.batches[-1].parent,
        "num_added": added.num_added,
        "num_completed": added.num_completed,
        "num_accepted": len(added.table),
        "rejected": [{"row": r.row, "reason": r.reason} for r in added.rejected],
    }


def roles_of(given: Iterable[str]) -> dict[str, str]:
    """{column: role} of COLUMN=ROLE; a column's name may have "=" in it.

    Raises:
        ConfigError: one is not of that form.
    """
    roles = {}
    for text in given:
        column, equals, role = text.rpartition("=")
        if not (column and equals and role):
            raise ConfigError(f"--role: got '{text}', expected COLUMN=ROLE.")
        roles[column] = role
    return roles


def train(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """Trains the ensemble into a new run folder."""
    table = _read(options)
    stop = threading.Event()

    def interrupt(*_: Any) -> None:
        stop.set()  # an exception can be lost inside a callback of a library; the next step asks for this
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, lambda *_: stop.set()), signal.signal(signal.SIGINT, interrupt)
    data_name = Path(options.data).name
    name = options.name or f"{data_name}: {options.target_name or options.target}"
    settings = {"num_members": options.members, "num_steps": options.steps, "threads": options.threads}
    called = {"target_name": options.target_name, "target_unit": options.target_unit}
    settings["drop_stopped"] = options.drop_stopped
    try:
        run = api.train(
            table,
            options.target,
            options.out,
            options.minimize,
            options.seed,
            name,
            data_name,
            progress,
            stop.is_set,
            **settings,
            **called,
        )
    finally:
        signal.signal(signal.SIGTERM, before[0])
        signal.signal(signal.SIGINT, before[1])
    return dict(run.quality)


def predict(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """Predicts every row of a file."""
    from autobuild_core.datasets import read_table

    run = _held_run(options.run, options.context)
    table = read_table(Path(options.data), options.format, run.predictor.spec, run.roles)
    held = run.predictor.held
    if held and (own := [c.name for c in held.contexts.columns if c.name in table.contexts and c.name not in held.chosen]):
        progress.close()
        are = "is" if len(own) == 1 else "are"
        where = f"predictions are for {held.words}, --context {own[0]}=VALUE chooses"
        print(f"predict: {listed(own)} of the rows {are} not looked at: {where}.", file=sys.stderr)
    frame = run.predict(table)
    _write(options.out, tables.to_csv(frame))
    found = {"num": len(frame), "num_refused": int(frame["predicted"].isna().sum()), "path": str(options.out)}
    return found | _where(run)


def score(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """Scores modules."""
    run = _held_run(options.run, options.context)
    frame = run.scores("score", options.max_length, options.units, options.cost, progress, options.scorer)
    _write(options.out, tables.to_csv(frame.drop(columns=["whole_unit", "unit_index", "first_position"])))
    found: dict[str, Any] = {"num": len(frame), "path": str(options.out)}
    if "confounded_with" in frame:
        found["num_without_number"] = int((frame["confounded_with"] != "").sum())
    return found | _where(run)


def build(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """Assembles architectures."""
    run = _held_run(options.run, options.context)
    locks = dict(_lock(run.predictor.spec, text) for text in options.lock)
    start = [] if options.start is None else _architectures(options.start)
    among = options.top_k, options.lens, options.allow_evaluated
    design = run.design(options.num, options.budget, options.confidence, locks, start, *among, progress)
    frame = run.offered(design, options.budget, locks, options.top_k)
    _write(options.out, json_lines(frame.to_dict("records")))
    found: dict[str, Any] = {"num": len(frame), "path": str(options.out)} | design.record()
    if options.prices:
        lines = run.prices(options.budget, confidence=options.confidence)
        found["prices"] = lines.astype(object).where(lines.notna(), None).to_dict("records")
    return found | _where(run)


def reduce(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """Keeps the best modules of each unit, of several runs their union: the reduced space, and its predicted quality."""
    lens = options.lens if len(options.lens) > 1 else (options.lens or ["good"])[0]
    runs = [_held_run(one, options.context) for one in options.runs]
    found = api.reduce(runs, options.top_k, options.share, lens, options.seed, progress)
    record = found.record()
    _write(options.out, tables.to_json(record, indent=1))
    places = {"path": str(options.out)}
    if options.lists:
        _write(options.lists, tables.to_json(found.lists()))
        places["lists"] = str(options.lists)
    said = {name: record[name] for name in ("size", "full_size", "quality")}
    return places | said | {"units": [unit.counts() for unit in found.units]}


def _lock(spec: SpaceSpec, text: str) -> tuple[str, list[str]]:
    """(unit, layers as tokens) of "U2=e3 k5, 2 x e6 k7", or with the tokens themselves as JSON, 'U2=["e3_k5"]'.

    Raises:
        ConfigError: it is not of that form, or there is no such unit.
        ArchitectureError: a layer is none that the unit may have.
    """
    named = [unit for unit in spec.units if text.startswith(f"{unit.label}=")]
    if not named:
        units = listed([unit.label for unit in spec.units])
        raise ConfigError(f"--lock: got '{text}', expected UNIT=LAYERS with a unit of {units}.")
    unit = max(named, key=lambda one: len(one.label))
    layers = text.removeprefix(f"{unit.label}=")
    try:
        tokens = json.loads(layers)
    except ValueError:
        return unit.label, layers_named(layers, [spec.tokens[token] for token in unit.tokens])
    return unit.label, [str(token) for token in tokens] if isinstance(tokens, list) else [layers]


def _architectures(path: str) -> list[Any]:
    """Architectures of a file, in native encodings."""
    from autobuild_core.evaluators._batch import read_candidates

    return list(read_candidates(Path(path)).archs)


def front(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """Says which architectures are on the Pareto front of two metrics, measured and predicted, and how sure that is."""
    run = api.Run(options.run)
    asked = options.budget, options.confidence, options.reference, options.seed
    found = run.front(options.metrics[0], options.metrics[1], options.minimize, options.maximize, *asked)
    _write(options.out, json_lines(run.front_records(found)))
    axes = [{"metric": name, "minimize": axis.minimize} for name, axis in zip(options.metrics, found.axes, strict=True)]
    volumes = found.hypervolumes().to_dict("records")
    return {"num": len(found.codes), "path": options.out, "axes": axes, "reference": found.reference, "hypervolume": volumes}


def prices(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """Says what one step of each budget would buy: the best architecture against the limit, with the price of every step."""
    run = api.Run(options.run)
    found = run.price_curves(options.budget, options.steps, options.confidence, progress)
    _write(options.out, tables.to_csv(found))
    return {"num": len(found), "path": options.out}


def suggest(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """Says which architectures to evaluate next to tell the best modules apart."""
    run = _held_run(options.run, options.context)
    frame = run.suggest(options.num)
    _write(options.out, json_lines(frame.to_dict("records")))
    removed = float(frame["information"].iloc[-1]) if len(frame) else 0.0
    return {"num": len(frame), "path": str(options.out), "information": removed} | _where(run)


def evaluate(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """Measures architectures for real; each line of results is written at once, and what is there is not measured again."""
    from autobuild_core.evaluators import _batch, load_evaluator

    evaluator, candidates = load_evaluator(options.evaluator), _batch.read_candidates(Path(options.architectures))
    seeds, at = (options.seeds, options.first_seed), (options.budget_steps, options.device, options.seconds)
    with stopping() as should_stop:
        asked = candidates, evaluator, options.evaluator, Path(options.out)
        lines = _batch.evaluate(*asked, *seeds, *at, progress, should_stop, options.scheduler)
    rejected = [{"row": r.row, "reason": r.reason} for r in candidates.rejected]
    return {"path": options.out} | _batch.summary(lines, evaluator) | {"rejected": rejected}


def search(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """Searches a space with an evaluator or a run's predictions; goes on from the results of the same search that are there."""
    from autobuild_core.evaluators._results import ResultsFile
    from autobuild_core.evaluators._searching import SearchPlan, run_search

    run = options.run or options.predicted_by
    given = [one for one in (run, options.space, options.data) if one]
    if len(given) != 1:
        got = f"got {len(given)} of RUN, --space and --data"
        raise ConfigError(f"search: {got}, expected one, whose space is searched.")
    if not (options.evaluator or run):
        raise ConfigError("search: got neither --evaluator nor a run, expected what says how good an architecture is.")
    plan = SearchPlan(
        options.evaluator or f"predictor:{run}",
        options.target,
        options.minimize,
        options.second,
        options.minimize_second,
        tuple(options.reference),
        options.searcher,
        _numbers(options.set),
        options.num,
        options.seed,
        options.seeds,
        options.first_seed,
        options.budget_steps,
        options.device,
        options.seconds,
    )
    space = api.space_of(api.Run(run) if run else api.read(options.data) if options.data else options.space)
    with stopping() as should_stop:
        found = run_search(space, plan, ResultsFile(options.out), progress, should_stop)
    return {"path": options.out, "searcher": options.searcher} | found.summary()


def replay(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """Says whether a closed loop would have worked: modes search a space whose every network is known or measured when asked."""
    from autobuild_core.benchmark.report import table as markdown_table
    from autobuild_core.jobs.kinds.replay.again import Again
    from autobuild_core.jobs.kinds.replay.outcome import in_words, outcome_table, summary
    from autobuild_core.jobs.kinds.replay.replaying import Replay

    plan = ReplayPlan(**{one.name: getattr(options, one.name) for one in fields(ReplayPlan)})
    with stopping() as should_stop:
        made = Replay(plan, _world(options, plan, should_stop), Path(options.out))
        curves = made.run(progress, should_stop)
        if options.again:
            again = Again(options.again, options.again_seed, options.again_seeds, options.budget_steps, options.device)
            place = Path(options.out).with_suffix(".again.jsonl")
            curves = again.judge(curves, plan, made.world.space, place, progress, should_stop)
    _write_tables(options, markdown_table(f"{made.words}, {plan.seeds} seeds", in_words(outcome_table(curves, plan))))
    return {"path": options.out, "plan": plan.words} | summary(curves, plan)


def _world(options: argparse.Namespace, plan: ReplayPlan, should_stop: Callable[[], bool]) -> "World":
    """The table of DATA, or the space of --space as --evaluator measures it.

    Raises:
        ConfigError: neither or both are given.
    """
    from autobuild_core.evaluators._results import ResultsFile
    from autobuild_core.jobs.kinds.replay.worlds import looked_up, measured_by

    if (options.data is None) == (options.evaluator is None):
        raise ConfigError("replay: got neither or both of DATA and --evaluator, expected one of them.")
    if options.data is not None:
        return looked_up(plan, _read(options))
    searched = plan.search_plan(options.evaluator, options.budget_steps, options.device)
    space = api.space_of(options.space) if options.space else None
    return measured_by(plan, searched, space, ResultsFile(Path(options.out).with_suffix(".jsonl")), should_stop)


def evolve(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """Evolves a search space of cells, and writes the learned space; goes on with the evolution that its folder has."""
    from autobuild_core import autospace

    settings = {one.name: getattr(options, one.name) for one in fields(autospace.EvolutionPlan)}
    for name in OF_FILES:
        if (settings[name] or "").endswith(".json"):
            settings[name] = _object_of(Path(settings[name]))
    if settings["start"]:
        settings["start"] = CellLists.read(_object_of(Path(settings["start"]))).texts
    given = {name: value for name, value in settings.items() if value is not None}
    plan = autospace.plan_in(options.out, given)
    with stopping() as should_stop:
        found = autospace.evolve(plan, options.out, progress, should_stop)
    return {"path": options.out} | found


def _object_of(path: Path) -> Any:
    """The JSON of a file.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: got a file that cannot be read ({error}), expected JSON.") from error


def _numbers(given: Iterable[str]) -> dict[str, int]:
    """{name: number} of NAME=NUMBER.

    Raises:
        ConfigError: one is not of that form.
    """
    numbers = {}
    for text in given:
        name, _, number = text.partition("=")
        if not (name and number.isascii() and number.isdigit()):
            raise ConfigError(f"--set: got '{text}', expected NAME=NUMBER.")
        numbers[name] = int(number)
    return numbers


def loop(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """Closes the loop: through files, asking for a batch or telling what was measured; in rounds by itself; or with --evolve."""
    if options.evolve or options.evolved:
        return _close_loop(options, progress)
    for name in OF_CLOSING:
        if name not in OF_ROUNDS and getattr(options, name) is not None:
            raise ConfigError(f"loop: got --{name.replace('_', '-')} without --evolve, expected both, or neither.")
    if options.rounds or any(getattr(options, name) is not None for name in OF_ROUNDS):
        return _run_rounds(options, progress)
    from autobuild_core.jobs.kinds.loop.files import LoopFiles, loop_summary
    from autobuild_core.loop.folder import LoopFolder
    from autobuild_core.loop.rounds_folder import RoundsFolder
    from autobuild_core.loop.templating import check, fill, read_template

    if options.ask is options.tell is options.data is None and (files := LoopFiles(Path(options.folder))).evolves:
        return loop_summary(files, files.plan, files.plan.aim())
    folder = LoopFolder(options.folder)
    template = read_template(options.template) if options.template else None
    if template is not None and not options.out:
        raise ConfigError("loop: got --template without --out, expected a place for what it makes.")
    if options.data is not None:
        if not options.target:
            raise ConfigError("loop: got --data without --target, expected an equation over the file's metrics.")
        table = api.read(options.data, options.format, options.space, roles_of(options.role))
        folder.begin(table, options.target, options.minimize, options.seed)
    about: dict[str, Any] = {}
    if options.tell is not None:
        told = folder.tell(Path(options.tell))
        about |= {name: getattr(told, name) for name in ("num_told", "num_added", "num_completed", "num_foreign")}
        about["rejected"] = [{"row": r.row, "reason": r.reason} for r in told.rejected]
    if options.ask is not None:
        if template is not None:
            table = folder.table()
            check(template, [load_space(table.spec).native(row) for row in table.codes[: options.ask]], options.template)
        with stopping() as should_stop:
            sizes = {"num_members": options.members, "num_steps": options.steps, "threads": options.threads}
            handed = folder.ask(options.ask, lambda: api.learned_by(folder, progress, should_stop, **sizes))
        out = options.out or str(folder.path / "batches" / f"{handed.number}.jsonl")
        if options.out:
            _write(out, handed.json_lines() if template is None else fill(template, handed, options.template))
        about |= {"batch": out, "num": len(handed.candidates), "num_controls": handed.num_controls}
    return about | folder.status() | RoundsFolder(folder.path).summary()


def _run_rounds(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """Rounds of a loop until their evaluations are spent; goes on with those that are there.

    Raises:
        ConfigError: a setting is one of another loop, or does not do.
    """
    from autobuild_core.loop.folder import LoopFolder
    from autobuild_core.loop.rounds_folder import RoundsFolder

    for name in ("ask", "tell", "template", "out", "members", "steps", "set"):
        if getattr(options, name) not in (None, []):
            raise ConfigError(f"loop: got rounds and --{name}, expected one: rounds measure by themselves and train no ensemble.")
    settings = {name: value for name in OF_ROUNDS if (value := getattr(options, name)) is not None}
    settings |= {name: value for name in ("target", "minimize", "seed") if (value := getattr(options, name))}
    table = _read(options) if options.data is not None else None
    with stopping() as should_stop:
        api.run_rounds(options.folder, table, progress, should_stop, options.scheduler, **settings)
    folder = LoopFolder(options.folder)
    return folder.status() | RoundsFolder(folder.path).summary()


def _close_loop(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """A space is evolved, a sample evaluated, networks built and evaluated, beside the hand-made space.

    Raises:
        ConfigError: a setting is one of the loop through files, or does not do.
    """
    of_rounds = [name for name in OF_ROUNDS if name not in OF_CLOSING]
    for name in ("ask", "tell", "data", "format", "space", "role", "template", "out", "rounds", "scheduler", *of_rounds):
        if getattr(options, name) not in (None, [], False):
            flag = name.replace("budgets", "budget").replace("_", "-")
            raise ConfigError(f"loop: got --evolve and --{flag}, expected one: with --evolve it measures by itself.")
    settings = {name: value for name in OF_CLOSING if (value := getattr(options, name)) is not None}
    others = {"num_members": options.members, "num_steps": options.steps, "evolution": _values(options.set)}
    others |= {"target": options.target, "minimize": options.minimize, "seed": options.seed}
    settings |= {name: value for name, value in others.items() if value}
    with stopping() as should_stop:
        given = options.folder, options.evolved, progress, should_stop
        return api.close_loop(*given, threads=options.threads, **settings)


def _values(given: Iterable[str]) -> dict[str, Any]:
    """{name: value} of NAME=VALUE; a value that is JSON is read as such, any other is a text.

    Raises:
        ConfigError: one is not of that form.
    """
    values: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise ConfigError(f"--set: got '{text}', expected NAME=VALUE.")
        try:
            values[name] = _object_of(Path(value)) if name in OF_FILES and value.endswith(".json") else json.loads(value)
        except ValueError:
            values[name] = value
    return values


@contextmanager
def stopping() -> Iterator[Callable[[], bool]]:
    """Asks whether a signal has asked for the end; the first lets what runs end in order, a second ends it at once."""
    stop = threading.Event()

    def ask(number: int, *_: Any) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _held_run(path: str, context: Iterable[str] | None) -> api.Run:
    """A run, held at what --context says.

    Raises:
        ConfigError: it is not NAME=VALUE, or the data have no such context.
    """
    chosen: dict[str, str | float] = {}
    for given in context or []:
        name, equals, value = given.partition("=")
        if not equals or not name or not value:
            raise ConfigError(f"--context: got '{given}', expected NAME=VALUE.")
        chosen[name] = value
    return api.Run(path, chosen)


def _where(run: api.Run) -> dict[str, Any]:
    """{"context": what the result holds at}, where contexts vary."""
    return {"context": run.holds_at} if run.holds_at else {}


def benchmark(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """Measures speed, memory and held-out quality, beside the published recipe if asked."""
    from autobuild_core import benchmark as bench

    if options.truths is not None:
        return _truths(options, progress)
    if options.complete is not None:
        return _complete(options, progress)
    if options.measured and options.design is None:
        raise ConfigError("benchmark: got --measured without --design, expected metrics whose budgets are judged.")
    if options.design is not None:
        return _designing(options, progress)
    if options.judge and options.arms is None:
        raise ConfigError("benchmark: got --judge without --arms, expected a metric that makes a front with the target.")
    if options.arms is not None:
        return _arms(options, progress)
    if options.reduced is not None:
        return _reducing(options, progress)
    if options.paper is not None:
        return _paper(options, progress)
    if options.autospace is not None:
        return _autospace(options, progress)
    if options.data is None and options.scale is None and not (options.columns or options.swaps):
        raise ConfigError("benchmark: got no data, expected a file of evaluated architectures, --scale, --columns or --swaps.")
    if options.data is not None and not options.target:
        raise ConfigError("benchmark: got no --target, expected an equation over the file's metrics.")
    scale = bench.DEFAULT_SCALE if options.scale == [] else options.scale or ()
    limits = {"threads": options.threads, "members": options.members, "steps": options.steps, "epochs": options.epochs}
    found = bench.run(
        *(
            options.data,
            options.target,
            options.minimize,
            options.sizes or bench.DEFAULT_SIZES,
            options.seeds,
            options.published,
            scale,
        ),
        **limits,
        columns=options.columns,
        swaps=options.swaps,
        report=progress,
    )
    text = bench.markdown(found, options.threads)
    _write_tables(options, text)
    if options.out:
        _write(options.out, tables.to_csv(bench.records(found)))
    if options.chart and found["scale"]:
        _write(options.chart, bench.chart(found))
    return found


def _write_tables(options: argparse.Namespace, text: str) -> None:
    """Tables in Markdown to --out-md; on standard error without it."""
    if options.out_md:
        _write(options.out_md, text)
    else:
        print(text, file=sys.stderr)


def _truths(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """Made truths about contexts and stopped trials, over the architectures of NAS-Bench-Macro."""
    from autobuild_core.benchmark import truths

    world = truths.World.made()
    if options.data is not None:
        table = api.read(options.data)
        world = truths.World.of(table, Target(options.target, options.minimize).values(table.metrics))
    settings = {"num_members": options.members, "num_steps": options.steps, "threads": options.threads}
    cases = [(name, seed) for name in options.truths or truths.TRUTHS for seed in options.seeds]
    found = []
    for number, (name, seed) in enumerate(cases):
        progress({"phase": f"{name}, draw {seed}", "share": number / len(cases)})
        found.append(truths.measure(name, world, seed, **settings))
    text = truths.markdown(found)
    _write_tables(options, text)
    return {"truths": found}


def _designing(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """Design under budgets and prices, judged by a file that holds every network of a space."""
    from autobuild_core.benchmark import designing

    if options.data is None or not options.target:
        raise ConfigError("benchmark: got --design without data and --target, expected a file with every network of a space.")
    table, target = api.read(options.data, space=options.space), Target(options.target, options.minimize)
    if options.measured:
        return _measured_budgets(options, table, target, progress)
    settings = {"num_members": options.members, "num_steps": options.steps, "threads": options.threads}
    found = designing.measure(table, target, options.design, options.seeds, progress, **settings)
    _write_tables(options, designing.markdown(found))
    return {"design": found}


def _reducing(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """Predicted quality of reduced spaces, judged by a file that holds every network of a space."""
    from autobuild_core.benchmark import reducing

    if options.data is None or not options.target:
        raise ConfigError("benchmark: got --reduced without data and --target, expected a file with every network of a space.")
    table, target = api.read(options.data, space=options.space), Target(options.target, options.minimize)
    settings = {"num_members": options.members, "num_steps": options.steps, "threads": options.threads}
    sizes = options.sizes or reducing.SIZES
    found = reducing.measure(table, target, options.reduced, sizes, options.seeds, progress, **settings)
    _write_tables(options, reducing.markdown(found))
    return {"reduced": found}


def _arms(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """The three arms of AutoBuild's Pareto evolution, judged by a file that holds every network of a space."""
    import pandas as pd

    from autobuild_core.benchmark import arms
    from autobuild_core.targets.vocabulary import lower_is_better

    if options.data is None or not options.target:
        raise ConfigError("benchmark: got --arms without data and --target, expected a file with every network of a space.")
    targets = Target(options.target, options.minimize), Target(options.arms, lower_is_better(options.arms))
    fronts = arms.TwoTargets.of(api.read(options.data, space=options.space), targets, options.judge)
    settings = {"num_members": options.members, "num_steps": options.steps, "threads": options.threads}
    cases = options.reduced or arms.TOP_KS, options.sizes or arms.SIZES, options.seeds
    found = arms.measure(fronts, *cases, progress, **settings)
    _write_tables(options, arms.markdown(found, fronts))
    if options.out:
        _write(options.out, tables.to_csv(pd.DataFrame(found)))
    return {"arms": found}


def _measured_budgets(options: argparse.Namespace, table: ArchTable, target: Target, progress: Progress) -> dict[str, Any]:
    """Design under budgets, judged by an evaluator; goes on from what its folder has."""
    from autobuild_core.benchmark import budget_outcome, measured_budgets
    from autobuild_core.benchmark.paper.ledger import Ledger, Settings

    if not options.out:
        raise ConfigError("benchmark: got --measured without --out, expected a folder for what is built and measured.")
    own = {name: getattr(options, name) for name in ("members", "steps", "threads", "device", "scheduler")}
    judging = measured_budgets.Judging.of(table, target, options.design, options.measured)
    with stopping() as should_stop:
        ledger = Ledger(Path(options.out), Settings(Path(), options.budget_steps, **own), progress, should_stop)
        work = measured_budgets.MeasuredBudgets(judging, ledger)
        found = [work.measured(seed) for seed in options.seeds]
    _write(str(ledger.folder / "networks.csv"), tables.to_csv(budget_outcome.networks(found)))
    _write_tables(options, budget_outcome.markdown(found, ledger.remarks()))
    cases, metrics = [line for one in found for line in one.cases()], [line for one in found for line in one.metrics()]
    return {"path": options.out, "design": cases, "metrics": metrics}


def _complete(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """Trainings on networks of a complete space, judged by all others beside three baselines; goes on from the lines of --out."""
    from autobuild_core.benchmark import complete

    if options.data is None or not options.target:
        raise ConfigError("benchmark --complete: got no data or no --target, expected a file with every network of a space.")
    target = Target(options.target, options.minimize)
    whole = complete.Whole.of(api.read(options.data, space=options.space), target)
    samples = options.complete or complete.SAMPLES
    sizes = options.sizes or (complete.SIZE,)
    cases = [(sample, size, seed) for seed in options.seeds for sample in samples for size in sizes]
    settings = {"num_members": options.members, "num_steps": options.steps, "threads": options.threads}
    out = Path(options.out) if options.out else None
    found = complete.measure_all(whole, target, Path(options.data).stem, cases, out, progress, **settings)
    text = complete.markdown(found)
    _write_tables(options, text)
    return {"complete": found}


def _paper(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """The papers' experiments, gone on from what their folder has; the data are those of a folder of samples."""
    from autobuild_core.benchmark import paper
    from autobuild_core.benchmark.paper.outcome import as_record
    from autobuild_core.benchmark.paper.page import markdown

    if not options.out:
        raise ConfigError("benchmark: got --paper without --out, expected a folder for what is measured.")
    samples = Path(options.data) if options.data else registry.APP / "sample_data"
    sizes = {"members": options.members, "steps": options.steps, "epochs": options.epochs, "threads": options.threads}
    repeats = {"draws": options.draws, "seeds": options.hop_draws, "budget": options.budget_steps}
    settings = paper.Settings(samples, device=options.device, scheduler=options.scheduler, **repeats, **sizes)
    with stopping() as should_stop:
        outcomes = paper.run(options.paper, Path(options.out), settings, progress, should_stop)
    text = markdown(outcomes, shlex.join(["python", "-m", "autobuild_core", *options.given]))
    if not options.out_md:
        progress.close()
    _write_tables(options, text)
    return {"path": options.out} | {name: as_record(outcome) for name, outcome in outcomes.items()}


def _autospace(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """The experiments about learned spaces, gone on from what their folder has."""
    from autobuild_core.benchmark import autospace
    from autobuild_core.benchmark.autospace import page, work
    from autobuild_core.benchmark.paper.outcome import as_record

    if not options.out:
        raise ConfigError("benchmark: got --autospace without --out, expected a folder for what is measured.")
    given = {} if options.budget_steps is None else {"steps": options.budget_steps}
    settings = work.settings(device=options.device, scheduler=options.scheduler, **given)
    with stopping() as should_stop:
        outcomes = autospace.run(options.autospace, Path(options.out), settings, progress, should_stop)
    command = shlex.join(["python", "-m", "autobuild_core", *options.given])
    text = page.measured(outcomes, command, Path(options.out_md) if options.out_md else None)
    if not options.out_md:
        progress.close()
    _write_tables(options, text)
    return {"path": options.out} | {name: as_record(outcome) for name, outcome in outcomes.items()}


def report(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """Writes the design review of a run: one offline HTML file, or JSON."""
    from autobuild_core.review import bundle as reports
    from autobuild_core.review.page import page
    from autobuild_core.store.pins import Pins

    out = options.out or str(Path(options.run) / "review.html")
    if (ending := Path(out).suffix.lower()) not in (".html", ".htm", ".json"):
        got = f"a name that ends in {ending}" if ending else "a name without an ending"
        raise ConfigError(f"--out {out}: got {got}, expected .html or .htm for the page, or .json.")
    run = _held_run(options.run, options.context)
    pins = Pins(options.pins or Path(options.run) / "pins").all()
    bundle = reports.make_bundle(run.folder, pins, run=run.finished())
    text = reports.to_json(bundle) if ending == ".json" else page(bundle)
    _write(out, text)
    return {"path": out, "bytes": len(text.encode()), "num_pins": len(pins)} | _where(run)


def verify(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """Works every number of a report out again from its data, and fails where one differs."""
    from autobuild_core.review import verifying

    checks = verifying.verify(options.report, options.data, options.tolerance, progress)
    progress.close()
    print(verifying.as_text(checks), file=sys.stderr)
    wrong = sum(len(check.wrong) for check in checks)
    counts = {name: sum(getattr(check, name) for check in checks) for name in ("numbers", "texts", "left_out")}
    if wrong:
        raise verifying.mismatch(options.report, wrong, counts["numbers"] + counts["texts"], options.tolerance)
    return {"path": str(options.report), "agrees": True} | counts | {"largest": max(check.largest for check in checks)}


def _write(path: str, text: str) -> None:
    """A result file, whole or not at all."""
    try:
        with tables.replacing(Path(path)) as part:
            part.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise ConfigError(f"--out {path}: got {error.strerror}, expected a place that can be written.") from error


def make_parser() -> argparse.ArgumentParser:
    """The command line's grammar."""
    parser = argparse.ArgumentParser(prog="python -m autobuild_core", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    def add(run: Callable[[argparse.Namespace, Progress], dict[str, Any]], *arguments: str) -> argparse.ArgumentParser:
        command = commands.add_parser(run.__name__, help=(run.__doc__ or "").rstrip("."), description=run.__doc__)
        command.set_defaults(run_command=run)
        for argument in arguments:
            command.add_argument(argument)
        return command

    for command in (add(inspect, "data"), add(train, "data")):
        command.add_argument("--format", help="file format; recognised by content unless given")
        command.add_argument(
            "--space", metavar="NAME|FILE", help="search space by name, or a space.json that declares the table's"
        )
        command.add_argument(
            "--role", action="append", default=[], metavar="COLUMN=ROLE", help="how a column is read; repeatable"
        )
        if command.get_default("run_command") is inspect:
            command.add_argument("--write-space", metavar="FILE", help="writes the space as space.json, to be edited")
    more = add(append, "data", "results")
    more.add_argument("--out", required=True, help="new folder for the next version")
    more.add_argument("--origin", default="", help="where the rows come from; the name of their file unless given")
    more.add_argument("--run", default="", metavar="ID", help="the run that proposed their architectures")
    more.add_argument("--format", help="of the results; recognised by content unless given")
    command.add_argument("--target", required=True, help="equation over the file's metrics")
    command.add_argument("--target-name", default="", help="what charts and texts call the target; its equation unless given")
    command.add_argument("--target-unit", default="", help="unit of the target's values")
    command.add_argument("--out", required=True, help="new folder for the run")
    command.add_argument("--minimize", action="store_true", help="smaller targets are better")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--name", help="of the run; data and target unless given")
    command.add_argument("--members", type=int, help="size of the ensemble; by the data's size unless given")
    command.add_argument("--steps", type=int, help="gradient steps; by the data's size unless given")
    command.add_argument("--threads", type=int, default=2)
    command.add_argument("--drop-stopped", action="store_true", help="stopped trials are left out, not learned as worse")
    lenses = [lens.value for lens in TRAINED]
    context: dict[str, Any] = {"action": "append", "metavar": "NAME=VALUE"}
    context["help"] = "hold at this context; what is not named is averaged over as it was observed"
    command = add(predict, "run", "data")
    command.add_argument("--context", **context | {"help": f"{context['help']}; what the rows say of theirs is not looked at"})
    command.add_argument("--format")
    command.add_argument("--out", required=True, help="CSV")
    command = add(score, "run")
    command.add_argument("--context", **context)
    command.add_argument("--out", required=True, help="CSV")
    command.add_argument("--max-length", type=int, default=1, help="every run of up to so many positions, in cells head to tail")
    command.add_argument("--units", action="store_true", help="whole-unit modules instead")
    command.add_argument("--cost", metavar="METRIC", help="adds equal_cost: the score beyond what this metric explains")
    command.add_argument("--scorer", default=DEFAULT_SCORER, help=f"one of {', '.join(registry.names('scorers'))}")
    command = add(build, "run")
    command.add_argument("--context", **context)
    command.add_argument("--num", type=int, default=10)
    command.add_argument("--out", required=True, help="JSON lines")
    command.add_argument("--top-k", type=int, help="only combine the best K modules of each unit")
    command.add_argument("--lens", choices=lenses, default="good", help="ranks the modules")
    command.add_argument("--allow-evaluated", action="store_true", help="evaluated networks may be among them")
    command.add_argument("--budget", action="append", default=[], metavar="EXPR", help="'latency_ms <= 8'; repeatable")
    command.add_argument("--lock", action="append", default=[], metavar="UNIT=LAYERS", help="what a unit has; repeatable")
    command.add_argument("--start", metavar="FILE", help="JSON lines of architectures whose neighbourhoods are searched too")
    command.add_argument("--prices", action="store_true", help="what one step more of each budget would buy")
    command.add_argument("--confidence", type=float, default=CONFIDENCE, help="that measurements keep to all budgets at once")
    command = add(reduce)
    command.add_argument("runs", nargs="+", metavar="RUN", help="finished runs of one space; what any of them keeps is kept")
    command.add_argument("--context", **context)
    command.add_argument("--top-k", type=int, help="modules that each run keeps of each unit")
    command.add_argument("--share", type=float, help="in its place, of every unit this share of its modules, at least one")
    command.add_argument("--lens", action="append", default=[], choices=lenses, help="ranks the modules; one, or one a run")
    command.add_argument("--seed", type=int, default=0, help="of the architectures that are predicted where all are too many")
    command.add_argument("--out", required=True, help="JSON, a space that `search --space` takes")
    command.add_argument("--lists", metavar="FILE", help="the modules of each unit as AutoBuild's published code lists them")
    command = add(prices, "run")
    command.add_argument("--budget", action="append", required=True, metavar="EXPR", help="'latency_ms <= 8'; repeatable")
    command.add_argument("--steps", type=int, default=STEPS, help="of each limit, half of them below it")
    command.add_argument("--confidence", type=float, default=CONFIDENCE, help="that measurements keep to all budgets at once")
    command.add_argument(
        "--out", required=True, help="CSV, a line a step: metric, limit, next, price, low, high, best and its interval"
    )
    command = add(front, "run")
    command.add_argument("metrics", nargs=2, metavar="METRIC", help="of the data, or the run's target")
    command.add_argument("--minimize", action="append", default=[], metavar="METRIC", help="small values of it are the good ones")
    command.add_argument(
        "--maximize", action="append", default=[], metavar="METRIC", help="large values are; else as its name says"
    )
    command.add_argument("--budget", action="append", default=[], metavar="EXPR", help="'latency_ms <= 8'; repeatable")
    command.add_argument("--confidence", type=float, default=CONFIDENCE, help="that measurements keep to all budgets at once")
    command.add_argument("--reference", type=float, nargs=2, default=(), metavar=("FIRST", "SECOND"), help="of the hypervolume")
    command.add_argument("--seed", type=int, default=0, help="of draws, and of the search in a large space")
    command.add_argument("--out", required=True, help="JSON lines of its members")
    command = add(suggest, "run")
    command.add_argument("--context", **context)
    command.add_argument("--num", type=int, default=16)
    command.add_argument("--out", required=True, help="JSON lines")
    command = add(evaluate, "architectures")
    command.add_argument("--evaluator", required=True, help="by name, table:FILE, or the path of one of your own")
    command.add_argument("--seeds", type=int, default=1, help="trainings of each architecture")
    command.add_argument("--first-seed", type=int, default=0, help="others follow; for seeds that nobody has seen")
    command.add_argument("--budget-steps", type=int, help="of each evaluation; the evaluator's own unless given")
    command.add_argument("--device", default="cpu", help="cpu or cuda")
    command.add_argument("--seconds", type=float, help="that one evaluation may take; longer ones count as failed")
    command.add_argument("--scheduler", metavar="ADDRESS", help="of Dask, tcp://HOST:8786, whose workers measure; see README")
    command.add_argument("--out", required=True, help="JSON lines; those of a batch that was stopped are gone on from")
    command = add(search)
    command.add_argument("run", nargs="?", metavar="RUN", help="a finished run: its space; its predictions without --evaluator")
    command.add_argument("--run", dest="predicted_by", metavar="RUN", help="the same")
    command.add_argument("--space", metavar="NAME|FILE", help="space by name, a space.json, or a reduced space")
    command.add_argument("--data", help="a file of architectures: its space")
    command.add_argument("--evaluator", help="by name, table:FILE, predictor:RUN, or the path of one of your own")
    command.add_argument("--target", default="", help="equation over the evaluator's metrics; its first unless given")
    command.add_argument("--minimize", action="store_true", help="smaller targets are better")
    command.add_argument("--second", default="", metavar="EXPR", help="a second target: a Pareto front is searched for")
    command.add_argument("--minimize-second", action="store_true", help="smaller is better, as of a loss or a cost anyway")
    at = "of the hypervolume, a value of each target; the worst of the first ten networks unless given"
    command.add_argument("--reference", type=float, nargs=2, default=(), metavar=("FIRST", "SECOND"), help=at)
    command.add_argument("--searcher", default=DEFAULT_SEARCHER, help=f"one of {', '.join(searcher_names())}")
    command.add_argument("--set", action="append", default=[], metavar="NAME=NUMBER", help="setting of the searcher; repeatable")
    command.add_argument("--num", "--budget-evaluations", type=int, default=100, help="networks to evaluate, at most")
    command.add_argument("--seed", type=int, default=0, help="of the search")
    command.add_argument("--seeds", type=int, default=1, help="evaluations of each network")
    command.add_argument("--first-seed", type=int, default=0, help="of the evaluations; others follow")
    command.add_argument("--budget-steps", "--budget", type=int, help="of each evaluation; the evaluator's own unless given")
    command.add_argument("--device", default="cpu", help="cpu or cuda")
    command.add_argument("--seconds", type=float, help="that one evaluation may take; longer ones count as failed")
    command.add_argument("--out", required=True, help="JSON lines; the same search goes on from those that are there")
    command = add(replay)
    command.add_argument("data", nargs="?", help="a file that holds every network of its space")
    command.add_argument("--evaluator", help="measures networks when they are asked for, in place of a file")
    command.add_argument("--space", metavar="NAME|FILE", help="of the data, or what the evaluator measures")
    command.add_argument("--format", help="of the data; recognised by content unless given")
    command.add_argument("--role", action="append", default=[], metavar="COLUMN=ROLE", help="of the data, as `train` takes it")
    command.add_argument("--target", required=True, help="equation over the metrics: what a loop observes")
    command.add_argument("--judge", default="", help="equation by which picks are judged; the target unless given")
    command.add_argument("--minimize", action="store_true", help="smaller targets are better")
    command.add_argument("--evaluations", type=int, default=60, help="networks that a loop evaluates, the initial ones too")
    command.add_argument("--initial", type=int, default=20, help="random networks that all modes begin with")
    command.add_argument("--batch", type=int, default=10, help="networks between two trainings")
    command.add_argument("--seeds", type=int, default=20, help="paired repetitions")
    command.add_argument("--first-seed", type=int, default=0, help="the others follow")
    command.add_argument("--modes", nargs="+", default=DEFAULT_MODES, metavar="MODE", help=f"some of {', '.join(MODES)}")
    command.add_argument("--within", type=float, default=0.0, help="a final pick so close to the best is a success")
    command.add_argument("--budget-steps", type=int, help="of each evaluation; the evaluator's own unless given")
    command.add_argument("--device", default="cpu", help="of the evaluations, cpu or cuda")
    command.add_argument("--again", metavar="EVALUATOR", help="evaluates the final picks once more, with seeds that no loop saw")
    command.add_argument("--again-seed", type=int, default=1000, help="the first of these")
    command.add_argument("--again-seeds", type=int, default=1, help="how many; their mean is compared")
    command.add_argument("--out", required=True, help="CSV of all curves; those that are there are not made again")
    command.add_argument("--out-md", help="the table in Markdown; on standard error unless given")
    command = add(evolve)
    command.add_argument("--out", required=True, help="folder; an evolution that is there goes on from its last generation")
    about = {name: said.replace("%", "%%") for name, said in re.findall(r"^ +(\w+): (.+)\.$", EvolutionPlan.__doc__ or "", re.M)}
    for one in fields(EvolutionPlan):
        flag, default = f"--{one.name.replace('_', '-')}", one.default
        if one.name in OF_FILES:
            command.add_argument(flag, metavar="NAME|FILE", help=f"{about[one.name]}, or a file of JSON; {default} unless given")
        elif one.name == "start":
            command.add_argument(flag, metavar="FILE", help="a learned space whose cells it begins with; drawn unless given")
        elif isinstance(default, bool):
            command.add_argument(flag, action=argparse.BooleanOptionalAction, help=about[one.name])
        else:
            command.add_argument(flag, type=type(default), help=f"{about[one.name]}; {default} unless given")
    command = add(loop, "folder")
    command.add_argument("--ask", type=int, metavar="N", help="hand out the next batch; trains on the newest data first")
    command.add_argument("--tell", metavar="FILE", help="join what was measured: by id, or by architecture")
    command.add_argument("--out", help="JSON lines of the batch; in the folder unless given")
    command.add_argument(
        "--template", metavar="NAME|FILE", help="what --out is made from: " + ", ".join(TEMPLATES) + ", or yours"
    )
    command.add_argument("--data", help="evaluated architectures, to begin a loop in a new folder")
    command.add_argument("--format", help="of the data; recognised by content unless given")
    command.add_argument("--space", metavar="NAME|FILE", help="of the data, as `train` takes it")
    command.add_argument("--role", action="append", default=[], metavar="COLUMN=ROLE", help="of the data, as `train` takes it")
    command.add_argument("--target", default="", help="equation over the data's metrics")
    command.add_argument("--minimize", action="store_true", help="smaller targets are better")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--members", type=int, help="of the ensembles; by the data's size unless given")
    command.add_argument("--steps", type=int, help="of their trainings; by the data's size unless given")
    command.add_argument("--threads", type=int, default=2)
    command.add_argument("--evolve", action="store_true", help="a space is evolved first; goes on with the stage that is next")
    command.add_argument("--evolved", metavar="FOLDER", help="of an evolution that has ended, in place of a new one")
    command.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="setting of the evolution, see `evolve`; repeatable",
    )
    command.add_argument("--num-sampled", type=int, help="networks of a space to learn from; 20 unless given")
    command.add_argument("--num-built", type=int, help="networks that are built; 5 unless given")
    command.add_argument("--num-again", type=int, help="unseen seeds for the best of every stage; 3 unless given")
    command.add_argument("--charged", type=int, help="evaluations that the evolution is worth; its seconds unless given")
    command.add_argument(
        "--evaluator", help="of the networks, in rounds or with --evolve, where it is classification unless given"
    )
    command.add_argument(
        "--rounds", action="store_true", help="evaluates by itself, in rounds; goes on with those that are there"
    )
    command.add_argument("--evaluations", type=int, help="of rounds: new networks in all; 40 unless given")
    command.add_argument("--batch", type=int, help="of rounds: networks between two fits; 10 unless given")
    command.add_argument(
        "--budget", dest="budgets", action="append", metavar="EXPR", help="of rounds: 'latency_ms <= 8'; repeatable"
    )
    command.add_argument("--confidence", type=float, help="of rounds: that measurements keep to all budgets; 0.9 unless given")
    command.add_argument("--seeds", type=int, help="of rounds: evaluations of each network; 1 unless given")
    command.add_argument("--first-seed", type=int, help="of these; 0 unless given, the others follow")
    command.add_argument("--seconds", type=float, help="of rounds: that one evaluation may take; longer ones count as failed")
    command.add_argument("--scheduler", metavar="ADDRESS", help="of rounds: of Dask, whose workers measure")
    command.add_argument("--budget-steps", dest="budget", type=int, help="of each evaluation; the evaluator's own unless given")
    command.add_argument("--max-lr", type=float, help="learning rate of each evaluation; 0.012 unless given")
    command.add_argument("--device", help="cpu or cuda; cpu unless given")
    command = add(report, "run")
    command.add_argument("--context", **context)
    command.add_argument(
        "--out", help="name that ends in .html or .htm, or in .json for JSON; review.html in the run folder unless given"
    )
    command.add_argument("--pins", help="folder of pinned claims; pins in the run folder unless given")
    command = add(verify, "report", "data")
    command.add_argument("--tolerance", type=float, default=0.0, help="share of a column's spread; for reports of other machines")
    command = add(benchmark)
    data = "evaluated architectures; not needed for --scale, --columns or --swaps alone; of --paper the folder of the sample data"
    command.add_argument("data", nargs="?", help=data)
    command.add_argument("--target", default="", help="equation over the file's metrics")
    command.add_argument("--minimize", action="store_true", help="smaller targets are better")
    command.add_argument("--sizes", type=int, nargs="+", help="networks to learn from; 50, 100, 300, 3000 unless given")
    command.add_argument("--seeds", type=int, nargs="+", default=[0], help="means are over these")
    command.add_argument("--published", action="store_true", help="also the published recipe, in the same run")
    command.add_argument("--scale", type=int, nargs="*", help="synthetic architectures; 1,000 to 100,000 unless numbers follow")
    command.add_argument("--columns", type=int, nargs="+", default=[], help="columns of a synthetic flat table of 200 rows")
    about_swaps = "finished runs of which every swap of an architecture is tried, as Builder does"
    command.add_argument("--swaps", nargs="+", default=[], metavar="RUN", help=about_swaps)
    names = ("confounder", "mediator", "stopped trials", "no overlap", "sign changes", "seeds")
    command.add_argument(
        "--truths", nargs="*", choices=names, help="made truths about contexts and stopped trials; all unless named"
    )
    command.add_argument(
        "--complete",
        nargs="*",
        choices=("random", "log"),
        help="a file with every network of a space: 100 random ones and 100 of a search's log, judged by all others",
    )
    command.add_argument(
        "--design", nargs="+", metavar="METRIC", help="budgets of these metrics and their prices, where all is known"
    )
    command.add_argument(
        "--reduced", nargs="+", type=int, metavar="K", help="reduced spaces of K modules a unit, where all is known"
    )
    about_arms = (
        "the arms of AutoBuild's Pareto evolution of the target and this metric, where all is known; --reduced: of K modules"
    )
    command.add_argument("--arms", metavar="METRIC", help=about_arms)
    command.add_argument("--judge", default="", help="of --arms: equation by which a front is judged; the target unless given")
    command.add_argument(
        "--measured",
        metavar="EVALUATOR",
        help="judges the budgets of --design by measuring what is built; METRIC=NAME where it calls one otherwise",
    )
    command.add_argument("--space", metavar="FILE", help="space.json of the data, for --complete, --design, --reduced, --arms")
    command.add_argument("--threads", type=int, default=2)
    command.add_argument("--members", type=int, help="size of the ensemble; by the data's size unless given")
    command.add_argument("--steps", type=int, help="gradient steps; by the data's size unless given")
    command.add_argument("--epochs", type=int, help="of the published recipe; 200 unless given")
    experiments = ("classification", "diffusion", "hops", "segmentation")
    command.add_argument(
        "--paper", nargs="*", choices=experiments, help="the papers' experiments, trained for real; all unless named"
    )
    of_spaces = ("claim", "budgets", "fitness", "search", "ablations")
    command.add_argument(
        "--autospace", nargs="*", choices=of_spaces, help="experiments about learned spaces, trained for real; all unless named"
    )
    command.add_argument("--draws", type=int, default=20, help="of --paper diffusion: parts of the space that are learned from")
    command.add_argument("--hop-draws", type=int, default=5, help="of --paper hops: predictors of each kind")
    command.add_argument(
        "--budget-steps", type=int, help="of each evaluation of --paper, --autospace, --measured; their own unless given"
    )
    command.add_argument("--device", default="cpu", help="of the evaluations of --paper, --autospace and --measured, cpu or cuda")
    command.add_argument(
        "--scheduler", metavar="ADDRESS", help="of Dask, whose workers do the evaluations of --paper, --autospace and --measured"
    )
    command.add_argument(
        "--out",
        help="CSV with every number; gone on from: of --complete JSON lines, of --paper, --autospace and --measured a folder",
    )
    command.add_argument("--out-md", help="Markdown tables; on standard error unless given")
    command.add_argument("--chart", help="SVG of seconds and memory, with --scale")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; returns the exit status. Ends quietly where its reader has enough (`| head`).

    Source: Python's documentation of the module signal, "Note on SIGPIPE".
    """
    try:
        try:
            return _run(arguments)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):  # what they hold back is written once more when Python ends
            os.dup2(nowhere, stream.fileno())
        return READER_GONE


def _run(arguments: list[str] | None) -> int:
    options = make_parser().parse_args(arguments)
    options.given = sys.argv[1:] if arguments is None else arguments
    keep_freed_memory()
    wait_briefly()
    progress = Progress()
    try:
        result = options.run_command(options, progress)
    except StudioError as error:
        progress.close()
        print(f"{options.command}: {error}", file=sys.stderr)
        return USER_ERROR
    except (KeyboardInterrupt, Cancelled):
        progress.close()
        print(f"{options.command}: interrupted; what was finished is kept.", file=sys.stderr)
        return INTERRUPTED
    progress.close()
    print(tables.to_json(result))
    return 0
