"""The pages of the app, and the ways to one, to a section of it, and out of it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import streamlit as st

from autobuild_core.errors import StudioError
from pages import _memory, _streamlit, _text

HERE = Path(__file__).resolve().parent
PAGES = {
    **{"home": "Home", "data": "Data", "train": "Train", "map": "Map"},
    **{"importance": "Importance", "hops": "Hops", "builder": "Builder", "evaluate": "Evaluate"},
    **{"search_space": "Search space", "review": "Review"},
}
SCROLL = """<script>(() => {
  if (window.autobuildAt === "PLACE") return;
  window.autobuildAt = "PLACE";
  let last = null, still = 0, ticks = 0;
  const end = () => { clearInterval(timer); moves.forEach((move) => removeEventListener(move, end, true)); };
  const moves = ["wheel", "pointerdown", "keydown", "touchstart"];
  moves.forEach((move) => addEventListener(move, end, true));
  const timer = setInterval(() => {
    const heading = document.getElementById("PLACE"), main = document.querySelector("[data-testid=stMain]");
    if (++ticks > 80) return end();
    if (!heading || !main) return;
    const place = heading.getBoundingClientRect().top + main.scrollTop;
    still = place === last ? still + 1 : 0;
    last = place;
    main.scrollTo({top: place - 56});
    if (still > 15) end();
  }, 150);
})();</script>"""


def page(name: str) -> Any:
    """The page of a name, for links."""
    return st.Page(HERE / f"{name}.py", title=PAGES[name], url_path=name, default=name == "home")


def navigation() -> Any:
    """Builds the navigation; `.run()` on what it returns runs the chosen page."""
    return st.navigation([page(name) for name in PAGES])


def run_page(chosen: Any) -> None:
    """Runs the chosen page; what it did not expect of the disk and the settings is one sentence, no traceback.

    Args:
        chosen: what `navigation` returned.
    """
    try:
        chosen.run()
    except StudioError as error:
        st.error(_text.plain(error, 600))


def go_to(name: str, **choices: Any) -> NoReturn:
    """Opens a page with choices made."""
    _memory.keep(**choices)
    _streamlit.forget_fragments()
    st.switch_page(page(name), query_params=_memory.kept())


def scroll_to_place(places: Sequence[str]) -> None:
    """Brings the section that a link names (`?at=ranking`) into view, once, when all above it is drawn or the reader moves.

    Streamlit scrolls to a URL's #ranking as soon as the heading is there: charts drawn later push it out of view again, and
    the fragment is lost when a choice is written into the URL.

    Args:
        places: anchors of the page's headings; any other name is no place.
    """
    if (place := st.query_params.get("at")) in places:
        st.html(SCROLL.replace("PLACE", str(place)), unsafe_allow_javascript=True)
