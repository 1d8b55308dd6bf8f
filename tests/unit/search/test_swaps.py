"""Single swaps: all of them, what each gains and costs against predictions, how sure that is, locks and budgets."""

import json

import numpy as np
import pandas as pd
import pytest

from autobuild_core.api import Run, train
from autobuild_core.architectures.module_table import top_modules
from autobuild_core.architectures.records import ArchTable, Codes
from autobuild_core.predictor.fitting import fit_straight
from autobuild_core.predictor.metrics import Metrics
from autobuild_core.search.budgets import Budgets, read_budgets
from autobuild_core.search.swaps import Swaps, find_swaps
from autobuild_core.spaces import space_named
from autobuild_core.testing.examples import additive_truth, declared_space
from tests.learning import macro_truth

MACRO = space_named("nas_bench_macro")
CODES = np.array(MACRO.parse("02012100"), np.int16)


def swaps(run: Run, codes: Codes = CODES, budgets: Budgets | None = None, locked: tuple[int, ...] = ()) -> Swaps:
    assert run._known is not None
    return find_swaps(
        run.predictor, run._known.straight, budgets or Budgets(run.metrics), run.modules(), codes, ["steps"], locked
    )


@pytest.fixture(scope="module")
def found(trained: Run) -> Swaps:
    return swaps(trained)


def test_every_single_layer_and_the_best_modules_of_every_unit_are_tried(trained: Run, found: Swaps) -> None:
    wanted = list(MACRO.neighbours(CODES))
    ranked = top_modules(trained.modules(), minimize=trained.config.minimize)
    for index, text in ranked.loc[ranked["rank"] <= 50, ["unit_index", "layers"]].itertuples(index=False):
        wanted.append(CODES.copy())
        wanted[-1][list(MACRO.spec.units[index].positions)] = [MACRO.spec.tokens.index(layer) for layer in json.loads(text)]
    networks = MACRO.hash_networks(found.codes).tolist()
    own = int(MACRO.hash_networks(CODES[None])[0])
    assert set(networks) == set(MACRO.hash_networks(np.stack(wanted)).tolist()) - {own} and len(networks) == len(set(networks))
    assert found.frame["is_single"].sum() == len(MACRO.neighbours(CODES))


def test_each_differs_in_the_unit_that_is_named(found: Swaps) -> None:
    for row, line in zip(found.codes, found.frame.to_dict("records"), strict=True):
        units = dict(MACRO.describe(row))
        assert [unit for unit, layers in MACRO.describe(CODES) if units[unit] != layers] == [line["unit"]]
        assert line["becomes"] == units[line["unit"]] and line["was"] == dict(MACRO.describe(CODES))[line["unit"]]


def test_gains_and_changes_are_differences_of_predictions_the_largest_gain_first(trained: Run, found: Swaps) -> None:
    both = trained.predictor.predict(np.concatenate([CODES[None], found.codes]))["predicted"].to_numpy(float)
    assert found.frame["gain"].to_numpy() == pytest.approx(both[1:] - both[0], abs=1e-4)
    assert (np.diff(found.frame["gain"]) <= 0).all() and (found.frame["low"] < found.frame["gain"]).all()
    steps = trained.metrics.model("steps").expected(np.concatenate([CODES[None], found.codes]))
    assert found.changes["steps"].to_numpy() == pytest.approx(steps[1:] - steps[0], abs=1e-6)


def test_intervals_hold_the_true_gains(trained: Run) -> None:
    held = []
    for codes in MACRO.sample(12, np.random.default_rng(0)):
        own = swaps(trained, codes)
        true = macro_truth(own.codes) - macro_truth(codes[None])
        held.append(((own.frame["low"] <= true) & (true <= own.frame["high"])).mean())
    assert np.mean(held) >= 0.75


def test_two_that_are_alike_are_wrong_alike(trained: Run) -> None:
    table = trained.learned()
    straight = fit_straight(table, trained.config.goal.values(table.metrics), False)
    own = find_swaps(trained.predictor, straight, Budgets(Metrics({})), trained.modules(), CODES)
    width = (own.frame["high"] - own.frame["low"]).to_numpy()
    spread = straight.moments(own.codes)[1] * float(np.ptp(straight.scaling.values) / np.ptp(straight.scaling.scores))
    assert np.median(width / 2 / 1.645) < 1.4 * np.median(spread) + straight.noise, "errors of both sides do not add up"


def test_locked_units_stay(trained: Run) -> None:
    own = swaps(trained, locked=(0, 2))
    assert set(own.frame["unit"]) == {MACRO.spec.units[1].label}
    assert swaps(trained, locked=(0, 1, 2)).frame.empty


def test_budgets_say_how_sure_each_keeps_to_them(trained: Run) -> None:
    budgets = read_budgets(trained.metrics, ["steps <= 8"])
    own = swaps(trained, budgets=budgets)
    assert own.frame["within"].to_numpy() == pytest.approx(budgets.within(own.codes))
    assert 0 < (own.frame["within"] > 0.9).mean() < 1


def test_a_smaller_target_is_a_gain_where_it_is_minimised(trained: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    before = swaps(trained)
    monkeypatch.setattr(trained.predictor, "minimize", True)
    after = swaps(trained)
    one, other = (pd.Series(own.frame["gain"].to_numpy(), MACRO.hash_networks(own.codes)) for own in (before, after))
    shared = one.index.intersection(other.index)
    assert len(shared) > 20 and other.loc[shared].to_numpy() == pytest.approx(-one.loc[shared].to_numpy())


def test_units_that_rules_connect_follow_and_a_locked_one_is_never_emptied() -> None:
    space = declared_space()
    codes = space.sample(120, np.random.default_rng(0))
    metrics = pd.DataFrame({"acc": additive_truth(space, codes) + 0.1 * np.random.default_rng(1).standard_normal(120)})
    table = ArchTable(space.spec, codes, space.hash_networks(codes), metrics, np.arange(120), "declared", 120)
    run = train(table, "acc", num_members=2, num_steps=5)
    children = list(space.rules.conditions)
    columns = [position for one in children for position in space.spec.units[one].positions]
    own = codes[(codes[:, columns] >= 0).all(1)][0]
    assert run._known is not None
    asked = run.predictor, run._known.straight, Budgets(run.metrics), run.modules(), own
    free, held = find_swaps(*asked), find_swaps(*asked, locked=children)
    assert (free.codes[:, columns] != own[columns]).any() and (held.codes[:, columns] == own[columns]).all() and len(held.codes)
