"""Lists of a workspace after a test changed a run's folder by hand, as its worker would have said it."""

from autobuild_core.store import schema
from autobuild_core.store.workspace import Workspace


def read_again(workspace: Workspace, run_id: str) -> None:
    """Takes what lists show of a run from its folder."""
    names = workspace.runs().set_index("id")["name"]
    with workspace.connect(write=True) as connection:
        schema.put_run(connection, workspace.run(run_id), str(names[run_id]))
