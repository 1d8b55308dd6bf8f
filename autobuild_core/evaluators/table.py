"""Table: looks measurements up in a file, where every architecture was evaluated already."""

from functools import cached_property
from pathlib import Path
from typing import Any, final

import numpy as np

from autobuild_core.architectures.records import ArchTable
from autobuild_core.errors import ArchitectureError, EvaluationError
from autobuild_core.evaluators import Conditions, Evaluator, Measured, Watch
from autobuild_core.spaces import Space, load_space


@final
class Table(Evaluator):
    """All metrics of the architecture's network in a file of evaluated architectures; the mean where it has several rows.

    Where the file says seeds, the row of the asked seed is looked up. `table:FILE` names the file, of any format read here.
    """

    title = "Look-up in a table"
    about = "finds what a file says of an architecture"
    by_device = False
    takes_source = True

    def data(self) -> str:
        return Path(self.source).name

    @cached_property
    def _table(self) -> ArchTable:
        from autobuild_core.datasets import read_table

        return read_table(Path(self.source))

    @cached_property
    def _space(self) -> Space:
        return load_space(self._table.spec)

    def check(self, arch: Any) -> None:
        self._space.parse(arch)

    def evaluate(self, arch: Any, at: Conditions, watch: Watch) -> Measured:
        watch.step()
        table = self._table
        row = np.array([self._space.parse(arch)], np.int16)
        same = table.networks == self._space.hash_networks(row)[0]
        if not same.any():
            raise ArchitectureError(f"architecture: got {str(arch)[:80]}, which {self.data()} does not hold.")
        seeds = [name for name, kind in table.context_kinds.items() if kind == "seed"]
        for name in seeds:
            same &= table.contexts[name].to_numpy() == at.seed
        if not same.any():
            raise EvaluationError(f"seed: got {at.seed}, which {self.data()} does not hold of this architecture.")
        means = table.metrics[same].mean()
        return Measured({str(name): float(value) for name, value in means.items() if np.isfinite(value)})
