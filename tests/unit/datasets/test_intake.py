"""Tables that people hold: trackers, lists, numbered columns, empty cells, numbers as written; small enough to check by hand."""

import itertools
import json
import math
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest

from autobuild_core.architectures.records import ABSENT, ArchTable, Condition
from autobuild_core.datasets import load_format, read_table
from autobuild_core.datasets._trackers import SHOWN, tracker_of
from autobuild_core.errors import ConfigError, DataError, MappingError
from autobuild_core.spaces import load_space

RNG = np.random.default_rng(0)


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def write(content: str | bytes | pd.DataFrame, name: str = "upload") -> Path:
        path = tmp_path / name
        if isinstance(content, pd.DataFrame):
            content.to_csv(path, index=False)
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def roles(table: ArchTable) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for column in table.columns:
        found.setdefault(column.role, []).append(column.name)
    return found


def tokens(table: ArchTable) -> list[list[str]]:
    return [[table.spec.tokens[c] if c != ABSENT else "" for c in row] for row in table.codes.tolist()]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[optuna.Study, Path]:
    """A real study of 60 trials: a conditional parameter, layers that come and go, pruned and failed trials."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    path = tmp_path_factory.mktemp("optuna") / "study.db"
    made = optuna.create_study(
        storage=f"sqlite:///{path}",
        direction="maximize",
        sampler=optuna.samplers.RandomSampler(seed=1),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=8),
    )

    def objective(trial: optuna.Trial) -> float:
        widths = [trial.suggest_categorical(f"n_units_l{i}", [32, 64]) for i in range(trial.suggest_int("n_layers", 1, 3))]
        value = 0.7 + sum(widths) / 1e3 + 0.01 * trial.suggest_float("lr", 1e-4, 1e-1, log=True)
        if trial.suggest_categorical("optimizer", ["sgd", "adam"]) == "sgd":
            value += 0.01 * trial.suggest_categorical("momentum", [0.0, 0.9])
        trial.report(value, 0)
        if trial.should_prune():
            raise optuna.TrialPruned
        if trial.number % 13 == 5:
            raise ValueError("broken on purpose")
        return value

    made.optimize(objective, n_trials=60, catch=(ValueError,))
    return made, path


@pytest.mark.parametrize("name", SHOWN)
def test_the_example_of_a_tracker_is_read_as_its_own(name: str, write: Any) -> None:
    tracker = SHOWN[name]
    table = read_table(write(tracker.example))
    header = tracker.example.decode().split("\n")[0].split(",")
    assert tracker_of(header) is tracker and 20 < len(tracker.about) < 400
    assert len(table) == table.num_read == 4 and not table.rejected
    assert {unit.label for unit in table.spec.units} == {"activation", "units"} and len(table.metrics.columns)


class TestOptuna:
    def check(self, table: ArchTable, study: optuna.Study) -> None:
        states = [trial.state.name for trial in study.trials]
        found = roles(table)
        assert set(found["choice"]) == {"n_layers", "n_units_l0", "n_units_l1", "n_units_l2", "optimizer", "momentum"}
        assert found["context"] == ["lr"] and found["metric"] == ["value"]
        assert table.num_read == 60 and len(table.rejected) == states.count("FAIL") > 0
        assert all("state: got FAIL" in rejection.reason for rejection in table.rejected)
        assert table.num_censored == states.count("PRUNED") > 0
        stopped = np.isfinite(table.censored)
        assert [states[row] for row in table.source_rows[stopped]] == ["PRUNED"] * table.num_censored
        assert table.metrics["value"].isna().equals(pd.Series(stopped, name="value"))
        units = {unit.label: unit for unit in table.spec.units}
        assert units["n_units"].depths == (1, 2, 3) and not units["n_units"].loose
        assert [u.label for u in table.spec.units if u.loose] == ["optimizer", "momentum"]
        place = [unit.label for unit in table.spec.units]
        sgd = table.spec.tokens.index("optimizer=sgd")
        assert table.spec.conditions == (Condition(place.index("momentum"), place.index("optimizer"), (sgd,)),)
        for row, native in zip(table.source_rows, map(load_space(table.spec).native, table.codes), strict=True):
            params = study.trials[row].params
            assert native == {k: v for k, v in params.items() if k != "lr"}

    @pytest.mark.parametrize("seed", ["user_attrs_seed", "user_attrs_random_state", "UserAttribute seed", "seed"])
    def test_a_seed_that_was_noted_is_a_replicate(self, seed: str, study: tuple[optuna.Study, Path], write: Any) -> None:
        frame = study[0].trials_dataframe()
        if seed.startswith("User"):
            names = {"value": "Value", "number": "Number", "state": "State"}
            frame = frame.rename(columns=lambda name: names.get(name, name.replace("params_", "Param ")))
        table = read_table(write(frame.assign(**{seed: [1000 + 7 * i for i in range(60)]})))
        assert table.context_kinds == {"lr": "setting", seed: "seed"} and seed not in table.metrics
        column = next(column for column in table.columns if column.name == seed)
        assert column.role == "context" and column.why.startswith("its name is that of a seed")

    def test_the_exported_frame(self, study: tuple[optuna.Study, Path], write: Any) -> None:
        table = read_table(write(study[0].trials_dataframe()))
        self.check(table, study[0])
        assert set(table.censored[np.isfinite(table.censored)]) == {0.5}  # steps are not in the frame: below the median

    def test_a_samplers_own_parameters_are_bookkeeping(self, study: tuple[optuna.Study, Path], write: Any) -> None:
        """TPE keeps what it drew in an attribute of the trial, as an object with the parameters' names."""
        frame = study[0].trials_dataframe()
        own = [json.dumps(trial.params) for trial in study[0].trials]
        self.check(read_table(write(frame.assign(**{"system_attrs_tpe:relative_params:0": own}))), study[0])

    def test_the_storage_is_read_with_bounds_and_is_not_changed(self, study: tuple[optuna.Study, Path]) -> None:
        before = study[1].read_bytes()
        table = read_table(study[1])
        self.check(table, study[0])
        assert table.format == "optuna_storage" and study[1].read_bytes() == before
        complete = [t for t in study[0].trials if t.state.name == "COMPLETE"]
        stopped = np.isfinite(table.censored)
        assert stopped.any()
        for row, bound in zip(table.source_rows[stopped], table.censored[stopped], strict=True):
            own = study[0].trials[row].intermediate_values[0]
            worse = np.mean([t.intermediate_values[0] <= own for t in complete])
            assert bound == pytest.approx(max(0.05, worse))

    def test_a_distribution_tells_values_that_were_not_drawn(self, tmp_path: Path) -> None:
        storage = f"sqlite:///{tmp_path / 'few.db'}"
        made = optuna.create_study(storage=storage, sampler=optuna.samplers.RandomSampler(seed=0), direction="minimize")
        made.optimize(lambda t: t.suggest_int("depth", 1, 9) + 0.1 * t.number + len(t.suggest_categorical("act", ["a", "b"])), 6)
        table = read_table(tmp_path / "few.db")
        depth = next(unit for unit in table.spec.units if unit.label == "depth")
        assert [table.spec.tokens[t] for t in depth.tokens] == [f"depth={i}" for i in range(1, 10)]
        assert "The study minimises value." in table.notes

    def test_another_database_is_said(self, tmp_path: Path) -> None:
        with sqlite3.connect(tmp_path / "other.db") as connection:
            connection.execute("CREATE TABLE cats (name TEXT)")
        connection.close()
        with pytest.raises(DataError, match=r"got a SQLite database with cats, expected the storage of an Optuna study"):
            read_table(tmp_path / "other.db")

    @pytest.mark.parametrize(
        "damage",
        [
            "UPDATE trial_params SET param_value = NULL",
            "UPDATE trial_params SET param_value = 7",
            "UPDATE trial_params SET distribution_json = '{'",
            "UPDATE trial_params SET distribution_json = '[1]'",
        ],
    )
    def test_damage_in_a_parameter_is_said(self, damage: str, tmp_path: Path) -> None:
        path = tmp_path / "damaged.db"
        path.write_bytes(load_format("optuna_storage").example)
        with sqlite3.connect(path) as connection:
            connection.execute(damage)
        connection.close()
        with pytest.raises(DataError, match=r"damaged\.db: got a SQLite file that is no readable Optuna storage"):
            read_table(path)


