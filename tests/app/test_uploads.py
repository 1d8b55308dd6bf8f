"""The answer to a browser that wants to upload a file outlasts a new run of the page's script."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.forward_msg_queue import ForwardMsgQueue

from pages._streamlit import keep_answers

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def clear(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Streamlit's own way to clear the queue; ours is forgotten afterwards."""
    own = ForwardMsgQueue.clear
    monkeypatch.setattr(ForwardMsgQueue, "clear", own)
    return own


def queue() -> ForwardMsgQueue:
    """Messages that were not sent yet: what a page draws, an answer to an upload, a word about the script."""
    made, delta, answer, word = ForwardMsgQueue(), ForwardMsg(), ForwardMsg(), ForwardMsg()
    delta.delta.new_element.markdown.body = "drawn"
    delta.metadata.delta_path[:] = [0, 0]
    answer.file_urls_response.response_id = "asked"
    word.script_finished = ForwardMsg.FINISHED_EARLY_FOR_RERUN
    for message in (delta, answer, word):
        made.enqueue(message)
    return made


def kinds(made: ForwardMsgQueue) -> list[str | None]:
    return [message.WhichOneof("type") for message in made.flush()]


def test_streamlit_forgets_the_answer(clear: Callable[..., None]) -> None:
    """Once this fails, `keep_answers` can go."""
    made = queue()
    clear(made, retain_lifecycle_msgs=True)
    assert "file_urls_response" not in kinds(made)


def test_the_answer_is_kept_once_and_nothing_else_is(clear: Callable[..., None]) -> None:
    keep_answers()
    keep_answers()
    made = queue()
    made.clear(retain_lifecycle_msgs=True)
    assert kinds(made) == ["file_urls_response", "script_finished"]
    made = queue()
    made.clear(retain_lifecycle_msgs=True, fragment_ids_this_run=["one"])
    assert kinds(made).count("file_urls_response") == 1
    made = queue()
    made.clear()  # the browser is gone
    assert kinds(made) == []


def test_the_server_does_so() -> None:
    code = "import app; from streamlit.runtime.forward_msg_queue import ForwardMsgQueue as q; print(q.clear.__code__.co_filename)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("pages/_streamlit.py")
