"""The architectures of the next batch: those that wait, the best built, those that teach most, and random controls.

Controls are random networks that no prediction chose: what was selected by its prediction disappoints, and only beside controls
can that be told from a predictor that is wrong everywhere. Ours.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from autobuild_core.api import Run
from autobuild_core.errors import ConfigError
from autobuild_core.loop.batches import Handed
from autobuild_core.predictor.ensemble import Predictor
from autobuild_core.spaces import Space
from autobuild_core.store.candidates import Candidate, CandidateLog, CandidateState, Origin, Prediction

CONTROL_SHARE = 0.2
DRAWS = 50  # random networks drawn for a control, at most


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


def hand_out(run: Run, log: CandidateLog, num: int, seed: int = 0) -> Handed:
    """Hands out a batch: candidates that wait, the oldest first, filled up from the run, and random controls among them.

    Args:
        run: that predicts, builds and suggests.
        log: of the data set's candidates; predictions are written into it before anything is handed out.
        num: candidates, at most.
        seed: of the controls.

    Raises:
        ConfigError: num is not positive, or there is nothing left to evaluate.
    """
    check_num(num)
    waiting = [c for c in log.all() if c.state is CandidateState.WAITING]
    controls = [c for c in waiting if c.origin is Origin.CONTROL][: num_controls(num)]
    controls += log.propose(random_ones(run, log, num_controls(num) - len(controls), seed))
    chosen = [c for c in waiting if c.origin is not Origin.CONTROL][: num - len(controls)]
    missing = num - len(controls) - len(chosen)
    chosen += log.propose(from_run(run, log, missing))[:missing] if missing else []
    if not chosen and not controls:
        raise ConfigError("ask: got no architecture that is left to evaluate; every network was, or is being, evaluated.")
    batch = [*chosen, *controls]
    return Handed(log.ask([one.id for one in batch]), tuple(batch))


def from_run(run: Run, log: CandidateLog, num: int) -> list[Candidate]:
    """The best that a run builds, and between them what it suggests to learn most; at most `num` that are not on the list."""
    taken = open_networks(log)
    wanted = num + len(taken)
    found: dict[str, Candidate] = {}
    built, suggested = _frame(run, wanted, Origin.BUILT), _frame(run, wanted, Origin.NEXT)
    for pair in zip(_padded(built, wanted), _padded(suggested, wanted), strict=True):
        for candidate in pair:
            if candidate is not None and candidate.network not in taken:
                found.setdefault(candidate.network, candidate)
    return list(found.values())[:num]


def _padded(candidates: Sequence[Candidate], num: int) -> list[Candidate | None]:
    """A list of a length, filled up with None."""
    return [*candidates[:num], *[None] * (num - len(candidates))]


def _frame(run: Run, num: int, origin: Origin) -> list[Candidate]:
    """Candidates that a run builds or suggests; none where nothing is left."""
    try:
        frame = run.build(num) if origin is Origin.BUILT else run.suggest(num)
    except ConfigError:  # every network was evaluated already
        return []
    space = run.predictor.space
    rows = frame.to_dict("records")
    return [
        Candidate("", row["arch"], network, origin, _prediction(run, row), 0.0)
        for row, network in zip(rows, networks_of(space, [row["arch"] for row in rows]), strict=True)
    ]


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
    chosen = codes[list(rows.values())]
    return [
        Candidate("", arch, network, Origin.CONTROL, prediction, 0.0)
        for arch, network, prediction in zip(_natives(predictor, chosen), rows, predictions(run, chosen), strict=True)
    ]


def _natives(predictor: Predictor, codes: Any) -> Iterable[Any]:
    """Native encodings of codes."""
    return (predictor.space.native(row) for row in codes)


def predictions(run: Run, codes: Any) -> list[Prediction]:
    """The predictions of a run for architectures, (n, num_positions) codes."""
    if not len(codes):
        return []
    frame = run.predictor.predict(codes)
    return [_prediction(run, row) for row in frame.to_dict("records")]


def _prediction(run: Run, row: dict[str, Any]) -> Prediction:
    """A line of predictions as it is written down."""
    config, context = run.config, str(run.holds_at.get("words", ""))
    predicted, low, high = (float(row[name]) for name in ("predicted", "low", "high"))
    by = config.id or str(run.folder.path)
    return Prediction(config.target, config.minimize, by, predicted, low, high, context)


def open_networks(log: CandidateLog) -> set[str]:
    """Networks that are on the list and have no result yet, or have one."""
    return {c.network for c in log.all() if c.state.is_taken}


def networks_of(space: Space, archs: Sequence[Any]) -> list[str]:
    """Canonical hashes of architectures, as decimal digits."""
    if not archs:
        return []
    codes = np.array([space.parse(arch) for arch in archs], np.int16)
    return [str(int(one)) for one in space.hash_networks(codes)]
