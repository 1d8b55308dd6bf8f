"""What scorers average over, by hand."""

import numpy as np
import pandas as pd
import pytest

from autobuild_core import spaces
from autobuild_core.architectures.modules import ModuleGroup, eligible_rows, module_keys
from autobuild_core.architectures.records import ABSENT, ArchTable
from autobuild_core.scoring.intervals import jackknife_half_width
from autobuild_core.scoring.population import NUM_DRAWS, Evaluated, Population, exact_means
from autobuild_core.spaces import Space, space_named
from autobuild_core.spaces._in_contexts import in_contexts
from tests.learning import chain_space, contains, flat_space

MACRO = space_named("nas_bench_macro")
CHAIN = chain_space()


class TestPopulation:
    def test_a_small_space_is_whole_with_the_probability_of_each_encoding(self) -> None:
        population = Population.of(CHAIN, np.random.default_rng(0))
        assert population.exact and len(population.codes) == (3 + 9 + 27) ** 2
        # Depth 1, 2 or 3 of each of two units, then its layers: all equally likely.
        depths = [(row[:3] != ABSENT).sum() for row in population.codes], [(row[3:] != ABSENT).sum() for row in population.codes]
        expected = [1 / 9 / 3.0 ** (a + b) for a, b in zip(*depths, strict=True)]
        assert population.weights == pytest.approx(expected)
        assert population.weights.sum() == pytest.approx(1)

    def test_a_large_space_is_drawn_from(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(spaces, "ENUMERATION_LIMIT", 1)
        first, again = (Population.of(MACRO, np.random.default_rng(3)) for _ in range(2))
        assert not first.exact and len(first.codes) == NUM_DRAWS and (first.codes == again.codes).all()
        assert first.weights == pytest.approx(1 / NUM_DRAWS)

    def best_tenth(self, values: list[list[float]], weights: list[float]) -> list[float]:
        codes = np.zeros((len(weights), 8), np.int16)
        return list(Population(codes, np.array(weights), True).best_tenth(np.array(values)))

    def test_the_best_tenth_goes_by_weights(self) -> None:
        assert self.best_tenth([[3, 1, 2]], [0.2, 0.5, 0.3]) == [3]  # the best weighs a fifth already
        assert self.best_tenth([[3, 1, 2]], [0.06, 0.5, 0.44]) == [2]  # it weighs too little alone
        assert self.best_tenth([[3, 1, 2]], [0.1, 0.5, 0.4]) == [3]  # exactly a tenth is a tenth
        assert self.best_tenth([[5, 4, 3, 2, 1]], [0.04, 0.03, 0.03, 0.45, 0.45]) == [3]
        assert self.best_tenth([[7]], [1.0]) == [7]

    def test_each_member_has_its_own(self) -> None:
        assert self.best_tenth([[3, 1, 2], [1, 3, 2]], [0.06, 0.5, 0.44]) == [2, 3]

    def test_of_equal_weights_one_in_ten_reaches_it(self) -> None:
        values = np.random.default_rng(0).permutation(200).astype(float)
        threshold = self.best_tenth([values.tolist()], [1 / 200] * 200)[0]
        assert (values >= threshold).sum() == 20

    def test_any_share_has_its_level(self) -> None:
        population = Population(np.zeros((5, 8), np.int16), np.full(5, 0.2), True)
        values = np.array([[5.0, 4.0, 3.0, 2.0, 1.0]])
        assert [population.level(values, share)[0] for share in (0.2, 0.5, 0.6, 1.0)] == [5, 3, 3, 1]

    def test_the_best_of_some_draws_is_what_drawing_finds(self) -> None:
        rng = np.random.default_rng(0)
        values, weights = rng.normal(size=40), rng.dirichlet(np.ones(40))
        population = Population(np.zeros((40, 8), np.int16), weights, True)
        drawn = values[rng.choice(40, (20_000, 7), p=weights)].max(1)
        assert population.best_of(values, 7) == pytest.approx(drawn.mean(), abs=0.02)
        assert population.best_of(values, 1) == pytest.approx(values @ weights)
        assert population.best_of(values, 10**6) == pytest.approx(values.max(), abs=1e-3)


class TestEvaluated:
    def table(self) -> ArchTable:
        """Rows 0 and 2 are twins (an identity's place does not matter), row 3 has no target, row 4 repeats row 1."""
        codes = np.array(
            [[1, 2, 0, 0, 2, 1, 0, 1], [1] * 8, [1, 2, 0, 2, 0, 1, 1, 0], [2] * 8, [1] * 8, [0, 0, 0, 0, 0, 0, 0, 2]], np.int16
        )
        metrics = pd.DataFrame({"acc": [1.0, 10.0, 3.0, np.nan, 14.0, 5.0]})
        return ArchTable(MACRO.spec, codes, MACRO.hash_networks(codes), metrics, np.arange(6), "nas_bench_macro", 6)

    def test_twins_are_averaged_and_what_is_unknown_left_out(self) -> None:
        table = self.table()
        evaluated = Evaluated.of(table, MACRO, "acc", False)
        assert len(evaluated) == 3 and (np.diff(evaluated.networks.astype(float)) > 0).all()
        by_network = dict(zip(evaluated.networks.tolist(), zip(evaluated.values, evaluated.counts, strict=True), strict=True))
        expected = {0: (2.0, 2), 1: (12.0, 2), 5: (5.0, 1)}
        assert by_network == {int(table.networks[row]): values for row, values in expected.items()}
        assert (MACRO.hash_networks(evaluated.codes) == evaluated.networks).all()
        assert (evaluated.codes == MACRO.canonical(evaluated.codes)).all()

    def test_found_by_network_in_any_encoding(self) -> None:
        table = self.table()
        evaluated = Evaluated.of(table, MACRO, "acc", False)
        codes = np.array([[2] * 8, [1, 2, 0, 0, 2, 1, 1, 0], [0] * 8, [1] * 8], np.int16)
        lines, known = evaluated.find(MACRO.hash_networks(codes))
        assert lines.tolist() == [1, 3] and evaluated.values[known].tolist() == [2.0, 12.0]
        lines, known = evaluated.find(np.array([0, 2**64 - 1], np.uint64))  # below and beyond all
        assert len(lines) == len(known) == 0


class TestModules:
    def test_keys_tell_every_module_apart(self) -> None:
        codes = CHAIN.enumerate()
        assert codes is not None
        assert len(np.unique(module_keys(codes, list(range(6))))) == len(codes)
        assert (module_keys(codes, [0, 1]) == module_keys(codes[:, [0, 1]], [0, 1])).all()

    def test_means_by_hand(self) -> None:
        """Two positions of interest; a module that nobody contains has none."""
        codes = np.zeros((4, 8), np.int16)
        codes[:, 3] = [0, 1, 1, 0]
        population = Population(codes, np.array([0.1, 0.2, 0.3, 0.4]), True)
        group = ModuleGroup((3,), np.array([[1], [2], [0]], np.int16))
        found = exact_means(np.array([[1.0, 2, 3, 4], [0, 0, 1, 0]]), population, group, MACRO.spec)
        assert found[:, 0].tolist() == pytest.approx([(0.2 * 2 + 0.3 * 3) / 0.5, 0.6])
        assert found[:, 2].tolist() == pytest.approx([(0.1 + 1.6) / 0.5, 0])
        assert np.isnan(found[:, 1]).all()

    @pytest.mark.parametrize("space", [CHAIN, flat_space()])
    def test_eligible_rows_are_those_of_a_loop(self, space: Space) -> None:
        codes = space.sample(50, np.random.default_rng(1))
        for group in [*space.windows(1), *space.windows(2)[:3], *space.unit_modules(0), *space.unit_modules(1)]:
            expected = []
            for number, row in enumerate(codes):
                changed = row.copy()
                present = all(row[p] != ABSENT for p in group.positions)
                changed[list(group.positions)] = group.codes[0]
                unit = None if group.unit is None else space.spec.units[group.unit]
                if present and contains(changed, group.positions, group.codes[0], unit):
                    expected.append(number)
            assert eligible_rows(codes, group, space.spec).tolist() == expected

    def test_modules_in_contexts_by_hand(self) -> None:
        group = ModuleGroup((1, 2), np.array([[0, 1], [2, 2]], np.int16))
        contexts = np.array([[1, 1, 1, 2, 0, ABSENT], [0, 0, 0, 0, ABSENT, ABSENT]], np.int16)
        codes = in_contexts(group, contexts, CHAIN.spec)
        assert codes.tolist() == [[1, 0, 1, 2, 0, -1], [0, 0, 1, 0, -1, -1], [1, 2, 2, 2, 0, -1], [0, 2, 2, 0, -1, -1]]

    def test_a_tied_unit_follows_its_window(self) -> None:
        space = flat_space()
        unit = space.spec.units[1]
        assert unit.tied and len(unit.positions) > 1
        first, second = unit.positions[:2]
        context = np.full((1, space.spec.num_positions), 0, np.int16)
        context[0, unit.positions[2:]] = ABSENT
        group = ModuleGroup((first,), np.array([[2]], np.int16))
        codes = in_contexts(group, context, space.spec)[0]
        assert codes[first] == codes[second] == 2 and (codes[list(unit.positions[2:])] == ABSENT).all()
        assert (codes[list(space.spec.units[0].positions)] == 0).all()


class TestJackknife:
    def test_by_hand(self) -> None:
        """Members 1, 2, 3, 6: spread sqrt(3.5), times sqrt(3), times the 95th percentile of t with 3 degrees of freedom."""
        half = jackknife_half_width(np.array([[1.0], [2.0], [3.0], [6.0]]))
        assert half == pytest.approx(2.353363 * np.sqrt(3.5) * np.sqrt(3), rel=1e-6)

    def test_two_members(self) -> None:
        """Half their distance, times the 95th percentile of Cauchy's distribution, tan(0.45 pi)."""
        assert jackknife_half_width(np.array([[0.0, 5.0], [1.0, 5.0]])) == pytest.approx([0.5 * np.tan(0.45 * np.pi), 0])

    def test_it_covers_the_mean_of_what_the_members_leave_out(self) -> None:
        """Members that are means of all but a tenth: in 90 of 100 samples the interval holds the truth, 0."""
        rng = np.random.default_rng(0)
        sample = rng.normal(size=(4000, 50))
        blocks = sample.reshape(4000, 10, 5).sum(2)
        members = ((sample.sum(1, keepdims=True) - blocks) / 45).T  # (10, 4000)
        covered = np.abs(members.mean(0)) <= jackknife_half_width(members)
        assert covered.mean() == pytest.approx(0.9, abs=0.015)
