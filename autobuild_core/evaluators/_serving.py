"""`python -m autobuild_core.evaluators._serving FILE.py`: answers JSON lines with the file's `evaluate(arch, budget, seed)`.

What the function prints goes to standard error, so that answers stay answers. The process ends when the one that asks is gone,
also in the middle of an evaluation: nobody would read its answer, and it may be under way elsewhere by then.
"""

import json
import os
import runpy
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any

LOOK_SECONDS = 1.0  # how often it is looked whether somebody asks still
Function = Callable[[Any, int, int], Mapping[str, Any]]


def load_function(path: str) -> Function:
    """The function of a file.

    Raises:
        SystemExit: the file has none.
    """
    sys.path.insert(0, os.path.dirname(os.path.abspath(path)))  # as `python FILE` has it
    found = runpy.run_path(path, run_name="autobuild_own_evaluator").get("evaluate")
    if not callable(found):
        raise SystemExit(f"{path}: got no function evaluate, expected evaluate(arch, budget, seed) -> {{metric: value}}.")
    function: Function = found
    return function


def answer(function: Function, line: str) -> dict[str, Any]:
    """The answer to a line: the function's metrics, or why it failed."""
    asked = json.loads(line)
    try:
        found = function(asked["arch"], asked["budget"], asked["seed"])
        return {str(name): value if isinstance(value, str) else float(value) for name, value in found.items()}
    except Exception as error:
        traceback.print_exc()
        return {"error": f"{type(error).__name__}: {error}"}


def end_without(parent: int) -> None:
    """Ends this process once its parent is gone.

    Args:
        parent: its number.
    """
    while os.getppid() == parent:
        time.sleep(LOOK_SECONDS)
    os._exit(1)


def main() -> None:
    """Serves lines until there are none."""
    threading.Thread(target=end_without, args=(os.getppid(),), daemon=True).start()
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        function = load_function(sys.argv[1])
        for line in sys.stdin:
            print(json.dumps(answer(function, line)), file=answers, flush=True)


if __name__ == "__main__":
    main()
