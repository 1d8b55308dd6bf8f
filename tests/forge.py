"""Trainings of the tests: forks of a process that has torch loaded, with samples as small as a page needs to be drawn.

Loading torch and what it loads takes five seconds of a core, a training of the tests two. So each process of a session that
trains at all has one such forge, which ends when the process does. Its workers are the real ones, forked as the warm supervisor
forks them.
"""

import importlib
import json
import signal
import subprocess
import sys
import tempfile
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
_running: list["subprocess.Popen[str]"] = []  # the forge of this process


class SmallExecutor(SubprocessExecutor):
    """Has its workers forked, with small samples."""

    def _spawn(self, run_id: str) -> int:
        folder = self.workspace.run(run_id)
        return _asked({"arguments": self.arguments(folder), "log": str(folder.path / "log.txt")})


def _asked(request: dict[str, object]) -> int:
    """The pid of a worker that the forge of this process has forked."""
    forge = _forge()
    assert forge.stdin and forge.stdout
    forge.stdin.write(json.dumps(request) + "\n")
    forge.stdin.flush()
    return int(forge.stdout.readline())


def _forge() -> "subprocess.Popen[str]":
    """The forge of this process."""
    if not _running:
        command, root = [sys.executable, "-m", "tests.forge"], Path(__file__).resolve().parents[1]
        _running.append(subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
    return _running[0]


def end() -> None:
    """Ends the forge of this process, if it has one."""
    while _running:
        _running.pop().communicate()


def shrink() -> None:
    """Sets the sizes of this process."""
    for dotted, sizes in SMALL.items():
        module = importlib.import_module(f"autobuild_core.{dotted}")
        for name, size in sizes.items():
            assert getattr(module, name) > size, name
            setattr(module, name, size)


def main() -> None:
    """Forks a worker for every line of input, and says its pid."""
    for name in LATE:
        importlib.import_module(name)
    shrink()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # ended workers are no zombies
    supervisor = Supervisor(Path(tempfile.gettempdir()), THREADS, main=worker.main)
    for line in sys.stdin:
        print(supervisor._fork(json.loads(line), ()), flush=True)


if __name__ == "__main__":
    main()
