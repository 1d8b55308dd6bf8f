"""Units that list their modules, by hand."""

from dataclasses import replace

import numpy as np
import pytest

from autobuild_core.architectures.records import ABSENT, UnitSpec
from autobuild_core.errors import ArchitectureError, ConfigError
from autobuild_core.spaces import load_space, space_named
from autobuild_core.spaces._listed import Listed, reduced_spec
from tests.flat_spaces import conditional_space

A = ABSENT
UNIT = UnitSpec("U1", (0, 1, 2), (0, 1, 3), (0, 1, 2), modules=((0, 1, 2), (0, 2, 2), (1,), ()))
LISTED = Listed(UNIT)


def test_rows_are_the_modules() -> None:
    assert LISTED.rows.tolist() == [[0, 1, 2], [0, 2, 2], [1, A, A], [A, A, A]]
    assert LISTED.of_depth(3).tolist() == [[0, 1, 2], [0, 2, 2]] and LISTED.num_of_depth(0) == 1
    layers = np.array([[0, 1, 2], [0, 1, 1], [1, A, A], [0, A, A], [A, A, A]], np.int16)
    assert LISTED.contains(layers).tolist() == [True, False, True, False, True]


def test_what_stands_at_some_places_is_each_once() -> None:
    assert LISTED.at([0]).tolist() == [[0], [1]]
    assert LISTED.at([1]).tolist() == [[1], [2]]
    assert LISTED.at([1, 2]).tolist() == [[1, 2], [2, 2]]
    assert Listed(UnitSpec("U1", (0, 1), (1,), (0,), modules=((0,),))).at([1]).tolist() == []


def test_draws_are_uniform_over_depths_then_modules() -> None:
    drawn = LISTED.draw(9000, UNIT.depths, np.random.default_rng(0))
    shares = [(drawn == row).all(1).mean() for row in LISTED.rows]
    assert shares == pytest.approx([1 / 6, 1 / 6, 1 / 3, 1 / 3], abs=0.02)


def test_a_row_is_mended_to_the_nearest_module_that_has_what_is_kept() -> None:
    layers = np.array([[0, 2, 1], [0, 0, 2], [2, 2, 2]], np.int16)
    kept = np.array([[False, True, False], [False, False, True], [True, False, False]])
    mended = LISTED.around(layers, kept, np.random.default_rng(0))
    assert mended[0].tolist() == [0, 2, 2] and mended[1].tolist() in ([0, 1, 2], [0, 2, 2])
    assert mended[2].tolist() == [2, 2, 2]  # none begins with 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"depths": (1, 3)}, "of each depth"),
        ({"modules": ((0, 1, 2), (1,), (1,), ())}, "twice"),
        ({"tokens": (0, 1)}, "its own tokens"),
        ({"tied": True}, "all alike"),
        ({"positions": (0, 1)}, "of each depth"),
    ],
)
def test_an_unsound_list_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Listed(replace(UNIT, **change))  # type: ignore[arg-type]


def test_what_is_not_in_the_list_is_refused_with_its_number() -> None:
    macro = space_named("nas_bench_macro").spec
    space = load_space(reduced_spec(macro, [[(0, 1)], [(0, 1, 2), (1, 1, 1)], [(2, 2, 2)]]))
    assert space.size == 2 and space.check([0, 1, 1, 1, 1, 2, 2, 2])
    with pytest.raises(ArchitectureError, match=r"unit L3-5: got mb6_k5, identity, identity, expected one of its 2 modules"):
        space.check([0, 1, 2, 0, 0, 2, 2, 2])


def test_a_conditional_unit_may_be_absent_and_must_keep_something() -> None:
    whole = conditional_space()
    kept = [[tuple(row) for g in whole.unit_modules(u) for row in g.codes.tolist()][:1] for u in range(len(whole.spec.units))]
    space = load_space(reduced_spec(whole.spec, kept))
    assert space.spec.units[2].depths == (0, 1) and space.spec.units[2].modules[-1] == ()
    assert space.sample(20, np.random.default_rng(0)).shape == (20, whole.spec.num_positions)
    kept[2] = []
    with pytest.raises(ConfigError, match="unit momentum: got no module to keep"):
        reduced_spec(whole.spec, kept)
