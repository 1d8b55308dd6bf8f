"""The benchmark: what it measures is true of data whose truth is known, what it writes can be read."""

import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from autobuild_core import benchmark
from autobuild_core.api import Run
from autobuild_core.architectures.modules import ModuleGroup
from autobuild_core.architectures.records import ArchTable
from autobuild_core.benchmark import measures, report
from autobuild_core.benchmark.truth import Truth
from autobuild_core.cli import main
from autobuild_core.datasets import read_table
from autobuild_core.search.swaps import find_swaps
from autobuild_core.spaces import load_space, space_named
from tests.learning import macro_data, macro_json, macro_truth

MACRO = space_named("nas_bench_macro")


@pytest.fixture(scope="module")
def whole() -> ArchTable:
    """NAS-Bench-Macro as if all of it had been evaluated, with a planted truth."""
    codes = MACRO.enumerate()
    assert codes is not None
    metrics = pd.DataFrame({"acc": macro_truth(codes)})
    return ArchTable(MACRO.spec, codes, MACRO.hash_networks(codes), metrics, np.arange(len(codes)), "", len(codes))


class TestTruth:
    def test_of_a_planted_sum(self, whole: ArchTable) -> None:
        truth = Truth.of(whole, whole.metrics["acc"].to_numpy(), MACRO)
        assert truth is not None
        group = ModuleGroup((0,), np.array([[0], [1], [2]], np.int16))  # the first layer is in no other encoding of its network
        means = truth.means(group, good=False)
        assert np.diff(means) == pytest.approx([0.2 * 0.6, 0.2 * 0.4])
        assert 0 <= truth.means(group, good=True)[0] < truth.means(group, good=True)[2] <= 1

        def perfect(groups: list[ModuleGroup]) -> list[np.ndarray]:
            return [truth.means(group, good=False) for group in groups]

        assert truth.fidelity(perfect) == pytest.approx([1, 1, 1, 1])
        assert truth.fidelity(lambda groups: [-values for values in perfect(groups)]) == pytest.approx([-1, -1, -1, -1])
        assert truth.in_unit(perfect) == pytest.approx(1) and truth.product_rank(perfect) == 1

    def test_ranks_and_regret(self, whole: ArchTable) -> None:
        values = whole.metrics["acc"].to_numpy()
        truth = Truth.of(whole, values, MACRO)
        assert truth is not None
        best, worst = whole.codes[[values.argmax()]], whole.codes[[values.argmin()]]
        assert (truth.rank(best), truth.regret(best)) == (1, 0)
        assert truth.rank(worst) == 3969 and truth.regret(worst) == pytest.approx(np.ptp(values))
        assert truth.rank(np.concatenate([worst, best])) == 1

    def test_a_part_of_a_space_has_none(self, whole: ArchTable) -> None:
        some = whole.take(whole.networks != whole.networks[0])
        assert Truth.of(some, some.metrics["acc"].to_numpy(), MACRO) is None
        ofa = macro_data(20)
        assert Truth.of(ofa, ofa.metrics["acc"].to_numpy(), space_named("ofa_mbv3")) is None


def test_draws_share_no_network(whole: ArchTable) -> None:
    learned, judged = measures.draw(whole, 300, 5)
    assert len(learned) == 300 and len(judged) == 3669
    networks = whole.networks[np.concatenate([learned, judged])]
    assert len(np.unique(networks)) == 3969
    assert np.array_equal(measures.draw(whole, 300, 5)[0], learned) and not np.array_equal(
        measures.draw(whole, 300, 6)[0], learned
    )


def test_synthetic_architectures_are_read_and_can_be_learned(tmp_path: Path) -> None:
    space = space_named("ofa_mbv3")
    measures.write_synthetic(tmp_path / "s", space, 400)
    table = read_table(tmp_path / "s")
    assert len(table) == 400 and table.spec.name == "ofa_mbv3" and not table.rejected
    assert table.metrics["acc"].std() > 10 * measures.NOISE
    again = measures.synthetic_truth(space.sample(400, np.random.default_rng(0)), 9, np.random.default_rng([0, 1]))
    assert table.metrics["acc"].to_numpy() == pytest.approx(again, abs=1e-4)


