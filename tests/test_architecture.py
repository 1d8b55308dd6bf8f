"""The house rules that a reader cannot see in one file: that the import contracts find what they are for, what processes load.

The order of the rooms stands in pyproject.toml; `make lint` keeps it. Here a fault is planted for each contract, and what only
running shows is run: in processes of their own, as the neighbours of a test have torch loaded.
"""

import ast
import json
import re
import shutil
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import pytest

import autobuild_core
from autobuild_core.store.workspace import Workspace

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "autobuild_core"
HEAVY = ("torch", "torch_geometric", "sklearn", "scipy")
# Modules that load HEAVY when they are imported; all others must not.
LOAD_HEAVY = (
    "autospace.supernet",
    "autospace.training",
    "evaluators._autospace_network",
    "evaluators._cell_network",
    "evaluators._encoder_decoder",
    "evaluators._frechet",
    "evaluators._mbconv",
    "evaluators._pairs",
    "evaluators._scenes",
    "evaluators._training",
    "evaluators._unet",
    "jobs.kinds.loop.closing",
    "jobs.kinds.train.metrics",
    "jobs.kinds.train.pipeline",
    "predictor.gaussian_process",
    "predictor.loss",
    "predictor.fitting",
    "predictor.model",
    "predictor.published",
    "predictor.stopped",
    "predictor.target_scale",
    "predictor.training",
    "scorers.",
    "scoring.bootstrap",
    "scoring.effect_bootstrap",
    "trust.permutation",
    "trust.report",
    "trust.statistics",
)
PAGES_MAY = ("streamlit", "starlette", "pandas", "numpy", "plotly", "networkx", "pyvis", "simpleeval", PACKAGE, "pages")


