"""registry.sqlite: an old one is migrated, a damaged one made anew from the folders, and errors of the disk are sentences."""

import errno
import json
import multiprocessing
import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from autobuild_core.architectures.records import ArchTable
from autobuild_core.errors import ConfigError, RunError, StudioError
from autobuild_core.store import queue, schema, tables
from autobuild_core.store.entries import RunRow
from autobuild_core.store.run_folder import RunConfig, RunFolder
from autobuild_core.store.states import ACTIVE_STATES, ENDED_STATES, RunState
from autobuild_core.store.workspace import Workspace, is_sample
from tests.registered import read_again

OLD_TABLES = """
CREATE TABLE IF NOT EXISTS datasets (id TEXT PRIMARY KEY, name TEXT NOT NULL, hash TEXT NOT NULL, created REAL NOT NULL);
CREATE TABLE IF NOT EXISTS runs (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, state TEXT NOT NULL, created REAL NOT NULL,
    submitted REAL, pid INTEGER, pid_started REAL, heartbeat REAL, cancel REAL
);
PRAGMA user_version = 1;
"""
DATA, DONE, WAITING, BROKEN = "d" * 32, "a" * 32, "b" * 32, "c" * 32


@pytest.fixture
def old(table: ArchTable, tmp_path: Path) -> Path:
    """A workspace as version 1 left it: a data set, a finished run that was renamed, one that waits, one that is damaged."""
    path = tmp_path / "old"
    for name in ("datasets", "runs", "uploads", "mappings"):
        (path / name).mkdir(parents=True)
    as_before(table, path / "datasets" / DATA)
    for number, run in enumerate((DONE, WAITING, BROKEN)):
        folder = RunFolder(path / "runs" / run)
        folder.create(RunConfig(run, f"run {number}", "mine.csv", tables.content_hash(table), "acc", seed=number), None)
        as_before(table, folder.path)
        about = folder.about
        del about["kind"]
        folder.write_json("config.json", about)
    done = RunFolder(path / "runs" / DONE)
    done.set_state("running")
    done.set_state("finished")
    done.write_json("quality.json", {"srcc": 0.75, "verdict": "thin"})
    (path / "runs" / BROKEN / "config.json").write_text("[]")
    with sqlite3.connect(path / "registry.sqlite") as connection:
        connection.executescript(OLD_TABLES)
        connection.execute("INSERT INTO datasets VALUES (?, 'mine.csv', ?, 100)", (DATA, tables.content_hash(table)))
        insert = "INSERT INTO runs (id, name, state, created, submitted) VALUES (?, ?, ?, ?, ?)"
        runs = [(DONE, "renamed", "finished", 101, 101), (WAITING, "run 1", "queued", 102, 102)]
        connection.executemany(insert, [*runs, (BROKEN, "run 2", "failed", 103, 103)])
    connection.close()
    return path


def as_before(table: ArchTable, folder: Path) -> None:
    """A saved table with its refused rows in table.json."""
    tables.save_table(table, folder)
    facts = tables.table_facts(folder)
    del facts["num_rejected"]
    tables.write_json(folder / "table.json", facts | {"rejected": [{"row": 0, "reason": "key: got 9 digits, expected 8."}]})
    (folder / "refused.parquet").unlink()


def own_runs(workspace: Workspace) -> list[tuple[str, ...]]:
    """(name, state) of all runs but those that ship, newest first."""
    frame = workspace.runs()
    frame = frame[~frame["id"].map(is_sample).astype(bool)]
    return list(frame[["name", "state"]].itertuples(index=False, name=None))


def test_states_are_one_list() -> None:
    assert {*ACTIVE_STATES, *ENDED_STATES, RunState.DAMAGED} == set(RunState)
    assert json.loads(json.dumps({"state": RunState.LOST})) == {"state": "lost"}


