"""Names of modules and architectures: from their JSON to a line for people, and back."""

import itertools
import json
import re
from collections.abc import Sequence
from typing import Any

from autobuild_core.errors import ArchitectureError


def block_name(tokens: Sequence[str]) -> str:
    """The name of a block type that all tokens begin with ("mbconv3_" before "e3_k5"), else ""."""
    match = re.match(r"[a-z]{4,}\d*_(?=[a-z]+\d)", tokens[0])
    return match[0] if match and all(token.startswith(match[0]) for token in tokens) else ""


def module_name(positions: str, layers: str, with_place: bool = True) -> str:
    """A module in a line: its place, if wanted, and its layers; a block name that they share ("mbconv3_") is left out."""
    where, text = json.loads(positions), _shared(json.loads(layers))
    place = where[0] if len(where) == 1 else f"{where[0]} to {where[-1].split('.')[-1]}"
    if with_place and len(where) == 1:  # a loose column's token begins with it
        text = text.removeprefix(f"{place}=")
    if len(where) > 1 and all(">" in label for label in where):  # edges of a cell: a path "0>1>3", or those that enter a node
        ends = [label.split(">") for label in where]
        joined = all(a[-1] == b[0] for a, b in itertools.pairwise(ends))
        place = ">".join([ends[0][0], *(end[-1] for end in ends)]) if joined else ", ".join(where)
    return (f"{place}: " if with_place else "") + text.replace("_", " ")


def layers_short(layers: Sequence[str]) -> str:
    """The layers of a unit in a line, "2 x e3 k5"; "none" where it has none."""
    return _shared(layers).replace("_", " ") if len(layers) else "none"


def _shared(layers: Sequence[str]) -> str:
    """Layers in a line, what they share said once."""
    tokens = [token.removeprefix(block_name(layers)) for token in layers]
    same = len(tokens) > 1 and len(set(tokens)) == 1
    return f"{len(tokens)} x {tokens[0]}" if same else ", ".join(tokens)


def layers_named(text: str, tokens: Sequence[str]) -> list[str]:
    """Layers as they are typed or shown, "mb6_k5, mb6 k5" or "3 x e6 k5", as tokens: what `module_name` says, read back.

    Args:
        text: layers, divided by commas; a space stands for "_", a block name that all tokens share may be left out.
        tokens: what may stand in the unit.

    Raises:
        ArchitectureError: a layer is none of the tokens.
    """
    short = [token.removeprefix(block_name([token])) for token in tokens]
    spelled = {_spelling(name): token for name, token in zip(short, tokens, strict=True) if short.count(name) == 1}
    spelled |= {_spelling(token): token for token in tokens}
    found: list[str] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        times = re.fullmatch(r"(\d+) +x +(.+)", part)
        layer, count = (times[2], min(int(times[1]), 1000)) if times and _spelling(part) not in spelled else (part, 1)
        if _spelling(layer) not in spelled:
            listed = ", ".join(name.replace("_", " ") for name in tokens)
            raise ArchitectureError(f"got the layer '{layer[:40]}', expected some of: {listed}.")
        found += [spelled[_spelling(layer)]] * count
    return found


def _spelling(layer: str) -> str:
    return " ".join(layer.replace("_", " ").lower().split())


def native_text(native: Any) -> str:
    """A native encoding as text: itself where it is text, else JSON."""
    return native if isinstance(native, str) else json.dumps(native)
