"""A batch in the form that a scheduler takes: a template of the user's, or one that ships, filled with its candidates.

Templates are those of Jinja (https://jinja.palletsprojects.com), in its sandbox: one that came by mail reads the batch alone.
They know `batch` (its number) and `candidates`, each with `id`, `arch` (native encoding) and `origin`; beside the filters of
Jinja `json`, `text` (an encoding in one line) and `shell` (quoted for a shell).
"""

import json
import shlex
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from autobuild_core.architectures.names import native_text
from autobuild_core.errors import ConfigError
from autobuild_core.loop.batches import Handed
from autobuild_core.store.candidates import Candidate, Origin, Prediction

SHIPPED = Path(__file__).resolve().parent / "templates"
LONGEST = 1_000_000  # characters of a filled template


def shipped() -> dict[str, str]:
    """The templates that ship: {file name: text}."""
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(SHIPPED.iterdir()) if path.is_file()}


def fill(template: str, handed: Handed, name: str = "template") -> str:
    """A template filled with a batch.

    Args:
        template: its text.
        handed: the batch.
        name: of the template, for messages.

    Raises:
        ConfigError: the template is none, asks for what there is not, or would be filled without end.
    """
    from jinja2 import TemplateError
    from jinja2.exceptions import TemplateSyntaxError

    known = {"batch": handed.number, "candidates": handed.lines()}
    try:
        text, length = [], 0
        for part in _environment().from_string(template).generate(known):
            text.append(part)
            if (length := length + len(part)) > LONGEST:
                raise ConfigError(f"{name}: got more than {LONGEST:,} characters, expected a file that a scheduler takes.")
        return "".join(text).rstrip("\n") + "\n"
    except TemplateSyntaxError as error:
        raise ConfigError(f"{name}, line {error.lineno}: got {error.message}, expected a Jinja template.") from error
    except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        said = " ".join(str(error).split())[:200]
        raise ConfigError(f"{name}: got {said}, expected a template over batch and candidates (id, arch, origin).") from error


def check(template: str, archs: Sequence[Any], name: str = "template") -> None:
    """Returns when a template can be filled, tried before anything is handed out.

    Args:
        template: its text.
        archs: some architectures of the space, in native encodings.
        name: of the template, for messages.

    Raises:
        ConfigError: it cannot.
    """
    tried = (Candidate(f"c{place}", arch, str(place), Origin.BUILT, Prediction(), 0.0) for place, arch in enumerate(archs))
    fill(template, Handed(1, tuple(tried)), name)


@cache
def _environment() -> Any:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)
    environment.filters |= {"json": _json, "text": native_text, "shell": lambda text: shlex.quote(str(text))}
    return environment


def _json(value: Any) -> str:
    """A value as JSON, which YAML reads too."""
    return json.dumps(value, ensure_ascii=False)


def read_template(name: str) -> str:
    """A template by its name among those that ship, else by its path.

    Raises:
        ConfigError: it is neither.
    """
    if (known := shipped().get(name)) is not None:
        return known
    try:
        return Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "no text"
        raise ConfigError(f"template {name}: got {said}, expected one of {', '.join(shipped())}, or a file of yours.") from error
