"""The house rules that a reader cannot see in one file: who imports whom, and what the app process loads.

Each check is a function of a source tree, so that a fault can be planted in a copy of it: the last tests here do so.
"""

import ast
import json
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from autobuild_core.store.workspace import Workspace

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "autobuild_core"

# Each may import only what stands before it (and, in a folder, its own files). Storage stands low: it knows columns and JSON
# only. `jobs` stands below `pipeline`: it starts the worker by its name on a command line and never imports it.
LOW = ("version", "errors", "memory", "registry", "records", "targets", "tables", "runs", "storage", "pins")
SPACE_AND_DATA = ("ranges", "spaces", "datasets", "reading", "mapping", "graphs", "features", "scaling", "contexts")
LEARNING = (
    "structure",
    "costs",
    "noise",
    "population",
    "kernel",
    "network",
    "readout",
    "stopped",
    "teaching",
    "model",
    "loss",
    "training",
    "published",
    "curve",
    "inference",
    "stability",
    "space_map",
    "scorers",
    "overlap",
    "building",
    "comparing",
    "suggest",
    "interactions",
    "trust",
    "holding",
    "trust_report",
    "searchers",
    "evaluators",
    "autospace",
)
RUNNING = ("warm", "jobs", "pipeline", "worker", "supervisor")
SHOWING = ("figures", "claims", "report", "notebook", "verifying", "benchmark", "__init__", "cli", "__main__")
ORDER = LOW + SPACE_AND_DATA + LEARNING + RUNNING + SHOWING
HEAVY = ("torch", "torch_geometric", "sklearn", "scipy")
# May import HEAVY, at its top or when work starts. All others must not load any of it by being imported.
MAY_BE_HEAVY = (
    "model",
    "loss",
    "training",
    "published",
    "readout",
    "stopped",
    "population",
    "teaching",
    "stability",
    "holding",
    "scorers",
    "interactions",
    "trust",
    "trust_report",
    "evaluators",
    "autospace",
    "pipeline",
    "worker",
    "supervisor",
)
# These call heavy rows when work starts; importing them loads nothing.
CALLS_HEAVY_LATE = ("notebook", "verifying", "benchmark", "__init__", "cli", "__main__")
PAGES_MAY = ("streamlit", "starlette", "pandas", "numpy", "plotly", "networkx", "pyvis", "simpleeval", PACKAGE, "pages")


