"""The service as a process.

Contract: what runs is finished before it stops; a worker that is killed is started anew while the other answers; a head
that never comes whole does not hold its connection; what is no HTTP is a problem too.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
from pathlib import Path

import pytest
from fakes import serving
from processes import PATIENCE, running, wait_for

import rag.serve
from rag.api import create_app
from rag.errors import SetupError
from rag.keys import Keys
from rag.serve import serve
from rag.settings import Settings

ASKED = {"question": "零工驿站建了多少家?"}


def test_command_serves_page_and_answers_and_stops_when_told(tmp_path, seed_library):
    with running(tmp_path, seed_library, RAG_LOG_FORMAT="json") as (process, client, lines):
        assert client.post("/chat", json=ASKED).json()["short_answer"] == "63家"
        assert "<title>复函问答</title>" in client.get("/").text
        assert client.get("/healthz", headers={"host": "evil.example"}).status_code == 400
        assert "server" not in client.get("/healthz").headers
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) in (0, -signal.SIGTERM)
    told = [json.loads(line) for line in lines]
    assert [t["status"] for t in told if t.get("route") == "/chat"] == [200]
    assert ASKED["question"] not in str(told)


def test_worker_that_is_killed_is_no_outage(tmp_path, seed_library):
    with running(tmp_path, seed_library, "--workers", "2") as (process, client, _):
        wait_for(lambda: len(children(process.pid)) >= 2)
        assert client.post("/chat", json=ASKED).json()["short_answer"] == "63家"
        before = children(process.pid)
        os.kill(max(before), signal.SIGKILL)
        wait_for(lambda: len(children(process.pid)) >= 2 and max(before) not in children(process.pid))
        wait_for(lambda: client.post("/chat", json=ASKED).json()["short_answer"] == "63家")
        assert 'rag_answers_total{outcome="answered"}' in client.get("/metrics").text


def children(pid):
    """The workers of a process; not the one that tracks its resources."""
    found = []
    for task in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int((task / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == pid and "spawn_main" in (task / "cmdline").read_text():
                found.append(int(task.name))
    return found


@pytest.fixture
def address(seed_library, embedder, monkeypatch):
    monkeypatch.setattr(rag.serve, "_HEAD_SECONDS", 0.3)
    app = create_app(Settings(index_dir=seed_library, _env_file=None), embedder)
    with serving(app) as found:
        yield found.removeprefix("http://").split(":")


def talk(address, *pieces):
    """Send pieces to a socket; return all that comes back until it is closed."""
    with socket.create_connection((address[0], int(address[1])), PATIENCE) as connection:
        for piece in pieces:
            connection.sendall(piece)
        received = b""
        with contextlib.suppress(ConnectionResetError):
            while part := connection.recv(65536):
                received += part
        return received


@pytest.mark.parametrize("start", [b"", b"GET / HT", b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "])
def test_head_that_never_comes_whole_ends_its_connection(address, start):
    assert talk(address, start) == b""


def test_second_head_that_never_comes_whole_ends_its_connection_too(address):
    first = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    assert talk(address, first + b"GET /heal").count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"POST /chat HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"x" * 40_000,
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nBad Name: x\r\n\r\n",
    ],
)
def test_what_is_no_http_is_a_problem(address, sent):
    head, _, body = talk(address, sent).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"content-type: application/problem+json" in head.lower()
    assert json.loads(body)["status"] == 400


def test_reading_key_of_the_command_line_is_the_one_of_the_service(tmp_path, seed_library):
    _, secret = Keys(tmp_path / ".rag-keys.json").new()
    with running(tmp_path, seed_library, RAG_READ_NEEDS_KEY="true") as (_, client, _):
        assert client.post("/chat", json=ASKED).status_code == 401
        headers = {"authorization": f"Bearer {secret}"}
        assert client.post("/chat", json=ASKED, headers=headers).json()["short_answer"] == "63家"


@pytest.mark.parametrize(
    ("told", "client"),
    [
        (["203.0.113.9"], "203.0.113.9"),
        (["6.6.6.6, 203.0.113.9"], "203.0.113.9"),
        (["6.6.6.6", "203.0.113.9:5123"], "203.0.113.9"),
        (["6.6.6.6, [2001:db8::1]:443"], "2001:db8::1"),
        ([], "127.0.0.1"),
    ],
)
def test_behind_a_proxy_the_client_is_who_the_proxy_saw_not_who_it_says_it_is(told, client):
    seen = []

    async def app(scope, receive, send):
        seen.append(scope["client"][0])

    headers = [(b"x-forwarded-for", t.encode()) for t in told]
    scope = {"type": "http", "client": ("127.0.0.1", 1), "scheme": "http", "headers": headers}
    asyncio.run(rag.serve.OwnProxy(app)(scope, None, None))
    assert seen == [client]


def test_port_in_use_is_an_error_that_says_what_to_do():
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(SetupError) as caught:
        serve(Settings(port=taken.getsockname()[1], _env_file=None))
    assert "Address already in use" in str(caught.value)
    assert str(caught.value).endswith("choose others by --host and --port")