class TestReport:
    def test_means_over_seeds(self) -> None:
        rows = [{"n": 5, "a": 1.0, "l": [1.0, 3.0]}, {"n": 5, "a": 3.0, "l": [3.0, 5.0]}, {"n": 6, "a": 7.0}]
        assert report.averaged(rows, ["n"]) == [{"n": 5, "a": 2.0, "l": [2.0, 4.0]}, {"n": 6, "a": 7.0}]

    def test_tables(self) -> None:
        text = report.table("T", [{"n": 1234, "s": 0.12345}, {"n": 5, "other": [1.0, 0.5], "s": float("nan")}], "note")
        assert text.splitlines()[2:6] == ["| n | s | other |", "|---|---|---|", "| 1,234 | 0.123 |  |", "| 5 |  | 1 0.5 |"]

    def test_chart_is_an_image_of_all_points(self) -> None:
        lines = {"a & b": [(1e3, 1.0), (1e5, 40.0)], "c": [(1e3, 0.5)]}
        root = ElementTree.fromstring(report.chart([("One <", "x", "s", lines), ("Two", "x", "MiB", {"d": [(7, 300.0)]})]))
        assert sum(element.tag.endswith("circle") for element in root.iter()) == 4
        words = [element.text for element in root.iter() if element.tag.endswith("text")]
        assert "100,000" in words and "1,000,000" not in words  # no empty decade beside the last point
        width, height = float(root.get("width", 0)), float(root.get("height", 0))
        for circle in (element for element in root.iter() if element.tag.endswith("circle")):
            assert 0 < float(circle.get("cx", -1)) < width and 0 < float(circle.get("cy", -1)) < height

    def test_labels_of_lines_that_end_close_together_do_not_touch(self) -> None:
        lines = {"read": [(1e3, 0.1), (1e5, 4.1)], "score": [(1e3, 3.3), (1e5, 3.4)], "run": [(1e3, 25.0), (1e5, 99.0)]}
        root = ElementTree.fromstring(report.chart([("One", "x", "s", lines)]))
        bases = sorted(float(one.get("y", 0)) for one in root.iter() if one.text in lines)
        assert len(bases) == 3 and min(low - high for high, low in pairwise(bases)) > 11


