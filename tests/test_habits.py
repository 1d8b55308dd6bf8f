"""How tests are written, read from their own text: nothing passes by accident, nothing waits for a fixed time or asserts one."""

import ast
import re
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
FILES = sorted(HERE.rglob("*.py"))
CLOCKS = {"monotonic", "perf_counter", "process_time", "thread_time", "time_ns", "perf_counter_ns", "monotonic_ns"}
SECONDS = re.compile(r"(_s|seconds|_ms)$")
NAMELESS = re.compile(r"(What|Those|So many|That|Where|How|Why)\b")


def named(node: ast.AST) -> str:
    """The last part of a name, "" of what has none."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def conditional_asserts(tree: ast.Module) -> list[int]:
    """Lines of asserts that an `if` may leave out."""
    branches = [part for node in ast.walk(tree) if isinstance(node, ast.If) for part in (*node.body, *node.orelse)]
    return sorted({node.lineno for part in branches for node in ast.walk(part) if isinstance(node, ast.Assert)})


def fixed_waits(tree: ast.Module) -> list[int]:
    """Lines that wait for a fixed time: outside a loop that looks for what it waits for."""
    loops = {id(node) for loop in ast.walk(tree) if isinstance(loop, ast.While) for node in ast.walk(loop)}
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    sleeps = [n for n in calls if named(n.func) == "sleep" and id(n) not in loops]
    return sorted(n.lineno for n in [*sleeps, *(n for n in calls if named(n.func) == "wait_for_timeout")])


def asserted_times(tree: ast.Module) -> list[int]:
    """Lines that assert what a clock says, or that what is measured in seconds stands on one side of a number but zero."""
    lines = []
    for scope in [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]:
        taken = [n for n in ast.walk(scope) if isinstance(n, ast.Assign) and any(map(is_clock, ast.walk(n.value)))]
        times = {named(name) for n in taken for target in n.targets for name in ast.walk(target)} - {""}
        for node in [n for n in ast.walk(scope) if isinstance(n, ast.Assert)]:
            parts = list(ast.walk(node.test))
            if any(is_clock(part) or (isinstance(part, ast.Name) and part.id in times) for part in parts):
                lines.append(node.lineno)
            lines += [node.lineno for part in parts if isinstance(part, ast.Compare) and is_limit(part)]
    return sorted(set(lines))


def is_clock(node: ast.AST) -> bool:
    """A call that reads a clock which only measures; `time.time` also dates what is written."""
    return isinstance(node, ast.Call) and named(node.func) in CLOCKS


def is_limit(node: ast.Compare) -> bool:
    """Seconds beside a number that is not zero."""
    sides = [node.left, *node.comparators]
    keys = [s.slice.value for s in sides if isinstance(s, ast.Subscript) and isinstance(s.slice, ast.Constant)]
    seconds = any(SECONDS.search(str(key)) for key in keys)
    ordered = any(isinstance(operator, ast.Lt | ast.LtE | ast.Gt | ast.GtE) for operator in node.ops)
    return seconds and ordered and any(isinstance(s, ast.Constant) and s.value for s in sides)


def compared_constants(tree: ast.Module) -> list[int]:
    """Lines of asserts about nothing but what the file itself says."""
    own = [n for n in tree.body if isinstance(n, ast.Assign) and not any(isinstance(v, ast.Call) for v in ast.walk(n.value))]
    constants = {named(target) for n in own for target in n.targets}
    built_in = set(dir(__builtins__)) | set(__builtins__ if isinstance(__builtins__, dict) else ())
    lines = []
    for node in [n for n in ast.walk(tree) if isinstance(n, ast.Assert)]:
        names = {n.id for n in ast.walk(node.test) if isinstance(n, ast.Name)}
        lines += [node.lineno] if names - built_in <= constants else []
    return lines


def nameless_docstrings(tree: ast.Module) -> list[int]:
    """Lines of docstrings that begin with a question word or a pointer, not with a noun for what they describe."""
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    documented = [node for node in ast.walk(tree) if isinstance(node, kinds)]
    return sorted(n.body[0].lineno for n in documented if NAMELESS.match(ast.get_docstring(n) or ""))


CHECKS = [conditional_asserts, fixed_waits, asserted_times, compared_constants]
MEASURES = {"times.py"}  # of `make times`, no test


@pytest.mark.parametrize("check", CHECKS)
def test_the_tests_keep_it(check: Callable[[ast.Module], list[int]]) -> None:
    texts = {path: path.read_text(encoding="utf-8") for path in FILES if path.name not in MEASURES}
    found = [f"{path.relative_to(HERE)}:{line}" for path, text in texts.items() for line in check(ast.parse(text))]
    assert found == []


def test_docstrings_name_their_object() -> None:
    files = sorted(path for folder in ("autobuild_core", "pages") for path in (HERE.parent / folder).rglob("*.py"))
    texts = {path: path.read_text(encoding="utf-8") for path in files}
    found = [
        f"{path.relative_to(HERE.parent)}:{line}" for path, text in texts.items() for line in nameless_docstrings(ast.parse(text))
    ]
    assert files
    assert found == []


PLANTED = [
    (conditional_asserts, "def f(a):\n    if a:\n        with b:\n            assert a", [4]),
    (conditional_asserts, "def f(a):\n    for b in a:\n        if b:\n            c()\n        else:\n            assert b", [6]),
    (conditional_asserts, "def f(a):\n    if a:\n        return\n    assert a", []),
    (fixed_waits, "def f(page):\n    time.sleep(1)\n    page.wait_for_timeout(5)\n    sleep(2)", [2, 3, 4]),
    (fixed_waits, "def f(a):\n    while not a():\n        time.sleep(0.1)", []),
    (asserted_times, "def f():\n    begun = time.monotonic()\n    g()\n    assert time.monotonic() - begun < 3", [4]),
    (asserted_times, "def f():\n    begun, a = perf_counter(), g()\n    took = a - begun\n    assert begun < 3", [4]),
    (asserted_times, "def f(row):\n    assert row['train_s'] < 2 and row['n'] < 2\n    assert row['train_s'] > 0", [2]),
    (compared_constants, "A = 1\nB = [2]\ndef f():\n    assert len(B) == A\n    assert A == g()", [4]),
    (compared_constants, "A = g()\ndef f():\n    assert A == 2", []),
    (nameless_docstrings, '"""Why it is."""\nclass A:\n    """\n    So many.\n    """\n    def f():\n        "How."', [1, 3, 7]),
    (nameless_docstrings, 'def f():\n    """The reason. What it is."""\n    "That."\ndef g():\n    """Whatever."""', []),
]


@pytest.mark.parametrize(("check", "text", "lines"), PLANTED)
def test_what_is_planted_is_found(check: Callable[[ast.Module], list[int]], text: str, lines: list[int]) -> None:
    assert check(ast.parse(text)) == lines
