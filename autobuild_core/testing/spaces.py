"""Checks that every space must pass."""

import json

import numpy as np
import pytest
from numpy.typing import NDArray

from autobuild_core.architectures.records import ABSENT, Codes, SpaceSpec
from autobuild_core.errors import ArchitectureError
from autobuild_core.spaces import Space


def whole(space: Space, row: list[int]) -> bool:
    """Whether a row is an architecture, by the check of single rows."""
    try:
        return space.check(row) == row
    except ArchitectureError:
        return False


def accepted(space: Space, codes: Codes) -> NDArray[np.bool_]:
    """Which rows `check` accepts, one by one."""
    out = np.ones(len(codes), bool)
    for number, row in enumerate(codes.tolist()):
        try:
            space.check(row)
        except ArchitectureError:
            out[number] = False
    return out


class RuledSpaceSuite:
    """Checks of a space that may have conditions and forbidden combinations: what is drawn, changed or mended keeps to them."""

    @pytest.fixture
    def space(self) -> Space:
        """The space."""
        raise NotImplementedError

    def test_many_rows_are_judged_as_one_by_one(self, space: Space) -> None:
        rng = np.random.default_rng(0)
        codes = space.sample(150, rng)
        assert space.valid(codes).all() and accepted(space, codes).all()
        noisy = codes.copy()
        place = rng.integers(codes.shape[1], size=150)
        noisy[np.arange(150), place] = rng.integers(-1, len(space.spec.tokens), 150)
        assert (space.valid(noisy) == accepted(space, noisy)).all()

    def test_mutants_are_valid_and_move(self, space: Space) -> None:
        rng = np.random.default_rng(1)
        codes = space.sample(300, rng)
        mutants = space.mutate(codes, rng)
        assert space.valid(mutants).all() and (mutants != codes).any(1).mean() > 0.2

    def test_neighbours_are_valid_and_other_networks(self, space: Space) -> None:
        for row in space.sample(5, np.random.default_rng(3)):
            near = space.neighbours(row)
            networks = space.hash_networks(np.concatenate([row[None], near]))
            assert space.valid(near).all() and len(np.unique(networks)) == len(networks)

    def test_completion_leaves_valid_rows_alone(self, space: Space) -> None:
        codes = space.sample(50, np.random.default_rng(2))
        mended, valid = space.complete(codes, np.zeros(codes.shape[1], bool), np.random.default_rng(0))
        assert valid.all() and (mended == codes).all()