def test_scale_in_tables_chart_and_csv(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def measure(name: str, threads: int, **options: object) -> dict[str, object]:
        asked.append((name, options.get("units")))
        if name == "train":
            num = len(Path(str(options["data"])).read_text().splitlines())
            curve = [{"num_networks": 10, "srcc": 0.9, "seconds": 1.0}]
            seconds = {"read_s": 0.1, "train_s": 0.2, "run_s": 0.3}
            Path(str(options["run"])).mkdir()
            return {**seconds, "num_networks": num, "learning_curve": curve, "held_srcc": 0.9, "peak_mib": 100.0}
        return {"score_s": 0.5, "modules": 7371 * int(str(options.get("units") or 5)), "peak_mib": 90.0, "warm begins_s": 0.02}

    monkeypatch.setattr(benchmark, "measure", measure)
    found = benchmark.run(None, "", scale=[30, 60])
    assert [row["architectures"] for row in found["scale"]] == [30, 60]
    assert [row["learned_from"] for row in found["scale"]] == [30, 60]
    assert [units for name, units in asked if name == "score"] == [None, None, 1, 2, None, None]
    text = benchmark.markdown(found, 2)
    assert "10: 0.9000" in text and "| 36,855 | ofa_mbv3 |" in text and "| 36,855 | ofa_proxyless |" in text
    ElementTree.fromstring(benchmark.chart(found))
    frame = benchmark.records(found)
    assert frame[(frame["table"] == "scale") & (frame["measure"] == "run_s")]["value"].tolist() == [0.3, 0.3]


def test_columns_in_tables_and_csv(monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(name: str, threads: int, **options: object) -> dict[str, object]:
        if name == "start":
            return {"warm begins_s": 0.02, "peak_mib": 1.0}
        assert options["rows"] == 200
        Path(str(options["run"])).mkdir()
        return {"train_s": 0.2, "run_s": float(str(options["columns"])), "run_cpu_s": 1.0, "peak_mib": 100.0, "held_srcc": 0.9}

    monkeypatch.setattr(benchmark, "measure", measure)
    found = benchmark.run(None, "", columns=[5, 60])
    assert [row["run_s"] for row in found["columns"]] == [5, 60]
    assert "Against the number of columns" in benchmark.markdown(found, 2)
    frame = benchmark.records(found)
    assert frame.loc[frame["measure"] == "peak_mib", "case"].tolist()[:2] == ["columns=5 rows=200", "columns=60 rows=200"]


def test_swaps_of_a_run_are_counted_and_the_first_is_told_apart(trained: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[np.ndarray, list[str]]] = []
    taken = iter([7.0, 1.0, 2.0, 9.0])

    @contextmanager
    def clock(result: dict[str, Any], name: str) -> Iterator[None]:
        yield
        result[name] = next(taken)

    def find(*given: Any) -> Any:
        asked.append((given[4], given[5]))
        assert [(bound.metric, bound.limit) for bound in given[2].bounds] == [
            (name, trained.table().metrics[name].median()) for name in given[5]
        ]
        return find_swaps(*given)

    monkeypatch.setattr("autobuild_core.search.swaps.find_swaps", find)
    monkeypatch.setattr(measures, "SWAPPED", 3)
    monkeypatch.setattr(measures, "clock", clock)
    monkeypatch.setattr("time.process_time", count(0, 4).__next__)
    found = measures.measure_swaps({"run": str(trained.folder.path)})
    assert len(asked) == 4 and len(np.unique([codes for codes, _ in asked], axis=0)) == 4
    assert all(metrics == ["err", "steps"] for _, metrics in asked) and found["budgets"] == 2
    assert (found["first_s"], found["median_s"], found["longest_s"]) == (7.0, 2.0, 9.0)
    assert found["swaps"] > 16 and found["median_cpu_s"] == 4 and found["space"] == MACRO.title


def test_swaps_in_tables_and_csv(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def measure(name: str, threads: int, **options: object) -> dict[str, object]:
        return {"warm begins_s": 0.02} if name == "start" else {"swaps": 104, "median_s": 0.06, "space": "a chain"}

    monkeypatch.setattr(benchmark, "measure", measure)
    assert main(["benchmark", "--swaps", "one", "other"]) == 0
    said = capsys.readouterr()
    assert [row["run"] for row in json.loads(said.out)["swaps"]] == ["one", "other"]
    assert "### Every swap of an architecture" in said.err and "| other | 104 | 0.06 | a chain |" in said.err
    frame = benchmark.records(json.loads(said.out))
    assert frame.loc[frame["measure"] == "median_s", "case"].tolist() == ["run=one space=a chain", "run=other space=a chain"]


def test_the_columns_of_the_benchmark_are_loose_and_valid() -> None:
    table = measures.columns_table(7, 50)
    assert load_space(table.spec).valid(table.codes).all() and all(unit.loose for unit in table.spec.units)
    assert len(table) == 50 and table.metrics["acc"].std() > 0.1


def test_the_command(whole: ArchTable, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "macro.json"
    data.write_text(macro_json(whole))
    few = ["--sizes", "80", "3960", "--published", "--epochs", "2", "--members", "2", "--steps", "40", "--threads", "1"]
    out = ["--out", str(tmp_path / "b.csv"), "--out-md", str(tmp_path / "b.md")]
    assert main(["benchmark", str(data), "--target", "mean_acc", *few, *out]) == 0
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    found = json.loads(said)
    assert [row["step"] for row in found["speed"]] == ["train", "score", "build", "train + score"]
    for row in found["speed"]:
        assert row["ours_s"] > 0 and row["published_s"] > 0 and row["ratio"] == pytest.approx(row["published_s"] / row["ours_s"])
    (quality,) = found["quality"]
    assert quality["ours srcc"] > 0.7 and quality["ridge srcc"] > 0.9 and len(quality["published hop_srcc"]) == 5
    assert 1 <= quality["ours product_rank"] <= 3969 and len(quality["ridge fidelity"]) == 4 and quality["ours built_rank"] >= 1
    (start,) = found["start"]
    assert 0 < start["warm begins_s"] < start["warm first_step_s"]  # the order of what happens, not how soon
    assert "| 80 | train + score |" in (tmp_path / "b.md").read_text()
    frame = pd.read_csv(tmp_path / "b.csv")
    assert {"ours fidelity_4", "published srcc"} <= set(frame["measure"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "got no data"),
        (["DATA"], "got no --target"),
        (["DATA", "--target", "acd"], "acd"),
        (["DATA", "--target", "mean_acc", "--sizes", "500"], "sizes: got 500, expected some from 10 to"),
        (["missing", "--target", "acc"], "no such file"),
    ],
)
def test_refused_with_one_sentence(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data").write_text(macro_json(macro_data(60)))
    words = [str(tmp_path / "data") if word == "DATA" else word for word in arguments]
    assert main(["benchmark", *words]) == 2
    said = capsys.readouterr()
    assert said.out == "" and message in said.err and "Traceback" not in said.err


def test_a_measurement_that_breaks_off_says_why() -> None:
    with pytest.raises(benchmark.RunError, match=r"benchmark, score: .*no config.json"):
        benchmark.measure("score", 1, run="/nowhere")


def test_importing_it_is_light() -> None:
    code = "import sys, autobuild_core.benchmark; print([m for m in ('torch', 'scipy') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_peak_memory_is_of_the_process_alone() -> None:
    held = bytearray(b"1" * 500 * 2**20)  # on Linux the peak that getrusage tells a child begins at its parent's
    code = "from autobuild_core.benchmark.measures import peak_mib; print(peak_mib())"
    peak = float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    assert 20 < peak < 400 and len(held) > 400 * 2**20
