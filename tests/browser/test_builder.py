"""Build for me in real Chromium, against what is on the screen; a target with a name, and one without a unit, on every page."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from autobuild_core.api import Run
from autobuild_core.datasets import read_table
from autobuild_core.store.workspace import Workspace
from tests.app.workspaces import grid_file, macro_file, train
from tests.browser.conftest import DRAWN, LAST_SEEN, PATIENCE_MS, Watch, click_chart, moved, wait_until_still
from tests.registered import read_again

pytestmark = pytest.mark.browser
EQUATION = "mean_acc / log10(flops)"


@pytest.fixture(scope="module")
def ids(server_workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Runs: of an equation, of the same with a name, of a grid of which every network was measured."""
    folder = tmp_path_factory.mktemp("data")
    macro = server_workspace.add_dataset(read_table(macro_file(folder / "macro.json")), "Macro")
    found = {"equation": train(server_workspace, macro, EQUATION, False)}
    found["named"] = train(server_workspace, macro, EQUATION, False)
    one = server_workspace.run(found["named"])
    about = one.about
    about["config"] |= {"target_name": "accuracy for cost", "target_unit": "% per digit"}
    one.write_json("config.json", about)
    read_again(server_workspace, found["named"])
    grid = server_workspace.add_dataset(read_table(grid_file(folder / "grid.csv")), "Grid")
    return found | {"grid": train(server_workspace, grid, "acc", False)}


def opened(page: Page, address: str, text: str) -> None:
    page.goto(address)
    page.get_by_text(text).first.wait_for(state="attached")
    page.wait_for_function(DRAWN)


def build(page: Page) -> Locator:
    """Presses the button; what is said of the candidates."""
    page.get_by_role("button", name="Build", exact=True).click()
    said = page.locator("[data-testid=stMarkdownContainer]").filter(
        has_text="predicted better than the architecture on the screen"
    )
    said.first.wait_for()
    page.wait_for_function(DRAWN)
    return said.first


def fill_slot(page: Page, unit: str, layers: str, native: str) -> None:
    """Types layers into the slot of a unit, and waits for what the key of the architecture has there."""
    slot = page.locator("[data-testid=stSelectbox]").filter(has_text=unit).locator("input")
    slot.fill(layers)
    slot.press("Enter")
    expect(page.locator("[data-testid=stCode]").first).to_have_text(re.compile(native))


def test_what_is_better_than_the_screen_is_offered_and_nothing_where_it_is_the_best(
    page: Page, server: str, watch: Watch, ids: dict[str, str], server_workspace: Workspace
) -> None:
    opened(page, f"{server}/builder?run={ids['equation']}", LAST_SEEN["builder"])
    fill_slot(page, "L1-2", "identity, identity", r"^00\d{6}$")
    expect(build(page)).to_contain_text("All are predicted better than")
    expect(page.get_by_text("All 6,561 architectures of the space were predicted.")).to_be_visible()
    best = Run(server_workspace.run(ids["equation"]).path).build(1, allow_evaluated=True).iloc[0]
    places = (r"^{}\d{{6}}$", r"^\d{{2}}{}\d{{3}}$", r"^\d{{5}}{}$")
    for part, place, digits in zip(best["modules"], places, (slice(0, 2), slice(2, 5), slice(5, 8)), strict=True):
        fill_slot(page, part["unit"], ", ".join(part["layers"]), place.format(best["arch"][digits]))
    said = page.locator("[data-testid=stAlert]").filter(has_text="Nothing unmeasured was found that is predicted better")
    expect(said).to_be_visible()  # the same candidates, against what is on the screen now
    expect(said).to_contain_text("None of the networks below is")
    watch.assert_quiet()


def test_a_space_of_which_every_network_was_measured_is_said(page: Page, server: str, watch: Watch, ids: dict[str, str]) -> None:
    opened(page, f"{server}/builder?run={ids['grid']}", LAST_SEEN["builder"])
    page.get_by_role("button", name="Build", exact=True).click()
    expect(page.get_by_text("All 27 networks of this space were evaluated already: there is nothing to build.")).to_be_visible()
    watch.assert_quiet()


@pytest.mark.parametrize(("run", "title", "hidden"), [("equation", EQUATION, ()), ("named", "accuracy for cost", (EQUATION,))])
def test_no_page_shows_markdown_of_a_target_without_a_unit_or_the_equation_of_a_named_one(
    run: str, title: str, hidden: tuple[str, ...], page: Page, server: str, watch: Watch, ids: dict[str, str]
) -> None:
    chosen = "&arch=row:3&module=L1%2CL2=mb6_k5%2Cmb6_k5!&brush=box:-1e5,-1e5,1e5,1e5"
    page.goto(f"{server}/?run={ids[run]}{chosen}")
    for name, last in LAST_SEEN.items():
        if name:
            moved(page, name)
        page.get_by_text(last).first.wait_for(state="attached")
        wait_until_still(page)
        assert "arch=row" in page.url and "module=" in page.url and "brush=" in page.url
        expect(page.locator(".st-key-top_bar")).to_contain_text(f"maximise {title}")
        shown = page.locator("[data-testid=stMain]").inner_text()
        assert not re.search(r"(?<!100)\*\*", shown), name  # Data suggests an equation with a power of 100
        not_said = hidden if name not in ("data", "train") else ()  # these two are about the equation
        assert not any(words in shown for words in not_said), name
    watch.assert_quiet()


