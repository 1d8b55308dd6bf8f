"""The chart of a search: one target and its best so far, two and their hypervolume."""

import pandas as pd

from autobuild_core.figures.searching import anytime_figure


def test_values_the_best_so_far_and_what_was_known_before() -> None:
    found = pd.DataFrame({"value": [1.0, 3.0, 2.0], "best": [1.0, 3.0, 3.0]})
    figure = anytime_figure(found, "accuracy (%)", 2.5)
    assert [trace.name for trace in figure.data] == ["evaluated", "best so far"]
    assert list(figure.data[1].y) == [1.0, 3.0, 3.0] and list(figure.data[0].x) == [1, 2, 3]
    assert [note.text for note in figure.layout.annotations] == ["best measured 2.5"]
    assert figure.layout.yaxis.title.text == "accuracy (%)"


def test_of_two_targets_the_hypervolume() -> None:
    figure = anytime_figure(pd.DataFrame({"value": [1.0], "second": [2.0], "hypervolume": [0.5]}), "acc", 2.5)
    assert [trace.name for trace in figure.data] == ["hypervolume so far"] and figure.layout.yaxis.title.text == "hypervolume"
    assert not figure.layout.annotations
