"""Builder: a slot a unit, the assembled architecture predicted at once, and "build for me"."""

import json
from contextlib import suppress
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from autobuild_core.architectures import module_table
from autobuild_core.architectures.lens import Lens, evidence, score_words
from autobuild_core.architectures.module_key import ModuleKey
from autobuild_core.architectures.names import layers_named, module_name, native_text
from autobuild_core.architectures.ranges import shown_layer, standing_tokens, tokens_of
from autobuild_core.architectures.records import ABSENT, Codes, UnitSpec
from autobuild_core.architectures.topologies import topology_of
from autobuild_core.errors import StudioError
from autobuild_core.figures import candidates, drawing
from pages import (
    _building,
    _entering,
    _linked,
    _memory,
    _navigation,
    _pins,
    _run,
    _selection,
    _states,
    _text,
    _theme,
    _trust,
    _widgets,
    _words,
)

_entering.enter("builder")
_widgets.title(
    "Builder",
    "every unit starts with the module that is best by the score chosen on the left; the list has the next best, and any other "
    "can be typed in. The architecture below and its prediction follow at once; the band is the 90 % interval among the measured "
    "architectures. What is chosen on other pages stands in the slots when this page opens, and a module chosen here is chosen "
    "everywhere.",
)
run = _states.chosen_run()
spec, config = run.table.spec, run.config
_trust.panel(run)
BEST_SHOWN, UNITS_A_LINE = 12, 5
RESET_HELP = "Puts the best module of each unit by this score into every slot again."
SLOT_HELP = "Choose one of the best, or type layers separated by commas: e3 k5, e6 k7 or 2 x e3 k5."


@st.cache_data(max_entries=8, show_spinner="Ranking the modules")
def best_modules(run_id: str, task: str, lens: Lens) -> pd.DataFrame:
    """The best whole-unit modules of each unit, by a lens; `put`: what a slot gets, of a range its middle number."""
    one = _run.read_run(run_id, task)
    ranked = module_table.top_modules(one.modules, lens, one.config.minimize)
    ranked = ranked[ranked["rank"] <= BEST_SHOWN]
    tokens = one.table.spec.tokens
    rows = module_table.module_rows(ranked, one.table.spec)
    return ranked.assign(put=[json.dumps([tokens[code] for code in row if code != ABSENT]) for row in rows])


def slot(index: int, unit: UnitSpec, lens: Lens) -> list[int]:
    """The choice for one unit, as codes of its layers; one that was not chosen by hand is the best by the lens."""
    top = best_modules(run.id, run.task, lens)
    best = top[top["unit_index"] == index]
    names = {row["put"]: f"{row['rank']}. {slot_name(unit, row)}" for _, row in best.iterrows()}
    if index in by_reader():
        st.session_state[slot_key(index, lens)] = slot_value(index, lens, by_reader()[index])
    picked = st.selectbox(
        _text.plain(topology_of(spec).unit_title(index)),
        list(names),
        key=slot_key(index, lens),
        format_func=lambda o: names.get(o, o),
        accept_new_options=True,
        on_change=slot_changed,
        args=(index, lens),
        help=SLOT_HELP,
    )
    try:
        layers = layers_of(unit, str(picked or ""))
    except StudioError as error:
        st.error(_text.plain(f"Unit {unit.label}: {error}", 2000))
        st.stop()
    card(unit, layers, lens)
    return [spec.tokens.index(layer) for layer in layers]


def slot_name(unit: UnitSpec, row: "pd.Series[Any]") -> str:
    """A module in a slot's list; of a range also the number that is put in."""
    name = module_name(row["positions"], row["layers"], False)
    return name if row["put"] == row["layers"] else f"{name}: {json.loads(row['put'])[0].removeprefix(f'{unit.label}=')}"


def by_reader() -> dict[int, str]:
    """What the reader put into slots, by the unit's index: layers as JSON, or as typed; they outlive a change of the lens."""
    chosen: dict[int, str] = st.session_state.setdefault(f"slots_{run.id}", {})
    return chosen


def slot_key(index: int, lens: Lens) -> str:
    """Key of a unit's slot."""
    return f"slot_{run.key}_{lens.value}_{index}"


def layers_of(unit: UnitSpec, picked: str) -> list[str]:
    """The layers of what stands in a slot.

    Raises:
        ArchitectureError: a layer that was typed is none.
    """
    known: list[str] = (
        json.loads(picked) if picked.startswith("[") else layers_named(picked, [spec.tokens[t] for t in unit.tokens])
    )
    return known


def slot_value(index: int, lens: Lens, picked: str) -> str:
    """What a slot holds for a choice: one of the best, or the layers as typed."""
    try:
        layers = layers_of(spec.units[index], picked)
    except StudioError:
        return picked
    known = best_modules(run.id, run.task, lens).query("unit_index == @index")["put"].tolist()
    return text if (text := json.dumps(layers)) in known else ", ".join(layers)


