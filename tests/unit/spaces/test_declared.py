"""space.json and ConfigSpace's JSON: written, edited, read back, and what they change about a table."""

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ConfigSpace import (
    AndConjunction,
    Categorical,
    ConfigurationSpace,
    Constant,
    EqualsCondition,
    Float,
    ForbiddenAndConjunction,
    ForbiddenEqualsClause,
    ForbiddenInClause,
    GreaterThanCondition,
    InCondition,
    Integer,
    NotEqualsCondition,
    OrConjunction,
    OrdinalHyperparameter,
)

from autobuild_core import api
from autobuild_core.architectures.records import ABSENT
from autobuild_core.datasets import read_table
from autobuild_core.datasets._guarded import read_guarded
from autobuild_core.errors import ConfigError, DataError
from autobuild_core.spaces import load_space
from autobuild_core.spaces._configspace import declared_json, declared_of, read_declared
from autobuild_core.spaces._declared import Declared, Slot, from_json, make_spec

TABLE = "kind,kernel,drop,units,acc\n" + "\n".join(
    f"cnn,{3 + 2 * (i // 2 % 2)},,{32 << (i % 3)},0.{i + 11}"
    if i % 2
    else f"mlp,,{0.1 * (1 + i // 4 % 2)},{32 << (i % 3)},0.{i + 11}"
    for i in range(12)
)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "table.csv"
    path.write_text(TABLE)
    return path


def edited(table: Path, change: Any) -> Path:
    """The inferred space.json with a change."""
    raw = json.loads(declared_json(read_table(table).spec))
    change(raw)
    path = table.with_name("space.json")
    path.write_text(json.dumps(raw))
    return path


class TestOurOwn:
    def test_what_is_written_is_read_back(self, table: Path) -> None:
        found = read_table(table)
        path = edited(table, lambda raw: None)
        again = api.read(table, space=path)
        assert again.spec == found.spec and np.array_equal(again.codes, found.codes)
        assert read_declared(path) == declared_of(found.spec) == from_json(declared_json(found.spec))

    def test_values_that_were_not_seen_belong_to_the_space(self, table: Path) -> None:
        def change(raw: dict[str, Any]) -> None:
            next(u for u in raw["units"] if u["unit"] == "kernel")["values"]["kernel"] = [3, 5, 7]

        spec = api.read(table, space=edited(table, change)).spec
        assert "kernel=7" in spec.tokens and load_space(spec).size == (3 + 2) * 3
        codes = load_space(spec).sample(400, np.random.default_rng(0))
        assert (codes == spec.tokens.index("kernel=7")).any()

    def test_forbidden_combinations_are_never_drawn_and_refuse_rows(self, table: Path) -> None:
        path = edited(table, lambda raw: raw["forbidden"].append({"kind": ["cnn"], "units": [32]}))
        found = api.read(table, space=path)
        space = load_space(found.spec)
        cnn, small = found.spec.tokens.index("kind=cnn"), found.spec.tokens.index("units=32")
        drawn = space.sample(500, np.random.default_rng(0))
        assert not ((drawn == cnn).any(1) & (drawn == small).any(1)).any()
        assert space.size == load_space(read_table(table).spec).size - 2
        assert [r.row for r in found.rejected] == [3, 9]

    def test_tied_columns_are_one_choice(self, tmp_path: Path) -> None:
        path = tmp_path / "tied.csv"
        path.write_text(
            "a,b,c,acc\n" + "\n".join(f"{x},{x if i < 7 else 9 - x},{i % 2},0.{i + 11}" for i, x in enumerate([3, 6] * 4))
        )
        slot = Slot("a=b", "column", ("a=b",), (("a", "b"),), (("3", "6"),))
        declared = Declared((slot, Slot("c", "column", ("c",), (("c",),), (("0", "1"),))))
        table = read_table(path, declared=declared)
        assert load_space(table.spec).size == 4 and table.spec.tokens[0] == "a=b=3"
        assert [(r.row, "column b: got 3, expected that of a" in r.reason) for r in table.rejected] == [(7, True)]
        assert load_space(table.spec).native(table.codes[0]) == {"a": 3, "b": 3, "c": 0}

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda raw: raw.update(format="x"), "declares no space, expected format 'autobuild space 1'"),
            (lambda raw: raw.pop("units"), "got a damaged file"),
            (lambda raw: raw["units"][0].update(kind="cube"), "kind: got kind 'cube', expected one of column, block"),
            (lambda raw: raw["units"][0].update(values={"kind": []}), "kind: got no value of kind"),
            (
                lambda raw: raw["units"][0].update(values={"kind": "cnn"}),
                r'^space.json, kind, values of kind: got "cnn", expected a list, such as',
            ),
            (lambda raw: raw["units"][0].update(depths="1"), 'kind, depths: got "1", expected a list'),
            (lambda raw: raw["units"][0].update(ordered="kind"), 'kind, ordered: got "kind", expected a list'),
            (lambda raw: raw["units"][0].update(values={"kind": {"cnn": 1}}), 'values of kind: got {"cnn": 1}, expected a list'),
            (lambda raw: raw.update(units={}), "space.json, units: got {}, expected a list"),
            (lambda raw: raw["forbidden"].append({"kind": "cnn"}), 'forbidden kind: got "cnn", expected a list'),
            (lambda raw: raw["conditions"][0].update(where={"kind": "cnn"}), 'on kind: got "cnn", expected a list'),
            (lambda raw: raw["units"][0].update(depths=[0, 99]), r"kind: got depths \[0, 99\], expected numbers of layers"),
            (lambda raw: raw["units"][0].update(ordered=["kind"]), "as ordered values of kind, expected numbers"),
            (lambda raw: raw["forbidden"].append({"colour": ["red"]}), "a condition on 'colour', expected one of kind, kernel"),
            (lambda raw: raw["forbidden"].append({"kind": ["rnn"]}), "kind: got a condition on rnn, expected one of cnn, mlp"),
            (lambda raw: raw["units"].reverse(), "a condition of 'kernel' on 'kind', expected a unit behind it"),
        ],
    )
    def test_what_is_wrong_is_said(self, table: Path, change: Any, message: str) -> None:
        path = edited(table, change)
        with pytest.raises(DataError, match=message):
            api.read(table, space=path)

    def test_no_json_and_no_file(self, table: Path) -> None:
        (table.parent / "bad.json").write_text("{")
        with pytest.raises(DataError, match=r"bad.json: not readable JSON"):
            api.read(table, space=table.parent / "bad.json")
        with pytest.raises(ConfigError, match="No such file"):
            api.read(table, space=table.parent / "none.json")


