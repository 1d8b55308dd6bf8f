"""The process's wishes reach the C libraries, and the user's own come first."""

import os
import platform
import subprocess
import sys

import pytest

from autobuild_core.memory import wait_briefly

ASK = (
    "from autobuild_core.memory import wait_briefly; wait_briefly(); "
    "import ctypes; c = ctypes.CDLL(None); c.getenv.restype = ctypes.c_char_p; print(c.getenv(b'GOMP_SPINCOUNT').decode())"
)


@pytest.mark.parametrize(("own", "expected"), [(None, "1000"), ("5", "5")])
def test_waiting_threads_sleep_soon_unless_the_user_says_otherwise(own: str | None, expected: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"}
    if own:
        environment["GOMP_SPINCOUNT"] = own
    done = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == expected  # as libgomp will read it


def test_it_leaves_a_setting_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    wait_briefly()
    assert os.environ["GOMP_SPINCOUNT"] == "7"


def test_freed_memory_is_kept_where_the_library_is_glibc() -> None:
    code = "from autobuild_core.memory import keep_freed_memory; print(keep_freed_memory())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(platform.libc_ver()[0] == "glibc")
