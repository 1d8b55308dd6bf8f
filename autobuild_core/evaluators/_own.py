"""A user's own evaluators: a Python file with a function `evaluate`, or a program that answers JSON lines.

Both run in a process of their own, which is started once and asked line by line: what crashes, hangs or leaks there is a failed
evaluation, and the next one starts a new process. A Python file is served by `_serving.py`.

The line that a process gets: {"arch", "budget", "seed", "device"}. The line that it answers: {metric: number, ...}, or
{"error": why it failed}; further texts, "remark", stay with the result.

Registered for a server or a command are those that AUTOBUILD_EVALUATORS names: paths separated as those of PATH are; such an
evaluator is called by its file's name without ending. A path may be given in place of a name as well.
"""

import hashlib
import json
import os
import selectors
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, ClassVar

from autobuild_core.errors import ConfigError, EvaluationError
from autobuild_core.evaluators import Conditions, Evaluator, Measured, Watch

VARIABLE = "AUTOBUILD_EVALUATORS"
ASK_SECONDS = 0.1  # how often it is asked whether to go on, while a process works
LONGEST_ANSWER = 2**20


def registered() -> dict[str, Path]:
    """{name: path} of the evaluators that were registered when the server or the command started."""
    paths = [Path(part) for part in os.environ.get(VARIABLE, "").split(os.pathsep) if part]
    return {path.stem: path for path in paths}


def find(name: str) -> Evaluator | None:
    """A user's own evaluator by its registered name, or by its path; None where it is neither.

    Raises:
        ConfigError: its file is not there, or is neither Python nor a program.
    """
    path = registered().get(name) or (Path(name) if os.sep in name or name.endswith(".py") else None)
    return None if path is None else _of(path.resolve())


def _of(path: Path) -> "Own":
    """The evaluator of a file."""
    if not path.is_file():
        raise ConfigError(f"evaluator {path}: got no such file, expected a Python file or a program.")
    if path.suffix != ".py" and not os.access(path, os.X_OK):
        raise ConfigError(f"evaluator {path}: got a file that is no program, expected one that may be run (chmod +x), or .py.")
    return Own(str(path))


class Own(Evaluator):
    """An evaluator of a user's own, asked in a process of its own. Its version is a hash of its file."""

    title: ClassVar[str] = "Your own"
    budget: ClassVar[int] = 1

    def __init__(self, source: str) -> None:
        super().__init__(source)
        self.version = hashlib.sha256(Path(source).read_bytes()).hexdigest()[:8]
        self._process: subprocess.Popen[bytes] | None = None

    def data(self) -> str:
        return Path(self.source).stem

    def check(self, arch: Any) -> None:
        """Its process says what it cannot measure."""

    def evaluate(self, arch: Any, at: Conditions, watch: Watch) -> Measured:
        question = {"arch": arch, "budget": at.budget, "seed": at.seed, "device": at.device}
        try:
            answer = self._ask(json.dumps(question, ensure_ascii=False), watch)
        except BaseException:
            self.close()
            raise
        if "error" in answer:
            raise EvaluationError(str(answer["error"]))
        remark = str(answer.pop("remark", ""))
        wrong = next((n for n, v in answer.items() if isinstance(v, bool) or not isinstance(v, int | float)), None)
        if wrong is not None or not answer:
            got = f"{wrong} = {answer[wrong]!r}" if wrong is not None else "no metric"
            raise EvaluationError(f"{self.data()}: got {got[:80]}, expected metrics with numbers.")
        return Measured({name: float(value) for name, value in answer.items()}, remark=remark)

    def _ask(self, question: str, watch: Watch) -> dict[str, Any]:
        """The answer to a line.

        Raises:
            EvaluationError: the process ended, or answered something else than an object.
            Cancelled, OutOfTime: the watch said so.
        """
        process = self._started()
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(question.encode() + b"\n")
            process.stdin.flush()
        except OSError:
            raise EvaluationError(self._ended(process)) from None
        text = self._line(process.stdout, process, watch)
        try:
            answer = json.loads(text)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            got = text[:80].decode(errors="replace").strip()
            raise EvaluationError(f"{self.data()}: got {got!r}, expected a line with a JSON object of metrics.")
        return answer

    def _line(self, stream: IO[bytes], process: "subprocess.Popen[bytes]", watch: Watch) -> bytes:
        """The next line of a process's output."""
        text = b""
        with selectors.DefaultSelector() as selector:
            selector.register(stream, selectors.EVENT_READ)
            while not text.endswith(b"\n"):
                watch.step()
                if not selector.select(ASK_SECONDS):
                    continue
                part = os.read(stream.fileno(), 65536)
                if not part:
                    raise EvaluationError(self._ended(process))
                text += part
                if len(text) > LONGEST_ANSWER:
                    raise EvaluationError(f"{self.data()}: got more than {LONGEST_ANSWER:,} bytes, expected one line of metrics.")
        return text

    def _started(self) -> "subprocess.Popen[bytes]":
        """The process, started where there is none that lives."""
        if self._process is None or self._process.poll() is not None:
            is_python = self.source.endswith(".py")
            command = [sys.executable, "-m", "autobuild_core.evaluators._serving"] if is_python else []
            try:
                self._process = subprocess.Popen(
                    [*command, self.source], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, start_new_session=True
                )
            except OSError as error:
                raise EvaluationError(f"{self.source}: could not be started ({error.strerror}).") from error
        return self._process

    def _ended(self, process: "subprocess.Popen[bytes]") -> str:
        """The sentence about a process that ended without an answer."""
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=5)
        code = process.poll()
        how = f"signal {-code}" if code is not None and code < 0 else f"status {code}"
        return f"{self.data()}: its process ended without an answer ({how}); what it said is in the log."

    def close(self) -> None:
        """Ends the process, and whatever it started."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(OSError):
            os.killpg(process.pid, 9)
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
