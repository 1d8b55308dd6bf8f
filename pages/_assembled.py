"""Builder: the architecture that the slots make, and its prediction."""

import numpy as np
import streamlit as st

from autobuild_core.architectures.lens import Lens
from autobuild_core.architectures.names import native_text
from autobuild_core.architectures.records import ABSENT, Codes
from autobuild_core.errors import StudioError
from autobuild_core.figures import candidates
from autobuild_core.figures import drawing as figures
from autobuild_core.scoring.finished_run import FinishedRun
from autobuild_core.store.candidates import Origin
from pages import _listed, _navigation, _run, _shortlist, _text, _theme, _widgets, _words


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


def drawing(run: FinishedRun, codes: Codes) -> None:
    """The drawing of the assembled architecture, its native encoding, and what can be done with it."""
    drawn = _run.drawn(run, codes, run.table.spec.num_positions, Lens.SCORE)
    _widgets.legend(_run.scale(run, Lens.SCORE))
    _widgets.show(
        figures.architecture_figure(drawn, _theme.theme()),
        _widgets.drawing_facts(drawn),
        "assembled",
        f"The assembled architecture of {(drawn['kind'] == 'layer').sum()} layers",
    )
    native = native_text(run.space.native(codes))
    st.code(native, language=None, wrap_lines=True)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if st.button("Show in Importance", type="tertiary", icon=":material/arrow_forward:", key="show_assembled"):
            _navigation.go_to("importance", arch=f"typed:{native}")
        _shortlist.add_button(run, codes)
        _listed.add_button(run, [run.space.native(codes)], Origin.TYPED, "assembled")


def predicted(run: FinishedRun, codes: Codes) -> None:
    """The prediction of the assembled architecture, beside its measurement where it has one."""
    line = run.predictor.predict(codes[None]).iloc[0]
    best = run.measured(int(run.ranked_rows()[0]))
    sentence = f"{_text.strong(run.amount(line['predicted']))} {_words.interval(line['low'], line['high'])}"
    own = run.values[run.table.networks == run.space.hash_networks(codes[None])[0]]
    own = own[np.isfinite(own)]
    note = "This network was never measured: it is novel."
    if len(own):
        times = "" if len(own) == 1 else f", the mean of {len(own)}"
        note = f"This network was measured: {_text.strong(run.amount(float(own.mean())))}{times}."
    st.markdown(f"Predicted {sentence}; the best measured has {_text.plain(run.amount(best))}. {note}")
    figure = candidates.prediction_figure(
        run.targets, float(line["predicted"]), float(line["low"]), float(line["high"]), run.label.axis
    )
    facts = line.to_frame().T.assign(arch=native_text(run.space.native(codes)))
    _widgets.show(figure, facts, "prediction", "The prediction among the measured architectures")