class TestTrackers:
    def test_mlflow(self, write: Any) -> None:
        frame = pd.DataFrame(
            {
                "run_id": [f"{i:032x}" for i in range(8)],
                "status": ["FINISHED"] * 7 + ["FAILED"],
                "start_time": pd.date_range("2026-01-01", periods=8),
                "metrics.val_acc": np.round(RNG.random(8), 5),
                "params.layers": [1, 2] * 4,
                "params.lr": np.round(RNG.random(8), 5),
                "params.act": ["relu", "relu", "gelu", "gelu"] * 2,
                "tags.mlflow.user": ["a", "b"] * 4,
            }
        )
        table = read_table(write(frame))
        assert roles(table) == {
            "ignored": ["run_id", "status", "start_time", "tags.mlflow.user"],
            "metric": ["val_acc"],
            "choice": ["layers", "act"],
            "context": ["lr"],
        }
        assert not table.rejected  # the failed one has a value
        assert "1 trial that did not complete has values and is kept: status says which." in table.notes
        frame.loc[7, "metrics.val_acc"] = None
        failed = read_table(write(frame)).rejected
        assert [(r.row, r.reason) for r in failed] == [(7, "status: got FAILED, expected a completed trial.")]

    def test_times_are_results_and_parameters_too(self, write: Any) -> None:
        frame = pd.DataFrame({"run_id": list("abcdefgh"), "metrics.inference_time": np.round(RNG.random(8), 4)})
        frame["params.time_steps"], frame["end_time"] = [10, 20] * 4, pd.date_range("2026-01-01", periods=8)
        assert roles(read_table(write(frame))) == {
            "ignored": ["run_id", "end_time"],
            "metric": ["inference_time"],
            "choice": ["time_steps"],
        }

    def test_ray(self, write: Any) -> None:
        frame = pd.DataFrame(
            {
                "mean_accuracy": np.round(RNG.random(8), 5),
                "training_iteration": [4, 16] * 4,
                "trial_id": [f"t_{i:05d}" for i in range(8)],
                "time_total_s": np.round(RNG.random(8) * 100, 3),
                "pid": [100, 101] * 4,
                "config/lr": np.round(RNG.random(8), 5),
                "config/hidden": [32, 64] * 4,
                "logdir": [f"/r/{i}" for i in range(8)],
            }
        )
        table = read_table(write(frame))
        assert roles(table) == {
            "metric": ["mean_accuracy", "time_total_s"],
            "context": ["training_iteration", "lr"],
            "ignored": ["trial_id", "pid", "logdir"],
            "choice": ["hidden"],
        }
        assert table.context_kinds == {"training_iteration": "fidelity", "lr": "setting"}

    def test_the_api_of_weights_and_biases(self, write: Any) -> None:
        runs = [
            {
                "name": f"swift-{i}",
                "config": {"layers": 1 + i % 2, "act": "relu" if i < 4 else "gelu", "lr": 0.01 * (i + 1.5)},
                "summary": {"val_acc": 0.7 + 0.011 * i, "_timestamp": 1.7e9 + i, "_runtime": 40.5 + i * i},
            }
            for i in range(8)
        ]
        table = read_table(write(json.dumps(runs)))
        found = roles(table)
        assert found["choice"] == ["layers", "act"] and found["context"] == ["lr"] and found["metric"] == ["val_acc", "_runtime"]
        assert found["ignored"] == ["name", "_timestamp"]

    def test_a_crashed_run_without_a_value_is_refused_with_its_state(self, write: Any) -> None:
        lines = ["Name,State,Created,Runtime,act,val_acc"]
        lines += [
            f"run-{i},{'crashed' if i == 3 else 'finished'},2026-01-01T00:0{i}:00Z,{40 + i * i},{'ab'[i % 2]},"
            f"{'' if i == 3 else 0.7 + i / 99}"
            for i in range(6)
        ]
        table = read_table(write("\n".join(lines)))
        assert [r.reason for r in table.rejected] == ["State: got crashed, expected a completed trial."]


