"""The tree of errors that a user can cause; every message says what, where, got, expected; and how sentences count and list.

StudioError
  DataError            a file, or one row of it, cannot be read
    ArchitectureError  an architecture is not in its search space
    MappingError       the columns of a table do not make a space; `.columns` says how each was read
  TargetError          a target equation is refused; `.position` is the faulty character
  RunError             a run is missing, unfinished, or was written by another version
  ConfigError          a setting is out of range
  EvaluationError      an evaluation of an architecture failed
    Diverged           its loss is no finite number any more
    OutOfTime          it took longer than it was given
  ReportError          a review report is none, is damaged, or says what cannot be worked out again
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from autobuild_core.architectures.records import ColumnRole


class StudioError(Exception):
    """Anything the user can mend. The command line prints its one sentence and exits with status 2."""


class DataError(StudioError):
    """A file, or one row of it, cannot be read."""


class ArchitectureError(DataError):
    """An architecture is not in its search space."""


class MappingError(DataError):
    """The columns of a table do not make a search space.

    Args:
        message: what is wrong and what was expected.
        columns: how each column was read (records.ColumnRole).
    """

    def __init__(self, message: str, columns: "tuple[ColumnRole, ...]" = ()) -> None:
        super().__init__(message)
        self.columns = columns


class TargetError(StudioError):
    """A target equation is refused.

    Args:
        message: what is wrong and what was expected.
        position: offset of the faulty character in the equation, where it is known.
    """

    def __init__(self, message: str, position: int | None = None) -> None:
        super().__init__(message)
        self.position = position


class RunError(StudioError):
    """A run is missing, unfinished, or was written by another version."""


class ConfigError(StudioError):
    """A setting is out of range."""


class EvaluationError(StudioError):
    """An evaluation of an architecture failed: the evaluator said so, or its process ended."""


class Diverged(EvaluationError):
    """The loss of a training is no finite number any more."""


class OutOfTime(EvaluationError):
    """An evaluation took longer than it was given."""


class ReportError(StudioError):
    """A review report is none, is damaged, or says what cannot be worked out again from its data."""


class Cancelled(Exception):
    """A job stopped because it was told to; what it had finished is kept."""


def counted(num: int, noun: str) -> str:
    """A number of things for a sentence: "1 trial", "1,200 trials"."""
    return f"{num:,} {noun}{'s' * (num != 1)}"


def listed(names: Iterable[str], longest: int = 200) -> str:
    """Names for a sentence, none cut in two: "a, b and c", or "a, b and 12 more" where all would be too long.

    Args:
        names: in their order.
        longest: characters that the list may take; the first name stands whole in any case.
    """
    names = list(names)

    def sentence(num_shown: int) -> str:
        left_out = len(names) - num_shown
        parts = [*names[:num_shown], f"{left_out:,} more"] if left_out else names
        return " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))

    if not names:
        return ""
    if len(whole := sentence(len(names))) <= longest:
        return whole
    num_shown = 1
    while num_shown < len(names) - 1 and len(sentence(num_shown + 1)) <= longest:
        num_shown += 1
    return sentence(num_shown)
