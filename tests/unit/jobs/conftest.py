"""Patience with supervisors: a busy machine may answer late."""

import pytest

from autobuild_core.jobs import warm


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """That a silent supervisor is not waited for is tested by itself, in test_warm.py."""
    monkeypatch.setattr(warm, "ANSWER_SECONDS", 20.0)
    monkeypatch.setattr(warm, "_silent", {})
