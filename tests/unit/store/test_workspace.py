import io
import json
import multiprocessing
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from autobuild_core.architectures.records import ArchTable, Rejection
from autobuild_core.errors import ConfigError, DataError, RunError
from autobuild_core.store import tables
from autobuild_core.store import workspace as workspace_file
from autobuild_core.store.tables import to_csv
from autobuild_core.store.workspace import RunConfig, RunFolder, Workspace, content_hash, load_table, save_table
from tests.registered import read_again

CONFIG = RunConfig("", "a run", "macro", "ab" * 16, "acc", seed=3)


class TestTables:
    def test_comes_back_as_it_was(self, table: ArchTable, tmp_path: Path) -> None:
        save_table(table, tmp_path / "t")
        back = load_table(tmp_path / "t")
        assert back.spec == table.spec
        assert back.codes.dtype == np.int16
        assert np.array_equal(back.codes, table.codes)
        assert np.array_equal(back.networks, table.networks)
        assert back.networks.dtype == np.uint64
        assert np.array_equal(back.source_rows, table.source_rows)
        pd.testing.assert_frame_equal(back.metrics, table.metrics)
        assert (back.format, back.num_read, back.rejected, back.notes) == (
            table.format,
            table.num_read,
            table.rejected,
            table.notes,
        )
        assert content_hash(back) == content_hash(table) == tables.table_facts(tmp_path / "t")["hash"]

    def test_without_rows_or_metrics(self, table: ArchTable, tmp_path: Path) -> None:
        empty = table.take(np.zeros(0, int))
        bare = ArchTable(table.spec, table.codes, table.networks, pd.DataFrame(index=range(60)), table.source_rows)
        for number, each in enumerate((empty, bare)):
            save_table(each, tmp_path / str(number))
            back = load_table(tmp_path / str(number))
            assert len(back) == len(each) == len(back.metrics)
            assert list(back.metrics.columns) == list(each.metrics.columns)

    def test_metric_names_and_missing_values(self, table: ArchTable, tmp_path: Path) -> None:
        metrics = pd.DataFrame({"c0": table.metrics["acc"], "network": np.nan, "température %": 1.0})
        save_table(ArchTable(table.spec, table.codes, table.networks, metrics, table.source_rows), tmp_path)
        pd.testing.assert_frame_equal(load_table(tmp_path).metrics, metrics)

    def test_hash_sees_every_part(self, table: ArchTable) -> None:
        codes = table.codes.copy()
        codes[0, 0] = (codes[0, 0] + 1) % 3
        changed = [
            ArchTable(table.spec, codes, table.networks, table.metrics, table.source_rows),
            ArchTable(table.spec, table.codes, table.networks + 1, table.metrics, table.source_rows),
            ArchTable(table.spec, table.codes, table.networks, table.metrics + 1e-9, table.source_rows),
            ArchTable(table.spec, table.codes, table.networks, table.metrics.rename(columns={"acc": "a"}), table.source_rows),
            ArchTable(table.spec, table.codes, table.networks, table.metrics, table.source_rows + 1),
        ]
        assert len({content_hash(t) for t in [table, *changed]}) == 6

    def test_damage_is_named(self, table: ArchTable, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"table\.json: got no readable file"):
            load_table(tmp_path)
        save_table(table, tmp_path)
        (tmp_path / "table.parquet").write_bytes(b"PAR1 nonsense")
        with pytest.raises(DataError, match="damaged"):
            load_table(tmp_path)
        save_table(table, tmp_path)
        facts = json.loads((tmp_path / "table.json").read_text())
        (tmp_path / "table.json").write_text(json.dumps(facts | {"schema_version": 99}))
        with pytest.raises(DataError, match="got schema version 99, expected 1"):
            load_table(tmp_path)

    def test_of_many_refused_rows_some_are_kept_and_all_are_counted(
        self, table: ArchTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tables, "MOST_REFUSED", 3)
        refused = tuple(Rejection(row, f"row {row}: got 1 field, expected 9.") for row in range(5))
        save_table(replace(table, rejected=refused), tmp_path)
        back = load_table(tmp_path)
        assert (back.rejected, back.num_rejected) == (refused[:3], 5)
        assert "got 1 field" not in (tmp_path / "table.json").read_text()  # lists and pages read it whole
        save_table(back, tmp_path / "again")
        assert load_table(tmp_path / "again").num_rejected == back.take(np.arange(4)).num_rejected == 5

    def test_refused_rows_of_a_table_of_before_are_in_its_json(self, table: ArchTable, tmp_path: Path) -> None:
        save_table(table, tmp_path)
        (tmp_path / "refused.parquet").unlink()
        facts = tables.table_facts(tmp_path)
        del facts["num_rejected"]
        tables.write_json(tmp_path / "table.json", facts | {"rejected": [{"row": 0, "reason": "why"}]})
        back = load_table(tmp_path)
        assert (back.rejected, back.num_rejected) == ((Rejection(0, "why"),), 1)

    @pytest.mark.parametrize("damage", ["[]", "", "{", '{"schema_version": 1}', '{"schema_version": 1, "spec": []}'])
    def test_any_damage_of_the_json_is_a_sentence(self, table: ArchTable, tmp_path: Path, damage: str) -> None:
        save_table(table, tmp_path)
        (tmp_path / "table.json").write_text(damage)
        with pytest.raises(DataError, match="expected a saved table"):
            load_table(tmp_path)

    def test_failed_write_leaves_the_old_file(self, tmp_path: Path) -> None:
        tables.write_json(tmp_path / "x.json", {"a": np.float64(1)})
        with pytest.raises(TypeError):
            tables.write_json(tmp_path / "x.json", {"a": object()})
        assert json.loads((tmp_path / "x.json").read_text()) == {"a": 1.0}
        assert [p.name for p in tmp_path.iterdir()] == ["x.json"]

    def test_reader_never_sees_half_a_file(self, tmp_path: Path) -> None:
        path, stop = tmp_path / "x.json", threading.Event()
        tables.write_json(path, [0] * 1000)

        def write() -> None:
            number = 0
            while not stop.is_set():
                number += 1
                tables.write_json(path, [number] * 1000)

        writer = threading.Thread(target=write)
        writer.start()
        try:
            for _ in range(200):
                assert len(set(json.loads(path.read_text()))) == 1
        finally:
            stop.set()
            writer.join()


