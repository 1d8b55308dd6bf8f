"""AutoBuild Studio: which building blocks make architectures good, can that be trusted, what to build next.

`import autobuild_core as ab` is light; work loads what it needs:

    table = ab.read("evaluated.csv")
    run = ab.train(table, target="acc", out="runs/first")
    run.scores(lens="good", units=True)
    run.build(num=10)
    ab.reduce(run, top_k=10)
"""

import importlib
from typing import TYPE_CHECKING, Any

from autobuild_core.version import VERSION

if TYPE_CHECKING:
    from autobuild_core import figures
    from autobuild_core.api import Run, append, close_loop, evaluate, evolve, read, reduce, run_rounds, search, train

__version__ = VERSION
__all__ = ["Run", "append", "close_loop", "evaluate", "evolve", "figures", "read", "reduce", "run_rounds", "search", "train"]


def __getattr__(name: str) -> Any:
    """Loads what is exported when it is asked for."""
    if name == "figures":
        return importlib.import_module("autobuild_core.figures")
    if name in __all__:
        return getattr(importlib.import_module("autobuild_core.api"), name)
    raise AttributeError(f"module 'autobuild_core' has no attribute '{name}'")
