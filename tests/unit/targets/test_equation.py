"""Targets: values by hand, and for each refusal its place and its words."""

import math

import numpy as np
import pandas as pd
import pytest

from autobuild_core.errors import TargetError
from autobuild_core.targets.equation import Target
from autobuild_core.targets.vocabulary import (
    Label,
    by_cost,
    cost_rank,
    is_accuracy,
    is_loss,
    lower_is_better,
    suggest_targets,
)

METRICS = pd.DataFrame(
    {
        "mean_acc": [80.0, 93.0, math.nan],
        "latency_ms": [10.0, 100.0, 1000.0],
        "delta": [-1.0, 0.0, 2.0],
        "acc": [0.5, 1.0, 0.25],
        "std": [1.0, 1.0, 1.0],
    }
)


def refused(expression: str) -> TargetError:
    with pytest.raises(TargetError) as error:
        Target(expression).values(METRICS)
    return error.value


@pytest.mark.parametrize(
    ("expression", "values"),
    [
        ("latency_ms", [10, 100, 1000]),
        ("100**acc / log10(latency_ms)", [10, 50, 100**0.25 / 3]),
        ("-delta - -2", [3, 2, 0]),
        ("2 ** -delta", [2, 1, 0.25]),
        ("-2**2 * acc", [-2, -4, -1]),
        ("2**acc**2", [2**0.25, 2, 2**0.0625]),
        ("min(acc, 0.5, latency_ms)", [0.5, 0.5, 0.25]),
        ("max(delta, 0) + abs(delta)", [1, 0, 4]),
        ("sqrt(acc*2) * exp(0) + log(exp(1)) - log2(2)", [1, 2**0.5, 0.5**0.5]),
        ("  ( acc\n+ 1e1 )\t", [10.5, 11, 10.25]),
        ("mean_acc/100", [0.8, 0.93, math.nan]),
        ("1 ** mean_acc", [1, 1, math.nan]),
    ],
)
def test_values_by_hand(expression: str, values: list[float]) -> None:
    found = Target(expression).values(METRICS)
    assert found.dtype == np.float64
    assert found == pytest.approx(values, nan_ok=True, rel=1e-12)


def test_names_are_the_metrics_in_order() -> None:
    assert Target("log(b) + a * b - max(c, 1)").names == ("b", "a", "c")


def test_a_metric_may_have_the_name_of_a_function() -> None:
    assert Target("log(log)").values(pd.DataFrame({"log": [1.0, math.e]})).tolist() == [0, 1]


def test_minimize_keeps_values_and_sign() -> None:
    assert Target("delta", minimize=True).values(METRICS).tolist() == [-1, 0, 2]
    assert Target("delta") == Target("delta") != Target("delta", minimize=True)


class TestRefusedInWriting:
    @pytest.mark.parametrize(
        ("expression", "position", "message"),
        [
            ("", 0, "empty equation"),
            ("   ", 0, "empty equation"),
            ("acc ^ 2", 4, "for a power write \\*\\*"),
            ("acc = 2", 4, "only the right side"),
            ("acc // 2", 7, "operator //"),
            ("acc * (delta + 1", 6, "opening parenthesis without"),
            ("acc * delta) + 1", 11, "closing parenthesis without"),
            ("acc delta", 4, "got 'delta' where it does not fit"),
            ("acc * / 2", 6, "got '/ 2' where it does not fit"),
            ("acc +", 5, "the equation ends where"),
            ("2acc", 0, "write \\* between"),
            ("lgo(acc)", 0, "did you mean log\\?"),
            ("1 + log(acc, 2)", 4, "log: got 2 arguments, expected one"),
            ("min(acc)", 0, "min: got 1 argument, expected two or more"),
            ("log(x=acc)", 5, "character '='"),
            ("min(*acc, 2)", 0, "starred"),
            ("acc, 2", 0, "got a comma"),
            ("acc + True", 6, "got True"),
            ("acc * 2j", 6, "got 2j"),
            ("acc.real", 0, "other than arithmetic"),
            ("(1 if acc else 2)", 1, "other than arithmetic"),
            ("acc * 'a'", 6, "character"),
            ("lambda: acc", 6, "character ':'"),
            ("[acc]", 0, "character '\\['"),
            ("acc\0", 3, "character"),
            ("acc * +2", 6, "plus sign"),
            ("acc + 1e200", 6, "beyond 1e100"),
            ("acc" + "+1" * 400, 500, "at most 500"),
            ("(" * 230 + "acc" + ")" * 230, 0, "nested too deeply"),
            ("-" * 200 + "acc", 100, "nested too deeply"),
            ("é + (1 or acc)", 5, "other than arithmetic"),
        ],
    )
    def test_at_its_place(self, expression: str, position: int, message: str) -> None:
        with pytest.raises(TargetError, match=message) as error:
            Target(expression)
        assert error.value.position == position

    def test_an_unknown_metric_says_which_exist(self) -> None:
        error = refused("log(latency_ms) * mean_ac")
        assert error.position == 18
        known = "mean_acc, latency_ms, delta, acc, std"
        assert str(error) == f"got 'mean_ac', expected one of the metrics ({known}); did you mean mean_acc?"

    def test_an_equation_needs_a_metric(self) -> None:
        assert "uses no metric" in str(refused("1 + 2"))

    @pytest.mark.parametrize(
        "expression", ["9**9**9", "acc + 9**9**9**9**9", "acc*(99999999**99999999)", "exp(exp(exp(9))) + acc"]
    )
    @pytest.mark.timeout(30)  # whole numbers of that size would take for ever
    def test_huge_powers_end(self, expression: str) -> None:
        assert "overflows: its values go beyond 1e100" in str(refused(expression))