class TestFewerOperations:
    """A known space of which a reader declares some operations: averages run over those alone."""

    FEW = ("skip_connect", "nor_conv_3x3", "avg_pool_3x3")
    CELLS = ("|{0}~0|+|{1}~0|{0}~1|+|{1}~0|{0}~1|{2}~2|", "|{2}~0|+|{1}~0|{0}~1|+|{1}~0|{1}~1|{2}~2|")

    @pytest.fixture
    def cells(self, tmp_path: Path) -> Path:
        rows = [cell.format(*self.FEW) for cell in self.CELLS]
        other = self.CELLS[0].format("none", *self.FEW[1:])
        (tmp_path / "cells.csv").write_text("arch,acc\n" + "".join(f"{row},{n}\n" for n, row in enumerate([*rows, other])))
        return tmp_path / "cells.csv"

    def declared(self, path: Path, *operations: str, space: str = "nas_bench_201") -> Path:
        file = path.parent / "space.json"
        file.write_text(json.dumps({"format": "autobuild space 1", "space": space, "operations": operations}))
        return file

    def test_the_space_is_smaller_and_what_is_outside_is_refused(self, cells: Path) -> None:
        table = api.read(cells, space=self.declared(cells, *self.FEW))
        space = load_space(table.spec)
        assert (table.spec.title, space.size, len(space.enumerate())) == ("NAS-Bench-201 of 3 operations", 3**6, 3**6)
        assert [(r.row, r.reason) for r in table.rejected] == [
            (2, "unit node 1: got none, expected one of skip_connect, nor_conv_3x3, avg_pool_3x3.")
        ]
        assert table.declared and len(table) == 2 and len(api.read(cells)) == 3

    def test_it_is_written_and_read_back(self, cells: Path) -> None:
        table = api.read(cells, space=self.declared(cells, *self.FEW))
        again = cells.parent / "again.json"
        again.write_text(declared_json(table.spec))
        assert api.read(cells, space=again).spec == table.spec
        again.write_text(declared_json(api.read(cells).spec))
        assert api.read(cells, space=again).spec == api.read(cells).spec  # all operations: the known space itself

    def test_random_ones_averages_and_networks_stay_inside(self, cells: Path) -> None:
        space = load_space(api.read(cells, space=self.declared(cells, *self.FEW)).spec)
        drawn = space.sample(200, np.random.default_rng(0))
        few = {space.token_index[token] for token in self.FEW}
        assert set(np.unique(drawn)) == few == {t for group in space.windows(2) for t in np.unique(group.codes)}
        assert set(np.unique(space.mutate(drawn, np.random.default_rng(1)))) == few
        assert len(np.unique(space.hash_networks(space.enumerate()))) == 435
        assert space.weights(space.enumerate()).sum() == pytest.approx(1)

    def test_a_guarded_reader_takes_it(self, cells: Path) -> None:
        declared = read_declared(self.declared(cells, *self.FEW))
        assert read_guarded(cells, declared=declared).spec == api.read(cells, space=self.declared(cells, *self.FEW)).spec

    @pytest.mark.parametrize(
        ("space", "operations", "said"),
        [
            ("nas_bench_201", ("sep_conv",), "got the operation sep_conv, expected some of none, skip_connect"),
            ("nas_bench_999", ("none",), "spaces: got 'nas_bench_999'"),
            ("nas_bench_201", (), "got no operation of node 1, expected at least one"),
            (
                "nas_bench_macro",
                ("identity",),
                "got architectures of NAS-Bench-201, expected some of NAS-Bench-Macro",
            ),
        ],
    )
    def test_what_is_wrong_is_said(self, space: str, operations: tuple[str, ...], said: str, cells: Path) -> None:
        with pytest.raises(DataError, match=said):
            api.read(cells, space=self.declared(cells, *operations, space=space))

    def test_rows_that_hold_no_architecture_are_no_reason_to_guess(self, cells: Path) -> None:
        flat = cells.parent / "flat.csv"
        flat.write_text("act,n,acc\nrelu,1,0.5\ngelu,2,0.6\nrelu,2,0.7\ngelu,1,0.4\n")
        with pytest.raises(DataError, match="got no architectures, expected some of NAS-Bench-201 of 3 operations, as declared"):
            api.read(flat, space=self.declared(cells, *self.FEW))