def follow_choice() -> None:
    """Puts what was chosen on another page into the slots, once."""
    arch, module = _memory.recall("arch"), _selection.module(run)
    seen = st.session_state.setdefault("builder_saw", {})
    if arch is not None and seen.get("arch") != (run.id, arch):
        with suppress(StudioError):  # Importance says what is wrong with a typed one
            codes = _selection.architecture(run).codes
            for index, unit in enumerate(spec.units):
                by_reader()[index] = json.dumps([spec.tokens[codes[p]] for p in unit.positions if codes[p] != ABSENT])
    line, asked = _selection.module_line(run), _selection.parse_module(_memory.recall("module"))
    if (
        module is not None
        and module.whole_unit
        and line is not None
        and seen.get("module") != (run.id, _selection.module_text(module))
    ):
        index = int(line["unit_index"])
        by_reader()[index] = json.dumps(exact_layers(index, asked.layers if asked else module.layers))
    seen |= {"arch": (run.id, arch), "module": (run.id, None if module is None else _selection.module_text(module))}


def exact_layers(index: int, layers: tuple[str, ...]) -> list[str]:
    """What a slot gets for a chosen module: of a range the number that it holds, if it is one of these, or that stands for it."""
    stands, held = standing_tokens(spec), list[str]()
    with suppress(StudioError):  # the slot says what is wrong with a typed one
        held = layers_of(spec.units[index], by_reader().get(index, ""))
    if len(held) == 1 and layers[0] in stands and spec.tokens.index(held[0]) in tokens_of(spec, layers[0]):
        return held
    return [spec.tokens[stands[layer]] if layer in stands else layer for layer in layers]


def slot_changed(index: int, lens: Lens) -> None:
    """The module of a slot becomes the chosen one."""
    unit, picked = spec.units[index], str(st.session_state[slot_key(index, lens)] or "")
    by_reader()[index] = picked
    with suppress(StudioError):  # the slot says what is wrong with a typed one
        layers = layers_of(unit, picked)
        if len(layers) <= len(unit.positions):
            places = tuple(spec.position_labels[p] for p in unit.positions[: len(layers)])
            _selection.choose_module(ModuleKey(places, tuple(layers), True), follow=False)
            chosen = _selection.module(run)
            st.session_state["builder_saw"]["module"] = (run.id, None if chosen is None else _selection.module_text(chosen))


def reset(lens: Lens) -> None:
    """Every slot holds its best module again."""
    by_reader().clear()
    best = best_modules(run.id, run.task, lens)
    for index, layers in best.drop_duplicates("unit_index")[["unit_index", "put"]].itertuples(index=False):
        st.session_state[slot_key(int(index), lens)] = layers


def card(unit: UnitSpec, layers: list[str], lens: Lens) -> None:
    """What is known about the module in a slot, first by the score that the slots are ranked by."""
    places = json.dumps([spec.position_labels[p] for p in unit.positions[: len(layers)]])
    shown = [shown_layer(spec, spec.tokens.index(layer)) for layer in layers]
    line = run.index.get((places, json.dumps(layers), True), run.index.get((places, json.dumps(shown), True)))
    if line is None:
        st.caption("This module was not scored by itself; the prediction below takes it into account.")
        return
    row = run.modules.iloc[line]
    other = Lens.GOOD if lens is Lens.SCORE else Lens.SCORE
    by_average = "" if other is Lens.GOOD else "on average "
    rest = f"{by_average}{score_words(row, other, run.unit)}, {evidence(int(row['num_evaluated']), run.num_evaluated)}"
    note = _trust.best_note(run, places, row["layers"])
    first = f"{'On average ' if lens is Lens.SCORE else ''}{score_words(row, lens, run.unit)}"
    swatch = _run.scale(run, lens).fill_of(row, _theme.theme())
    st.html(_widgets.module_card(first, f"{rest}; {note}" if note else rest, swatch))
    _pins.pin(run, row, lens, f"builder_{unit.label}")


def assemble(choices: list[list[int]]) -> Codes:
    """The architecture of the chosen modules; a mistake becomes its sentence and stops the page."""
    row: list[int] = [ABSENT] * spec.num_positions
    try:
        for unit, layers in zip(spec.units, choices, strict=True):
            for position, layer in zip(unit.positions, layers, strict=False):
                row[position] = layer
            if len(layers) > len(unit.positions):
                raise StudioError(f"unit {unit.label}: got {len(layers)} layers, expected at most {len(unit.positions)}.")
        return np.array(run.space.check(run.space.rules.settled(row)), np.int16)
    except StudioError as error:
        st.error(_text.plain(error, 600))
        st.stop()


def predicted(codes: Codes) -> None:
    """The drawing and the prediction of the assembled architecture."""
    line = run.predictor.predict(codes[None]).iloc[0]
    left, right = st.columns([2, 1.2], gap="large")
    with left:
        drawn = _run.drawn(run, codes, spec.num_positions, Lens.SCORE)
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


@st.fragment
def by_hand() -> None:
    """The slots and what they make, and what was built set against it; a choice draws only this anew."""
    _linked.line(run, "builder")
    follow_choice()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        with st.container(width=260):
            lens = _widgets.lens_select("builder_lens")
        st.button(
            "Best of every unit", type="tertiary", icon=":material/undo:", key="reset_slots", disabled=not by_reader(),
            help=RESET_HELP, on_click=reset, args=(lens,),
        )  # fmt: skip
    choices: list[list[int]] = []
    for first in range(0, len(spec.units), UNITS_A_LINE):
        units = list(enumerate(spec.units))[first : first + UNITS_A_LINE]
        for column, (index, unit) in zip(st.columns(max(len(units), 3)), units, strict=False):
            with column:
                choices.append(slot(index, unit, lens))
    codes = assemble(choices)
    predicted(codes)
    _building.for_me(run, codes)


by_hand()
_trust.next_batch(run)
