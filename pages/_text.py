"""Text from outside (names, columns, equations, notes, links) so that Markdown shows it as it is, without links and pictures.

A backslash is not enough. Streamlit's browser side looks for some things only after backslashes are gone: addresses become links,
:material/home: an icon, :rocket: an emoji, -> an arrow. A word joiner, which has no width, keeps them apart.
"""

import re
from typing import Any

MARKUP = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>$:~&=^])")
JOINER = "\u2060"
BEFORE = re.compile(r"https?(?=://)|www(?=\.)|(?<!\S)(?:<?->|<-|--|[<>~]=)(?!\S)", re.I)
AFTER = re.compile(r":(?=[\w+-])|@")


def plain(text: Any, longest: int = 60) -> str:
    """A text from outside so that Markdown shows it as it is: on one line, cut at a length."""
    shown = AFTER.sub(lambda found: found[0] + JOINER, BEFORE.sub(lambda found: JOINER + found[0], cut(text, longest)))
    return MARKUP.sub(r"\\\1", shown)


def strong(text: Any, longest: int = 60) -> str:
    """A text from outside in bold."""
    return f"**{plain(text, longest)}**"


def code(text: Any, longest: int = 60) -> str:
    """A text from outside, such as an equation, in a code span."""
    return f"`{cut(text, longest).replace('`', '') or ' '}`"


def cut(text: Any, longest: int) -> str:
    """A text on one line, as a blank line would end a paragraph or a code span; cut at a length."""
    line = " ".join(str(text).split())
    return line if len(line) <= longest else line[: longest - 1] + "…"
