"""What all tests share: small tables, a workspace of their own, Chromium, and a loud word when it is missing."""

import os

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")  # as `make test` sets it: workers of two cores share them, arrays are small

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, settings

from autobuild_core.architectures.records import ArchTable, Rejection
from autobuild_core.memory import keep_freed_memory
from autobuild_core.spaces import space_named
from autobuild_core.store.workspace import Workspace
from tests import forge, kept, leftovers

CHROMIUM = os.environ.get("AUTOBUILD_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    # The first: what is fetched in the background is compiled anew though its code is kept. The others as Playwright has them.
    "--disable-features=BackgroundResourceFetch,PaintHolding,HttpsUpgrades,OptimizationHints,MediaRouter",
]
TESTS = Path(__file__).resolve().parent
LONGEST_FIRST = (
    "browser/",
    "app/",
    "unit/evaluators/test_dask",
    "unit/benchmark/",
    "unit/predictor/",
    "unit/review/",
    "unit/jobs/",
    "contracts/test_searchers",
    "contracts/",
    "unit/loop/",
    "unit/search/",
    "unit/evaluators/",
    "unit/test_cli",
)
_left_out: list[str] = []
_left_behind: list[str] = []
leftovers.mark()
keep_freed_memory()  # as the command and the workers do: without it a third of what large arrays cost is page faults
# No example fails for want of time: what else runs on the machine decides that.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


def _turn(item: pytest.Item) -> int:
    """Where a test's folder or file stands in LONGEST_FIRST."""
    place = item.path.relative_to(TESTS).as_posix()
    return next((turn for turn, folder in enumerate(LONGEST_FIRST) if place.startswith(folder)), len(LONGEST_FIRST))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take long come first, so that no worker is left with one when the other is done.

    Browser tests need Chromium: without it they are skipped, or fail where AUTOBUILD_REQUIRE_BROWSER is set.
    """
    items.sort(key=_turn)
    for item in items:
        if "trained" in getattr(item, "fixturenames", ()):
            item.add_marker("training")
    if CHROMIUM is not None:
        return
    for item in items:
        if item.get_closest_marker("browser"):
            if os.environ.get("AUTOBUILD_REQUIRE_BROWSER"):
                raise pytest.UsageError("browser tests: got no chromium, expected one since AUTOBUILD_REQUIRE_BROWSER is set.")
            item.add_marker(pytest.mark.skip(reason="Chromium is missing"))
            _left_out.append(item.nodeid)


@pytest.hookimpl(trylast=True)  # xdist ends its workers before
def pytest_sessionfinish(session: pytest.Session) -> None:
    """A session that leaves a process behind has failed, and the process is ended."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        _left_behind.extend(leftovers.end())
        session.exitstatus = pytest.ExitCode.TESTS_FAILED if _left_behind else session.exitstatus


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """The last thing seen when browser tests were left out, or processes left behind."""
    for line in _left_behind:
        terminalreporter.write_line(f"LEFT BEHIND, now ended: {line}", red=True, bold=True)
    skipped = [r for r in terminalreporter.stats.get("skipped", []) if "Chromium is missing" in str(r.longrepr)]
    if skipped or _left_out:
        terminalreporter.write_sep("*", "THE BROWSER TESTS DID NOT RUN: Chromium is missing", red=True, bold=True)


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """Debian's Chromium for pytest-playwright's `page` and `browser`."""
    return {**browser_type_launch_args, "executable_path": CHROMIUM, "args": CHROMIUM_ARGUMENTS}


@pytest.fixture(scope="session", autouse=True)
def _kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What is trained once is shared by all workers; what trained it ends with the session."""
    kept.begin(tmp_path_factory.getbasetemp())
    yield
    forge.end()


@pytest.fixture(autouse=True)
def _no_shared_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test touches ./workspace, and none leaves a supervisor behind."""
    monkeypatch.setenv("AUTOBUILD_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.setenv("AUTOBUILD_WARM", "0")


def macro_table(num_rows: int, seed: int = 0) -> ArchTable:
    """NAS-Bench-Macro encodings with an additive "acc" and a "flops", one row refused."""
    space = space_named("nas_bench_macro")
    codes = space.enumerate()
    assert codes is not None
    rng = np.random.default_rng(seed)
    codes = codes[np.sort(rng.permutation(len(codes))[:num_rows])]
    acc = 88 + codes @ np.linspace(0.2, 0.5, 8) + rng.normal(0, 0.1, num_rows)
    metrics = pd.DataFrame({"acc": acc, "flops": 1e6 * (1 + codes.sum(1))})
    rows = np.arange(1, num_rows + 1)
    rejected = (Rejection(0, "key: got 9 digits, expected 8."),)
    return ArchTable(
        space.spec, codes, space.hash_networks(codes), metrics, rows, "nas_bench_macro", num_rows + 1, rejected, ("a note",)
    )


@pytest.fixture
def table() -> ArchTable:
    """Sixty architectures."""
    return macro_table(60)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """An empty workspace."""
    return Workspace(tmp_path / "workspace")


@pytest.fixture(scope="session")
def trained(_kept: None) -> Any:
    """One finished run (`autobuild_core.api.Run`) that the tests of the learning core share; nothing may write into it."""
    from autobuild_core.api import Run
    from tests.learning import trained_run

    return Run(kept.once("learning", trained_run))
