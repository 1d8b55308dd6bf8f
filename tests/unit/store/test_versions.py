"""Versions of a data set in a workspace: appended, listed, deleted, migrated, and named by the runs that learned from them."""

import json
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from autobuild_core.architectures.records import ArchTable, Batch
from autobuild_core.errors import ConfigError, RunError
from autobuild_core.store.workspace import SAMPLE_ID, Workspace, content_hash, load_table

Grown = Callable[[ArchTable], ArchTable]


@pytest.fixture
def grown() -> Grown:
    """A table with its first row once more, as one that was appended."""

    def grow(table: ArchTable) -> ArchTable:
        batch = Batch("results.jsonl", 7.0, content_hash(table), "c" * 32, table.num_read)
        rows = table.take([*range(len(table)), 0])
        source_rows = rows.source_rows.copy()
        source_rows[-1] = table.num_read
        batches = (*(table.batches or (Batch("first.csv"),)), batch)
        return replace(rows, source_rows=source_rows, num_read=table.num_read + 1, batches=batches)

    return grow


def test_a_version_stands_beside_the_one_of_before(workspace: Workspace, table: ArchTable, grown: Grown) -> None:
    first = workspace.add_dataset(table, "macro")
    second = workspace.add_version(first, grown(table))
    sets = workspace.datasets().set_index("id")
    assert sets.loc[[second, first], "version"].tolist() == [2, 1]
    assert sets["family"].unique().tolist() == [first]
    assert sets.loc[second, ["name", "parent", "origin", "run"]].tolist() == [
        *("macro", content_hash(table), "results.jsonl", "c" * 32),
    ]
    assert len(workspace.dataset(first)) == len(table)
    assert workspace.dataset(second).batches[1].time == 7.0


def test_rows_for_an_older_version_are_refused_and_nothing_is_left(workspace: Workspace, table: ArchTable, grown: Grown) -> None:
    first = workspace.add_dataset(table, "macro")
    workspace.add_version(first, grown(table))
    with pytest.raises(ConfigError, match="got rows for version 1, expected rows for version 2, which is the newest"):
        workspace.add_version(first, grown(table))
    assert len(workspace.datasets()) == len(list((workspace.path / "datasets").iterdir())) == 2


def test_rows_whose_parent_is_another_are_refused(workspace: Workspace, table: ArchTable, grown: Grown) -> None:
    first = workspace.add_dataset(table, "macro")
    with pytest.raises(ConfigError, match="append them to that one"):
        workspace.add_version(first, grown(table.take([1, 2, 3])))
    assert len(workspace.datasets()) == 1


def test_a_run_names_the_version_that_it_learned_from(workspace: Workspace, table: ArchTable, grown: Grown) -> None:
    first = workspace.add_dataset(table, "macro")
    second = workspace.add_version(first, grown(table))
    runs = [workspace.add_run(one, "acc", name=f"of {n}") for n, one in enumerate((first, second), 1)]
    listed = workspace.runs().set_index("id")
    for number, run in enumerate(runs, 1):
        config = workspace.run(run).config
        data = workspace.dataset((first, second)[number - 1])
        assert (config.data_version, config.data_hash) == (number, content_hash(data))
        assert int(listed.loc[run, "data_version"]) == number
        assert workspace.data_of_run(run) == (first, second)[number - 1]


def test_the_data_of_a_run_are_copied_where_they_are_not_there(workspace: Workspace, table: ArchTable) -> None:
    first = workspace.add_dataset(table, "macro")
    run = workspace.add_run(first, "acc")
    workspace.delete_dataset(first)
    again = workspace.data_of_run(run)
    assert again != first
    assert workspace.data_of_run(run) == again
    assert content_hash(workspace.dataset(again)) == content_hash(table)


