"""The mapping step: the space as a file to download, edit and hand in, in place of the inferred one."""

import tempfile
from pathlib import Path

import streamlit as st

from autobuild_core.errors import StudioError
from autobuild_core.spaces._configspace import declared_json, read_declared
from autobuild_core.spaces._declared import to_json
from pages import _drop, _reading, _text

INFERRED = (
    "The space has the values that the rows have. Where more are valid, or some do not go together, edit this file and hand it "
    "back; the JSON that ConfigSpace writes is read too."
)
KNOWN = (
    "The space is a known one with all its operations. Where yours has fewer, take them out of this file and hand it back: "
    "averages then run over yours alone."
)


def declaring(drop: _drop.Drop, reading: _reading.Reading) -> None:
    """The space as a file to download, edit and hand in; in place of the inferred one."""
    declared = drop.mapping["declared"]
    if not declared and reading.table is None:
        return
    with st.expander("Declare the space yourself", expanded=bool(declared)):
        if declared:
            st.markdown(f"As **{_text.plain(drop.mapping['declared_name'])}** declares it.")
            if reading.table is None:
                st.error(_text.plain(reading.sentence, 600))
            if st.button("Infer it from the rows again", key="infer_space", icon=":material/undo:"):
                drop.say(declared="", declared_name="")
                st.rerun()
        else:
            st.caption(INFERRED if reading.table is not None and reading.table.spec.name == "flat" else KNOWN)
        if reading.table is not None:
            spec = reading.table.spec
            st.download_button(
                "space.json",
                lambda: declared_json(spec),
                "space.json",
                "application/json",
                key="space_json",
                icon=":material/download:",
                on_click="ignore",
            )
        _take_space(drop)


def _take_space(drop: _drop.Drop) -> None:
    """The place where a declared space is handed in; what is wrong with it stands below."""
    given = st.file_uploader("An edited space.json", key=f"space_{drop.id}_{drop.mapping['turn']}", max_upload_size=16)
    if given is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "space.json"
        path.write_bytes(given.getbuffer())
        try:
            text = to_json(read_declared(path))
        except StudioError as error:
            st.error(_text.plain(error, 600))
            return
    drop.say(declared=text, declared_name=given.name, turn=drop.mapping["turn"] + 1)
    st.rerun()