class TestPlaces:
    """Numbered columns whose places take different values: blocks of a stage, each there or not."""

    UNITS = (
        {
            "unit": "down",
            "columns": {"block": ["d1", "d2"]},
            "values": {"block": [["none", "res"], ["none", "att"]]},
            "depths": [2],
        },
        {"unit": "up", "columns": {"block": ["u1"]}, "values": {"block": [["none", "res"]]}},
    )

    def declared(self, path: Path, **changed: Any) -> Path:
        units = [{"kind": "numbered"} | self.UNITS[0] | changed, {"kind": "numbered"} | self.UNITS[1]]
        file = path / "space.json"
        file.write_text(json.dumps({"format": "autobuild space 1", "units": units}))
        return file

    @pytest.fixture
    def table(self, tmp_path: Path) -> Path:
        rows = [f"{a},{b},{c},{n / 10}" for n, (a, b, c) in enumerate(itertools.product(*[("none", "res")] * 3))]
        text = "\n".join(["d1,d2,u1,acc", *rows]).replace(",res,none,", ",att,none,").replace(",res,res,", ",att,res,")
        (tmp_path / "unets.csv").write_text(text + "\n")
        return tmp_path / "unets.csv"

    def test_every_place_has_its_own(self, table: Path, tmp_path: Path) -> None:
        read = api.read(table, space=self.declared(tmp_path))
        space = load_space(read.spec)
        assert len(read) == 8 and not read.rejected and space.size == 8 and read.spec.topology == ""
        every = [space.native(row) for row in space.enumerate()]
        assert {one["d2"] for one in every} == {"none", "att"} and {one["d1"] for one in every} == {"none", "res"}
        assert [space.unit_size(unit) for unit in read.spec.units] == [4, 2]
        assert sum(len(group) for group in space.windows(1)) == 6 and len(space.unit_modules(0)[0]) == 4

    def test_a_value_of_another_place_is_refused(self, table: Path, tmp_path: Path) -> None:
        table.write_text(table.read_text() + "res,res,none,0.9\n")
        (refused,) = api.read(table, space=self.declared(tmp_path)).rejected
        assert refused.row == 8 and "got block=res, block=res, expected one of its 4 modules" in refused.reason

    def test_it_is_written_and_read_back(self, table: Path, tmp_path: Path) -> None:
        read = api.read(table, space=self.declared(tmp_path))
        (tmp_path / "again.json").write_text(declared_json(read.spec))
        assert api.read(table, space=tmp_path / "again.json").spec == read.spec

    @pytest.mark.parametrize(
        ("changed", "said"),
        [
            ({"values": {"block": [["none", "res"]]}}, "got values of 1 places and depths .2., expected 2, one a column"),
            ({"depths": [1, 2]}, "got values of 2 places and depths .1, 2., expected 2, one a column, and depths .2."),
            ({"values": {"block": [["none"], []]}}, "got a place without a value"),
            ({"kind": "list", "columns": {"block": ["d1"]}}, "expected it of numbered columns with one attribute"),
        ],
    )
    def test_what_is_wrong_is_said(self, changed: dict[str, Any], said: str, table: Path, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=said):
            api.read(table, space=self.declared(tmp_path, **changed))


