"""What a page makes of a figure: quiet words in its ink, and nothing else changed."""

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from autobuild_core.figures.template import blank_figure, shown

INK = "#123456"


def test_words_that_stand_back_take_the_ink_and_others_keep_theirs() -> None:
    figure = blank_figure(xaxis={"title": {"text": "hop", "font": {"size": 9}}}, yaxis={"tickfont": {"color": "#abcdef"}})
    figure.add_heatmap(z=np.eye(2), colorbar={"title": {"text": "score"}}).add_scatter(x=[1], y=[2], marker={"color": "#abcdef"})
    figure.add_annotation(text="quiet").add_annotation(text="loud", font={"color": "#abcdef"})
    drawn = shown(figure, INK)
    for axis in (drawn.layout.xaxis, drawn.layout.yaxis, drawn.data[0].colorbar):
        assert axis.tickfont.color == axis.title.font.color == INK
    assert drawn.layout.xaxis.title.text == "hop" and drawn.layout.xaxis.title.font.size == 9
    assert [note.font.color for note in drawn.layout.annotations] == [INK, "#abcdef"]
    assert drawn.data[1].marker.color == "#abcdef" and drawn.data[0].colorbar.title.text == "score"
    assert figure.layout.xaxis.tickfont.color is None  # what was drawn stays


def test_every_axis_takes_it() -> None:
    drawn = shown(make_subplots(2, 2).add_scatter(x=[1], y=[1]), INK)
    axes = [drawn.layout[name] for way in "xy" for name in (f"{way}axis", *(f"{way}axis{num}" for num in (2, 3, 4)))]
    assert {axis.tickfont.color for axis in axes} == {INK}
    assert shown(go.Figure(), INK).layout.xaxis.title.font.color == INK
