"""A workspace all of whose names are hostile: each is a picture, a link, HTML, a formula or an icon where it is not escaped."""

import csv
import io
from pathlib import Path

import numpy as np

from autobuild_core.architectures.lens import Lens
from autobuild_core.datasets import read_table
from autobuild_core.store.pins import Claim, Pin, Pins
from autobuild_core.store.workspace import Workspace
from tests.app.workspaces import train

PICTURE, LINK = "![i](http://evil.example/i)", "[l](http://evil.example)"
IMAGE, ANCHOR = "<img src=http://evil.example/h>", '<a href="http://evil.example/">y</a>'
BOLD, FORMULA, ICON, COLOUR = "<b>x</b><sup>y</sup><br>", "$x^2$", ":material/home: :rocket:", ":red[r] :blue-badge[b]"
ADDRESS, MAIL, HEADING, CODE = "http://evil.example www.evil.example", "x@evil.example", "# h", "`c` *d* ~~e~~"
ALL = (PICTURE, LINK, IMAGE, ANCHOR, BOLD, FORMULA, ICON, COLOUR, ADDRESS, MAIL, HEADING, CODE)
EVERYTHING = " ".join(ALL) + "\n\n" + PICTURE
METRIC = "img_src_http_evil_example_h_i_http_evil_example_i"
COLUMNS = (PICTURE, LINK, IMAGE, BOLD, f"{FORMULA} {COLOUR}", f"{ICON} {ADDRESS}")


def hostile_file(path: Path, num: int = 80) -> Path:
    """A table whose choices, their values, a context and a metric are called so."""
    rng, text = np.random.default_rng(0), io.StringIO()
    writer = csv.writer(text)
    writer.writerow([*(f"design:{name}" for name in COLUMNS), f"context:{ANCHOR}", f"metric:{IMAGE} {PICTURE}", "metric:acc"])
    for _ in range(num):
        chosen = rng.integers(3, size=len(COLUMNS))
        texts = [(name, COLUMNS[at - 1], "plain") for at, name in enumerate(COLUMNS)]
        words = [text[value] for text, value in zip(texts, chosen, strict=True)]
        task, acc = int(rng.integers(2)), 70 + chosen.sum() + rng.normal(0, 0.1)
        writer.writerow([*words, (LINK, BOLD)[task], f"{acc * 2:.3f}", f"{acc + task:.3f}"])
    path.write_text(text.getvalue())
    return path


def hostile(workspace: Workspace) -> str:
    """The workspace: its data set, a finished run of it and pins with notes; the run's id."""
    table = read_table(hostile_file(workspace.path / "data.csv"), roles={ANCHOR: "task"})
    dataset = workspace.add_dataset(table, EVERYTHING[:120])
    run = train(workspace, dataset, "acc", False, target_name=f"{PICTURE} {IMAGE}", target_unit="[l](//evil.a)<i>")
    other = train(workspace, dataset, METRIC, True, target_name=f"{LINK} {FORMULA}")
    for one, name in ((run, EVERYTHING), (other, f"{ICON} {COLOUR}")):
        workspace.rename_run(one, " ".join(name.split())[:120])
    pins, labels, spec = Pins.of(workspace, run), table.spec.position_labels, table.spec
    for lens, label in zip((Lens.SCORE, Lens.GOOD, Lens.NORM), labels, strict=False):
        token = next(token for token in spec.tokens if token.startswith(f"{label}="))
        pins.write(Pin(Claim((label,), (token,), True, lens), EVERYTHING, "hops"))
    return run
