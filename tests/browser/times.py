"""How long pages take to open, and a click to answer, beside what is wanted on an idle machine. `make times` prints the table.

It is no part of the suite, which asserts no times: a busy machine is no mistake of the app.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Page

from autobuild_core.datasets import read_table
from autobuild_core.jobs.executor import SubprocessExecutor
from autobuild_core.store.workspace import SAMPLE_DATA, Workspace
from tests.app.workspaces import deep_file, large_file, macro_file, train
from tests.browser.conftest import DRAWN, LAST_SEEN, RECOLOUR, ROOT, Watch, drag, opened

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1200)]
VISITS, CLICKS, BRUSHES, RECOLOURINGS = 4, 7, 3, 16
WARM_SECONDS, SIDEBAR_SECONDS, CLICK_SECONDS, BRUSH_SECONDS, RECOLOUR_SECONDS = 2.0, 1.5, 0.3, 2.5, 0.3
START_SECONDS = 0.5
# From a click on the last layer but `turn` to the first frame in which the panel names another module, in milliseconds.
CLICKED = """async (turn) => {
  const root = [...document.querySelectorAll('*')].map((one) => one.shadowRoot?.querySelector('.graph')).find(Boolean);
  const name = () => document.querySelector('[data-testid=stHeading] h3').textContent, before = name(), start = performance.now();
  [...root.querySelectorAll('.node')].at(-1 - turn).dispatchEvent(new MouseEvent('click', { bubbles: true }));
  while (name() === before) await new Promise((done) => requestAnimationFrame(done));
  return performance.now() - start;
}"""


@dataclass
class Figures:
    """What was measured so far."""

    lines: list[str] = field(default_factory=list)

    def add(self, what: str, seconds: list[float], wanted: float) -> None:
        """Seconds of several tries; the median is what is held against the wanted limit."""
        shortest, median, longest = min(seconds), sorted(seconds)[len(seconds) // 2], max(seconds)
        over = " over" if median > wanted else ""
        self.lines.append(f"| {what:48s} | {shortest:5.2f} | {median:5.2f} | {longest:5.2f} | {wanted:4.1f} |{over}")


@pytest.fixture(scope="module")
def figures() -> Iterator[Figures]:
    """Prints the table when all is measured."""
    found = Figures()
    yield found
    print(f"\n| {'seconds':48s} | least |median |  most | want |", f"|{'-' * 50}|------:|------:|------:|-----:|", sep="\n")
    print(*found.lines, sep="\n")


def seconds_of(page: Page, go: Callable[[], object], text: str) -> float:
    """From the wish to see something to everything drawn and nothing running."""
    start = time.monotonic()
    go()
    page.get_by_text(text).first.wait_for()
    page.wait_for_function(DRAWN)
    return time.monotonic() - start


def test_starting(figures: Figures) -> None:
    begin = "import sys, time; start = time.monotonic(); import autobuild_core; "
    load = f"from autobuild_core.predictor.ensemble import Predictor; Predictor.load({str(SAMPLE_DATA / 'run')!r}); "
    for what, code in (("the package is imported", begin), ("a trained run is loaded", begin + load)):
        command = [sys.executable, "-c", code + "print(time.monotonic() - start)"]
        times = [float(subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout) for _ in range(VISITS)]
        figures.add(what, times, START_SECONDS)


@pytest.mark.parametrize(("num", "target"), [(6_561, "mean_acc"), (100_000, "acc_pct")])
def test_pages_and_clicks(
    num: int,
    target: str,
    page: Page,
    server: str,
    watch: Watch,
    server_workspace: Workspace,
    tmp_path: Path,
    figures: Figures,
) -> None:
    path = macro_file(tmp_path / "all.json", num) if num == 6_561 else large_file(tmp_path / "large.csv", num)
    dataset = server_workspace.add_dataset(read_table(path), "All")
    run = train(server_workspace, dataset, target, False, executor=SubprocessExecutor)
    for name, text in LAST_SEEN.items():
        address = f"{server}/{name}?run={run}&data={dataset}"
        cold, *warm = [seconds_of(page, lambda address=address: page.goto(address), text) for _ in range(VISITS)]
        figures.add(f"{num:,}: {name or 'home'} by its address, cold {cold:.2f}", warm, WARM_SECONDS)
    titles = ["Home", *(name.replace("_", " ").capitalize() for name in LAST_SEEN if name)]
    links = {title: page.get_by_role("link", name=title, exact=True) for title in titles}
    for title, text in zip(titles, LAST_SEEN.values(), strict=True):
        times = []
        for _ in range(VISITS):
            links["Importance" if title == "Review" else "Review"].click()
            page.wait_for_function(DRAWN)
            times.append(seconds_of(page, links[title].click, text))
        figures.add(f"{num:,}: {title} by the sidebar", times, SIDEBAR_SECONDS)
    links["Importance"].click()
    page.get_by_text(LAST_SEEN["importance"]).first.wait_for()
    page.locator("[data-ready=yes]").wait_for()
    times = []
    for turn in range(CLICKS):
        times.append(page.evaluate(CLICKED, turn) / 1000)
        page.wait_for_function(DRAWN)
    figures.add(f"{num:,}: a click on a layer names its module", times, CLICK_SECONDS)
    times = []
    opened(page, f"{server}/map?run={run}", LAST_SEEN["map"])
    for _ in range(BRUSHES):
        times.append(seconds_of(page, drag(page), "The marked region"))
        page.get_by_role("button", name="Clear the mark").click()
        page.get_by_text("All evaluated", exact=True).wait_for()
        page.wait_for_function(DRAWN)
    figures.add(f"{num:,}: a region brushed on the map is described", times, BRUSH_SECONDS)
    watch.assert_quiet()


@pytest.mark.parametrize("folded", [True, False])
def test_recolouring(
    folded: bool, page: Page, server: str, watch: Watch, server_workspace: Workspace, tmp_path: Path, figures: Figures
) -> None:
    data = read_table(deep_file(tmp_path / "deep.csv"))
    run = train(server_workspace, server_workspace.add_dataset(data, "Deep"), "acc_pct", False, max_length=2)
    page.goto(f"{server}/importance?run={run}")
    page.locator("[data-ready=yes]").wait_for()
    if not folded:
        page.get_by_role("button", name="Unfold").click()
    times = [page.evaluate(RECOLOUR, ["hop", 99 * (turn % 2)])[0] / 1000 for turn in range(RECOLOURINGS)]
    figures.add(f"recolouring {page.get_by_role('option').count()} nodes", times, RECOLOUR_SECONDS)
    watch.assert_quiet()
