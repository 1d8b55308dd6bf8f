"""Sentences: names are listed whole, and what is left out is counted."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autobuild_core.errors import listed


@pytest.mark.parametrize(
    ("names", "longest", "text"),
    [
        ([], 20, ""),
        (["acc"], 20, "acc"),
        (["acc", "loss"], 20, "acc and loss"),
        (["acc", "loss", "params"], 20, "acc, loss and params"),
        (["acc", "loss", "params"], 19, "acc and 2 more"),
        (["checkpoint_path", "loss"], 5, "checkpoint_path and 1 more"),
        (["checkpoint_path"], 5, "checkpoint_path"),
        (["a"] * 2000, 20, "a, a and 1,998 more"),
    ],
)
def test_lists_are_not_cut_inside_a_name(names: list[str], longest: int, text: str) -> None:
    assert listed(iter(names), longest) == text


@given(names=st.lists(st.text("abcdefgh", min_size=1, max_size=12), min_size=1), longest=st.integers(1, 100))
def test_every_name_is_shown_or_counted(names: list[str], longest: int) -> None:
    text = listed(names, longest)
    more = re.search(r" and (\d+) more$", text)
    shown = re.split(", | and ", text[: more.start()] if more else text)
    assert shown == names[: len(shown)] and len(shown) + (int(more[1]) if more else 0) == len(names)
    assert len(text) <= longest or len(shown) == 1
    longer = f"{', '.join(names[: len(shown) + 1])} and {len(names) - len(shown) - 1} more"
    assert not more or len(names) == len(shown) + 1 or len(longer) > longest  # as many as fit
