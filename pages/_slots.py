"""Builder: a slot a unit, which holds a module that was chosen here, on another page, or is the best."""

import json
from contextlib import suppress
from typing import Any

import pandas as pd
import streamlit as st

from autobuild_core.architectures import module_table
from autobuild_core.architectures.lens import Lens, evidence, score_words
from autobuild_core.architectures.module_key import ModuleKey
from autobuild_core.architectures.names import layers_named, module_name
from autobuild_core.architectures.ranges import shown_layer, standing_tokens, tokens_of
from autobuild_core.architectures.records import ABSENT, Codes, UnitSpec
from autobuild_core.architectures.topologies import topology_of
from autobuild_core.errors import StudioError
from autobuild_core.scoring.finished_run import FinishedRun
from pages import _memory, _pins, _run, _selection, _text, _theme, _trust, _widgets

BEST_SHOWN = 12
RESET_HELP = "Puts the best module of each unit by this score into every slot again."
LOCK_HELP = "The unit stays as it is: in what is built, in the swaps, and when every unit gets its best module."
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


def slot(run: FinishedRun, index: int, unit: UnitSpec, lens: Lens) -> list[int]:
    """The choice for one unit, as codes of its layers; one that was not chosen by hand is the best by the lens."""
    top = best_modules(run.id, run.task, lens)
    best = top[top["unit_index"] == index]
    names = {row["put"]: f"{row['rank']}. {slot_name(unit, row)}" for _, row in best.iterrows()}
    if index in by_reader(run):
        st.session_state[slot_key(run, index, lens)] = slot_value(run, index, lens, by_reader(run)[index])
    picked = st.selectbox(
        _text.plain(topology_of(run.table.spec).unit_title(index)),
        list(names),
        key=slot_key(run, index, lens),
        format_func=lambda o: names.get(o, o),
        accept_new_options=True,
        on_change=slot_changed,
        args=(run, index, lens),
        disabled=index in locks(run),
        help=SLOT_HELP,
    )
    try:
        layers = layers_of(run, unit, str(picked or ""))
    except StudioError as error:
        st.error(_text.plain(f"Unit {unit.label}: {error}", 2000))
        st.stop()
    card(run, index, unit, layers, lens)
    return [run.table.spec.tokens.index(layer) for layer in layers]


def locks(run: FinishedRun) -> dict[int, list[str]]:
    """The units that stay as they are, by index, with their layers as tokens."""
    locked: dict[int, list[str]] = st.session_state.setdefault(f"locks_{run.id}", {})
    return locked


def _lock(run: FinishedRun, index: int, layers: list[str]) -> None:
    """The switch that keeps a unit as it is."""
    key = f"lock_{run.id}_{index}"

    def switch() -> None:
        if st.session_state[key]:
            by_reader(run)[index] = json.dumps(layers)
            locks(run)[index] = layers
        else:
            locks(run).pop(index, None)

    st.session_state[key] = index in locks(run)
    st.toggle("Lock", key=key, on_change=switch, help=LOCK_HELP)


def put(run: FinishedRun, codes: Codes) -> None:
    """Puts an architecture into the slots; a locked unit that is another in it is locked no longer."""
    spec = run.table.spec
    for index, unit in enumerate(spec.units):
        layers = [spec.tokens[codes[p]] for p in unit.positions if codes[p] != ABSENT]
        by_reader(run)[index] = json.dumps(layers)
        if locks(run).get(index, layers) != layers:
            locks(run).pop(index)
            st.toast(f"Unit {_text.plain(unit.label)} is not locked any more: it is another in this architecture.")


def card(run: FinishedRun, index: int, unit: UnitSpec, layers: list[str], lens: Lens) -> None:
    """The facts known about the module in a slot, first by the score that the slots are ranked by; a pin and a lock."""
    spec = run.table.spec
    places = json.dumps([spec.position_labels[p] for p in unit.positions[: len(layers)]])
    shown = [shown_layer(spec, spec.tokens.index(layer)) for layer in layers]
    line = run.index.get((places, json.dumps(layers), True), run.index.get((places, json.dumps(shown), True)))
    if line is None:
        st.caption("This module was not scored by itself; the prediction below takes it into account.")
        _lock(run, index, layers)
        return
    row = run.modules.iloc[line]
    other = Lens.GOOD if lens is Lens.SCORE else Lens.SCORE
    by_average = "" if other is Lens.GOOD else "on average "
    rest = f"{by_average}{score_words(row, other, run.unit)}, {evidence(int(row['num_evaluated']), run.num_evaluated)}"
    note = _trust.best_note(run, places, row["layers"])
    first = f"{'On average ' if lens is Lens.SCORE else ''}{score_words(row, lens, run.unit)}"
    swatch = _run.scale(run, lens).fill_of(row, _theme.theme())
    st.html(_widgets.module_card(first, f"{rest}; {note}" if note else rest, swatch))
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        _lock(run, index, layers)
        _pins.pin(run, row, lens, f"builder_{unit.label}")


