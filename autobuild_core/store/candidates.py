"""Candidates: architectures that wait to be evaluated, in a log that only grows.

What was predicted of a candidate is written down before it is measured and is never edited: the file has a line an event, and
what is known of a candidate follows from its events. Events are "proposed", "asked" (handed out in a batch), "returned" (that
batch was given to nobody), "told" (a result came in, or a failure with its reason), "withdrawn", and "heard" (a source of
results was taken in so far).
"""

import fcntl
import json
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import IO, Any

from autobuild_core.errors import ConfigError, DataError
from autobuild_core.store.tables import append_lines

ID_BYTES = 4


class CandidateState(StrEnum):
    """The state of a candidate; a reader sees its value."""

    WAITING = "waiting"
    ASKED = "asked"
    MEASURED = "measured"
    FAILED = "failed"
    WITHDRAWN = "withdrawn"

    @property
    def is_open(self) -> bool:
        """It has no result yet."""
        return self in (CandidateState.WAITING, CandidateState.ASKED)

    @property
    def is_taken(self) -> bool:
        """Its network is not proposed again: it has no result yet, or a good one."""
        return self.is_open or self is CandidateState.MEASURED


class Origin(StrEnum):
    """The reason why a candidate was proposed; "control" is a random one, which no prediction chose."""

    BUILT = "built"
    NEXT = "next"
    IMPROVEMENT = "improvement"
    CLAIM = "claim"
    TYPED = "typed"
    CONTROL = "control"


@dataclass(frozen=True)
class Prediction:
    """The prediction of a candidate before it was measured.

    Args:
        target: equation that is predicted.
        minimize: smaller values are better.
        run: id of the run that predicts, or its folder.
        predicted, low, high: expected value and its 90 % interval; None where nothing predicts.
        context: what it holds at, in words.
    """

    target: str = ""
    minimize: bool = False
    run: str = ""
    predicted: float | None = None
    low: float | None = None
    high: float | None = None
    context: str = ""


@dataclass(frozen=True)
class Result:
    """A result of a candidate: a measurement, or a failure with its reason.

    Args:
        state: "finished", or how it failed.
        metrics: what was measured.
        seed: of the evaluation; None where nothing says it.
        error: the reason of a failure.
        source: the file, or the run of an evaluation, that it came from.
        time: seconds since 1970.
    """

    state: str
    metrics: Mapping[str, float] = field(default_factory=dict)
    seed: int | None = None
    error: str = ""
    source: str = ""
    time: float = 0.0


@dataclass(frozen=True)
class Candidate:
    """A candidate with what its events say.

    Args:
        id: by which results find it.
        arch: in its native encoding.
        network: canonical hash, as decimal digits.
        origin: why it was proposed.
        prediction: what was predicted of it.
        created: seconds since 1970.
        batch: number of the batch that it was handed out in; 0 = none yet.
        results: what came in.
        withdrawn: it is not to be measured any more.
        why: a reader's reason for proposing it, may be empty.
    """

    id: str
    arch: Any
    network: str
    origin: Origin
    prediction: Prediction
    created: float
    batch: int = 0
    results: tuple[Result, ...] = ()
    withdrawn: bool = False
    why: str = ""

    @property
    def state(self) -> CandidateState:
        """Its state; one good result is enough to be measured."""
        if any(result.state == "finished" for result in self.results):
            return CandidateState.MEASURED
        if self.results:
            return CandidateState.FAILED
        if self.withdrawn:
            return CandidateState.WITHDRAWN
        return CandidateState.ASKED if self.batch else CandidateState.WAITING


