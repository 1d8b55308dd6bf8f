"""Templates of batches: those that ship make what a scheduler takes, a user's own are checked before anything is handed out."""

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from autobuild_core.cli import TEMPLATES
from autobuild_core.errors import ConfigError
from autobuild_core.loop import templating
from autobuild_core.loop.batches import Handed
from autobuild_core.store.candidates import Candidate, Origin, Prediction

ROOT = Path(__file__).resolve().parents[3]
ARCHS = ["|nor_conv_3x3~0|+|skip 'it'~0|$HOME \"x\"", {"stage1_k": 3, "name": "Größe: 5 # no comment"}]
ORIGINS = [Origin.BUILT, Origin.CONTROL]


@pytest.fixture
def handed() -> Handed:
    pairs = zip(ARCHS, ORIGINS, strict=True)
    return Handed(3, tuple(Candidate(f"c{n}", arch, str(n), own, Prediction(), 0.0) for n, (arch, own) in enumerate(pairs)))


def test_the_yaml_holds_the_batch(handed: Handed) -> None:
    found = yaml.safe_load(templating.fill(templating.read_template("candidates.yaml"), handed))
    assert found == {"candidates": handed.lines()}


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_the_command_lines_pass_every_architecture_as_it_is(handed: Handed, tmp_path: Path, shell: str) -> None:
    train = "import json, sys\nprint(json.dumps(sys.argv[1:]))\n"
    (tmp_path / "train.py").write_text(train)
    (tmp_path / "commands.sh").write_text(templating.fill(templating.read_template("commands.sh"), handed))
    subprocess.run([shell, "commands.sh"], cwd=tmp_path, check=True)
    given = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert [(one[1], one[3]) for one in given] == [(ARCHS[0], "c0"), (json.dumps(ARCHS[1]), "c1")]


def test_the_array_has_a_task_a_candidate(handed: Handed, tmp_path: Path) -> None:
    text = templating.fill(templating.read_template("array.sbatch"), handed)
    assert "#SBATCH --array=0-1\n" in text
    (tmp_path / "train.py").write_text("import json, sys\nprint(json.dumps(sys.argv[1:]))\n")
    (tmp_path / "array.sbatch").write_text(text)
    for task in ("0", "1"):
        command = f"SLURM_ARRAY_TASK_ID={task} bash array.sbatch"
        subprocess.run(["bash", "-c", command], cwd=tmp_path, check=True)
    given = [json.loads((tmp_path / f"result-3-{task}.json").read_text()) for task in (0, 1)]
    assert [(one[1], one[3]) for one in given] == [(ARCHS[0], "c0"), (json.dumps(ARCHS[1]), "c1")]


def test_documentation_and_command_line_name_what_ships() -> None:
    text = (ROOT / "docs" / "loop.md").read_text()
    blocks = dict(re.findall(r"`([\w.]+)`:\n\n```\w*\n(.*?)```", text, re.S))
    assert blocks == templating.shipped() and set(TEMPLATES) == set(blocks)


def test_own_filters(handed: Handed) -> None:
    own = "{% for one in candidates %}{{ one.arch | text | shell }};{{ one.arch | json }}\n{% endfor %}{{ batch }}"
    lines = templating.fill(own, handed).splitlines()
    assert shlex.split(lines[0].rpartition(";")[0]) == [ARCHS[0]]
    assert json.loads(lines[1].partition(";")[2]) == ARCHS[1] and lines[2] == "3"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{% for one in candidates %}", r"own, line 1: got .*endfor"),
        ("{{ predicted }}", r"own: got 'predicted' is undefined"),
        ("{{ candidates[0].score }}", r"own: got .*score"),
        ("{{ 1 / 0 }}", r"own: got division by zero"),
        ("{{ ''.__class__.__mro__[1].__subclasses__() }}", r"own: got .*unsafe"),
        ("{% for i in range(99999) %}{{ '.' * 99 }}{% endfor %}", r"got more than 1,000,000 characters"),
        ("{% include '/etc/passwd' %}", r"own: got no loader"),
    ],
)
def test_faulty_templates_are_told_before_a_batch_is_handed_out(template: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        templating.check(template, ARCHS, "own")


def test_a_template_is_tried_on_architectures_of_the_space() -> None:
    templating.check("{{ candidates[0].arch.depth }}{{ candidates[1].arch.depth }}", [{"depth": 1}, {"depth": 2}])
    with pytest.raises(ConfigError, match="depth"):
        templating.check("{{ candidates[0].arch.depth }}", [{"width": 1}])
    with pytest.raises(ConfigError, match="recursion"):
        templating.check("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", ARCHS)


def test_a_template_that_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"template .*: got No such file.*candidates\.yaml"):
        templating.read_template(str(tmp_path / "none"))
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="got no text"):
        templating.read_template(str(tmp_path / "bytes"))
