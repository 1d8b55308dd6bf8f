"""Formats: what is read, what is refused and why, on files small enough to check by hand."""

import gzip
import json
import math
from pathlib import Path
from typing import Any

import pytest

from autobuild_core.architectures.records import ABSENT, ArchTable
from autobuild_core.datasets import read_table, recognise
from autobuild_core.datasets._table import metric_name
from autobuild_core.errors import ConfigError, DataError
from autobuild_core.spaces import space_named

UNIT = ["mbconv3_e3_k3", "mbconv3_e6_k7"]
ARCH = [UNIT] * 5
MACRO = space_named("nas_bench_macro").spec
OFA = space_named("ofa_mbv3").spec


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def write(content: str | bytes, name: str = "upload") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def reasons(table: ArchTable) -> dict[int, str]:
    return {rejection.row: rejection.reason for rejection in table.rejected}


def lines(*objects: Any) -> str:
    return "".join((o if isinstance(o, str) else json.dumps(o)) + "\n" for o in objects)


class TestNasBenchMacro:
    def test_published_fields_become_metrics(self, write: Any) -> None:
        value = {"test_acc": [89.5, 88.9, 89.2], "mean_acc": 89.2, "std": 0.2, "params": 890666, "flops": 47327744}
        table = read_table(write(json.dumps({"02012100": value, "11111221": {"mean_acc": 92.3}})))
        assert (table.format, table.spec.name, table.num_read) == ("json_table", "nas_bench_macro", 2)
        assert list(table.metrics) == ["test_acc_1", "test_acc_2", "test_acc_3", "mean_acc", "std", "params", "flops"]
        assert table.metrics.iloc[0].tolist() == [89.5, 88.9, 89.2, 89.2, 0.2, 890666, 47327744]
        assert table.metrics["mean_acc"].tolist() == [89.2, 92.3] and math.isnan(table.metrics["flops"][1])
        assert table.codes.tolist() == [[0, 2, 0, 1, 2, 1, 0, 0], [1, 1, 1, 1, 1, 2, 2, 1]]

    def test_duplicates_go_by_network(self, write: Any) -> None:
        table = read_table(write(json.dumps({key: {"mean_acc": 1.0} for key in ("11101222", "11110222", "11011222")})))
        assert len(table) == 3 and table.num_duplicates == 1

    def test_refused_rows_keep_their_numbers(self, write: Any) -> None:
        bad = '{"00000000": {"a": 1}, "0000000x": {"a": 1}, "00000001": 3, "00000002": {"a": "high"}, "00000000": {"a": 2}, '
        bad += '"00000010": {"a": 1e999}, "00000011": {"a": true}, "00000012": {"a": 1, "a": 2}, "00000020": {"a": NaN}}'
        table = read_table(write(bad))
        assert table.num_read == 9 and table.source_rows.tolist() == [0, 8]
        assert math.isnan(table.metrics["a"][1])
        found = reasons(table)
        assert list(found) == [1, 2, 3, 4, 5, 6, 7]
        assert "'0000000x', expected 8 digits" in found[1]
        assert "expected an object of metrics" in found[2]
        assert found[3] == "column a: got 'high', expected a number."
        assert found[4] == "key '00000000': got it again (first in row 0), expected each key once."
        assert "expected a finite number" in found[5]
        assert found[6] == "column a: got 'True', expected a number."
        assert "a metric twice" in found[7]

    def test_architectures_without_metrics(self, write: Any) -> None:
        table = read_table(write('{"02012100": {}, "11111221": {}, "3": {}}'), space=MACRO)
        assert len(table) == len(table.metrics) == 2 and list(table.metrics) == [] and list(reasons(table)) == [2]

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ('{"02012100": {"mean_acc": 1}, "1111', "the file ends too early"),
            ('{"02012100": {"mean_acc": 1},, }', "line 1, column 30: not JSON"),
            ('{"02012100": {"mean_acc": ' + "9" * 5000 + "}}", "not readable JSON"),
            ('{"02012100": ' + "[" * 100_000, "not readable JSON"),
        ],
    )
    def test_broken_files_are_one_clear_sentence(self, write: Any, content: Any, message: str) -> None:
        with pytest.raises(DataError, match=message) as error:
            read_table(write(content))
        assert len(str(error.value)) < 300 and "Traceback" not in str(error.value)


