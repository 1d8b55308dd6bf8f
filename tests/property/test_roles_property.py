"""Tables made by the rules of roles are read back as they were made, whatever their columns' order and number."""

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autobuild_core.datasets import read_table

ROWS = st.integers(24, 60)
Cells = list[Any]
Maker = Callable[[np.random.Generator, int], Cells]


def repeated(values: list[Any]) -> Maker:
    """Every value twice or more, in random order."""

    def make(rng: np.random.Generator, num: int) -> Cells:
        cells = [values[i % len(values)] for i in range(num)]
        return [cells[i] for i in rng.permutation(num)]

    return make


def measured(rng: np.random.Generator, num: int) -> Cells:
    return np.round(rng.normal(0.7, 0.1, num), 6).tolist()


def percents(rng: np.random.Generator, num: int) -> Cells:
    return [f"{value:.3f}%" for value in rng.uniform(50, 99, num)]


def with_errors(rng: np.random.Generator, num: int) -> Cells:
    return [f"{value:.3f} ± 0.2" for value in rng.uniform(50, 99, num)]


def grouped(rng: np.random.Generator, num: int) -> Cells:
    return [f"{value:,.2f}" for value in rng.uniform(900, 99_000, num)]


def running(start: int) -> Maker:
    return lambda rng, num: list(range(start, start + num))


def unique_texts(rng: np.random.Generator, num: int) -> Cells:
    return [f"run of {i * 7919 % 9973}" for i in range(num)]


def whole(rng: np.random.Generator, num: int) -> Cells:
    """Whole numbers that hardly repeat and do not run."""
    return (10 + 3 * rng.permutation(num)).tolist()


def lists(rng: np.random.Generator, num: int) -> Cells:
    return [":".join(map(str, rng.choice([8, 16, 24, 32], 5))) for _ in range(num)]


def json_lists(rng: np.random.Generator, num: int) -> Cells:
    return [str(rng.choice([8, 16, 32], int(rng.integers(1, 4))).tolist()) for _ in range(num)]


KINDS: dict[str, list[tuple[str, Maker]]] = {
    "choice": [
        ("kernel", repeated([3, 5, 7])),
        ("activation", repeated(["relu", "gelu", "none"])),
        ("use_se", repeated([True, False])),
        ("drop_path_prob", repeated([0.0, 0.1, 0.2])),
        ("init_std", repeated([0.01, 0.02])),
        ("time_steps", repeated([10, 20])),
        ("loss_fn", repeated(["mse", "huber"])),
        ("design:fold", repeated([1, 2])),
        ("filters", whole),
        ("widths", lists),
        ("hidden", json_lists),
    ],
    "context": [
        ("lr", measured),
        ("weight_decay", measured),
        ("seed", repeated([0, 1, 2])),
        ("dataset", repeated(["cora", "pubmed"])),
        ("epochs", repeated([10, 50])),
        ("resolution", repeated([160, 224])),
        ("context:site", repeated(["a", "b"])),
    ],
    "metric": [
        ("val_acc", measured),
        ("test_loss", measured),
        ("latency_ms", measured),
        ("flops", whole),
        ("margin", measured),
        ("acc", percents),
        ("score", with_errors),
        ("params", grouped),
        ("metric:stride", repeated([1, 2])),
    ],
    "ignored": [
        ("id", running(100)),
        ("checkpoint_path", unique_texts),
        ("place", running(0)),
        ("entry", running(1)),
        ("memo", unique_texts),
        ("constant", repeated([7])),
        ("nothing", repeated([""])),
        ("start_date", repeated(["2026-01-01", "2026-01-02"])),
        ("rank", repeated([1, 2, 3])),
        ("ignore:extra", repeated([1, 2])),
    ],
}
EVERY = [(role, name, maker) for role, columns in KINDS.items() for name, maker in columns]


def written(header: list[str], columns: list[Cells], delimiter: str) -> str:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerow(header)
    writer.writerows(zip(*columns, strict=True))
    return out.getvalue()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), num=ROWS, seed=st.integers(0, 10**6), delimiter=st.sampled_from(",;\t"))
def test_roles_are_read_back(tmp_path: Path, data: st.DataObject, num: int, seed: int, delimiter: str) -> None:
    extra = data.draw(st.lists(st.sampled_from(EVERY), unique_by=lambda column: column[1], max_size=12))
    first = [column for column in EVERY if column[1] in ("kernel", "val_acc") and column not in extra]
    columns = data.draw(st.permutations([*first, *extra]))
    rng = np.random.default_rng(seed)
    file = tmp_path / "made.csv"
    file.write_text(written([name for _, name, _ in columns], [make(rng, num) for _, _, make in columns], delimiter))
    table = read_table(file)
    wanted = {name.split(":")[-1]: role for role, name, _ in columns}
    assert {column.name: column.role for column in table.columns} == wanted
    assert len(table) == num and not table.rejected
    assert all(column.why for column in table.columns)


@pytest.mark.parametrize(("role", "name", "maker"), EVERY, ids=[name for _, name, _ in EVERY])
def test_each_kind_alone_beside_a_choice_and_a_metric(tmp_path: Path, role: str, name: str, maker: Maker) -> None:
    rng = np.random.default_rng(3)
    beside = [(n, m) for n, m in (("kernel", repeated([3, 5])), ("val_acc", measured)) if n != name]
    file = tmp_path / "made.csv"
    file.write_text(written([n for n, _ in beside] + [name], [m(rng, 30) for _, m in beside] + [maker(rng, 30)], ","))
    found = {column.name: column for column in read_table(file).columns}[name.split(":")[-1]]
    assert found.role == role, found.why
