"""The importance graph in real Chromium: mouse, hop slider, lenses, search, folds, keyboard, both themes."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from autobuild_core.datasets import read_table
from autobuild_core.store.workspace import Workspace
from tests.app.workspaces import deep_file, train
from tests.browser.conftest import GRAPH, RECOLOUR, Watch, moved, wait_until_still

pytestmark = pytest.mark.browser
LUMINANCE = """(colour) => { const [r, g, b] = colour.match(/\\d+/g).map(Number).map((c) => c / 255)
  .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)); return 0.2126 * r + 0.7152 * g + 0.0722 * b; }"""

GROUND = {"light": "rgb(255, 255, 255)", "dark": "rgb(17, 20, 27)"}


@pytest.fixture
def opened(page: Page, server: str, watch: Watch) -> Iterator[Page]:
    """Importance of the sample run; quiet to the end."""
    page.goto(f"{server}/importance?run=sample")
    page.locator("[data-ready=yes]").wait_for()
    expect(heading(page)).to_contain_text("stage1.L1")
    yield page
    watch.assert_quiet()


def heading(page: Page) -> "object":
    """The name of the module in the panel."""
    return page.locator("[data-testid=stHeading] h3").first


def view(page: Page) -> str | None:
    """Position and zoom."""
    return page.locator(".canvas").get_attribute("data-view")


def selected(page: Page) -> str | None:
    return page.locator(".node.selected").get_attribute("data-id")


def places(page: Page) -> dict[str, object]:
    """Where every node is on the screen."""
    found: dict[str, object] = page.evaluate(
        f"""() => Object.fromEntries([...({GRAPH})().querySelectorAll('.node')].map((node) => {{
          const box = node.querySelector('.body').getBoundingClientRect();
          return [node.dataset.id, [Math.round(box.x), Math.round(box.width)]]; }}))"""
    )
    return found


def middle(place: Locator) -> tuple[float, float]:
    """The middle of what is on the screen."""
    box = place.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_a_click_opens_the_module(opened: Page) -> None:
    opened.get_by_role("option", name="stage2.L2: ").click()
    expect(heading(opened)).to_contain_text("stage2.L2")
    expect(opened).to_have_url(re.compile("module=stage2.L2"))
    expect(opened.get_by_text(re.compile(r"seen in \d+ of 304")).first).to_be_visible()
    for part in ("Expected target", "Rank", "Better in its place"):
        expect(opened.get_by_text(part).first).to_be_visible()


def on_hops(page: Page) -> None:
    """Hops is what is open, and stays."""
    expect(page).to_have_url(re.compile("/hops"))
    expect(page.get_by_text("What a feature is worth")).to_be_visible()
    wait_until_still(page)  # what comes too late has come
    expect(page.get_by_text("What a feature is worth")).to_be_visible()


def test_leaving_in_the_middle_of_a_choice_opens_the_next_page(opened: Page) -> None:
    # Streamlit alone would run the graph's fragment after the new page, in its place.
    step, hops = opened.get_by_role("button", name="Rank the modules"), opened.get_by_role("link", name="Hops")
    opened.get_by_role("option", name="stage1.L1: ").focus()
    opened.keyboard.press("ArrowRight")
    step.click()
    on_hops(opened)
    expect(opened).to_have_url(re.compile("module=stage1.L2"))
    for way in (step, hops):
        moved(opened, "importance")
        opened.locator("[data-ready=yes]").wait_for()
        wait_until_still(opened)
        left, top = middle(opened.get_by_role("option", name="stage2.L2: "))
        way.click()
        opened.mouse.click(left, top)
        on_hops(opened)


def test_the_first_view_fits_tells_and_recolours(opened: Page) -> None:
    assert opened.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")
    for part in (".canvas", "div.legend"):  # a projector's height
        box = opened.locator(part).bounding_box()
        assert box is not None and box["y"] + box["height"] < 720, part
    words = opened.locator(".node .value").first.bounding_box()
    assert words is not None and words["height"] >= 10  # pixels: read from the back of a room
    opened.get_by_role("option", name="stage3.L1: ").hover()
    tip = opened.locator(".tip")
    expect(tip).to_be_visible()
    expect(tip).to_contain_text("test_loss (")
    expect(tip).to_contain_text("madds_m")
    opened.locator(".search input").hover()
    expect(tip).to_be_hidden()
    fills = set()
    for hop in range(4):  # without the server
        for name, value in (("hop", hop), ("lens", "good"), ("hop", 3), ("lens", "score")):
            fills.add(opened.evaluate(RECOLOUR, [name, value])[1])  # in the very next frame
    assert len(fills) >= 6


def test_the_hop_recolours_without_losing_place_zoom_or_selection(opened: Page) -> None:
    opened.get_by_role("option", name="stage2.L2: ").click()
    expect(heading(opened)).to_contain_text("stage2.L2")
    for _ in range(2):
        opened.locator(".tools [data-do=in]").click()
    where, seen = view(opened), places(opened)
    slider = opened.get_by_label("Hop: how many layers a module reaches back")
    slider.focus()
    fills = opened.locator(".node .body").first.evaluate("(body) => body.style.fill")
    for hop, shown in (("1", "stage2.L1 to L2"), ("2", "stage2.L1 to L2"), ("unit", "stage2.L1 to L2")):
        opened.keyboard.press("ArrowRight")
        expect(opened).to_have_url(re.compile(f"hop={hop}"))
        expect(heading(opened)).to_contain_text(shown)
        assert (view(opened), places(opened), selected(opened)) == (where, seen, "stage2.L2")
    assert opened.locator(".node .body").first.evaluate("(body) => body.style.fill") != fills
    opened.get_by_role("radio", name="Among the best 10 %").click()
    expect(opened).to_have_url(re.compile("lens=good"))
    assert (view(opened), selected(opened)) == (where, "stage2.L2")


def test_the_keyboard_reaches_every_part(opened: Page) -> None:
    opened.get_by_role("option", name="stage1.L1: ").focus()
    opened.keyboard.press("ArrowDown")
    expect(heading(opened)).to_contain_text("stage1.L2")
    opened.keyboard.press("End")
    expect(heading(opened)).to_contain_text("stage4.L2")
    opened.keyboard.press("ArrowLeft")
    expect(heading(opened)).to_contain_text("stage4.L1")
    assert opened.get_by_role("option", selected=True).count() == 1
    assert opened.locator(".node[tabindex='0']").count() == 1  # one stop for Tab
    before = view(opened)
    opened.keyboard.press("+")
    assert view(opened) != before
    opened.keyboard.press("0")
    assert view(opened) == before
    opened.get_by_role("radio", name="Average").focus()
    opened.keyboard.press("ArrowRight")
    expect(opened).to_have_url(re.compile("lens=good"))
    opened.get_by_label("Hop: how many layers a module reaches back").focus()
    opened.keyboard.press("End")
    expect(opened).to_have_url(re.compile("hop=unit"))


def test_search_finds_operations_and_repeated_blocks_fold(opened: Page) -> None:
    box = opened.get_by_label("Find an operation")
    box.fill("e6_K5")
    expect(opened.locator(".found")).to_have_text("3 of 9")
    expect(opened.locator(".node.dim")).to_have_count(6)
    box.press("Enter")
    box.press("Enter")  # stage1.L1 was chosen already: on to the next ones
    expect(heading(opened)).to_contain_text("stage1.L3")
    box.fill("")
    expect(opened.locator(".node.dim")).to_have_count(0)
    opened.get_by_role("button", name="Fold").click()
    expect(opened.get_by_role("option")).to_have_count(4)
    opened.get_by_role("option", name="3 x e6 k5").click()
    expect(opened.get_by_role("option")).to_have_count(6)
    opened.get_by_role("button", name="Fold 3 equal layers").press("Enter")
    expect(opened.get_by_role("option")).to_have_count(4)
    opened.get_by_role("button", name="Unfold").click()
    expect(opened.get_by_role("option")).to_have_count(9)


def test_a_link_opens_the_same_view_and_other_pages_keep_it(opened: Page, server: str) -> None:
    opened.get_by_role("option", name="stage3.L2: ").click()
    expect(opened).to_have_url(re.compile("module=stage3.L2"))
    opened.get_by_label("Hop: how many layers a module reaches back").press("ArrowRight")
    expect(opened).to_have_url(re.compile("hop=1"))
    expect(heading(opened)).to_contain_text("stage3.L1 to L2")
    link, name = opened.url, heading(opened).inner_text()
    opened.get_by_role("link", name="Hops").click()
    expect(opened.get_by_text("What a feature is worth")).to_be_visible()
    opened.get_by_role("link", name="Importance").click()
    opened.locator("[data-ready=yes]").wait_for()
    expect(heading(opened)).to_have_text(name)
    assert selected(opened) == "stage3.L2"
    opened.goto(server)
    opened.goto(link)
    opened.locator("[data-ready=yes]").wait_for()
    expect(heading(opened)).to_have_text(name)
    assert selected(opened) == "stage3.L2"


def test_two_side_by_side_show_the_change_and_one_is_saved_as_svg(opened: Page) -> None:
    opened.get_by_text("Side by side").click()
    expect(opened.get_by_role("option", name="B, stage1.L1")).to_be_visible()
    pills = opened.locator(".pill:visible text")
    assert pills.count() >= 4
    opened.get_by_role("option", name="B, stage1.L1").hover()
    expect(opened.locator(".tip:visible")).to_contain_text("From A to B: ")
    opened.get_by_role("option", name="B, stage1.L1").click()
    expect(opened.get_by_text("In B")).to_be_visible()
    opened.get_by_text("Best tenth").click()
    expect(opened.get_by_text("in the best tenth").first).to_be_visible()
    opened.get_by_role("radio", name="One").click()
    expect(opened.get_by_role("option", name="stage1.L1: ")).to_be_visible()
    with opened.expect_download() as download:
        opened.get_by_role("button", name="Save as SVG").click()
    text = Path(download.value.path()).read_text()
    assert text.startswith("<svg") and "e6 k5" in text and "http" not in text.replace("http://www.w3.org", "")


def test_both_themes_are_readable(opened: Page) -> None:
    chosen, where = selected(opened), view(opened)
    for theme in ("light", "dark", "light"):  # the page stands while they change
        opened.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        expect(opened.locator(".stApp")).to_have_css("background-color", GROUND[theme])
        wait_until_still(opened)
        found = contrasts(opened)
        assert len(found) == 10 and min(found) >= 4.5
        assert (selected(opened), view(opened)) == (chosen, where)


def contrasts(page: Page) -> list[float]:
    """Of the words in nodes against these, and of the graph's words against the page."""
    found: list[float] = page.evaluate(
        f"""() => {{ const light = {LUMINANCE}, root = ({GRAPH})(), style = (e, n) => getComputedStyle(e)[n];
        const pairs = [...root.querySelectorAll('.node')].map((node) => ['.body', '.value']
          .map((part) => style(node.querySelector(part), 'fill')));
        pairs.push([style(document.querySelector('.stApp'), 'backgroundColor'), style(root, 'color')]);
        return pairs.map((pair) => {{ const [a, b] = pair.map(light).sort((x, y) => y - x);
          return (a + 0.05) / (b + 0.05); }}); }}"""
    )
    return found


@pytest.mark.slow
def test_hundreds_of_layers_stay_usable(
    page: Page, server: str, watch: Watch, server_workspace: Workspace, tmp_path: Path
) -> None:
    data = read_table(deep_file(tmp_path / "deep.csv"))
    train(server_workspace, server_workspace.add_dataset(data, "Deep"), "acc_pct", False, max_length=2, num_steps=8)
    page.goto(f"{server}/importance")
    page.locator("[data-ready=yes]").wait_for()
    expect(page.get_by_text(re.compile("layers: repeated ones are folded"))).to_be_visible()
    expect(page.get_by_role("option")).to_have_count(18)
    page.get_by_role("button", name="Unfold").click()
    assert page.get_by_role("option").count() > 200
    # The whole unit, which is last, then hop 1: each in the very next frame. Hops look alike where a unit's layers are equal.
    assert len({page.evaluate(RECOLOUR, ["hop", hop])[2] for hop in (99, 1)}) == 2
    page.get_by_label("Find an operation").fill("stage9.L2")
    page.keyboard.press("Enter")
    expect(heading(page)).to_contain_text("stage9.L1 to L2")  # at hop 1, where the slider was left
    watch.assert_quiet()
