"""Extensions of installed packages: found by entry points, listed, loaded, checked by the suites, with no other edit."""

import importlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from autobuild_core import registry
from autobuild_core.architectures.topologies import topology_of
from autobuild_core.datasets import Dataset, read_table, recognise
from autobuild_core.errors import ConfigError
from autobuild_core.jobs import kinds, warm
from autobuild_core.scorers import Scorer
from autobuild_core.spaces import Space, space_named
from autobuild_core.store.run_folder import JobSettings
from autobuild_core.testing.datasets import DatasetSuite
from autobuild_core.testing.evaluators import EvaluatorSuite
from autobuild_core.testing.job_kinds import JobKindSuite
from autobuild_core.testing.scorers import ScorerSuite
from autobuild_core.testing.searchers import SearcherSuite
from autobuild_core.testing.spaces import SpaceSuite
from autobuild_core.testing.topologies import TopologySuite
from tests.contracts.test_datasets_contract import NEW_FORMAT
from tests.contracts.test_evaluators_contract import NEW as NEW_EVALUATOR
from tests.contracts.test_scorers_contract import NEW
from tests.contracts.test_searchers_contract import NEW as NEW_SEARCHER
from tests.counting import SOURCE

EXTENSIONS = Path(__file__).resolve().parents[1] / "extensions"
ENTRIES = """
[autobuild_studio.scorers]
last = theirs.last_token

[autobuild_studio.datasets]
yaml_like = theirs.lines

[autobuild_studio.spaces]
small_dag = theirs.small_dag

[autobuild_studio.topologies]
dag = theirs.dag

[autobuild_studio.evaluators]
layers = theirs.layers

[autobuild_studio.job_kinds]
count = theirs.counting

[autobuild_studio.searchers]
walk = theirs.walk
"""
FOLDERS = {
    "scorers": "last",
    "datasets": "yaml_like",
    "spaces": "small_dag",
    "architectures/topologies": "dag",
    "evaluators": "layers",
    "jobs/kinds": "count",
    "search/searchers": "walk",
}


def distribution(place: Path, name: str, version: str, entries: str) -> None:
    """What an installer leaves of a package."""
    about = place / f"{name}-{version}.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (about / "entry_points.txt").write_text(entries)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of installed packages, with one that has an extension of each kind."""
    folder = tmp_path_factory.mktemp("site")
    package = folder / "theirs"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "last_token.py").write_text(NEW)
    (package / "lines.py").write_text(NEW_FORMAT)
    (package / "counting.py").write_text(SOURCE)
    (package / "walk.py").write_text(NEW_SEARCHER)
    (package / "layers.py").write_text(NEW_EVALUATOR)
    shutil.copy(EXTENSIONS / "spaces" / "small_dag.py", package)
    shutil.copy(EXTENSIONS / "architectures" / "topologies" / "dag.py", package)
    distribution(folder, "theirs", "1.2", ENTRIES)
    return folder


