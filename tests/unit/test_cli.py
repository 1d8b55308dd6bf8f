"""The command line as scripts see it: one JSON line on stdout, one sentence and status 2 for what the user can mend."""

import csv
import gzip
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

from autobuild_core import registry
from autobuild_core.api import Run
from autobuild_core.cli import READER_GONE, USER_ERROR, main
from autobuild_core.datasets import read_table
from autobuild_core.spaces import space_named
from autobuild_core.spaces._cells import REFERENCE
from autobuild_core.spaces._learned import CellLists
from autobuild_core.spaces._listed import reduced_spec
from autobuild_core.spaces._skeletons import SKELETONS
from autobuild_core.store.run_folder import RunFolder
from autobuild_core.store.tables import content_hash, save_table
from tests.app.workspaces import grid_file
from tests.architectures import stages
from tests.learning import cell_csv, cell_truth, macro_data, macro_json

MACRO = space_named("nas_bench_macro")
SCORE_HEADER = (
    "unit,positions,layers,hop,embedding_norm,score,score_low,score_high,effect,effect_low,effect_high,good,good_low,good_high,"
    "num_evaluated"
)


@pytest.fixture(autouse=True)
def _signals_as_they_were() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "macro.json"
    path.write_text(macro_json(macro_data(40)))
    return path


def rows_of(path: Path) -> list[dict[str, str]]:
    """The lines of a CSV."""
    return list(csv.DictReader(path.read_text().splitlines()))


def ask(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, Any, str]:
    """(exit status, what the one line on stdout says, stderr)."""
    try:
        status = main([str(a) for a in arguments])
    except SystemExit as stop:  # argparse
        status = int(stop.code or 0)
    out, errors = capsys.readouterr()
    said = out.splitlines(keepends=True)
    assert len(said) == (status == 0) and all(line.endswith("\n") for line in said)
    assert "Traceback" not in errors
    return status, json.loads(out) if said else None, errors


