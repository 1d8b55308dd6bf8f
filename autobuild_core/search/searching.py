"""A search: a searcher proposes, each network is evaluated once, until enough are or none is left."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autobuild_core.architectures.records import Codes
from autobuild_core.search.assembly import nothing_left
from autobuild_core.search.reduction import read_reduced
from autobuild_core.search.searchers import History, Searcher
from autobuild_core.spaces import Space, load_space, space_named
from autobuild_core.spaces._configspace import read_declared
from autobuild_core.spaces._declared import make_spec
from autobuild_core.spaces.autospace import read_cells
from autobuild_core.spaces.flat import Flat

FILES = (".json", ".config")  # how the name of a file ends that declares a space
Scores = Sequence[float] | Sequence[tuple[float, float]]
MOST_FREE = 1_000  # visits in a row without a new network after which a search ends


@dataclass(frozen=True, eq=False)
class Searched:
    """A search that came to its end.

    Args:
        history: all visits, with scores.
        codes: (n, num_positions) the networks that were evaluated, each once, in their order.
        ended: why it ended before it had as many as were asked for, a sentence; "" where it has them.
    """

    history: History
    codes: Codes
    ended: str = ""


def search(
    searcher: Searcher,
    num: int,
    evaluate: Callable[[Codes], Scores],
    at_once: int = 1,
    history: History | None = None,
) -> Searched:
    """Searches a space.

    What is asked for follows from the searcher and from what was answered: asked again with the same answers, for more networks
    too, a search takes the same way.

    Args:
        searcher: of the space.
        num: networks to evaluate, at most.
        evaluate: scores of (n, num_positions) architectures of networks that are all new: larger is better, NaN where it failed;
            of two targets a pair each.
        at_once: architectures that are proposed at a time.
        history: visits that the search goes on from, which count among `num`; it is added to.
    """
    history, space = History() if history is None else history, searcher.space
    asked: list[Codes] = []
    while history.num_networks < num:
        proposed = searcher.propose(history, at_once)[:at_once]
        networks = [int(network) for network in space.hash_networks(proposed)]
        rows: dict[int, int] = {}
        for row, network in enumerate(networks):
            if network not in history.known and history.num_networks + len(rows) < num:
                rows.setdefault(network, row)
        new = proposed[list(rows.values())]
        scores = dict(zip(rows, evaluate(new), strict=True)) if rows else {}
        asked += list(new)
        for codes, network in zip(proposed, networks, strict=True):
            if network in history.known or network in scores:
                score = scores.get(network, np.nan)
                history.visit(codes, network, *(score if isinstance(score, tuple) else (score,)))
        if not len(proposed) or history.num_free > MOST_FREE:
            break
    codes = np.stack(asked) if asked else np.zeros((0, space.spec.num_positions), np.int16)
    short = history.num_networks < num
    return Searched(history, codes, f"{nothing_left(space, space.hash_networks(codes)).said}." if short else "")


def read_space(name: str) -> Space:
    """A space by its name, or of a file: one that declares a space, a reduced space, or lists of cells as AutoSpace published.

    Args:
        name: of a file in spaces/ that needs no data, or a path that ends in .json or .config.

    Raises:
        ConfigError: there is none of that name, or the file cannot be opened.
        DataError: the file declares no space.
    """
    if not name.endswith(FILES):
        return space_named(name)
    path = Path(name)
    if (listed := read_cells(path)) is not None:
        return load_space(listed)
    try:
        raw = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        raw = None  # said below
    if isinstance(raw, dict) and "spec" in raw:
        return read_reduced(json.dumps(raw))
    return load_space(make_spec(read_declared(path), Flat.title))