class TestConfigSpace:
    def made(self) -> ConfigurationSpace:
        parts: list[Any] = [
            Categorical("act", ["relu", "gelu"]),
            Integer("n", (1, 3)),
            Integer("w2", (1, 3)),
            Integer("w3", (1, 3)),
            OrdinalHyperparameter("level", [1, 2, 4]),
            Float("lr", (0.0, 0.5)),
            Constant("const", "x"),
        ]
        space = ConfigurationSpace(space={part.name: part for part in parts})
        space.add(EqualsCondition(space["lr"], space["act"], "relu"))  # a continuous child is left out with its condition
        space.add(InCondition(space["level"], space["n"], [2, 3]))
        space.add(GreaterThanCondition(space["w2"], space["n"], 1))
        both = NotEqualsCondition(space["w3"], space["n"], 1), EqualsCondition(space["w3"], space["act"], "gelu")
        space.add(AndConjunction(*both))
        clause = ForbiddenEqualsClause(space["act"], "gelu"), ForbiddenInClause(space["n"], [1, 3])
        space.add(ForbiddenAndConjunction(*clause))
        return space

    def test_choices_conditions_and_clauses_are_those_of_the_space(self, tmp_path: Path) -> None:
        space = self.made()
        space.to_json(tmp_path / "cs.json")
        spec = make_spec(read_declared(tmp_path / "cs.json"), "Declared")
        ours = load_space(spec)
        assert {unit.label for unit in spec.units} == {"act", "n", "w2", "w3", "level"}
        every = ours.enumerate()
        assert every is not None
        wanted = {
            tuple(sorted((k, str(v)) for k, v in dict(c).items() if k not in ("lr", "const")))
            for c in space.sample_configuration(3000)
        }
        found = {tuple(sorted((k, str(v)) for k, v in ours.native(row).items())) for row in every}
        assert found == wanted  # 3,000 draws meet all of the few valid combinations

    def test_it_declares_the_space_of_a_table(self, tmp_path: Path) -> None:
        space = self.made()
        space.to_json(tmp_path / "cs.json")
        drawn = [dict(c) for c in space.sample_configuration(30)]
        names = sorted({name for row in drawn for name in row})
        lines = [",".join([*names, "val_acc"])]
        lines += [",".join([*(str(row.get(n, "")) for n in names), f"0.{i + 11}"]) for i, row in enumerate(drawn)]
        (tmp_path / "t.csv").write_text("\n".join(lines))
        table = api.read(tmp_path / "t.csv", space=tmp_path / "cs.json")
        assert len(table) == 30 and not table.rejected and table.context_kinds == {"lr": "setting"}
        level = next(i for i, unit in enumerate(table.spec.units) if unit.label == "level")
        assert (table.codes[:, table.spec.units[level].positions[0]] == ABSENT).sum() == sum("level" not in row for row in drawn)

    def test_what_a_table_cannot_have_is_said(self, tmp_path: Path) -> None:
        space = ConfigurationSpace(space={"a": Categorical("a", [1, 2]), "b": Integer("b", (1, 3))})
        space.add(Categorical("c", [1, 2]))
        space.add(OrConjunction(EqualsCondition(space["c"], space["a"], 1), EqualsCondition(space["c"], space["b"], 1)))
        space.to_json(tmp_path / "or.json")
        with pytest.raises(DataError, match="a condition OR on c, expected comparisons of one parent"):
            read_declared(tmp_path / "or.json")
        ConfigurationSpace(space={"lr": (0.0, 1.0)}).to_json(tmp_path / "none.json")
        with pytest.raises(DataError, match="expected at least one choice"):
            read_declared(tmp_path / "none.json")
        text = {"hyperparameters": [{"type": "categorical", "name": "act", "choices": "relu"}]}
        (tmp_path / "text.json").write_text(json.dumps(text))
        with pytest.raises(DataError, match='act, choices: got "relu", expected a list'):
            read_declared(tmp_path / "text.json")