class TestLists:
    def test_a_text_of_parts_is_a_position_a_part(self, write: Any) -> None:
        widths = [(8, 16), (16, 24), (24, 8), (8, 24), (16, 8), (24, 16), (8, 8)]
        table = read_table(write("arch,acc\n" + "\n".join(f"{a}:{b}:{a},0.{i + 1}3" for i, (a, b) in enumerate(widths))))
        assert [unit.label for unit in table.spec.units] == ["arch.1", "arch.2", "arch.3"]
        assert tokens(table)[1] == ["arch16", "arch24", "arch16"] and not any(unit.loose for unit in table.spec.units)
        assert load_space(table.spec).native(table.codes[1]) == {"arch": "16:24:16"}
        assert [len(g) for g in load_space(table.spec).windows(2)] == [9, 9]  # a chain: windows cross its units

    @pytest.mark.parametrize("separator", ["-", "x", "_", " , ".strip()])
    def test_other_separators(self, write: Any, separator: str) -> None:
        rows = [f'"{separator.join(map(str, p))}",0.{i + 1}7' for i, p in enumerate(itertools.permutations((1, 2, 3)))]
        assert len(read_table(write("net,acc\n" + "\n".join(rows))).spec.units) == 3

    def test_dates_sizes_and_names_are_no_lists(self, write: Any) -> None:
        rows = [f"2026-01-0{1 + i % 9},{3 + 2 * (i % 3)}x{3 + 2 * (i % 3)},resnet_{18 + 16 * (i % 2)},0.7{i}1" for i in range(8)]
        table = read_table(write("when,kernel,net,acc\n" + "\n".join(rows)))
        assert roles(table)["ignored"] == ["when"] and [u.label for u in table.spec.units] == ["kernel", "net"]

    def test_lists_of_several_lengths_are_a_chain_with_a_depth(self, write: Any) -> None:
        rows = [([64, 128], ["relu", "gelu"]), ([64], ["gelu"]), ([128, 64], ["gelu", "gelu"]), ([64, 64, 128], ["relu"] * 3)] * 2
        text = "".join(json.dumps({"w": w, "act": a, "n": len(w), "acc": 0.1 * i + 0.05}) + "\n" for i, (w, a) in enumerate(rows))
        table = read_table(write(text))
        assert [(u.label, u.depths) for u in table.spec.units] == [("w+act", (1, 2, 3))]  # zipped; n is its depth
        assert tokens(table)[0] == ["w64_act=relu", "w128_act=gelu", ""]
        assert load_space(table.spec).native(table.codes[2]) == {"w": [128, 64], "act": ["gelu", "gelu"], "n": 2}

    def test_python_literals_and_objects_in_cells(self, write: Any) -> None:
        cells = ["{'w': [8, 16], 'act': 'relu'}", "{'w': [16, 8], 'act': 'gelu'}", "{'w': [8, 8], 'act': 'gelu'}"] * 2
        table = read_table(write("config,acc\n" + "\n".join(f'"{c}",0.{i + 1}1' for i, c in enumerate(cells))))
        assert roles(table)["choice"] == ["w", "act"] and [u.label for u in table.spec.units] == ["w.1", "w.2", "act"]

    def test_lists_of_lists_are_a_chain_each(self, write: Any) -> None:
        stages = [[["c3", "c5"], ["c3"]], [["c5"], ["c3", "c3"]], [["c3"], ["c5"]], [["c5", "c5"], ["c5", "c3"]]] * 2
        table = read_table(write("".join(json.dumps({"net": net, "acc": 0.1 * i + 0.05}) + "\n" for i, net in enumerate(stages))))
        assert [(u.label, u.depths) for u in table.spec.units] == [("net.1", (1, 2)), ("net.2", (1, 2))]
        assert load_space(table.spec).native(table.codes[0]) == {"net.1": ["c3", "c5"], "net.2": ["c3"]}
        again = read_table(write(json.dumps({"arch": load_space(table.spec).native(table.codes[0])}) + "\n"), space=table.spec)
        assert again.codes.tolist() == table.codes[:1].tolist()


