"""What every space must do; a new file in spaces/ is tested by itself."""

from collections.abc import Callable

import pandas as pd
import pytest

from autobuild_core import registry
from autobuild_core.errors import ConfigError
from autobuild_core.spaces import Space, load_space, space_named
from autobuild_core.spaces._listed import reduced_spec
from autobuild_core.testing.examples import infer_spec
from autobuild_core.testing.spaces import SpaceSuite

FRAME = pd.DataFrame({"b0_k": [3, 5], "b0_e": [1, 6], "b0_l": [0, 2], "b1_k": [3, 5], "b1_e": [1, 6], "b1_l": [1, 3]})


PLAIN = pd.DataFrame({"stem": ["a", "b", "a"], "width": [8, 16, 24], "act": ["relu", "relu", "gelu"]})


def some_of(whole: Space, wanted: Callable[[int, tuple[int, ...]], bool] = lambda unit, layers: sum(layers) % 3 > 0) -> Space:
    """The reduced space of some modules of each unit."""
    kept = []
    for unit in range(len(whole.spec.units)):
        every = [tuple(row) for group in whole.unit_modules(unit) for row in group.codes.tolist()]
        kept.append([layers for layers in every if wanted(unit, layers)])
    return load_space(reduced_spec(whole.spec, kept))


class TestSpaces(SpaceSuite):
    @pytest.fixture(params=[*registry.names("spaces"), "plain columns", "reduced blocks", "reduced cells"])
    def space(self, request: pytest.FixtureRequest) -> Space:
        if request.param == "reduced blocks":
            return some_of(load_space(infer_spec(FRAME, list(FRAME))))
        if request.param == "reduced cells":
            return some_of(space_named("nas_bench_201"), lambda unit, layers: 0 not in layers)  # all of them are live
        if request.param == "plain columns":
            return load_space(infer_spec(PLAIN, list(PLAIN)))
        try:
            return space_named(request.param)
        except ConfigError:  # inferred from data
            return load_space(infer_spec(FRAME, list(FRAME)))
