"""The theme in which a reader's browser shows the page, and the style of all pages."""

import streamlit as st

STYLE = """<style>
[data-testid=stHeader] {height: 2.75rem; min-height: 2.75rem; background: transparent}
[data-testid=stMainBlockContainer] {padding: 2.75rem 2.2rem 3rem; max-width: 1700px}
[data-testid=stMainBlockContainer] > [data-testid=stVerticalBlock] {gap: .7rem}
section[data-testid=stSidebar]:not([aria-expanded=false]) {width: 190px !important; min-width: 190px !important}
[data-testid=stCaptionContainer], [data-testid=stCaptionContainer] p {
  opacity: 1 !important; color: light-dark(#5a606e, #b4b9c6) !important}
[data-testid=stBaseButton-primary]:enabled p, [data-testid=stBaseButton-primaryFormSubmit]:enabled p {
  color: light-dark(#ffffff, #0d1016) !important}
.modebar:focus-within {opacity: 1 !important}
[data-testid=stNumberInput] [data-testid=InputInstructions] {display: none}
[data-testid=stPopoverBody] {color-scheme: THEME}
</style>"""
QUIET_INK = {"light": "#5a606e", "dark": "#b4b9c6"}  # words that stand back, still at a contrast of 6 to the page


def style() -> str:
    """The style of all pages as HTML; a popover lies outside of the app, whose theme it would not know."""
    return STYLE.replace("THEME", theme())


def theme() -> str:
    """Either "light" or "dark", as the reader's browser shows the page."""
    return "dark" if st.context.theme.type == "dark" else "light"
