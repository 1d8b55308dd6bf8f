"""What every evaluator must do; that a new one is a single file; and that the suite finds faults."""

import inspect
import json
import shutil
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from autobuild_core import evaluators, registry
from autobuild_core.api import Run
from autobuild_core.errors import ArchitectureError, ConfigError, EvaluationError, RunError
from autobuild_core.evaluators import Conditions, Evaluator, Measured, Watch, evaluator_names, load_evaluator
from autobuild_core.spaces import Space, space_named
from autobuild_core.testing.evaluators import EvaluatorSuite
from autobuild_core.testing.examples import flat_space
from tests.architectures import EXAMPLES

NEW = '''
"""Counts layers."""

from autobuild_core.errors import ArchitectureError
from autobuild_core.evaluators import Evaluator, Measured


class Counted(Evaluator):
    title, metrics, by_seed = "Layers", ("layers",), False

    def data(self):
        return "none"

    def check(self, arch):
        if not isinstance(arch, str):
            raise ArchitectureError(f"architecture: got {arch}, expected a text.")

    def evaluate(self, arch, at, watch):
        watch.step()
        return Measured({"layers": float(len(arch))})
'''


OWN = """
def evaluate(arch, budget, seed):
    print("what it prints is no answer")
    if not isinstance(arch, str):
        raise ValueError(f"got a {type(arch).__name__}, expected a text")
    return {"acc": len(arch) + seed / 10}
"""


