"""A reader's choices, alike on every page: in the URL, so that links open the same view, and in the session.

Query parameters, each with the forms it may have; a default is left out of the URL, what does not fit the run is not chosen:

- run, data: ids; target, minimize, target_name, target_unit: the equation, its direction, what it is called and its unit.
- lens: a value of `Lens`. hop: a whole number, or "unit" on Importance. unit: the label of a unit.
- arch: "best" (the default), "worst", "row:17" (row of the file, from 0), or a native encoding, also as "typed:...".
- module: its positions and layers, "L1,L2=mb3_k3,mb6_k5", with a "!" behind it where it is a whole unit (no deeper).
- show: what Importance draws, "pair", "best" or "marked"; beside: as arch, the second one of a pair, "worst" by default.
- task: what scores and predictions hold for, as `Task.name` writes it; by default the average over contexts.
- drop: id of a dropped file whose columns are being looked at on Data.
- evolution, loop: id of an evolution and of a closed loop, or "sample"; cell: "2.17", a layer and the number of a cell in it.
- budgets: limits of metrics on Builder, "latency_ms <= 8; params_m <= 1.5"; sure: the probability, in percent, to keep to all, by
  default 90.
- rank, look, other: what Hops ranks, the section it shows, the run beside; view, brush: window and brushed area of the map.
"""

import re
from typing import Any

import streamlit as st

NAMES = (
    *("run", "data", "target", "minimize", "target_name", "target_unit"),
    *("lens", "hop", "arch", "module", "unit"),
    *("rank", "look", "other", "view", "brush"),
    *("show", "beside"),
    *("task", "drop", "evolution", "loop", "cell"),
    *("budgets", "sure"),
)
OF_THE_DATA = (  # what is chosen within one data set
    *("target", "minimize", "target_name", "target_unit"),
    *("arch", "beside", "show", "module", "unit", "other", "view", "brush", "task", "budgets", "sure"),
)


def recall(name: str) -> str | None:
    """A choice of this session, as `restore` found it in the URL or as it was made since."""
    value = st.session_state.get(f"kept_{name}")
    return str(value) if value else None


def keep(**choices: Any) -> None:
    """Writes choices into the session, and all that the session holds into the URL at once; None forgets one."""
    for name, value in choices.items():
        if value is None:
            st.session_state.pop(f"kept_{name}", None)
        else:
            st.session_state[f"kept_{name}"] = str(value)
    before = {name: st.query_params.get_all(name) for name in st.query_params}
    after = {name: values for name, values in before.items() if name not in NAMES} | {n: [v] for n, v in kept().items()}
    if after != before:
        st.session_state.setdefault("links", []).append(kept())
        st.query_params.from_dict(after)


def kept() -> dict[str, str]:
    """All choices, for the URL of another page."""
    return {name: value for name in NAMES if (value := recall(name))}


def restore(same_page: bool) -> None:
    """Session and URL alike: a link's choices outlive the page that it opens, and every page's URL is a whole link.

    A click can be quicker than the URL that the choice before it made: where a page is drawn again with a URL that it had before,
    the session's choices hold. Run and data are one choice: a link to data alone forgets the run that was chosen before.

    Args:
        same_page: the page that was drawn before is drawn again.
    """
    link = {name: value for name in NAMES if (value := st.query_params.get(name))}
    if same_page and link in st.session_state.get("links", []):
        keep()
        return
    st.session_state["links"] = [link]
    if "data" in link and "run" not in link:
        st.session_state.pop("kept_run", None)
    keep(**link)


def whole_number(text: str | None) -> int | None:
    """A whole number of at least 0 as a link or the environment writes it; None for anything else, also for ² and 10^18."""
    return int(text) if text is not None and re.fullmatch(r"[0-9]{1,15}", text) else None


def visit() -> dict[str, Any]:
    """The state until another page is opened.

    "from" is the page before, "heard" makes the last choice in a component count.
    """
    found: dict[str, Any] = st.session_state["visit"]
    return found
