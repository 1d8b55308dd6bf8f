"""Mappings: when columns are worth a look, changes, what is remembered, which way is better, and that a report holds them."""

import json
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from autobuild_core import api
from autobuild_core.architectures.records import ArchTable, ColumnRole
from autobuild_core.cli import main, roles_of
from autobuild_core.datasets import _mapping as mapping
from autobuild_core.datasets import read_table
from autobuild_core.errors import ConfigError, DataError, RunError
from autobuild_core.review import bundle as report
from autobuild_core.review import verifying
from autobuild_core.review.page import page
from autobuild_core.store.workspace import Workspace, load_table, save_table

ROWS = [(3 + 2 * (i % 3), 16 << i % 4, ("a", "b")[i // 2 % 2], 60 + 3 * (i % 3) + i % 7 / 10, 9 - i * 0.13) for i in range(24)]
TEXT = "kernel,width,kind,acc,val_loss\n" + "".join(f"{k},{w},{t},{acc:.2f},{loss:.2f}\n" for k, w, t, acc, loss in ROWS)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.csv"
    path.write_text(TEXT)
    return path


def spoken(table: ArchTable) -> dict[str, str]:
    return {column.name: column.spoken for column in table.columns}


def test_a_metric_says_which_way_is_better_by_its_name_or_as_it_was_said(file: Path) -> None:
    found = read_table(file)
    assert spoken(found) == {
        "kernel": "choice",
        "width": "choice",
        "kind": "choice",
        "acc": "metric:higher",
        "val_loss": "metric:lower",
    }
    assert mapping.is_minimized(found, "val_loss") and not mapping.is_minimized(found, "acc")
    turned = read_table(file, roles={"acc": "metric:lower", "val_loss": "metric:higher", "kind": "task"})
    assert mapping.is_minimized(turned, " acc ") and not mapping.is_minimized(turned, "val_loss")
    assert not mapping.is_minimized(turned, "acc - val_loss")
    assert mapping.said(turned.columns) == {"acc": "metric:lower", "val_loss": "metric:higher", "kind": "task"}
    assert turned.context_kinds == {"kind": "task"} and mapping.said(found.columns) == {}


@pytest.mark.parametrize("role", ["metric:up", "choice:lower", "metrics", "metric:lower:higher"])
def test_a_role_that_is_none_is_refused_with_all_that_are(role: str, file: Path) -> None:
    with pytest.raises(ConfigError, match=f"got '{role}', expected one of architecture, .*metric:higher, metric:lower"):
        read_table(file, roles={"acc": role})


def test_the_command_line_takes_a_direction(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert roles_of(["acc=metric:lower"]) == {"acc": "metric:lower"}
    assert main(["inspect", str(file), "--role", "kind=metric:lower"]) == 2  # texts are no numbers
    assert "all 24 rows were refused" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("header", "name"), [("params.lr_scale,params.act,metrics.acc", "acc"), ("config/lr_scale,config/act,trial_id,acc", "act")]
)
def test_roles_are_given_by_the_names_that_are_shown(header: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    own = ",t{0}" if "trial_id" in header else ""
    lines = [f"{(0.5, 1.0, 2.0)[i % 3]},{'rg'[i % 2]}{own.format(i)},{60 + i * 0.37:.2f}" for i in range(24)]
    path.write_text(header + "\n" + "\n".join(lines) + "\n")
    assert spoken(read_table(path))[name] != "ignored"
    assert spoken(read_table(path, roles={name: "ignored"}))[name] == "ignored"
    with pytest.raises(DataError, match="got a role for column nonsense"):
        read_table(path, roles={"nonsense": "ignored"})


def test_a_change_back_is_no_change(file: Path) -> None:
    found = read_table(file).columns
    once = mapping.changed(found, {}, "kind", "task")
    assert once == {"kind": "task"}
    assert mapping.changed(found, once, "acc", "metric:lower") == {"kind": "task", "acc": "metric:lower"}
    assert mapping.changed(found, once, "kind", "choice") == {}
    assert mapping.changed(found, once, "nonsense", "choice") == once  # another file's column, or no role
    assert mapping.changed(found, once, "acc", "nonsense") == once


def test_headers_are_equal_in_any_order_and_by_names_alone() -> None:
    one, two = ColumnRole("a", "choice", "text", 2, "why"), ColumnRole("b", "metric", "number", 9, "why")
    assert mapping.header_key([one, two]) == mapping.header_key([two, replace(one, role="ignored")])
    assert mapping.header_key([one, two]) != mapping.header_key([one])
    assert len(mapping.header_key([])) == 32


@pytest.mark.parametrize(
    ("role", "num_values", "worth"),
    [("metric", 9, False), ("ignored", 1, False), ("ignored", 2, True), ("context", 2, True)],
)
def test_a_published_space_is_worth_a_look_beside_what_is_no_plain_metric(
    role: str, num_values: int, worth: bool, table: ArchTable, file: Path
) -> None:
    column = ColumnRole("x", role, "setting" if role == "context" else "number", num_values, "why")
    arch = ColumnRole("arch", "architecture", "architecture", 9, "why")
    assert mapping.worth_a_look(replace(table, columns=(arch, column))) == worth
    assert not mapping.worth_a_look(table)
    assert mapping.worth_a_look(read_table(file))


def test_directions_and_what_was_said_are_saved_with_the_table(file: Path, tmp_path: Path) -> None:
    table = replace(read_table(file, roles={"acc": "metric:lower"}), declared=True)
    save_table(table, tmp_path / "saved")
    again = load_table(tmp_path / "saved")
    assert again.columns == table.columns and again.declared
    facts = json.loads((tmp_path / "saved" / "table.json").read_text())
    del facts["columns"], facts["declared"]  # as an older version wrote it
    (tmp_path / "saved" / "table.json").write_text(json.dumps(facts))
    older = load_table(tmp_path / "saved")
    assert not older.declared and mapping.columns_table(older.columns).empty
    assert mapping.is_minimized(older, "val_loss") and not mapping.is_minimized(older, "acc")


class TestUploads:
    def test_an_upload_is_kept_with_its_mapping_until_it_is_deleted(self, workspace: Workspace) -> None:
        upload = workspace.add_upload(b"a,b\n", "../../my table.csv.gz", {"roles": {}})
        path, kept = workspace.upload(upload)
        assert path.name == "my table.csv.gz" and path.read_bytes() == b"a,b\n" and kept["name"] == "my table.csv.gz"
        assert path.is_relative_to(workspace.path / "uploads")
        workspace.set_mapping(upload, kept | {"roles": {"a": "choice"}})
        assert workspace.upload(upload)[1]["roles"] == {"a": "choice"}
        assert workspace.size_gb() > 0
        workspace.delete_upload(upload)
        workspace.delete_upload(upload)
        with pytest.raises(RunError, match="upload"):
            workspace.upload(upload)
        assert workspace.size_gb() == 0

    @pytest.mark.parametrize("name", ["..", ".", "a\0b.csv", "ü" * 300 + ".csv", "", "a/b"])
    def test_any_name_can_be_kept(self, name: str, workspace: Workspace) -> None:
        assert workspace.upload(workspace.add_upload(b"x", name, {}))[0].read_bytes() == b"x"

    @pytest.mark.parametrize("wrong", ["../datasets", "0" * 31, "g" * 32, "0" * 32])
    def test_only_ids_reach_the_folder(self, wrong: str, workspace: Workspace) -> None:
        with pytest.raises(RunError):
            workspace.upload(wrong)
        with pytest.raises(RunError):
            workspace.set_mapping(wrong, {})

    def test_what_nobody_came_back_to_goes_with_the_next(self, workspace: Workspace) -> None:
        old = workspace.add_upload(b"old", "old.csv", {})
        folder = workspace.path / "uploads" / old
        long_ago = time.time() - 90_000
        os.utime(folder, (long_ago, long_ago))
        new = workspace.add_upload(b"new", "new.csv", {})
        assert [path.name for path in (workspace.path / "uploads").iterdir()] == [new]

    def test_they_count_against_the_cap(self, tmp_path: Path) -> None:
        small = Workspace(tmp_path / "small", cap_gb=1e-6)
        with pytest.raises(ConfigError, match="AUTOBUILD_DISK_CAP_GB"):
            small.add_upload(b"x" * 5000, "a.csv", {})
        assert list((small.path / "uploads").iterdir()) == []

    def test_roles_are_remembered_and_forgotten(self, workspace: Workspace) -> None:
        key = "a" * 32
        assert workspace.remembered_roles(key) == ("", {})
        workspace.remember_roles(key, {"lr": "task"}, "first.csv")
        assert workspace.remembered_roles(key) == ("first.csv", {"lr": "task"})
        workspace.remember_roles(key, {}, "")
        workspace.remember_roles(key, {}, "")
        assert workspace.remembered_roles(key) == ("", {})
        (workspace.path / "mappings" / f"{key}.json").write_text("[]")
        assert workspace.remembered_roles(key) == ("", {})

    def test_one_content_read_in_two_ways_is_two_data_sets(self, file: Path, workspace: Workspace) -> None:
        found, turned = read_table(file), read_table(file, roles={"acc": "metric:lower"})
        ids = [workspace.add_dataset(table, "mine.csv") for table in (found, turned, found, turned)]
        assert ids[0] == ids[2] != ids[1] == ids[3]
        assert workspace.dataset(ids[1]).columns == turned.columns


@pytest.mark.training
def test_a_report_holds_how_the_columns_were_read_and_verifies_with_the_same_roles_and_space(file: Path, tmp_path: Path) -> None:
    space = tmp_path / "wider.json"
    choices = {"kernel": [3, 5, 7, 9], "width": [16, 32, 64, 128]}
    wider = [{"type": "categorical", "name": name, "choices": values} for name, values in choices.items()]
    space.write_text(json.dumps({"hyperparameters": wider}))
    table = api.read(file, space=space, roles={"acc": "metric:lower", "kind": "ignored"})
    assert table.declared and len(table.spec.units[0].tokens) == 4
    few = {"num_members": 2, "num_steps": 4, "threads": 1, "max_length": 1}
    run = api.train(table, "acc", tmp_path / "run", True, data_name=file.name, **few)
    bundle = report.make_bundle(run.folder)
    assert bundle["data"]["roles"] == {"acc": "metric:lower", "kind": "ignored"}
    assert bundle["data"]["columns"]["changed"] == ["", "", "yes", "yes", ""]
    assert bundle["data"]["declared"]["units"][0]["values"] == {"kernel": [3, 5, 7, 9]}
    shown = page(bundle)
    assert "<h2>How the columns were read</h2>" in shown and "A reader changed 2 of 5 roles." in shown
    _, checks = verifying.check_data(bundle, file)
    assert not [check.wrong for check in checks if check.wrong]

    older = json.loads(json.dumps(bundle))
    older["data"]["columns"]["role"][2] = "Choice"
    assert [check.wrong[0][0] for check in verifying.check_data(older, file)[1] if check.wrong] == ["data.columns.role.2"]
    for name in ("columns", "roles", "declared", "format_title"):
        del older["data"][name]
    with pytest.raises(DataError, match="got data of hash"):  # without them the file is read in another way
        verifying.check_data(older, file)
    plain = api.read(file)
    said = {"data": report.data_facts(plain, file.name)}
    for name in ("columns", "roles", "declared", "format_title"):
        del said["data"][name]
    assert not [check.wrong for check in verifying.check_data(said, file)[1] if check.wrong]