class TestEvaluators(EvaluatorSuite):
    @pytest.fixture(params=[name for name in registry.names(evaluators.FOLDER) if name not in ("table", "predictor")])
    def name(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    @pytest.fixture
    def arch(self, name: str) -> Any:
        return EXAMPLES[name]


class TestTable(EvaluatorSuite):
    """The look-up, in a file with two seeds of every architecture."""

    @pytest.fixture
    def name(self, tmp_path: Path) -> str:
        archs = ["00000000", "00010000", "20000000", "22222222"]
        lines = [{"arch": a, "seed": s, "acc": n + s / 10, "flops": 2.0 + n} for n, a in enumerate(archs) for s in (0, 1)]
        (tmp_path / "known.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        return f"table:{tmp_path / 'known.jsonl'}"

    @pytest.fixture
    def arch(self) -> Any:
        return "22222222"

    def test_a_seed_that_it_does_not_hold_is_said(self, evaluator: Evaluator, arch: Any) -> None:
        with pytest.raises(EvaluationError, match=r"got 7, which known\.jsonl does not hold"):
            evaluator.evaluate(arch, Conditions(0, 7), Watch())

    def test_every_encoding_of_a_network_is_found_and_no_other(self, evaluator: Evaluator, at: Conditions) -> None:
        assert evaluator.evaluate("00010000", at, Watch()).metrics == {"acc": 1.0, "flops": 3.0}
        assert evaluator.evaluate("00001000", at, Watch()).metrics == {"acc": 1.0, "flops": 3.0}  # the same network
        with pytest.raises(ArchitectureError, match=r"which known\.jsonl does not hold"):
            evaluator.evaluate("11111111", at, Watch())


class TestPredictor(EvaluatorSuite):
    """A finished run."""

    @pytest.fixture
    def name(self, trained: Run) -> str:
        return f"predictor:{trained.folder.path}"

    @pytest.fixture
    def arch(self) -> Any:
        return "22222222"

    def test_its_version_is_that_of_the_model(self, evaluator: Evaluator, trained: Run, tmp_path: Path) -> None:
        other = tmp_path / trained.folder.path.name
        shutil.copytree(trained.folder.path, other)
        again = load_evaluator(f"predictor:{other}")
        assert (again.version, again.data()) == (evaluator.version, evaluator.data()) and len(again.version) == 12
        (other / "model.safetensors").write_bytes(b"another")
        assert load_evaluator(f"predictor:{other}").version != evaluator.version

    def test_a_folder_without_a_run(self, arch: Any, tmp_path: Path) -> None:
        with pytest.raises(RunError, match="got no finished model"):
            load_evaluator(f"predictor:{tmp_path}").check(arch)


class TestOwn(EvaluatorSuite):
    """A user's own Python file."""

    @pytest.fixture
    def name(self, tmp_path: Path) -> str:
        (tmp_path / "mine.py").write_text(OWN)
        return str(tmp_path / "mine.py")

    @pytest.fixture
    def arch(self) -> Any:
        return "0120"

    def test_what_it_does_not_measure_is_said(self, evaluator: Evaluator, other: Space) -> None:
        assert evaluator.supports(other) is None  # its file says it when it is asked
        with pytest.raises(EvaluationError, match="ValueError: got a dict, expected a text"):
            evaluator.evaluate({"nonsense": 1}, Conditions(1, 0), Watch())


def test_a_new_evaluator_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "extensions" / "evaluators"
    place.mkdir(parents=True)
    (place / "layers.py").write_text(NEW)
    monkeypatch.setenv(registry.EXTENSIONS, str(tmp_path / "extensions"))
    monkeypatch.setattr(evaluators, "__path__", [*evaluators.__path__])
    assert "layers" in evaluator_names()
    assert load_evaluator("layers").evaluate("0120", Conditions(0, 0), Watch()) == Measured({"layers": 4.0})
    assert load_evaluator("layers").supports(space_named("nas_bench_macro")) is None
    sys.modules.pop("autobuild_core.evaluators.layers", None)


def test_an_unknown_one_is_refused_with_the_known_ones() -> None:
    known = ", ".join(evaluator_names())
    with pytest.raises(ConfigError, match=f"got 'abacus', expected one of .*{known.split(', ')[0]}"):
        load_evaluator("abacus")
    for wrong, expected in (("table", "table:FILE"), ("cost:x.csv", "expected cost")):
        with pytest.raises(ConfigError, match=expected):
            load_evaluator(wrong)


class Steady(Evaluator):
    """An evaluator that passes the suite."""

    title, budget, metrics = "Steady", 4, ("loss",)

    def data(self) -> str:
        return "none"

    def check(self, arch: Any) -> None:
        if not isinstance(arch, str):
            raise ArchitectureError(f"architecture: got {arch}, expected a text.")

    def evaluate(self, arch: Any, at: Conditions, watch: Watch) -> Measured:
        watch.step()
        curve = ({"loss": 1.0 + at.seed},)
        watch.epoch(curve[0])
        return Measured({"loss": 0.5 + at.seed}, curve)


def nothing(self: Evaluator, arch: Any, at: Conditions, watch: Watch) -> Measured:
    return Measured({"loss": float("nan")})


def forgets_the_seed(self: Evaluator, arch: Any, at: Conditions, watch: Watch) -> Measured:
    watch.step()
    return Measured({"loss": 0.5})


def never_asks(self: Evaluator, arch: Any, at: Conditions, watch: Watch) -> Measured:
    return Measured({"loss": 0.5})


FAULTS = [
    ("test_it_has_its_words", {"title": "lower"}),
    ("test_it_has_its_words", {"metrics": ("Test Loss",)}),
    ("test_it_measures", {"evaluate": nothing}),
    ("test_it_measures", {"metrics": ("loss", "acc_pct")}),
    ("test_a_seed_says_its_numbers", {"evaluate": forgets_the_seed}),
    ("test_what_it_does_not_measure_is_said", {"check": lambda self, arch: None}),
    ("test_a_batch_goes_on_where_one_fails", {"check": lambda self, arch: None}),
    ("test_it_stops_when_it_is_asked_to", {"evaluate": never_asks}),
]


@pytest.mark.parametrize(("check", "faulty"), [("", {}), *FAULTS])
def test_a_faulty_evaluator_is_found(check: str, faulty: dict[str, Any]) -> None:
    made = type("Faulty", (Steady,), faulty)()
    asked = {"evaluator": made, "name": "faulty", "arch": "0120", "at": Conditions(4, 0), "other": flat_space()}
    for one in [check] if check else sorted({name for name, _ in FAULTS}):
        run = getattr(EvaluatorSuite(), one)
        with pytest.raises((AssertionError, pytest.fail.Exception)) if check else nullcontext():
            run(**{name: asked[name] for name in inspect.signature(run).parameters})