class TestNumberedColumns:
    def frame(self, depths: list[int]) -> pd.DataFrame:
        rows = []
        for i, depth in enumerate(depths):
            row: dict[str, Any] = {"n_layers": depth}
            for k in range(3):
                row[f"layer_{k}_units"] = 32 << ((i + k) % 2) if k < depth else None
                row[f"layer_{k}_act"] = "relu" if (i // 2 + k) % 2 else "gelu"
                row[f"layer_{k}_act"] = row[f"layer_{k}_act"] if k < depth else None
            rows.append(row | {"acc": 0.51 + 0.013 * i})
        return pd.DataFrame(rows)

    def test_one_joint_layer_a_position_and_the_depth_is_no_unit(self, write: Any) -> None:
        table = read_table(write(self.frame([1, 2, 3, 3, 2, 1, 3, 2])))
        assert [(u.label, u.depths, len(u.tokens)) for u in table.spec.units] == [("layer", (1, 2, 3), 4)]
        assert tokens(table)[1][:2] == ["units64_act=relu", "units32_act=gelu"] or len(set(tokens(table)[1][:2])) == 2
        native = load_space(table.spec).native(table.codes[0])
        assert native["n_layers"] == 1 and "layer_1_units" not in native

    def test_always_full_ones_are_a_unit_each_in_a_chain(self, write: Any) -> None:
        rows = [f"{a},{b},0.{i + 1}3" for i, (a, b) in enumerate(itertools.product((16, 32), repeat=2))]
        spec = read_table(write("conv1,conv2,acc\n" + "\n".join(rows))).spec
        assert [u.label for u in spec.units] == ["conv1", "conv2"] and not any(u.loose for u in spec.units)
        assert len(load_space(spec).windows(2)) == 1

    def test_a_row_with_a_gap_between_layers_is_refused(self, write: Any) -> None:
        frame = self.frame([1, 2, 3, 3, 2, 1, 3, 2] * 4)
        frame.loc[2, ["layer_1_units", "layer_1_act"]] = None
        table = read_table(write(frame))
        assert [r.row for r in table.rejected] == [2] and "gap between layers" in table.rejected[0].reason

    def test_a_value_behind_the_depth_is_refused_of_a_given_space(self, write: Any) -> None:
        spec = read_table(write(self.frame([1, 2, 3, 3, 2, 1, 3, 2]))).spec
        row = {"n_layers": 3, "layer_0_units": 32, "layer_0_act": "relu"}
        table = read_table(write(pd.DataFrame([row, row | {"n_layers": 1}])), space=spec)
        assert len(table) == 1 and "column n_layers: got 3, but 1 layers of layer" in table.rejected[0].reason


class TestEmptyCells:
    ROWS = [
        ("cnn", 3, ""),
        ("cnn", 5, ""),
        ("mlp", "", 0.1),
        ("mlp", "", 0.2),
        ("cnn", 3, ""),
        ("mlp", "", 0.1),
        ("cnn", 5, ""),
        ("mlp", "", 0.2),
    ]

    def test_what_another_column_explains_is_conditional(self, write: Any) -> None:
        text = "kind,kernel,drop,acc\n" + "\n".join(f"{k},{a},{b},0.{i + 1}7" for i, (k, a, b) in enumerate(self.ROWS))
        spec = read_table(write(text)).spec
        cnn, mlp = (spec.tokens.index(t) for t in ("kind=cnn", "kind=mlp"))
        assert spec.conditions == (Condition(1, 0, (cnn,)), Condition(2, 0, (mlp,)))
        assert [u.depths for u in spec.units] == [(1,), (0, 1), (0, 1)]
        codes = load_space(spec).sample(200, np.random.default_rng(0))
        assert ((codes[:, 1] == ABSENT) == (codes[:, 0] == mlp)).all()
        assert load_space(spec).size == 4

    def test_a_choice_that_is_not_there_without_a_reason_may_be_absent(self, write: Any) -> None:
        extra = ["", "se", "se", "", "se", "se", "", "se"]
        text = "kernel,extra,acc\n" + "\n".join(f"{3 + 2 * (i % 2)},{e},0.{i + 1}7" for i, e in enumerate(extra))
        spec = read_table(write(text)).spec
        assert [u.depths for u in spec.units] == [(1,), (0, 1)] and spec.conditions == ()

    def test_a_single_gap_is_a_missing_value(self, write: Any) -> None:
        text = "kernel,act,acc\n" + "\n".join(
            f"{'' if i == 4 else 3 + 2 * (i % 2)},{'ab'[i // 2 % 2]},0.{i + 1}7" for i in range(9)
        )
        table = read_table(write(text))
        assert [(r.row, "single gap" in r.reason) for r in table.rejected] == [(4, True)]
        assert table.spec.units[0].depths == (1,)

    def test_a_value_that_only_refused_rows_have_is_not_in_the_space(self, write: Any) -> None:
        rows = [f"{3 + 2 * (i % 2)},0.{i + 1}7" for i in range(8)] + ["9,high", "9,low"]
        table = read_table(write("kernel,acc\n" + "\n".join(rows)))
        assert table.spec.tokens == ("kernel=3", "kernel=5") and len(table.rejected) == 2


class TestNumbers:
    @pytest.mark.parametrize(
        ("cells", "wanted"),
        [
            (["71.3%", "72.9 %", "74%", "75.1%"], [71.3, 72.9, 74, 75.1]),
            (["0,713", "0,729", "0,74", "1"], [0.713, 0.729, 0.74, 1]),
            (["1,013.01", "305.08", "632.46", "88.59"], [1013.01, 305.08, 632.46, 88.59]),
            (["60,123", "72,305", "63,200", "88,100"], [60.123, 72.305, 63.2, 88.1]),
            (["1.013,01", "305,08", "632,46", "88,59"], [1013.01, 305.08, 632.46, 88.59]),
            (["71.3 ± 0.2", "72.9±0.1", "74 +/- 0.3", "75.1"], [71.3, 72.9, 74, 75.1]),
            (["71.3 ± 0.2%", "72.9% ± 0.1%", "74%", "75.1"], [71.3, 72.9, 74, 75.1]),
            (["1e-3", "-2.5E2", "+7", ".5"], [0.001, -250, 7, 0.5]),
        ],
    )
    def test_as_they_are_written(self, write: Any, cells: list[str], wanted: list[float]) -> None:
        text = "kernel;acc\n" + "\n".join(f'{3 + 2 * (i % 2)};"{cell}"' for i, cell in enumerate(cells))
        table = read_table(write(text))
        assert table.metrics["acc"].tolist() == pytest.approx(wanted) and not table.rejected

    def test_the_error_behind_a_value_is_its_own_metric(self, write: Any) -> None:
        text = "kernel,acc\n3,71.3 ± 0.2\n5,72.9 ± 0.1\n3,74.0\n5,75.1 ± 0.4\n"
        metrics = read_table(write(text)).metrics
        assert metrics["acc_std"].tolist()[:2] == [0.2, 0.1] and math.isnan(metrics["acc_std"][2])

    def test_choices_keep_their_exact_values_in_order(self, write: Any) -> None:
        values = ["0.0001", "0.01", "0.001", "0.1"]
        rows = [f"{values[i % 4]},{32 * (1 + i % 4)},0.{i + 1}7" for i in range(8)]
        spec = read_table(write("wd,units,acc\n" + "\n".join(rows))).spec
        assert spec.tokens[:4] == ("wd=0.0001", "wd=0.001", "wd=0.01", "wd=0.1")
        place = spec.numbers["place in range"]
        assert place[:4] == pytest.approx((0, 1 / 3, 2 / 3, 1))  # a factor of 1,000: by their logarithms
        assert place[4:] == pytest.approx((0, 1 / 3, 2 / 3, 1))
        assert load_space(spec).native(np.array([1, 4], np.int16)) == {"wd": 0.001, "units": 32}

    def test_thousands_are_grouped_between_commas(self, write: Any) -> None:
        text = "kernel,params\n" + "\n".join(
            f'{3 + 2 * (i % 2)},"{cell}"' for i, cell in enumerate(["1,013", "2,305", "632", "88"])
        )
        assert read_table(write(text)).metrics["params"].tolist() == [1013, 2305, 632, 88]

    def test_a_text_among_numbers_that_repeats_is_a_choice_and_a_slip_is_not(self, write: Any) -> None:
        cells = [["8", "16", "full"][i % 3] for i in range(30)] + ["oops"]
        text = "patch,acc\n" + "\n".join(f"{cell},0.{i + 11}" for i, cell in enumerate(cells))
        table = read_table(write(text))
        assert set(table.spec.tokens) == {"patch=8", "patch=16", "patch=full"} and [r.row for r in table.rejected] == [30]

    def test_equal_numbers_in_other_spellings_are_one_choice(self, write: Any) -> None:
        cells = ["0.10", "0.1", "1e-1", "0.20", "0.2", ".2", "2e-1", "0.1"]
        spec = read_table(write("drop,acc\n" + "\n".join(f"{c},0.{i + 11}" for i, c in enumerate(cells)))).spec
        assert spec.tokens == ("drop=0.1", "drop=0.2")
        lines = "".join(json.dumps({"arch": {"drop": v}}) + "\n" for v in (0.1, "0.10", 0.2))
        assert read_table(write(lines), space=spec).codes.ravel().tolist() == [0, 0, 1]

    def test_learning_curves_are_neither_choices_nor_metrics(self, write: Any) -> None:
        curves = np.round(RNG.random((8, 5)), 4).tolist()
        rows = [{"kernel": 3 + 2 * (i % 2), "history": curve, "acc": curve[-1]} for i, curve in enumerate(curves)]
        assert roles(read_table(write("".join(json.dumps(row) + "\n" for row in rows))))["ignored"] == ["history"]

    def test_what_happens_after_the_choice_is_a_metric(self, write: Any) -> None:
        frame = pd.DataFrame({"kernel": [3, 5] * 8, "best_epoch": 40 + RNG.permutation(16), "gpu_hours": RNG.permutation(16) + 5})
        assert roles(read_table(write(frame)))["metric"] == ["best_epoch", "gpu_hours"]


class TestRolesThatAreSaid:
    TABLE = "kernel,act,lr,acc\n" + "\n".join(f"{3 + 2 * (i % 2)},{'ab'[i // 2 % 2]},0.0{i + 1},0.{i + 1}7" for i in range(8))

    def test_they_come_first(self, write: Any) -> None:
        table = read_table(write(self.TABLE), roles={"kernel": "context", "lr": "ignored"})
        assert roles(table) == {"context": ["kernel"], "choice": ["act"], "ignored": ["lr"], "metric": ["acc"]}
        assert table.columns[0].why == "as you said" and table.context_kinds == {"kernel": "setting"}
        assert read_table(write(self.TABLE), roles={"kernel": "task"}).context_kinds["kernel"] == "task"

    def test_a_column_or_role_that_is_not_there_is_said(self, write: Any) -> None:
        with pytest.raises(DataError, match=r"a role for column depth, expected one of kernel, act, lr and acc"):
            read_table(write(self.TABLE), roles={"depth": "choice"})
        with pytest.raises(ConfigError, match=r"role of kernel: got 'colour', expected one of architecture, choice"):
            read_table(write(self.TABLE), roles={"kernel": "colour"})

    def test_without_a_choice_the_columns_are_still_told(self, write: Any) -> None:
        with pytest.raises(MappingError, match="got no design choice among kernel, act, lr and acc") as error:
            read_table(write(self.TABLE), roles={"kernel": "metric", "act": "context"})
        assert [column.role for column in error.value.columns] == ["metric", "context", "context", "metric"]
        assert error.value.columns[0].examples == ("3", "5") and error.value.columns[0].histogram == (4, 4)

    def test_choices_beside_a_known_space_are_contexts(self, write: Any) -> None:
        keys = ["02012100", "11111221", "00000000", "22222222"]
        text = "key,aug,acc\n" + "\n".join(f"{k},{'ab'[i % 2]},0.{i + 1}7" for i, k in enumerate(keys))
        table = read_table(write(text))
        assert table.spec.name == "nas_bench_macro" and roles(table)["context"] == ["aug"]
        assert table.contexts["aug"].tolist() == ["a", "b", "a", "b"]


class TestColumnsThatRolesCanMend:
    """A table that cannot be read tells its columns all the same, so that a reader can say what they are."""

    CELLS = "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|nor_conv_3x3~0|skip_connect~1|none~2|"

    @pytest.mark.parametrize(
        ("header", "row", "message", "said"),
        [
            ("arch,design:lr,acc", '"{cells}",{act},{acc}', "got 'choice' beside the architectures in arch", {"lr": "context"}),
            ("kernel,design:kernel,acc", "{k},{act},{acc}", "'kernel' twice, once with a prefix", {"kernel": "ignored"}),
            ("kernel,kernel,acc", "{k},{act},{acc}", "got column 'kernel' twice", {"kernel (column 2)": "ignored"}),
            ("kernel,metric:act,acc", "{k},{act},{acc}", "all 24 rows were refused", {"act": "choice"}),
            ("block0_d,block0_e,acc", "{deep},{k},{acc}", "expected numbers of layers", {"block0_d": "context"}),
        ],
    )
    def test_they_are_told_and_one_role_mends_it(
        self, header: str, row: str, message: str, said: dict[str, str], write: Any
    ) -> None:
        values = [{"k": 3 + 2 * (i % 3), "act": "ab"[i % 2], "acc": 0.37 * i, "deep": 40 * (i % 4)} for i in range(24)]
        path = write("\n".join([header, *(row.format(cells=self.CELLS, **own) for own in values)]) + "\n")
        with pytest.raises(MappingError, match=message) as error:
            read_table(path)
        assert len(error.value.columns) == header.count(",") + 1
        assert said.keys() <= {column.name for column in error.value.columns}
        assert len(read_table(path, roles=said)) == 24

    def test_too_many_texts_of_a_context(self, write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("autobuild_core.datasets._columns.MAX_TEXTS", 5)
        path = write("kernel,dataset,acc\n" + "".join(f"{3 + i % 2},d{i},{i * 0.37}\n" for i in range(12)))
        with pytest.raises(MappingError, match="column dataset: got too many values") as error:
            read_table(path, roles={"dataset": "task"})
        assert [column.role for column in error.value.columns] == ["choice", "context", "metric"]


class TestTwoColumnsOfArchitectures:
    """The reader says which one is learned from; the other goes with it."""

    KEYS = [f"{i % 3}{i // 3 % 3}{i // 9 % 3}00000" for i in range(27)]

    def rows(self) -> list[dict[str, Any]]:
        return [{"key": k, "best": self.KEYS[-1 - i], "acc": i * 0.37} for i, k in enumerate(self.KEYS)]

    @pytest.mark.parametrize("form", ["csv", "json", "records"])
    def test_the_role_that_was_said_wins(self, form: str, write: Any) -> None:
        frame = pd.DataFrame(self.rows())
        nested = json.dumps([{"params": {"key": r["key"]}, "best": r["best"], "acc": r["acc"]} for r in self.rows()])
        path = write(frame if form == "csv" else frame.to_json(orient="records") if form == "json" else nested)
        for said, first in (
            ({}, "best" if form == "records" else "key"),
            ({"best": "architecture"}, "best"),
            ({"key": "architecture"}, "key"),
        ):
            table = read_table(path, roles=said)
            assert [load_space(table.spec).native(codes) for codes in table.codes] == frame[first].tolist()
            found = {column.name: column.role for column in table.columns}
            assert found == {"key": "ignored", "best": "ignored", "acc": "metric"} | {first: "architecture"}

    def test_both_cannot_be(self, write: Any) -> None:
        with pytest.raises(
            ConfigError, match="role of best: got 'architecture' beside the architectures in key, expected one col"
        ):
            read_table(write(pd.DataFrame(self.rows())), roles={"key": "architecture", "best": "architecture"})


class TestWords:
    def test_one_thing_is_no_plural(self, write: Any) -> None:
        one = pd.DataFrame({"kernel": [3, None] * 20, "act": ["a", None] * 20, "acc": np.round(RNG.random(40), 5)})
        why = {column.name: column.why for column in read_table(write(one)).columns}
        assert (why["kernel"], why["act"]) == ("1 number that repeats", "1 text that repeats")
        same = read_table(write(pd.DataFrame({"design:kernel": [3] * 40, "acc": np.round(RNG.random(40), 5)}))).warnings
        assert same[0].startswith("Nearly all rows are the same: 1 distinct network in 40 rows")
        assert same[1].startswith("Only 1 distinct network, fewer")
        trials = "number,state,params_a,value\n" + "".join(
            f"{i},{'PRUNED' if i == 3 else 'COMPLETE'},{i % 3},{i}\n" for i in range(9)
        )
        assert read_table(write(trials)).notes[0].startswith("1 stopped trial is kept as known to be worse")
        with pytest.raises(MappingError, match="upload: its only row was refused; row 0: column metric:acc: got 'x'"):
            read_table(write("metric:acc,design:kernel\nx,3\n"))

    def test_examples_have_six_digits_at_most_and_whole_numbers_all(self, write: Any) -> None:
        rates = [10**-k / 3 for k in range(1, 5)]
        frame = pd.DataFrame({"design:wd": rates * 10, "design:width": [1234567890, 8] * 20, "acc": RNG.random(40)})
        columns = {column.name: column for column in read_table(write(frame)).columns}
        assert columns["wd"].examples == ("0.0333333", "0.00333333", "0.000333333", "3.33333e-05")
        assert columns["width"].examples == ("1234567890", "8")
        assert all(len(text.lstrip("0.")) <= 6 for text in columns["acc"].examples)
        assert f"wd={rates[0]!r}" in read_table(write(frame)).spec.tokens  # the choice itself is exact


class TestWarnings:
    def warnings(self, write: Any, **columns: Any) -> str:
        return " ".join(read_table(write(pd.DataFrame(columns))).warnings)

    def test_nothing_to_warn_of(self, write: Any) -> None:
        grid = list(itertools.product((3, 5, 7), (1, 2, 3, 4), ("a", "b", "c")))
        k, d, a = zip(*grid, strict=True)
        assert self.warnings(write, kernel=k, depth=d, act=a, acc=np.round(RNG.random(36), 5)) == ""

    def test_few_networks_and_nearly_all_the_same(self, write: Any) -> None:
        acc = np.round(RNG.random(40), 5)
        assert "Only 2 distinct networks, fewer than 30" in self.warnings(write, kernel=[3, 5] * 20, acc=acc)
        assert "Nearly all rows are the same: 2 distinct networks in 40 rows" in self.warnings(write, kernel=[3, 5] * 20, acc=acc)

    def test_a_metric_that_equals_another_or_follows_from_a_choice(self, write: Any) -> None:
        acc = np.round(RNG.random(40), 5)
        said = self.warnings(write, kernel=[3, 5] * 20, act=["a", "a", "b", "b"] * 10, acc=acc, top1=acc, params=[9.5, 25.5] * 20)
        assert "The metrics acc and top1 are equal in every row" in said
        assert "The metric params follows from kernel alone" in said

    def test_mixed_units_and_a_constant_metric(self, write: Any) -> None:
        acc = np.where(np.arange(40) % 4 == 0, 71 + RNG.random(40), 0.7 + 0.1 * RNG.random(40))
        assert "The metric acc mixes units: 30 values up to 1 beside 10" in self.warnings(write, kernel=[3, 5] * 20, acc=acc)
        frame = pd.DataFrame({"kernel": [3, 5] * 20, "acc": acc, "metric:size": [7] * 40})
        assert "The metric size is 7 in every row" in " ".join(read_table(write(frame)).warnings)

    def test_a_choice_almost_unique_per_row_or_of_one_value(self, write: Any) -> None:
        frame = pd.DataFrame({"kernel": [3, 5] * 20, "units": 8 + 3 * RNG.permutation(40), "design:one": [1] * 40})
        said = " ".join(read_table(write(frame.assign(acc=np.round(RNG.random(40), 5)))).warnings)
        assert "The choice units is different in almost every row (40 values in 40 rows)" in said
        assert "The choice one has one value" in said

    def test_trials_of_ray_that_a_scheduler_stopped(self, write: Any) -> None:
        rungs = np.repeat([3, 9, 27, 81], [36, 12, 8, 4])
        frame = pd.DataFrame({"config/width": RNG.choice([8, 16, 32], 60), "config/act": RNG.choice(["a", "b"], 60)})
        frame = frame.assign(val_acc=np.round(RNG.random(60), 5), training_iteration=rungs, done=True)
        frame["trial_id"] = [f"{i:08x}" for i in range(60)]
        table = read_table(write(frame))
        assert table.context_kinds == {"training_iteration": "fidelity"} and not table.num_censored
        sentence = next(one for one in table.warnings if "a scheduler such as ASHA" in one)
        assert sentence.startswith("Only 4 of 60 trials reached training_iteration 81: ")
        assert "scores hold at 81" in sentence and sentence.endswith("(--role training_iteration=ignore).")
        ignored = read_table(write(frame), roles={"training_iteration": "ignore"})
        assert "ASHA" not in " ".join(ignored.warnings) and not ignored.context_kinds
        assert "ASHA" not in " ".join(read_table(write(frame), roles={"training_iteration": "fidelity"}).warnings)
        most = frame.assign(training_iteration=np.where(np.arange(60) < 20, 27, 81))
        assert "ASHA" not in " ".join(read_table(write(most)).warnings)

    def test_a_context_that_explains_most(self, write: Any) -> None:
        dataset = ["cora", "pubmed"] * 20
        acc = np.round(np.array([0.5, 0.9] * 20) + 0.05 * RNG.random(40), 5)
        assert "The context dataset alone explains most of acc" in self.warnings(
            write, kernel=RNG.permutation([3, 5] * 20), dataset=dataset, acc=acc
        )
