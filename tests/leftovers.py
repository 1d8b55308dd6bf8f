"""Processes that a test session leaves behind: found by a word in their environment, which whatever a test starts inherits."""

import os
import secrets
import time

import psutil

NAME = "AUTOBUILD_TEST_SESSION"
PATIENCE_SECONDS = 20.0  # what is on its way out may go


def mark() -> None:
    """Marks this process and all that it starts; the workers of a session have the mark of the session."""
    os.environ.setdefault(NAME, secrets.token_hex(16))


def marked() -> list[psutil.Process]:
    """Processes of this session beside this one, zombies left out."""
    found = []
    for process in psutil.process_iter():
        try:
            mine = process.environ().get(NAME) == os.environ[NAME] and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            continue  # somebody else's, or gone meanwhile
        found += [process] if mine and process.pid != os.getpid() else []
    return found


def end() -> list[str]:
    """Waits for all processes of this session to go, and kills those that do not.

    Returns:
        The command lines of those that were killed.
    """
    limit = time.monotonic() + PATIENCE_SECONDS
    while (left := marked()) and time.monotonic() < limit:
        time.sleep(0.1)
    lines = []
    for process in left:
        try:
            lines.append(f"{process.pid}: {' '.join(process.cmdline())}")
            process.kill()
        except psutil.NoSuchProcess:
            continue
    return lines
