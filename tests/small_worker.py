"""The real worker, with samples as small as a page needs to be drawn: trainings of the tests take a fraction of the time."""

import sys
from types import ModuleType

from autobuild_core.jobs import worker
from autobuild_core.jobs.kinds.train import pipeline
from autobuild_core.predictor import distillation, learning_curve
from autobuild_core.scorers import autobuild
from autobuild_core.scoring import interactions, population, space_map
from autobuild_core.search import acquisition
from autobuild_core.trust import report

SMALL: dict[ModuleType, dict[str, int]] = {
    autobuild: {"NUM_CONTEXTS": 4},
    learning_curve: {"FIRST_SIZE": 250, "LAST_SIZE": 500},
    interactions: {"CONTEXTS": 4, "MOST_ROWS": 500},
    pipeline: {"SPREAD_DRAWS": 256},
    population: {"NUM_DRAWS": 512},
    space_map: {"NUM_RANDOM": 1024},
    acquisition: {"POOL": 200, "OVERTURN_POOL": 40},
    distillation: {"NUM_TAUGHT": 128, "NUM_MODULES": 8},
    report: {"PROBES": 256, "MOST_SAMPLED": 300},
}


def shrink() -> None:
    """Sets the sizes of this process."""
    for module, sizes in SMALL.items():
        for name, size in sizes.items():
            assert getattr(module, name) > size, name
            setattr(module, name, size)


if __name__ == "__main__":
    shrink()
    sys.exit(worker.main())
