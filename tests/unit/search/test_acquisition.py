"""What to evaluate next: never what was evaluated, and what teaches most."""

import numpy as np
import pytest

from autobuild_core.api import Run
from autobuild_core.architectures.module_table import describe_modules, module_rows
from autobuild_core.errors import ConfigError
from autobuild_core.scorers import unit_groups
from autobuild_core.search.acquisition import _contains, _greedy, contending_modules, suggest
from autobuild_core.spaces import space_named
from tests.learning import random_predictor


class Calibrated:
    class calibration:
        residual = 0.5


def greedy(candidates: np.ndarray, contrasts: np.ndarray, num: int) -> tuple[list[int], list[float]]:
    count = candidates.shape[1]
    codes = np.arange(count, dtype=np.int16)[:, None] * np.ones((1, 2), np.int16)
    return _greedy(candidates, contrasts, np.ones((count, 1), bool), codes, Calibrated(), num)  # type: ignore[arg-type]


def test_the_one_that_knows_the_contrast_is_first_and_removes_what_it_can() -> None:
    rng = np.random.default_rng(0)
    doubt = rng.normal(size=4000)
    doubt -= doubt.mean()
    other = rng.normal(size=4000)
    other -= other.mean() + doubt * (other @ doubt) / (doubt @ doubt)
    chosen, information = greedy(np.stack([other, doubt], 1), doubt[:, None].copy(), 1)
    assert chosen == [1]
    variance = float((doubt**2).mean())
    assert information[0] == pytest.approx(variance / (variance + 0.25), rel=1e-3)  # conditioning on a noisy measurement


def test_a_second_look_at_the_same_is_worth_less() -> None:
    rng = np.random.default_rng(1)
    a, b = np.linalg.qr(rng.normal(size=(500, 2)))[0].T * np.sqrt(500)
    chosen, information = greedy(np.stack([a, a, b], 1), np.stack([a, 0.9 * b], 1), 2)
    assert sorted(chosen) in ([0, 2], [1, 2])
    assert information == sorted(information)


def test_a_batch_of_a_real_run(trained: Run) -> None:
    evaluated = trained.table().networks
    codes, frame = suggest(trained.predictor, trained.modules(), evaluated, 12)
    networks = trained.predictor.space.hash_networks(codes)
    assert len(set(networks.tolist())) == 12 and not np.isin(networks, evaluated).any()
    information = frame["information"].to_numpy()
    assert (np.diff(information) >= -1e-9).all() and 0 < information[-1] <= 1
    random = [trained.predictor.space.sample(12, np.random.default_rng(seed)) for seed in range(40)]
    contending = contending_modules(trained.modules(), False)
    rows, owner = module_rows(contending, trained.predictor.spec), contending["unit_index"].to_numpy(int)
    units = trained.predictor.spec.units

    def presence(batch: np.ndarray) -> np.ndarray:
        return np.array(
            [
                (batch[:, list(units[u].positions)] == r[list(units[u].positions)]).all(1).sum()
                for r, u in zip(rows, owner, strict=True)
            ]
        )

    assert presence(codes).sum() > 1.8 * np.mean([presence(batch).sum() for batch in random])  # it holds what is to be told apart
    assert (presence(codes) > 0).mean() > 0.7
    again, _ = suggest(trained.predictor, trained.modules(), evaluated, 12)
    assert (again == codes).all()


def test_a_module_of_a_cell_is_compared_with_its_own_layers() -> None:
    space = space_named("nas_bench_201")
    groups = unit_groups(space)
    modules = describe_modules(groups, space.spec, space.sample(3, np.random.default_rng(0)))
    rows, owner = module_rows(modules, space.spec), modules["unit_index"].to_numpy(int)
    assert len(rows) == 5 + 25 + 125
    codes = space.sample(2000, np.random.default_rng(1))
    held = _contains(codes, rows, owner, random_predictor(space, members=2))
    assert (held.sum(1) == 3).all()  # one module a unit
    for number, (row, unit) in enumerate(zip(rows, owner, strict=True)):
        columns = list(space.spec.units[unit].positions)
        assert held[:, number].tolist() == [one[columns].tolist() == row[columns].tolist() for one in codes]


def test_a_useless_number_is_refused(trained: Run) -> None:
    with pytest.raises(ConfigError, match="num: got 0"):
        trained.suggest(0)
