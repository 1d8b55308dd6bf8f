"""Faults planted in a space, a topology and a kind of job: each suite finds its own. Those of scorers and formats have theirs."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autobuild_core.architectures.topologies import topology_of
from autobuild_core.jobs import kinds
from autobuild_core.spaces import space_named
from autobuild_core.store.run_folder import RunFolder
from autobuild_core.testing.examples import chain_space, table_of
from autobuild_core.testing.job_kinds import JobKindSuite
from autobuild_core.testing.spaces import SpaceSuite
from autobuild_core.testing.topologies import TopologySuite
from tests.counting import counting as counting


def run_check(suite: object, check: str, **asked: Any) -> None:
    """Runs a check of a suite with what it asks for, and expects it to fail."""
    run = getattr(suite, check)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        run(**{name: asked[name] for name in inspect.signature(run).parameters})


SPACES = [
    ("test_samples_are_valid_and_survive_their_native_encoding", "parse", lambda self, native: [0] * self.spec.num_positions),
    ("test_mutants_differ_in_one_unit", "mutate", lambda self, codes, rng: codes),
    ("test_mutants_are_valid_and_move", "mutate", lambda self, codes, rng: codes),
    ("test_canonical_encodings_are_valid_and_stay", "canonical", lambda self, codes: (codes + 1) % 3),
    ("test_many_rows_are_judged_as_one_by_one", "valid", lambda self, codes: np.ones(len(codes), bool)),
    ("test_the_enumeration_is_complete_and_weights_sum_to_one", "weights", lambda self, codes: np.ones(len(codes))),
    ("test_sampling_follows_the_weights", "sample", lambda self, num, rng: np.zeros((num, 6), np.int16)),
    ("test_unit_modules_are_all_of_the_unit", "unit_modules", lambda self, unit: []),
    ("test_nonsense_is_refused_with_a_project_error", "parse", lambda self, native: [0]),
]


@pytest.mark.parametrize(("check", "method", "faulty"), SPACES)
def test_a_faulty_space_is_found(check: str, method: str, faulty: Callable[..., Any]) -> None:
    sound = chain_space() if check == "test_sampling_follows_the_weights" else space_named("nas_bench_macro")
    made = type("Faulty", (type(sound),), {method: faulty})(sound.spec)
    run_check(SpaceSuite(), check, space=made, native=None)


TOPOLOGIES = [
    ("test_nodes_have_labels_units_and_a_place_in_every_graph", {"node_labels": property(lambda self: ("a",) * self.num_nodes)}),
    ("test_windows_are_joined_and_their_sinks_are_in_their_graphs", {"window_positions": lambda self, length: [(0, 5)]}),
    ("test_windows_within_units_are_those_of_the_windows", {"windows_within": lambda self, unit: unit == 0}),
    ("test_structure_has_a_kind_for_every_column", {"structure": lambda self, codes: np.zeros((len(codes), 99))}),
    ("test_every_node_has_one_place_and_arrows_lead_from_nodes_or_the_input", {"layout": lambda self, row: []}),
]


@pytest.mark.parametrize(("check", "faulty"), TOPOLOGIES)
def test_a_faulty_topology_is_found(check: str, faulty: dict[str, Any]) -> None:
    space = chain_space()
    sound = type(topology_of(space.spec))
    space.spec.__dict__["_topology"] = type("Faulty", (sound,), faulty)(space.spec)
    run_check(TopologySuite(), check, space=space)


KINDS = [
    ("test_it_has_its_words_and_frozen_settings", {"title": "counting"}),
    ("test_its_words_of_a_new_run", {"result": lambda self, folder: table_of(chain_space()).metrics}),
    ("test_it_stops_when_it_is_asked_to", {"run": lambda self, folder, settings, report, should_stop: None}),
]


@pytest.mark.parametrize(("check", "faulty"), KINDS)
def test_a_faulty_kind_is_found(check: str, faulty: dict[str, Any], counting: str, tmp_path: Path) -> None:
    sound = kinds.load_kind(counting)
    kind = type("Faulty", (type(sound),), faulty)()
    settings = kind.settings({"name": "x"})
    folder = RunFolder(tmp_path / "run").create(settings, table_of(chain_space()), counting)
    run_check(JobKindSuite(), check, kind=kind, settings=settings, folder=folder)