class SpaceSuite(RuledSpaceSuite):
    """All checks of a space: those of its rules, and those of its spec, encodings, enumeration, sampling and modules.

    Derive a class and say which space:

        class TestMine(SpaceSuite):
            @pytest.fixture
            def space(self) -> Space:
                return space_named("mine")
    """

    def test_the_spec_is_sound_and_survives_json(self, space: Space) -> None:
        spec = space.spec
        assert SpaceSpec.from_json(spec.to_json()) == spec
        assert spec.title == type(space).title
        assert sorted(p for unit in spec.units for p in unit.positions) == list(range(spec.num_positions))
        assert len(set(spec.tokens)) == len(spec.tokens) and len(set(spec.position_labels)) == spec.num_positions
        for values in spec.attributes.values():
            assert len(values) == len(spec.tokens)
        for unit in spec.units:
            assert list(unit.depths) == sorted(set(unit.depths)) and max(unit.depths) <= len(unit.positions)
            assert unit.modules or max(unit.depths) == len(unit.positions)
            assert set(unit.tokens) <= set(range(len(spec.tokens)))

    def test_samples_are_valid_and_survive_their_native_encoding(self, space: Space) -> None:
        codes = space.sample(200, np.random.default_rng(0))
        assert codes.dtype == np.int16
        for row in codes:
            assert space.check(row.tolist()) == row.tolist()
            native = json.loads(json.dumps(space.native(row)))
            assert space.parse(native) == row.tolist()

    def test_mutants_differ_in_one_unit(self, space: Space) -> None:
        rng = np.random.default_rng(1)
        codes = space.sample(300, rng)
        mutants = space.mutate(codes, rng)
        assert (mutants != codes).any(1).mean() > 0.3
        for row, mutant in zip(codes, mutants, strict=True):
            space.check(mutant.tolist())
            changed = [(row[list(u.positions)] != mutant[list(u.positions)]).any() for u in space.spec.units]
            assert sum(changed) <= 1

    def test_neighbours_are_other_networks_a_step_away(self, space: Space) -> None:
        for row in space.sample(8, np.random.default_rng(3)):
            near = space.neighbours(row)
            networks = space.hash_networks(np.concatenate([row[None], near]))
            assert len(near) and space.valid(near).all() and len(np.unique(networks)) == len(networks)
            moved = [(near[:, list(unit.positions)] != row[list(unit.positions)]).any(1) for unit in space.spec.units]
            assert (np.sum(moved, axis=0) == 1).all()

    def test_canonical_encodings_are_valid_and_stay(self, space: Space) -> None:
        codes = space.sample(200, np.random.default_rng(2))
        canonical = space.canonical(codes)
        assert (space.canonical(canonical) == canonical).all()
        assert (space.hash_networks(codes) == space.hash_networks(canonical)).all()
        for row in canonical:
            space.check(row.tolist())
        assert len(space.hash_networks(codes[:0])) == 0

    def test_parts_of_architectures_have_no_canonical_encoding_and_no_hash(self, space: Space) -> None:
        rng = np.random.default_rng(4)
        codes = space.sample(300, rng)
        codes[rng.random(codes.shape) < 0.04] = ABSENT
        alone = [np.full((1, space.spec.num_positions), ABSENT, np.int16) for _ in space.spec.units]
        for row, unit, fresh in zip(alone, space.spec.units, space.sample(len(alone), rng), strict=True):
            row[0, list(unit.positions)] = fresh[list(unit.positions)]
        rows = np.concatenate([codes, *alone, np.full((1, space.spec.num_positions), ABSENT, np.int16)])
        sound = np.array([whole(space, row.tolist()) for row in rows])
        assert 0.05 < sound.mean() < 0.95
        assert len(space.hash_networks(rows[sound])) == len(space.canonical(rows[sound])) == sound.sum()
        for row in rows[~sound]:
            for act in (space.canonical, space.hash_networks):
                with pytest.raises(ArchitectureError, match=r"architecture 2 of 2: got a part of one, .*unit .*: got . layers"):
                    act(np.stack([codes[sound[: len(codes)]][0], row]))
        for wrong in (codes[0], codes[:, :-1]):
            with pytest.raises(ArchitectureError, match="got codes of shape"):
                space.canonical(wrong)

    def test_the_enumeration_is_complete_and_weights_sum_to_one(self, space: Space) -> None:
        codes = space.enumerate()
        assert codes is not None or space.size > 50_000
        if codes is None:
            return
        assert len(codes) == space.size == len(np.unique(codes, axis=0))
        for row in codes[:: max(1, len(codes) // 300)]:
            space.check(row.tolist())
        weights = space.weights(codes)
        assert (weights > 0).all() and weights.sum() == pytest.approx(1)

    def test_sampling_follows_the_weights(self, space: Space) -> None:
        codes = space.sample(20_000, np.random.default_rng(3))
        for unit in space.spec.units:
            depth = (codes[:, list(unit.positions)] != ABSENT).sum(1)
            share = [(depth == d).mean() for d in unit.depths]
            assert share == pytest.approx([1 / len(unit.depths)] * len(unit.depths), abs=0.02)

    def test_unit_modules_are_all_of_the_unit(self, space: Space) -> None:
        for index, unit in enumerate(space.spec.units):
            groups = space.unit_modules(index)
            assert sum(map(len, groups)) + (0 in unit.depths) == space.unit_size(unit)
            for group in groups:
                assert group.positions == unit.positions[: len(group.positions)] and group.unit == index
                assert len(np.unique(group.codes, axis=0)) == len(group)

    @pytest.mark.parametrize("native", [None, 3, "", [], {}, [[]], {"arch": 1}, "x" * 1000, [None] * 5, True, float("nan")])
    def test_nonsense_is_refused_with_a_project_error(self, space: Space, native: object) -> None:
        with pytest.raises(ArchitectureError) as error:
            space.parse(native)
        assert len(str(error.value)) < 400
