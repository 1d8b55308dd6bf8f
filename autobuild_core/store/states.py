"""The states of a run: one list for the folder, the registry, the worker, the executor and the pages.

A run is queued, then running, then finished, failed or cancelled. It is lost while its worker is silent, and running again when
that speaks. One that failed, was cancelled or lost is queued again where its kind of job resumes. It is damaged while its folder
cannot be read.
"""

from enum import StrEnum


class RunState(StrEnum):
    """The state of a run; a member is equal to its text in JSON, in SQL and in tables."""

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"
    DAMAGED = "damaged"

    @property
    def is_active(self) -> bool:
        """The run waits or runs."""
        return self in ACTIVE_STATES


ACTIVE_STATES = (RunState.QUEUED, RunState.RUNNING)
STOPPED_STATES = (RunState.FAILED, RunState.CANCELLED, RunState.LOST)  # ended without a result, and may be taken up again
ENDED_STATES = (RunState.FINISHED, *STOPPED_STATES)
