"""A space of a closed loop put into the workspace: its data with the results of what was built, and the run of AutoBuild."""

import time

from autobuild_core.architectures.records import Batch
from autobuild_core.datasets import read_table
from autobuild_core.datasets._appending import append, fixed_roles
from autobuild_core.evaluators._results import FINISHED
from autobuild_core.jobs.kinds.loop.files import RUN, TITLES, LoopFiles
from autobuild_core.store.run_folder import RunFolder
from autobuild_core.store.tables import content_hash
from autobuild_core.store.workspace import Workspace


def keep(files: LoopFiles, space: str, name: str, workspace: Workspace) -> str:
    """Puts data and run of a space into the workspace, once, so that every page shows them.

    Args:
        files: of a loop that has ended.
        space: of SPACES.
        name: of the loop.
        workspace: where they go.

    Returns:
        The id of the run.

    Raises:
        RunError: the space has no finished run.
        ConfigError: the disk cap would be passed.
    """
    source = RunFolder(files.path / space / RUN)
    table, named = source.table(), f"{name[:90]}: {TITLES[space]}"
    runs = workspace.runs()
    known = runs[(runs["data_hash"] == content_hash(table)) & (runs["name"] == named)]
    if len(known):
        return str(known["id"].iloc[0])
    dataset, results = workspace.add_dataset(table, named), files.results(space, "built")
    has_results = any(line["state"] == FINISHED for line in results.read())
    if has_results and workspace.newest_version(dataset) == dataset:
        built = read_table(results.path, space=table.spec, roles=fixed_roles(table), joining=True)
        batch = Batch(results.path.name, time.time(), content_hash(table))
        workspace.add_version(dataset, append(table, built, batch).table)
    return workspace.adopt_run(source, named)
