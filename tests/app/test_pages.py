"""Every page in every state, entered by app.py."""

import json
import pickle
import re
import sys

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from autobuild_core import registry
from autobuild_core.api import Run
from autobuild_core.architectures.lens import Lens
from autobuild_core.datasets import load_format, read_table
from autobuild_core.datasets._trackers import SHOWN
from autobuild_core.datasets.csv_table import CsvTable
from autobuild_core.search.reduction import read_reduced
from autobuild_core.store.workspace import Workspace
from pages import _intake
from pages._streamlit import is_navigation_missing
from tests.app.workspaces import STATES, flat_file, grid_file, open_page, texts, train
from tests.registered import read_again

PAGES = ("home", "data", "train", "map", "importance", "hops", "builder", "evaluate", "search_space", "review")
RESULTS = ("map", "importance", "hops", "builder", "evaluate", "review")


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("in_state", STATES, indirect=True)
def test_every_page_opens_in_every_state(page: str, in_state: Workspace) -> None:
    app = open_page(page)
    assert not app.exception, [e.value for e in app.exception]
    assert texts(app)


@pytest.mark.parametrize("page", RESULTS)
@pytest.mark.parametrize(
    ("in_state", "expected"),
    [
        ("no data", "upload evaluated architectures"),
        ("no run", "no run has been trained"),
        ("running", "as soon as the run is finished"),
        ("failed", "Too few networks: got 3, expected 10."),
        ("lost", "was lost"),
    ],
    indirect=["in_state"],
)
def test_a_page_without_results_says_what_to_do(page: str, in_state: Workspace, expected: str) -> None:
    app = open_page(page)
    assert expected in texts(app)
    assert any(button.label.startswith(("Go to", "Watch", "Open")) for button in app.button)


@pytest.mark.first_hit
@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("in_state", ["no data"], indirect=True)
def test_a_deep_link_as_first_hit_gets_the_navigation(page: str, in_state: Workspace) -> None:
    app = open_page(page)
    assert not app.exception
    assert is_navigation_missing() is False


@pytest.mark.parametrize("in_state", ["no data"], indirect=True)
def test_an_empty_home_has_a_drop_zone_and_no_bar(in_state: Workspace) -> None:
    app = open_page("home")
    assert len(app.get("file_uploader")) == 1
    assert "Run" not in texts(app)


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("in_state", ["finished"], indirect=True)
def test_the_bar_names_data_target_run_and_one_next_step(page: str, in_state: Workspace) -> None:
    app = open_page(page)
    read = texts(app)
    assert "Test data" in read
    assert "mean_acc" in read
    assert "First run" in read
    assert sum(str(button.key).startswith("next_") for button in app.button) == 1
    assert "How to read this" in read


@pytest.mark.parametrize("in_state", ["no data"], indirect=True)
def test_an_uploaded_file_is_read_and_shown(in_state: Workspace, tmp_path) -> None:
    app = open_page("data")
    content = flat_file(tmp_path / "designs.csv").read_text() + "3,1,9,3,1,1,oops,1\n"
    app.file_uploader[0].set_value(("designs.csv", content.encode(), "text/csv")).run()
    app.button(key="use_columns").click().run()
    assert not app.exception
    assert in_state.datasets()["name"].tolist() == ["designs.csv"]
    read = texts(app)
    assert "90 of 91" in read.replace("\\", "")
    assert "What to aim at" in read


@pytest.mark.parametrize("in_state", ["no data"], indirect=True)
def test_an_unreadable_file_says_why(in_state: Workspace) -> None:
    app = open_page("data")
    app.file_uploader[0].set_value(("notes.txt", b"hello", "text/plain")).run()
    assert in_state.datasets().empty
    assert "notes" in texts(app)


@pytest.mark.parametrize("in_state", ["no run"], indirect=True)
def test_a_faulty_equation_is_marked_at_its_place(in_state: Workspace) -> None:
    app = open_page("data")
    app.text_input[0].set_value("mean_acc / nonsense").run()
    assert app.code[0].value == f"mean_acc / nonsense\n{' ' * 11}^"
    assert "nonsense" in app.error[0].value


@pytest.mark.parametrize("in_state", ["no run"], indirect=True)
def test_an_overflow_proposes_a_fraction(in_state: Workspace) -> None:
    app = open_page("data")
    app.text_input[0].set_value("100**(mean_acc*10)").run()
    assert "100" in app.error[0].value


