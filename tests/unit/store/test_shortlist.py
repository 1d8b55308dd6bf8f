"""The shortlist on disk: designs with names, verdicts and reasons, the same for every reader of the run."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from autobuild_core.errors import ConfigError
from autobuild_core.store.shortlist import ShortDesign, Shortlist, Verdict

ARCH = [["mbconv3_e3_k3"], ["mbconv3_e4_k5", "mbconv3_e4_k5"]]


def test_a_design_comes_back_as_it_was(tmp_path: Path) -> None:
    kept = Shortlist(tmp_path / "s").write(ShortDesign("Fast", ARCH, Verdict.CHOSEN, "fits 8 ms\n<b>"))
    assert Shortlist(tmp_path / "s").all() == [kept]


def test_verdicts_and_notes_change(tmp_path: Path) -> None:
    shortlist = Shortlist(tmp_path)
    made = shortlist.write(ShortDesign("Fast", ARCH))
    shortlist.write(replace(made, verdict=Verdict.REJECTED, note="too slow"))
    assert [(one.verdict, one.note) for one in shortlist.all()] == [(Verdict.REJECTED, "too slow")]
    shortlist.delete(made.id)
    assert shortlist.all() == []


def test_names_that_are_free(tmp_path: Path) -> None:
    shortlist = Shortlist(tmp_path)
    assert shortlist.free_name() == "Design 1"
    for name in ("Design 1", "Design 3"):
        shortlist.write(ShortDesign(name, name))
    assert shortlist.free_name() == "Design 2"


@pytest.mark.parametrize("name", ["", " x", "a\nb", "x" * 81])
def test_a_name_is_one_line(name: str) -> None:
    with pytest.raises(ConfigError, match="expected one line of 1 to 80 characters"):
        ShortDesign(name, ARCH)


@pytest.mark.parametrize("broken", [{"verdict": "maybe"}, {"name": ""}, {"note": 3}, {"more": 1}])
def test_a_file_that_is_no_design_is_left_out(tmp_path: Path, broken: dict[str, object]) -> None:
    shortlist = Shortlist(tmp_path)
    kept = shortlist.write(ShortDesign("Fast", ARCH))
    (tmp_path / "0000000000000000.json").write_text(json.dumps(asdict(kept) | broken))
    assert shortlist.all() == [kept]


def test_so_many_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Shortlist, "most", 1)
    shortlist = Shortlist(tmp_path)
    kept = shortlist.write(ShortDesign("Fast", ARCH))
    with pytest.raises(ConfigError, match=r"shortlist: got one more than 1, .*delete some from the shortlist on Builder"):
        shortlist.write(ShortDesign("Other", "0211"))
    assert shortlist.write(replace(kept, note="still editable")).note
