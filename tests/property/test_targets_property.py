"""The target grammar computes what Python computes, and refuses all else quickly, with a place."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autobuild_core.errors import TargetError
from autobuild_core.targets.equation import FUNCTIONS, Target

FRAME = pd.DataFrame({"acc": [0.5, 0.75, 0.9], "lat": [3.0, 20.0, 7.5], "d": [-1.0, 0.0, 4.0]})
MATHS: dict[str, object] = {
    "log": math.log,
    "log2": math.log2,
    "log10": math.log10,
    "exp": math.exp,
    "sqrt": math.sqrt,
    "abs": abs,
    "min": min,
    "max": max,
}
ATOMS = st.sampled_from(["acc", "lat", "d"]) | st.integers(0, 9).map(str) | st.floats(0.25, 99, width=32).map(repr)


def grow(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    operator = st.sampled_from(["+", "-", "*", "/", "**"])
    joined = st.tuples(inner, operator, inner).map(lambda t: f"({t[0]}) {t[1]} ({t[2]})")
    single = st.tuples(st.sampled_from(["log", "log2", "log10", "exp", "sqrt", "abs", "-"]), inner).map(
        lambda t: f"{t[0]}({t[1]})"
    )
    several = st.tuples(st.sampled_from(["min", "max"]), st.lists(inner, min_size=2, max_size=3)).map(
        lambda t: f"{t[0]}({', '.join(t[1])})"
    )
    return joined | single | several


EXPRESSIONS = st.recursive(ATOMS, grow, max_leaves=6)


def by_python(expression: str, row: dict[str, float]) -> float | None:
    """The value by Python's own floats; None where it has none."""
    try:
        value = eval(expression, {"__builtins__": {}}, {**MATHS, **row})  # grown above from a fixed alphabet
        return None if isinstance(value, complex) or not abs(value) <= 1e100 else float(value)
    except (ArithmeticError, ValueError, TypeError):
        return None


@settings(max_examples=300, deadline=None)
@given(EXPRESSIONS)
def test_the_grammar_computes_what_python_computes(expression: str) -> None:
    expected = [by_python(expression, row) for row in FRAME.to_dict("records")]
    try:
        target = Target(expression)
        found = target.values(FRAME)
    except TargetError as error:
        assert error.position is not None and 0 <= error.position <= len(expression)
        return
    assert all(value is not None for value in expected)
    np.testing.assert_allclose(found, np.array(expected, float), rtol=1e-6, atol=1e-9)


@settings(max_examples=500, deadline=None)
@given(
    st.text(max_size=60)
    | st.lists(
        st.sampled_from(
            [
                *FUNCTIONS,
                "acc",
                "lat",
                "(",
                ")",
                "+",
                "-",
                "**",
                "//",
                ",",
                ".",
                "_",
                " ",
                "1",
                "1e9",
                "if",
                "for",
                "lambda",
                "in",
                "\n",
            ]
        ),
        max_size=14,
    ).map("".join)
)
def test_any_text_is_a_target_or_refused_with_a_place(expression: str) -> None:
    try:
        values = Target(expression).values(FRAME)
    except TargetError as error:
        assert error.position is not None and 0 <= error.position <= len(expression)
        assert str(error).endswith((".", "?")) and "Traceback" not in str(error)
    else:
        assert np.isfinite(values).all() and (np.abs(values) <= 1e100).all()


@pytest.mark.parametrize(
    "attack",
    [
        "__import__('os').system('true')",
        "acc.__class__",
        "().__class__.__bases__",
        "acc.tofile(lat)",
        "open(acc)",
        "eval(acc)",
        "exec(acc)",
        "globals()",
        "log.__globals__",
        "(log)(acc)(acc)",
        "log(log)",
        "max",
        "[x for x in acc]",
        "{acc: 1}",
        "{acc}",
        "lambda: acc",
        "(lambda x: x)(acc)",
        "acc[0]",
        "acc if acc else lat",
        "acc and lat",
        "not acc",
        "acc < lat",
        "acc == lat",
        "acc in lat",
        "acc is lat",
        "acc := 1",
        "acc; lat",
        "import os",
        "acc << 2",
        "acc | 1",
        "acc & 1",
        "~acc",
        "acc % 2",
        "acc @ lat",
        "acc // 2",
        "'a' * 99",
        '"a"',
        "f'{acc}'",
        "b'a'",
        "True",
        "None",
        "...",
        "acc + 1j",
        "*acc",
        "min(*acc, 1)",
        "min(acc, key=lat)",
        "yield acc",
        "await acc",
        "9**9**9",
        "acc * 9**9**9**9",
        "round(acc)",
        "sum(acc)",
        "acc # comment",
        "acc\\",
        "acc`",
        "acc!",
        "$acc",
    ],
)
@pytest.mark.timeout(30)
def test_everything_else_is_refused(attack: str) -> None:
    with pytest.raises(TargetError) as error:
        Target(attack).values(FRAME)
    assert error.value.position is not None
