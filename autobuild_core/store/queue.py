"""The queue in a workspace's registry, as a worker speaks with it: it takes up its run, says that it lives, asks, and ends.

Each call returns whether the registry still knows this very process as the run's worker.
"""

import os
import time

from autobuild_core.store.workspace import Workspace


def begin(workspace: Workspace, run_id: str) -> bool:
    """The worker takes up its run; False when the registry did not start this very process for it."""
    with workspace.connect(write=True) as connection:
        query = "UPDATE runs SET heartbeat = ? WHERE id = ? AND state = 'running' AND pid = ?"
        ours = connection.execute(query, (time.time(), run_id, os.getpid())).rowcount == 1
        if ours:
            workspace.run(run_id).set_state("running")
    return ours


def beat(workspace: Workspace, run_id: str) -> bool:
    """The worker lives. A run held for lost meanwhile (a machine that slept) is running again."""
    mine = (run_id, os.getpid())
    with workspace.connect(write=True) as connection:
        entry = connection.execute("SELECT state FROM runs WHERE id = ? AND pid = ?", mine).fetchone()
        if entry is None or entry["state"] not in ("running", "lost"):
            return False
        connection.execute("UPDATE runs SET heartbeat = ?, state = 'running' WHERE id = ? AND pid = ?", (time.time(), *mine))
        if entry["state"] == "lost":
            workspace.run(run_id).set_state("running")
    return True


def cancel_asked(workspace: Workspace, run_id: str) -> float | None:
    """When the run was asked to end, seconds since 1970; None when it was not."""
    with workspace.connect() as connection:
        entry = connection.execute("SELECT cancel FROM runs WHERE id = ?", (run_id,)).fetchone()
    if entry is None:
        return 0.0  # deleted: nobody waits for it any more
    asked: float | None = entry["cancel"]
    return asked


def end(workspace: Workspace, run_id: str, state: str, error: str = "") -> bool:
    """The worker writes its run's last state; False when somebody else has ended it."""
    with workspace.connect(write=True) as connection:
        query = "UPDATE runs SET state = ? WHERE id = ? AND pid = ? AND state IN ('running', 'lost')"
        ours = connection.execute(query, (state, run_id, os.getpid())).rowcount == 1
        if ours:
            workspace.run(run_id).set_state(state, error)
    return ours