def imports(path: Path, module: str) -> Iterator[tuple[str, bool]]:
    """(dotted name, at the top of the file) of everything a file imports, inside functions too.

    `from a import b` gives "a.b": b may be a module. Blocks under `if TYPE_CHECKING` load nothing and are left out.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    late = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for inner in ast.walk(node)
    }
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package.rsplit(".", node.level - 1)[0] if node.level else ""
            source = ".".join(filter(None, [base, node.module]))
            names = [f"{source}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("importlib.import_module", "__import__"):
            names = [node.args[0].value] if isinstance(node.args[0], ast.Constant) else []
        else:
            continue
        yield from ((name, id(node) not in late) for name in names)


def modules(root: Path, folder: str) -> dict[str, Path]:
    """Dotted name -> file of all Python files below a folder of the tree."""
    found = {}
    for path in sorted((root / folder).rglob("*.py")):
        dotted = ".".join(path.relative_to(root).with_suffix("").parts)
        found[dotted.removesuffix(".__init__")] = path
    return found


def row(dotted: str) -> str:
    """The row of ORDER that a module of the core belongs to."""
    parts = dotted.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def core_target(root: Path, name: str) -> str | None:
    """The row that an import of the core means; None for other packages and for names in the package itself."""
    parts = name.split(".")
    if parts[0] != PACKAGE:
        return None
    if len(parts) == 1:
        return "__init__"
    folder = root / PACKAGE / parts[1]
    return parts[1] if parts[1] in ORDER or folder.is_dir() or folder.with_suffix(".py").exists() else "__init__"


def unlisted(root: Path) -> list[str]:
    """Files of the core that ORDER does not place."""
    return [dotted for dotted in modules(root, PACKAGE) if row(dotted) not in ORDER]


def upward(root: Path) -> list[str]:
    """Imports of the core that go against ORDER."""
    wrong = []
    for dotted, path in modules(root, PACKAGE).items():
        own = row(dotted)
        for name, _ in imports(path, dotted):
            target = core_target(root, name)
            if target is None or target == own:
                continue
            if target not in ORDER or own not in ORDER or ORDER.index(target) > ORDER.index(own):
                wrong.append(f"{dotted} imports {name}")
    return wrong


def streamlit_in_core(root: Path) -> list[str]:
    """Files of the core that import streamlit."""
    return [d for d, path in modules(root, PACKAGE).items() if any(n.split(".")[0] == "streamlit" for n, _ in imports(path, d))]


def heavy_rows(root: Path) -> set[str]:
    """Rows that import HEAVY packages or, at any place of a file, a row that does."""
    graph: dict[str, set[str]] = {}
    heavy = set()
    for dotted, path in modules(root, PACKAGE).items():
        for name, _ in imports(path, dotted):
            if name.split(".")[0] in HEAVY:
                heavy.add(row(dotted))
            graph.setdefault(row(dotted), set()).add(core_target(root, name) or "")
    grown = True
    while grown:
        more = {own for own, targets in graph.items() if targets & heavy} - heavy
        heavy |= more
        grown = bool(more)
    return heavy


def wrongly_heavy(root: Path) -> list[str]:
    """Rows that are heavy and must not be, and rows marked heavy that are there and are not."""
    heavy, there = heavy_rows(root), {row(d) for d in modules(root, PACKAGE)}
    wrong = [f"{name} reaches {', '.join(HEAVY)}" for name in heavy - set(MAY_BE_HEAVY) - set(CALLS_HEAVY_LATE)]
    marked = there & set(MAY_BE_HEAVY)
    empty = {d for d in marked if (root / PACKAGE / d).is_dir() and len(list((root / PACKAGE / d).glob("[a-z]*.py"))) == 0}
    return wrong + [f"{name} is marked heavy and is not" for name in marked - heavy - empty]


def page_files(root: Path) -> dict[str, Path]:
    """app.py and the files of pages/."""
    files = modules(root, "pages")
    if (root / "app.py").exists():
        files["app"] = root / "app.py"
    return files


def pages_import_too_much(root: Path) -> list[str]:
    """Imports of app.py and pages/ that are not the standard library's and not in PAGES_MAY, or mean a heavy row."""
    wrong = []
    for dotted, path in page_files(root).items():
        for name, _ in imports(path, dotted):
            top, target = name.split(".")[0], core_target(root, name)
            if (top not in sys.stdlib_module_names and top not in PAGES_MAY) or target in MAY_BE_HEAVY:
                wrong.append(f"{dotted} imports {name}")
    return wrong


def loaded_by(root: Path, code: str, *arguments: str, seconds: float = 120) -> set[str]:
    """Runs code in a fresh process in the tree; the packages of HEAVY and streamlit that it has loaded at its end."""
    watch = f"\nimport json, sys\nprint(json.dumps([m for m in {(*HEAVY, 'streamlit')!r} if m in sys.modules]))"
    command = [sys.executable, "-c", textwrap.dedent(code) + watch, *arguments]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=seconds, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return set(json.loads(done.stdout.splitlines()[-1]))


def light_modules(root: Path) -> list[str]:
    """Dotted names of what must load nothing heavy: light rows, and what calls heavy ones late (not `__main__`, which runs)."""
    heavy = {*MAY_BE_HEAVY} - {"worker", "supervisor"}
    return [d for d in modules(root, PACKAGE) if row(d) not in heavy and row(d) != "__main__"]


def heavy_when_imported(root: Path) -> set[str]:
    """What importing every light module, and every module that pages import, loads of HEAVY and streamlit."""
    wanted = set(light_modules(root))
    for dotted, path in page_files(root).items():
        for name, _ in imports(path, dotted):
            target = core_target(root, name)
            if target not in (None, "__init__"):
                wanted.add(f"{PACKAGE}.{target}")
    return loaded_by(root, "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)", *sorted(wanted))


APP = """
import os, sys
from streamlit.testing.v1 import AppTest
app = AppTest.from_file("app.py", default_timeout=60).run()
assert not app.exception, app.exception
for page in sys.argv[1:]:
    app.switch_page(page).run()
    assert not app.exception, (page, app.exception)
"""


def app_loads(root: Path) -> set[str]:
    """What the app loads of HEAVY when each of its pages has been opened."""
    pages = [f"pages/{path.name}" for path in sorted((root / "pages").glob("[a-z]*.py"))]
    return loaded_by(root, APP, *pages) - {"streamlit"}


