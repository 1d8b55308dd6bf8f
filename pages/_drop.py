"""A dropped file whose columns are being looked at, before it is a data set."""

from typing import Any

from autobuild_core.errors import StudioError
from pages import _memory, _workspace

NOTHING_SAID: dict[str, Any] = {"roles": {}, "like": "", "declared": "", "declared_name": "", "turn": 0}


class Drop:
    """A dropped file whose columns are being looked at: kept in the workspace, so that a reload loses nothing that was said.

    Args:
        upload_id: of the workspace's upload.

    Raises:
        RunError: there is none of that id.
    """

    def __init__(self, upload_id: str) -> None:
        self.id = upload_id
        self.path, self.mapping = _workspace.workspace().upload(upload_id)

    @property
    def name(self) -> str:
        """The name of the file."""
        return str(self.mapping["name"])

    def say(self, **changes: Any) -> None:
        """Keeps changes of its mapping, which has the keys of NOTHING_SAID."""
        self.mapping = self.mapping | changes
        _workspace.workspace().set_mapping(self.id, self.mapping)


def dropped() -> Drop | None:
    """The dropped file whose columns are being looked at; None where there is none any more."""
    if (wanted := _memory.recall("drop")) is None:
        return None
    try:
        return Drop(wanted)
    except StudioError:
        _memory.keep(drop=None)
        return None
