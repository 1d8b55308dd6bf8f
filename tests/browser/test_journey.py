"""The whole way in real Chromium: upload, target, train, reload in the middle, importance, hops, builder, download."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from autobuild_core.datasets import read_table
from autobuild_core.spaces import space_named
from autobuild_core.store.workspace import Workspace
from tests.app.workspaces import macro_file
from tests.browser.conftest import Watch, serving, wait_until_still

pytestmark = pytest.mark.browser
TRAINED_MS = 200_000
NUM_STEPS = 600


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """Address of an app where nobody did anything yet."""
    with serving(Workspace(tmp_path / "workspace")) as address:
        yield address


def fill_number(page: Page, label: str, value: int) -> None:
    """A number input, taken over as a user's Tab does."""
    box = page.get_by_label(label)
    box.fill(str(value))
    box.press("Tab")


def step_of(page: Page) -> int:
    """The step that the progress line of a training shows."""
    line = page.get_by_text(re.compile(r"[Ss]tep [\d,]+ of"))
    line.first.wait_for()
    found = re.search(r"[Ss]tep ([\d,]+) of", line.first.inner_text())
    assert found is not None
    return int(found[1].replace(",", ""))


def test_from_upload_to_download(page: Page, server: str, watch: Watch, tmp_path: Path) -> None:
    data = macro_file(tmp_path / "evaluated.json", num=120)
    page.goto(server)
    wait_until_still(page)
    page.locator("input[type=file]").set_input_files(data)
    page.get_by_text("What to aim at").wait_for()
    expect(page.get_by_text("NAS-Bench-Macro").first).to_be_visible()
    expect(page.get_by_text("120 of 120")).to_be_visible()

    equation = page.get_by_label("Target, an equation over the metrics")
    equation.fill("mean_acc + nonsense")
    equation.press("Enter")
    expect(page.get_by_text("nonsense").first).to_be_visible()
    expect(page.locator("[data-testid=stAlert]")).to_contain_text("nonsense")
    wait_until_still(page)  # a field that is drawn anew while it is filled forgets the text
    equation.fill("mean_acc")
    equation.press("Enter")
    expect(page.locator("[data-testid=stAlert]")).to_have_count(0)

    page.get_by_role("button", name="Train on this").click()
    page.get_by_text("Advanced").click()
    fill_number(page, "Members of the ensemble", 3)
    fill_number(page, "Training steps", NUM_STEPS)
    fill_number(page, "Threads", 1)
    page.get_by_role("button", name="Start training").click()
    before = step_of(page)
    run_address = page.url
    page.reload()
    after = step_of(page)
    assert page.url == run_address
    assert 0 < before <= after < NUM_STEPS  # the very run, still training
    expect(page.get_by_text("Compare with")).to_be_visible(timeout=TRAINED_MS)

    page.get_by_role("button", name="See what matters").click()
    page.locator("[data-ready=yes]").wait_for()
    page.get_by_role("option").first.focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_text(re.compile(r"seen in \d+ of 120")).first).to_be_visible()

    page.get_by_role("button", name="Rank the modules").click()
    expect(page.get_by_text("What a feature is worth")).to_be_visible()

    page.get_by_role("button", name="Build better ones").click()
    page.get_by_role("button", name="Build", exact=True).click()
    expect(page.get_by_text("All 6,561 architectures of the space were predicted.")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_text("JSON lines").click()
    built = [json.loads(line) for line in Path(download.value.path()).read_text().splitlines()]
    assert_built(built, data)
    watch.assert_quiet()


def assert_built(built: list[dict[str, object]], data: Path) -> None:
    """Ten distinct networks, best first, none of them evaluated, near the best of a target that adds up over layers."""
    space = space_named("nas_bench_macro")
    evaluated = read_table(data)
    networks = [int(space.hash_networks(evaluated.codes[:1] * 0 + space.parse(b["arch"]))[0]) for b in built]
    assert len(set(networks)) == len(built) == 10
    assert not set(networks) & set(evaluated.networks.tolist())
    predicted = [float(str(b["predicted"])) for b in built]
    assert predicted == sorted(predicted, reverse=True)
    assert sum(int(digit) for digit in str(built[0]["arch"])) >= 14  # of 16


def test_a_second_file_closes_the_box_that_took_it_and_a_mistake_is_seen_beside_the_equation(
    page: Page, server: str, watch: Watch, tmp_path: Path
) -> None:
    page.goto(server)
    wait_until_still(page)
    page.locator("input[type=file]").set_input_files(macro_file(tmp_path / "one.json", num=20))
    page.get_by_text("What to aim at").wait_for()
    equation = page.get_by_label("Target, an equation over the metrics")
    before = equation.element_handle()  # the first file's box, which stands there until the page is drawn to its end
    page.get_by_role("button", name="Add another file").click()
    page.locator("input[type=file]").set_input_files(macro_file(tmp_path / "two.json", num=30))
    expect(page.get_by_text("30 of 30")).to_be_visible()
    expect(page.locator("[data-testid=stPopoverBody]")).to_have_count(0)

    page.wait_for_function("box => !box.isConnected", arg=before)
    expect(equation).to_have_count(1)
    equation.fill("mean_acc / nonsense")
    equation.press("Enter")
    alert = page.locator("[data-testid=stAlert]")
    expect(alert).to_contain_text("nonsense")
    expect(page.get_by_role("button", name="Train on this")).to_be_disabled()
    below = alert.bounding_box(), equation.bounding_box()
    assert below[0] is not None and below[1] is not None
    assert 0 < below[0]["y"] - below[1]["y"] < 200
    expect(equation).to_have_value("mean_acc / nonsense")
    watch.assert_quiet()


def test_the_sample_leads_to_a_built_architecture(page: Page, server: str, watch: Watch) -> None:
    page.goto(server)
    page.get_by_role("button", name="Try the sample").first.click()
    page.get_by_text("Best modules").wait_for()
    page.get_by_role("link", name="Data").click()
    expect(page.get_by_text("304 of 304")).to_be_visible()
    page.get_by_role("link", name="Builder").click()
    expect(page.get_by_text("Predicted").first).to_be_visible()
    page.get_by_role("button", name="Build", exact=True).click()
    expect(page.get_by_text("The whole space was searched, from its best modules")).to_be_visible(timeout=TRAINED_MS)
    said = page.get_by_text(re.compile("predicted better than the architecture on the screen"))
    expect(said).to_have_count(1)
    watch.assert_quiet()
