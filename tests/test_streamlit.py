"""Streamlit's own parts that pages/_streamlit.py uses without a promise: each is where it was, and as it was.

A new version of Streamlit that moves one fails here with its name, whatever else fails with it.
"""

import inspect
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
import streamlit

RUNTIME = "streamlit.runtime"
REQUESTS = f"{RUNTIME}.scriptrunner_utils.script_requests"
CONTEXT = f"{RUNTIME}.scriptrunner_utils.script_run_context"


def found(path: str) -> Any:
    """What stands at "module:name.name".

    Raises:
        AssertionError: nothing does.
    """
    module, _, names = path.partition(":")
    try:
        one = import_module(module)
        for name in names.split("."):
            one = getattr(one, name)
    except (ImportError, AttributeError) as error:
        raise AssertionError(moved(path, "it is gone")) from error
    return one


def moved(path: str, what: str) -> str:
    """The sentence of a failure."""
    return (
        f"Streamlit {streamlit.__version__} moved a part that it never promised: {path.replace(':', '.')} ({what}). "
        "Look for what took its place and change pages/_streamlit.py, and this list."
    )


def takes(*names: str) -> Callable[[Any], bool]:
    """Whether a function takes these arguments first and needs no others."""

    def check(one: Any) -> bool:
        arguments = list(inspect.signature(one).parameters.values())
        first, rest = arguments[: len(names)], arguments[len(names) :]
        return tuple(a.name for a in first) == names and all(a.default is not a.empty for a in rest)

    return check


def has_fields(*names: str) -> Callable[[Any], bool]:
    """Whether a dataclass has these fields."""
    return lambda one: set(names) <= set(one.__dataclass_fields__)


def holds(**kinds: type | tuple[type, ...]) -> Callable[[Any], bool]:
    """Whether an object made without arguments has these attributes, each of its type."""
    return lambda one: all(isinstance(vars(one()).get(name), kind) for name, kind in kinds.items())


def is_lock(one: Any) -> bool:
    """Whether requests are guarded by a lock that a `with` takes."""
    lock = vars(one())["_lock"]
    return hasattr(lock, "__enter__") and hasattr(lock, "__exit__")


def has_answer(one: Any) -> bool:
    """Whether a message to the browser can be the answer to an upload, and says which kind it is."""
    made = one()
    made.file_urls_response.response_id = "asked"
    return made.WhichOneof("type") == "file_urls_response"


PARTS: list[tuple[str, Callable[[Any], bool]]] = [
    (f"{RUNTIME}.pages_manager:PagesManager.uses_pages_directory", lambda one: one in (None, False, True)),
    ("streamlit.components.v2.manifest_scanner:scan_component_manifests", callable),
    (f"{RUNTIME}.scriptrunner:get_script_run_ctx", takes()),
    (f"{CONTEXT}:ScriptRunContext", has_fields("fragment_storage", "script_requests")),
    (f"{RUNTIME}.fragment:FragmentStorage.clear", takes("self")),
    (f"{REQUESTS}:ScriptRequests", is_lock),
    (f"{REQUESTS}:ScriptRequests", lambda one: type(vars(one())["_state"]).__name__ == "ScriptRequestType"),
    (f"{REQUESTS}:ScriptRequests", lambda one: type(vars(one())["_rerun_data"]).__name__ == "RerunData"),
    (f"{REQUESTS}:ScriptRequestType", lambda one: {"RERUN", "CONTINUE"} <= set(one.__members__)),
    (f"{REQUESTS}:RerunData", has_fields("fragment_id_queue")),
    (f"{RUNTIME}.forward_msg_queue:ForwardMsgQueue.clear", takes("self", "retain_lifecycle_msgs", "fragment_ids_this_run")),
    (f"{RUNTIME}.forward_msg_queue:ForwardMsgQueue", holds(_queue=list)),
    ("streamlit.proto.ForwardMsg_pb2:ForwardMsg", has_answer),
    ("streamlit.cli_util:open_browser", takes("url")),
    ("streamlit.web.server.server_util:get_url", takes("host_ip")),
    ("streamlit.web.server.server_util:get_display_address", takes("address")),
]


@pytest.mark.parametrize(("path", "check"), PARTS, ids=[path for path, _ in PARTS])
def test_a_part_without_a_promise_is_where_it_was_and_as_it_was(path: str, check: Callable[[Any], bool]) -> None:
    one = found(path)
    try:
        is_as_it_was = check(one)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise AssertionError(moved(path, f"{type(error).__name__}: {error}")) from error
    assert is_as_it_was, moved(path, "it has another shape")


@pytest.mark.parametrize("path", ["streamlit.nowhere:name", f"{REQUESTS}:ScriptRequests.name"])
def test_a_part_that_is_gone_gets_the_sentence(path: str) -> None:
    with pytest.raises(AssertionError, match=r"moved a part that it never promised: .*name \(it is gone\)"):
        found(path)


@pytest.mark.parametrize("other", [lambda: 0, lambda name: 0, lambda self, more: 0])
def test_other_arguments_are_seen(other: Callable[..., int]) -> None:
    assert not takes("self")(other)
