"""The file of a replay's curves: a line a mode, seed and number of evaluations. Imports nothing heavy."""

from pathlib import Path

import pandas as pd

from autobuild_core.errors import ConfigError

COLUMNS = ("mode", "seed", "evaluations", "seconds", "best", "regret", "network_rank", "arch", "plan")
NUMBERS = ("seconds", "best", "regret", "network_rank")


def read_curves(path: Path) -> pd.DataFrame:
    """The curves in a file with COLUMNS; without lines where there is no file.

    Raises:
        ConfigError: it holds something else, or cannot be read.
    """
    if not path.exists():
        return pd.DataFrame(columns=list(COLUMNS))
    try:
        texts = {"mode": str, "arch": str, "plan": str}
        empty = dict.fromkeys(NUMBERS, "")
        frame = pd.read_csv(path, dtype=texts, keep_default_na=False, na_values=empty)[list(COLUMNS)]
        return frame.astype(dict.fromkeys(NUMBERS, float) | dict.fromkeys(("seed", "evaluations"), int))
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(f"{path}: got a file that holds no replay ({error}), expected one or none.") from None
