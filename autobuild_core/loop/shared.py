"""A data set's candidates in a workspace: what pages hand out, and results that they take in."""

from pathlib import Path

from autobuild_core.architectures.records import ArchTable
from autobuild_core.loop import telling
from autobuild_core.store.workspace import Workspace


def tell(
    workspace: Workspace, dataset_id: str, path: Path, read: telling.Read, origin: str = "", run: str = "", source: str = ""
) -> tuple[telling.Told, str]:
    """Takes a file of results into a data set of a workspace and into its list of candidates.

    Args:
        workspace: of the data set.
        dataset_id: any version of it; results join the newest.
        path: the file, as `telling.join` takes it.
        read: reads a file by the data set's columns.
        origin: where the results come from; the file's name unless given.
        run: id of the run that proposed the architectures.
        source: what the list remembers to have heard; `origin` unless given.

    Returns:
        The outcome, and the id of the newest version of the data.

    Raises:
        RunError: there is no such data set.
        DataError: the file cannot be read, or no row of it is a new result.
        ConfigError: another version was made meanwhile, or the disk cap would be passed.
    """
    newest = made = workspace.newest_version(dataset_id)

    def keep(table: ArchTable) -> None:
        nonlocal made
        made = workspace.add_version(newest, table)

    data, log = workspace.dataset(newest), workspace.candidates(newest)
    told = telling.take_in(path, data, log, read, keep, origin, run, source)
    return told, made