class TestJsonLines:
    def test_tokens_and_dictionaries_of_once_for_all(self, write: Any) -> None:
        ofa = {"ks": [3, 7, 5, 5] * 5, "e": [3, 6, 4, 4] * 5, "d": [2] * 5}
        table = read_table(write(lines({"arch": ARCH, "acc": 0.7}, {"arch": ofa, "acc": 0.8}, {**ofa, "acc": 0.9})))
        assert table.spec.name == "ofa_mbv3" and table.num_duplicates == 2
        assert table.codes.tolist() == [[0, 8, ABSENT, ABSENT] * 5] * 3
        assert table.metrics["acc"].tolist() == [0.7, 0.8, 0.9]

    def test_a_resolution_is_a_context(self, write: Any) -> None:
        text = lines(*({"arch": ARCH, "resolution": r, "acc": a} for r, a in ((192, 0.6), (224, 0.7), (192, 0.8))))
        table = read_table(write(text))
        assert table.contexts["resolution"].tolist() == [192, 224, 192] and table.context_kinds == {"resolution": "task"}
        assert list(table.metrics) == ["acc"] and len(table) == 3
        assert table.num_duplicates == 1  # the network of row 0 at its resolution is that of row 2; row 1 is another context

    def test_a_resolution_inside_the_dictionary_is_one_too(self, write: Any) -> None:
        ofa = {"ks": [3] * 20, "e": [3] * 20, "d": [2] * 5}
        text = lines(*({"arch": {**ofa, "r": r}, "acc": a} for r, a in (([160], 0.6), (224, 0.7))), {"arch": ofa, "acc": 0.8})
        table = read_table(write(text))
        assert table.contexts["resolution"].tolist()[:2] == [160, 224] and math.isnan(table.contexts["resolution"][2])

    def test_refused_lines_keep_their_numbers_and_blank_ones_have_none(self, write: Any) -> None:
        text = lines(
            {"arch": ARCH, "acc": 0.7},
            "",
            "garbage",
            {"acc": 1},
            "[1, 2]",
            '{"arch": 1, "arch": 2}',
            {"arch": ARCH, "acc": "high"},
            {"arch": ARCH[:4], "acc": 0.7},
            {"arch": ARCH, "acc": 0.8, "resolution": 160},
            '{"arch": ' + "[" * 100_000,
            '{"arch": 1, "acc": ' + "9" * 5000 + "}",
            {"arch": ARCH, "acc": None},
        )
        table = read_table(write(text))
        assert table.num_read == 11 and table.source_rows.tolist() == [0, 7, 10]
        found = reasons(table)
        assert list(found) == [1, 2, 3, 4, 5, 6, 8, 9]
        assert "not JSON at column 1" in found[1] and "'garbage'" in found[1]
        assert found[2] == "got no arch, expected it beside acc."
        assert "expected an object with arch" in found[3]
        assert found[4] == "'arch': got it twice in one object, expected each key once."
        assert found[5] == "column acc: got 'high', expected a number."
        assert "expected 5 lists" in found[6]
        assert all(found[row].startswith("not readable JSON") for row in (8, 9))
        assert all(len(reason) <= 300 for reason in found.values())

    def test_what_build_writes_is_read_again(self, write: Any) -> None:
        built = {"arch": ARCH, "predicted": 0.8, "low": 0.7, "high": 0.9, "modules": [{"unit": "U1", "layers": UNIT}]}
        table = read_table(write(lines(built, {**built, "predicted": 0.7, "low": 0.6, "high": 0.8})), space=OFA)
        assert len(table) == 2 and list(table.metrics) == ["predicted", "low", "high"]
        assert {c.name: c.role for c in table.columns}["modules"] == "ignored"

    def test_macro_keys_and_flat_objects(self, write: Any) -> None:
        macro = read_table(write(lines({"arch": "02012100", "mean_acc": 89.0}, {"arch": "0201210", "mean_acc": 1})))
        assert (macro.spec.name, len(macro), list(reasons(macro))) == ("nas_bench_macro", 1, [1])
        choices = [{"b0_k": k, "b0_l": d} for k in (3, 5) for d in (1, 2)] + [{"b0_k": 5}, {"b0_k": "no", "b0_l": 1}]
        flat = read_table(write(lines(*({"arch": c, "acc": 0.1 * i} for i, c in enumerate(choices)))))
        assert flat.spec.name == "flat" and flat.codes.tolist() == [[0, ABSENT], [0, 0], [1, ABSENT], [1, 1]]
        assert flat.spec.tokens == ("k3", "k5")  # "no" among numbers is a slip, not a choice
        assert "column b0_l: got nothing" in reasons(flat)[4]
        assert "column b0_k: got no, expected one of 3, 5" in reasons(flat)[5]
        again = read_table(write(lines({"arch": {"b0_k": 3, "b0_l": 1, "x": 1}}, {"arch": choices[0]})), space=flat.spec)
        assert "got 'x', expected only b0_k and b0_l" in reasons(again)[0] and len(again) == 1

    def test_lists_of_a_measurement_are_numbered_repeats(self, write: Any) -> None:
        table = read_table(
            write(lines({"arch": "02012100", "acc": [1, 2]}, {"arch": "02012101", "acc": [1]}, {"arch": "02012102"}))
        )
        assert list(table.metrics) == ["acc_1", "acc_2"] and table.metrics.iloc[0].tolist() == [1, 2]
        assert math.isnan(table.metrics["acc_2"][1]) and table.metrics.iloc[2].isna().all()
        with pytest.raises(DataError, match="two columns that equations would call acc_1"):
            read_table(write(lines({"arch": "02012100", "acc": [1], "acc_1": 3}, {"arch": "02012101", "acc": [2], "acc_1": 4})))

    def test_a_metric_that_comes_and_goes_is_missing_in_between(self, write: Any) -> None:
        text = lines(*({"arch": "02012100", **m} for m in ({}, {"a": 1}, {"b": 2}, {"a": 3, "b": None}, {})))
        metrics = read_table(write(text)).metrics
        assert metrics["a"].isna().tolist() == [True, False, True, False, True] and metrics["a"][3] == 3
        assert metrics["b"].isna().tolist() == [True, True, False, True, True] and metrics["b"][2] == 2

    def test_ever_new_metrics_are_an_error_of_the_file(self, write: Any) -> None:
        with pytest.raises(DataError, match="more than 1000 fields"):
            read_table(write(lines(*({"arch": "02012100", f"m{i}": 1} for i in range(1001)))))

    def test_an_endless_line_is_one_refused_row(self, write: Any) -> None:
        text = lines({"arch": "02012100"}) + '{"arch": "' + "0" * (5 * 2**20) + '"}\n' + lines({"arch": "02012101"})
        table = read_table(write(text))
        assert table.source_rows.tolist() == [0, 2] and "more than 4 MiB" in reasons(table)[1]

    def test_rows_are_never_deduplicated(self, write: Any) -> None:
        table = read_table(write(lines(*[{"arch": "02012100"}] * 3, "?", {"arch": "02012100"})), space=MACRO)
        assert table.source_rows.tolist() == [0, 1, 2, 4] and table.num_read == 5 and table.num_duplicates == 3

    def test_with_a_space_a_file_of_refused_rows_is_no_error(self, write: Any) -> None:
        path = write(lines({"arch": "02012100"}, {"arch": "02012101"}))
        table = read_table(path, space=OFA)
        assert (len(table), table.codes.shape, table.num_read, list(reasons(table))) == (0, (0, 20), 2, [0, 1])
        with pytest.raises(DataError, match=r"got no design choice among b0 \(b0 has one value in every row\)"):
            read_table(write(lines({"arch": {"b0": [1]}})))