class TestRefusedOnData:
    def test_an_overflow_on_percentages_proposes_to_divide(self) -> None:
        error = refused("1 + 100**mean_acc")
        assert error.position == 4
        assert str(error) == (
            "100**mean_acc overflows: its values go beyond 1e100 in 2 of 2 rows, first in row 0; "
            "its exponent goes up to 93. Try 100**(mean_acc/100)."
        )
        Target("1 + 100**(mean_acc/100)").values(METRICS)

    def test_the_proposal_of_an_exponential_works(self) -> None:
        error = refused("exp(latency_ms + 1)")
        assert "in 1 of 3 rows, first in row 2" in str(error)
        assert "Try exp((latency_ms + 1)/10000)" in str(error)

    @pytest.mark.parametrize(
        ("expression", "position", "message"),
        [
            ("acc - 1/delta", 6, "1/delta: division by zero in 1 of 3 rows, first in row 1."),
            ("delta**-1", 0, "delta**-1: division by zero (zero to a negative power) in 1 of 3 rows, first in row 1."),
            ("delta**0.5", 0, "delta**0.5: a negative number to a fractional power in 1 of 3 rows, first in row 0."),
            ("log(delta)", 0, "log(delta): logarithm of a negative number in 2 of 3 rows, first in row 0."),
            ("2*log10(abs(delta))", 2, "log10(abs(delta)): logarithm of zero in 1 of 3 rows, first in row 1."),
            ("sqrt(delta)", 0, "sqrt(delta): square root of a negative number in 1 of 3 rows, first in row 0."),
            ("acc + 0/0", 6, "0/0: division by zero."),
        ],
    )
    def test_undefined_rows_are_counted(self, expression: str, position: int, message: str) -> None:
        error = refused(expression)
        assert (error.position, str(error)) == (position, message)

    def test_rows_are_called_by_the_index(self) -> None:
        frame = METRICS.set_index(pd.Index([10, 11, 14]))
        with pytest.raises(TargetError, match="first in row 11"):
            Target("1/delta").values(frame)

    def test_rows_without_a_metric_do_not_count(self) -> None:
        frame = pd.DataFrame({"a": [0.0, 2.0], "b": [math.nan, 1.0]})
        assert Target("b / a").values(frame) == pytest.approx([math.nan, 0.5], nan_ok=True)

    def test_an_empty_table_has_no_values(self) -> None:
        assert len(Target("log(acc)").values(METRICS[:0])) == 0


class TestCheckVaries:
    def test_a_constant_target_is_refused(self) -> None:
        target = Target("std * 0.1")
        with pytest.raises(TargetError, match=r"got the same target, 0\.1, in all 3 rows"):
            target.check_varies(target.values(METRICS))
        target.check_varies(Target("acc").values(METRICS))

    def test_two_rows_need_a_target(self) -> None:
        with pytest.raises(TargetError, match="got 1 of 3 rows"):
            Target("acc").check_varies(np.array([1.0, math.nan, math.nan]))


