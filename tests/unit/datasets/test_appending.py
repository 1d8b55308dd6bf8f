"""Rows that are appended to a data set: what joins, what is refused, what is never taken for one measurement."""

import json
from pathlib import Path

import numpy as np
import pytest

import autobuild_core as ab
from autobuild_core.architectures.records import ArchTable, Batch
from autobuild_core.datasets._appending import Appended
from autobuild_core.errors import DataError
from autobuild_core.store.tables import content_hash, load_table, save_table

ARCHS = [f"{a}{b}{c}{d}1111" for a in "012" for b in "012" for c in "012" for d in "012"]  # of NAS-Bench-Macro
FLAT = "width,kind,optimizer,epochs,acc\n" + "".join(f"{16 << i % 4},{'ab'[i % 2]},sgd,10,{60 + i % 7}\n" for i in range(40))


def write(path: Path, lines: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def plain(count: int = 40) -> list[dict[str, object]]:
    return [{"arch": arch, "acc": 80 + i / 10} for i, arch in enumerate(ARCHS[:count])]


def measured(arch: str, acc: float, seed: int = 0, **other: object) -> dict[str, object]:
    identity = {"evaluator": "classification", "version": 1, "data": "digits", "budget": 500, "device": "cpu"}
    return {"arch": arch, "acc": acc, "seed": seed} | identity | {"seconds": 9.5, "state": "finished"} | other


@pytest.fixture
def first(tmp_path: Path) -> ArchTable:
    return ab.read(write(tmp_path / "first.jsonl", plain()))


def appended(table: ArchTable, path: Path, lines: list[dict[str, object]], **how: str) -> Appended:
    return ab.append(table, write(path, lines), **how)


def reasons(found: Appended) -> dict[int, str]:
    return {rejection.row: rejection.reason for rejection in found.rejected}


def test_new_rows_make_the_next_version_and_say_where_they_come_from(first: ArchTable, tmp_path: Path) -> None:
    found = appended(first, tmp_path / "more.jsonl", [{"arch": ARCHS[50], "acc": 91.0}, {"arch": ARCHS[51], "acc": 92}], run="ab")
    table = found.table
    assert (found.num_added, found.num_completed, found.rejected) == (2, 0, ())
    assert (len(first), first.version, len(table), table.version) == (40, 1, 42, 2)
    assert table.source_rows[-2:].tolist() == [40, 41]
    assert table.batch_of.tolist() == [0] * 40 + [1, 1]
    batch = table.batches[1]
    assert (batch.origin, batch.run, batch.parent, batch.first_row) == ("more.jsonl", "ab", content_hash(first), 40)
    assert batch.time > 1.7e9
    assert table.metrics["acc"].tolist()[-2:] == [91.0, 92.0]
    assert content_hash(table) != content_hash(first)
    assert found.sentence == "2 rows appended: version 2, 42 architectures."


def test_a_version_is_saved_and_read_with_its_history(first: ArchTable, tmp_path: Path) -> None:
    table = appended(first, tmp_path / "more.jsonl", [{"arch": ARCHS[50], "acc": 91.0}]).table
    save_table(table, tmp_path / "saved")
    again = load_table(tmp_path / "saved")
    assert again.batches == table.batches
    assert content_hash(again) == content_hash(table)
    third = appended(ab.read(tmp_path / "saved"), tmp_path / "third.jsonl", [{"arch": ARCHS[52], "acc": 70.0}]).table
    assert (third.version, third.batches[2].parent, third.batch_of[-1]) == (3, content_hash(table), 2)


def test_a_measurement_that_is_there_is_not_counted_twice(first: ArchTable, tmp_path: Path) -> None:
    lines = [{"arch": ARCHS[3], "acc": 80.3}, {"arch": ARCHS[50], "acc": 90.0}]
    found = appended(first, tmp_path / "more.jsonl", lines)
    assert reasons(found) == {0: "is in the data set already, as row 3."}
    assert found.num_added == 1
    with pytest.raises(DataError, match=r"got no row that is new to the data set; row 0: is in the data set already, as row 3\."):
        appended(found.table, tmp_path / "more.jsonl", lines)


def test_without_a_seed_another_result_is_a_repeat(first: ArchTable, tmp_path: Path) -> None:
    found = appended(first, tmp_path / "more.jsonl", [{"arch": ARCHS[3], "acc": 81.0}])
    assert (found.num_added, found.table.num_duplicates) == (1, 1)


def test_one_seed_has_one_result(tmp_path: Path) -> None:
    table = ab.read(write(tmp_path / "first.jsonl", [measured(arch, 70 + i) for i, arch in enumerate(ARCHS[:30])]))
    lines = [
        measured(ARCHS[0], 99.0),
        measured(ARCHS[0], 99.0, seed=1),
        measured(ARCHS[0], 98.0, seed=1),
        measured(ARCHS[0], 99.0, seed=1),
    ]
    found = appended(table, tmp_path / "more.jsonl", lines)
    said = "as measured with that seed in"
    assert reasons(found) == {
        0: f"got acc 99, expected 70, {said} row 0 of the data set; a repeat has a seed of its own.",
        2: f"got acc 98, expected 99, {said} row 1; a repeat has a seed of its own.",
        3: "is row 1 once more.",
    }
    assert found.num_added == 1


def test_the_same_measurement_gains_metrics(first: ArchTable, tmp_path: Path) -> None:
    lines = [{"arch": arch, "latency_ms": 5 + i} for i, arch in enumerate(ARCHS[:3])]
    found = appended(first, tmp_path / "latency.jsonl", lines)
    assert (found.num_added, found.num_completed, len(found.table)) == (0, 3, 40)
    assert found.table.metrics["latency_ms"].tolist()[:4] == [5, 6, 7, pytest.approx(np.nan, nan_ok=True)]
    assert found.table.metrics["acc"].equals(first.metrics["acc"])
    assert reasons(found)[1] == "is the measurement of row 1, which has its metrics now too."


@pytest.mark.parametrize(("name", "value"), [("evaluator", "segmentation"), ("version", 2), ("data", "fashion"), ("budget", 50)])
def test_rows_of_another_evaluator_data_or_budget_stand_apart(tmp_path: Path, name: str, value: object) -> None:
    table = ab.read(write(tmp_path / "first.jsonl", [measured(arch, 70 + i) for i, arch in enumerate(ARCHS[:30])]))
    other = [measured(arch, 20 + i, **{name: value}) | {"extra": i / 7} for i, arch in enumerate(ARCHS[:30])]
    found = appended(table, tmp_path / "more.jsonl", other)
    assert (found.num_added, found.num_completed, found.rejected) == (30, 0, ())
    assert found.table.num_duplicates == 0
    assert found.table.metrics["extra"].isna().tolist() == [True] * 30 + [False] * 30
    assert sorted(found.table.contexts[name].astype(str).unique()) == sorted({str(table.contexts[name][0]), _written(value)})


def _written(value: object) -> str:
    return value if isinstance(value, str) else f"{value:.1f}"


def test_measurements_that_say_of_what_stand_beside_rows_that_do_not(first: ArchTable, tmp_path: Path) -> None:
    found = appended(first, tmp_path / "more.jsonl", [measured(ARCHS[3], 80.3), measured(ARCHS[4], 99, device="cuda")])
    assert (found.num_added, found.table.num_duplicates) == (2, 0)
    contexts = found.table.contexts
    assert contexts["evaluator"].tolist() == [""] * 40 + ["classification"] * 2
    assert np.isnan(contexts["budget"][:40]).all()
    assert found.table.context_kinds == {
        **{"seed": "seed", "evaluator": "task", "version": "task", "data": "task"},
        **{"budget": "fidelity", "device": "setting"},
    }


def test_failed_measurements_are_refused_with_their_state(first: ArchTable, tmp_path: Path) -> None:
    failed = measured(ARCHS[60], 0, state="failed") | {"acc": None}
    found = appended(first, tmp_path / "more.jsonl", [measured(ARCHS[50], 81.0), failed, {**failed, "state": "finished"}])
    assert reasons(found) == {
        1: "state: got failed, expected a completed trial.",
        2: "got no number in acc, expected a measurement.",
    }
    assert found.table.rejected[-1].row == 42
    assert found.table.rejected[-1].reason.startswith("more.jsonl: got no number")


def test_a_stopped_trial_is_told_once(tmp_path: Path) -> None:
    lines = [measured(arch, 70 + i) for i, arch in enumerate(ARCHS[:30])]
    ended = measured(ARCHS[40], 0, state="stopped") | {"acc": None}
    table = ab.read(write(tmp_path / "first.jsonl", [*lines, ended]))
    assert table.num_censored == 1
    found = appended(table, tmp_path / "more.jsonl", [ended, measured(ARCHS[41], 0, state="stopped") | {"acc": None}])
    assert reasons(found) == {0: "is in the data set already, stopped, as row 30."}
    assert (found.num_added, found.table.num_censored) == (1, 2)


def test_what_was_one_value_becomes_a_context_where_it_is_another(tmp_path: Path) -> None:
    path = tmp_path / "first.csv"
    path.write_text(FLAT)
    table = ab.read(path)
    assert table.context_kinds == {}
    more = tmp_path / "more.csv"
    more.write_text("width,kind,optimizer,epochs,acc\n16,b,sgd,50,71\n32,a,sgd,50,72\n")
    found = ab.append(table, more)
    assert found.table.context_kinds == {"epochs": "fidelity"}
    assert found.table.contexts["epochs"].tolist() == [10.0] * 40 + [50.0] * 2
    assert {c.name: c.spoken for c in found.table.columns}["epochs"] == "fidelity"


def test_the_same_one_value_stays_none(tmp_path: Path) -> None:
    path, more = tmp_path / "first.csv", tmp_path / "more.csv"
    path.write_text(FLAT)
    more.write_text("width,kind,optimizer,epochs,acc\n16,b,sgd,10,71.5\n")
    assert ab.append(ab.read(path), more).table.context_kinds == {}


def test_another_value_of_what_could_have_been_a_choice_is_refused(tmp_path: Path) -> None:
    path, more = tmp_path / "first.csv", tmp_path / "more.csv"
    path.write_text(FLAT)
    more.write_text("width,kind,optimizer,epochs,acc\n16,b,adam,10,71.5\n")
    said = r"more\.csv: .* row 0: column optimizer: got adam, expected sgd, as in every row of the data set so far; it is no"
    with pytest.raises(DataError, match=said):
        ab.append(ab.read(path), more)
    more.write_text("width,kind,optimizer,epochs,acc\n16,b,adam,10,71.5\n16,b,sgd,10,72.5\n")
    found = ab.append(ab.read(path), more)
    assert list(reasons(found)) == [0]
    assert found.table.context_kinds == {}


def test_a_setting_beside_published_architectures_becomes_a_context(tmp_path: Path) -> None:
    with_setting = [line | {"optimizer": "sgd", "host": "a"} for line in plain()]
    table = ab.read(write(tmp_path / "first.jsonl", with_setting))
    lines = [{"arch": ARCHS[i], "acc": 50.0, "optimizer": "adam", "host": "b", "gpu": "h"} for i in (1, 2)]
    found = appended(table, tmp_path / "more.jsonl", lines)
    assert found.table.context_kinds == {"optimizer": "setting"}
    assert found.table.contexts["optimizer"].tolist() == ["sgd"] * 40 + ["adam"] * 2


def test_architectures_of_another_space_are_refused(first: ArchTable, tmp_path: Path) -> None:
    found = appended(first, tmp_path / "more.jsonl", [{"arch": ARCHS[50], "acc": 1.0}, {"arch": "0129", "acc": 1.0}])
    assert list(reasons(found)) == [1]
    flat = tmp_path / "flat.csv"
    flat.write_text(FLAT)
    with pytest.raises(DataError, match=r"got a table of design choices, expected architectures of NAS-Bench-Macro"):
        ab.append(first, flat)
    with pytest.raises(DataError, match=r"given: got architectures of .*, expected those of the data set \(NAS-Bench-Macro"):
        ab.append(first, ab.read(flat), "given")


def test_history_of_a_data_set_that_names_its_first_rows(first: ArchTable, tmp_path: Path) -> None:
    from dataclasses import replace

    named = replace(first, batches=(Batch("first.jsonl", 5.0),))
    assert (named.version, content_hash(named)) == (1, content_hash(first))
    found = appended(named, tmp_path / "more.jsonl", [{"arch": ARCHS[50], "acc": 1.0}])
    assert [batch.origin for batch in found.table.batches] == ["first.jsonl", "more.jsonl"]