SAMPLE = (
    "stage1_e,stage1_k,stage1_l,stage2_e,stage2_k,stage2_l,test_loss,map_pct,map_pct_seed0,params_m\n"
    "1,3,1,6,5,2,0.37,56.5,56.1,0.06\n"
    "6,7,3,6,5,2,0.35,58.5,58.1,0.16\n"
    "1,3,1,6,5,1,0.39,55.5,55.1,0.05\n"
)


class TestFlatCsv:
    def test_blocks_are_choices_and_other_numbers_metrics(self, write: Any) -> None:
        table = read_table(write(SAMPLE))
        assert (table.format, table.spec.name) == ("csv_table", "flat")
        assert [u.label for u in table.spec.units] == ["stage1", "stage2"]
        assert [u.depths for u in table.spec.units] == [(1, 3), (1, 2)]
        assert list(table.metrics) == ["test_loss", "map_pct", "map_pct_seed0", "params_m"]
        tokens = table.spec.tokens
        assert [[tokens[c] if c >= 0 else "" for c in row] for row in table.codes.tolist()] == [
            ["e1_k3", "", "", "e6_k5", "e6_k5"],
            ["e6_k7", "e6_k7", "e6_k7", "e6_k5", "e6_k5"],
            ["e1_k3", "", "", "e6_k5", ""],
        ]
        assert table.num_duplicates == 0 and table.rejected == ()

    def test_without_blocks_texts_and_few_whole_numbers_are_choices(self, write: Any) -> None:
        rows = [f"net{i},{'relu' if i % 2 else 'swish'},{i % 3},{0.5 + i},{i % 3 / 2},{i % 4}" for i in range(60)]
        table = read_table(write("\n".join(["name,act,stride,value,ratio,seed", *rows])))
        assert [u.label for u in table.spec.units] == ["act", "stride", "ratio"] and all(u.loose for u in table.spec.units)
        assert list(table.metrics) == ["value"] and table.context_kinds == {"seed": "seed"}
        assert {c.name: c.role for c in table.columns}["name"] == "ignored"

    def test_a_prefix_in_the_header_decides(self, write: Any) -> None:
        table = read_table(write("b0_k,b0_e,design:width,design:loss,metric:depth\n3,1,0.5,mse,2\n5,6,1.0,ce,3\n"))
        assert [u.label for u in table.spec.units] == ["b0", "width", "loss"]
        assert list(table.metrics) == ["depth"]

    def test_refused_rows_say_column_and_cell(self, write: Any) -> None:
        rows = [
            "3,1,0.5",
            "5,2,high",
            "3,2",
            "3,1,0.5,9",
            "5,,0.5",
            "3,1,inf",
            "x,1,0.5",
            "5,2,n/a",
            "3,two,0.5",
            "5,1,1e999",
            "",
            "3,2,0.9",
        ]
        table = read_table(write("\n".join(["b0_k,b0_l,acc", *rows])))
        assert table.num_read == 11 and table.source_rows.tolist() == [0, 7, 10]
        assert math.isnan(table.metrics["acc"][1])
        assert table.spec.tokens == ("k3", "k5")
        assert reasons(table) == {
            1: "column acc: got 'high', expected a number.",
            2: "got 2 fields, expected 3 as in the header.",
            3: "got 4 fields, expected 3 as in the header.",
            4: "column b0_l: got nothing, expected a design choice.",
            5: "column acc: got infinity or a number beyond 1.8e308, expected a finite number.",
            6: "column b0_k: got x, expected one of 3, 5.",
            8: "column b0_l: got two, expected one of 1, 2.",
            9: "column acc: got infinity or a number beyond 1.8e308, expected a finite number.",
        }

    def test_a_given_space_needs_only_its_design_columns(self, write: Any) -> None:
        spec = read_table(write(SAMPLE)).spec
        header = "stage2_l,stage2_k,stage2_e,stage1_e,stage1_k,stage1_l\n"
        table = read_table(write(header + "2,5,6,6,7,3\n9,5,6,6,7,3\n2,5.0,6,1,3,1\n"), space=spec)
        assert table.source_rows.tolist() == [0, 2] and list(table.metrics) == []
        assert table.spec == spec and table.codes[0].tolist() == read_table(write(SAMPLE)).codes[1].tolist()
        assert reasons(table) == {1: "column stage2_l: got 9, expected one of 1, 2."}
        with pytest.raises(DataError, match=r"got no column stage1_l, expected every design column"):
            read_table(write(header.replace("stage1_l", "other") + "2,5,6,6,7,3\n"), space=spec)

    @pytest.mark.parametrize("delimiter", [";", "\t"])
    def test_other_delimiters_a_byte_order_mark_and_windows_line_ends(self, write: Any, delimiter: str) -> None:
        text = "\ufeff" + SAMPLE.replace(",", delimiter).replace("\n", "\r\n")
        assert read_table(write(text)).codes.tolist() == read_table(write(SAMPLE, "other")).codes.tolist()

    def test_metric_names_fit_equations_and_the_note_says_so(self, write: Any) -> None:
        table = read_table(write("b0_k,b0_e,val-acc (%),metric:lambda\n3,1,50,1\n5,6,60,2\n"))
        assert list(table.metrics) == ["val_acc", "lambda_"]
        assert table.notes == (
            "Column 'val-acc (%)' is called val_acc in equations.",
            "Column 'lambda' is called lambda_ in equations.",
        )

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("b0_k,b0_e,acc\n", "got a header and no row"),
            ("b0_k,b0_k,acc\n3,3,1\n5,5,2\n", "got column 'b0_k' twice"),
            ("acc,loss\n1,2\n", "got no design choice among acc and loss"),
            ("b0_k,b0_é,acc\n3,1,1\n".encode() + b"5,\xe9,2\n", "line 3: got byte 0xe9, expected UTF-8"),
            ("b0_k,b0_l,acc\n3,99,1\n5,1,2\n", "column b0_l: got 1, 99, expected numbers of layers"),
            ('b0_k,b0_e,acc\n3,"' + "1" * 200_000 + '",1\n', "not readable as CSV: field larger"),
        ],
    )
    def test_broken_files_are_one_clear_sentence(self, write: Any, content: Any, message: str) -> None:
        with pytest.raises(DataError, match=message):
            read_table(write(content))

    def test_many_distinct_cells_stay_bounded_and_repeat_over_chunks(self, write: Any) -> None:
        rows = (f"{3 + 2 * (i % 2)},{i % 3 + 1},{i * 0.001}" for i in range(45_001))
        table = read_table(write("b0_k,b0_l,acc\n" + "\n".join(rows)))
        assert len(table) == 45_001 and table.num_duplicates == 45_001 - 6
        assert table.codes[45_000].tolist() == table.codes[0].tolist() and table.metrics["acc"][45_000] == 45.0


