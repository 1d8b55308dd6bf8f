"""The folder of an evolution: a line for every generation, the state to go on from, and at the end the learned space.

evolution.jsonl is what pages and tables read; state.safetensors holds weights, optimiser and populations after the last whole
generation and is replaced in one step, so a process that is killed loses the generation that it was in and nothing else.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autobuild_core.autospace.plan import EvolutionPlan
from autobuild_core.autospace.population import Population
from autobuild_core.errors import ConfigError
from autobuild_core.spaces._cells import REFERENCE
from autobuild_core.spaces._learned import FORM, CellLists
from autobuild_core.spaces._skeletons import Skeleton
from autobuild_core.store.tables import append_lines, replacing, to_json, write_json

if TYPE_CHECKING:
    from autobuild_core.autospace.training import SupernetTraining

VERSION = 1
LINES, STATE, LEARNED = "evolution.jsonl", "state.safetensors", "learned.json"
Saved = tuple[int, int, list[Population]]  # generation, generations without a change, layers


class EvolutionFolder:
    """The files of one evolution.

    Args:
        path: a folder; it is made when it is not there.

    Raises:
        ConfigError: it cannot be made.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"{self.path}: got {error.strerror}, expected a place where a folder can be made.") from error

    def lines(self) -> list[dict[str, Any]]:
        """The generations that are there, from 0; a torn last line is none.

        Raises:
            ConfigError: a line before the last is none.
        """
        path = self.path / LINES
        if not path.exists():
            return []
        whole = path.read_bytes().rpartition(b"\n")[0]
        found = []
        for number, text in enumerate(whole.split(b"\n") if whole else [], 1):
            try:
                found.append({**json.loads(text)})
            except (ValueError, TypeError):
                got = text[:60].decode(errors="replace")
                raise ConfigError(f"{path}, line {number}: got {got!r}, expected a generation; name another folder.") from None
        return found

    def begin(self, record: dict[str, Any]) -> None:
        """Writes the line of the first populations; lines of an evolution that never ended its first generation are gone."""
        with replacing(self.path / LINES) as part:
            part.write_text(to_json(record) + "\n", encoding="utf-8")

    def save(
        self,
        plan: EvolutionPlan,
        record: dict[str, Any],
        layers: Sequence[Population],
        calm: int,
        training: "SupernetTraining | None",
    ) -> None:
        """Saves a generation that was finished: first its line, then the state."""
        with (self.path / LINES).open("r+b") as file:
            append_lines(file, [record])
        about = {
            "version": VERSION,
            "plan": plan.to_json(),
            "generation": record["generation"],
            "calm": calm,
            "layers": [own.to_json() for own in layers],
            "training": training.numbers() if training else {},
        }
        from safetensors.torch import save_file

        with replacing(self.path / STATE) as part:
            save_file(training.tensors() if training else {}, part, {"evolution": json.dumps(about)})

    def load(self, plan: EvolutionPlan, training: "SupernetTraining | None") -> Saved | None:
        """The state after the last generation that was saved, and lines of later ones cut off; None where there is none.

        Args:
            plan: what is asked for now; only `generations` would change what was done so far, and so it must be the same too.
            training: gets its weights back.

        Raises:
            ConfigError: the folder holds another evolution, or one that another version wrote.
        """
        path = self.path / STATE
        if not path.exists():
            return None
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, "pt") as file:
                about = json.loads((file.metadata() or {})["evolution"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dict
        except (OSError, SafetensorError, ValueError, KeyError) as error:
            what = f"got a damaged file ({type(error).__name__}), expected an evolution"
            raise ConfigError(f"{path}: {what}; name another folder.") from error
        if about.get("version") != VERSION:
            raise ConfigError(f"{path}: got an evolution of version {about.get('version')}, expected {VERSION}; evolve anew.")
        self._compare(about["plan"], plan)
        if training:
            training.restore(tensors, about["training"])
        kept = [line for line in self.lines() if line["generation"] <= about["generation"]]
        with replacing(self.path / LINES) as part:
            part.write_text("".join(to_json(line) + "\n" for line in kept), encoding="utf-8")
        return about["generation"], about["calm"], [Population.from_json(raw) for raw in about["layers"]]

    def has_ended(self, plan: EvolutionPlan) -> bool:
        """Whether this evolution came to its end; its state is not needed then, and one that ships has none.

        Raises:
            ConfigError: another one did, or one whose state is gone did not: it cannot go on.
        """
        if (self.path / STATE).exists() or not (lines := self.lines()):
            return False
        self._compare(lines[0]["plan"], plan)
        if (self.path / LEARNED).exists():
            return True
        if (last := lines[-1]["generation"]) > 1:  # a kill between its line and its state leaves the first without one
            raise ConfigError(f"{self.path}: got {last} generations without {STATE}, expected both; name another folder.")
        return False

    def _compare(self, known: Mapping[str, Any], plan: EvolutionPlan) -> None:
        """Whether the plan that stands here is the one that is asked for.

        Raises:
            ConfigError: they differ.
        """
        usual = EvolutionPlan().to_json()
        found, asked = ({**usual, **json.loads(json.dumps(one))} for one in (known, plan.to_json()))
        for name, value in asked.items():
            if found.get(name) != value:
                raise ConfigError(
                    f"{self.path}: got an evolution with {name} {found.get(name)}, expected {value}; name another folder."
                )

    def finish(self, plan: EvolutionPlan, layers: Sequence[Population], ended: str) -> None:
        """Writes the learned space: of every layer the fittest cells, and the reference cells where they are kept."""
        references = REFERENCE if plan.references and plan.keep_references else ()
        cells = tuple((*(member.cell for member in own.best(plan.kept)), *references) for own in layers)
        learned = CellLists(cells, Skeleton.read(plan.skeleton), plan.madds_m).written
        write_json(self.path / LEARNED, learned | {"version": FORM} | ({"ended": ended} if ended else {}))