def test_the_bar_says_the_equation_of_a_named_target_where_the_pointer_rests(
    page: Page, server: str, watch: Watch, ids: dict[str, str]
) -> None:
    opened(page, f"{server}/hops?run={ids['named']}", LAST_SEEN["hops"])
    page.locator(".st-key-top_bar [data-testid=stTooltipHoverTarget]").first.hover()
    expect(page.get_by_role("tooltip")).to_contain_text(EQUATION)
    watch.assert_quiet()


# Where on the screen a member of the front lies that was not measured: [left, top].
MEMBER = """() => {
  const plot = document.querySelector('.st-key-plot_front .js-plotly-plot');
  const trace = plot._fullData.find((one) => one.name === 'predicted, not measured');
  const { xaxis, yaxis } = plot._fullLayout, box = plot.getBoundingClientRect();
  const last = trace.x.length - 1;
  return [box.left + xaxis._offset + xaxis.d2p(trace.x[last]), box.top + yaxis._offset + yaxis.d2p(trace.y[last])];
}"""


def native(page: Page) -> str:
    """The architecture on the screen."""
    return page.locator("[data-testid=stCode]").first.inner_text().strip()


def choose_tool(page: Page, name: str) -> None:
    page.locator(".st-key-tool").get_by_text(name, exact=True).click()
    wait_until_still(page)


def test_a_budget_its_gauge_a_price_the_front_a_lock_undo_and_a_shortlist(
    page: Page, server: str, watch: Watch, ids: dict[str, str], server_workspace: Workspace
) -> None:
    page.set_viewport_size({"width": 1280, "height": 720})
    opened(page, f"{server}/builder?run={ids['equation']}", LAST_SEEN["builder"])
    page.get_by_role("button", name="Add a budget").click()
    page.get_by_role("button", name="Add", exact=True).click()
    page.wait_for_url(re.compile("budgets=flops"))
    expect(page.get_by_text(re.compile(r"^It (keeps|does not keep) the budget"))).to_be_visible()
    expect(page.locator(".st-key-plot_gauges").get_by_text(re.compile("at most"))).to_be_visible()

    choose_tool(page, "What budgets buy")
    page.get_by_role("button", name="Work out the prices").click()
    expect(page.get_by_text(re.compile(r"more of flops buys"))).to_be_visible(timeout=PATIENCE_MS)

    page.locator(".st-key-lock_" + ids["equation"] + "_1").get_by_text("Lock").click()
    expect(page.locator("[data-testid=stSelectbox]").filter(has_text="L3-5").locator("input")).to_be_disabled()

    choose_tool(page, "Pareto front")
    page.get_by_role("button", name="Draw the front").click()
    expect(page.get_by_text(re.compile("Hypervolume against"))).to_be_visible(timeout=PATIENCE_MS)
    before = native(page)
    page.locator(".st-key-plot_front").scroll_into_view_if_needed()
    wait_until_still(page)
    click_chart(page, *page.evaluate(MEMBER))
    expect(page.locator("[data-testid=stCode]").first).not_to_have_text(before)
    after = native(page)
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("[data-testid=stCode]").first).to_have_text(before)
    page.get_by_role("button", name="Redo").click()
    expect(page.locator("[data-testid=stCode]").first).to_have_text(after)

    wait_until_still(page)
    page.get_by_role("button", name="Shortlist").click()
    page.get_by_label("Name").fill("Cheap and good")
    page.get_by_label("Why").fill("on the front")
    page.get_by_role("button", name="Put it on the shortlist").click()
    expect(page.get_by_text("On the shortlist as")).to_be_visible()
    page.get_by_role("button", name=re.compile("^Send 1 design")).click()
    expect(page.get_by_text("1 candidate put on the list")).to_be_visible()
    assert [one.why for one in server_workspace.candidates(server_workspace.data_of_run(ids["equation"])).all()] == [
        "Cheap and good, open: on the front"
    ]
    watch.assert_quiet()


def test_a_search_is_started_watched_and_cancelled(page: Page, server: str, watch: Watch, ids: dict[str, str]) -> None:
    page.set_viewport_size({"width": 1280, "height": 720})
    opened(page, f"{server}/builder?run={ids['equation']}", LAST_SEEN["builder"])
    choose_tool(page, "Search")
    page.get_by_role("button", name="New search").click()
    page.get_by_label("Networks to evaluate").fill("3000")
    page.get_by_label("Networks to evaluate").press("Enter")
    wait_until_still(page)
    page.get_by_role("button", name="Start the search").click()
    # The first: while a page is drawn anew what was there before may still be there.
    said = page.get_by_text(re.compile(r"^\d[\d,]* networks evaluated: the best")).first
    expect(said).to_be_visible()
    first = said.inner_text()
    expect(said).not_to_have_text(first)  # it goes on by itself
    expect(page.locator("[class*=st-key-plot_search_] .js-plotly-plot").first).to_be_visible()
    page.get_by_role("button", name="Cancel", exact=True).click()
    expect(page.get_by_text("cancelled", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    wait_until_still(page)  # what was drawn while it went on is gone
    page.get_by_role("button", name="Put the best on the screen").click()
    watch.assert_quiet()
