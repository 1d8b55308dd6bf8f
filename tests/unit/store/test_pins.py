"""Pins on disk: each its own file, whole or not at all, the same for every reader of the run."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from autobuild_core.architectures.lens import Lens
from autobuild_core.architectures.records import ArchTable
from autobuild_core.errors import ConfigError, RunError
from autobuild_core.store.pins import Claim, Pin, Pins
from autobuild_core.store.workspace import Workspace

CLAIM = Claim(("L1", "L2"), ("mb3_k3", "mb6_k5"), True, Lens.GOOD)


def test_a_pin_comes_back_as_it_was_in_another_object(tmp_path: Path) -> None:
    pin = Pins(tmp_path / "pins").write(Pin(CLAIM, "ünïcode\n<b>", "hops"))
    again = Pins(tmp_path / "pins")
    assert again.all() == [pin]
    assert again.find(CLAIM) == pin and again.find(replace(CLAIM, lens=Lens.SCORE)) is None
    assert CLAIM.texts == ('["L1", "L2"]', '["mb3_k3", "mb6_k5"]', True)


def test_notes_change_and_pins_go(tmp_path: Path) -> None:
    pins = Pins(tmp_path / "pins")
    first, second = pins.write(Pin(CLAIM)), pins.write(Pin(replace(CLAIM, lens=Lens.SCORE)))
    pins.write(replace(first, note="doubtful"))
    assert [p.note for p in pins.all()] == ["doubtful", ""]
    pins.delete(first.id)
    pins.delete(first.id)  # gone already
    assert pins.all() == [second]


def test_two_sessions_lose_nothing_of_each_other(tmp_path: Path) -> None:
    made = [Pin(replace(CLAIM, layers=("mb3_k3", str(i)))) for i in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda pin: Pins(tmp_path / "pins").write(pin), made))
    assert set(Pins(tmp_path / "pins").all()) == set(made)
    assert not list((tmp_path / "pins").glob("*.part"))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"claim": 3}', '{"claim": {"positions": ["L1"], "layers": []}}', '{"note": 1}'])
def test_a_file_that_is_no_pin_is_left_out(tmp_path: Path, text: str) -> None:
    pins = Pins(tmp_path)
    pin = pins.write(Pin(CLAIM))
    (tmp_path / "0000000000000000.json").write_text(text)
    assert pins.all() == [pin]


def test_what_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pins = Pins(tmp_path / "pins")
    with pytest.raises(ConfigError, match="got 4,001 characters, expected at most 4,000"):
        pins.write(Pin(CLAIM, "x" * 4001))
    with pytest.raises(RunError, match="expected 16 hex digits"):
        pins.delete("../../config")
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="expected a folder that pins can be written to"):
        Pins(tmp_path / "file" / "pins").write(Pin(CLAIM))
    monkeypatch.setattr(Pins, "most", 1)
    kept = pins.write(Pin(CLAIM))
    with pytest.raises(ConfigError, match="delete some on Review"):
        pins.write(Pin(CLAIM))
    assert pins.write(replace(kept, note="still editable")).note


def test_the_sample_is_read_only_so_its_pins_are_in_the_workspace(workspace: Workspace, table: ArchTable) -> None:
    run = workspace.add_run(workspace.add_dataset(table, "data"), "acc")
    assert Pins.of(workspace, run).folder == workspace.run(run).path / "pins"
    assert Pins.of(workspace, "sample").folder == workspace.path / "pins" / "sample"
    Pins.of(workspace, run).write(Pin(CLAIM))
    workspace.delete_run(run)
    with pytest.raises(RunError):
        Pins.of(workspace, run)


def test_the_file_is_json_that_others_can_read(tmp_path: Path) -> None:
    pin = Pins(tmp_path).write(Pin(CLAIM, "a note", "builder"))
    raw = json.loads((tmp_path / f"{pin.id}.json").read_text())
    assert raw["claim"] == {"positions": ["L1", "L2"], "layers": ["mb3_k3", "mb6_k5"], "whole_unit": True, "lens": "good"}
    assert (raw["note"], raw["page"]) == ("a note", "builder") and raw["created"].endswith("+00:00")
