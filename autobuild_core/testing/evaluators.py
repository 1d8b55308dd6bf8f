"""Checks that every evaluator must pass."""

import math
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from autobuild_core.errors import ArchitectureError, Cancelled, ConfigError, OutOfTime
from autobuild_core.evaluators import Conditions, Evaluator, Watch, load_evaluator
from autobuild_core.evaluators._executors import measure_all
from autobuild_core.evaluators._results import FINISHED, Asked, Setting, metrics_of
from autobuild_core.spaces import Space
from autobuild_core.testing.examples import flat_space

METRIC_NAME = re.compile(r"[a-z][a-z0-9_]*")  # as equations take them


class EvaluatorSuite:
    """Checks of an evaluator, found by its name: its words, that it is light, measures, repeats itself and stops when asked.

    Derive a class, say which evaluator and an architecture that it measures; `other`, a space that it does not measure, where
    the one here does not do:

        class TestMine(EvaluatorSuite):
            @pytest.fixture
            def name(self) -> str:
                return "mine"

            @pytest.fixture
            def arch(self) -> Any:
                return "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|"
    """

    budget = 4

    @pytest.fixture
    def name(self) -> str:
        """Name of the evaluator."""
        raise NotImplementedError

    @pytest.fixture
    def arch(self) -> Any:
        """An architecture that it measures, in its native encoding."""
        raise NotImplementedError

    @pytest.fixture
    def other(self) -> Space:
        """A space that it does not measure."""
        return flat_space()

    @pytest.fixture
    def evaluator(self, name: str) -> Iterator[Evaluator]:
        """The evaluator."""
        made = load_evaluator(name)
        yield made
        made.close()

    @pytest.fixture
    def at(self, evaluator: Evaluator) -> Conditions:
        """Conditions of a quick measurement."""
        return Conditions(self.budget if evaluator.budget else 0, 0)

    def test_it_has_its_words(self, evaluator: Evaluator) -> None:
        assert evaluator.title[0].isupper() and evaluator.version and evaluator.data()
        assert all(METRIC_NAME.fullmatch(metric) for metric in evaluator.metrics)
        assert evaluator.budget_or(None) == evaluator.budget
        with pytest.raises(ConfigError, match="budget"):
            evaluator.budget_or(0)

    def test_its_words_are_light(self, evaluator: Evaluator, name: str) -> None:
        place = f"import sys; sys.path[:] = {sys.path!r}; "
        code = f"from autobuild_core.evaluators import load_evaluator; load_evaluator({name!r}).data(); "
        code += "print([m for m in ('torch', 'scipy', 'sklearn', 'streamlit') if m in sys.modules])"
        done = subprocess.run([sys.executable, "-c", place + code], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "[]"

    def test_it_measures(self, evaluator: Evaluator, arch: Any, at: Conditions) -> None:
        heard: list[Mapping[str, float]] = []
        evaluator.check(arch)
        measured = evaluator.evaluate(arch, at, Watch(heard.append))
        assert measured.metrics and all(math.isfinite(value) for value in measured.metrics.values())
        assert not evaluator.metrics or tuple(measured.metrics) == evaluator.metrics
        assert [dict(one) for one in measured.curve] == [dict(one) for one in heard]
        assert all(set(one) & set(measured.metrics) for one in heard)

    def test_a_seed_says_its_numbers(self, evaluator: Evaluator, name: str, arch: Any, at: Conditions) -> None:
        asked = [Asked(arch, seed) for seed in (0, 0, 1)]
        lines = list(measure_all(evaluator, asked, Setting(name, at.budget), lambda one: Watch()))
        assert [line["state"] for line in lines] == [FINISHED] * 3
        first, again, other = ([line[metric] for metric in metrics_of(lines[0])] for line in lines)
        assert (first == again != other) == evaluator.by_seed

    def test_what_it_does_not_measure_is_said(self, evaluator: Evaluator, other: Space) -> None:
        assert evaluator.supports(other)
        with pytest.raises(ArchitectureError, match="expected"):
            evaluator.check({"nonsense": 1})

    def test_a_batch_goes_on_where_one_fails(self, evaluator: Evaluator, name: str, arch: Any, at: Conditions) -> None:
        asked = [Asked({"nonsense": 1}, 0), Asked(arch, 0)]
        lines = list(measure_all(evaluator, asked, Setting(name, at.budget), lambda one: Watch()))
        assert [line["state"] for line in lines] == ["failed", FINISHED] and "expected" in lines[0]["error"]

    def test_it_stops_when_it_is_asked_to(self, evaluator: Evaluator, arch: Any, at: Conditions) -> None:
        with pytest.raises(Cancelled):
            evaluator.evaluate(arch, at, Watch(should_stop=lambda: True))
        with pytest.raises(OutOfTime, match=r"within 0\.001 s"):
            evaluator.evaluate(arch, at, Watch(seconds=0.001, began=0.0))