class TestMigration:
    def test_an_old_workspace_opens_as_it_was(self, old: Path) -> None:
        workspace = Workspace(old)
        assert own_runs(workspace) == [("run 2", "damaged"), ("run 1", "queued"), ("renamed", "finished")]
        row = workspace.runs().set_index("id").loc[DONE]
        assert (row["kind"], row["srcc"], row["verdict"], row["aim"]) == ("train", 0.75, "thin", "maximise acc")
        assert row["has_scores"] and row["created"].timestamp() == 101 and row["seconds"] >= 0
        data = workspace.datasets().iloc[0]
        assert (data["name"], data["num_rows"], data["num_rejected"], data["error"]) == ("mine.csv", 60, 1, "")
        assert data["hash"] == row["data_hash"] and data["created"].timestamp() == 100
        with workspace.connect() as connection:
            assert connection.execute("PRAGMA user_version").fetchone()[0] == schema.VERSION

    def test_the_queue_stays_and_the_damaged_run_goes(self, old: Path) -> None:
        workspace = Workspace(old)
        with workspace.connect() as connection:
            waits = connection.execute("SELECT id FROM runs WHERE state = 'queued' AND submitted = 102").fetchall()
        assert [row["id"] for row in waits] == [WAITING]
        assert "config.json: got a damaged file (a list)" in workspace.runs().set_index("id").loc[BROKEN]["error"]
        workspace.delete_run(BROKEN)
        assert len(own_runs(workspace)) == 2 and not (old / "runs" / BROKEN).exists()

    def test_a_run_that_is_being_trained_stays_its_workers(self, old: Path) -> None:
        with sqlite3.connect(old / "registry.sqlite") as connection:
            connection.execute("UPDATE runs SET state = 'running', pid = 77 WHERE id = ?", (WAITING,))
        connection.close()
        workspace = Workspace(old)
        with workspace.connect() as connection:
            row = connection.execute("SELECT state, pid FROM runs WHERE id = ?", (WAITING,)).fetchone()
        assert tuple(row) == ("running", 77)

    def test_many_processes_migrate_at_once(self, old: Path) -> None:
        context = multiprocessing.get_context("spawn")
        processes = [context.Process(target=Workspace, args=(old,)) for _ in range(3)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(60)
        assert [process.exitcode for process in processes] == [0] * 3
        assert len(own_runs(Workspace(old))) == 3

    def test_cut_short_it_is_done_again(self, old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(schema, "put_run", lambda *_, **__: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left")))
            with pytest.raises(RunError, match="the disk is full; free some space"):
                Workspace(old)
        assert len(own_runs(Workspace(old))) == 3


@pytest.fixture
def full(workspace: Workspace, table: ArchTable) -> Workspace:
    """Two data sets; a run that is finished and renamed, and one of another kind."""
    data = workspace.add_dataset(table, "mine.csv")
    workspace.add_dataset(table, "a copy")
    run = workspace.add_run(data, "acc", name="first", target_name="accuracy")
    workspace.run(run).set_state("finished")
    workspace.run(run).write_json("quality.json", {"srcc": 0.5})
    read_again(workspace, run)
    workspace.rename_run(run, "renamed")
    workspace.add_job("count", RunConfig(name="counted"), RunRow(aim="count to 3", result="3"))
    return workspace


def cut(path: Path) -> None:
    """Half of the file is gone."""
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2 // 4096 * 4096 or 1000)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "missing": lambda path: path.unlink(),
    "emptied": lambda path: path.write_bytes(b""),
    "cut": cut,
    "no database": lambda path: path.write_bytes(b"hello " * 2000),
    "overwritten inside": lambda path: path.write_bytes(path.read_bytes()[:4096] + b"\xff" * (path.stat().st_size - 4096)),
}


class TestDamage:
    @pytest.mark.parametrize("damage", DAMAGES)
    @pytest.mark.parametrize("reopened", [True, False])
    def test_the_registry_is_made_anew_from_the_folders(self, full: Workspace, damage: str, reopened: bool) -> None:
        before = full.runs().drop(columns="seconds"), full.datasets()
        with full.connect() as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        DAMAGES[damage](full.path / "registry.sqlite")
        workspace = Workspace(full.path) if reopened else full
        assert workspace.runs().drop(columns="seconds").equals(before[0])
        assert workspace.datasets().drop(columns="size_mb").equals(before[1].drop(columns="size_mb"))
        assert Workspace(full.path).runs()["name"].tolist() == before[0]["name"].tolist()

    def test_a_write_says_that_it_was_made_anew_and_then_works(self, full: Workspace) -> None:
        with full.connect() as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (full.path / "registry.sqlite").write_bytes(b"hello " * 2000)
        run = full.runs()["id"][0]
        (full.path / "registry.sqlite").write_bytes(b"hello " * 2000)
        with pytest.raises(RunError, match="made anew from their folders; do that once more"):
            full.rename_run(run, "again")
        full.rename_run(run, "again")
        assert full.runs()["name"][0] == "again"

    def test_a_running_job_stays_its_workers(self, full: Workspace) -> None:
        """Else its worker would find itself unknown, and leave."""
        run = full.runs()["id"][0]
        started = psutil.Process().create_time()
        with full.connect(write=True) as connection:
            query = "UPDATE runs SET state = 'running', submitted = 1, pid = ?, pid_started = ? WHERE id = ?"
            connection.execute(query, (os.getpid(), started, run))
        assert queue.begin(full, run)
        (full.path / "registry.sqlite").unlink()
        assert queue.beat(full, run)
        with full.connect() as connection:
            row = connection.execute("SELECT state, pid, pid_started FROM runs WHERE id = ?", (run,)).fetchone()
        assert tuple(row) == ("running", os.getpid(), started)

    def test_folders_put_there_or_deleted_by_hand_are_seen_at_the_next_start(self, full: Workspace) -> None:
        first, second = full.runs()["id"][:2]
        (full.path / "runs" / first).rename(full.path / "runs" / ("e" * 32))
        found = Workspace(full.path).runs()["id"].tolist()
        assert "e" * 32 in found and second in found and first not in found

    @pytest.mark.parametrize(("file", "content"), [("config.json", "[]"), ("state.json", ""), ("state.json", '{"state": "x"}')])
    def test_a_damaged_run_is_listed_with_its_sentence_and_deletable(self, full: Workspace, file: str, content: str) -> None:
        run = full.runs().set_index("name").loc["renamed"]["id"]
        path = full.path / "runs" / run / file
        before = path.read_text()
        assert full.check_run(run) == ""
        path.write_text(content)
        assert "damaged" in full.check_run(run)
        row = full.runs().set_index("id").loc[run]
        assert (row["state"], row["name"]) == ("damaged", "renamed") and file in row["error"]
        path.write_text(before)
        assert full.check_run(run) == "" and full.runs().set_index("id").loc[run]["state"] == "finished"
        path.write_text(content)
        (full.path / "registry.sqlite").unlink()
        assert full.runs().set_index("id").loc[run]["state"] == "damaged"
        full.delete_run(run)
        assert run not in full.runs()["id"].tolist() and not path.exists()

    def test_a_run_whose_folder_is_gone_can_be_deleted(self, full: Workspace) -> None:
        run = full.runs()["id"][0]
        (full.path / "runs" / run).rename(full.path / "elsewhere")
        full.delete_run(run)
        assert run not in full.runs()["id"].tolist()

    def test_a_damaged_data_set_is_listed_and_deletable(self, full: Workspace) -> None:
        data = full.datasets()["id"][0]
        (full.path / "datasets" / data / "table.json").write_text("[]")
        with pytest.raises(StudioError, match="expected a saved table"):
            full.dataset(data)
        assert "expected a saved table" in full.datasets().set_index("id").loc[data]["error"]
        (full.path / "registry.sqlite").unlink()
        row = full.datasets().set_index("id").loc[data]
        assert row["name"] == "a copy" and "expected a saved table" in row["error"]
        full.delete_dataset(data)
        assert full.datasets()["name"].tolist() == ["mine.csv"]


class TestDisk:
    def test_a_full_disk_is_one_sentence(self, full: Workspace, table: ArchTable, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        run = full.runs()["id"][0]
        monkeypatch.setattr(os, "fsync", refuse)
        with pytest.raises(ConfigError, match="the disk is full; free some space, or delete runs and data sets"):
            full.add_dataset(table, "third")
        assert len(full.datasets()) == 2 and not list((full.path / "datasets").glob(".*"))
        full.delete_run(run)  # the way out works
        assert run not in full.runs()["id"].tolist()

    def test_a_full_disk_under_the_registry(self, full: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
        opened = schema.open_connection

        def tight(path: Path) -> sqlite3.Connection:
            connection = opened(path)
            connection.execute("PRAGMA max_page_count = 1")  # SQLite takes as many as there are, and then none
            return connection

        def fill() -> None:
            with full.connect(write=True) as connection:
                insert = "INSERT INTO datasets (id, name, hash, created) VALUES (?, ?, '', 0)"
                connection.executemany(insert, [(str(number), "x" * 999) for number in range(99)])

        monkeypatch.setattr(schema, "open_connection", tight)
        with pytest.raises(RunError, match="the disk is full"):
            fill()
        assert len(full.datasets()) == 2

    def test_a_state_is_kept_by_the_registry_where_its_file_cannot_be_written(
        self, full: Workspace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run = full.runs()["id"][0]
        monkeypatch.setattr(tables, "write_json", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
        with full.connect(write=True) as connection:
            queue.move(full, connection, run, RunState.FAILED, "why")
        row = full.runs().iloc[0]
        assert (row["state"], row["error"]) == ("failed", "why")

    @pytest.mark.parametrize("place", ["file", "file/below"])
    def test_a_workspace_that_cannot_be_one(self, tmp_path: Path, place: str) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(ConfigError, match="see that the disk is there and this user may write"):
            Workspace(tmp_path / place)

    def test_a_held_registry_says_so(self, full: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(schema, "BUSY_SECONDS", 0.05)
        with (
            full.connect(write=True),
            pytest.raises(RunError, match="another process held its list"),
            full.connect(write=True),
        ):
            pass

    def test_a_fault_of_the_program_is_no_sentence(self, full: Workspace) -> None:
        with pytest.raises(sqlite3.OperationalError, match="no such column"), full.connect() as connection:
            connection.execute("SELECT nonsense FROM runs")


class TestProgress:
    def test_lists_hear_of_it_with_the_heartbeat(self, full: Workspace) -> None:
        run = full.runs()["id"][0]
        with full.connect(write=True) as connection:
            connection.execute("UPDATE runs SET state = 'running', pid = ? WHERE id = ?", (os.getpid(), run))
        assert queue.beat(full, run, queue.JobProgress(0.25, "counting"))
        row = full.runs().iloc[0]
        assert (row["share"], row["words"]) == (0.25, "counting")

    def test_the_end_brings_the_row_of_the_kind(self, full: Workspace) -> None:
        run = full.runs()["id"][0]
        assert not queue.end(full, run, RunState.FINISHED, row=RunRow(result="no"))
        with full.connect(write=True) as connection:
            connection.execute("UPDATE runs SET state = 'running', pid = ? WHERE id = ?", (os.getpid(), run))
        assert queue.end(full, run, RunState.FINISHED, row=RunRow(result="3"))
        (full.path / "registry.sqlite").unlink()
        row = full.runs().iloc[0]
        assert (row["state"], row["result"], row["kind"]) == ("finished", "3", "count")
        assert row["finished"].timestamp() <= time.time()
