"""A target equation over a file's metrics: parsed safely, checked at once, evaluated in columns.

Grammar: numbers, metrics, + - * / **, unary minus, parentheses, and the functions log, log2, log10, exp, sqrt, abs
(one argument), min, max (two or more, row by row). simpleeval evaluates it over a whitelist of its node types;
everything else is refused with its position. A row that lacks a metric has no target (NaN).
"""

import ast
import difflib
import math
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any, NoReturn

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from simpleeval import SimpleEval

from autobuild_core.errors import TargetError

Values = NDArray[np.float64]
MAX_CHARACTERS = 500
MAX_DEPTH = 100
OVERFLOW = 1e100
ONE_ARGUMENT: dict[str, Callable[..., Any]] = {
    "log": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "exp": np.exp,
    "sqrt": np.sqrt,
    "abs": np.abs,
}
ELEMENTWISE: dict[str, Callable[..., Any]] = {"min": np.minimum, "max": np.maximum}
FUNCTIONS = (*ONE_ARGUMENT, *ELEMENTWISE)
OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.Pow: np.power,
    ast.USub: np.negative,
}
FOREIGN = re.compile(r"[^\w\s.+\-*/(),]")
HINTS = {"^": "for a power write **", "%": "for percent divide by 100", "=": "write only the right side of the equation"}


