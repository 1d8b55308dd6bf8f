"""The importance graph as plain data for the component of the pages: one drawing, its colours at every hop and every lens.

All colours, of both themes, are sent once, so that the browser recolours without asking. A record is what a node shows at a stop
of the hop slider: a module, or the mean of several (a folded block, the best tenth). A slot is a place of the drawing: one node,
or two side by side.
"""

import itertools
import json
import math
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autobuild_core.architectures.layout import GAP_X, GAP_Y, INPUT, NODE_HEIGHT, NODE_WIDTH, RADIUS
from autobuild_core.architectures.lens import TRAINED, Lens, bounds, change_words, evidence, score_words, short_values
from autobuild_core.architectures.module_table import Index
from autobuild_core.architectures.names import module_name
from autobuild_core.architectures.numbers import digits_for, signed, with_unit
from autobuild_core.architectures.records import ABSENT, Codes, SpaceSpec
from autobuild_core.architectures.topologies import topology_of
from autobuild_core.figures import drawing
from autobuild_core.figures.colours import Scale, ink_on
from autobuild_core.targets.costs import CostModel
from autobuild_core.targets.vocabulary import unit_of

THEMES = ("light", "dark")
WHOLE = "unit"  # the last stop: every layer shows the module that fills its unit
DEEPEST = 8
FOLD_FROM = 200  # nodes beyond which repeated blocks are folded at first
MOST_ROWS = 1000  # architectures that are averaged, evenly spaced over all that were asked for
PAIR_WIDTH, PAIR_GAP = 88.0, 6.0
SCORES = [
    *("embedding_norm", "score", "score_low", "score_high", "effect", "effect_low", "effect_high"),
    *("good", "good_low", "good_high", "num_evaluated"),
]


@dataclass(frozen=True, eq=False)
class Source:
    """Data that every graph of a run is drawn from.

    Args:
        spec: the search space.
        modules: the run's module table; `index` its `module_table.module_index`.
        scales: the run's scale of each lens.
        total: number of evaluated architectures.
        unit: unit of the target.
        cost: what layers cost; None where no metric tells.
    """

    spec: SpaceSpec
    modules: pd.DataFrame
    index: Index
    scales: dict[Lens, Scale]
    total: int
    unit: str
    cost: CostModel | None = None

    @property
    def stops(self) -> list[str]:
        """Stops of the hop slider: "0", "1", ... and WHOLE."""
        deepest = min(int(self.modules["hop"].max()), DEEPEST)
        return [*(str(hop) for hop in range(deepest + 1)), *([WHOLE] if topology_of(self.spec).whole_units else [])]

    def lines(self, row: Codes, stop: str) -> dict[int, int]:
        """{position: line of the module table} of what an architecture's nodes show at a stop."""
        if stop != WHOLE:
            found = drawing.node_lines(self.modules, self.index, self.spec, row, int(stop))
            return {position: line for position, line, _ in found}
        present = [p for p in range(self.spec.num_positions) if row[p] != ABSENT]
        shown: dict[int, int] = {}
        for number, unit in enumerate(self.spec.units):
            own = [p for p in unit.positions if p in present]
            starts = (drawing.unit_line(self.index, self.spec, row, own[start:], not start) for start in range(len(own)))
            line = next((one for one in starts if one is not None), None)
            state = topology_of(self.spec).state_of(number)
            nodes = own if state is None else [*own, state]
            shown |= dict.fromkeys(nodes, line) if line is not None else {}
        return shown