def test_csv_reads_back_as_it_was(tmp_path: Path) -> None:
    layers = [json.dumps(["a", 'b"c']), "[]", ""]
    frame = pd.DataFrame({"layers": layers, "n": [1, 2, 3], "score": [0.1 + 0.2, np.nan, -1e-300]})
    text = to_csv(frame)
    assert text.startswith("layers,n,score\n") and text.splitlines()[2].endswith("2,")
    pd.testing.assert_frame_equal(pd.read_csv(io.StringIO(text), keep_default_na=False, na_values={"score": ""}), frame)
    assert to_csv(frame[:0]) == "layers,n,score\n"


class TestRunFolder:
    def test_create(self, table: ArchTable, tmp_path: Path) -> None:
        folder = RunFolder(tmp_path / "deep" / "run").create(CONFIG, table)
        again = RunFolder(str(folder.path))
        assert again.config == CONFIG
        assert again.state["state"] == "queued"
        assert again.about["schema_version"] == 1
        assert again.about["versions"]["torch"].startswith("2.")
        assert content_hash(again.table()) == content_hash(table)
        with pytest.raises(RunError, match="holds a run already"):
            again.create(CONFIG, table)

    def test_what_a_target_is_called_is_kept_and_runs_of_before_have_no_name(self, table: ArchTable, tmp_path: Path) -> None:
        named = replace(CONFIG, target="acc / flops", target_name="efficiency", target_unit="points")
        folder = RunFolder(tmp_path).create(named, table)
        assert folder.config.label.axis == "efficiency (points)"
        about = folder.about
        del about["config"]["target_name"], about["config"]["target_unit"]  # as an older version wrote it
        folder.write_json("config.json", about)
        assert (folder.config.label.title, folder.config.label.unit) == ("acc / flops", "")

    @pytest.mark.parametrize("wrong", [{"target_name": "a" * 61}, {"target_name": "a\nb"}, {"target_unit": "a" * 19}])
    def test_a_useless_name_is_refused(self, wrong: dict[str, str]) -> None:
        with pytest.raises(ConfigError, match=r"target (name|unit): got 'a"):
            replace(CONFIG, **wrong)

    def test_states(self, table: ArchTable, tmp_path: Path) -> None:
        folder = RunFolder(tmp_path).create(CONFIG, table)
        folder.set_state("running")
        started = folder.state["started"]
        folder.set_state("lost", "gone")
        assert folder.state["error"] == "gone"
        folder.set_state("running")
        assert folder.state == {"state": "running", "error": "", "started": started, "ended": None}
        folder.set_state("failed", "why")
        assert folder.state["ended"] >= started

    def test_progress_leaves_out_a_half_written_line(self, table: ArchTable, tmp_path: Path) -> None:
        folder = RunFolder(tmp_path).create(CONFIG, table)
        assert folder.progress().empty
        assert folder.last_progress() == {}
        folder.append_progress({"step": 1, "hop_srcc": np.array([0.5, 0.75]), "loss": np.float32(0.5)})
        folder.append_progress({"step": 2, "hop_srcc": [0.5, 1], "loss": 0.25})
        with (tmp_path / "progress.jsonl").open("a") as file:
            file.write('{"step": 3, "lo')
        assert folder.progress()["step"].tolist() == [1, 2]
        assert folder.progress()["hop_srcc"][0] == [0.5, 0.75]
        assert folder.last_progress()["step"] == 2

    def test_files(self, table: ArchTable, tmp_path: Path) -> None:
        folder = RunFolder(tmp_path).create(CONFIG, table)
        frame = pd.DataFrame({"unit": ["U1", None], "score": [1.5, np.nan], "whole_unit": [True, False]}, index=[7, 8])
        folder.write_frame("modules.parquet", frame)
        back = folder.read_frame("modules.parquet")
        assert back["score"].isna().tolist() == [False, True]
        assert back.index.tolist() == [0, 1]
        folder.log("one")
        folder.log("two")
        assert [line.split(" ", 1)[1] for line in folder.log_text().splitlines()] == ["one", "two"]
        with pytest.raises(RunError, match=r"got no quality\.json"):
            folder.read_json("quality.json")
        (tmp_path / "bad.parquet").write_text("no")
        with pytest.raises(RunError, match=r"bad\.parquet: got a damaged file"):
            folder.read_frame("bad.parquet")

    def test_other_version_and_no_run(self, table: ArchTable, tmp_path: Path) -> None:
        with pytest.raises(RunError, match=r"got no config\.json"):
            _ = RunFolder(tmp_path / "nothing").config
        folder = RunFolder(tmp_path).create(CONFIG, table)
        folder.write_json("config.json", folder.about | {"schema_version": 2})
        with pytest.raises(RunError, match="got schema version 2, expected 1"):
            _ = folder.config


