"""The entry point, started by `make run` (streamlit run app.py): the server, and the script that it runs for every browser."""

import streamlit as st

if __name__ == "__main__":
    from pages import _shared

    st.set_page_config(page_title="AutoBuild Studio", layout="wide", initial_sidebar_state="expanded")
    _shared.run_page(_shared.navigation())
else:
    from starlette.middleware import Middleware

    from pages._serving import BaseAddress, opening

    app = st.App(__file__, lifespan=opening, middleware=[Middleware(BaseAddress)])
