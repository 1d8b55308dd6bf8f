"""Reduced spaces judged where the truth is known: what is counted is counted right, on a small space."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from autobuild_core.architectures.records import ArchTable
from autobuild_core.benchmark import reducing
from autobuild_core.cli import main
from autobuild_core.errors import ConfigError
from autobuild_core.spaces import space_named
from autobuild_core.store.tables import save_table
from autobuild_core.targets.equation import Target
from tests.learning import macro_truth, table_of

SPACE = space_named("nas_bench_macro")


@pytest.fixture
def whole() -> ArchTable:
    """Every encoding with its accuracy."""
    every = SPACE.enumerate()
    assert every is not None
    acc = macro_truth(every)
    return table_of(every, pd.DataFrame({"acc": acc, "loss": -acc}))


@pytest.mark.parametrize(("target", "minimize"), [("acc", False), ("loss", True)])
def test_predicted_quality_is_held_against_the_file(whole: ArchTable, target: str, minimize: bool) -> None:
    found = reducing.measure(whole, Target(target, minimize), [1, 27], [80], [3], num_members=3, num_steps=60)
    assert [(line["seed"], line["learned from"], line["kept a unit"]) for line in found] == [(3, 80, 1), (3, 80, 27)]
    (one, every), mean = found, macro_truth(whole.codes).mean()
    assert one["true gain"] > 1 and one["true in best tenth"] == one["in best tenth"] == 1.0
    assert one["true best of 100"] == pytest.approx((mean + one["true gain"]) * (-1 if minimize else 1))  # there is but one
    assert one["true gain inside"] == int(abs(one["gain"] - one["true gain"]) <= one["half width"])
    assert (every["true gain"], every["gain"]) == (pytest.approx(0, abs=1e-9), pytest.approx(0, abs=1e-6))
    assert every["true in best tenth"] == pytest.approx(0.1, abs=0.002)
    shown = reducing.markdown([one | {"true gain inside": 1}, one | {"true gain inside": 0}, every])
    assert "| 80 | 1 |" in shown and "| 1 of 2 |" in shown


def test_what_does_not_do_is_said(whole: ArchTable, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError, match="without some networks of its space"):
        reducing.measure(whole.take(np.arange(600)), Target("acc", False), [2])
    with pytest.raises(ConfigError, match="got 3969 networks, expected more than 4000"):
        reducing.measure(whole, Target("acc", False), [2], [4000])
    save_table(whole, tmp_path / "table")
    assert main(["benchmark", str(tmp_path / "table"), "--reduced", "2"]) == 2
    assert "--reduced without data and --target" in capsys.readouterr().err
