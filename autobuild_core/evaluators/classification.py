"""Classification: networks trained from scratch to name two overlaid items of Fashion-MNIST."""

from typing import Any, final

from autobuild_core.errors import ArchitectureError, ConfigError
from autobuild_core.evaluators import Conditions, Evaluator, Measured, Watch
from autobuild_core.evaluators._images import images_name
from autobuild_core.evaluators._networks import CELL_NETWORKS, CELLS, STAGES, Family, check_images, family_of

MAX_LR = {STAGES: 0.003, CELLS: 0.006, CELL_NETWORKS: 0.006}


@final
class Classification(Evaluator):
    """Two items of different classes, each flipped and rolled at random, overlaid; the network names both.

    400 steps of 64 pairs unasked. Metrics over 10,000 fixed pairs: `test_loss` (binary cross entropy), `map_pct` (mean average
    precision), `recall_at_2_pct`. It measures stages of inverted residual blocks, cells of NAS-Bench-201, and networks of
    AutoSpace's cells.
    """

    title = "Classification"
    about = "trains on overlaid pairs of Fashion-MNIST items and names both"
    budget = 400
    metrics = ("test_loss", "map_pct", "recall_at_2_pct")
    typical_seconds = (9.0, 21.0)

    def data(self) -> str:
        return f"{images_name()}_pairs"

    def check(self, arch: Any) -> None:
        self._family(arch)

    def evaluate(self, arch: Any, at: Conditions, watch: Watch) -> Measured:
        from autobuild_core.evaluators import _pairs

        family = self._family(arch)
        max_lr = (family is CELL_NETWORKS and CELL_NETWORKS.check(arch).max_lr) or MAX_LR[family]
        curve = _pairs.train_classifier(lambda: family.make(arch), max_lr, at, watch)
        return Measured({name: curve[-1][name] for name in self.metrics}, tuple(curve))

    @staticmethod
    def _family(arch: Any) -> Family:
        """The kind of networks that an architecture belongs to, where it takes the images.

        Raises:
            ArchitectureError: it is of none that is measured, or takes others.
        """
        family = family_of(arch, tuple(MAX_LR))
        if family is CELL_NETWORKS:
            try:
                check_images(CELL_NETWORKS.check(arch).skeleton)
            except ConfigError as error:
                raise ArchitectureError(str(error)) from error
        return family