def slot_name(unit: UnitSpec, row: "pd.Series[Any]") -> str:
    """A module in a slot's list; of a range also the number that is put in."""
    name = module_name(row["positions"], row["layers"], False)
    return name if row["put"] == row["layers"] else f"{name}: {json.loads(row['put'])[0].removeprefix(f'{unit.label}=')}"


def by_reader(run: FinishedRun) -> dict[int, str]:
    """The reader's layers in slots, by the unit's index, as JSON or as typed.

    They outlive a change of the lens.
    """
    chosen: dict[int, str] = st.session_state.setdefault(f"slots_{run.id}", {})
    return chosen


def slot_key(run: FinishedRun, index: int, lens: Lens) -> str:
    """Key of a unit's slot."""
    return f"slot_{run.key}_{lens.value}_{index}"


def layers_of(run: FinishedRun, unit: UnitSpec, picked: str) -> list[str]:
    """The layers of what stands in a slot.

    Raises:
        ArchitectureError: a layer that was typed is none.
    """
    known: list[str] = (
        json.loads(picked) if picked.startswith("[") else layers_named(picked, [run.table.spec.tokens[t] for t in unit.tokens])
    )
    return known


def slot_value(run: FinishedRun, index: int, lens: Lens, picked: str) -> str:
    """The value of a slot for a choice: one of the best, or the layers as typed."""
    try:
        layers = layers_of(run, run.table.spec.units[index], picked)
    except StudioError:
        return picked
    known = best_modules(run.id, run.task, lens).query("unit_index == @index")["put"].tolist()
    return text if (text := json.dumps(layers)) in known else ", ".join(layers)


def follow_choice(run: FinishedRun) -> None:
    """Puts what was chosen on another page into the slots, once."""
    arch, module = _memory.recall("arch"), _selection.module(run)
    seen = st.session_state.setdefault("builder_saw", {})
    if arch is not None and seen.get("arch") != (run.id, arch):
        with suppress(StudioError):  # Importance says what is wrong with a typed one
            put(run, _selection.architecture(run).codes)
    line, asked = _selection.module_line(run), _selection.parse_module(_memory.recall("module"))
    if (
        module is not None
        and module.whole_unit
        and line is not None
        and seen.get("module") != (run.id, _selection.module_text(module))
    ):
        index = int(line["unit_index"])
        locks(run).pop(index, None)
        by_reader(run)[index] = json.dumps(exact_layers(run, index, asked.layers if asked else module.layers))
    seen |= {"arch": (run.id, arch), "module": (run.id, None if module is None else _selection.module_text(module))}


def exact_layers(run: FinishedRun, index: int, layers: tuple[str, ...]) -> list[str]:
    """The layers that a slot gets for a chosen module.

    Of a range it gets the number that it holds, if it is one of these, else the number that stands for it.
    """
    spec = run.table.spec
    stands, held = standing_tokens(spec), list[str]()
    with suppress(StudioError):  # the slot says what is wrong with a typed one
        held = layers_of(run, spec.units[index], by_reader(run).get(index, ""))
    if len(held) == 1 and layers[0] in stands and spec.tokens.index(held[0]) in tokens_of(spec, layers[0]):
        return held
    return [spec.tokens[stands[layer]] if layer in stands else layer for layer in layers]


def slot_changed(run: FinishedRun, index: int, lens: Lens) -> None:
    """The module of a slot becomes the chosen one."""
    unit, picked = run.table.spec.units[index], str(st.session_state[slot_key(run, index, lens)] or "")
    by_reader(run)[index] = picked
    with suppress(StudioError):  # the slot says what is wrong with a typed one
        layers = layers_of(run, unit, picked)
        if len(layers) <= len(unit.positions):
            places = tuple(run.table.spec.position_labels[p] for p in unit.positions[: len(layers)])
            _selection.choose_module(ModuleKey(places, tuple(layers), True), follow=False)
            chosen = _selection.module(run)
            st.session_state["builder_saw"]["module"] = (run.id, None if chosen is None else _selection.module_text(chosen))


def reset(run: FinishedRun, lens: Lens) -> None:
    """Every slot that is not locked holds its best module again."""
    for index in [one for one in by_reader(run) if one not in locks(run)]:
        del by_reader(run)[index]
    best = best_modules(run.id, run.task, lens)
    best = best[~best["unit_index"].isin(list(locks(run)))]
    for index, layers in best.drop_duplicates("unit_index")[["unit_index", "put"]].itertuples(index=False):
        st.session_state[slot_key(run, int(index), lens)] = layers