class TestWorkspace:
    def test_datasets(self, workspace: Workspace, table: ArchTable) -> None:
        assert workspace.datasets().empty
        first = workspace.add_dataset(table, "  macro \n file ")
        assert workspace.add_dataset(table, "macro file") == first
        other = workspace.add_dataset(table, "copy")
        assert workspace.datasets()[["name", "num_rows", "num_rejected"]].to_numpy().tolist() == [
            ["copy", 60, 1],
            ["macro file", 60, 1],
        ]
        assert content_hash(workspace.dataset(first)) == content_hash(table)
        workspace.delete_dataset(other)
        assert workspace.datasets()["id"].tolist() == [first]
        with pytest.raises(RunError, match="not in this workspace"):
            workspace.dataset(other)

    def test_runs(self, workspace: Workspace, table: ArchTable) -> None:
        data = workspace.add_dataset(table, "macro")
        run_id = workspace.add_run(data, "-flops", minimize=True, seed=5, num_members=2)
        config = workspace.run(run_id).config
        assert (config.id, config.data_hash, config.seed, config.num_members) == (run_id, content_hash(table), 5, 2)
        folder = workspace.run(run_id)
        folder.write_json("quality.json", {"srcc": 0.9})
        assert np.isnan(workspace.runs()["srcc"][0])  # lists read no file of a run
        read_again(workspace, run_id)
        row = workspace.runs().iloc[0]
        assert (row["state"], row["name"], row["minimize"], row["read_only"]) == ("queued", "macro: -flops", True, False)
        assert (row["srcc"], row["aim"], row["kind"]) == (0.9, "minimise -flops", "train")
        workspace.rename_run(run_id, "mine")
        assert workspace.runs()["name"].tolist()[0] == workspace.run_name(run_id) == "mine"

    def test_runs_have_the_same_types_empty_or_not(self, workspace: Workspace, table: ArchTable) -> None:
        empty = workspace.runs().dtypes
        workspace.add_run(workspace.add_dataset(table, "macro"), "acc")
        assert [str(t).split("[")[0] for t in empty] == [str(t).split("[")[0] for t in workspace.runs().dtypes]

    def test_delete_refuses_a_running_run(self, workspace: Workspace, table: ArchTable) -> None:
        run_id = workspace.add_run(workspace.add_dataset(table, "macro"), "acc")
        with workspace.connect(write=True) as connection:
            connection.execute("UPDATE runs SET state = 'running'")
        with pytest.raises(RunError, match="while it is running, expected it cancelled first"):
            workspace.delete_run(run_id)
        with workspace.connect(write=True) as connection:
            connection.execute("UPDATE runs SET state = 'failed'")
        workspace.delete_run(run_id)
        assert list((workspace.path / "runs").iterdir()) == []
        with pytest.raises(RunError, match="not in this workspace"):
            workspace.delete_run(run_id)

    def test_deletion_cut_short_is_finished_by_the_next(
        self, workspace: Workspace, table: ArchTable, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        data = workspace.add_dataset(table, "macro")
        first, second = workspace.add_run(data, "acc"), workspace.add_run(data, "acc")
        with monkeypatch.context() as patch:
            patch.setattr(workspace_file.shutil, "rmtree", lambda *_, **__: None)
            workspace.delete_run(first)
        assert first not in workspace.runs()["id"].tolist()
        workspace.delete_run(second)
        assert list((workspace.path / "runs").iterdir()) == []

    def test_disk_cap(self, table: ArchTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        workspace = Workspace(tmp_path / "w")
        assert workspace.cap_gb == 5
        data = workspace.add_dataset(table, "macro")
        workspace.add_run(data, "acc")
        workspace.cap_gb = workspace.size_gb() * 1.2
        with pytest.raises(ConfigError, match=r"GB in all; delete runs or data sets, or raise AUTOBUILD_DISK_CAP_GB"):
            workspace.add_run(data, "acc")
        assert (~workspace.runs()["read_only"]).sum() == 1
        assert not list((workspace.path / "runs").glob(".*"))
        monkeypatch.setenv("AUTOBUILD_DISK_CAP_GB", "lots")
        with pytest.raises(ConfigError, match="AUTOBUILD_DISK_CAP_GB: got 'lots'"):
            Workspace(tmp_path / "w")

    @pytest.mark.parametrize("bad", ["../../etc", "sample/../x", "", "A" * 32, "0" * 31])
    def test_ids_never_reach_the_file_system(self, workspace: Workspace, bad: str) -> None:
        for call in (workspace.run, workspace.dataset, workspace.delete_run, workspace.delete_dataset):
            with pytest.raises(RunError, match="expected 32 hex digits"):
                call(bad)

    def test_bad_settings(self, workspace: Workspace, table: ArchTable) -> None:
        data = workspace.add_dataset(table, "macro")
        with pytest.raises(ConfigError, match="settings of a run: got epochs"):
            workspace.add_run(data, "acc", epochs=3)
        with pytest.raises(ConfigError, match="name of a data set: got 0 characters"):
            workspace.add_dataset(table, "  ")

    def test_sample_is_read_only(
        self, workspace: Workspace, table: ArchTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(workspace_file, "SAMPLE_DATA", tmp_path / "shipped")
        with pytest.raises(RunError):
            workspace.run("sample")
        for place in ("run", "cells/run"):
            (tmp_path / "shipped" / place).parent.mkdir(parents=True, exist_ok=True)
            RunFolder(tmp_path / "shipped" / place).create(CONFIG, table).set_state("finished")
        frame = workspace.runs()
        assert frame[["id", "read_only", "state"]].to_numpy().tolist() == [
            ["sample", True, "finished"],
            ["sample-cells", True, "finished"],
        ]
        for one in frame["id"]:
            assert workspace.run(one).config == CONFIG
            for change in (workspace.delete_run, lambda run: workspace.rename_run(run, "x")):
                with pytest.raises(RunError, match="read-only"):
                    change(one)
        with pytest.raises(RunError):
            workspace.run("sample-none")

    def test_other_version(self, workspace: Workspace) -> None:
        with workspace.connect() as connection:
            connection.execute("PRAGMA user_version = 7")
        with pytest.raises(RunError, match="got version 7, expected 3"):
            Workspace(workspace.path)

    def test_damaged_run_is_listed_with_its_reason(self, workspace: Workspace, table: ArchTable) -> None:
        run_id = workspace.add_run(workspace.add_dataset(table, "macro"), "acc")
        with workspace.connect(write=True) as connection:
            connection.execute("UPDATE runs SET state = 'finished'")
        (workspace.path / "runs" / run_id / "config.json").write_text("{")
        assert "damaged" in workspace.check_run(run_id)
        row = workspace.runs().iloc[0]
        assert row["state"] == "damaged"
        assert "damaged" in row["error"]

    def test_many_processes_open_a_new_workspace_at_once(self, tmp_path: Path) -> None:
        context = multiprocessing.get_context("spawn")
        processes = [context.Process(target=Workspace, args=(tmp_path / "new",)) for _ in range(6)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(60)
        assert [process.exitcode for process in processes] == [0] * 6
