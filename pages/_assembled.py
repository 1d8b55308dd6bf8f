"""Builder: the architecture that the slots make, and its prediction."""

import numpy as np
import streamlit as st

from autobuild_core.architectures.lens import Lens
from autobuild_core.architectures.names import native_text
from autobuild_core.architectures.records import ABSENT, Codes
from autobuild_core.errors import StudioError
from autobuild_core.figures import candidates, drawing
from autobuild_core.scoring.finished_run import FinishedRun
from autobuild_core.store.candidates import Origin
from pages import _listed, _navigation, _run, _text, _theme, _widgets, _words


def assemble(run: FinishedRun, choices: list[list[int]]) -> Codes:
    """The architecture of the chosen modules; a mistake becomes its sentence and stops the page."""
    row: list[int] = [ABSENT] * run.table.spec.num_positions
    try:
        for unit, layers in zip(run.table.spec.units, choices, strict=True):
            for position, layer in zip(unit.positions, layers, strict=False):
                row[position] = layer
            if len(layers) > len(unit.positions):
                raise StudioError(f"unit {unit.label}: got {len(layers)} layers, expected at most {len(unit.positions)}.")
        return np.array(run.space.check(run.space.rules.settled(row)), np.int16)
    except StudioError as error:
        st.error(_text.plain(error, 600))
        st.stop()


def predicted(run: FinishedRun, codes: Codes) -> None:
    """The drawing and the prediction of the assembled architecture."""
    line = run.predictor.predict(codes[None]).iloc[0]
    left, right = st.columns([2, 1.2], gap="large")
    with left:
        drawn = _run.drawn(run, codes, run.table.spec.num_positions, Lens.SCORE)
        _widgets.legend(_run.scale(run, Lens.SCORE))
        _widgets.show(
            drawing.architecture_figure(drawn, _theme.theme()),
            _widgets.drawing_facts(drawn),
            "assembled",
            f"The assembled architecture of {(drawn['kind'] == 'layer').sum()} layers",
        )
        native = native_text(run.space.native(codes))
        st.code(native, language=None, wrap_lines=True)
        if st.button("Show in Importance", type="tertiary", icon=":material/arrow_forward:", key="show_assembled"):
            _navigation.go_to("importance", arch=f"typed:{native}")
        _listed.add_button(run, [run.space.native(codes)], Origin.TYPED, "assembled")
    with right:
        best = run.measured(int(run.ranked_rows()[0]))
        sentence = f"{_text.strong(run.amount(line['predicted']))} {_words.interval(line['low'], line['high'])}"
        measured = run.table.networks[run.predictions["row"].to_numpy(int)]
        known = np.isin(run.space.hash_networks(codes[None]), measured).any()
        note = "This network is among the measured ones." if known else "This network was never measured."
        st.markdown(f"Predicted {sentence}; the best measured has {_text.plain(run.amount(best))}. {note}")
        figure = candidates.prediction_figure(
            run.targets, float(line["predicted"]), float(line["low"]), float(line["high"]), run.label.axis
        )
        facts = line.to_frame().T.assign(arch=native)
        _widgets.show(figure, facts, "prediction", "The prediction among the measured architectures")
