"""Charts of an evolution, drawings of its cells, and the tables that they are made from."""

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from autobuild_core.autospace import EvolutionFolder, EvolutionPlan, evolve, tables
from autobuild_core.figures import cells as drawn
from autobuild_core.figures import evolution as charts
from autobuild_core.spaces._cells import REFERENCE, Cell

PLAN = EvolutionPlan(fitness="random", generations=8, seed=2)


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The generations of an evolution."""
    folder = tmp_path_factory.mktemp("evolution")
    evolve(PLAN, folder)
    return EvolutionFolder(folder).lines()


class TestTables:
    def test_cells(self, lines: list[dict[str, Any]]) -> None:
        cells = tables.cells_table(lines)
        assert len(cells) == sum(len(layer["entered"]) for line in lines for layer in line["layers"])
        alive = cells[cells["left"].isna()]
        assert alive.groupby("layer").size().tolist() == [PLAN.population] * 5
        for layer, own in alive.groupby("layer"):
            last = {number: (fitness, seen) for number, fitness, seen in lines[-1]["layers"][int(layer) - 1]["alive"]}
            assert dict(zip(own["number"], zip(own["fitness"], own["seen"], strict=True), strict=True)) == last
        one = cells[cells["parent"].notna()].iloc[0]
        assert one["born"] > 0 and Cell.read(one["written"]).name == one["cell"]
        cost = PLAN.skeleton_used.layer_cost(int(one["layer"]) - 1, Cell.read(one["written"]))
        assert (one["madds_k"], one["params_k"]) == (cost.madds / 1e3, cost.params / 1e3)

    def test_changes_say_what_entered_and_left_and_why(self, lines: list[dict[str, Any]]) -> None:
        cells = tables.cells_table(lines)
        changes = tables.changes_table(lines, cells)
        counts = changes["change"].value_counts()
        assert counts["entered"] == counts["left"] == cells["parent"].notna().sum()
        entered = changes[changes["change"] == "entered"]
        assert entered["from"].ne("").all() and entered["mutation"].str.match(r"^(expansion|\d>\d:)").all()
        first = tables.cells_table(lines[:1])
        assert tables.changes_table(lines[:1], first).empty and tables.mutations_table(first).empty

    def test_mutations_are_counted_by_what_they_change(self, lines: list[dict[str, Any]]) -> None:
        cells = tables.cells_table(lines)
        found = tables.mutations_table(cells).set_index("kind")
        assert found["tried"].sum() == cells["parent"].notna().sum()
        born = cells[cells["parent"].notna() & cells["mutation"].str.startswith("expansion")]
        assert found.loc["expansion", ["tried", "survived"]].tolist() == [len(born), born["left"].isna().sum()]

    def test_lineage_goes_back_to_the_start(self, lines: list[dict[str, Any]]) -> None:
        cells = tables.cells_table(lines)
        youngest = cells[cells["layer"] == 3].sort_values("born").iloc[-1]
        chain = tables.lineage(cells, 3, int(youngest["number"]))
        assert np.isnan(chain["parent"].iloc[0]) and chain["number"].iloc[-1] == youngest["number"]
        assert chain["parent"].iloc[1:].tolist() == chain["number"].iloc[:-1].tolist()

    def test_diversity_and_operations(self, lines: list[dict[str, Any]]) -> None:
        diversity, shares = tables.diversity_table(lines), tables.operations_table(lines)
        assert diversity["distance"].between(0, 7).all() and len(diversity) == 9 * 5
        assert shares.groupby("generation")["share_pct"].sum().to_numpy() == pytest.approx(100)
        same = [{"layers": [{"entered": [m | {"number": n} for n, m in enumerate([lines[0]["layers"][0]["entered"][0]] * 3)],
                             "alive": [[n, 0.0, 0] for n in range(3)]}], "generation": 0}]  # fmt: skip
        assert tables.diversity_table(same)["distance"].tolist() == [0.0]

    def test_generations(self, lines: list[dict[str, Any]]) -> None:
        found = tables.generations_table(lines)
        assert found["generation"].tolist() == list(range(1, 9)) and found["loss"].isna().all()
        assert (found["entered"] == found["left"]).all() and tables.generations_table(lines[:1]).empty


class TestCharts:
    def test_a_stream_has_a_band_a_cell_that_adds_up(self, lines: list[dict[str, Any]]) -> None:
        cells = tables.cells_table(lines)
        stream = charts.stream_table(tables.fitness_table(lines), cells)
        assert stream.groupby(["layer", "generation"])["share"].sum().to_numpy() == pytest.approx(1)
        figure = charts.stream_figure(stream, [1, 2], (2, 0), "dark")
        lived = stream[stream["layer"] <= 2].drop_duplicates(["layer", "number"])  # some left in the generation that they entered
        bands = [trace for trace in figure.data if trace.mode == "lines"]
        assert len(bands) == len(lived) < (cells["layer"] <= 2).sum()
        assert [trace.fillcolor for trace in bands].count(charts.CHOSEN[1]) == 1
        fittest = stream[(stream["layer"] == 1) & (stream["generation"] == 8)].sort_values("fitness")
        assert fittest["share"].is_monotonic_increasing
        marks = [trace for trace in figure.data if trace.mode == "markers"]
        assert [len(trace.x) for trace in marks] == [(stream["layer"] == layer).sum() for layer in (1, 2)]
        one = stream[(stream["layer"] == 2) & (stream["generation"] == 8)].sort_values("number")
        assert one["middle"].to_numpy() == pytest.approx(one["share"].cumsum().to_numpy() - one["share"].to_numpy() / 2)

    def test_the_course_names_its_lines_without_overlap(self, lines: list[dict[str, Any]]) -> None:
        given = tables.generations_table(lines), tables.diversity_table(lines), tables.operations_table(lines)
        figure = charts.course_figure(*given, 0.6)
        names = next(trace for trace in figure.data if trace.mode == "text")
        assert set(names.text) == {"none", "skip", "conv 1x1", "dw 3x3"}
        gaps = np.diff(sorted(names.y))
        assert (gaps >= charts.LABEL_SHARE * given[2]["share_pct"].max() - 1e-9).all()
        assert any(shape.y0 == 0.6 for shape in figure.layout.shapes)

    def test_the_fitness_of_a_cell_and_its_ancestors(self, lines: list[dict[str, Any]]) -> None:
        cells = tables.cells_table(lines)
        child = cells[(cells["layer"] == 1) & cells["parent"].notna()].iloc[0]
        chain = tables.lineage(cells, 1, int(child["number"]))
        stream = charts.stream_table(tables.fitness_table(lines), cells)
        figure = charts.fitness_figure(stream, chain)
        assert [trace.name for trace in figure.data] == chain["cell"].tolist()
        assert figure.data[-1].line.width > figure.data[0].line.width


class TestCells:
    @pytest.mark.parametrize("theme", ["light", "dark"])
    def test_a_cell_is_drawn_as_its_live_graph(self, theme: str) -> None:
        cell = Cell((5, 3, 1, 1, 2, 7), 1)
        svg = ElementTree.fromstring(drawn.cell_svg(cell, "a <caption> & more", theme))
        texts = [element.text for element in svg.iter() if element.tag.endswith("text")]
        assert texts[:4] == ["3", "c", "s", "5"] and texts[4:] == ["x3", "a <caption> & more"]
        paths = [element.get("d") for element in svg.iter() if element.tag.endswith("path")]
        assert len(paths) == len(cell.live) == 4
        dead = ElementTree.fromstring(drawn.cell_svg(Cell((1, 5, 1, 1, 1, 5), 0)))
        assert len([element for element in dead.iter() if element.tag.endswith("circle")]) == 3, "node 1 is not there"

    def test_a_grid_of_cells_says_what_they_are(self) -> None:
        html = drawn.cells_html([("layer <1>", [(cell, "x") for cell in REFERENCE]), ("layer 2", [])])
        assert html.count("<img") == 3 and "layer &lt;1&gt;" in html and html.count("<span></span>") == 3
        assert 'alt="Cell e6_3|-s|--s: expansion 6, 0 to 1 dw 3x3, 1 to 2 skip, 2 to 3 skip"' in html

    def test_letters_read_well_on_their_paper(self) -> None:
        def luminance(colour: str) -> float:
            parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
            linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
            return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

        for own in drawn.COLOURS.values():
            for theme, (_, paper, _) in drawn.INKS.items():
                low, high = sorted((luminance(own[theme]), luminance(paper)))
                assert (high + 0.05) / (low + 0.05) >= 4.5


def test_lines_of_a_folder_that_is_not_one(tmp_path: Path) -> None:
    assert EvolutionFolder(tmp_path / "new").lines() == []
    (tmp_path / "evolution.jsonl").write_text(json.dumps({"generation": 0}) + "\n" + '{"torn')
    assert re.match("0", str(EvolutionFolder(tmp_path).lines()[0]["generation"]))
