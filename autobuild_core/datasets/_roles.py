"""Roles of a table's columns: architecture, choice, context, metric or ignored, by evidence in a fixed order.

The first evidence that speaks decides, and is kept as a sentence: what a reader said, a tracker's own columns, cells that parse
in a known space, a single value, a known name, a known last word, values that repeat, names of settings.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from autobuild_core.architectures.records import BETTER, CONTEXT_KINDS, ROLES, ColumnRole
from autobuild_core.datasets._columns import Column
from autobuild_core.datasets._lists import list_form, looks_like_date
from autobuild_core.datasets._table import metric_name
from autobuild_core.datasets._trackers import Tracker
from autobuild_core.errors import ConfigError, MappingError, counted
from autobuild_core.spaces._declared import is_number
from autobuild_core.spaces.flat import list_of
from autobuild_core.targets.vocabulary import ACCURACY_WORDS, COST_WORDS, LOSS_WORDS, lower_is_better, snake

PREFIXES = {"design:": "choice", "choice:": "choice", "context:": "context", "metric:": "metric", "ignore:": "ignored"}
SPOKEN = {"ignore": "ignored", "design": "choice"} | {role: role for role in ROLES}
MAX_FEW, MAX_WHOLE_EXEMPT, MIN_RUNNING = 12, 4, 4
NUM_BINS, NUM_EXAMPLES = 12, 4
ONE_VALUE = "one value in every row"
BY_DEFAULT = NO_REPEAT, PARAM_NO_REPEAT = "numbers that do not repeat like choices", "a parameter whose numbers do not repeat"


def _words(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


UNSURE_WORDS = _words("size time duration elapsed top_1 top_5 m_ap m_io_u")  # a metric's only where a whole name says so
METRIC_WORDS = (ACCURACY_WORDS | LOSS_WORDS).union(*COST_WORDS) - UNSURE_WORDS
METRIC_WORDS |= _words("""
    reward return objective fitness throughput fps std sd var stderr mean median variance min second pct percent predicted
""")
METRIC_NAMES = METRIC_WORDS | _words("""
    m_ap m_io_u value values target top_1 top_5 top1_acc num_params n_params param_count params_count parameter_count total_params
    trainable_params num_parameters n_parameters model_size size_mb inference_time train_time training_time wall_time elapsed
    time duration low high best_epoch best_step stopped_epoch stopped_step epochs_trained
""")
UNITS = _words("m g k b mb gb kb mib gib w j s h millions count total")
CONTEXT_NAMES = {
    **dict.fromkeys(_words("seed random_seed random_state rng_seed trial_seed"), "seed"),
    **dict.fromkeys(
        _words("dataset data_set dataset_name task task_name resolution image_size img_size input_size benchmark"), "task"
    ),
    **dict.fromkeys(
        _words("""
            epoch epochs num_epochs n_epochs max_epochs total_epochs train_epochs steps num_steps train_steps max_steps
            iterations num_iterations training_iteration budget fidelity data_fraction train_fraction subset_fraction data_share
        """),
        "fidelity",
    ),
}
IGNORED_NAMES = _words("""
    id idx index fold rank generation step date datetime host hostname path file filename folder dir name key hash uuid url
    user notes note comment comments tags tag status state timestamp created updated pid commit checkpoint logdir run run_name
    trial trial_name unnamed_0 author version
""")
IGNORED_WORDS = _words("path id date uuid hash url dir file filename folder timestamp")
SETTING_NAMES = _words("""
    lr learning_rate eta eta0 bs batch batch_size batchsize weight_decay wd momentum beta beta1 beta2 beta_1 beta_2 eps epsilon
    gamma alpha lambda temperature warmup label_smoothing mixup cutmix l1 l2 clip grad_clip tau dropout drop_rate drop_path