@pytest.mark.parametrize("in_state", ["no run"], indirect=True)
def test_start_queues_a_run(in_state: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr("autobuild_core.jobs.executor.SubprocessExecutor.submit", lambda self, run_id: asked.append(run_id))
    app = open_page("train")
    app.number_input[0].set_value(7)
    next(b for b in app.button if b.label == "Start training").click().run()
    assert not app.exception
    assert in_state.run(asked[0]).config.seed == 7


@pytest.mark.parametrize("in_state", ["finished"], indirect=True)
def test_a_run_is_renamed_and_deleted(in_state: Workspace) -> None:
    app = open_page("train")
    run = in_state.runs()["id"].iloc[0]
    next(t for t in app.text_input if t.label == "New name").set_value("Another name").run()
    next(b for b in app.button if str(b.key) == f"do_rename_{run}").click().run()
    assert in_state.run_name(run) == "Another name"
    next(b for b in app.button if str(b.key) == f"delete_{run}").click().run()
    assert in_state.runs().empty


@pytest.mark.parametrize("in_state", ["finished cells"], indirect=True)
def test_hops_rank_units_single_operations_and_paths_of_a_cell(in_state: Workspace) -> None:
    app = open_page("hops")
    offered = next(box for box in app.selectbox if box.label == "Modules of").options
    units, single = [f"node {n}, whole unit" for n in (1, 2, 3)], [f"node {n}, hop 0 (one layer)" for n in (1, 2, 3)]
    paths = ["head to tail, hop 1 (2 layers)", "head to tail, hop 2 (3 layers)"]
    assert offered == ["Every unit, whole", *units, "Every unit, hop 0", *single, *paths]


@pytest.mark.parametrize("in_state", ["finished cells"], indirect=True)
def test_builder_fills_the_nodes_of_a_cell(in_state: Workspace) -> None:
    app = open_page("builder")
    labels = [box.label.replace("\\", "") for box in app.selectbox][:4]
    assert labels == ["Score", "node 1 (0>1)", "node 2 (0>2, 1>2)", "node 3 (0>3, 1>3, 2>3)"]
    option = next(o for o in app.selectbox[3].options[1:] if " x " not in o)  # "3. nor conv 3x3, none, skip connect"
    app.selectbox[3].set_value(option).run()
    assert not app.exception
    layers = [name.replace(" ", "_") for name in option.partition(". ")[2].split(", ")]
    assert "|" + "".join(f"{layer}~{node}|" for node, layer in enumerate(layers)) in texts(app)
    next(b for b in app.button if str(b.key) == "build").click().run()
    assert not app.exception
    assert "All 15,625 architectures of the space were predicted." in texts(app)


@pytest.mark.parametrize("in_state", ["finished"], indirect=True)
def test_a_typed_architecture_outside_the_space_is_refused(in_state: Workspace) -> None:
    app = open_page("importance", arch="typed:99")
    assert "expected 8 digits" in app.error[0].value


@pytest.mark.parametrize("in_state", ["finished"], indirect=True)
def test_builder_predicts_a_choice_and_builds(in_state: Workspace) -> None:
    app = open_page("builder")
    assert "Predicted" in texts(app)
    app.selectbox[1].set_value(app.selectbox[1].options[2]).run()
    assert not app.exception
    next(b for b in app.button if str(b.key) == "build").click().run()
    assert not app.exception
    assert "All 6,561 architectures of the space were predicted." in texts(app)


def built_lines(app: AppTest) -> pd.DataFrame:
    """The table of what was built."""
    return next(frame.value for frame in app.dataframe if "against the screen" in frame.value)


def on_screen(app: AppTest) -> float:
    """The prediction of the architecture on the screen, as printed."""
    found = re.search(r"Predicted \*\*([\d.,]+)", texts(app))
    assert found is not None
    return float(found[1].replace(",", ""))


@pytest.mark.parametrize("in_state", ["finished", "finished flat"], indirect=True)
def test_build_for_me_offers_what_is_better_than_the_screen_first_and_says_where_nothing_is(in_state: Workspace) -> None:
    app = open_page("builder")
    one = in_state.run(in_state.runs()["id"].iloc[0])
    sign = -1 if one.config.minimize else 1
    app.selectbox[1].set_value(app.selectbox[1].options[-1]).run()  # a worse module in the first slot
    next(b for b in app.button if str(b.key) == "build").click().run()
    assert not app.exception and not app.info
    lines, now = built_lines(app), on_screen(app)
    assert lines["against the screen"].str.endswith("better").all()
    assert "All are predicted better than the architecture on the screen" in texts(app)
    assert (sign * (lines["predicted"] - now) > -1e-2).all() and (np.diff(sign * lines["predicted"]) <= 1e-9).all()
    best = Run(one.path).build(10)
    assert lines["predicted"].to_numpy() == pytest.approx(best["predicted"].to_numpy(), rel=1e-5)  # as the command

    parts = Run(one.path).build(1, allow_evaluated=True)["modules"].iloc[0]
    run = in_state.runs()["id"].iloc[0]
    for index, part in enumerate(parts):
        app.session_state[f"slots_{run}"] = dict(app.session_state[f"slots_{run}"]) | {index: json.dumps(part["layers"])}
    app.run()
    assert not app.exception
    said = [str(i.value).replace("\\", "") for i in app.info]
    assert len(said) == 1 and said[0].startswith("Nothing unmeasured was found that is predicted better than the architecture on")
    assert built_lines(app)["against the screen"].str.endswith(("worse", "on the screen", "alike")).all()


@pytest.mark.parametrize("in_state", ["finished"], indirect=True)
def test_keeping_the_best_modules_is_an_option_that_is_off(in_state: Workspace) -> None:
    app = open_page("builder")
    keep = next(toggle for toggle in app.toggle if toggle.key == "keep_modules")
    assert not keep.value and all(box.label != "Modules kept a unit" for box in app.number_input)
    next(b for b in app.button if str(b.key) == "build").click().run()
    assert "Reduced space" not in texts(app)
    keep.set_value(True).run()
    next(box for box in app.number_input if box.label == "Modules kept a unit").set_value(2).run()
    next(b for b in app.button if str(b.key) == "build").click().run()
    assert not app.exception
    assert "Reduced space: 8 of 6,561 architectures: the 2 modules of each unit" in texts(app)
    assert read_reduced(json.dumps(app.session_state["built"].reduced.record())).size == 8  # what is downloaded
    assert len(built_lines(app)) <= 8


@pytest.mark.parametrize("in_state", ["no data"], indirect=True)
def test_a_space_of_which_every_network_was_measured_is_said(in_state: Workspace) -> None:
    run = train(in_state, in_state.add_dataset(read_table(grid_file(in_state.path / "grid.csv")), "Grid"), "acc", False)
    app = open_page("builder", run=run)
    next(b for b in app.button if str(b.key) == "build").click().run()
    assert not app.exception
    said = [i.value.replace("\\", "") for i in app.info]
    assert said == ["All 27 networks of this space were evaluated already: there is nothing to build."]
    assert "Every network was evaluated already" in texts(app)  # of what to evaluate next
    app = open_page("evaluate", run=run)
    assert not app.exception
    assert [i.value for i in app.info] == ["All 27 networks of this space were evaluated already: there is nothing to measure."]
    assert "Measure a batch" not in texts(app)
    app = open_page("builder", run=run)
    next(b for b in app.button if str(b.key).startswith("put_")).click().run()  # once more, to know it better
    app = open_page("evaluate", run=run)
    assert not app.exception
    assert "**1** waiting." in texts(app) and "Measure a batch" in texts(app)


def slots(app: AppTest) -> list[str]:
    """What stands in the slots of the builder."""
    return [str(box.value) for box in app.selectbox if str(box.key).startswith("slot_")]


@pytest.mark.parametrize("lens", ["score", "good", "embedding_norm"])
@pytest.mark.parametrize("in_state", ["finished", "finished flat"], indirect=True)
def test_builder_starts_with_the_best_of_each_unit_by_the_lens_that_its_cards_lead_with(lens: str, in_state: Workspace) -> None:
    app = open_page("builder", lens=lens)
    folder = in_state.run(in_state.runs()["id"].iloc[0])
    modules = folder.read_frame("modules.parquet").query("whole_unit")
    sign = -1 if lens == "score" and folder.config.minimize else 1
    best = modules.assign(by=sign * modules[lens]).sort_values(["unit_index", "by"], ascending=[True, False])
    best = best.drop_duplicates("unit_index")
    assert slots(app) == best["layers"].tolist()
    leading = {"score": "On average ", "good": "among the best 10 %", "embedding_norm": "norm "}[lens]
    cards = [str(part.value) for part in app.get("html") if "font-weight:600" in str(part.value)]
    assert len(cards) == len(best) and all(leading in one.partition("font-weight:600")[2].partition("</div>")[0] for one in cards)


@pytest.mark.parametrize("in_state", ["finished"], indirect=True)
def test_builder_keeps_what_was_put_into_a_slot_when_the_lens_changes_and_resets(in_state: Workspace) -> None:
    app = open_page("builder")
    first = slots(app)
    app.selectbox[1].set_value(app.selectbox[1].options[5]).run()
    chosen = slots(app)[0]
    app.selectbox[0].set_value(Lens.GOOD).run()
    assert not app.exception and not app.error
    assert slots(app)[0] == chosen != first[0]
    app.selectbox[0].set_value(Lens.SCORE).run()
    next(b for b in app.button if str(b.key) == "reset_slots").click().run()
    assert slots(app) == first


@pytest.mark.parametrize("in_state", ["finished"], indirect=True)
def test_builder_names_all_layers_to_one_who_typed_another(in_state: Workspace) -> None:
    app = open_page("builder")
    app.session_state[f"slots_{in_state.runs()['id'].iloc[0]}"] = {0: "mb6 k9"}  # AppTest itself types nothing new
    app.run()
    said = app.error[0].value.replace("\\", "")
    assert "'mb6 k9'" in said and "identity, mb3 k3, mb6 k5" in said


@pytest.mark.parametrize("in_state", ["finished flat"], indirect=True)
def test_candidates_are_shown_by_unit_and_open_on_importance(in_state: Workspace) -> None:
    app = open_page("builder")
    next(b for b in app.button if str(b.key) == "build").click().run()
    assert not app.exception, [e.value for e in app.exception]
    tables = [frame.value for frame in app.dataframe if "stage1" in frame.value]
    assert [list(t.columns[:2]) for t in tables] == [["candidate", "predicted"], ["candidate", "information"]]
    assert all(
        {"90 % interval", "stage1", "stage2"} < set(t) and not t.astype(str).stack().str.contains("{").any() for t in tables
    )
    next(b for b in app.button if str(b.key) == "open_built").click().run()
    assert not app.exception and "Importance" in [heading.value for heading in app.header]
    assert str(app.query_params["arch"]).replace("['", "").startswith("typed:{")


@pytest.mark.parametrize("in_state", ["finished"], indirect=True)
def test_a_run_that_is_gone_falls_back_to_the_newest(in_state: Workspace) -> None:
    app = open_page("hops", run="0" * 32)
    assert not app.exception
    assert "First run" in texts(app)


@pytest.mark.parametrize("in_state", ["finished"], indirect=True)
def test_no_page_asks_for_torch_or_sklearn(in_state: Workspace) -> None:
    before = {"torch", "torch_geometric", "sklearn"} & set(sys.modules)
    for page in PAGES:
        open_page(page)
    assert {"torch", "torch_geometric", "sklearn"} & set(sys.modules) == before


@pytest.mark.parametrize("page", ["home", *RESULTS])
@pytest.mark.parametrize("in_state", ["finished", "finished flat"], indirect=True)
def test_every_page_with_scores_says_how_far_to_trust_them(page: str, in_state: Workspace) -> None:
    app = open_page(page)
    folded = [e for e in app.expander if "Should I trust this?" in e.label]
    assert len(folded) == 1
    assert in_state.run(in_state.runs()["id"].iloc[0]).read_json("quality.json")["verdict"] in folded[0].label


@pytest.mark.parametrize("in_state", ["finished", "finished flat"], indirect=True)
def test_the_open_panel_has_all_its_parts(in_state: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    from pages import _trust

    panel = _trust.panel
    monkeypatch.setattr(_trust, "panel", lambda run: panel(run, opened=True))
    app = open_page("hops")
    assert not app.exception, [e.value for e in app.exception]
    read = texts(app)
    for part in (
        "Does it order networks",
        "Are its numbers right",
        "Is the best module really",
        "Permuted labels",
        "Average effects",
    ):
        assert part in read, part


@pytest.mark.parametrize("in_state", ["finished"], indirect=True)
def test_a_run_of_an_older_version_is_shown_without_its_report(in_state: Workspace) -> None:
    folder = in_state.run(in_state.runs()["id"].iloc[0])
    quality = folder.read_json("quality.json")
    del quality["trust"]
    folder.write_json("quality.json", quality)
    for name in ("scorers", "interactions", "next", "trust_best"):
        (folder.path / f"{name}.parquet").unlink()
    said = []
    for page in ("home", *RESULTS):
        app = open_page(page)
        assert not app.exception, (page, [e.value for e in app.exception])
        said += [page] * ("trained before there was a full report" in texts(app))
    assert {"hops", "builder"} <= set(said)


@pytest.mark.parametrize("in_state", ["finished"], indirect=True)
def test_scorers_stand_beside_each_other_and_two_targets_too(in_state: Workspace) -> None:
    read = texts(open_page("hops"))
    assert "Scorers beside each other" in read and "with probability" in read
    assert "Train another target on the same data" in texts(open_page("hops", look="targets"))
    assert "f(a, b) - f(a) - f(b) + f()" in texts(open_page("hops", look="interactions"))
    train(in_state, in_state.datasets()["id"].iloc[0], "-flops", False)
    app = open_page("hops", look="targets")
    assert not app.exception, [e.value for e in app.exception]
    assert "leading modules of" in texts(app)
    assert any(box.label == "This run beside" and len(box.options) == 1 for box in app.selectbox)


@pytest.mark.parametrize("in_state", ["finished"], indirect=True)
def test_what_to_evaluate_next_is_offered(in_state: Workspace) -> None:
    app = open_page("builder")
    assert "Evaluate these next" in texts(app)
    assert any(len(frame.value) == 16 and "information" in frame.value for frame in app.dataframe)


@pytest.mark.parametrize("in_state", ["finished flat"], indirect=True)
def test_hops_explains_hops_at_which_no_module_is_scored(in_state: Workspace) -> None:
    assert in_state.run(in_state.runs()["id"].iloc[0]).read_frame("modules.parquet")["hop"].max() == 2
    assert "Hops 3 to 4 are of the network alone: the longest module scored has 3 layers (hop 2)" in texts(open_page("hops"))


@pytest.mark.parametrize(("at", "scrolls"), [("ranking", True), ("<script>", False)])
@pytest.mark.parametrize("in_state", ["finished"], indirect=True)
def test_only_a_place_of_the_page_is_scrolled_to(at: str, scrolls: bool, in_state: Workspace) -> None:
    scripts = [part for part in open_page("hops", at=at).get("html") if "autobuildAt" in str(part.value)]
    assert len(scripts) == scrolls


class Invented(CsvTable):
    """A format that no file of the project holds."""

    title = "Invented_format *1*"
    about = "lines that nobody else writes"
    example = b'{"a": 1}\n{"a": 2}\n'


@pytest.mark.parametrize(
    ("page", "in_state"), [("home", "no data"), ("data", "no data"), ("data", "no run")], indirect=["in_state"]
)
def test_an_example_of_every_format_can_be_had_a_new_one_too(
    page: str, in_state: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, load = registry.names("datasets"), registry.load
    monkeypatch.setattr("autobuild_core.registry.names", lambda folder: (*known, "invented") if folder == "datasets" else known)
    monkeypatch.setattr("autobuild_core.registry.load", lambda *a: Invented if a[1] == "invented" else load(*a))
    app = open_page(page)
    assert not app.exception
    read, offered = texts(app), [button.proto.id for button in app.get("download_button") if button.proto.label == "Example"]
    assert [name for name in (*known, "invented") if any(f"example_{name}" in key for key in offered)] == [*known, "invented"]
    for name in (*known, "invented"):
        assert f"**{load_format(name).title}**" in read
    assert "lines that nobody else writes" in read
    for tracker in ("Optuna", "Weights & Biases", "Ray Tune", "MLflow"):
        assert f"**{tracker}**" in read.replace("\\", "")
    assert [name for name in SHOWN if any(f"example_{name}" in key for key in offered)] == list(SHOWN)
    assert not [name for name in known if f"{name} " in read or f"{name}:" in read]


@pytest.mark.parametrize(
    ("example", "ending"),
    [
        (b"a,b\n1,2\n", "csv"),
        (b'{"a": 1}', "json"),
        (b'{"a": 1}\n{"a": 2}\n', "jsonl"),
        (b"[1,\n2]", "json"),
        (b"PAR1\x15\0", "parquet"),
    ],
)
def test_an_example_is_named_after_its_title_and_content(monkeypatch: pytest.MonkeyPatch, example: bytes, ending: str) -> None:
    monkeypatch.setattr(Invented, "example", example)
    assert _intake._file_name(Invented()) == f"invented_format_1.{ending}"


@pytest.mark.parametrize("in_state", ["no data"], indirect=True)
@pytest.mark.parametrize("name", _intake._kinds())
def test_every_example_is_taken_as_it_was_downloaded(name: str, in_state: Workspace) -> None:
    kind = _intake._kinds()[name]
    app, file = open_page("data"), _intake._file_name(kind)
    app.file_uploader[0].set_value((file, kind.example, "application/octet-stream")).run()
    if in_state.datasets().empty:  # a table whose columns are looked at first
        app.button(key="use_columns").click().run()
    assert not app.exception
    (line,) = in_state.datasets().to_dict("records")
    table = in_state.dataset(line["id"])
    assert line["name"] == file and len(table) == table.num_read > 0


@pytest.mark.parametrize("name", registry.names("datasets"))
def test_what_a_format_is_about_is_a_clause_for_readers(name: str) -> None:
    sentence = load_format(name).about
    assert 20 < len(sentence) < 400 and not sentence.endswith(".")


@pytest.mark.parametrize("in_state", ["no data"], indirect=True)
@pytest.mark.parametrize("name", ["study.pkl", "table.xlsx", "no_ending"])
def test_a_file_of_any_name_can_be_dropped_and_is_told_by_its_content(in_state: Workspace, name: str) -> None:
    app = open_page("data")
    app.file_uploader[0].set_value((name, pickle.dumps({"acc": 1}), "")).run()
    assert not app.exception and in_state.datasets().empty
    assert f"{name}: got a pickle: not read, it can run code; export it as CSV or JSON lines" in texts(app)


def faulty_bold(app: AppTest) -> list[str]:
    """Bold parts that begin or end with a space: Markdown shows the stars of "**45.41 **"."""
    kinds = ("markdown", "caption", "header", "subheader", "error", "info", "warning")
    written = [str(element.value) for kind in kinds for element in app.get(kind)]
    return [part for text in written for part in re.sub("`[^`]*`", "", text).split("**")[1::2] if part != part.strip()]


def called(workspace: Workspace, **changes: str) -> None:
    """The finished run as if it had been trained on another target of the same values."""
    folder = workspace.run(workspace.runs()["id"].iloc[0])
    about = folder.about
    about["config"] |= changes
    folder.write_json("config.json", about)
    read_again(workspace, folder.path.name)


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("in_state", ["finished"], indirect=True)
def test_a_target_without_a_unit_leaves_no_raw_markdown(page: str, in_state: Workspace) -> None:
    called(in_state, target="mean_acc + 0")
    chosen = {} if page == "builder" else {"arch": "row:3"}  # AppTest cannot click beside a slot with typed layers
    app = open_page(page, module="L1,L2=mb6_k5,mb6_k5!", brush="box:-1e5,-1e5,1e5,1e5", **chosen)
    if page == "builder":
        next(b for b in app.button if str(b.key) == "build").click().run()
    assert not app.exception
    assert faulty_bold(app) == []


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("in_state", ["finished"], indirect=True)
def test_a_named_target_is_called_by_its_name_and_unit(page: str, in_state: Workspace) -> None:
    called(in_state, target="mean_acc + 0", target_name="Accuracy*", target_unit="% right")
    app = open_page(page, arch="row:3", module="L1,L2=mb6_k5,mb6_k5!", brush="box:-1e5,-1e5,1e5,1e5")
    assert not app.exception
    top = [m for m in app.markdown if str(m.value).startswith(":gray[Target]")]
    assert [str(m.value).partition("\n")[2] for m in top] == ["maximise Accuracy\\*"]
    assert top[0].help == "`mean_acc + 0`"
    figures = " ".join(json.dumps(json.loads(chart.proto.spec), ensure_ascii=False) for chart in app.get("plotly_chart"))
    assert ("Accuracy* (% right)" in figures) == (page in ("data", "train", "map", "importance", "builder"))
    assert "measured mean_acc + 0" not in figures
    assert page in ("data", "train", "evaluate", "search_space") or "% right" in texts(app)
    targets = [frame.value["Target"].tolist() for frame in app.dataframe if "Target" in frame.value]
    assert targets == [["maximise Accuracy*"]] * (page == "train")
    assert ("`mean_acc + 0`" in texts(app)) == (page == "train")
