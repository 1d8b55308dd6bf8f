"""A real server answers to its own names only; needs no browser. That browsers get in is what all other tests here show."""

import re
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from autobuild_core.errors import ConfigError
from autobuild_core.store.workspace import Workspace
from pages._hosts import LOOPBACK, trusted_hosts
from tests.browser.conftest import serving

ROOT = Path(__file__).resolve().parents[2]
PATHS = ("/", "/train", "/_stcore/health", "/_stcore/host-config", "/_stcore/upload_file/a/b", "/media/a.csv", "/static/a.js")
REFUSED = "Invalid host header"
UPGRADE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def said(address: str, path: str, *hosts: str, method: str = "GET", **headers: str) -> tuple[int, str]:
    """(status, all else that was received) of a raw request with such Host headers; of an accepted websocket its head only."""
    where = urlsplit(address)
    lines = [f"{method} {path} HTTP/1.1", *(f"Host: {host}" for host in hosts)]
    lines += [f"{name}: {value}" for name, value in ({"Connection": "close"} | headers).items()]
    with socket.create_connection((where.hostname, where.port), timeout=30) as line:
        line.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        heard = b""
        while part := line.recv(65536):
            heard += part
            if heard.startswith(b"HTTP/1.1 101") and b"\r\n\r\n" in heard:
                break
    text = heard.decode("utf-8", "replace")
    return int(text.split()[1]), text


def upgrade(address: str, host: str) -> tuple[int, str]:
    """What a websocket that is asked for under a name of the server is answered; its Origin is the page of that name."""
    return said(address, "/_stcore/stream", host, **UPGRADE, Origin=f"http://{host}")


@pytest.mark.parametrize("path", PATHS)
def test_a_foreign_name_gets_a_sentence_and_nothing_else(server: str, path: str) -> None:
    for method in ("GET", "POST", "PUT", "DELETE"):
        status, text = said(server, path, "evil.example", method=method)
        assert status == 400
        assert text.endswith(REFUSED) and len(text.split("\r\n\r\n")[1]) < 100


def test_a_foreign_name_gets_no_websocket(server: str) -> None:
    status, text = upgrade(server, f"evil.example:{urlsplit(server).port}")
    assert status == 400
    assert text.endswith(REFUSED)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8501", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:80"])
def test_the_machine_itself_is_answered_at_any_port(server: str, host: str) -> None:
    assert said(server, "/_stcore/health", host)[0] == 200
    assert said(server, "/", host, Accept="text/html")[0] == 200
    assert upgrade(server, host)[0] == 101


@pytest.mark.parametrize(
    "host",
    [
        *(
            "localhost.evil.example",
            "evil.example#localhost",
            "localhost@evil.example",
            "evil.example:80@localhost",
            "127.0.0.1.x",
        ),
        *("", " ", "localhost,evil.example", "localhost/", "[::1", "::1", "localhost:x", "localhost:", "0x7f.1", "2130706433"),
    ],
)
def test_what_only_looks_like_its_name_is_refused(server: str, host: str) -> None:
    status, text = said(server, "/_stcore/health", host)
    assert status == 400
    assert "ok" not in text.split("\r\n\r\n")[1]


def test_two_names_or_none_are_refused(server: str) -> None:
    assert said(server, "/_stcore/health", "localhost", "evil.example")[0] == 400
    assert said(server, "/_stcore/health")[0] == 400


def test_a_server_answers_to_the_names_that_are_set(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOBUILD_HOSTS", " Studio.Example. ,127.0.0.1")  # its tests wait for it at 127.0.0.1
    with serving(workspace) as address:
        assert upgrade(address, "studio.example:8501")[0] == 101
        assert said(address, "/", "studio.example")[0] == 200
        assert said(address, "/", "localhost")[0] == upgrade(address, "localhost")[0] == 400


def test_the_setting_lists_names(monkeypatch: pytest.MonkeyPatch) -> None:
    for text, names in (("", LOOPBACK), (" , ", LOOPBACK), ("A.example, [::1]", ("a.example", "[::1]"))):
        monkeypatch.setenv("AUTOBUILD_HOSTS", text)
        assert trusted_hosts() == names
    for text in ("http://a.example", "a.example:80", "a.example/x", "a b", "*"):
        monkeypatch.setenv("AUTOBUILD_HOSTS", text)
        with pytest.raises(ConfigError, match="expected names without scheme, port and path"):
            trusted_hosts()


def test_every_setting_of_the_environment_stands_in_the_readme() -> None:
    files = [ROOT / "app.py", *(ROOT / "pages").rglob("*.py"), *(ROOT / "autobuild_core").rglob("*.py")]
    found = {name for path in files for name in re.findall(r"\bAUTOBUILD_[A-Z_]+\b", path.read_text())}
    readme = (ROOT / "README.md").read_text()
    assert "AUTOBUILD_HOSTS" in found
    assert {name for name in found if f"`{name}`" not in readme} == set()
