"""Uploads beside a page that is drawn anew.

A browser asks the server where to put a dropped file, and waits for the answer. Streamlit 1.67 throws an answer away that was not
sent yet when the page's script begins anew, as Data's does while it is first drawn: on a busy machine the file was lost without a
word, in a drop zone that stayed as it was.
"""

from functools import wraps

from streamlit.runtime.forward_msg_queue import ForwardMsgQueue

ANSWER = "file_urls_response"


def keep_answers() -> None:
    """Makes the queue of messages to a browser keep these answers where it is cleared for a new run of the script."""
    clear = ForwardMsgQueue.clear
    if hasattr(clear, "__wrapped__"):
        return  # it does already

    @wraps(clear)
    def kept(self: ForwardMsgQueue, retain_lifecycle_msgs: bool = False, fragment_ids_this_run: list[str] | None = None) -> None:
        answers = [message for message in self._queue if message.WhichOneof("type") == ANSWER] if retain_lifecycle_msgs else []
        clear(self, retain_lifecycle_msgs, fragment_ids_this_run)
        self._queue[:0] = [answer for answer in answers if not any(answer is message for message in self._queue)]

    ForwardMsgQueue.clear = kept  # type: ignore[method-assign]
