"""Tables of an evolution, worked out from its lines alone: generations, cells, their fitness over time, the learned space."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from autobuild_core.autospace.plan import EvolutionPlan
from autobuild_core.spaces._cells import OPERATIONS, Cell
from autobuild_core.spaces._learned import CellLists

Lines = Sequence[Mapping[str, Any]]


def plan_of(lines: Lines) -> EvolutionPlan:
    """The settings of an evolution."""
    return EvolutionPlan(**lines[0]["plan"])


def generations_table(lines: Lines) -> pd.DataFrame:
    """One row a generation from 1: generation, loss, alpha_loss, madds_m (expected), seconds; cells that entered and left.

    Numbers that an evolution of random fitness does not have are NaN.
    """
    rows = []
    for line in lines[1:]:
        row = {"generation": line["generation"]} | {
            name: line.get(name, np.nan) for name in ("loss", "alpha_loss", "madds_m", "seconds")
        }
        rows.append(row | {name: sum(len(layer[name]) for layer in line["layers"]) for name in ("entered", "left")})
    return pd.DataFrame(rows, columns=["generation", "loss", "alpha_loss", "madds_m", "seconds", "entered", "left"])


def cells_table(lines: Lines) -> pd.DataFrame:
    """One row a cell that ever was a member.

    Columns: layer (from 1), number, cell (name), written (the published form as text), mutation, parent, born, left (the
    generation; NaN of those that live), fitness (the last), seen, madds_k and params_k (in thousands, at the widths of the
    supernet).
    """
    skeleton, rows = plan_of(lines).skeleton_used, dict[tuple[int, int], dict[str, Any]]()
    for line in lines:
        for layer, own in enumerate(line["layers"]):
            for member in own["entered"]:
                cell = Cell.read(member["cell"])
                cost = skeleton.layer_cost(layer, cell)
                about = {"layer": layer + 1, "number": member["number"], "cell": cell.name, "written": cell.text}
                about |= {name: member[name] for name in ("mutation", "parent", "born")} | {"left": np.nan}
                about |= {"fitness": member["fitness"], "seen": 0}
                rows[layer, member["number"]] = about | {"madds_k": cost.madds / 1e3, "params_k": cost.params / 1e3}
            for number, _ in own["ran"]:
                rows[layer, number]["seen"] += 1
            for number, fitness, _ in own["alive"]:
                rows[layer, number]["fitness"] = fitness
            for number, fitness in own["left"]:
                rows[layer, number] |= {"fitness": fitness, "left": line["generation"]}
    frame = pd.DataFrame(list(rows.values()))
    return frame.astype({"parent": float, "left": float}).sort_values(["layer", "number"], ignore_index=True)


def fitness_table(lines: Lines) -> pd.DataFrame:
    """One row a generation and cell that lived at its end: layer, generation, number, fitness."""
    rows = [
        (layer + 1, line["generation"], number, fitness)
        for line in lines
        for layer, own in enumerate(line["layers"])
        for number, fitness, _ in own["alive"]
    ]
    return pd.DataFrame(rows, columns=["layer", "generation", "number", "fitness"])


def changes_table(lines: Lines, cells: pd.DataFrame) -> pd.DataFrame:
    """One row for every cell that entered or left after the start.

    Columns: generation, layer, change, cell, from (its parent), mutation, fitness (when it left; when it entered that of its
    parent), number.

    Args:
        lines: of the evolution.
        cells: its `cells_table`.
    """
    known = cells.set_index(["layer", "number"])
    rows = []
    for line in lines[1:]:
        for layer, own in enumerate(line["layers"], 1):
            changes = [("entered", member["number"], member["fitness"]) for member in own["entered"]]
            changes += [("left", number, fitness) for number, fitness in own["left"]]
            rows += [(line["generation"], layer, change, number, fitness) for change, number, fitness in changes]
    frame = pd.DataFrame(rows, columns=["generation", "layer", "change", "number", "fitness"])
    about = known.reindex(pd.MultiIndex.from_frame(frame[["layer", "number"]]))
    parents = pd.MultiIndex.from_arrays([frame["layer"], about["parent"].fillna(-1).astype(int).to_numpy()])
    origin = known["cell"].reindex(parents).fillna("").to_numpy()
    frame = frame.assign(cell=about["cell"].to_numpy(), mutation=about["mutation"].to_numpy()).assign(**{"from": origin})
    return frame[["generation", "layer", "change", "cell", "from", "mutation", "fitness", "number"]]


def mutations_table(cells: pd.DataFrame) -> pd.DataFrame:
    """One row a kind of mutation, an edge or the expansion: kind, tried, survived (live at the end), survived_pct, mean fitness.

    Args:
        cells: of `cells_table`.
    """
    born = cells[cells["parent"].notna()].assign(kind=lambda frame: frame["mutation"].str.extract(r"^(expansion|\d>\d)")[0])
    grouped = born.groupby("kind")
    found = pd.DataFrame({"tried": grouped.size(), "survived": grouped["left"].apply(lambda left: int(left.isna().sum()))})
    found["survived_pct"] = 100 * found["survived"] / found["tried"]
    return found.assign(fitness=grouped["fitness"].mean()).reset_index()


def diversity_table(lines: Lines) -> pd.DataFrame:
    """One row a generation and layer: distance, the mean number of edges and expansions in which two living cells differ."""
    rows, genes = [], dict[tuple[int, int], list[int]]()
    for line in lines:
        for layer, own in enumerate(line["layers"], 1):
            for member in own["entered"]:
                cell = Cell.read(member["cell"])
                genes[layer, member["number"]] = [*cell.operations, cell.expansion]
            alive = np.array([genes[layer, number] for number, _, _ in own["alive"]])
            pairs = len(alive) * (len(alive) - 1)
            differing = (alive[:, None] != alive[None]).sum() / pairs if pairs else 0.0
            rows.append((line["generation"], layer, float(differing)))
    return pd.DataFrame(rows, columns=["generation", "layer", "distance"])


def operations_table(lines: Lines) -> pd.DataFrame:
    """One row a generation and operation: share_pct of the edges of all living cells that have it."""
    rows, genes = [], dict[tuple[int, int], tuple[int, ...]]()
    for line in lines:
        counts = dict.fromkeys(OPERATIONS, 0)
        for layer, own in enumerate(line["layers"], 1):
            for member in own["entered"]:
                genes[layer, member["number"]] = Cell.read(member["cell"]).operations
            for number, _, _ in own["alive"]:
                for operation in genes[layer, number]:
                    counts[operation] += 1
        total = sum(counts.values())
        rows += [(line["generation"], OPERATIONS[n].name, 100 * count / total) for n, count in counts.items() if count]
    return pd.DataFrame(rows, columns=["generation", "operation", "share_pct"])


def lineage(cells: pd.DataFrame, layer: int, number: int) -> pd.DataFrame:
    """The rows of `cells_table` from the first ancestor of a cell to the cell itself."""
    own = cells[cells["layer"] == layer].set_index("number")
    chain = [number]
    while not np.isnan(own.loc[chain[-1], "parent"]):
        chain.append(int(own.loc[chain[-1], "parent"]))
    return own.loc[chain[::-1]].reset_index()


def learned_table(space: CellLists, widths: EvolutionPlan) -> pd.DataFrame:
    """One row a cell of a learned space: layer (from 1), cell, written, madds_k and params_k at the widths of the supernet."""
    rows = []
    for layer, cells in enumerate(space.layers):
        for cell in cells:
            cost = widths.skeleton_used.layer_cost(layer, cell)
            about = {"layer": layer + 1, "cell": cell.name, "written": cell.text}
            rows.append(about | {"madds_k": cost.madds / 1e3, "params_k": cost.params / 1e3})
    return pd.DataFrame(rows)
