"""What every topology must do: those of the product by the spaces that have them, and one that is no file of the product."""

import builtins
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from autobuild_core import registry
from autobuild_core.api import train
from autobuild_core.architectures.graphs import make_graphs
from autobuild_core.architectures.records import ABSENT, ArchTable, SpaceSpec
from autobuild_core.architectures.topologies import FOLDER, topology_of
from autobuild_core.errors import ConfigError
from autobuild_core.scorers import make_scorer, score_modules
from autobuild_core.spaces import Space, space_named
from autobuild_core.testing.topologies import TopologySuite, scored
from tests.flat_spaces import loose_space, mixed_space
from tests.learning import chain_space, random_predictor

EXTENSIONS = Path(__file__).resolve().parents[1] / "extensions"
MADE = {
    "chain": lambda: space_named("nas_bench_macro"),
    "chain of variable depth": chain_space,
    "loose_set": loose_space,
    "loose_set beside chains": mixed_space,
    "cell": lambda: space_named("nas_bench_201"),
}


@pytest.fixture(autouse=True)
def _extensions(monkeypatch: pytest.MonkeyPatch) -> None:
    """The graph's topology and space are two files in a folder of a user's own."""
    monkeypatch.setenv(registry.EXTENSIONS, str(EXTENSIONS))


@pytest.fixture
def dag(_extensions: None) -> Space:
    return space_named("small_dag")


class TestTopologies(TopologySuite):
    @pytest.fixture(params=[*MADE, "dag"])
    def space(self, request: pytest.FixtureRequest, dag: Space) -> Space:
        return dag if request.param == "dag" else MADE[request.param]()


def test_every_topology_of_the_product_is_tested_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(registry.EXTENSIONS)
    assert {name.split()[0] for name in MADE} == set(registry.names(FOLDER))


def test_a_topology_is_found_by_its_name_and_else_derived(dag: Space) -> None:
    assert type(topology_of(dag.spec)).__name__ == "Dag" and "dag" in registry.names(FOLDER)
    assert SpaceSpec.from_json(dag.spec.to_json()) == dag.spec and json.loads(dag.spec.to_json())["topology"] == "dag"
    for name, make in MADE.items():
        spec = make().spec
        assert type(topology_of(spec)).__module__.rsplit(".")[-1] == name.split()[0]
        assert topology_of(spec) is topology_of(spec) and "topology" not in json.loads(spec.to_json())


def test_an_unknown_one_is_refused() -> None:
    spec = chain_space().spec
    with pytest.raises(ConfigError, match=r"topologies: got 'moebius', expected one of .*cell.*chain.*loose_set"):
        topology_of(SpaceSpec(spec.name, "x", spec.position_labels, spec.tokens, spec.units, topology="moebius"))


def test_no_file_hides_a_word_of_python() -> None:
    """A submodule stands as a name in its package: one that is called like a built-in would take its place there."""
    assert not {name for name in registry.names(FOLDER) if hasattr(builtins, name)}


class TestDag:
    """A graph that is in no file of the product, from its graphs to a trained run."""

    def test_its_graphs_by_hand(self, dag: Space) -> None:
        graphs = make_graphs(np.array([[0, 1, 2, 0, 1]], np.int16), dag.spec)
        assert graphs.positions.tolist() == [[0, 1, 2, 3, 4, 5]] and graphs.tokens.tolist() == [[0, 1, 2, 0, 1, 3]]
        assert graphs.sources[0].tolist() == [[0, -1, -1], [1, 0, -1], [2, 0, -1], [3, 1, 2], [4, 0, 3], [5, 1, 2]]
        alone = make_graphs(np.array([[ABSENT, 1, ABSENT, 0, ABSENT]], np.int16), dag.spec)
        assert alone.mask.tolist() == [[False, True, False, True, False, True]]
        assert alone.sources[0, 3].tolist() == [3, 1, -1]

    def test_its_windows_units_and_contexts_by_hand(self, dag: Space) -> None:
        topology = topology_of(dag.spec)
        assert topology.window_positions(2) == [(0, 1), (0, 2), (0, 4), (1, 3), (2, 3), (3, 4)]
        assert [group.unit for group in dag.windows(2)] == [None] * 5 + [2]  # d, e is all of the head
        branches = dag.unit_modules(1)[0]
        assert topology.sink(branches) == (5, 1) and len(topology.contexts(branches)) == 1
        pair = dag.windows(2)[3]  # b, d: d hears c too
        assert topology.sink(pair) == (3, 1) and topology.free_positions(pair) == [2]
        assert [context[0].tolist() for context in topology.contexts(pair)] == [
            [ABSENT, 0, other, 0, ABSENT] for other in range(3)
        ]

    def test_it_trains_scores_and_builds(self, dag: Space) -> None:
        rng = np.random.default_rng(0)
        every = dag.enumerate()
        assert every is not None and len(every) == 3**5
        codes = every[rng.permutation(len(every))[:80]]
        worth = np.array([0.0, 1.0, -1.0])[codes]
        acc = 70 + worth @ [1, 2, 1, 3, 1] + 2 * worth[:, 1] * worth[:, 3] + rng.normal(0, 0.05, 80)
        table = ArchTable(dag.spec, codes, dag.hash_networks(codes), pd.DataFrame({"acc": acc}), np.arange(80))
        run = train(table, "acc", num_steps=60, max_length=3)
        assert run.quality["srcc"] > 0.8
        modules = run.modules()
        assert set(modules["hop"]) == {0, 1, 2} and modules["score"].notna().all()
        at_d = modules[(modules["positions"] == '["d"]')].set_index("layers")["score"]
        assert at_d.idxmax() == '["k5"]' and at_d.idxmin() == '["pool"]'
        assert {'["b", "c"]', '["d", "e"]'} <= set(modules[modules["whole_unit"]]["positions"])
        assert len(run.build(5)) == 5 and run.build(1)["arch"].iloc[0][3] == run.predictor.spec.tokens[1]


@pytest.mark.parametrize("name", registry.names("scorers"))
def test_every_scorer_scores_the_modules_of_a_graph(name: str, dag: Space) -> None:
    table, _ = scored(dag)
    table = replace(table, metrics=table.metrics.assign(flops=1.0 + (table.codes != 2).sum(1)))  # pools cost nothing
    predictor = random_predictor(dag)
    scorer = make_scorer(name, predictor, table=table)
    assert scorer.supports(predictor) is None
    frame = score_modules(scorer, dag.windows(2)[:2] + dag.unit_modules(1), table)
    assert len(frame) == 3 * 9
