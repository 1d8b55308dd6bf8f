"""A reduced space, whatever modules of whatever space it keeps, is a space like any other."""

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from autobuild_core.architectures.modules import eligible_rows
from autobuild_core.architectures.records import ABSENT, Codes, SpaceSpec
from autobuild_core.errors import ArchitectureError, ConfigError
from autobuild_core.scoring.population import Population
from autobuild_core.spaces import Space, load_space, space_named
from autobuild_core.spaces._in_contexts import in_contexts
from autobuild_core.spaces._listed import reduced_spec
from tests.flat_spaces import conditional_space, forbidden_space, loose_space, mixed_space
from tests.learning import chain_space, flat_space

WHOLE = {
    "macro": space_named("nas_bench_macro"),
    "cell": space_named("nas_bench_201"),
    "blocks": flat_space(),
    "chain": chain_space(),
    "loose": loose_space(4),
    "conditional": conditional_space(),
    "forbidden": forbidden_space(),
    "mixed": mixed_space(),
}


few = settings(max_examples=25, deadline=None)
SURVIVE = ("macro", "cell", "blocks")  # the others are made by hand, without a native encoding of their own
FREE = tuple(name for name, whole in WHOLE.items() if not whole.rules)


@st.composite
def reduced(draw: st.DrawFn, names: tuple[str, ...] = tuple(WHOLE), fewest: int = 1) -> tuple[Space, Space]:
    """(a whole space, the space of up to four modules of each of its units)."""
    whole = WHOLE[draw(st.sampled_from(names))]
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kept = []
    for unit in range(len(whole.spec.units)):
        every = [tuple(row) for group in whole.unit_modules(unit) for row in group.codes.tolist()]
        kept.append([every[place] for place in rng.permutation(len(every))[: draw(st.integers(fewest, 4))]])
    space = load_space(reduced_spec(whole.spec, kept))
    every_code = space.enumerate()
    assume(every_code is None or len(every_code))
    return whole, space


def by_hand(space: Space, row: Codes) -> bool:
    """Whether each unit has one of its modules."""
    for unit in space.spec.units:
        layers = [int(t) for t in row[list(unit.positions)]]
        depth = sum(t != ABSENT for t in layers)
        if tuple(layers[:depth]) not in unit.modules or any(t != ABSENT for t in layers[depth:]):
            return False
    return True


def accepted(space: Space, row: Codes) -> bool:
    try:
        return space.check(row.tolist()) == row.tolist()
    except ArchitectureError:
        return False


@few
@given(reduced())
def test_it_survives_json_and_sampling(pair: tuple[Space, Space]) -> None:
    whole, space = pair
    spec = SpaceSpec.from_json(space.spec.to_json())
    assert spec == space.spec and type(load_space(spec)) is type(whole)
    codes = space.sample(40, np.random.default_rng(0))
    assert codes.dtype == np.int16 and space.valid(codes).all() and whole.valid(codes).all()
    assert all(by_hand(space, row) and accepted(space, row) for row in codes)
    assert (space.hash_networks(codes) == whole.hash_networks(codes)).all()


@few
@given(reduced(SURVIVE))
def test_its_samples_survive_their_native_encoding(pair: tuple[Space, Space]) -> None:
    _, space = pair
    for row in space.sample(10, np.random.default_rng(0)):
        assert space.parse(space.native(row)) == row.tolist()


@few
@given(reduced())
def test_its_enumeration_is_what_the_lists_leave_of_the_whole(pair: tuple[Space, Space]) -> None:
    whole, space = pair
    codes, every = space.enumerate(), whole.enumerate()
    assert codes is not None and every is not None and len(codes) == space.size == len(np.unique(codes, axis=0))
    weights = space.weights(codes)
    assert (weights > 0).all() and abs(weights.sum() - 1) < 1e-9
    population = Population.of(space, np.random.default_rng(0))
    assert population.exact and (population.codes == codes).all()
    left = {tuple(row) for row in every.tolist() if by_hand(space, np.array(row))}
    assert {tuple(row) for row in codes.tolist()} == left
    assert (space.valid(every) == [tuple(row) in left for row in every.tolist()]).all()


@few
@given(reduced(), st.integers(0, 2**32 - 1))
def test_mutants_stay_within_it(pair: tuple[Space, Space], seed: int) -> None:
    _, space = pair
    rng = np.random.default_rng(seed)
    codes = space.sample(40, rng)
    assert space.valid(space.mutate(codes, rng)).all()
    assert space.valid(space.neighbours(codes[0])).all()


@few
@given(reduced(FREE, fewest=2), st.integers(0, 2**32 - 1))
def test_mutants_move_where_every_unit_has_a_choice_and_no_rule_stands_against_it(pair: tuple[Space, Space], seed: int) -> None:
    _, space = pair
    assume(all(len(unit.modules) > 1 for unit in space.spec.units))
    rng = np.random.default_rng(seed)
    codes = space.sample(40, rng)
    assert (space.mutate(codes, rng) != codes).any()


@few
@given(reduced(), st.integers(0, 2**32 - 1))
def test_many_rows_are_judged_as_one_by_one(pair: tuple[Space, Space], seed: int) -> None:
    _, space = pair
    rng = np.random.default_rng(seed)
    noisy = space.sample(30, rng)
    noisy[np.arange(30), rng.integers(noisy.shape[1], size=30)] = rng.integers(-1, len(space.spec.tokens), 30)
    assert space.valid(noisy).tolist() == [accepted(space, row) for row in noisy]


@few
@given(reduced(), st.integers(0, 2**32 - 1))
def test_what_is_put_in_stays_and_the_rest_follows(pair: tuple[Space, Space], seed: int) -> None:
    _, space = pair
    rng = np.random.default_rng(seed)
    drawn = space.sample(100, rng)
    groups = [group for length in (1, 2) for group in space.windows(length)]
    groups += [group for unit in range(len(space.spec.units)) for group in space.unit_modules(unit)]
    for group in (groups[place] for place in rng.permutation(len(groups))[:4]):
        assert len(group) and len(np.unique(group.codes, axis=0)) == len(group) == (
            space.group_size(group.positions) if group.unit is None and not space.rules else len(group)
        )
        contexts = drawn[eligible_rows(drawn, group, space.spec)[:6]]
        if not len(contexts):
            continue
        codes = in_contexts(group, contexts, space.spec)
        assert (codes[:, list(group.positions)] == np.repeat(group.codes, len(contexts), axis=0)).all()
        assert space.rules or space.valid(codes).all()


@few
@given(st.sampled_from(FREE))
def test_keeping_all_modules_keeps_all_weights(name: str) -> None:
    whole = WHOLE[name]
    every = [
        [tuple(row) for group in whole.unit_modules(unit) for row in group.codes.tolist()]
        for unit in range(len(whole.spec.units))
    ]
    space, codes = load_space(reduced_spec(whole.spec, every)), whole.enumerate()
    assert codes is not None
    assert space.size == whole.size and np.allclose(space.weights(codes), whole.weights(codes), rtol=1e-12)


def test_a_unit_of_which_nothing_is_kept_is_refused() -> None:
    spec = WHOLE["macro"].spec
    try:
        reduced_spec(spec, [[], [(0, 0, 0)], [(0, 0, 0)]])
    except ConfigError as error:
        assert "unit L1-2: got no module to keep" in str(error)
    else:
        raise AssertionError
