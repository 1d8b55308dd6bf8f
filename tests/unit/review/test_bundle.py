"""The review as one file: everything is in it, nothing is fetched, and the page is a function of the report inside it."""

import json
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from autobuild_core.api import Run
from autobuild_core.architectures.lens import Lens
from autobuild_core.errors import ReportError, RunError
from autobuild_core.figures import colours, drawing, review
from autobuild_core.review import bundle as report
from autobuild_core.review.page import page
from autobuild_core.scoring.finished_run import FinishedRun
from autobuild_core.spaces import space_named
from autobuild_core.store.pins import Claim, Pin
from autobuild_core.store.run_folder import RunFolder

NASTY = "</script><script>alert(1)</script> & <img src=x onerror=alert(1)> \u2028 $HOME"


@pytest.fixture(scope="module")
def pins() -> list[Pin]:
    whole = Claim(("L1", "L2"), ("mb6_k5", "mb6_k5"), True)
    return [Pin(whole, NASTY, "importance"), Pin(Claim(("L3",), ("identity",), False, Lens.NORM))]


@pytest.fixture(scope="module")
def bundle(trained: Run, pins: list[Pin]) -> report.Bundle:
    return report.make_bundle(trained.folder, pins, "A run & its <name>")


@pytest.fixture(scope="module")
def text(bundle: report.Bundle) -> str:
    return page(bundle)


def test_the_page_is_small_and_asks_nobody(text: str) -> None:
    assert len(text.encode()) < 10_000_000
    outside = re.sub(r"<script[ >].*?</script>", "", text, flags=re.S)  # plotly.js names hosts of maps that are not used
    assert not re.search(r"""<[^>]*\s(src|href|action)\s*=|url\((?!#)|@import""", outside)
    assert "default-src 'none'" in text and text.count("plotly.js v") == 1


def test_it_is_a_function_of_the_report_inside_it(text: str, bundle: report.Bundle, tmp_path: Path) -> None:
    path = tmp_path / "review.html"
    path.write_text(text, encoding="utf-8", newline="\n")
    inside, read = report.read_bundle(path)
    assert inside == bundle and read == text == page(inside)
    (tmp_path / "review.json").write_text(report.to_json(bundle), encoding="utf-8")
    assert report.read_bundle(tmp_path / "review.json") == (bundle, None)


def test_what_a_user_wrote_stays_text(text: str) -> None:
    assert "<script>alert(1)" not in text and "<img src=x" not in text
    assert "&lt;/script&gt;&lt;script&gt;alert(1)" in text
    assert "A run &amp; its &lt;name&gt;" in text


def test_everything_is_in_it(bundle: report.Bundle, text: str, trained: Run) -> None:
    found = bundle["results"]
    assert bundle["data"]["hash"] == trained.config.data_hash == bundle["run"]["settings"]["data_hash"]
    assert bundle["run"]["settings"]["seed"] == 0 and bundle["run"]["versions"]["torch"]
    assert [c["record"]["module"] for c in found["claims"]] == ["L1 to L2: 2 x mb6 k5", "L3: identity"]
    assert found["quality"]["srcc"] == trained.quality["srcc"] and "seconds" not in json.dumps(found)
    for part in ("Claims", "Best measured", "What matters", "Should I trust this?", "Evaluate these next", "Settings and how"):
        assert re.search(f"<h2>{re.escape(part)}", text), part
    assert text.count('class="figure"') >= 2 + 3 + 1 + 5  # claims, units, heat map, trust
    hops = len(found["architectures"][0]["hops"])
    assert text.count('<svg class="graph"') == 2 * 2 + hops and hops > 1  # both examples of each claim, the best at every hop
    assert text.count("The five evaluations most likely") == 2


def test_the_id_of_a_run_is_not_given_away(trained: Run, tmp_path: Path) -> None:
    facts = FinishedRun.load(trained.folder)
    known = replace(facts, config=replace(facts.config, id="c0ffee" * 5 + "00"))
    assert "c0ffee" not in json.dumps(report.make_bundle(trained.folder, [], run=known))


def test_a_run_without_claims_or_trust_report_has_the_rest(trained: Run, tmp_path: Path) -> None:
    facts = FinishedRun.load(trained.folder)
    old = replace(facts, quality={k: v for k, v in facts.quality.items() if k != "trust"}, best=facts.best.iloc[:0])
    made = report.make_bundle(trained.folder, [], run=old)
    text = page(made)
    assert "No claim was pinned" in text and "Evaluate these next" not in text and "What matters" in text


def test_an_unfinished_run_is_refused(trained: Run, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run").create(trained.config, trained.table())
    with pytest.raises(RunError, match="got a run that is queued, expected a finished one"):
        report.make_bundle(folder)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.html", b"<!DOCTYPE html><html></html>", "an HTML page without a report"),
        ("a.html", b'<!DOCTYPE html><script type="application/json" id="bundle">{</script>', "no report"),
        ("a.csv", b"acc,k\n1,2\n", r"a.csv: got a file that is no report, expected HTML or JSON as `report` wrote it\.$"),
        ("a.json", b"[" * 100_000, r"a.json: got a file that is no report, expected HTML or JSON as `report` wrote it\.$"),
        ("a.png", b"\x89PNG\r\n\x1a\n\x00\xff\xfe", "no text"),
        ("a.json", b"[1, 2]", "JSON that is no report"),
        ("a.json", b'{"kind": "other"}', "JSON that is no report"),
        ("a.json", b'{"kind": "autobuild-review", "schema": 99}', "schema 99, expected 1"),
    ],
)
def test_what_is_no_report_is_refused(tmp_path: Path, name: str, content: bytes, expected: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ReportError, match=expected):
        report.read_bundle(tmp_path / name)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="No such file"):
        report.read_bundle(tmp_path / "none.html")


def test_a_cell_is_drawn_with_its_sums_and_what_is_not_known_is_faint() -> None:
    spec = space_named("nas_bench_201").spec
    drawn = drawing.architecture_table(spec, np.array([0, 1, 2, 3, 4, 0], np.int16))
    drawn = drawn.assign(value="+0.1", words="+0.1 (a < b)", at=0.1, low=0.0, high=[0.2] * (len(drawn) - 1) + [np.nan])
    svg = review.architecture_svg(drawn, colours.Scale(Lens.SCORE, 0.0, -1.0, 1.0, "acc"), "a cell")
    ElementTree.fromstring(svg)  # well formed
    assert svg.count("<circle") == 4 and svg.count('class="node"') == 6 + 3 + 1  # three sums and the input
    assert "a &lt; b" in svg and svg.count("marker-end") == 12
    fills = re.findall(r"--fill-light:(#\w+)", svg)
    assert len(set(fills)) == 3  # the input's, the score's, and the same unsure
