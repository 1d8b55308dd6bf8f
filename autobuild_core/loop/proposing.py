"""The architectures of the next batch: those that wait, the best built, those that teach most, and random controls.

Controls are random networks that no prediction chose: what was selected by its prediction disappoints, and only beside controls
can that be told from a predictor that is wrong everywhere. Ours.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import pandas as pd

from autobuild_core.architectures.records import ArchTable, Codes
from autobuild_core.errors import ConfigError
from autobuild_core.loop.batches import Handed
from autobuild_core.predictor.ensemble import Predictor
from autobuild_core.spaces import Space
from autobuild_core.store.candidates import Candidate, CandidateLog, CandidateState, Origin, Prediction
from autobuild_core.store.quality import Progress, Report
from autobuild_core.store.run_folder import RunConfig, RunFolder

CONTROL_SHARE = 0.2
DRAWS = 50  # random networks drawn for a control, at most


def _silent(record: Progress) -> None:
    """Hears nothing."""


class Run(Protocol):
    """A finished run as `api.Run` is one: it predicts, builds and suggests."""

    folder: RunFolder
    config: RunConfig
    predictor: Predictor

    @property
    def holds_at(self) -> dict[str, Any]:
        """The context that its numbers hold at."""

    def table(self) -> ArchTable:
        """The evaluated architectures that it was trained on."""

    def build(self, num: int, *, report: Report) -> pd.DataFrame:
        """The best networks by its predictions."""

    def suggest(self, num: int) -> pd.DataFrame:
        """The networks that teach most."""


def num_controls(num: int) -> int:
    """Random controls of a batch: a fifth, at least one of two."""
    return 0 if num < 2 else max(round(CONTROL_SHARE * num), 1)


def check_num(num: int) -> None:
    """Returns when a batch can have so many candidates.

    Raises:
        ConfigError: it cannot.
    """
    if num < 1:
        raise ConfigError(f"ask: got {num}, expected at least 1.")


def hand_out(run: Run, log: CandidateLog, num: int, seed: int = 0, report: Report = _silent) -> Handed:
    """Hands out a batch: candidates that wait, the oldest first, filled up from the run, and random controls among them.

    Args:
        run: that predicts, builds and suggests.
        log: of the data set's candidates; predictions are written into it before anything is handed out.
        num: candidates, at most.
        seed: of the controls.
        report: hears {"phase", "share"} while the run builds.

    Raises:
        ConfigError: num is not positive, or there is nothing left to evaluate.
    """
    check_num(num)
    waiting = [c for c in log.all() if c.state is CandidateState.WAITING]
    controls = [c for c in waiting if c.origin is Origin.CONTROL][: num_controls(num)]
    controls += log.propose(random_ones(run, log, num_controls(num) - len(controls), seed))
    chosen = [c for c in waiting if c.origin is not Origin.CONTROL][: num - len(controls)]
    missing = num - len(controls) - len(chosen)
    chosen += log.propose(from_run(run, log, missing, report))[:missing] if missing else []
    if not chosen and not controls:
        raise ConfigError("ask: got no architecture that is left to evaluate; every network was, or is being, evaluated.")
    batch = [*chosen, *controls]
    return Handed(log.ask([one.id for one in batch]), tuple(batch))


def from_run(run: Run, log: CandidateLog, num: int, report: Report = _silent) -> list[Candidate]:
    """The best that a run builds, and between them what it suggests to learn most; at most `num` that are not on the list."""
    taken = open_networks(log)
    wanted = num + len(taken)
    found: dict[str, Candidate] = {}
    built, suggested = _frame(run, wanted, Origin.BUILT, report), _frame(run, wanted, Origin.NEXT, report)
    for pair in zip(_padded(built, wanted), _padded(suggested, wanted), strict=True):
        for candidate in pair:
            if candidate is not None and candidate.network not in taken:
                found.setdefault(candidate.network, candidate)
    return list(found.values())[:num]


def proposed(run: Run, log: CandidateLog, num: int, origin: Origin, report: Report = _silent) -> list[Candidate]:
    """The first of what a run builds or suggests that are not on the list; at most `num`."""
    taken = open_networks(log)
    return [one for one in _frame(run, num + len(taken), origin, report) if one.network not in taken][:num]


def _padded(candidates: Sequence[Candidate], num: int) -> list[Candidate | None]:
    """A list of a length, filled up with None."""
    return [*candidates[:num], *[None] * (num - len(candidates))]


def _frame(run: Run, num: int, origin: Origin, report: Report) -> list[Candidate]:
    """Candidates that a run builds or suggests; none where nothing is left."""
    try:
        frame = run.build(num, report=report) if origin is Origin.BUILT else run.suggest(num)
    except ConfigError:  # every network was evaluated already
        return []
    return candidates_of(run, codes_of(run.predictor.space, frame["arch"].tolist()), origin)


def random_ones(run: Run, log: CandidateLog, num: int, seed: int = 0) -> list[Candidate]:
    """Random distinct networks that are neither evaluated nor on the list, with what is predicted of them."""
    if num < 1:
        return []
    predictor, taken = run.predictor, open_networks(log) | {str(int(one)) for one in run.table().networks}
    codes = predictor.space.sample(num * DRAWS, np.random.default_rng([seed, len(log.all())]))
    hashes = [str(int(one)) for one in predictor.space.hash_networks(codes)]
    rows: dict[str, int] = {}
    for row, network in enumerate(hashes):
        if network not in taken and len(rows) < num:
            rows.setdefault(network, row)
    return candidates_of(run, codes[list(rows.values())], Origin.CONTROL)


def candidates_of(run: Run, codes: Codes, origin: Origin) -> list[Candidate]:
    """Architectures as candidates, with what a run predicts of them.

    Args:
        run: that predicts.
        codes: (n, num_positions) architectures.
        origin: why they are proposed.
    """
    if not len(codes):
        return []
    space = run.predictor.space
    networks = [str(int(one)) for one in space.hash_networks(codes)]
    return [
        Candidate("", space.native(row), network, origin, prediction, 0.0)
        for row, network, prediction in zip(codes, networks, predictions(run, codes), strict=True)
    ]


def predictions(run: Run, codes: Codes) -> list[Prediction]:
    """The predictions of a run for architectures, (n, num_positions) codes."""
    frame = run.predictor.predict(codes)
    return [_prediction(run, row) for row in frame.to_dict("records")]


def _prediction(run: Run, row: dict[str, Any]) -> Prediction:
    """A line of predictions as it is written down."""
    config, context = run.config, str(run.holds_at.get("words", ""))
    predicted, low, high = (float(row[name]) for name in ("predicted", "low", "high"))
    by = config.id or str(run.folder.path)
    return Prediction(config.target, config.minimize, by, predicted, low, high, context)


def open_networks(log: CandidateLog) -> set[str]:
    """Networks that are not proposed unasked: on the list without a result yet, measured, or withdrawn by a reader."""
    return {c.network for c in log.all() if c.state.is_taken or c.state is CandidateState.WITHDRAWN}


def codes_of(space: Space, archs: Sequence[Any]) -> Codes:
    """(n, num_positions) codes of architectures in native encodings.

    Raises:
        ArchitectureError: one is not in the space.
    """
    return np.array([space.parse(arch) for arch in archs], np.int16).reshape(len(archs), space.spec.num_positions)