@dataclass(frozen=True, eq=False)
class Graph:
    """A drawing.

    Args:
        data: plain JSON, for the browser.
        lines: for each record, how often each line of the module table is in it.
    """

    data: dict[str, Any]
    lines: list["Counter[int]"]

    def nodes(self) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
        """{id: (slot, node)} of the nodes that can be chosen, in data-flow order."""
        return {node["id"]: (slot, node) for slot in self.data["slots"] for node in slot["nodes"] if node["of"]}

    def at(self, node: str, stop: str) -> "Counter[int]":
        """Lines of the module table that a node shows at a stop, counted; empty where nothing was scored."""
        record = self.nodes()[node][1]["of"][self.stop(stop)]
        return self.lines[record] if record >= 0 else Counter()

    def stop(self, stop: str) -> int:
        """Number of a stop, 0 where there is none of this name."""
        return next((i for i, one in enumerate(self.data["stops"]) if one["id"] == stop), 0)

    def find(self, line: int, stop: str) -> str | None:
        """Id of the first node that shows this line of the module table alone at a stop."""
        return next((node for node in self.nodes() if self.at(node, stop) == Counter([line])), None)


@dataclass(eq=False)
class _Records:
    """Weighted means over lines of the module table, each kept once."""

    numbers: dict[tuple[tuple[int, int], ...], int] = field(default_factory=dict)

    def add(self, lines: "Counter[int]") -> int:
        """Number of the record; -1 where it has no line."""
        if not lines:
            return -1
        shared = math.gcd(*lines.values())
        key = tuple(sorted((line, count // shared) for line, count in lines.items()))
        return self.numbers.setdefault(key, len(self.numbers))

    def frame(self, modules: pd.DataFrame) -> pd.DataFrame:
        """One line a record: the mean scores and means of interval ends (as if all errors were one), and `many`."""
        values = modules[SCORES].to_numpy(float)
        rows = []
        for key in self.numbers:
            lines, counts = (np.array(part) for part in zip(*key, strict=True))
            rows.append(counts @ values[lines] / counts.sum())
        frame = pd.DataFrame(np.array(rows).reshape(-1, len(SCORES)), columns=SCORES)
        return frame.assign(many=[len(key) for key in self.numbers], line=[key[0][0] for key in self.numbers])


def one_graph(source: Source, row: Codes) -> Graph:
    """An architecture.

    Args:
        source: the run.
        row: (num_positions,) codes.
    """
    return _Drawing(source, {"": row}).graph()


def pair_graph(source: Source, first: Codes, second: Codes) -> Graph:
    """Two architectures side by side, aligned by unit and layer, with what changes from the first to the second."""
    return _Drawing(source, {"A": first, "B": second}).graph()


def mean_graph(source: Source, rows: Codes, name: str = "the best tenth") -> Graph:
    """The mean over architectures: each position with its commonest layer, coloured by the mean of what stands there.

    Args:
        source: the run.
        rows: (n, num_positions) codes, best first.
        name: what they are.
    """
    if len(rows) > MOST_ROWS:
        rows = rows[np.linspace(0, len(rows) - 1, MOST_ROWS).round().astype(int)]
    return _Drawing(source, {"": commonest(rows)}, rows, name).graph()


def standalone_html(graph: Graph, stop: str, lens: Lens, title: str) -> str:
    """One HTML file that shows a graph at a stop through a lens without any other file or host (pyvis, scripts in line).

    Args:
        graph: of one architecture, of two, or a mean.
        stop: of the hop slider.
        lens: what colours it.
        title: heading of the file.
    """
    from pyvis.network import Network  # here: only this download needs it

    data, number = graph.data, graph.stop(stop)
    network = Network(height="640px", width="100%", directed=True, cdn_resources="in_line")
    if data["input"]:
        network.add_node(INPUT, label=INPUT, x=0, y=0, shape="circle", physics=False, color="#c3c8d2")
    nodes = graph.nodes()
    for slot, node in nodes.values():
        sides = len(slot["nodes"])
        step = 0.0 if sides == 1 else 1.3 * RADIUS if slot["kind"] == "sum" else (data["size"]["width"] + PAIR_GAP) / 2
        value, told, look = _as_vis_node(data["records"], node["of"][number], lens)
        title_lines = "\n".join([f"{node['id']}: {node['token']}", *told, node["note"]]).strip()
        network.add_node(
            node["id"],
            label=f"{node['text']}\n{value}",
            title=title_lines.replace("href", "hre\u200bf"),  # with "href" in a title pyvis writes titles as HTML
            x=slot["x"] + (step if node["side"] == "B" else -step),
            y=slot["y"],
            shape="circle" if slot["kind"] == "sum" else "box",
            physics=False,
            **look,
        )
    for side in dict.fromkeys(node["side"] for _, node in nodes.values()):
        own = {slot["id"]: node["id"] for slot, node in nodes.values() if node["side"] == side} | {INPUT: INPUT}
        loose = {slot["id"] for slot, _ in nodes.values() if slot["loose"]}
        for before, after in data["edges"] if data["free"] else itertools.pairwise(name for name in own if name != INPUT):
            if not {before, after} & loose:
                network.add_edge(own[before], own[after], color="#9aa0ad")
    network.toggle_physics(False)
    page: str = network.generate_html(notebook=False)
    page = re.sub(r"<(link|script)[^>]*?(href|src)=\"https?://[^>]*>(\s*</script>)?", "", page, flags=re.S)
    page = re.sub(r"<center>\s*<h1>.*?</h1>\s*</center>", "", page, flags=re.S)
    legend = next(one["legend"]["light"] for one in data["lenses"] if one["id"] == lens.value)
    strip = f'<div style="width:360px;height:12px;background:linear-gradient(90deg,{", ".join(legend["stops"])})"></div>'
    labels = escape(" · ".join(legend["labels"]))
    heading = f'<h1 style="font-size:18px">{escape(title)}</h1>{strip}<p>{escape(lens.label)}: {labels}</p>'
    return page.replace("<body>", f'<body style="font-family:sans-serif;margin:24px">{heading}', 1)


def _as_vis_node(records: dict[str, Any], record: int, lens: Lens) -> tuple[str, list[str], dict[str, Any]]:
    """Value, words and looks of a record as a node of vis-network; of -1, that it was not scored."""
    font = {"size": 14, "face": "sans-serif"}
    if record < 0:
        return "", ["not scored"], {"color": {"background": "#ffffff", "border": "#9aa0ad"}, "font": font}
    paint = records["paint"][lens.value]
    fill, line, ink = (paint["light"][part][record] for part in ("fill", "line", "ink"))
    look = {"color": {"background": fill, "border": line}, "font": font | {"color": ink}}
    return paint["value"][record], [records["name"][record], paint["words"][record]], look


def commonest(rows: Codes) -> Codes:
    """(num_positions,) the commonest layer of each position; ABSENT only where no row has one."""
    found = []
    for column in np.asarray(rows).T:
        values, counts = np.unique(column[column != ABSENT], return_counts=True)
        found.append(int(values[counts.argmax()]) if len(values) else ABSENT)
    return np.array(found, np.int16)


class _Drawing:
    """Builds the data of one graph.

    Args:
        source: the run.
        sides: architectures by the name of their side; one has the name "".
        rows: the architectures that are averaged, None for a graph of single ones.
    """

    def __init__(self, source: Source, sides: dict[str, Codes], rows: Codes | None = None, name: str = "") -> None:
        self.source, self.spec, self.sides, self.rows, self.name = source, source.spec, sides, rows, name
        self.records, self.stops, self.topology = _Records(), source.stops, topology_of(source.spec)
        self.added = source.cost.layers() if source.cost else None
        self.shown = {side: self._shown(row) for side, row in sides.items()}
        tables = {side: drawing.architecture_table(self.spec, row) for side, row in sides.items()}
        self.nodes = {side: {int(n["position"]): n for n in table.to_dict("records")} for side, table in tables.items()}

    def _shown(self, row: Codes) -> list[dict[int, "Counter[int]"]]:
        """For each stop: {position: how often each line of the module table stands there}."""
        rows = [row] if self.rows is None else list(self.rows)
        found = []
        for stop in self.stops:
            counts: dict[int, Counter[int]] = {}
            for one in rows:
                for position, line in self.source.lines(one, stop).items():
                    counts.setdefault(position, Counter())[line] += 1
            found.append(counts)
        return found

    def graph(self) -> Graph:
        """All of it."""
        data = self._data()
        return Graph(data, [Counter(dict(key)) for key in self.records.numbers])

    def _data(self) -> dict[str, Any]:
        slots = [
            self._slot(position) for position in sorted({p for nodes in self.nodes.values() for p in nodes}, key=self._order)
        ]
        known = {INPUT, *(slot["id"] for slot in slots)}
        edges = [[before, slot["id"]] for slot in slots for before in slot.pop("after") if before in known]
        folds = self._folds(slots)
        changes = self._changes(slots) if len(self.sides) == 2 else []
        frame = self.records.frame(self.source.modules)
        num_nodes = sum(len(slot["nodes"]) for slot in slots)
        return {
            "slots": slots,
            "edges": edges,
            "units": [unit.label for unit in self.spec.units],
            "loose": [unit.label for number, unit in enumerate(self.spec.units) if self.topology.apart(number)],
            "free": not self.topology.in_order,
            "input": any(before == INPUT for before, _ in edges),
            "folds": folds,
            "folded": num_nodes > FOLD_FROM,
            "stops": [{"id": stop, "name": stop_name(stop)} for stop in self.stops],
            "lenses": [self._lens(lens) for lens in TRAINED],
            "records": self._names(frame) | {"paint": {lens.value: self._painted(frame, lens) for lens in TRAINED}},
            "changes": {lens.value: self._change_paint(frame, changes, lens) for lens in TRAINED},
            "size": {
                "width": NODE_WIDTH if len(self.sides) == 1 else PAIR_WIDTH,
                "height": NODE_HEIGHT,
                "gap": PAIR_GAP,
                "row": NODE_HEIGHT + GAP_Y,
                "radius": RADIUS,
            },
        }

    # Slots

    def _order(self, position: int) -> tuple[int, int]:
        """Units in data-flow order, a state behind its layers."""
        return self.topology.node_units[position], position

    def _slot(self, position: int) -> dict[str, Any]:
        here = {side: nodes[position] for side, nodes in self.nodes.items() if position in nodes}
        any_one = next(iter(here.values()))
        wider = (2 * PAIR_WIDTH + PAIR_GAP + GAP_X + 4) / (NODE_WIDTH + GAP_X)
        stretch = wider if len(self.sides) == 2 else 1.0
        down = 1.0
        if any_one["loose"] and len(self.sides) == 2:  # pairs of cards stay apart, and below a pair is the change
            stretch, down = 1.12 * wider, 1.25
        return {
            "id": str(any_one["label"]),
            "unit": str(any_one["unit"]),
            "x": float(any_one["x"]) * stretch,
            "y": float(any_one["y"]) * down,
            "kind": any_one["kind"],
            "after": list(any_one["after"]),
            "loose": any_one["loose"],
            "nodes": [self._node(side, position) for side in self.sides],
            "differs": len({here[side]["token"] if side in here else "" for side in self.sides}) > 1,
        }

    def _node(self, side: str, position: int) -> dict[str, Any]:
        node = self.nodes[side].get(position)
        label = self.topology.node_labels[position]
        known = {"id": f"{side}:{label}" if side else label, "side": side}
        if node is None:
            return known | {"text": "no layer", "token": "", "corner": "", "note": "", "of": []}
        corner, note = self._cost(position, str(node["token"])) if position < self.spec.num_positions else ("", "")
        if self.rows is not None and position < self.spec.num_positions:
            corner, often = self._share(position)
            note = f"{often} {note}".strip()
        of = [self.records.add(shown.get(position, Counter())) for shown in self.shown[side]]
        return known | {"text": str(node["text"]), "token": str(node["token"]), "corner": corner, "note": note, "of": of}

    def _cost(self, position: int, token: str) -> tuple[str, str]:
        """Cost of a layer: for the corner of its box, and as a sentence."""
        if self.added is None or self.source.cost is None:
            return "", ""
        value, metric = float(self.added[position, self.spec.tokens.index(token)]), self.source.cost.metric
        if not np.isfinite(value):
            return "", ""
        if not value:
            return short_cost(value, metric), f"The cheapest that may stand here, by {metric}."
        short = short_cost(value, metric)
        return short, f"Costs {short} ({metric}) over the cheapest that may stand here."

    def _share(self, position: int) -> tuple[str, str]:
        """Frequency of the layer that is drawn in what is averaged."""
        assert self.rows is not None
        column = np.asarray(self.rows)[:, position]
        same, there = float((column == self.sides[""][position]).mean()), float((column != ABSENT).mean())
        without = f"; {there:.0%} have a layer here" if there < 1 else ""
        return f"{same:.0%}", f"In {same:.0%} of {self.name}{without}."

    # Folds

    def _folds(self, slots: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Blocks of equal layers in a row, or whole units where those are still too many to look at; none in free graphs."""
        if not self.topology.in_order:
            return []
        runs = _runs(slots, lambda slot: (slot["unit"], *(node["token"] for node in slot["nodes"])))
        if len(slots) - sum(len(run) - 1 for run in runs) > FOLD_FROM:
            runs = _runs(slots, lambda slot: (slot["unit"],))
        return [self._fold(run) for run in runs if all(node["of"] for slot in run for node in slot["nodes"])]

    def _fold(self, run: list[dict[str, Any]]) -> dict[str, Any]:
        nodes, keys = [], [Counter(dict(key)) for key in self.records.numbers]
        for place, node in enumerate(run[0]["nodes"]):
            own = [slot["nodes"][place] for slot in run]
            alike = len({one["token"] for one in own}) == 1
            lines = [[keys[one["of"][stop]] for one in own if one["of"][stop] >= 0] for stop in range(len(self.stops))]
            of = [self.records.add(sum(some, Counter())) for some in lines]
            text = f"{len(run)} x {node['text']}" if alike else f"{len(run)} layers"
            ends = f"{run[0]['id']} to {run[-1]['id']}"
            note = f"{len(run)} layers folded, {ends}; what they show is averaged. Enter or a click unfolds them."
            ident = f"fold:{node['id']}"
            nodes.append(
                {"id": ident, "side": node["side"], "text": text, "token": node["token"], "corner": "", "note": note, "of": of}
            )
        return {"id": f"fold:{run[0]['id']}", "slots": [slot["id"] for slot in run], "nodes": nodes}

    # Changes

    def _changes(self, slots: list[dict[str, Any]]) -> list[tuple[int, int]]:
        """(record of A, record of B) of every change; slots get `change`: one number a stop, -1 where nothing changes."""
        numbers: dict[tuple[int, int], int] = {}
        for slot in slots:
            first, second = (node["of"] or [-1] * len(self.stops) for node in slot["nodes"])
            pairs = zip(first, second, strict=True)
            slot["change"] = [numbers.setdefault((a, b), len(numbers)) if a != b and min(a, b) >= 0 else -1 for a, b in pairs]
        return list(numbers)

    def _change_paint(self, frame: pd.DataFrame, changes: list[tuple[int, int]], lens: Lens) -> dict[str, Any]:
        """Colours and words of B minus A; the interval is that of two independent errors."""
        if not changes:
            return {theme: {} for theme in THEMES} | {"value": [], "words": []}
        scale = self.source.scales[lens]
        low, high = bounds(frame, lens)
        first, second = np.array(changes).T
        value, low, high = (np.asarray(part, float) for part in (frame[lens.value], low, high))
        change = value[second] - value[first]
        half = np.hypot(*((high - low)[side] / 2 for side in (first, second)))
        digits = digits_for(0, 2 * float(np.median(half))) if lens is Lens.SCORE else 2
        short = [f"{100 * one:+.0f} pp" if lens is Lens.GOOD else signed(one, digits) for one in change]
        sentences = [change_words(one, wide, lens, self.source.unit) for one, wide in zip(change, half, strict=True)]
        return _colours(scale, scale.centre + change, half) | {"value": short, "words": sentences}

    # Colours

    def _lens(self, lens: Lens) -> dict[str, Any]:
        legend = {theme: drawing.legend(self.source.scales[lens], theme) for theme in THEMES}
        return {"id": lens.value, "name": lens.label, "explained": lens.explained, "legend": legend}

    def _names(self, frame: pd.DataFrame) -> dict[str, Any]:
        """Of each record: its module's name, and the labels of the places that it covers."""
        names, reach = [], []
        modules = self.source.modules
        places, layers = modules["positions"].tolist(), modules["layers"].tolist()
        for many, line in zip(frame["many"], frame["line"], strict=True):
            names.append(module_name(places[line], layers[line]) if many == 1 else f"Mean of {many} modules")
            reach.append(json.loads(places[line]) if many == 1 else [])
        return {"name": names, "reach": reach}

    def _painted(self, frame: pd.DataFrame, lens: Lens) -> dict[str, Any]:
        """Colours and words of every record through a lens; `unsure` where the interval holds the average."""
        if frame.empty:
            return {theme: {} for theme in THEMES} | {"value": [], "words": [], "unsure": []}
        scale = self.source.scales[lens]
        low, high = (np.asarray(part, float) for part in bounds(frame, lens))
        sentences = []
        for line in frame.to_dict("records"):
            seen = f", {evidence(int(line['num_evaluated']), self.source.total)}" if line["many"] == 1 else ""
            sentences.append(score_words(line, lens, self.source.unit) + seen)
        unsure = (low <= scale.centre) & (scale.centre <= high) & (lens is not Lens.NORM)
        paint = _colours(scale, frame[lens.value].to_numpy(float), (high - low) / 2)
        return paint | {"value": short_values(frame, lens), "words": sentences, "unsure": [int(one) for one in unsure]}


def _colours(scale: Scale, values: NDArray[np.float64], half: NDArray[np.float64]) -> dict[str, Any]:
    """By theme: fill, outline and ink of values with the half widths of their intervals."""
    found: dict[str, Any] = {}
    for theme in THEMES:
        fill = [scale.fill(value, value - wide, value + wide, theme) for value, wide in zip(values, half, strict=True)]
        line = [scale.line(value, theme) for value in values]
        found[theme] = {"fill": fill, "line": line, "ink": [ink_on(one) for one in fill]}
    return found


def _runs(slots: list[dict[str, Any]], key: Callable[[dict[str, Any]], tuple[Any, ...]]) -> list[list[dict[str, Any]]]:
    """Neighbouring slots with equal keys, two or more."""
    groups = [list(group) for _, group in itertools.groupby(slots, key)]
    return [group for group in groups if len(group) > 1]


def stop_name(stop: str) -> str:
    """A stop of the hop slider in words."""
    if stop == WHOLE:
        return "Whole unit"
    return "Hop 0: the layer alone" if stop == "0" else f"Hop {stop}: {int(stop) + 1} layers"


def short_cost(value: float, metric: str) -> str:
    """A cost in a few characters: "0.17 M", "6.4 ms"."""
    unit = unit_of(metric) if len(unit_of(metric)) <= 2 else ""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size and not unit:
            value, unit = value / size, letter
    text = f"{value:.2g}" if abs(value) < 10 else f"{value:.0f}"
    return with_unit(text, unit)
