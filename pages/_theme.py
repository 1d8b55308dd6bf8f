"""The theme in which a reader's browser shows the page."""

import streamlit as st


def theme() -> str:
    """Either "light" or "dark", as the reader's browser shows the page."""
    return "dark" if st.context.theme.type == "dark" else "light"