class TestArchCsv:
    def test_keys_keep_their_leading_zeros(self, write: Any) -> None:
        table = read_table(write("row,arch,mean_acc,who\n0,02012100,89,me\n1,2012100,90,me\n2,11111221,x,me\n3,11111221,,me\n"))
        assert (table.format, table.source_rows.tolist()) == ("csv_table", [0, 3])
        assert list(reasons(table)) == [1, 2] and reasons(table)[2] == "column mean_acc: got 'x', expected a number."
        assert {c.name: c.role for c in table.columns}["who"] == "ignored"

    def test_json_cells_of_once_for_all(self, write: Any) -> None:
        cell = json.dumps(ARCH).replace('"', '""')
        table = read_table(write(f'arch,resolution,acc\n"{cell}",192,0.7\n"{cell}",192,0.8\n"{cell}",224,0.8\n'))
        assert table.contexts["resolution"].tolist() == [192, 192, 224] and not reasons(table)

    def test_one_column_is_read_in_the_runs_space(self, write: Any) -> None:
        table = read_table(write("arch\n02012100\n0201210\n11111221\n"), space=MACRO)
        assert table.source_rows.tolist() == [0, 2] and list(reasons(table)) == [1]


class TestAnyFile:
    def test_content_decides_not_the_name(self, write: Any) -> None:
        assert recognise(write(gzip.compress(SAMPLE.encode(), mtime=0), "data.json")) == "csv_table"
        assert recognise(write(gzip.compress(b'{"02012100": {}}', mtime=0), "data.json.gz")) == "json_table"
        assert recognise(write('\ufeff{"arch": "02012100"}\n', "data.csv")) == "json_lines"
        assert read_table(write(gzip.compress(SAMPLE.encode(), mtime=0), "data.csv.gz")).num_read == 3

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", "got an empty file"),
            (b" \n\n", "got an empty file"),
            (gzip.compress(b"", mtime=0), "got an empty file"),
            (gzip.compress(SAMPLE.encode() * 50, mtime=0)[:60], "ends too early"),
            (b"\x1f\x8b\x08garbage!", "damaged|ends too early"),
            (b"\x89PNG\r\n\0\0\0", "got a PNG image"),
            (b"just a sentence", "no table of architectures that is known"),
            (b"1,2,3\n4,5,6\n", "holds only numbers, expected the names of columns"),
            (b"{}", "an object without a key"),
            (b"a,b\r1,2\r", "the first line is no header"),
        ],
    )
    def test_what_is_no_table_is_said(self, write: Any, content: bytes, message: str) -> None:
        with pytest.raises(DataError, match=message):
            read_table(write(content))

    def test_missing_files_folders_and_formats(self, tmp_path: Path, write: Any) -> None:
        with pytest.raises(DataError, match="got no such file"):
            read_table(tmp_path / "none")
        with pytest.raises(DataError, match="got a folder"):
            read_table(tmp_path)
        with pytest.raises(ConfigError, match="got 'excel', expected one of"):
            read_table(write(SAMPLE), format="excel")

    def test_a_file_of_another_space_is_refused(self, write: Any) -> None:
        with pytest.raises(DataError, match=f"expected .*{MACRO.title}"):
            read_table(write(SAMPLE), space=MACRO)
        table = read_table(write('{"02012100": {}}'), space=OFA)
        assert len(table) == 0 and "expected 5 lists of layer tokens" in reasons(table)[0]