@dataclass(frozen=True)
class Target:
    """A target equation.

    Args:
        expression: the equation, e.g. "100**(acc/100) / log10(latency_ms)".
        minimize: small values are the good ones. Values keep their sign either way.

    Raises:
        TargetError: it is not in the grammar; `.position` is the faulty character.
    """

    expression: str
    minimize: bool = False

    def __post_init__(self) -> None:
        _ = self._tree

    @cached_property
    def _tree(self) -> ast.expr:
        """The equation's syntax tree, every node allowed."""
        return _parse(self.expression)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The metrics that it uses, in order of appearance."""
        return tuple(dict.fromkeys(name.id for name in _metric_nodes(self._tree)))

    def check(self, metrics: list[str]) -> None:
        """Returns when the equation can be asked of a file with these metrics.

        Raises:
            TargetError: a metric is unknown, none is used, or a part without metrics is no finite number.
        """
        for node in _metric_nodes(self._tree):
            if node.id not in metrics:
                close = difflib.get_close_matches(node.id, metrics, 1, 0.5)
                guess = f"; did you mean {close[0]}?" if close else "."
                known = ", ".join(metrics[:12]) + (", ..." if len(metrics) > 12 else "") or "none"
                raise TargetError(f"got '{node.id}', expected one of the metrics ({known}){guess}", self._position(node))
        for part in ast.walk(self._tree):
            if isinstance(part, ast.BinOp | ast.UnaryOp | ast.Call) and not _metric_nodes(part):
                _Evaluator(self.expression, {}, pd.RangeIndex(1)).run(part)
        if not self.names:
            raise TargetError(f"got '{self.expression}', which uses no metric; expected at least one of the file's.", 0)

    def values(self, metrics: pd.DataFrame) -> Values:
        """The target of every row.

        Args:
            metrics: one row an architecture; messages name rows by its index.

        Returns:
            (num_rows,) NaN where a metric that the equation uses is missing.

        Raises:
            TargetError: see `check`; or a part overflows, divides by zero or leaves the domain of its function.
        """
        self.check([str(name) for name in metrics.columns])
        columns = metrics[list(self.names)].to_numpy(np.float64)
        complete = ~np.isnan(columns).any(1)
        names = {name: columns[complete, i] for i, name in enumerate(self.names)}
        out = np.full(len(metrics), np.nan)
        out[complete] = _Evaluator(self.expression, names, metrics.index[complete]).run(self._tree)
        return out

    def values_or_nan(self, metrics: pd.DataFrame) -> Values:
        """As `values`, NaN also of rows for which the equation has no value: it divides by zero, say.

        Raises:
            TargetError: see `check`.
        """
        self.check([str(name) for name in metrics.columns])
        try:
            return self.values(metrics)
        except TargetError:
            if len(metrics) == 1:
                return np.full(1, np.nan)
            return np.concatenate([self.values_or_nan(metrics.iloc[[row]]) for row in range(len(metrics))])

    def check_varies(self, values: Values) -> None:
        """Returns when there is something to learn: at least two rows with a target, not all equal.

        Raises:
            TargetError: otherwise.
        """
        finite = values[~np.isnan(values)]
        if len(finite) < 2:
            raise TargetError(f"got {len(finite)} of {len(values)} rows with all metrics of the target, expected at least 2.")
        low, high = float(finite.min()), float(finite.max())
        if high - low <= 1e-12 * max(abs(low), abs(high)):
            raise TargetError(f"got the same target, {low:.6g}, in all {len(finite)} rows; expected one that tells them apart.")

    def _position(self, node: ast.expr) -> int:
        return position_of(self.expression, node)


def position_of(expression: str, node: ast.expr) -> int:
    """Offset of a node in its equation, in characters."""
    before = _one_line(expression).encode()[: node.col_offset]
    return len(expression) - len(expression.lstrip()) + len(before.decode(errors="ignore"))


def _one_line(expression: str) -> str:
    """The text that is parsed: no space in front, every other one a blank."""
    return re.sub(r"\s", " ", expression.lstrip())


def _parse(expression: str) -> ast.expr:
    """The syntax tree of an equation, whitelisted."""
    if not expression.strip():
        raise TargetError("got an empty equation, expected one over the file's metrics.", 0)
    if len(expression) > MAX_CHARACTERS:
        raise TargetError(f"got {len(expression)} characters, expected at most {MAX_CHARACTERS}.", MAX_CHARACTERS)
    if foreign := FOREIGN.search(expression):
        character = foreign[0]
        hint = HINTS.get(character, f"expected numbers, metrics, + - * / ** ( ) and {', '.join(FUNCTIONS)}")
        raise TargetError(f"got the character {character!r}; {hint}.", foreign.start())
    start = len(expression) - len(expression.lstrip())
    flat = _one_line(expression)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python warns of "2if", which is refused anyway
            tree = ast.parse(flat, mode="eval").body
    except SyntaxError as error:
        raise TargetError(*_syntax(flat, error, start)) from None
    except (ValueError, MemoryError, RecursionError):
        raise TargetError("got an equation nested too deeply, expected a simpler one.", 0) from None
    _allow(tree, expression, MAX_DEPTH)
    return tree


def _syntax(flat: str, error: SyntaxError, start: int) -> tuple[str, int]:
    """(sentence, position) of a syntax error."""
    if "too many nested" in error.msg:
        return "got an equation nested too deeply, expected a simpler one.", start
    offset = min(max((error.offset or 1) - 1, 0), len(flat))
    if flat.count("(") > flat.count(")"):
        offset = flat.rfind("(") if "never closed" not in error.msg else offset
        return "got an opening parenthesis without its closing one.", start + offset
    if flat.count(")") > flat.count("("):
        return "got a closing parenthesis without an opening one.", start + flat.rfind(")")
    rest = flat[offset:].strip()
    if error.msg.startswith("invalid decimal literal"):
        return f"got '{rest[:20]}', a number right before a name; write * between them.", start + offset
    if not rest or flat.rstrip().endswith(("+", "-", "*", "/")):
        return "the equation ends where a number, a metric or a parenthesis is expected.", start + len(flat)
    return f"got '{rest[:20]}' where it does not fit; expected numbers and metrics joined by + - * / **.", start + offset


def _metric_nodes(tree: ast.AST) -> list[ast.Name]:
    """The metrics of a part, in order of appearance; names of functions are none."""
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) not in called]
    return sorted(found, key=lambda node: node.col_offset)


def _allow(node: ast.expr, expression: str, depth: int) -> None:
    """Returns when the node and all below are in the grammar."""

    def refuse(sentence: str, at: ast.expr = node) -> NoReturn:
        raise TargetError(sentence, position_of(expression, at))

    if depth == 0:
        refuse("got an equation nested too deeply, expected a simpler one.")
    parts: list[ast.expr] = []
    match node:
        case ast.Name():
            pass
        case ast.Constant(value=value):
            if type(value) not in (int, float):
                refuse(f"got {value!r}, expected a number, a metric or a function.")
            if isinstance(value, int | float) and not abs(value) <= OVERFLOW:
                refuse("got a number beyond 1e100, expected a smaller one.")
        case ast.UnaryOp(op=op, operand=operand) if type(op) in OPERATORS:
            parts = [operand]
        case ast.BinOp(left=left, op=op, right=right):
            if type(op) not in OPERATORS:
                refuse(f"got the operator {_symbol(op)}, expected + - * / or **.", right)
            parts = [left, right]
        case ast.Call():
            parts = _call_arguments(node, refuse)
        case ast.UnaryOp(op=ast.UAdd()):
            refuse("got a plus sign before a value, expected the value alone.")
        case ast.Tuple():
            refuse("got a comma outside of min(...) or max(...); write decimals with a point.")
        case _:
            refuse(
                f"got something other than arithmetic ({type(node).__name__}), expected + - * / ** and {', '.join(FUNCTIONS)}."
            )
    for part in parts:
        _allow(part, expression, depth - 1)


def _symbol(op: ast.operator) -> str:
    """The symbol of an operator."""
    return {"FloorDiv": "//", "MatMult": "@", "Mod": "%"}.get(type(op).__name__, type(op).__name__)


def _call_arguments(node: ast.Call, refuse: Callable[..., NoReturn]) -> list[ast.expr]:
    """The arguments of an allowed function called with the right number of them."""
    if not isinstance(node.func, ast.Name):
        refuse(f"got a call of something other than a function, expected one of {', '.join(FUNCTIONS)}.")
    name, num = node.func.id, len(node.args)
    if name not in FUNCTIONS:
        close = difflib.get_close_matches(name, FUNCTIONS, 1, 0.5)
        guess = f"; did you mean {close[0]}?" if close else "."
        refuse(f"got the function '{name}', expected one of {', '.join(FUNCTIONS)}{guess}", node.func)
    if node.keywords or any(isinstance(argument, ast.Starred) for argument in node.args):
        refuse(f"{name}: got a named or starred argument, expected plain ones.")
    if name in ONE_ARGUMENT and num != 1:
        refuse(f"{name}: got {num} arguments, expected one.")
    if name in ELEMENTWISE and num < 2:
        refuse(f"{name}: got {num} argument{'s' * (num != 1)}, expected two or more ({name} is taken row by row).")
    return node.args


class _Evaluator(SimpleEval):  # type: ignore[misc]
    """simpleeval over columns, with five node types; looks at the result of every part.

    Args:
        expression: the equation, for messages and positions.
        names: metric -> (num_rows,) finite values.
        rows: what messages call the rows.
    """

    def __init__(self, expression: str, names: dict[str, Values], rows: pd.Index) -> None:
        functions = {**ONE_ARGUMENT, **{name: _folded(function) for name, function in ELEMENTWISE.items()}}
        super().__init__(operators=OPERATORS, functions=functions, names=names)
        self.nodes = {
            ast.Name: self._eval_name,
            ast.Constant: self._eval_constant,
            ast.UnaryOp: self._eval_unaryop,
            ast.BinOp: self._eval_binop,
            ast.Call: self._eval_call,
        }
        self.expression, self.rows = expression, rows

    def run(self, tree: ast.expr) -> Values:
        """(num_rows,) values of a part."""
        with np.errstate(all="ignore"):
            result = self.eval(self.expression, tree)
        return np.broadcast_to(np.asarray(result, np.float64), len(self.rows)).copy()

    def _eval(self, node: ast.expr) -> Any:
        """simpleeval's step, its numbers float64 (no huge integers), its result checked."""
        result = np.asarray(super()._eval(node), np.float64)
        if not (np.abs(result) <= OVERFLOW).all():
            self._explain(node, np.broadcast_to(result, len(self.rows)))
        return result

    def _explain(self, node: ast.expr, result: Values) -> NoReturn:
        """Raises what made a part no usable number."""
        faulty = ~(np.abs(result) <= OVERFLOW)
        text, where = _source(self.expression, node), _rows_of(faulty, self.rows)
        cause = self._domain(node)
        if cause:
            sentence = f"{text}: {cause}{where}."
        else:
            sentence = f"{text} overflows: its values go beyond 1e100{where}{self._smaller(node)}."
        raise TargetError(sentence, position_of(self.expression, node))

    def _domain(self, node: ast.expr) -> str:
        """The reason why a part is undefined, "" when it is merely too large."""
        match node:
            case ast.BinOp(op=ast.Div(), right=right) if (self._eval(right) == 0).any():
                return "division by zero"
            case ast.BinOp(left=left, op=ast.Pow(), right=right):
                base, exponent = self._eval(left), self._eval(right)
                if ((base == 0) & (exponent < 0)).any():
                    return "division by zero (zero to a negative power)"
                if ((base < 0) & (exponent != np.floor(exponent))).any():
                    return "a negative number to a fractional power"
            case ast.Call(func=ast.Name(id="sqrt")):
                return "square root of a negative number"
            case ast.Call(func=ast.Name(id=name), args=[argument]) if name.startswith("log"):
                return "logarithm of zero" if (self._eval(argument) >= 0).all() else "logarithm of a negative number"
        return ""

    def _smaller(self, node: ast.expr) -> str:
        """A proposal for a power or exponential that grows too large: its exponent divided by a power of ten."""
        match node:
            case ast.BinOp(left=left, op=ast.Pow(), right=exponent):
                form = f"{_bracketed(self.expression, left)}**({{}})"
            case ast.Call(func=ast.Name(id="exp"), args=[exponent]):
                form = "exp({})"
            case _:
                return ""
        if not _metric_nodes(exponent):
            return ""
        largest = float(np.abs(self._eval(exponent)).max())
        scale = 10 ** math.ceil(math.log10(max(largest, 1.0)))
        smaller = form.format(f"{_bracketed(self.expression, exponent)}/{scale}")
        return f"; its exponent goes up to {largest:.6g}. Try {smaller}"


def _folded(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of two arguments as one of any number."""
    return lambda *arguments: reduce(function, arguments)


def _source(expression: str, node: ast.expr) -> str:
    """A part as the user wrote it."""
    start = position_of(expression, node)
    return ast.get_source_segment(_one_line(expression), node) or expression[start:]


def _bracketed(expression: str, node: ast.expr) -> str:
    """A part as the user wrote it, in parentheses unless it is one word."""
    text = _source(expression, node)
    return text if re.fullmatch(r"[\w.]+", text) else f"({text})"


def _rows_of(faulty: NDArray[np.bool_], rows: pd.Index) -> str:
    """The number of faulty rows, and the first, in words; nothing where it is no matter of rows."""
    num = int(faulty.sum())
    if num == len(rows) == 1:
        return ""
    return f" in {num} of {len(rows)} rows, first in row {rows[int(np.argmax(faulty))]}"
