"""All of Streamlit that it does not promise to keep, in one place: a new version may move any of it.

tests/test_streamlit.py says in a sentence which part a new version moved. Everything else in the app uses
`import streamlit as st` and nothing behind it, which tests/test_architecture.py checks.
"""

from functools import wraps

from streamlit import cli_util
from streamlit.runtime.forward_msg_queue import ForwardMsgQueue
from streamlit.runtime.pages_manager import PagesManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.scriptrunner_utils.script_requests import ScriptRequestType
from streamlit.web.server import server_util

ANSWER = "file_urls_response"


def is_navigation_missing() -> bool:
    """Whether no script of this server has built the navigation yet.

    A deep link as the first hit of a server runs the page without app.py: st.navigation has to be called there.
    """
    return bool(PagesManager.uses_pages_directory)


def forget_fragments() -> None:
    """Nothing of the page that is left runs again.

    Streamlit would run a fragment that is clicked while the new page is being drawn after it, in its place: an empty page.
    """
    if (context := get_script_run_ctx()) is None:
        return
    context.fragment_storage.clear()
    if (requests := context.script_requests) is not None:
        with requests._lock:  # a click that waits already
            if requests._state is ScriptRequestType.RERUN and requests._rerun_data.fragment_id_queue:
                requests._state = ScriptRequestType.CONTINUE


def keep_answers() -> None:
    """Makes the queue of messages to a browser keep answers about uploads where it is cleared for a new run of the script.

    A browser asks the server where to put a dropped file, and waits for the answer. Streamlit 1.67 throws an answer away that
    was not sent yet when the page's script begins anew, as Data's does while it is first drawn: on a busy machine the file was
    lost without a word, in a drop zone that stayed as it was.
    """
    clear = ForwardMsgQueue.clear
    if hasattr(clear, "__wrapped__"):
        return  # it does already

    @wraps(clear)
    def kept(self: ForwardMsgQueue, retain_lifecycle_msgs: bool = False, fragment_ids_this_run: list[str] | None = None) -> None:
        answers = [message for message in self._queue if message.WhichOneof("type") == ANSWER] if retain_lifecycle_msgs else []
        clear(self, retain_lifecycle_msgs, fragment_ids_this_run)
        self._queue[:0] = [answer for answer in answers if not any(answer is message for message in self._queue)]

    ForwardMsgQueue.clear = kept  # type: ignore[method-assign]


def open_browser(address: str) -> None:
    """Opens the browser at a server; `streamlit run` itself leaves that out for an ASGI application, which app.py is.

    Args:
        address: setting server.address, "" where it is not set.
    """
    cli_util.open_browser(server_util.get_url(server_util.get_display_address(address or "localhost")))
