"""The entry point, started by `make run` (streamlit run app.py): the server, and the script that it runs for every browser."""

import streamlit as st

if __name__ == "__main__":
    from pages import _navigation

    st.set_page_config(page_title="AutoBuild Studio", layout="wide", initial_sidebar_state="expanded")
    _navigation.run_page(_navigation.navigation())
else:
    import sys

    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    from autobuild_core.errors import ConfigError
    from pages._hosts import trusted_hosts
    from pages._serving import BaseAddress, opening
    from pages._streamlit import keep_answers

    try:
        hosts = trusted_hosts()
    except ConfigError as error:
        sys.exit(str(error))
    keep_answers()
    around = [Middleware(TrustedHostMiddleware, allowed_hosts=hosts, www_redirect=False), Middleware(BaseAddress)]
    app = st.App(__file__, lifespan=opening, middleware=around)