@pytest.mark.parametrize(
    ("field", "name"),
    [("acc", "acc"), (" top-1 ", "top_1"), ("1st", "m_1st"), ("%", "metric"), ("class", "class_"), ("é", "é"), ("ﬁd", "fid")],
)
def test_metric_names(field: str, name: str) -> None:
    assert metric_name(field) == name and name.isidentifier()


class TestAutoBuildCache:
    STAGES = [["mbconv2_e3_k3", "mbconv2_e6_k7"]] * 5 + [["mbconv2_e4_k5"]]

    def write(self, path: Path, items: Any) -> Path:
        path.write_text(items if isinstance(items, str) else json.dumps(items))
        return path

    def test_rows_resolution_and_refusals(self, tmp_path: Path) -> None:
        rows = [
            {"original config": [224, self.STAGES], "acc": 0.75, "latency_gpu": 5.1, "name": "a"},
            {"original config": [192, self.STAGES], "acc": 0.74, "latency_gpu": 4.1, "name": "b"},
            {"original config": [224, self.STAGES[:5]], "acc": 0.74, "name": "c"},
            {"acc": 0.7},
            7,
            {"original config": [224, self.STAGES], "acc": "high", "name": "d"},
            {"original config": [224, self.STAGES], "acc": 0.76, "latency_gpu": None, "name": "e"},
        ]
        table = read_table(self.write(tmp_path / "cache", rows))
        assert (table.format, table.spec.name) == ("autobuild_cache", "ofa_proxyless")
        assert table.contexts["resolution"].tolist() == [224, 192, 224]
        assert table.source_rows.tolist() == [0, 1, 6] and table.metrics["acc"].tolist() == [0.75, 0.74, 0.76]
        assert math.isnan(table.metrics["latency_gpu"][2]) and list(table.metrics) == ["acc", "latency_gpu"]
        reasons = {r.row: r.reason for r in table.rejected}
        assert "expected 6 lists" in reasons[2]
        assert (
            "expected an object with original config" in reasons[3] and "got 7" in reasons[4] and "acc: got 'high'" in reasons[5]
        )
        assert {c.name: c.role for c in table.columns}["name"] == "ignored"

    def test_mobilenet_v3_is_told_from_its_layers(self, tmp_path: Path) -> None:
        arch = [["mbconv3_e3_k3", "mbconv3_e6_k7"]] * 5
        assert read_table(self.write(tmp_path / "c", [{"original config": [224, arch], "acc": 0.7}])).spec.name == "ofa_mbv3"

    @pytest.mark.parametrize("end", ["", ",", ", ]", "] x", "}", ' {"a"'])
    def test_damage_is_said(self, tmp_path: Path, end: str) -> None:
        item = json.dumps({"original config": [224, self.STAGES], "acc": 0.75})
        with pytest.raises(DataError, match=r"not JSON|expected one JSON array"):
            read_table(self.write(tmp_path / "cache", f"[{item}{end}"))
        assert len(read_table(self.write(tmp_path / "cache", f" [ {item} ]\n"))) == 1