""")
SETTING_WORDS = _words("lr rate decay momentum warmup smoothing temperature")
REPEAT = re.compile(r"(seed|run|rep|repeat|trial)\d+")
PARAM_ROOTS = frozenset({"config", "params", "param", "hyperparameters", "hparams", "parameters", "design", "settings"})
ARCH_ROOTS = frozenset({"arch", "architecture"})
METRIC_ROOTS = frozenset({"metrics", "metric", "results", "result", "summary", "scores", "performance"})


def split_prefix(header: str) -> tuple[str | None, str]:
    """(role that a header's prefix gives, the header without it); (None, the header) where it has none."""
    prefix = next((p for p in PREFIXES if header.startswith(p)), "")
    return PREFIXES.get(prefix), header.removeprefix(prefix).strip() or header


def names_metric(name: str) -> bool:
    """The last word of a name in snake case is that of a measurement, a unit or the number of a repeat behind it apart."""
    words = name.split("_")
    while len(words) > 1 and (words[-1].isdigit() or words[-1] in UNITS or REPEAT.fullmatch(words[-1])):
        words.pop()
    return words[-1] in METRIC_WORDS or words[-1].rstrip("0123456789") in METRIC_WORDS


@dataclass(frozen=True)
class Found:
    """A role and the evidence.

    Args:
        role: one of ROLES.
        why: the evidence.
        context: kind of a context.
        better: direction of a metric that a reader gave, else "".
        said: a reader said the role.
    """

    role: str
    why: str
    context: str = "setting"
    better: str = ""
    said: bool = False


def by_name(word: str, is_numeric: bool, is_param: bool = False) -> Found | None:
    """The role that the name of a column alone gives; None where it gives none.

    Args:
        word: the name in snake case.
        is_numeric: its cells are numbers.
        is_param: a tracker or the object that holds it says that it is a parameter.
    """
    if word in METRIC_NAMES and is_numeric and not is_param:
        return Found("metric", f"its name is that of a measurement ({word})")
    if word in CONTEXT_NAMES:
        kind = CONTEXT_NAMES[word]
        return Found("context", f"its name is that of a {kind} ({word})", kind)
    if word in IGNORED_NAMES and not is_param:
        return Found("ignored", f"its name is that of bookkeeping ({word})")
    last = word.rsplit("_", 1)[-1]
    if last in IGNORED_WORDS and last != word:
        return Found("ignored", f"its name ends in {last}")
    if names_metric(word) and is_numeric and not is_param:
        return Found("metric", f"its name ends like a measurement ({word})")
    return None


class Evidence:
    """The evidence that decides the roles of a table's columns.

    Args:
        given: {column: role} that a reader said, by header or by name without prefix.
        tracker: the tracker that wrote the table, if any.
        num_rows: rows of the table.
        architectures: names of the columns whose cells parse in a known space, with its title; {} where none do.
        design: columns of the space that rows must lie in; None to infer one.
        joining: the rows join others, so that a context of one value is one.
    """

    def __init__(
        self,
        given: Mapping[str, str],
        tracker: Tracker | None,
        num_rows: int,
        architectures: Mapping[str, str],
        design: frozenset[str] | None = None,
        joining: bool = False,
    ) -> None:
        self.given, self.tracker, self.num_rows, self.joining = given, tracker, num_rows, joining
        self.architectures, self.design = architectures, design

    def plain_name(self, column: Column) -> str:
        """A column's name without the prefix that says its role, or the tracker's."""
        role, header = split_prefix(column.name)
        if role is not None:
            return header
        for pattern in (self.tracker.params, self.tracker.metrics) if self.tracker else ():
            if pattern and (found := pattern.match(header)):
                return found["name"]
        return header

    def role(self, column: Column, name: str, by_prefix: bool = True) -> Found:
        """The role of a column, by the first evidence that speaks.

        Args:
            column: of the table.
            name: without prefix.
            by_prefix: a prefix in the header is evidence.

        Raises:
            ConfigError: a reader said a role that there is not, or that the column cannot have.
            MappingError: a prefix gives a role that the column cannot have.
        """
        for found in (self._said(column, name, by_prefix), self._tracked(column, name), self._parsed(column)):
            if found:
                return found
        if column.num_values <= 1:
            return self._alike(column, name)
        if len(column.path) > 1 and column.path[0].lower() in ARCH_ROOTS and not self.architectures:
            return Found("choice", f"stands inside {column.path[0]}")
        found = self._named(column, name) or self._by_values(column, name)
        if found.role == "choice" and self.design is not None:
            return Found("context", "varies, but is no choice of the declared space")
        if found.role == "choice" and self.tracker and self.tracker.metrics and self.tracker.metrics.match(column.name):
            return Found("context", f"no parameter in {self.tracker.title}'s table")
        return found

    def _alike(self, column: Column, name: str) -> Found:
        """A column of one value."""
        if not _has_values(column):
            return Found("ignored", "empty in every row")
        if self.joining and (found := by_name(snake(name), column.is_numeric)) and found.role != "ignored":
            return found
        return Found("ignored", ONE_VALUE)

    def _said(self, column: Column, name: str, by_prefix: bool) -> Found | None:
        """The role that a reader said, or a prefix in the header."""
        said = self.given.get(column.name, self.given.get(name))
        why, by_reader = "as you said", said is not None
        if said is None and by_prefix:
            said = split_prefix(column.name)[0]
            why = "the prefix in its header says so"
        if said is None and self.design is not None and name in self.design:
            return Found("choice", "a design column of the run's space")
        if said is None:
            return None
        if said in CONTEXT_KINDS:
            return Found("context", why, said, said=by_reader)
        said, _, better = said.partition(":")
        if said not in SPOKEN or (better and (said != "metric" or better not in BETTER)):
            expected = ", ".join([*ROLES, *CONTEXT_KINDS, *(f"metric:{way}" for way in BETTER)])
            said = f"{said}:{better}" if better else said
            raise ConfigError(f"role of {column.name}: got '{said}', expected one of {expected}.")
        role = SPOKEN[said]
        wrong = ConfigError if by_reader else MappingError
        if role in ("choice", "architecture") and column.name in self.architectures:
            if column.name != (first := next(iter(self.architectures))):
                got = f"got '{said}' beside the architectures in {first}"
                raise wrong(f"role of {column.name}: {got}, expected one column of architectures; ignore the other.")
            parsed = f"{why}; its cells are architectures of {self.architectures[column.name]}"
            return Found("architecture", parsed, said=by_reader)
        if role == "architecture" and self.design is None:
            role = "choice"
        if role == "choice" and self.architectures and self.design is None:
            first = next(iter(self.architectures))
            got = f"got '{said}' beside the architectures in {first}"
            raise wrong(f"role of {column.name}: {got}, expected context, metric or ignored.")
        return Found(role, why, CONTEXT_NAMES.get(snake(name), "setting"), better, by_reader)

    def _tracked(self, column: Column, name: str) -> Found | None:
        """A tracker's own columns."""
        tracker = self.tracker
        if tracker is None:
            return None
        written = column.name, ".".join(column.path)
        if any(map(tracker.ignored.match, written)):
            return Found("ignored", f"{tracker.title}'s own bookkeeping")
        if column.name in tracker.contexts and _has_values(column):
            return Found("context", "what a measurement says of how it was made", tracker.contexts[column.name])
        if column.name in tracker.runtime and column.num_numbers and column.num_values > 1:
            return Found("metric", f"{tracker.title}'s own measure of time", better="lower")
        noted = tracker.attributes.match(column.name) if tracker.attributes else None
        word = snake(noted["name"] if noted else name)
        if CONTEXT_NAMES.get(word) == "seed" and column.num_values > 1:
            return Found("context", f"its name is that of a seed ({word})", "seed")
        if tracker.metrics and any(map(tracker.metrics.match, written)) and column.is_numeric and column.num_values > 1:
            return Found("metric", f"a result in {tracker.title}'s table")
        if tracker.holder and column.path[:1] != (tracker.holder,) and column.is_numeric and column.num_values > 1:
            return Found("metric", f"a number beside {tracker.holder}")
        return None

    def _parsed(self, column: Column) -> Found | None:
        """Cells that parse in a known space."""
        if column.name not in self.architectures:
            return None
        first = next(iter(self.architectures))
        if column.name != first:
            return Found("ignored", f"says the architecture a second time, beside {first}")
        return Found("architecture", f"its cells are architectures of {self.architectures[first]}")

    def _is_param(self, column: Column) -> bool:
        """A parameter by its tracker or by the object that holds it."""
        if self.tracker and self.tracker.params and self.tracker.params.match(column.name):
            return True
        return len(column.path) > 1 and column.path[0].lower() in PARAM_ROOTS

    def _named(self, column: Column, name: str) -> Found | None:
        """The whole name is known, or its last word."""
        word, is_param = snake(name), self._is_param(column)
        if (word in METRIC_NAMES or names_metric(word)) and not is_param and holds_number_lists(column):
            return Found("metric", f"lists of repeats of a measurement ({word})")
        if len(column.path) > 1 and column.path[0].lower() in METRIC_ROOTS and column.is_numeric and word not in CONTEXT_NAMES:
            return Found("metric", f"a number inside {column.path[0]}")
        found = by_name(word, column.is_numeric, is_param)
        if found is not None and found.role == "metric" and word not in METRIC_NAMES:
            few = column.choices is not None and len(column.counts) <= MAX_WHOLE_EXEMPT and min(column.counts.values()) >= 2
            return None if few else found
        return found

    def _by_values(self, column: Column, name: str) -> Found:
        """The role by the look of the values, then by names of settings."""
        is_param, word = self._is_param(column), snake(name)
        measures = bool(set(word.split("_")) & METRIC_WORDS)
        setting = word in SETTING_NAMES or (word.rsplit("_", 1)[-1] in SETTING_WORDS and not measures)
        found = self._repeats(column, is_param, word)
        if found is not None and found.role == "choice" and self.architectures:
            if (column.is_numeric and not setting) or holds_number_lists(column):
                return Found("metric", "a number beside the architecture")
            return Found("context", "varies beside the architecture")
        if found is not None:
            if found.role == "choice" and holds_number_lists(column) and _hardly_repeat(column):
                return Found("ignored", "its cells are lists of numbers that hardly repeat")
            return found
        if not column.is_numeric:
            return Found("ignored", "a text that hardly repeats")
        if setting or is_param:
            return Found("context", "named like a setting" if setting else PARAM_NO_REPEAT)
        return Found("metric", NO_REPEAT)

    def _repeats(self, column: Column, is_param: bool, word: str) -> Found | None:
        """Lists, texts that repeat, few numbers, whole numbers; None for other numbers."""
        counts, rows = column.counts, self.num_rows - int(column.absent.sum())
        if column.choices is not None and list_form(column) is not None:
            return Found("choice", "its cells are lists of few values")
        if not column.is_numeric:
            if counts and all(value.startswith(("[", "{")) for value in counts):
                return Found("ignored", "its cells are nested lists or objects")
            if looks_like_date(column):
                return Found("ignored", "its cells are dates")
            if not counts or len(counts) >= rows:
                return Found("ignored", "a text that is different in every row")
            return Found("choice", f"{counted(len(counts), 'text')} that repeat{'s' * (len(counts) == 1)}")
        if counts and len(counts) <= MAX_FEW and 2 * len(counts) <= rows:
            return Found("choice", f"{counted(len(counts), 'number')} that repeat{'s' * (len(counts) == 1)}")
        if column.is_whole:
            if not is_param and _is_running(column):
                return Found("ignored", "a running number")
            if not is_param and set(word.split("_")) & METRIC_WORDS:
                return None
            if column.choices is not None:
                return Found("choice", counted(len(counts), "whole number"))
        return None


def _has_values(column: Column) -> bool:
    """It is not empty in every row."""
    return bool(column.counts or column.num_numbers)


def holds_number_lists(column: Column) -> bool:
    """Its cells are JSON lists of numbers."""
    if column.choices is None or list_form(column) != "":
        return False
    return all(is_number(part) for value in column.values if value for part in list_of(value, "") or ())


def _hardly_repeat(column: Column) -> bool:
    """Most parts of its lists are different, and not all are whole: what was measured step by step."""
    parts = [part for value in column.values if value for part in list_of(value, "") or ()]
    return len(set(parts)) * 2 > len(parts) and not all(float(part).is_integer() for part in parts)


def _is_running(column: Column) -> bool:
    """Whole numbers from 0 or 1 on, each once."""
    numbers = np.sort(column.numbers[~np.isnan(column.numbers)])
    return len(numbers) >= MIN_RUNNING and bool(numbers[0] in (0, 1) and (np.diff(numbers) == 1).all())


def describe(column: Column, name: str, found: Found) -> ColumnRole:
    """A column's role for people: kind, values, evidence, a tiny histogram."""
    kind = found.context if found.role == "context" else "architecture" if found.role == "architecture" else kind_of(column)
    if column.choices is not None and not (column.is_numeric and len(column.counts) > NUM_BINS):
        top = sorted(column.counts.values(), reverse=True)[:NUM_BINS] if not column.is_numeric else _in_order(column)
        histogram = tuple(int(num) for num in top)
    else:
        known = column.numbers[np.isfinite(column.numbers)]
        histogram = tuple(np.histogram(known, NUM_BINS)[0].tolist()) if len(known) else ()
    values = [_short(value) if column.is_numeric else value for value in column.values if value][:NUM_EXAMPLES]
    if not values:
        values = [f"{number:g}" for number in column.numbers[np.isfinite(column.numbers)][:NUM_EXAMPLES]]
    better = found.better or BETTER[lower_is_better(metric_name(name))] if found.role == "metric" else ""
    shown = tuple(v[:60] for v in values)
    return ColumnRole(name, found.role, kind, column.num_values, found.why, shown, histogram, better, found.said)


def _short(value: str) -> str:
    """A number as an example: whole numbers as they are, others with at most six significant digits."""
    short = f"{float(value):.6g}" if is_number(value) and not value.lstrip("+-").isdigit() else value
    return short if len(short) < len(value) else value


def _in_order(column: Column) -> list[int]:
    """Rows of each value of a column of numbers, smallest first."""
    return [num for _, num in sorted((float(v), n) for v, n in column.counts.items() if is_number(v))]


def kind_of(column: Column) -> str:
    """The kind of a column's cells, in a word or two."""
    if not column.num_numbers and not column.counts:
        return "empty"
    if column.choices is not None and list_form(column) is not None:
        return "list"
    if column.is_numeric:
        return "whole number" if column.is_whole else "number"
    return "boolean" if set(map(str.lower, column.counts)) <= {"true", "false"} else "text"