@pytest.fixture(autouse=True)
def _installed(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The packages are there for the test, and for the processes that it starts."""
    monkeypatch.syspath_prepend(place)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(place), str(registry.ROOT)]))
    yield
    kinds.load_kind.cache_clear()
    warm._code_stamp.cache_clear()


class TestFound:
    @pytest.mark.parametrize("folder", FOLDERS)
    def test_by_name_beside_the_files(self, folder: str) -> None:
        names = registry.names(folder)
        assert FOLDERS[folder] in names and len(names) > 1 and list(names) == sorted(set(names))

    def test_every_folder_of_extensions_has_a_group(self) -> None:
        assert set(FOLDERS) == set(registry.GROUPS)
        assert {one.folder for one in registry.installed() if one.package == "theirs 1.2"} == set(FOLDERS)

    def test_listing_imports_none_of_them(self) -> None:
        code = (
            "import sys; from autobuild_core import registry; print('last' in registry.names('scorers'), 'theirs' in sys.modules)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.split() == ["True", "False"]

    def test_the_command_line_lists_a_scorer_and_reads_a_format(self, tmp_path: Path) -> None:
        command = [sys.executable, "-m", "autobuild_core"]
        said = subprocess.run([*command, "score", "--help"], capture_output=True, text=True, check=True).stdout
        assert ", last," in " ".join(said.split())
        (tmp_path / "upload").write_text("kernel: 3, acc: 0.7\nkernel: 5, acc: 0.8\nkernel: 3, acc: 0.6\n")
        said = subprocess.run([*command, "inspect", str(tmp_path / "upload")], capture_output=True, text=True, check=True).stdout
        assert '"format": "yaml_like"' in said and '"num_accepted": 3' in said

    def test_a_space_has_the_topology_that_it_names(self) -> None:
        assert type(topology_of(space_named("small_dag").spec)).__module__ == "theirs.dag"

    def test_a_format_is_recognised_by_what_is_inside(self, tmp_path: Path) -> None:
        (tmp_path / "upload").write_text("kernel: 3, acc: 0.7\nkernel: 5, acc: 0.8\n")
        assert recognise(tmp_path / "upload") == "yaml_like" and len(read_table(tmp_path / "upload")) == 2

    def test_a_new_version_is_new_code_for_the_warm_supervisor(self) -> None:
        warm._code_stamp.cache_clear()
        assert "theirs 1.2" in warm._code_stamp()


class TestTheirScorer(ScorerSuite):
    @pytest.fixture
    def name(self) -> str:
        return "last"


class TestTheirFormat(DatasetSuite):
    @pytest.fixture
    def name(self) -> str:
        return "yaml_like"


class TestTheirSpace(SpaceSuite):
    @pytest.fixture
    def space(self) -> Space:
        return space_named("small_dag")


class TestTheirTopology(TopologySuite):
    @pytest.fixture
    def space(self) -> Space:
        return space_named("small_dag")


class TestTheirEvaluator(EvaluatorSuite):
    @pytest.fixture
    def name(self) -> str:
        return "layers"

    @pytest.fixture
    def arch(self) -> str:
        return "0120"


class TestTheirSearcher(SearcherSuite):
    @pytest.fixture
    def name(self) -> str:
        return "walk"


class TestTheirKind(JobKindSuite):
    @pytest.fixture
    def name(self) -> str:
        return "count"

    @pytest.fixture
    def settings(self) -> JobSettings:
        return kinds.load_kind("count").settings({"name": "my count"})


class TestRefused:
    @pytest.fixture
    def other(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A second folder of packages."""
        monkeypatch.syspath_prepend(tmp_path)
        return tmp_path

    def test_a_name_of_two_packages(self, other: Path) -> None:
        distribution(other, "others", "3", "[autobuild_studio.scorers]\nlast = others.last\n")
        importlib.invalidate_caches()
        registry._entry_points.cache_clear()
        words = r"scorers: got two called 'last' \(others.last of others 3 and theirs.last_token of theirs 1.2\), expected one"
        with pytest.raises(ConfigError, match=words):
            registry.load("scorers", "last", Scorer)  # type: ignore[type-abstract]
        assert registry.names("scorers").count("last") == 1

    def test_a_name_of_a_file(self, other: Path) -> None:
        distribution(other, "others", "3", "[autobuild_studio.datasets]\ncsv_table = others.csv\n")
        registry._entry_points.cache_clear()
        with pytest.raises(ConfigError, match=r"two called 'csv_table' \(.*datasets/csv_table and others.csv of others 3\)"):
            registry.load("datasets", "csv_table", Dataset)  # type: ignore[type-abstract]

    @pytest.mark.parametrize(("source", "num"), [("", 0), ("class A(B): ...\nclass C(B): ...", 2)])
    def test_a_module_without_exactly_one_extension(self, source: str, num: int, other: Path) -> None:
        name = f"faulty_{num}"
        (other / f"{name}.py").write_text(f"from autobuild_core.spaces import Space as B\n{source}\n")
        distribution(other, "others", "3", f"[autobuild_studio.spaces]\n{name} = {name}\n")
        registry._entry_points.cache_clear()
        with pytest.raises(ConfigError, match=f"{name} of others 3: got {num} subclasses of Space, expected exactly one"):
            registry.load("spaces", name, Space)  # type: ignore[type-abstract]
