"""Verification: a report of ours passes, whatever is changed in it or in its data is found."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from autobuild_core import api
from autobuild_core.architectures.lens import Lens
from autobuild_core.architectures.records import ArchTable
from autobuild_core.cli import main
from autobuild_core.errors import DataError, ReportError
from autobuild_core.review import bundle as report
from autobuild_core.review import verifying
from autobuild_core.review.page import page
from autobuild_core.review.verifying import compare, leaves
from autobuild_core.store.pins import Claim, Pin, Pins
from autobuild_core.store.run_folder import RunConfig, RunFolder
from autobuild_core.store.tables import save_table
from tests.learning import macro_data, macro_json

Made = tuple[Path, report.Bundle]  # the data file, the report of a run trained on it


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("verify")
    data = folder / "macro.json"
    data.write_text(macro_json(macro_data(40)))
    few = {"num_members": 2, "num_steps": 4, "threads": 1, "max_length": 1}
    run = api.train(api.read(data), "100 - mean_acc", folder / "run", True, 3, data_name=data.name, **few)
    pins = Pins(folder / "run" / "pins")
    pins.write(Pin(Claim(("L1", "L2"), ("mb6_k5", "mb6_k5"), True, Lens.GOOD), "a note"))
    return data, report.make_bundle(run.folder)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> report.Bundle:
    """The report of a run whose target is in millionths, with a claim through every lens."""
    few = {"num_members": 2, "num_steps": 4, "threads": 1, "max_length": 1}
    run = api.train(macro_data(40), "err / 1000000", tmp_path_factory.mktemp("tiny") / "run", True, 3, **few)
    through = {Lens.SCORE: "identity", Lens.GOOD: "mb3_k3", Lens.NORM: "mb6_k5"}
    pins = [Pin(Claim(("L3",), (layer,), False, lens), "") for lens, layer in through.items()]
    return report.make_bundle(run.folder, pins)


@pytest.fixture
def quick(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trains only where the settings are not those of the run: what a training gives again is another test's matter."""
    train_again, first = verifying.train_again, RunFolder(made[0].parent / "run")

    def known(table: ArchTable, config: RunConfig, place: Path, say: verifying.Report) -> RunFolder:
        return first if config == first.config else train_again(table, config, place, say)

    monkeypatch.setattr(verifying, "train_again", known)


def written(bundle: report.Bundle, path: Path) -> Path:
    """The report as a file of the kind that its name says."""
    text = page(bundle) if path.suffix == ".html" else report.to_json(bundle)
    path.write_text(text, encoding="utf-8", newline="\n")
    return path


def put(path: str, value: Any) -> Callable[[report.Bundle], None]:
    """A change at one place of a report."""

    def change(bundle: Any) -> None:
        *front, last = [int(name) if name.isdigit() else name for name in path.split(".")]
        for name in front:
            bundle = bundle[name]
        assert bundle[last] != value
        bundle[last] = value

    return change


def wrong(checks: list[verifying.Check]) -> list[str]:
    return [place for check in checks for place, _, _ in check.wrong]


def test_our_own_report_passes_to_the_last_digit(made: Made, tmp_path: Path) -> None:
    checks = verifying.verify(written(made[1], tmp_path / "r.html"), made[0])
    assert wrong(checks) == []
    assert max(check.largest for check in checks) == 0
    compared = sum(check.numbers + check.texts for check in checks) - 1  # one for the page
    assert compared == len(list(leaves(made[1]["results"]))) + len(list(leaves(made[1]["data"])))
    assert all(check.left_out == 0 for check in checks)


@pytest.mark.parametrize(
    "change",
    [
        put("results.claims.0.record.effects.0.value", -9.0),
        put("results.claims.0.record.counter_example.value", 1.0),
        put("results.claims.0.record.evidence.seen", 39),
        put("results.claims.0.sentence", "L1 to L2: 2 x mb6 k5 is perfect"),
        put("results.quality.srcc", 0.999),
        put("results.quality.verdict", "splendid"),
        put("results.tables.ranking.value.0", 0.0),
        put("run.settings.seed", 4),
        put("pins.0.claim.lens", "score"),
    ],
)
@pytest.mark.usefixtures("quick")
def test_a_changed_report_is_found_even_if_its_page_was_drawn_anew(
    made: Made, tmp_path: Path, change: Callable[[report.Bundle], None]
) -> None:
    bundle = copy.deepcopy(made[1])
    change(bundle)
    assert wrong(verifying.verify(written(bundle, tmp_path / "r.html"), made[0]))


