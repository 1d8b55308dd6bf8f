"""The aim of a training, as a person writes it: an equation, its direction, its name and its unit."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

from autobuild_core.targets.equation import Target
from autobuild_core.targets.vocabulary import Label


@dataclass(frozen=True)
class Aim:
    """A target as it stands in a field, a link, a line of a table or a file of settings.

    Its text may be no equation: that is found where `target` is asked for.

    Args:
        expression: the equation.
        minimize: smaller values are better.
        name: what it is called, "" = its equation.
        unit: of its values, "" = what follows from equation and name.
    """

    expression: str
    minimize: bool = False
    name: str = ""
    unit: str = ""

    @classmethod
    def of(cls, fields: "Mapping[str, Any] | Any") -> Self:
        """Of settings, or a line of a table: target, minimize, and target_name and target_unit where there are any."""
        about = (str(fields.get(f"target_{name}", "")) for name in ("name", "unit"))
        return cls(str(fields["target"]), bool(fields["minimize"]), *about)

    @cached_property
    def target(self) -> Target:
        """The equation, parsed once.

        Raises:
            TargetError: the text is not in the grammar.
        """
        return Target(self.expression, self.minimize)

    @property
    def label(self) -> Label:
        """The name and the unit of the target where its values are shown."""
        return Label.of(self.expression, self.name, self.unit)

    @property
    def direction(self) -> str:
        """Its direction in a word."""
        return "minimise" if self.minimize else "maximise"

    @property
    def words(self) -> str:
        """Direction and name, "minimise Latency"."""
        return f"{self.direction} {self.label.title}"
