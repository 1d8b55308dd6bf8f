"""A dropped file read with a mapping, in a process of its own."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from autobuild_core.architectures.records import ArchTable, ColumnRole
from autobuild_core.datasets._guarded import read_guarded
from autobuild_core.errors import StudioError
from autobuild_core.spaces._declared import from_json

MAX_SECONDS = 120.0


@dataclass(frozen=True, eq=False)
class Reading:
    """The result of reading a file with a mapping.

    Args:
        table: None where its columns make no space, or a column cannot be what it is said to be.
        columns: how they were read; () where reading did not come so far.
        sentence: why there is no table.
    """

    table: ArchTable | None
    columns: tuple[ColumnRole, ...]
    sentence: str = ""


def read(path: Path, roles: Mapping[str, str] | None = None, declared: str = "") -> Reading:
    """A file read with a mapping.

    Args:
        path: an upload.
        roles: {column: role} that a reader said.
        declared: text of space.json, "" to infer the space.
    """
    return _read(str(path), json.dumps(dict(roles or {}), sort_keys=True), declared)


@st.cache_resource(max_entries=6, show_spinner=False)
def _read(path: str, roles: str, declared: str) -> Reading:
    """Reads a file in a process of its own, once for each mapping; shared between sessions, never changed."""
    try:
        space = from_json(declared) if declared else None
        table = read_guarded(Path(path), roles=json.loads(roles), declared=space, max_seconds=MAX_SECONDS)
    except StudioError as error:
        return Reading(None, getattr(error, "columns", ()), str(error))
    return Reading(table, table.columns)
