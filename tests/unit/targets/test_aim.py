"""A target as a person writes it: equation, direction, name and unit in one value."""

import pandas as pd
import pytest

from autobuild_core.errors import TargetError
from autobuild_core.store.run_folder import RunConfig
from autobuild_core.targets.aim import Aim


def test_it_is_parsed_once_and_called_as_its_reader_said() -> None:
    aim = Aim("latency_ms", True, "Latency")
    assert aim.target is aim.target
    assert (aim.target.expression, aim.target.minimize) == ("latency_ms", True)
    assert (aim.words, aim.label.unit) == ("minimise Latency", "ms")
    assert Aim("acc * 2").words == "maximise acc * 2"


def test_a_text_that_is_no_equation_is_an_aim_and_no_target() -> None:
    aim = Aim("acc +", name="Accuracy")
    assert aim.words == "maximise Accuracy"
    with pytest.raises(TargetError):
        _ = aim.target


def test_it_is_read_from_a_line_and_from_settings_of_before_there_were_names() -> None:
    line = pd.Series({"target": "acc", "minimize": False, "target_name": "Accuracy", "target_unit": "points", "seed": 0})
    assert Aim.of(line) == Aim("acc", False, "Accuracy", "points")
    assert Aim.of({"target": "loss", "minimize": True}) == Aim("loss", True)


def test_a_run_holds_one() -> None:
    config = RunConfig(target="loss", minimize=True, target_name="Test loss", target_unit="nats")
    assert config.aim == Aim("loss", True, "Test loss", "nats")
    assert config.goal is config.aim.target
    assert (config.label.title, config.label.unit) == ("Test loss", "nats")
