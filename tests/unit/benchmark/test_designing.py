"""Design judged where the truth is known: what is counted is counted right, on a small space."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from autobuild_core.architectures.records import ArchTable
from autobuild_core.benchmark import designing, fronts
from autobuild_core.cli import main
from autobuild_core.errors import ConfigError
from autobuild_core.spaces import space_named
from autobuild_core.store.tables import save_table
from autobuild_core.targets.equation import Target
from tests.learning import macro_truth, table_of

SPACE = space_named("nas_bench_macro")


@pytest.fixture
def whole(monkeypatch: pytest.MonkeyPatch) -> ArchTable:
    """Every network, an accuracy, a cost that is an exact sum."""
    monkeypatch.setattr(designing, "LEARNED", 80)
    monkeypatch.setattr(designing, "BUILT", 10)
    monkeypatch.setattr(designing, "DRAWS", 4)
    monkeypatch.setattr(fronts, "DRAWS", 2)
    monkeypatch.setattr(fronts, "MANY", 200)
    every = SPACE.enumerate()
    assert every is not None
    acc = macro_truth(every) + 0.05 * np.sin(SPACE.hash_networks(every) % 1000)  # what no layer tells
    cost = 10.0 + SPACE.canonical(every).sum(1)
    return table_of(every, pd.DataFrame({"acc": acc, "loss": -acc, "cost": cost}))


@pytest.mark.parametrize(("target", "minimize"), [("acc", False), ("loss", True)])
def test_what_is_built_is_held_against_the_file(whole: ArchTable, target: str, minimize: bool) -> None:
    found = designing.measure(whole, Target(target, minimize), ["cost"], num_members=2, num_steps=5)
    built, priced = found[0], [line for line in found if "price of" in line]
    assert built["built"] == built["within all budgets"] == 10 and built["built from"] == 80
    inside = whole.metrics["cost"] <= whole.metrics.iloc[np.unique(whole.networks, return_index=True)[1]]["cost"].median()
    best = whole.metrics.loc[inside, target]
    assert built["best there is"] == pytest.approx(best.min() if minimize else best.max())
    assert abs(built["best of them"] - built["best there is"]) < 1.5
    assert [line["step"] for line in priced] == ["0.25 standard deviations", "0.5 standard deviations"]
    assert all(0 <= line["true step inside"] <= line["draws"] == 4 and line["true"] >= 0 for line in priced)
    text = designing.markdown(found)
    assert "| 10 | 10 |" in text and all(f"### {title}" in text for title in ("Prices", "Pareto front", "Hypervolume", "Support"))


def test_the_front_is_held_against_the_true_one(whole: ArchTable) -> None:
    first = whole.take(np.unique(whole.networks, return_index=True)[1])
    found = fronts.measure(first, first.metrics["acc"].to_numpy(float), Target("acc", False), "cost", 120)
    for truth in ("the file's", "made"):
        groups = [line for line in found if "front with" in line and line["truth"] == truth]
        assert all(0 <= line["truly on it"] <= 1 and line["members"] >= 1 for line in groups)
        assert groups[0]["truly on it"] < groups[-1]["truly on it"], "what is said to be likely is true more often"
    volumes = [line for line in found if "hypervolume with" in line]
    assert [one["truth"] for one in volumes] == ["the file's", "made"]
    for volume in volumes:
        assert volume["expected / true"] == pytest.approx(1, abs=0.2) and 0 <= volume["truth inside"] <= volume["draws"] == 2
    (support,) = [line for line in found if "support of" in line]
    assert support["networks"] == 2 * (len(first) - 120) and support["supported"] > 0.8 * support["networks"]
    assert 0.5 < support["error where supported"] < 2


def test_what_does_not_do_is_said(whole: ArchTable, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError, match="design: got 'speed', expected some of acc, loss, cost"):
        designing.measure(whole, Target("acc", False), ["speed"])
    with pytest.raises(ConfigError, match="design: got 60 networks, expected more than 90"):
        designing.measure(whole.take(np.unique(whole.networks, return_index=True)[1][:60]), Target("acc", False), ["cost"])
    save_table(whole, tmp_path / "table")
    assert main(["benchmark", str(tmp_path / "table"), "--design", "cost"]) == 2
    assert "--design without data and --target" in capsys.readouterr().err
