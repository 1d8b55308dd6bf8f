"""Forges: processes that have loaded what takes long to load, and fork children that do the work. This one trains.

Loading torch and what it loads takes five seconds of a core, a training of the tests two. So each process of a session that
trains at all has one such forge, which ends when the process does. Its workers are the real ones, forked as the warm supervisor
forks them, with samples as small as a page needs to be drawn.
"""

import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from autobuild_core.jobs import worker
from autobuild_core.jobs.executor import SubprocessExecutor
from autobuild_core.jobs.supervisor import Supervisor

THREADS = 1
LATE = ("torch._dynamo", "autobuild_core.predictor.training", "autobuild_core.predictor.gaussian_process", "scipy.stats")
SMALL = {
    "jobs.kinds.train.pipeline": {"SPREAD_DRAWS": 256},
    "predictor.distillation": {"NUM_DISTILLED": 128, "NUM_MODULES": 8},
    "predictor.learning_curve": {"FIRST_SIZE": 250, "LAST_SIZE": 500},
    "scorers.autobuild": {"NUM_CONTEXTS": 4},
    "scoring.interactions": {"CONTEXTS": 4, "MOST_ROWS": 500},
    "scoring.population": {"NUM_DRAWS": 512},
    "scoring.space_map": {"NUM_RANDOM": 1024},
    "search.acquisition": {"POOL": 200, "OVERTURN_POOL": 40},
    "trust.report": {"PROBES": 256, "MOST_SAMPLED": 300},
}
OURS = "AUTOBUILD_"
ROOT = Path(__file__).resolve().parents[1]
_running: dict[str, "subprocess.Popen[str]"] = {}  # the forges of this process, by module


class SmallExecutor(SubprocessExecutor):
    """Has its workers forked, with small samples."""

    def _spawn(self, run_id: str) -> int:
        folder = self.workspace.run(run_id)
        return forked("tests.forge", self.arguments(folder), folder.path / "log.txt")


def forked(module: str, arguments: Sequence[str], log: Path, **variables: str) -> int:
    """The pid of a child of a forge of this process, which is started if need be.

    Args:
        module: that is run as the forge: it ends in `fork_for_each_line`.
        arguments: of the child.
        log: where its output goes.
        variables: of its environment, beside the AUTOBUILD_ ones of this process.
    """
    if module not in _running:
        command = [sys.executable, "-m", module]
        _running[module] = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    forge, ours = _running[module], {name: value for name, value in os.environ.items() if name.startswith(OURS)}
    assert forge.stdin and forge.stdout
    forge.stdin.write(json.dumps({"arguments": [json.dumps(ours | variables), *arguments], "log": str(log)}) + "\n")
    forge.stdin.flush()
    return int(forge.stdout.readline())


def end() -> None:
    """Ends the forges of this process."""
    while _running:
        _running.popitem()[1].communicate()


def fork_for_each_line(main: Callable[[list[str]], int]) -> None:
    """What a forge does once all is loaded: forks a child for every line of input, and says its pid.

    Args:
        main: what a child does with its arguments; returns its exit status.
    """

    def begin(arguments: Sequence[str] | None) -> int:
        variables, *own = arguments or ()
        for name in [name for name in os.environ if name.startswith(OURS)]:
            del os.environ[name]
        os.environ.update(json.loads(variables))
        return main(own)

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # ended children are no zombies
    supervisor = Supervisor(Path(tempfile.gettempdir()), THREADS, main=begin)
    for line in sys.stdin:
        print(supervisor._fork(json.loads(line), ()), flush=True)


def shrink() -> None:
    """Sets the sizes of this process."""
    for dotted, sizes in SMALL.items():
        module = importlib.import_module(f"autobuild_core.{dotted}")
        for name, size in sizes.items():
            assert getattr(module, name) > size, name
            setattr(module, name, size)


if __name__ == "__main__":
    for name in LATE:
        importlib.import_module(name)
    shrink()
    fork_for_each_line(worker.main)
