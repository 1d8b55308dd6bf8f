"""The target that is aimed at: as chosen, and as Markdown says it."""

from autobuild_core.targets.aim import Aim
from pages import _pair
from pages._memory import recall
from pages._text import code, plain

LONGEST = 30  # characters of a name or an equation in a line


def chosen() -> Aim:
    """As Data's fields, or a link, say; without an equation where none is chosen."""
    expression, name, unit = (recall(choice) or "" for choice in ("target", "target_name", "target_unit"))
    return Aim(expression, recall("minimize") == "yes", name, unit)


def known() -> Aim | None:
    """The target as chosen, else as in the run that is shown."""
    if (fields := chosen()).expression:
        return fields
    run = _pair.current_run()
    return None if run is None else Aim.of(run)


def words(aim: Aim) -> str:
    """Direction and name; without a name the equation."""
    return f"{aim.direction} {plain(aim.name, LONGEST) if aim.name else code(aim.expression, LONGEST)}"


def equation(aim: Aim) -> str | None:
    """The equation, where `words` do not have it whole; else None."""
    return code(aim.expression, 300) if aim.name or len(aim.expression) > LONGEST else None