def test_the_sample_is_copied_before_it_grows(workspace: Workspace, grown: Grown) -> None:
    sample = workspace.run(SAMPLE_ID)
    before = sorted((path.name, path.stat().st_mtime_ns) for path in sample.path.iterdir())
    copied = workspace.data_of_run(SAMPLE_ID)
    workspace.add_version(copied, grown(workspace.dataset(copied)))
    assert sorted((path.name, path.stat().st_mtime_ns) for path in sample.path.iterdir()) == before
    assert sample.table().version == 1


def test_a_data_set_goes_with_all_its_versions(workspace: Workspace, table: ArchTable, grown: Grown) -> None:
    other = workspace.add_dataset(table, "other")
    first = workspace.add_dataset(table, "macro")
    second = workspace.add_version(first, grown(table))
    workspace.delete_dataset(second)
    assert workspace.datasets()["id"].tolist() == [other]
    assert [path.name for path in (workspace.path / "datasets").iterdir()] == [other]
    with pytest.raises(RunError, match="not in this workspace"):
        workspace.dataset(first)


def test_no_file_goes_before_all_versions_are_off_the_list(
    workspace: Workspace, table: ArchTable, grown: Grown, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = workspace.add_dataset(table, "macro")
    workspace.add_version(first, grown(table))
    listed: list[int] = []
    monkeypatch.setattr("shutil.rmtree", lambda *args, **how: listed.append(len(workspace.datasets())))
    workspace.delete_dataset(first)
    assert listed == [0, 0]


def test_only_the_newest_version_is_taken_back(workspace: Workspace, table: ArchTable, grown: Grown) -> None:
    first = workspace.add_dataset(table, "macro")
    second = workspace.add_version(first, grown(table))
    with pytest.raises(
        ConfigError, match="got a request to delete version 1, expected one for version 2, which was made from it"
    ):
        workspace.delete_version(first)
    workspace.delete_version(second)
    assert workspace.datasets()["id"].tolist() == [first]
    assert workspace.datasets().loc[0, "version"] == 1


def test_a_registry_that_was_lost_knows_the_versions(workspace: Workspace, table: ArchTable, grown: Grown) -> None:
    first = workspace.add_dataset(table, "macro")
    second = workspace.add_version(first, grown(table))
    before = workspace.datasets().set_index("id").sort_index()
    for file in workspace.path.glob("registry.sqlite*"):
        file.unlink()
    after = Workspace(workspace.path).datasets().set_index("id").sort_index()
    assert after[["family", "version", "parent", "origin", "run"]].equals(
        before[["family", "version", "parent", "origin", "run"]]
    )
    (workspace.path / "datasets" / second / "table.json").write_text("{")
    for file in workspace.path.glob("registry.sqlite*"):
        file.unlink()
    damaged = Workspace(workspace.path).datasets().set_index("id").loc[second]
    assert (damaged["family"], damaged["version"]) == (first, 2)
    assert "damaged" in damaged["error"] or "no readable file" in damaged["error"]


def test_a_registry_without_versions_gains_them(workspace: Workspace, table: ArchTable) -> None:
    first = workspace.add_dataset(table, "macro")
    connection = sqlite3.connect(workspace.path / "registry.sqlite")
    for name in ("family", "version", "parent", "origin", "run"):
        connection.execute(f"ALTER TABLE datasets DROP COLUMN {name}")
    connection.execute("PRAGMA user_version = 2")
    connection.commit()
    connection.close()
    listed = Workspace(workspace.path).datasets()
    assert listed[["id", "family", "version"]].to_numpy().tolist() == [[first, first, 1]]


def test_a_table_of_before_has_one_version(table: ArchTable, tmp_path: Path, workspace: Workspace) -> None:
    first = workspace.add_dataset(table, "macro")
    path = workspace.path / "datasets" / first / "table.json"
    facts = json.loads(path.read_text())
    del facts["batches"]
    path.write_text(json.dumps(facts))
    assert load_table(path.parent).version == 1
    assert load_table(path.parent).batches == ()