class TestOrder:
    def test_every_file_has_its_row(self) -> None:
        assert unlisted(ROOT) == []

    def test_imports_go_downward(self) -> None:
        assert upward(ROOT) == []

    def test_core_never_imports_streamlit(self) -> None:
        assert streamlit_in_core(ROOT) == []

    def test_heavy_marks_are_right(self) -> None:
        assert wrongly_heavy(ROOT) == []

    def test_pages_import_what_they_may(self) -> None:
        assert pages_import_too_much(ROOT) == []


class TestRunning:
    def test_light_modules_load_nothing_heavy(self) -> None:
        assert heavy_when_imported(ROOT) == set()

    def test_app_process_loads_nothing_heavy(self) -> None:
        assert app_loads(ROOT) == set()

    def test_app_process_with_a_finished_run_loads_nothing_heavy(self, workspace: Workspace) -> None:
        assert "sample" in workspace.runs()["id"].tolist()
        assert app_loads(ROOT) == set()

    def test_package_is_light(self) -> None:
        code = "import sys; bare = set(sys.modules); import autobuild_core; print(len(set(sys.modules) - bare))"
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
        assert int(done.stdout) < 50
        code = "import sys, autobuild_core.cli; sys.exit('plotly' in sys.modules)"  # figures are for who looks
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
        assert loaded_by(ROOT, "import autobuild_core") == set()

    def test_every_row_that_is_marked_heavy_exists_or_is_planned(self) -> None:
        assert set(MAY_BE_HEAVY) | set(CALLS_HEAVY_LATE) <= set(ORDER)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the sources to plant faults in, with a page when there is none yet."""
    for name in (PACKAGE, "pages", ".streamlit"):
        if (ROOT / name).exists():
            shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    if (ROOT / "app.py").exists():
        shutil.copy(ROOT / "app.py", tmp_path)
    return tmp_path


PLANTED: list[tuple[Callable[[Path], object], str, str]] = [
    (unlisted, f"{PACKAGE}/utils.py", "X = 1"),
    (upward, f"{PACKAGE}/records.py", "from autobuild_core.store.workspace import Workspace"),
    (upward, f"{PACKAGE}/spaces/__init__.py", "def f():\n    from autobuild_core import scaling"),
    (upward, f"{PACKAGE}/spaces/flat.py", "from ..jobs import poll"),
    (upward, f"{PACKAGE}/runs.py", "import importlib\nimportlib.import_module('autobuild_core.jobs.worker')"),
    (streamlit_in_core, f"{PACKAGE}/spaces/flat.py", "def f():\n    import streamlit as st"),
    (wrongly_heavy, f"{PACKAGE}/targets.py", "def f():\n    from scipy.stats import rankdata"),
    (wrongly_heavy, f"{PACKAGE}/jobs.py", "def f():\n    from autobuild_core import worker, model"),
    (pages_import_too_much, "pages/planted.py", "import torch"),
    (pages_import_too_much, "pages/planted.py", "import requests"),
    (pages_import_too_much, "pages/planted.py", "from autobuild_core import training"),
    (heavy_when_imported, f"{PACKAGE}/records.py", "import importlib\nimportlib.import_module('sci' + 'py')"),
    (heavy_when_imported, f"{PACKAGE}/__init__.py", "import scipy.stats"),
]


@pytest.mark.parametrize(("check", "file", "fault"), PLANTED)
def test_planted_fault_is_found(tree: Path, check: Callable[[Path], object], file: str, fault: str) -> None:
    path = tree / file
    path.parent.mkdir(exist_ok=True)
    if fault.startswith("from autobuild_core import training"):
        (tree / PACKAGE / "training.py").touch()
    before = check(tree)
    path.write_text((path.read_text() if path.exists() else "") + "\n" + fault + "\n")
    assert check(tree) != before


@pytest.mark.skipif(not (ROOT / "app.py").exists(), reason="no app.py")
def test_planted_fault_in_the_running_app_is_found(tree: Path) -> None:
    page = sorted((tree / "pages").glob("[a-z]*.py"))[-1]  # at its top: a page may stop early
    page.write_text("import importlib\nimportlib.import_module('sci' + 'py')\n" + page.read_text())
    assert app_loads(tree) == {"scipy"}


def test_units_are_put_behind_numbers_in_one_place() -> None:
    """`colours.with_unit` leaves nothing where the unit is empty; "**45.41 **" is no bold text."""
    files = [*(ROOT / PACKAGE).rglob("*.py"), *(ROOT / "pages").rglob("*.py")]
    pattern = re.compile(r"\} \{[^{}]*\bunit\}")
    assert [(f.name, len(pattern.findall(f.read_text()))) for f in files if pattern.search(f.read_text())] == [("colours.py", 1)]