class TestSuggestions:
    def test_accuracy_first_then_per_cost(self) -> None:
        frame = pd.DataFrame({"test_acc_1": [80.0, 90], "mean_acc": [80.0, 90], "std": [1.0, 2], "params": [1e5, 2e6]})
        assert suggest_targets(frame)[:2] == ["mean_acc", "100**(mean_acc/100) / log10(params)"]

    def test_fractions_are_not_divided_and_latency_comes_before_size(self) -> None:
        frame = pd.DataFrame({"params": [1e5, 2e6], "latency_gpu_ms": [5.0, 9.0], "acc": [0.7, 0.8]})
        assert suggest_targets(frame)[:2] == ["acc", "100**acc / log10(latency_gpu_ms)"]

    def test_a_loss_is_offered_as_it_is_for_its_direction_is_its_own(self) -> None:
        assert suggest_targets(pd.DataFrame({"test_loss": [0.3, 0.4]}))[0] == "test_loss"
        frame = pd.DataFrame({"val_loss": [0.3, 0.4], "latency_ms": [7.0, 9.0]})
        assert suggest_targets(frame) == ["val_loss", "latency_ms"] and all(map(lower_is_better, suggest_targets(frame)))
        assert suggest_targets(pd.DataFrame({"x": [1.0, 2.0], "y": [1.0, 1.0]})) == ["x"]
        assert suggest_targets(pd.DataFrame(index=range(3))) == []


@pytest.mark.parametrize("expression", ["params", " latency_ms ", "flops_m", "test_loss", "val_error"])
def test_small_values_of_a_bare_cost_or_loss_are_the_good_ones(expression: str) -> None:
    assert lower_is_better(expression)


@pytest.mark.parametrize("expression", ["mean_acc", "-test_loss", "acc / params", "accuracy_loss_map", "x", "log(params)"])
def test_of_anything_else_the_large_values_are(expression: str) -> None:
    assert not lower_is_better(expression)


@pytest.mark.parametrize(
    ("given", "title", "unit", "axis"),
    [
        (("map_pct",), "map_pct", "points", "map_pct (points)"),
        (("latency_ms",), "latency_ms", "ms", "latency_ms (ms)"),
        (("params_m",), "params_m", "M", "params_m (M)"),
        (("mean_acc",), "mean_acc", "mean_acc", "mean_acc"),
        (("a / b",), "a / b", "", "a / b"),
        (("a / b", "efficiency"), "efficiency", "efficiency", "efficiency"),
        (("a / b", "accuracy for its cost"), "accuracy for its cost", "", "accuracy for its cost"),
        (("a / b", "efficiency", "points per ms"), "efficiency", "points per ms", "efficiency (points per ms)"),
        (("latency_ms", "Delay"), "Delay", "ms", "Delay (ms)"),
        (("latency_ms", "", "frames"), "latency_ms", "frames", "latency_ms (frames)"),
        (
            ("100**(mean_acc/100) / log10(latency_ms_on_that_phone)",),
            None,
            "",
            "100**(mean_acc/100) / log10\u2026",
        ),
    ],
)
def test_what_a_target_is_called(given: tuple[str, ...], title: str | None, unit: str, axis: str) -> None:
    label = Label.of(*given)
    assert (label.title, label.unit, label.axis) == (title or given[0], unit, axis)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *[(name, "accuracy") for name in ("val_top1", "top_1", "mAP", "mIoU", "valAcc", "recall5", "accuracy_pct")],
        *[(name, "loss") for name in ("val_nll", "ce", "rmsle", "fid", "valLoss")],
        *[(name, "cost") for name in ("GFLOPs", "inference_ms", "Params (M)", "model_size", "peak_memory_mb", "gpu_hours")],
        *[(name, "") for name in ("cosine", "throughput", "fps", "x", "parametric", "homes")],
    ],
)
def test_one_vocabulary_tells_accuracies_losses_and_costs(name: str, kind: str) -> None:
    found = {"accuracy": is_accuracy(name), "loss": is_loss(name), "cost": cost_rank(name) is not None}
    assert [word for word, is_one in found.items() if is_one] == ([kind] if kind else [])


def test_the_best_stand_in_for_size_comes_first() -> None:
    names = ["latency_ms", "acc", "num_params", "energy_mj", "gflops", "madds_m", "runtime"]
    assert by_cost(names) == ["madds_m", "gflops", "num_params", "latency_ms", "runtime", "energy_mj"]


def test_a_row_without_a_value_is_not_a_number_where_that_is_wanted() -> None:
    metrics = pd.DataFrame({"acc": [1.0, 2.0, 3.0], "ms": [2.0, 0.0, np.nan]})
    with pytest.raises(TargetError):
        Target("acc / ms").values(metrics)
    found = Target("acc / ms").values_or_nan(metrics)
    assert found[0] == 0.5 and np.isnan(found[1:]).all()
    with pytest.raises(TargetError, match="got 'speed'"):
        Target("speed / ms").values_or_nan(metrics)