def test_every_single_value_counts(made: Made) -> None:
    """Each leaf changed by itself, a number by a thousandth of its column, and each taken away, is found and found alone."""
    found = made[1]["results"]
    places = [path for path, _ in leaves(found)]
    columns: dict[Any, list[float]] = {}
    for path, value in leaves(found):
        if isinstance(value, int | float) and not isinstance(value, bool):
            columns.setdefault(tuple(name for name in path if isinstance(name, str)), []).append(value)
    for path in places[:: max(len(places) // 150, 1)]:
        said: Any = copy.deepcopy(found)
        parent = said
        for name in path[:-1]:
            parent = parent[name]
        value = parent[path[-1]]
        number = isinstance(value, int | float) and not isinstance(value, bool)
        column = columns.get(tuple(name for name in path if isinstance(name, str)), [0.0])
        step = 1e-3 * max(max(column) - min(column), max(map(abs, column)))
        parent[path[-1]] = value + (step or 1e-3) if number else f"{value}!"
        assert wrong(compare(said, found)) == [".".join(map(str, path))]
    for name in found:
        assert wrong(compare({k: v for k, v in found.items() if k != name}, found))
    assert wrong(compare(found | {"more": 1}, found)) == ["more"]


def test_a_number_in_millionths_counts_beside_probabilities(tiny: report.Bundle) -> None:
    """Whatever its unit: each number made a hundred times as large is found, and found alone."""
    found = tiny["results"]
    numbers = [path for path, value in leaves(found) if isinstance(value, float) and value]
    effects = [path for path in numbers if path[0] == "claims" and path[-1] in ("value", "low", "adjusted_high")]
    rivals = [path for path in numbers if "rivals" in path]
    assert len(effects) > 15 and len(rivals) > 6
    for path in [*effects, *rivals, *numbers[:: max(len(numbers) // 100, 1)]]:
        said: Any = copy.deepcopy(found)
        parent = said
        for name in path[:-1]:
            parent = parent[name]
        parent[path[-1]] *= 100
        assert wrong(compare(said, found)) == [".".join(map(str, path))]


def test_a_value_may_be_off_by_a_share_of_its_interval() -> None:
    effect = {
        "lens": "score",
        "value": 1e-9,
        "low": -1e-6,
        "high": 1e-6,
        "adjusted_low": -2e-6,
        "adjusted_high": 2e-6,
        "rank": 300,
    }
    found = {"claims": [{"record": {"lens": "score", "effects": [effect, effect | {"lens": "good", "value": 0.9}]}}]}
    for lens, off, places in ((0, 1e-7, 0), (0, 1e-6, 1), (1, 0.01, 0)):
        said: Any = copy.deepcopy(found)
        said["claims"][0]["record"]["effects"][lens]["value"] += off
        assert len(wrong(compare(said, found, 0.05))) == places


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<h1>", "<h1>Approved: "),
        ("a note", "another note"),
        ("rank 1 of", "rank 2 of"),
        ('"data": [{', '"data": [{"x": [9],'),
        ("</body>", "<script>document.title='x'</script></body>"),
        ("plotly.js v", "plotly.js w"),
    ],
)
def test_a_page_changed_by_hand_is_found(made: Made, tmp_path: Path, old: str, new: str) -> None:
    path = written(made[1], tmp_path / "r.html")
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8", newline="\n")
    with pytest.raises(ReportError, match="shows something else than the report inside it"):
        verifying.verify(path, made[0])


@pytest.mark.usefixtures("quick")
def test_a_page_of_another_version_cannot_be_checked_but_its_report_can(made: Made, tmp_path: Path) -> None:
    bundle = copy.deepcopy(made[1])
    bundle["made"]["plotly"] = "1.0"
    with pytest.raises(ReportError, match=r"drawn by plotly 1\.0"):
        verifying.verify(written(bundle, tmp_path / "r.html"), made[0])
    assert wrong(verifying.verify(written(bundle, tmp_path / "r.json"), made[0])) == []


def test_a_report_about_a_version_that_grew(made: Made, tmp_path: Path) -> None:
    more = macro_data(24, seed=9)
    (tmp_path / "more.json").write_text(macro_json(more))
    table = api.append(api.read(made[0]), tmp_path / "more.json").table
    save_table(table, tmp_path / "grown")
    few = {"num_members": 2, "num_steps": 4, "threads": 1, "max_length": 1}
    run = api.train(api.read(tmp_path / "grown"), "mean_acc", tmp_path / "run", seed=3, **few)
    path = written(report.make_bundle(run.folder), tmp_path / "r.html")
    checks = verifying.verify(path, tmp_path / "grown")
    assert wrong(checks) == [] and max(check.largest for check in checks) == 0
    with pytest.raises(DataError, match="got data of hash"):
        verifying.verify(path, made[0])


@pytest.mark.usefixtures("quick")
class TestData:
    def test_one_changed_value(self, made: Made, tmp_path: Path) -> None:
        entries = json.loads(made[0].read_text())
        next(iter(entries.values()))["mean_acc"] += 0.001
        other = tmp_path / "macro.json"
        other.write_text(json.dumps(entries))
        with pytest.raises(DataError, match="got data of hash"):
            verifying.verify(written(made[1], tmp_path / "r.json"), other)

    def test_a_row_less(self, made: Made, tmp_path: Path) -> None:
        other = tmp_path / "macro.json"
        other.write_text(json.dumps(dict(list(json.loads(made[0].read_text()).items())[:-1])))
        with pytest.raises(DataError, match=r"expected .* which the report was made from"):
            verifying.verify(written(made[1], tmp_path / "r.json"), other)

    @pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n" + bytes(range(256)), b"hello", b""])
    def test_another_kind_of_file(self, made: Made, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "data.json").write_bytes(content)
        with pytest.raises(DataError):
            verifying.verify(written(made[1], tmp_path / "r.json"), tmp_path / "data.json")

    def test_counts_that_are_not_in_the_hash(self, made: Made, tmp_path: Path) -> None:
        bundle = copy.deepcopy(made[1])
        bundle["data"]["num_rejected"] = 7
        assert wrong(verifying.verify(written(bundle, tmp_path / "r.json"), made[0])) == ["data.num_rejected"]

    def test_hashes_that_disagree(self, made: Made, tmp_path: Path) -> None:
        bundle = copy.deepcopy(made[1])
        bundle["run"]["settings"]["data_hash"] = "0" * 32
        with pytest.raises(ReportError, match="got settings for data 0000"):
            verifying.verify(written(bundle, tmp_path / "r.json"), made[0])


@pytest.mark.usefixtures("quick")
class TestDamaged:
    @pytest.mark.parametrize("ending", ["json", "html"])
    @pytest.mark.parametrize("part", ["run", "data", "pins", "results"])
    @pytest.mark.parametrize("value", [None, "text", [], {}])
    def test_a_part_is_missing_or_something_else(self, made: Made, tmp_path: Path, part: str, value: Any, ending: str) -> None:
        path = written(made[1], tmp_path / f"r.{ending}")
        text, own = path.read_text(encoding="utf-8"), made[1] | {part: value}
        if ending == "html":
            inside = json.dumps(own).replace("<", "\\u003c")
            text = report.BUNDLE.sub(lambda found: found[0].replace(found[1], inside), text, count=1)
        path.write_text(text if ending == "html" else report.to_json(own), encoding="utf-8", newline="\n")
        try:
            assert wrong(verifying.verify(path, made[0]))  # what is empty can be read, and differs
        except ReportError as error:
            assert "expected" in str(error)

    def test_what_made_it_is_missing(self, made: Made, tmp_path: Path) -> None:
        path = written({name: value for name, value in made[1].items() if name != "made"}, tmp_path / "r.json")
        assert "the processor None" in str(verifying.mismatch(path, 1, 2, 0.0))

    def test_files_swapped(self, made: Made, tmp_path: Path) -> None:
        with pytest.raises(ReportError, match="no report"):
            verifying.verify(made[0], written(made[1], tmp_path / "r.json"))


class TestTolerance:
    def test_another_machine_is_allowed_a_share_of_the_spread(self) -> None:
        found = {"tables": {"t": {"value": [0.0, 1.0, 2.0], "words": ["a", "b", "c"]}, "next": {"arch": ["x"], "p": [1.0]}}}
        said = {"tables": {"t": {"value": [0.05, 1.0, 2.0], "words": ["a", "b", "d"]}, "next": {"arch": ["y"], "p": [2.0]}}}
        assert wrong(compare(said, found)) == ["tables.t.value.0", "tables.t.words.2", "tables.next.arch.0", "tables.next.p.0"]
        checks = compare(said, found, 0.05)
        assert wrong(checks) == [] and sum(check.left_out for check in checks) == 5
        assert wrong(compare(said, found, 0.02)) == ["tables.t.value.0"]

    def test_infinite_and_wrong_kinds_never_pass(self) -> None:
        for value in (None, "1", True, [1.0]):
            assert wrong(compare({"a": {"b": value}}, {"a": {"b": 1.0}}, 0.0))

    @pytest.mark.parametrize("tolerance", [-0.1, 1.0, float("nan")])
    def test_what_is_no_share(self, made: Made, tolerance: float) -> None:
        with pytest.raises(ReportError, match="expected a share from 0"):
            verifying.verify("none", made[0], tolerance)

    def test_the_sentence_names_what_is_other_here(self, made: Made, tmp_path: Path) -> None:
        bundle = copy.deepcopy(made[1])
        assert "--tolerance" not in str(verifying.mismatch(written(bundle, tmp_path / "r.json"), 1, 2, 0.0))
        bundle["run"]["versions"]["torch"] = "1.0"
        bundle["made"]["processor"] = "Abacus"
        said = str(verifying.mismatch(written(bundle, tmp_path / "r.json"), 1, 2, 0.0))
        assert "torch 1.0 (here 2." in said and "Abacus" in said and "--tolerance 0.05" in said


@pytest.mark.usefixtures("quick")
class TestCommandLine:
    def test_report_then_verify(self, made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        run, out = made[0].parent / "run", tmp_path / "r.html"
        assert main(["report", str(run), "--out", str(out)]) == 0
        said = json.loads(capsys.readouterr().out)
        assert said == {"path": str(out), "bytes": out.stat().st_size, "num_pins": 1}
        assert main(["verify", str(out), str(made[0])]) == 0
        printed, table = capsys.readouterr()
        assert json.loads(printed)["agrees"] is True and json.loads(printed)["largest"] == 0
        for part in ("page", "data", "tables ranking", "claims 1", "agrees"):
            assert part in table

    def test_json_by_its_name_and_pins_from_elsewhere(
        self, made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        out = tmp_path / "r.json"
        assert main(["report", str(made[0].parent / "run"), "--out", str(out), "--pins", str(tmp_path / "none")]) == 0
        assert json.loads(out.read_text())["pins"] == [] and json.loads(capsys.readouterr().out)["num_pins"] == 0

    def test_a_mismatch_is_a_table_a_sentence_and_a_status(
        self, made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        bundle = copy.deepcopy(made[1])
        bundle["results"]["quality"]["mae"] *= 1.01
        assert main(["verify", str(written(bundle, tmp_path / "r.json")), str(made[0])]) == 2
        printed, said = capsys.readouterr()
        assert printed == "" and "1 DIFFER" in said and "quality.mae: reported" in said
        assert said.splitlines()[-1].startswith("verify: ") and "got 1 of" in said.splitlines()[-1]

    @pytest.mark.parametrize(
        "arguments", ["report NOWHERE --out OUT", "verify NOWHERE DATA", "verify DATA DATA", "report RUN --out NOWHERE/x"]
    )
    def test_refused(self, made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: str) -> None:
        places = {"NOWHERE": tmp_path / "nowhere", "OUT": tmp_path / "out", "DATA": made[0], "RUN": made[0].parent / "run"}
        words = arguments.split()
        for name, place in places.items():
            words = [word.replace(name, str(place)) for word in words]
        assert main(words) == 2
        printed, said = capsys.readouterr()
        assert printed == "" and "Traceback" not in said and said.startswith(words[0])
