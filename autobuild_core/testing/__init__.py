"""Suites of checks that every extension must pass, as classes of pytest to derive from: one file for each kind of extension.

Somebody's own scorer is checked by

    import pytest

    from autobuild_core.testing.scorers import ScorerSuite


    class TestMine(ScorerSuite):
        @pytest.fixture
        def name(self) -> str:
            return "mine"

where "mine" is found as any extension is (`autobuild_core.registry`). The others ask for what their docstrings say. The suites
need pytest, that of formats Hypothesis too (`pip install autobuild-studio[testing]`); nothing else in the package imports them.
"""

import pytest

SUITES = ("datasets", "evaluators", "job_kinds", "scorers", "searchers", "spaces", "topologies")
pytest.register_assert_rewrite(*(f"{__name__}.{name}" for name in SUITES))  # a check that fails shows both sides