class TestInspect:
    def test_what_a_file_holds(self, capsys: pytest.CaptureFixture[str], data: Path) -> None:
        entries = json.loads(data.read_text()) | {"0120": {"mean_acc": 3}}
        data.with_suffix(".gz").write_bytes(gzip.compress(json.dumps(entries).encode()))
        status, said, _ = ask(capsys, "inspect", data.with_suffix(".gz"))
        assert (status, said["format"], said["space"]) == (0, "json_table", "nas_bench_macro")
        assert said["num_read"] == len(entries) == said["num_accepted"] + 1
        assert [r["row"] for r in said["rejected"]] == [len(entries) - 1] and said["rejected"][0]["reason"]
        networks = {MACRO.hash_networks(np.array([MACRO.parse(k)], np.int16))[0] for k in entries if len(k) == 8}
        assert said["num_duplicates"] == said["num_accepted"] - len(networks)
        assert said["metrics"] == ["mean_acc", "params"]
        assert said["num_nodes"] == {"min": 8, "median": 8, "max": 8}

    def test_of_two_columns_of_architectures_the_one_that_is_said_is_read(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        keys = [f"{i % 3}{i // 3 % 3}{i // 9 % 3}00000" for i in range(27)]
        rows = [f"{key},{key[:2]}111111,{60 + i}" for i, key in enumerate(keys)]
        path = tmp_path / "two.csv"
        path.write_text("\n".join(["current,best,acc", *rows]) + "\n")
        for said, role, other, num_distinct in ((None, "current", "best", 27), ("best", "best", "current", 9)):
            status, answer, _ = ask(capsys, "inspect", path, *(["--role", f"{said}=architecture"] if said else []))
            columns = {column["name"]: column for column in answer["columns"]}
            assert (status, answer["num_accepted"]) == (0, 27)
            assert columns[role]["role"] == "architecture" and columns[role]["num_values"] == num_distinct
            assert columns[other]["role"] == "ignored" and columns[other]["why"].endswith(f"beside {role}")
        assert ask(capsys, "inspect", path, "--role", "best=architecture", "--role", "current=architecture")[0] == 2


class TestTrain:
    def test_end_to_end(self, capsys: pytest.CaptureFixture[str], data: Path, tmp_path: Path) -> None:
        out = tmp_path / "run"
        few = ("--members", 2, "--steps", 3, "--threads", 1, "--seed", 5)
        called = ("--target-name", "mean error", "--target-unit", "points")
        status, said, _ = ask(capsys, "train", data, "--target", "100 - mean_acc", *called, "--minimize", "--out", out, *few)
        assert status == 0 and said["ensemble_size"] == 2 and len(said["hop_srcc"]) == 5
        assert {"srcc", "kendall", "mae", "seconds", "num_train"} <= set(said)
        config = RunFolder(out).config
        assert (config.target, config.minimize, config.seed, config.num_members) == ("100 - mean_acc", True, 5, 2)
        assert RunFolder(out).state["state"] == "finished"
        assert config.label.axis == "mean error (points)" and config.name == "macro.json: mean error"
        status, said, _ = ask(capsys, "report", out)
        assert ask(capsys, "report", out, "--out", tmp_path / "page.htm")[1]["bytes"] == said["bytes"]
        text = Path(said["path"]).read_text()
        assert "minimise mean error" in text and "<dt>Equation</dt><dd>100 - mean_acc</dd>" in text
        assert re.search(r"Best measured: row \d+, mean error [\d.]+ points", text) and "measured mean error (points)" in text
        assert ask(capsys, "verify", said["path"], data)[1]["agrees"]
        status, said, _ = ask(capsys, "build", out, "--num", 2, "--out", tmp_path / "b.jsonl")
        assert (status, said["num"]) == (0, 2)
        status, _, errors = ask(capsys, "train", data, "--target", "mean_acc", "--out", out)
        assert status == 2 and "exists already" in errors


class TestCells:
    """NAS-Bench-201 from its CSV to built cells: the graph is what is learned, as the target follows live paths."""

    def test_end_to_end(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        space, data, run = space_named("nas_bench_201"), tmp_path / "cells.csv", tmp_path / "run"
        data.write_text(cell_csv(80))
        said = ask(capsys, "inspect", data)[1]
        assert (said["format"], said["space"]) == ("csv_table", "nas_bench_201")
        assert (said["num_accepted"], said["num_duplicates"]) == (80, 0)
        assert said["metrics"] == ["acc", "flops"]
        few = ("--members", 4, "--steps", 120, "--threads", 1)
        assert ask(capsys, "train", data, "--target", "acc", "--out", run, *few)[1]["srcc"] > 0.7

        codes = space.sample(300, np.random.default_rng(1))
        (tmp_path / "rest.csv").write_text("arch,note\n" + "".join(f"{space.native(row)},x\n" for row in codes))
        assert ask(capsys, "predict", run, tmp_path / "rest.csv", "--out", tmp_path / "p.csv")[1]["num"] == 300
        predicted = [float(row["predicted"]) for row in rows_of(tmp_path / "p.csv")]
        assert spearmanr(predicted, cell_truth(codes)).statistic > 0.75

        assert ask(capsys, "score", run, "--max-length", 2, "--out", tmp_path / "m.csv")[1]["num"] == 6 * 5 + 4 * 25
        found = {(tuple(json.loads(r["positions"])), tuple(json.loads(r["layers"]))): r for r in rows_of(tmp_path / "m.csv")}
        pairs = {places for places, _ in found if len(places) == 2}
        assert pairs == {("0>1", "1>2"), ("0>1", "1>3"), ("0>2", "2>3"), ("1>2", "2>3")}
        assert {layers[0] for places, layers in found if places == ("0>3",)} == set(space.spec.tokens)
        better, worse = (float(found[("1>3",), (token,)]["score"]) for token in ("nor_conv_3x3", "none"))
        assert better > worse
        assert ask(capsys, "score", run, "--units", "--out", tmp_path / "u.csv")[1]["num"] == 5 + 25 + 125
        assert {r["unit"] for r in rows_of(tmp_path / "u.csv")} == {"node 1", "node 2", "node 3"}

        assert ask(capsys, "build", run, "--num", 5, "--out", tmp_path / "b.jsonl")[1]["num"] == 5
        built = [space.parse(json.loads(line)["arch"]) for line in (tmp_path / "b.jsonl").read_text().splitlines()]
        networks = space.hash_networks(np.array(built, np.int16))
        assert len(set(networks)) == 5 and not set(networks) & set(Run(run).table().networks)
        assert cell_truth(np.array(built)).mean() > np.quantile(cell_truth(codes), 0.9)


class TestPredict:
    def test_one_line_for_every_row_even_if_refused_or_a_twin(
        self, capsys: pytest.CaptureFixture[str], trained: Run, tmp_path: Path
    ) -> None:
        keys = ["00000000", "0120", "12021201", "12021210", "22222222"]  # one refused, two encodings of one network
        (tmp_path / "keys.json").write_text(json.dumps({key: {} for key in keys}))
        status, said, _ = ask(capsys, "predict", trained.folder.path, tmp_path / "keys.json", "--out", tmp_path / "p.csv")
        assert (status, said["num"], said["num_refused"]) == (0, 5, 1)
        rows = list(csv.DictReader((tmp_path / "p.csv").read_text().splitlines()))
        assert list(rows[0]) == ["row", "predicted", "low", "high"] and [r["row"] for r in rows] == list("01234")
        assert rows[1] == {"row": "1", "predicted": "", "low": "", "high": ""}
        assert rows[2]["predicted"] == rows[3]["predicted"]
        assert float(rows[4]["predicted"]) > float(rows[2]["predicted"]) > float(rows[0]["predicted"])  # as planted
        codes = np.array([MACRO.parse(keys[4])], np.int16)
        assert float(rows[4]["low"]) == pytest.approx(trained.predictor.predict(codes)["low"][0], rel=1e-6)

    def test_only_refused_rows(self, capsys: pytest.CaptureFixture[str], trained: Run, tmp_path: Path) -> None:
        (tmp_path / "keys.json").write_text(json.dumps({"01200000": {}, "33333333": {}, "3": {}}))
        out = tmp_path / "p.csv"
        status, said, _ = ask(capsys, "predict", trained.folder.path, tmp_path / "keys.json", "--out", out)
        assert (status, said["num"], said["num_refused"]) == (0, 3, 2)
        assert out.read_text().splitlines()[2:] == ["1,,,", "2,,,"]


class TestScore:
    def test_single_layers(self, capsys: pytest.CaptureFixture[str], trained: Run, tmp_path: Path) -> None:
        status, said, _ = ask(capsys, "score", trained.folder.path, "--out", tmp_path / "s.csv")
        assert (status, said["num"]) == (0, 24)
        text = (tmp_path / "s.csv").read_text()
        assert text.splitlines()[0] == SCORE_HEADER
        rows = list(csv.DictReader(text.splitlines()))
        saved = trained.modules().set_index(["positions", "layers"])
        for row in rows:
            assert float(row["score"]) == pytest.approx(saved.loc[(row["positions"], row["layers"]), "score"], rel=1e-5)
            assert row["unit"] == "" and row["hop"] == "0"
        assert [float(r["score"]) for r in rows] == sorted((float(r["score"]) for r in rows), reverse=True)

    @pytest.mark.parametrize("scorer", ["ridge", "forest", "mean", "norms"])
    def test_by_another_scorer(self, capsys: pytest.CaptureFixture[str], trained: Run, tmp_path: Path, scorer: str) -> None:
        out = tmp_path / "scores.csv"
        status, said, _ = ask(capsys, "score", trained.folder.path, "--units", "--scorer", scorer, "--out", out)
        assert (status, said["num"]) == (0, 63)
        lines = list(csv.DictReader(out.read_text().splitlines()))
        assert ",".join(lines[0]) == SCORE_HEADER
        assert all(80 < float(line["score"]) < 100 for line in lines)
        assert all((line["good"] == "") == (scorer == "norms") for line in lines)  # empty where it cannot tell

    def test_a_scorer_that_does_not_apply(self, capsys: pytest.CaptureFixture[str], trained: Run, tmp_path: Path) -> None:
        status, _, errors = ask(capsys, "score", trained.folder.path, "--scorer", "cost", "--out", tmp_path / "scores.csv")
        assert status == 2 and "no metric that looks like a cost" in errors

    def test_longer_and_units(self, capsys: pytest.CaptureFixture[str], trained: Run, tmp_path: Path) -> None:
        path = trained.folder.path
        assert ask(capsys, "score", path, "--out", tmp_path / "s.csv", "--max-length", 2)[1]["num"] == 24 + 63
        assert ask(capsys, "score", path, "--out", tmp_path / "u.csv", "--units")[1]["num"] == 63
        rows = list(csv.DictReader((tmp_path / "u.csv").read_text().splitlines()))
        assert {r["unit"] for r in rows} == {"L1-2", "L3-5", "L6-8"}
        assert all(len(json.loads(r["positions"])) == len(json.loads(r["layers"])) for r in rows)


class TestSuggest:
    def test_a_batch_that_was_never_evaluated(self, capsys: pytest.CaptureFixture[str], trained: Run, tmp_path: Path) -> None:
        out = tmp_path / "next.jsonl"
        status, said, _ = ask(capsys, "suggest", trained.folder.path, "--num", 7, "--out", out)
        assert (status, said["num"]) == (0, 7) and 0 < said["information"] <= 1
        lines = [json.loads(line) for line in out.read_text().splitlines()]
        assert [list(line) for line in lines] == [["arch", "information", "predicted", "low", "high", "modules"]] * 7
        codes = np.array([MACRO.parse(line["arch"]) for line in lines], np.int16)
        networks = MACRO.hash_networks(codes)
        assert len(set(networks.tolist())) == 7 and not np.isin(networks, trained.table().networks).any()

    def test_none_is_refused(self, capsys: pytest.CaptureFixture[str], trained: Run, tmp_path: Path) -> None:
        status, _, errors = ask(capsys, "suggest", trained.folder.path, "--num", 0, "--out", tmp_path / "next.jsonl")
        assert status == 2 and "num: got 0, expected at least 1." in errors


class TestBuild:
    def test_distinct_new_networks_best_first(self, capsys: pytest.CaptureFixture[str], trained: Run, tmp_path: Path) -> None:
        status, said, _ = ask(capsys, "build", trained.folder.path, "--num", 6, "--out", tmp_path / "b.jsonl")
        lines = [json.loads(line) for line in (tmp_path / "b.jsonl").read_text().splitlines()]
        assert (status, said["num"], len(lines)) == (0, 6, 6)
        assert all({"arch", "predicted", "low", "high", "modules"} <= set(line) for line in lines)
        assert [x["predicted"] for x in lines] == sorted((x["predicted"] for x in lines), reverse=True)
        networks = MACRO.hash_networks(np.array([MACRO.parse(x["arch"]) for x in lines], np.int16))
        assert len(set(networks.tolist())) == 6 and not np.isin(networks, trained.table().networks).any()


class TestWholeSpaceEvaluated:
    """Said in a sentence with status 2, never {"num": 0} alone."""

    def test_build_and_suggest_say_so(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        run, out = tmp_path / "run", tmp_path / "out.jsonl"
        few = ("--members", 2, "--steps", 20, "--threads", 1)
        assert ask(capsys, "train", grid_file(tmp_path / "grid.csv"), "--target", "acc", "--out", run, *few)[0] == 0
        sentence = "All 27 networks of this space were evaluated already"
        for command in (("build",), ("build", "--top-k", 2), ("suggest",)):
            status, _, errors = ask(capsys, command[0], run, *command[1:], "--out", out)
            last = errors.strip().splitlines()[-1]
            assert status == 2 and last.startswith(f"{command[0]}: {sentence}")
            assert ("--allow-evaluated" in last) == (command[0] == "build")
            assert not out.exists()
        status, said, _ = ask(capsys, "build", run, "--num", 5, "--allow-evaluated", "--out", out)
        assert (status, said["num"]) == (0, 5)

    def test_modules_kept_of_which_all_is_evaluated_are_named(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path, trained: Run
    ) -> None:
        best = trained.build(num=1, top_k=1, allow_evaluated=True)["arch"].iloc[0]
        run = tmp_path / "run"
        shutil.copytree(trained.folder.path, run)
        table = trained.table()
        codes = np.concatenate([table.codes[1:], np.array([MACRO.parse(best)], np.int16)])
        save_table(replace(table, codes=codes, networks=MACRO.hash_networks(codes)), run)
        status, _, errors = ask(capsys, "build", run, "--top-k", 1, "--out", tmp_path / "out.jsonl")
        assert status == 2 and "among the 1 best modules of each unit: keep more of them" in errors


class TestRefused:
    """Status 2, one sentence, no traceback, nothing on stdout."""

    @pytest.mark.parametrize(
        "arguments",
        [
            "train DATA --target acc --out NEW",
            "train DATA --target mean_acc+ --out NEW",
            "train DATA --target params --out NEW",
            "train DATA --target mean_acc --out RUN",
            "train DATA --target mean_acc --out NEW --space ofa_mbv3",
            "train DATA --target mean_acc --out NEW --format nonsense",
            "train MISSING --target mean_acc --out NEW",
            "train FOLDER --target mean_acc --out NEW",
            "train GARBAGE --target mean_acc --out NEW",
            "train FEW --target mean_acc --out NEW",
            "inspect GARBAGE",
            "inspect MISSING",
            "predict FOLDER DATA --out OUT",
            "predict DATA DATA --out OUT",
            "predict RUN GARBAGE --out OUT",
            "predict RUN TABLE --out OUT",
            "predict RUN DATA --out NOWHERE/p.csv",
            "score FOLDER --out OUT",
            "score RUN --out OUT --max-length 0",
            "score RUN --out OUT --max-length 9",
            "score RUN --out OUT --max-length two",
            "report RUN --out OUT",
            "report RUN --out OUT.txt",
            "verify DATA DATA",
            "build RUN --num 0 --out OUT",
            "build RUN --num 3 --lens loudness --out OUT",
            "nonsense",
            "train DATA --out NEW",
            "train DATA --target mean_acc --out DATA",
            "train DATA --target mean_acc --out NEW --members 1 --steps 2 --threads 1",
            "train DATA --target mean_acc --out NEW --members 0 --steps 2 --threads 1",
            "train DATA --target mean_acc --out NEW --members 2 --steps 0 --threads 1",
            "train DATA --target mean_acc --out NEW --members 2 --steps 2 --threads 0",
            "train DATA --target mean_acc --out NEW --members 2 --steps 2 --threads 1 --seed -1",
        ],
    )
    def test_with_one_sentence(
        self, capsys: pytest.CaptureFixture[str], trained: Run, data: Path, tmp_path: Path, arguments: str
    ) -> None:
        (tmp_path / "folder").mkdir()
        (tmp_path / "garbage").write_bytes(bytes(range(256)) * 20)
        (tmp_path / "few.json").write_text(json.dumps(dict(list(json.loads(data.read_text()).items())[:4])))
        (tmp_path / "table.csv").write_text("kernel,acc\n3,0.5\n5,0.7\n")
        places = {"DATA": data, "RUN": trained.folder.path, "NEW": tmp_path / "new", "OUT": tmp_path / "out"}
        places |= {"MISSING": tmp_path / "missing.json", "FOLDER": tmp_path / "folder", "GARBAGE": tmp_path / "garbage"}
        places |= {"FEW": tmp_path / "few.json", "TABLE": tmp_path / "table.csv"}
        words = [
            str(places.get(w, w)).replace("NOWHERE", str(tmp_path / "nowhere")).replace("OUT.txt", str(tmp_path / "out.txt"))
            for w in arguments.split()
        ]
        status, _, errors = ask(capsys, *words)
        assert status == 2
        last = errors.strip().splitlines()[-1]
        assert last.startswith(words[0]) or "error: " in last  # argparse names the program
        assert not (tmp_path / "out").exists() and not list(tmp_path.glob("*.txt"))

    def test_a_refused_target_leaves_the_place_free(self, capsys: pytest.CaptureFixture[str], data: Path, tmp_path: Path) -> None:
        few = ("--out", tmp_path / "run", "--members", 2, "--steps", 1, "--threads", 1)
        assert ask(capsys, "train", data, "--target", "mean_ac", *few)[0] == 2
        assert ask(capsys, "train", data, "--target", "mean_acc", *few)[0] == 0


def without_reader(closed: str, *arguments: object) -> tuple[int, str]:
    """(exit status, what the other stream says) of a command one of whose streams is a pipe that nobody reads any more."""
    reader, writer = os.pipe()
    os.close(reader)
    other = "stderr" if closed == "stdout" else "stdout"
    command = [sys.executable, "-m", "autobuild_core", *map(str, arguments)]
    try:
        done = subprocess.run(command, **{closed: writer, other: subprocess.PIPE}, text=True, timeout=200)
    finally:
        os.close(writer)
    return done.returncode, getattr(done, other)


def test_it_ends_quietly_when_nobody_reads_on(data: Path) -> None:
    assert without_reader("stdout", "inspect", data) == (READER_GONE, "")
    assert without_reader("stdout", "--help")[1] == ""
    assert without_reader("stderr", "inspect", data.parent / "none") == (READER_GONE, "")
    assert without_reader("stdout", "inspect", data.parent / "none")[0] == USER_ERROR  # nothing was to be read


def test_interrupted_with_what_was_finished_kept(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    arguments = ["train", str(data), "--target", "mean_acc", "--out", str(out), "--members", "2", "--steps", "1000000"]
    command = [sys.executable, "-m", "autobuild_core", *arguments, "--threads", "1"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 120
        while not (out / "progress.jsonl").exists() and child.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
        child.send_signal(signal.SIGINT)
        said, errors = child.communicate(timeout=60)
    finally:
        if child.poll() is None:
            child.kill()
            child.communicate()
    assert (child.returncode, said) == (130, "")
    assert "Traceback" not in errors and "what was finished is kept" in errors
    folder = RunFolder(out)
    assert folder.state["state"] == "cancelled" and len(folder.progress()) >= 1 and len(folder.table()) > 0


def test_append_writes_the_next_version_that_train_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, more, out = tmp_path / "first.csv", tmp_path / "more.csv", tmp_path / "second"
    rows = [(16 << i % 4, "ab"[i // 4 % 2], 60 + i % 7 + i / 50) for i in range(40)]
    data.write_text("width,kind,acc\n" + "".join(f"{w},{k},{acc}\n" for w, k, acc in rows))
    more.write_text(f"width,kind,acc\n{rows[0][0]},{rows[0][1]},{rows[0][2]}\n16,a,77.5\n16,c,77.5\n")
    assert main(["append", str(data), str(more), "--out", str(out), "--run", "r" * 32]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [said[name] for name in ("version", "num_added", "num_completed", "num_accepted")] == [2, 1, 0, 41]
    assert [line["row"] for line in said["rejected"]] == [0, 2]
    assert said["parent"] == content_hash(read_table(data))
    assert main(["inspect", str(out)]) == 0
    assert json.loads(capsys.readouterr().out)["num_accepted"] == 41
    history = [(batch.origin, batch.run) for batch in read_table(out).batches]
    assert history == [("first.csv", ""), ("more.csv", "r" * 32)]
    assert main(["append", str(data), str(more), "--out", str(out)]) == 2
    assert "got something that exists already, expected a new folder" in capsys.readouterr().err
    assert main(["inspect", str(out), "--role", "kind=context"]) == 2
    assert "they are fixed with a data set" in capsys.readouterr().err


class TestEvaluate:
    """`evaluate`: architectures are measured for real, and what is written reads as measurements."""

    @pytest.fixture
    def built(self, tmp_path: Path) -> Path:
        path = tmp_path / "built.jsonl"
        path.write_text("".join(json.dumps({"arch": arch, "predicted": 1.0}) + "\n" for arch in (stages(), stages(5, 3, 2))))
        return path

    def test_it_measures_and_inspect_reads_it(self, built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        out = tmp_path / "measured.jsonl"
        command = ("evaluate", built, "--evaluator", "classification", "--seeds", 2, "--budget-steps", 2, "--out", out)
        status, answer, _ = ask(capsys, *command)
        assert status == 0 and (answer["num"], answer["failed"], answer["rejected"]) == (4, 0, [])
        assert answer["best"]["arch"] in (stages(), stages(5, 3, 2)) and answer["best"]["seeds"] == 2
        status, read, _ = ask(capsys, "inspect", out)
        assert status == 0 and (read["num_accepted"], read["num_duplicates"]) == (4, 2)
        assert read["metrics"] == ["test_loss", "map_pct", "recall_at_2_pct"] and read["contexts"]["budget"] == "fidelity"
        lines = [json.loads(line) for line in out.read_text().splitlines()]
        assert [line["seed"] for line in lines] == [0, 0, 1, 1] and all(line["curve"][-1]["step"] == 2 for line in lines)

    def test_a_file_of_a_users_own_and_what_is_there_already(
        self, built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "mine.py").write_text("def evaluate(arch, budget, seed):\n    return {'acc': arch['stage1_k'] / 10}\n")
        command = ("evaluate", built, "--evaluator", tmp_path / "mine.py", "--out", tmp_path / "measured.jsonl")
        status, answer, _ = ask(capsys, *command)
        assert status == 0 and answer["best"] == {"arch": stages(5, 3, 2), "acc": 0.5, "seeds": 1}
        before = (tmp_path / "measured.jsonl").read_bytes()
        assert ask(capsys, *command)[:2] == (0, answer) and (tmp_path / "measured.jsonl").read_bytes() == before

    def test_one_seed_is_enough_where_it_changes_nothing(
        self, built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        status, answer, _ = ask(capsys, "evaluate", built, "--evaluator", "cost", "--seeds", 3, "--out", tmp_path / "cost.jsonl")
        assert status == 0 and answer["num"] == 2 and answer["best"]["madds_m"] < 0.1

    @pytest.mark.parametrize(
        ("asked", "said"),
        [
            (("--evaluator", "abacus"), "evaluator: got 'abacus', expected one of classification"),
            (("--evaluator", "cost", "--budget-steps", 3), "budget: got 3, but this evaluator (Cost) has nothing to spend it on"),
            (("--evaluator", "classification", "--seeds", 0), "seeds: got 0 from 0, expected at least 1"),
            (("--evaluator", "classification", "--device", "abacus"), "device: got 'abacus', expected cpu or cuda"),
        ],
    )
    def test_what_does_not_do_is_said(
        self, asked: tuple[object, ...], said: str, built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        status, answer, err = ask(capsys, "evaluate", built, *asked, "--out", tmp_path / "measured.jsonl")
        assert status == USER_ERROR and answer is None and said in err

    def test_interrupted_it_keeps_what_is_finished_and_goes_on_later(self, built: Path, tmp_path: Path) -> None:
        out, slow = tmp_path / "measured.jsonl", tmp_path / "slow.py"
        waits = "import os, time\ndef evaluate(arch, budget, seed):\n    while arch['stage1_k'] > 3 and not os.path.exists(GO):\n"
        slow.write_text(f"GO = {str(tmp_path / 'go')!r}\n" + waits + "        time.sleep(0.05)\n    return {'acc': 1.0}\n")
        command = [sys.executable, "-m", "autobuild_core", "evaluate", built, "--evaluator", slow, "--out", out]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            while not (out.exists() and out.read_text()):
                assert process.poll() is None
                time.sleep(0.05)
            process.send_signal(signal.SIGINT)
            stdout, stderr = process.communicate()
        assert process.returncode == 130 and stdout == "" and "what was finished is kept" in stderr
        assert [json.loads(line)["arch"] for line in out.read_text().splitlines()] == [stages()]
        (tmp_path / "go").touch()
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert json.loads(done.stdout)["num"] == 2 and len(out.read_text().splitlines()) == 2


class TestReduce:
    """`reduce`: the best modules of each unit as a space that `search` takes, of several runs their union."""

    def test_end_to_end(self, trained: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        run, out, lists = trained.folder.path, tmp_path / "space.json", tmp_path / "lists.json"
        status, said, _ = ask(capsys, "reduce", run, "--top-k", 2, "--out", out, "--lists", lists)
        assert (status, said["path"], said["lists"]) == (0, str(out), str(lists))
        assert (said["size"], said["full_size"]) == (8, 6561)
        units = [("L1-2", 9), ("L3-5", 27), ("L6-8", 27)]
        assert said["units"] == [{"unit": u, "num_kept": 2, "num_modules": n, "num_unscored": 0} for u, n in units]
        record = json.loads(out.read_text())
        assert record["quality"] == said["quality"] and len(said["quality"]) == 1
        assert json.loads(lists.read_text()) == [unit["modules"] for unit in record["units"]]
        asked = ("--space", out, "--evaluator", f"predictor:{run}", "--num", 40, "--out", tmp_path / "o.jsonl")
        status, found, _ = ask(capsys, "search", *asked)
        assert status == 0 and found["ended"].startswith("All ")
        predicted = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
        assert {line["arch"][:2] for line in predicted} == {self.digits(module) for module in json.loads(lists.read_text())[0]}
        assert max(line["predicted"] for line in predicted) > said["quality"][0]["full"]["best_tenth"]

    @staticmethod
    def digits(module: list[str]) -> str:
        return "".join(str(MACRO.spec.tokens.index(token)) for token in module)

    def test_the_union_of_a_target_and_its_opposite(
        self, data: Path, trained: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        few = ("--members", 2, "--steps", 30, "--threads", 1)
        assert ask(capsys, "train", data, "--target", "mean_acc", "--minimize", "--out", tmp_path / "worst", *few)[0] == 0
        runs = trained.folder.path, tmp_path / "worst"
        status, said, _ = ask(capsys, "reduce", *runs, "--share", 0.05, "--out", tmp_path / "both.json")
        best, worst = said["quality"]
        assert status == 0 and (best["minimize"], worst["minimize"]) == (False, True)
        record = json.loads((tmp_path / "both.json").read_text())
        assert record["units"][0]["kept_by"] == [[0], [1]] and said["units"][0]["num_kept"] == 2
        assert self.digits(record["units"][0]["modules"][0]) == "22"  # as planted
        assert worst["full"]["best_tenth"] < worst["full"]["median"] < best["full"]["best_tenth"]
        alone = ask(capsys, "reduce", runs[1], "--share", 0.05, "--out", tmp_path / "worst.json")[1]["quality"][0]
        assert alone["difference"] < 0 and alone["reduced"]["mean"] < alone["full"]["mean"]
        assert alone["reduced"]["in_best_tenth"] > 0.5 > alone["full"]["in_best_tenth"]

    @pytest.mark.parametrize(
        ("asked", "said"),
        [
            ((), "got neither of top k and share, expected one of them"),
            (("--top-k", 2, "--share", 0.5), "got both of top k and share, expected one of them"),
            (("--top-k", 0), "top k: got 0, expected at least 1"),
            (("--share", 1.5), "share: got 1.5, expected above 0 and at most 1"),
            (("--top-k", 2, "--lens", "good", "--lens", "score"), "lens: got 2 for 1 run, expected one, or one a run"),
            (("--top-k", 2, "--context", "seed=1"), "context: got 'seed', and no context varies"),
            (("--top-k", 2, "--lens", "luck"), "invalid choice: 'luck'"),
        ],
    )
    def test_what_does_not_do_is_said(
        self, asked: tuple[object, ...], said: str, trained: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        status, _, errors = ask(capsys, "reduce", trained.folder.path, *asked, "--out", tmp_path / "space.json")
        assert status == USER_ERROR and said in errors and not (tmp_path / "space.json").exists()


class TestSearch:
    """`search`: a space is searched, what is there is gone on from, and what is written reads as measurements."""

    def test_a_look_up_of_a_space_by_name(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        data, out = tmp_path / "known.json", tmp_path / "found.jsonl"
        data.write_text(macro_json(macro_data(1500)))
        command = ("search", "--data", data, "--evaluator", f"table:{data}", "--target", "mean_acc", "--out", out)
        status, answer, _ = ask(capsys, *command, "--searcher", "random", "--num", 30, "--seed", 2)
        assert status == 0 and (answer["num"], answer["num_evaluated"], answer["searcher"]) == (30, 30, "random")
        lines = [json.loads(line) for line in out.read_text().splitlines()]
        assert answer["failed"] == sum(line["state"] == "failed" for line in lines) > 0
        assert answer["anytime"][-1] == [30, answer["best"]["value"]]
        before = out.read_bytes()
        again = ("--space", "nas_bench_macro", *command[3:], "--searcher", "random", "--num", 30, "--seed", 2)
        assert ask(capsys, "search", *again)[:2] == (0, answer) and out.read_bytes() == before
        status, _, err = ask(capsys, *command, "--num", 30)
        assert status == USER_ERROR and "found.jsonl: got results of random, seed 2, expected regularised_evolution" in err

    def test_inspect_reads_it(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        out = tmp_path / "cost.jsonl"
        command = ("search", "--space", "nas_bench_201", "--evaluator", "cost", "--target", "params_m / madds_m", "--minimize")
        status, answer, _ = ask(capsys, *command, "--num", 12, "--set", "population=4", "--set", "sample=2", "--out", out)
        assert status == 0 and answer["minimize"] and set(answer["best"]["metrics"]) == {"madds_m", "params_m"}
        status, read, _ = ask(capsys, "inspect", out)
        assert status == 0 and (read["num_accepted"], read["metrics"]) == (12, ["madds_m", "params_m"])

    @pytest.mark.parametrize("by", [(), ("--run",)])
    def test_a_run_by_its_predictions(
        self, by: tuple[str, ...], trained: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        asked = (*by, trained.folder.path, "--num", 40, "--out", tmp_path / "o.jsonl")
        status, answer, _ = ask(capsys, "search", *asked)
        assert status == 0 and (answer["num"], answer["target"], answer["failed"]) == (40, "predicted", 0)

    def test_a_reduced_space(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "mine.py").write_text("def evaluate(arch, budget, seed):\n    return {'acc': arch.count('2')}\n")
        spec = reduced_spec(MACRO.spec, [[(0, 1)], [(1, 1, 1), (2, 1, 2)], [(0, 0, 1)]])
        (tmp_path / "reduced.json").write_text(json.dumps({"spec": json.loads(spec.to_json())}))
        asked = ("--space", tmp_path / "reduced.json", "--evaluator", tmp_path / "mine.py", "--target", "acc")
        status, answer, _ = ask(capsys, "search", *asked, "--out", tmp_path / "o.jsonl")
        assert status == 0 and (answer["num"], answer["best"]["arch"]) == (2, "01212001")
        assert answer["ended"] == "All 2 networks of this space were evaluated already."

    @pytest.mark.parametrize(
        ("asked", "said"),
        [
            ((), "search: got 0 of RUN, --space and --data, expected one"),
            (("--space", "nas_bench_201", "--data", "x.csv"), "got 2 of RUN, --space and --data"),
            (("--space", "nas_bench_201"), "got neither --evaluator nor a run"),
            (("--space", "abacus", "--evaluator", "cost"), "got 'abacus', expected one of"),
            (("--space", "nas_bench_201", "--evaluator", "cost", "--set", "sample"), "--set: got 'sample', expected NAME=NUMBER"),
            (("--space", "nas_bench_201", "--evaluator", "cost", "--num", 0), "num: got 0, expected at least 1"),
            (
                ("--space", "nas_bench_201", "--evaluator", "cost", "--searcher", "x"),
                "got 'x', expected one of bayesian_optimisation",
            ),
            (("--space", "nas_bench_201", "--evaluator", "cost", "--target", "acc"), "got 'acc', expected one of the metrics"),
            (("/nowhere",), "/nowhere"),
        ],
    )
    def test_what_does_not_do_is_said(
        self, asked: tuple[object, ...], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        status, answer, err = ask(capsys, "search", *asked, "--out", tmp_path / "o.jsonl")
        assert status == USER_ERROR and answer is None and said in err

    def test_killed_it_goes_on_to_the_same_result(self, tmp_path: Path) -> None:
        slow = tmp_path / "slow.py"
        waits = "import os, time\ndef evaluate(arch, budget, seed):\n    while os.path.exists(WAIT) and arch.count('2') > 3:\n"
        slow.write_text(f"WAIT = {str(tmp_path / 'wait')!r}\n" + waits + "        time.sleep(0.05)\n    return {'acc': 1.0}\n")
        (tmp_path / "wait").touch()
        command = [sys.executable, "-m", "autobuild_core", "search", "--space", "nas_bench_macro", "--evaluator", slow]
        command += ["--target", "acc", "--num", "30", "--out"]
        out = tmp_path / "killed.jsonl"
        with subprocess.Popen([*command, out], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            while not (out.exists() and out.read_text()):
                assert process.poll() is None
                time.sleep(0.05)
            process.kill()
            process.communicate()
        kept = out.read_text()
        assert 0 < kept.count("\n") < 30
        (tmp_path / "wait").unlink()
        results = []
        for path in (out, tmp_path / "whole.jsonl"):
            done = subprocess.run([*command, path], capture_output=True, text=True, check=True)
            results.append(json.loads(done.stdout) | {"path": ""})
        assert results[0] == results[1] and out.read_text().startswith(kept)


class TestEvolve:
    """`evolve`: generations in a folder, gone on from; the learned space is a space for the other commands."""

    def test_an_evolution_and_what_is_done_with_its_space(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        out = tmp_path / "evolution"
        command = ("evolve", "--out", out, "--generations", 2, "--steps", 1, "--batch", 4, "--madds-m", 0.2, "--no-references")
        status, answer, progress = ask(capsys, *command)
        assert status == 0 and answer["generations"] == 2 and answer["loss"] > 0 and answer["madds_m"] > 0
        assert "evolving" in progress and Path(answer["learned"]) == out / "learned.json"
        assert ask(capsys, *command)[:2] == (0, answer), "it has ended, and is left as it is"
        found = tmp_path / "found.jsonl"
        search = ("search", "--space", out / "learned.json", "--evaluator", "cost", "--searcher", "random", "--num", 12)
        assert ask(capsys, *search, "--out", found)[1]["num"] == 12
        lines = [json.loads(line) for line in found.read_text().splitlines()]
        assert all(line["madds_m"] == pytest.approx(0.2, rel=0.02) for line in lines)
        front = ("--second", "params_m", "--searcher", "pareto_evolution", "--set", "initial=8", "--set", "generation=4")
        answer = ask(capsys, *search[:5], *front, "--num", 16, "--out", tmp_path / "front.jsonl")[1]
        assert (answer["num"], answer["target"], answer["second"]) == (16, "madds_m", "params_m")
        pairs = [(one["value"], one["second"]) for one in answer["front"]]
        assert sorted(pairs) == pairs and [two for _, two in pairs] == sorted({two for _, two in pairs}, reverse=True)
        assert ask(capsys, "inspect", tmp_path / "front.jsonl", "--space", out / "learned.json")[1]["num_accepted"] == 16
        for space in (("--space", out / "learned.json"), ()):
            about = ask(capsys, "inspect", found, *space)[1]
            assert (about["space"], about["num_accepted"]) == ("autospace", 12) and len(about["units"]) == 5
        further = ("evolve", "--out", tmp_path / "further", "--start", out / "learned.json", "--fitness", "random")
        assert ask(capsys, *further, "--generations", 3, "--children", 0)[1]["num_cells"] <= 5 * 6

    def test_every_setting_is_explained(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit):
            main(["evolve", "--help"])
        read = " ".join(capsys.readouterr().out.split())
        assert "budget of a network in millions of multiply-adds; 0.6 unless given" in read
        assert "first ones, in which no cell is mutated" in read and "whether the reference cells follow them there" in read

    def test_another_space_than_that_of_the_data_is_said_with_the_rows_it_cannot_read(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        space = CellLists(((REFERENCE[0],),) * 5, SKELETONS["pairs"], 0.6)
        (tmp_path / "space.json").write_text(json.dumps(space.written))
        data = registry.APP / "sample_data" / "loop" / "learned" / "sampled.jsonl"
        given = ("--space", tmp_path / "space.json", "--target", "recall_at_2_pct", "--out", tmp_path / "run")
        status, _, errors = ask(capsys, "train", data, *given)
        assert status == 2 and "40 rows were not read, the first of them row 0: L1: got the cell" in errors

    def test_supports_and_skeletons_are_files_too(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        edges = {"0>1": [5], "0>2": [1, 5], "1>2": [2, 5], "0>3": [1], "1>3": [1, 2], "2>3": [2, 5]}
        (tmp_path / "support.json").write_text(json.dumps({"edges": edges, "expansions": [1, 2]}))
        command = ("evolve", "--generations", 2, "--fitness", "random", "--no-references")
        given = ("--support", tmp_path / "support.json", "--skeleton", "pairs", "--out", tmp_path / "out")
        assert ask(capsys, *command, *given)[0] == 0
        learned = json.loads((tmp_path / "out" / "learned.json").read_text())
        assert {cell[0][3] for layer in learned["blocks"] for cell in layer} == {1, 2}

    @pytest.mark.parametrize(
        ("asked", "said"),
        [
            (("--madds-m", "0.000001"), "evolve: madds_m: got 1e-06, which these cells cannot meet"),
            (("--generations", "0"), "evolve: generations: got 0, expected a whole number of at least 1"),
            (("--skeleton", "published", "--madds-m", "340"), "evolve: skeleton: got one for images of 3 x 224 x 224"),
            (("--support", "none.json"), "none.json: got a file that cannot be read"),
            (("--fitness", "luck"), "fitness: got 'luck', expected one of alpha, random"),
            (("--device", "abacus"), "device: got 'abacus', expected cpu or cuda"),
            (("--device", "cuda"), "device: got cuda, but torch sees no GPU here"),
        ],
    )
    def test_what_cannot_be_evolved(
        self, asked: tuple[str, ...], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        status, answer, errors = ask(capsys, "evolve", *asked, "--out", tmp_path / "out")
        assert status == 2 and answer is None and said in errors

    def test_another_evolution_in_the_folder(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        command = ("evolve", "--out", tmp_path, "--generations", 1, "--fitness", "random")
        assert ask(capsys, *command)[0] == 0
        status, _, errors = ask(capsys, *command, "--seed", 1)
        assert status == 2 and "got an evolution with seed 0, expected 1; name another folder" in errors


SMALL = ("--members", 2, "--steps", 20)


class TestLoop:
    """`loop`: a batch is asked for, measured anywhere, told; the next one learns from it."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        return tmp_path / "loop"

    def begun(self, folder: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
        status, answer, _ = ask(capsys, "loop", folder, "--data", data, "--target", "mean_acc", "--ask", 5, *SMALL)
        assert status == 0 and (answer["num"], answer["num_controls"], answer["round"]) == (5, 1, 1)
        return [json.loads(line) for line in Path(answer["batch"]).read_text().splitlines()]

    def test_asked_told_shuffled_partial_failed_and_asked_again(
        self, folder: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        batch = self.begun(folder, data, capsys)
        assert [set(line) for line in batch] == [{"id", "arch", "origin"}] * 5
        results = [
            {"id": batch[3]["id"], "mean_acc": 99.5},
            {"id": batch[0]["id"], "state": "failed", "error": "out of memory"},
            {"arch": batch[1]["arch"], "mean_acc": 90.0},
            {"id": batch[2]["id"], "state": "running"},
        ]
        (tmp_path / "night.jsonl").write_text("".join(json.dumps(line) + "\n" for line in results))
        status, told, _ = ask(capsys, "loop", folder, "--tell", tmp_path / "night.jsonl")
        assert status == 0 and (told["num_told"], told["num_added"], told["version"]) == (3, 3, 2)
        assert told["candidates"] == {"measured": 2, "failed": 1, "asked": 2} and [r["row"] for r in told["rejected"]] == [3]
        assert told["best"] == {"arch": batch[3]["arch"], "value": 99.5} and told["num_evaluated"] == 42
        status, again, _ = ask(capsys, "loop", folder, "--ask", 4, "--out", tmp_path / "second.jsonl", *SMALL)
        assert status == 0 and (again["round"], again["batch"]) == (2, str(tmp_path / "second.jsonl"))
        second = [json.loads(line)["arch"] for line in (tmp_path / "second.jsonl").read_text().splitlines()]
        assert not set(second) & {line["arch"] for line in (batch[1], batch[2], batch[3], batch[4])}
        assert Run(folder / "runs" / "2").table().num_censored == 1

    def test_told_twice_it_says_so_and_changes_nothing(
        self, folder: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        batch = self.begun(folder, data, capsys)
        (tmp_path / "r.csv").write_text(f"id,mean_acc\n{batch[0]['id']},91.5\n")
        assert ask(capsys, "loop", folder, "--tell", tmp_path / "r.csv")[1]["num_told"] == 1
        log = (folder / "candidates.jsonl").read_bytes()
        status, answer, err = ask(capsys, "loop", folder, "--tell", tmp_path / "r.csv")
        assert status == USER_ERROR and answer is None and "is in the data set already" in err
        assert (folder / "candidates.jsonl").read_bytes() == log

    @pytest.mark.parametrize(
        ("asked", "said"),
        [
            (("--ask", 3), "got no loop, expected --data and --target to begin one"),
            (("--data", "DATA"), "got --data without --target"),
            (("--data", "DATA", "--target", "nothing"), "nothing"),
            (("--data", "DATA", "--target", "mean_acc", "--ask", 0), "ask: got 0, expected at least 1"),
        ],
    )
    def test_what_does_not_do_is_said(
        self, asked: tuple[object, ...], said: str, folder: Path, data: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        status, answer, err = ask(capsys, "loop", folder, *(data if part == "DATA" else part for part in asked))
        assert status == USER_ERROR and answer is None and said in err