def modules(root: Path, folder: str) -> dict[str, Path]:
    """Dotted name -> file of all Python files below a folder of the tree."""
    files = sorted((root / folder).rglob("*.py"))
    return {".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path for path in files}


def foreign_to_pages(root: Path) -> list[str]:
    """Packages that app.py and pages/ import and that are neither the standard library's nor in PAGES_MAY."""
    wrong = []
    for dotted, path in {**modules(root, "pages"), "app": root / "app.py"}.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            tops = {name.split(".")[0] for name in names}
            wrong += [f"{dotted} imports {top}" for top in tops if top not in sys.stdlib_module_names and top not in PAGES_MAY]
    return wrong


def beside_render(root: Path) -> list[str]:
    """What pages do outside of functions but to enter, to draw their heading and to render: it could be told by no argument."""
    wrong = []
    for path in sorted((root / "pages").glob("[a-z]*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
        calls = [node.value for node in tree.body if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)]
        called = [ast.unparse(call.func).split(".")[-1] for call in calls]
        others = [node for node in tree.body if isinstance(node, ast.If | ast.For | ast.With | ast.Try | ast.While)]
        steps = [name for name in called if name != "title"]
        wrong += [] if "render" in functions and steps == ["enter", "render"] and not others else [path.name]
    return wrong


def behind_streamlit(root: Path) -> list[str]:
    """Where app.py and pages/ go behind `import streamlit as st` or another object's names; pages/_streamlit.py may."""
    wrong = []
    for dotted, path in {**modules(root, "pages"), "app": root / "app.py"}.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if dotted != "pages._streamlit" else ():
            names = [alias.name for alias in node.names if alias.asname != "st"] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            wrong += [f"{dotted} imports from {name}" for name in names if name.split(".")[0] == "streamlit"]
            if isinstance(node, ast.Attribute) and re.match(r"_[a-z]", node.attr):
                owner = node.value.id if isinstance(node.value, ast.Name) else ""
                wrong += [] if owner in ("self", "cls") else [f"{dotted} touches .{node.attr}"]
    return wrong


def loaded_by(root: Path, code: str, *arguments: str, seconds: float = 120) -> set[str]:
    """Runs code in a fresh process in the tree; the packages of HEAVY and streamlit that it has loaded at its end."""
    watch = f"\nimport json, sys\nprint(json.dumps([m for m in {(*HEAVY, 'streamlit')!r} if m in sys.modules]))"
    command = [sys.executable, "-c", textwrap.dedent(code) + watch, *arguments]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=seconds, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return set(json.loads(done.stdout.splitlines()[-1]))


def heavy_when_imported(root: Path) -> set[str]:
    """What importing every module that is not in LOAD_HEAVY loads of HEAVY and streamlit."""
    names = [name.removeprefix(f"{PACKAGE}.") for name in modules(root, PACKAGE)]
    light = [n for n in names if n not in (PACKAGE, "__main__") and not n.startswith(LOAD_HEAVY)]
    dotted = [PACKAGE, *(f"{PACKAGE}.{name}" for name in light)]
    return loaded_by(root, "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)", *dotted)


# Which lists of modules have one that cannot be imported where the heavy packages cannot.
WITHOUT_HEAVY = """
import importlib, json, sys
heavy, lists = map(json.loads, sys.argv[1:])
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in heavy:
            raise ModuleNotFoundError(name=name)
sys.meta_path.insert(0, Missing())
def is_heavy(name):
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        assert error.name.partition(".")[0] in heavy, error
        return True
    return False
print(json.dumps([any([is_heavy(name) for name in names]) for names in lists]))
"""
APP = """
import os, sys
from streamlit.testing.v1 import AppTest
app = AppTest.from_file("app.py", default_timeout=60).run()
assert not app.exception, app.exception
for page in sys.argv[1:]:
    app.switch_page(page).run()
    assert not app.exception, (page, app.exception)
"""
METRICS = """
import numpy as np
from autobuild_core.predictor.metrics import Bound
from autobuild_core.scoring.finished_run import FinishedRun
from autobuild_core.search.prices import prices
from autobuild_core.store.run_folder import RunFolder
run = FinishedRun.load(RunFolder("sample_data/run"))
metrics, codes = run.metrics, run.table.codes[:20]
bound = Bound("latency_cpu_ms", float(run.table.metrics["latency_cpu_ms"].median()))
for name, model in metrics.models.items():
    assert np.isfinite(model.interval(codes)).all() and np.isfinite(model.quantile(codes, 0.9)).all(), name
assert 0 < metrics.within(codes, [bound, Bound("test_loss", 0.35)]).mean() < 1
needed = metrics.model("latency_cpu_ms").quantile(codes, 0.9)
steps = prices(run.known.straight, codes, needed, bound, [float(needed.max()), float(needed.max()) + 1])
assert np.isfinite(steps.curve()["best"]).all()
"""


def app_loads(root: Path) -> set[str]:
    """What the app loads of HEAVY when each of its pages has been opened."""
    pages = [f"pages/{path.name}" for path in sorted((root / "pages").glob("[a-z]*.py"))]
    return loaded_by(root, APP, *pages) - {"streamlit"}


def broken_contracts(root: Path) -> list[str]:
    """Names of the import contracts that do not hold in a tree."""
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache", "--no-logo"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, env={"COLUMNS": "200", "PATH": ""})
    found = re.findall(r"^(.*) (KEPT|BROKEN)", done.stdout, re.MULTILINE)
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    assert len(found) == len(contracts), done.stdout + done.stderr
    return [name for name, state in found if state == "BROKEN"]


def test_pages_import_what_they_may() -> None:
    assert foreign_to_pages(ROOT) == []


def test_streamlit_is_used_as_it_promises_but_for_one_file() -> None:
    assert behind_streamlit(ROOT) == []


def test_a_page_is_a_function_of_what_it_shows() -> None:
    assert beside_render(ROOT) == []


def test_every_part_of_the_pages_is_in_the_table_of_the_documentation() -> None:
    said = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert [path.stem for path in (ROOT / "pages").glob("_[a-z]*.py") if f"`{path.stem}`" not in said] == []


class TestRunning:
    def test_light_modules_load_nothing_heavy(self) -> None:
        assert heavy_when_imported(ROOT) == set()

    def test_what_is_listed_as_heavy_is(self) -> None:
        listed = [name.rstrip(".") for name in LOAD_HEAVY]
        inside = [[m for m in modules(ROOT, PACKAGE) if f"{m}.".startswith(f"{PACKAGE}.{name}.")] for name in listed]
        command = [sys.executable, "-c", WITHOUT_HEAVY, json.dumps(HEAVY), json.dumps(inside)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        assert dict(zip(listed, json.loads(done.stdout), strict=True)) == dict.fromkeys(listed, True)

    def test_app_process_loads_nothing_heavy(self) -> None:
        assert app_loads(ROOT) == set()

    def test_app_process_with_a_finished_run_loads_nothing_heavy(self, workspace: Workspace) -> None:
        assert "sample" in workspace.runs()["id"].tolist()
        assert app_loads(ROOT) == set()

    def test_metrics_of_a_finished_run_are_read_and_asked_with_numpy_alone(self) -> None:
        assert loaded_by(ROOT, METRICS) == set()

    def test_package_is_light(self) -> None:
        code = "import sys; bare = set(sys.modules); import autobuild_core; print(len(set(sys.modules) - bare))"
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
        assert int(done.stdout) < 50
        code = "import sys, autobuild_core.cli; sys.exit('plotly' in sys.modules)"  # figures are for who looks
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
        assert loaded_by(ROOT, "import autobuild_core") == set()


def test_public_names_are_pinned() -> None:
    """What is promised to notebooks; all else is private and may change."""
    assert autobuild_core.__all__ == [
        *("Run", "append", "close_loop", "evaluate", "evolve", "figures", "read", "reduce", "run_rounds", "search", "train"),
    ]
    assert all(hasattr(autobuild_core, name) for name in autobuild_core.__all__)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the sources to plant faults in."""
    for name in (PACKAGE, "pages", ".streamlit"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("app.py", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


CONTRACTS = [
    ("A room imports", "architectures/records.py", "from autobuild_core.store.workspace import Workspace"),
    ("A room imports", "spaces/flat.py", "def f():\n    from ..jobs.executor import reap"),
    ("A room imports", "utils.py", "X = 1"),
    ("The core never imports", "spaces/flat.py", "def f():\n    import streamlit as st"),
    ("What the app process", "targets/equation.py", "def f():\n    from scipy.stats import rankdata"),
    ("What the app process", "jobs/executor.py", "def f():\n    from autobuild_core.jobs.kinds.train import pipeline"),
    ("A room imports", "api.py", "def f():\n    from autobuild_core.testing import examples"),
    ("The pages never import", "../pages/_text.py", "def f():\n    from autobuild_core.testing import examples"),
    ("No scorer imports", "scorers/forest.py", "from autobuild_core.scorers import ridge"),
    ("No searcher imports", "search/searchers/random.py", "from autobuild_core.search.searchers import regularised_evolution"),
    ("No evaluator imports", "evaluators/cost.py", "def f():\n    from autobuild_core.evaluators import latency"),
]


@pytest.mark.parametrize(("contract", "file", "fault"), CONTRACTS)
def test_planted_fault_breaks_its_contract(tree: Path, contract: str, file: str, fault: str) -> None:
    path = tree / PACKAGE / file
    path.write_text((path.read_text() if path.exists() else "") + f"\n{fault}\n")
    assert [name[: len(contract)] for name in broken_contracts(tree)] == [contract]


def test_planted_circle_of_pages_breaks_its_contract(tree: Path) -> None:
    path = tree / "pages" / "_text.py"
    path.write_text(path.read_text() + "\ndef f():\n    from pages import _bar\n")
    assert [name[:18] for name in broken_contracts(tree)] == ["Parts of the pages"]


def test_planted_fault_in_the_imports_of_pages_is_found(tree: Path) -> None:
    (tree / "pages" / "planted.py").write_text("def f():\n    import requests\n")
    assert foreign_to_pages(tree) == ["pages.planted imports requests"]


FAULTS = [
    ("from streamlit import config", "imports from streamlit"),
    ("from streamlit.runtime import get_instance", "imports from streamlit.runtime"),
    ("import streamlit.runtime.scriptrunner as runner", "imports from streamlit.runtime.scriptrunner"),
    ("import streamlit as st\nst.session_state._state", "touches ._state"),
]


def test_planted_work_beside_render_is_found(tree: Path) -> None:
    page = tree / "pages" / "map.py"
    page.write_text(page.read_text() + "\nfor one in (1, 2):\n    print(one)\n")
    assert beside_render(tree) == ["map.py"]


@pytest.mark.parametrize(("fault", "said"), FAULTS)
def test_planted_step_behind_streamlit_is_found(tree: Path, fault: str, said: str) -> None:
    (tree / "pages" / "planted.py").write_text(f"{fault}\n")
    assert behind_streamlit(tree) == [f"pages.planted {said}"]


@pytest.mark.parametrize("file", ["architectures/records.py", "__init__.py"])
def test_planted_load_is_found(tree: Path, file: str) -> None:
    path = tree / PACKAGE / file
    path.write_text(path.read_text() + "\nimport importlib\nimportlib.import_module('sci' + 'py')\n")
    assert heavy_when_imported(tree) == {"scipy"}


def test_planted_fault_in_the_running_app_is_found(tree: Path) -> None:
    page = sorted((tree / "pages").glob("[a-z]*.py"))[-1]  # at its top: a page may stop early
    page.write_text("import importlib\nimportlib.import_module('sci' + 'py')\n" + page.read_text())
    assert app_loads(tree) == {"scipy"}


def test_units_are_put_behind_numbers_in_one_place() -> None:
    """`numbers.with_unit` leaves nothing where the unit is empty; "**45.41 **" is no bold text."""
    files = [*(ROOT / PACKAGE).rglob("*.py"), *(ROOT / "pages").rglob("*.py")]
    pattern = re.compile(r"\} \{[^{}]*\bunit\}")
    assert [(f.name, len(pattern.findall(f.read_text()))) for f in files if pattern.search(f.read_text())] == [("numbers.py", 1)]
