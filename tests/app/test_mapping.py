"""The mapping step on Data in every state: what is asked of which file, what a change does, what is remembered."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from autobuild_core.datasets import load_format
from autobuild_core.store.workspace import Workspace
from tests.app.workspaces import cell_file, chosen, flat_file, macro_file, open_page, texts, trials


def logged(num: int = 40) -> str:
    """A W&B runs table."""
    rng = np.random.default_rng(1)
    lines = ["Name,State,Created,Runtime,Sweep,activation,n_layers,_step,_timestamp,checkpoint_path,val_acc"]
    for i in range(num):
        act, depth = rng.choice(["relu", "gelu", "tanh"]), rng.integers(1, 4)
        path = f"ckpt/{depth}/best.pt"
        lines.append(
            f"run-{i},finished,2026-01-01T00:{i:02}:00Z,{40 + i},s1,{act},{depth},9,{1760000000 + i},{path},{rng.random():.4f}"
        )
    return "\n".join(lines) + "\n"


def records(num: int = 30) -> str:
    """JSON records with a nested configuration."""
    rng = np.random.default_rng(2)
    rows = [
        {
            "config": {"width": int(rng.choice([8, 16])), "act": str(rng.choice(["a", "b"]))},
            "metrics": {"acc": float(rng.random())},
        }
        for _ in range(num)
    ]
    return json.dumps(rows)


NO_CHOICE = "status,score,x\n" + "".join(f"success,{i / 7:.3f},{i * 0.377:.3f}\n" for i in range(1, 13))
OUTCOMES = "kernel,width,acc\n" + "".join(f"{3 + 2 * (i % 3)},{16 << i % 2},{60 + i}\n" for i in range(24))

PREFIXED = "".join(f"{i % 3}{i // 3 % 3}{i // 9 % 3}00000,{'ab'[i % 2]},{60 + i}\n" for i in range(20))


def cells_with_settings(path: Path) -> str:
    """Cells of a published space beside a learning rate and a note."""
    rows = cell_file(path).read_text().splitlines()
    lines = [f"{rows[0]},lr,note"]
    lines += [f"{row},{(0.1, 0.01)[i % 2]},{'ab'[i % 2]}" for i, row in enumerate(rows[1:])]
    return "\n".join(lines) + "\n"


def drop(content: str, name: str = "mine.csv", page: str = "data") -> AppTest:
    """A page after a file was dropped on it."""
    app = open_page(page)
    app.file_uploader[0].set_value((name, content.encode(), "text/plain")).run()
    assert not app.exception
    return app


def table_of(app: AppTest) -> dict[str, dict[str, Any]]:
    """The lines of the table of columns by name."""
    found = [json.loads(c.proto.json) for c in app.get("bidi_component") if "lines" in c.proto.json]
    assert len(found) == 1
    return {line["name"]: line for line in found[0]["lines"]}


def say(app: AppTest, workspace: Workspace, **roles: str) -> AppTest:
    """The page after roles were chosen (what a choice in the table does is a browser test's matter)."""
    upload = chosen(app)["drop"]
    kept = workspace.upload(upload)[1]
    workspace.set_mapping(upload, kept | {"roles": kept["roles"] | roles})
    app.run()
    assert not app.exception
    return app


def uploads(workspace: Workspace) -> int:
    """Files that wait."""
    return len(list((workspace.path / "uploads").iterdir()))


@pytest.mark.parametrize("page", ["home", "data"])
@pytest.mark.parametrize("in_state", ["no data"], indirect=True)
def test_a_flat_table_is_asked_about_before_anything_is_stored(page: str, in_state: Workspace) -> None:
    app = drop(trials(), page=page)
    read = texts(app)
    assert in_state.datasets().empty and uploads(in_state) == 1
    assert "How is mine.csv to be read?" in read and "not stored" in read and "none yet" in read
    lines = table_of(app)
    assert {name: line["role"] for name, line in lines.items()} == {
        "number": "ignored",
        "value": "metric:higher",
        "datetime_start": "ignored",
        "activation": "choice",
        "lr": "setting",
        "units": "choice",
        "state": "ignored",
    }
    assert lines["units"]["examples"] and sum(lines["units"]["bars"]) == 40 and lines["units"]["why"] == "3 numbers that repeat"
    assert "39 of 40 rows accepted" in read.replace("*", "") and "4 stopped trials" in read.replace("*", "")
    assert "2 units" in read.replace("*", "") and "32, 64, 128" in read
    assert "fewer than 30" in read
    assert len([c for c in app.get("plotly_chart") if c.proto.alt.startswith("Architecture of row")]) == 3
    assert not app.button(key="use_columns").disabled
    assert app.button(key="next_data").disabled


@pytest.mark.parametrize("content", [logged(), records(), OUTCOMES], ids=["wandb", "records", "plain"])
@pytest.mark.parametrize("in_state", ["no data"], indirect=True)
def test_storing_keeps_the_mapping_with_the_data_and_lets_the_upload_go(content: str, in_state: Workspace) -> None:
    app = drop(content)
    before = table_of(app)
    app.button(key="use_columns").click().run()
    assert not app.exception
    assert in_state.datasets()["name"].tolist() == ["mine.csv"] and uploads(in_state) == 0
    assert "drop" not in chosen(app)
    app.session_state["data_tabs"] = "How the columns were read"
    app.run()
    assert {n: (c["role"], c["why"]) for n, c in table_of(app).items()} == {n: (c["role"], c["why"]) for n, c in before.items()}
    title = load_format(in_state.dataset(in_state.datasets()["id"].iloc[0]).format).title
    assert title in texts(app)


@pytest.mark.parametrize("in_state", ["no data"], indirect=True)
def test_a_change_redraws_what_follows_and_is_stored(in_state: Workspace) -> None:
    app = say(drop(trials()), in_state, units="ignored", value="metric:lower", lr="task")
    read, lines = texts(app), table_of(app)
    assert "1 unit" in read.replace("*", "") and "32, 64, 128" not in read
    assert "lr (task)" in read.replace("`", "")
    assert lines["units"]["said"] and lines["units"]["found"] == "choice" and lines["units"]["why"] == "as you said"
    assert not lines["activation"]["said"]
    app.button(key="use_columns").click().run()
    table = in_state.dataset(in_state.datasets()["id"].iloc[0])
    assert [u.label for u in table.spec.units] == ["activation"] and table.context_kinds == {"lr": "task"}
    assert {c.name: c.spoken for c in table.columns if c.said} == {"units": "ignored", "value": "metric:lower", "lr": "task"}
    assert "minimise `value`" in texts(app)  # the direction that was given is where the target begins
    assert chosen(app)["minimize"] == "yes"


@pytest.mark.parametrize("in_state", ["no data"], indirect=True)
def test_a_change_whose_callback_was_cut_short_by_the_next_click_is_stored(
    in_state: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = drop(trials())
    monkeypatch.setattr("pages._mapping.said", lambda key: (0, {"units": "ignored"}))
    app.button(key="use_columns").click().run()
    assert not app.exception
    table = in_state.dataset(in_state.datasets()["id"].iloc[0])
    assert {column.name: column.role for column in table.columns if column.said} == {"units": "ignored"}


@pytest.mark.parametrize("in_state", ["no data"], indirect=True)
def test_a_change_that_leaves_no_table_is_heard_before_the_click_that_came_too_soon(
    in_state: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = drop(trials())
    monkeypatch.setattr("pages._mapping.said", lambda key: (0, {"units": "ignored", "activation": "ignored"}))
    app.button(key="use_columns").click().run()
    assert not app.exception and in_state.datasets().empty
    assert "got no design choice" in app.warning[0].value and app.button(key="use_columns").disabled


@pytest.mark.parametrize("in_state", ["no data"], indirect=True)
def test_what_was_forgotten_is_not_heard_again(in_state: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    say(drop(trials(), "first.csv"), in_state, units="setting").button(key="use_columns").click().run()
    app = drop(trials(35), "second.csv")
    app.button(key="forget_roles").click().run()
    monkeypatch.setattr("pages._mapping.said", lambda key: (0, {"units": "ignored"}))  # of the turn before
    app.run()
    assert not app.exception and table_of(app)["units"]["role"] == "choice"


@pytest.mark.parametrize("in_state", ["no data"], indirect=True)
def test_where_no_choice_is_found_the_step_opens_all_the_same(in_state: Workspace) -> None:
    app = drop(NO_CHOICE)
    assert "got no design choice among status, score and x" in app.warning[0].value.replace("\\", "")
    assert app.button(key="use_columns").disabled
    assert [line["role"] for line in table_of(app).values()] == ["ignored", "metric:higher", "metric:higher"]
    say(app, in_state, x="choice")
    assert not app.warning and not app.button(key="use_columns").disabled
    assert "x is different in almost every row" in texts(app)
    say(app, in_state, score="choice")
    assert not app.button(key="use_columns").disabled  # without a metric: Data says that nothing can be learned


@pytest.mark.parametrize(
    ("content", "sentence", "role"),
    [
        ("kernel,kernel,acc\n" + OUTCOMES.split("\n", 1)[1], "got column 'kernel' twice", {"kernel (column 2)": "ignored"}),
        ("key,design:aug,acc\n" + PREFIXED, "got 'choice' beside the architectures in key", {"aug": "setting"}),
        ("code,metric:aug,acc\n" + PREFIXED, "all 20 rows were refused", {"aug": "setting", "code": "choice"}),
    ],
    ids=["a name twice", "a prefix that cannot be", "all rows refused"],
)
@pytest.mark.parametrize("in_state", ["no data"], indirect=True)
def test_any_table_that_cannot_be_read_is_asked_about(
    content: str, sentence: str, role: dict[str, str], in_state: Workspace
) -> None:
    app = drop(content)
    assert sentence in app.warning[0].value.replace("\\", "")
    assert app.button(key="use_columns").disabled and "leave the file" in app.button(key="use_columns").help
    assert len(table_of(app)) == 3
    say(app, in_state, **role)
    assert not app.warning and not app.button(key="use_columns").disabled


@pytest.mark.parametrize("in_state", ["no data"], indirect=True)
def test_a_role_that_cannot_be_keeps_the_table_and_says_why(in_state: Workspace) -> None:
    content = "a b,a_b,kernel\n" + "".join(f"{i},{0.37 * i:.3f},{3 + 2 * (i % 3)}\n" for i in range(30))
    app = say(drop(content), in_state, **{"a b": "metric:lower"})
    assert "two columns that equations would call a_b" in app.warning[0].value.replace("\\", "")
    assert app.button(key="use_columns").disabled
    assert table_of(app)["a b"]["role"] == "metric:lower" and table_of(app)["a b"]["said"]


@pytest.mark.parametrize("in_state", ["no data"], indirect=True)
def test_a_published_space_is_asked_about_only_beside_other_columns(in_state: Workspace, tmp_path: Path) -> None:
    app = drop(cell_file(tmp_path / "cells.csv").read_text())
    assert len(in_state.datasets()) == 1 and "drop" not in chosen(app)
    app = drop(cells_with_settings(tmp_path / "cells.csv"), "settings.csv")
    assert len(in_state.datasets()) == 1 and uploads(in_state) == 1
    lines = table_of(app)
    assert lines["arch"]["role"] == "architecture" and lines["lr"]["role"] == "setting"
    declare = next(e for e in app.expander if e.label == "Declare the space yourself")
    assert any("a known one with all its operations" in caption.value for caption in declare.caption)
    few = json.dumps({"format": "autobuild space 1", "space": "nas_bench_201", "operations": ["none", "skip_connect"]})
    next(f for f in app.file_uploader if "space.json" in f.label).set_value(("few.json", few.encode(), "")).run()
    assert "As **few.json** declares it." in texts(app) and "expected one of none, skip_connect" in texts(app)
    app.button(key="infer_space").click().run()
    app.button(key="use_columns").click().run()
    assert len(in_state.datasets()) == 2 and "Contexts" in texts(app)


@pytest.mark.parametrize("in_state", ["no data"], indirect=True)
def test_a_reload_loses_nothing_and_dropping_the_file_leaves_nothing(in_state: Workspace) -> None:
    app = say(drop(trials()), in_state, units="ignored")
    again = open_page("data", drop=chosen(app)["drop"])
    assert table_of(again)["units"]["role"] == "ignored"
    again.switch_page("pages/train.py").run()
    again.switch_page("pages/data.py").run()
    assert table_of(again)["units"]["role"] == "ignored"
    again.button(key="drop_the_file").click().run()
    assert uploads(in_state) == 0 and in_state.datasets().empty and "drop" not in chosen(again)
    assert len(again.get("file_uploader")) == 1
    gone = open_page("data", drop="0" * 32)  # a link to a file that was dropped
    assert not gone.exception and len(gone.get("file_uploader")) == 1


@pytest.mark.parametrize("in_state", ["no data"], indirect=True)
def test_what_was_said_is_remembered_for_the_same_header_until_it_is_forgotten(in_state: Workspace) -> None:
    first = say(drop(trials(), "first.csv"), in_state, units="setting", value="metric:lower")
    first.button(key="use_columns").click().run()
    app = drop(trials(35), "second.csv")
    assert "Read as you chose for first.csv: " in texts(app) and "units as context, setting" in texts(app)
    assert (table_of(app)["units"]["role"], table_of(app)["value"]["role"]) == ("setting", "metric:lower")
    other = drop(trials().replace("params_units", "params_size"), "other.csv")
    assert "as you chose" not in texts(other) and table_of(other)["size"]["role"] == "choice"
    app.button(key="forget_roles").click().run()
    assert table_of(app)["units"]["role"] == "choice" and "as you chose" not in texts(app)
    assert "as you chose" not in texts(drop(trials(), "third.csv"))


@pytest.mark.parametrize("in_state", ["no data"], indirect=True)
def test_a_declared_space_takes_the_inferred_ones_place(in_state: Workspace) -> None:
    app = drop(OUTCOMES)
    give = lambda text: next(f for f in app.file_uploader if "space.json" in f.label).set_value(("mine.json", text.encode(), ""))  # noqa: E731
    give("[1, 2]").run()
    assert "declares no space" in app.error[0].value.replace("\\", "")
    space = {"hyperparameters": [{"type": "categorical", "name": "kernel", "choices": [3, 5, 7, 9]}]}
    space["hyperparameters"].append({"type": "ordinal", "name": "width", "sequence": [16, 32, 64]})
    give(json.dumps(space)).run()
    assert not app.error and "3, 5, 7, 9" in texts(app) and "As mine.json declares it." in texts(app).replace("*", "")
    assert "a space of 12 architectures" in texts(app)
    narrow = {"hyperparameters": [{"type": "categorical", "name": "kernel", "choices": [11]}]}
    give(json.dumps(narrow)).run()
    assert app.button(key="use_columns").disabled and "rows were refused" in app.error[0].value
    app.button(key="infer_space").click().run()
    assert "a space of 6 architectures" in texts(app) and not app.button(key="use_columns").disabled


@pytest.mark.parametrize("in_state", ["no run"], indirect=True)
def test_a_format_that_gives_every_field_its_role_is_stored_at_once(in_state: Workspace, tmp_path: Path) -> None:
    app = drop(macro_file(tmp_path / "macro.json", 30).read_text(), "macro.json")
    assert in_state.datasets()["name"].iloc[0] == "macro.json" and uploads(in_state) == 0
    assert "drop" not in chosen(app)


@pytest.mark.parametrize("in_state", ["no data"], indirect=True)
def test_a_file_that_is_no_table_leaves_nothing_behind(in_state: Workspace) -> None:
    app = drop("<html><body>no</body></html>", "page.html")
    assert in_state.datasets().empty and uploads(in_state) == 0 and "drop" not in chosen(app)
    assert "could not be read" in app.get("status")[0].label


@pytest.mark.parametrize("in_state", ["no data"], indirect=True)
def test_a_set_of_very_many_choices_is_written_side_by_side(in_state: Workspace) -> None:
    names = [f"block_{'abcdefghijklmnopqrst'[i]}_act" for i in range(20)]
    rows = [",".join([*("rg"[(i >> n % 5) % 2] for n in range(20)), f"{60 + i * 0.37:.2f}"]) for i in range(40)]
    app = drop(",".join([*names, "acc"]) + "\n" + "\n".join(rows) + "\n")
    assert not [c for c in app.get("plotly_chart") if c.proto.alt.startswith("Architecture of row")]
    frame = app.dataframe[0].value
    assert frame["Layer"].tolist() == names and frame["Row 39"].tolist() == rows[39].split(",")[:20]


@pytest.mark.parametrize("in_state", ["no data"], indirect=True)
def test_a_second_file_takes_the_first_ones_place(in_state: Workspace, tmp_path: Path) -> None:
    app = drop(trials(), "first.csv")
    app.switch_page("pages/home.py").run()
    app.file_uploader[0].set_value(("second.csv", flat_file(tmp_path / "f.csv").read_bytes(), "")).run()
    assert uploads(in_state) == 1 and "How is second.csv to be read?" in texts(app)


@pytest.mark.parametrize("in_state", ["no data"], indirect=True)
def test_stopped_trials_can_be_left_out_of_a_training(in_state: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autobuild_core.jobs.executor.SubprocessExecutor.poll", lambda self: None)
    app = drop(trials())
    app.button(key="use_columns").click().run()
    app.switch_page("pages/train.py").run()
    app.toggle(key="drop_stopped").set_value(True)
    next(b for b in app.button if b.label == "Start training").click().run()
    assert not app.exception
    assert in_state.run(in_state.runs()["id"].iloc[0]).config.drop_stopped
    app = drop(OUTCOMES)
    app.button(key="use_columns").click().run()
    app.switch_page("pages/train.py").run()
    assert not app.toggle  # nothing was stopped
