"""A reader's choices in a run: lens, hop, unit, module, architecture.

`_memory` keeps them, and says how links write them.
"""

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

import numpy as np

from autobuild_core.architectures.lens import TRAINED, Lens
from autobuild_core.architectures.module_key import ModuleKey
from autobuild_core.architectures.ranges import shown_layer
from autobuild_core.architectures.records import Codes, SpaceSpec
from autobuild_core.errors import StudioError
from pages._memory import keep, recall, whole_number

if TYPE_CHECKING:
    import pandas as pd

    from autobuild_core.scoring.finished_run import FinishedRun

PLAIN = " >.-_~()"  # what stands in the URL as it is; "," "=" "!" divide a module's parts


# Lens, hop, unit


def lens() -> Lens:
    """The chosen lens, by default the average."""
    known = recall("lens")
    return Lens(known) if known in list(TRAINED) else Lens.SCORE


def choose_lens(chosen: Lens) -> None:
    """Remembers the lens."""
    keep(lens=None if chosen is Lens.SCORE else chosen.value)


def hop(deepest: int) -> int:
    """The chosen hop, at most `deepest`; 0 by default."""
    return min(whole_number(recall("hop")) or 0, deepest)


def choose_hop(chosen: int) -> None:
    """Remembers the hop."""
    keep(hop=chosen or None)


def unit(spec: SpaceSpec) -> int | None:
    """Index of the chosen unit; None where none of the space is chosen."""
    labels = [one.label for one in spec.units]
    known = recall("unit")
    return labels.index(known) if known in labels else None


def choose_unit(spec: SpaceSpec, index: int | None) -> None:
    """Remembers the unit; a negative index is none (a module across units)."""
    keep(unit=spec.units[index].label if index is not None and index >= 0 else None)


# Module


def parse_module(text: str | None) -> ModuleKey | None:
    """The module that a URL names; None where it names none."""
    places, divided, tokens = (text or "").removesuffix("!").partition("=")
    found = ModuleKey(_parts(places), _parts(tokens), (text or "").endswith("!"))
    return found if divided and len(found.positions) == len(found.layers) else None


def module_text(module: ModuleKey) -> str:
    """A module for the URL; `parse_module` is its inverse."""
    places, tokens = (",".join(quote(part, PLAIN) for part in parts) for parts in (module.positions, module.layers))
    return f"{places}={tokens}{'!' if module.whole_unit else ''}"


def _parts(text: str) -> tuple[str, ...]:
    return tuple(unquote(part) for part in text.split(","))


def module(run: "FinishedRun") -> ModuleKey | None:
    """The chosen module; None where none is chosen or the run's space has no such places and layers.

    Where depth is fixed the layers of a unit and the whole unit are one module: it is the one that was scored. An exact
    number is the range that it is in.
    """
    found, spec = parse_module(recall("module")), run.table.spec
    if found is None or not found.fits(spec):
        return None
    shown = tuple(shown_layer(spec, spec.tokens.index(one)) if one in spec.tokens else one for one in found.layers)
    for one in (found, replace(found, layers=shown)):
        other = replace(one, whole_unit=not one.whole_unit)
        if one.texts in run.index or (spec.fixed_depth and other.texts in run.index):
            return one if one.texts in run.index else other
    return found


def module_line(run: "FinishedRun") -> "pd.Series[Any] | None":
    """The chosen module's line of the module table; None where it was not scored."""
    chosen = module(run)
    line = None if chosen is None else run.index.get(chosen.texts)
    return None if line is None else run.modules.iloc[line]


def choose_module(chosen: ModuleKey | None, follow: bool = True) -> None:
    """Remembers a module; with `follow` the hop becomes its own, so that Importance shows it."""
    keep(module=None if chosen is None else module_text(chosen))
    if chosen is not None and follow:
        choose_hop(chosen.hop)


# Architecture


@dataclass(frozen=True, eq=False)
class Architecture:
    """A chosen architecture.

    Args:
        kind: "best", "worst", "row" or "typed".
        codes: (num_positions,) codes.
        row: its row of the run's table; None where it is typed in.
        what: in words, e.g. "row 17".
    """

    kind: str
    codes: Codes
    row: int | None
    what: str


def architecture(run: "FinishedRun", name: str = "arch") -> Architecture:
    """The chosen architecture, by default the best measured; also that where the choice is not in the run.

    Args:
        run: the run.
        name: "arch", or "beside" for the second of a pair, by default the worst measured.

    Raises:
        ArchitectureError: a typed one is not in the space.
    """
    default = "best" if name == "arch" else "worst"
    text, table, order = recall(name) or default, run.table, run.ranked_rows()
    kind, _, rest = text.partition(":")
    if text in ("best", "worst"):
        row = int(order[0] if text == "best" else order[-1])
        return Architecture(text, table.codes[row], row, f"the {text} measured, row {int(table.source_rows[row])}")
    if kind == "row":
        found = np.flatnonzero(table.source_rows == whole_number(rest))
        if len(found):
            return Architecture("row", table.codes[found[0]], int(found[0]), f"row {int(rest)}")
        row = int(order[0])
        return Architecture("best", table.codes[row], row, f"the best measured, row {int(table.source_rows[row])}")
    return Architecture("typed", parse(run, rest if kind == "typed" else text), None, "typed in")


def named_rows() -> list[str]:
    """The rows of the file that the link names, as written: the chosen one, and in a pair the one beside it."""
    kept = [recall(name) or "" for name in (("arch", "beside") if recall("show") == "pair" else ("arch",))]
    return [text.removeprefix("row:") for text in kept if text.startswith("row:")]


def parse(run: "FinishedRun", text: str) -> Codes:
    """A native encoding as typed, or as JSON, in codes.

    Raises:
        ArchitectureError: it is not in the space.
        StudioError: it begins like JSON and is none.
    """
    native: Any = text.strip()
    if native.startswith(("[", "{")):
        try:
            native = json.loads(native)
        except (ValueError, RecursionError) as error:
            raise StudioError(f"architecture: got text that is not JSON ({error}), expected JSON.") from error
    return np.array(run.space.parse(native), np.int16)


def chosen_row(run: "FinishedRun") -> int | None:
    """Row of the run's table that is chosen; None where the chosen architecture is typed in or faulty."""
    try:
        return architecture(run).row
    except StudioError:
        return None


def choose_row(run: "FinishedRun", row: int | None) -> None:
    """Remembers an architecture by its row of the run's table; None is the best measured."""
    keep(arch=None if row is None else f"row:{int(run.table.source_rows[row])}")


def best_row_with(run: "FinishedRun", chosen: ModuleKey) -> int | None:
    """The best measured architecture that contains a module; None where none does."""
    inside = chosen.contained_in(run.table)
    rows = run.ranked_rows()
    rows = rows[inside[rows]]
    return int(rows[0]) if len(rows) else None