class CandidateLog:
    """The log of a data set's candidates. Making the object reads nothing; each call reads what is there now.

    Args:
        path: the file; made by the first event.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    def all(self) -> list[Candidate]:
        """All candidates, the oldest first.

        Raises:
            DataError: a line before the last is no event.
        """
        return list(self._replayed(self._content()).values())

    def propose(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Adds candidates with fresh ids; a network that is open or measured already is left out.

        Returns:
            Those that were added.
        """
        with self._locked() as file:
            known = self._replayed(file.read())
            taken = {c.network for c in known.values() if c.state.is_taken}
            added: list[Candidate] = []
            for candidate in candidates:
                if candidate.network not in taken:
                    taken.add(candidate.network)
                    added.append(replace(candidate, id=_fresh(known), created=time.time(), batch=0, results=(), withdrawn=False))
                    known[added[-1].id] = added[-1]
            append_lines(file, map(_proposed, added))
        return added

    def ask(self, ids: Iterable[str]) -> int:
        """Hands candidates out as the next batch.

        Returns:
            The number of the batch.

        Raises:
            ConfigError: there is no such candidate, or it does not wait any more.
        """
        with self._locked() as file:
            known = self._replayed(file.read())
            chosen = list(dict.fromkeys(ids))
            for one in chosen:
                state = known[one].state if one in known else None
                if state is not CandidateState.WAITING:
                    raise ConfigError(f"candidate {one}: got one that is {state or 'not in the list'}, expected one that waits.")
            batch = max((candidate.batch for candidate in known.values()), default=0) + 1
            append_lines(file, [{"event": "asked", "batch": batch, "ids": chosen, "time": time.time()}])
        return batch

    def heard(self) -> dict[str, int]:
        """{source: how many lines of it were taken in}, of the files and evaluations that results came from.

        Raises:
            DataError: a line before the last is no event.
        """
        found: dict[str, int] = {}
        self._replayed(self._content(), found)
        return found

    def tell(self, results: Sequence[tuple[str, Result]], source: str = "", lines: int = 0) -> list[tuple[str, Result]]:
        """Adds results to candidates; one that is there already, of the same seed, is left out.

        Args:
            results: of candidates, by their ids.
            source: the file or the run of an evaluation that they came from; "" where that is not kept. It is remembered unless
                it had results and all were known.
            lines: that it has so far.

        Returns:
            Those that were added.

        Raises:
            ConfigError: there is no such candidate.
        """
        with self._locked() as file:
            known = self._replayed(file.read())
            added = []
            for one, result in results:
                if one not in known:
                    raise ConfigError(f"candidate {one}: got a result of one that is not in the list.")
                told = {(r.seed, tuple(sorted(r.metrics.items())), r.state) for r in known[one].results}
                if (result.seed, tuple(sorted(result.metrics.items())), result.state) not in told:
                    stamped = replace(result, source=result.source or source, time=result.time or time.time())
                    known[one] = replace(known[one], results=(*known[one].results, stamped))
                    added.append((one, stamped))
            is_news = bool(source) and (bool(added) or not results)
            heard = [{"event": "heard", "source": source, "lines": lines, "time": time.time()}] if is_news else []
            append_lines(file, [*({"event": "told", "id": one} | asdict(result) for one, result in added), *heard])
        return added

    def give_back(self, ids: Iterable[str]) -> None:
        """Lets candidates of a batch that nobody got wait again."""
        with self._locked() as file:
            known = self._replayed(file.read())
            chosen = [one for one in dict.fromkeys(ids) if one in known and known[one].state is CandidateState.ASKED]
            append_lines(file, [{"event": "returned", "ids": chosen, "time": time.time()}] if chosen else [])

    def withdraw(self, ids: Iterable[str]) -> None:
        """Takes candidates off the list that have no result; their lines stay."""
        with self._locked() as file:
            known = self._replayed(file.read())
            chosen = [one for one in dict.fromkeys(ids) if one in known and known[one].state.is_open]
            append_lines(file, [{"event": "withdrawn", "ids": chosen, "time": time.time()}] if chosen else [])

    @contextmanager
    def _locked(self) -> Iterator[IO[bytes]]:
        """The file, alone: no other process writes meanwhile."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                file.seek(0)
                yield file
        except OSError as error:
            raise ConfigError(f"{self.path}: got {error.strerror}, expected a file that can be written.") from error

    def _content(self) -> bytes:
        """The file as it is now; nothing where no event made it yet."""
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            return b""

    def _replayed(self, content: bytes, heard: dict[str, int] | None = None) -> dict[str, Candidate]:
        """{id: candidate} after all events; `heard` is told of sources that were taken in."""
        found: dict[str, Candidate] = {}
        heard = {} if heard is None else heard
        for number, line in enumerate(content[: content.rfind(b"\n") + 1].splitlines(), 1):
            try:
                _replay(json.loads(line), found, heard)
            except (ValueError, KeyError, TypeError) as error:
                got = f"{type(error).__name__}: {error}"[:80]
                raise DataError(
                    f"{self.path}, line {number}: got a damaged event ({got}), expected one of a candidate."
                ) from None
        return found


def _fresh(known: Mapping[str, Candidate]) -> str:
    """An id that no candidate has; a letter first, so that no tool takes it for a number."""
    while (one := f"c{secrets.token_hex(ID_BYTES)}") in known:
        continue
    return one


def _proposed(candidate: Candidate) -> dict[str, Any]:
    """The event of a new candidate."""
    about = {"id": candidate.id, "arch": candidate.arch, "network": candidate.network, "origin": candidate.origin.value}
    about |= {"why": candidate.why} if candidate.why else {}
    return {"event": "proposed"} | about | asdict(candidate.prediction) | {"time": candidate.created}


def _replay(event: dict[str, Any], found: dict[str, Candidate], heard: dict[str, int]) -> None:
    """Takes an event into account."""
    kind, moment = event.pop("event"), float(event.pop("time", 0.0))
    if kind == "proposed":
        about = {name: event.pop(name) for name in ("id", "arch", "network", "origin")}
        origin, why = Origin(about["origin"]), str(event.pop("why", ""))
        own = about["id"], about["arch"], about["network"], origin
        found[about["id"]] = Candidate(*own, Prediction(**event), moment, why=why)
    elif kind == "told":
        one = event.pop("id")
        found[one] = replace(found[one], results=(*found[one].results, Result(**event, time=moment)))
    elif kind == "asked":
        for one in event["ids"]:
            found[one] = replace(found[one], batch=int(event["batch"]))
    elif kind == "returned":
        for one in event["ids"]:
            found[one] = replace(found[one], batch=0)
    elif kind == "withdrawn":
        for one in event["ids"]:
            found[one] = replace(found[one], withdrawn=True)
    elif kind == "heard":
        heard[event["source"]] = int(event["lines"])
    else:
        raise ValueError(f"event {kind}")
