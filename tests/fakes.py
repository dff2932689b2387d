"""Stand-ins and small tools that several test modules share."""

import contextlib
import hashlib
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np

from rag.parse import parse
from rag.read import Source

ROOT = Path(__file__).resolve().parent.parent
LETTERS = Path(__file__).resolve().parent / "letters"
SEEDS = ROOT / "seeds"


class HashEmbedder:
    """Vectors drawn by the SHA-256 of a text: deterministic, without meaning, and counted."""

    def __init__(self, name="hash", dimension=16):
        self.name = name
        self.dimension = dimension
        self.fingerprint = hashlib.sha256(name.encode()).hexdigest()
        self.embedded = []

    def passages(self, texts):
        self.embedded += texts
        return np.array([self._vector(t) for t in texts], np.float32).reshape(-1, self.dimension)

    queries = passages

    def _vector(self, text):
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")
        vector = np.random.default_rng(seed).standard_normal(self.dimension)
        return vector / np.linalg.norm(vector)


def letter_of(text, name="small.txt"):
    """Parse a text written in a test."""
    return parse(Source(name, text, hashlib.sha256(text.encode()).hexdigest()))


def clean_environment(**settings):
    """This process's environment without its RAG_ settings, and with those given."""
    drop = ("RAG_", "NO_COLOR", "FORCE_COLOR", "COLUMNS")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(drop)}
    return {**kept, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT), **settings}


def run_python(*arguments, cwd, **settings):
    """Run this Python in a folder of its own and return what it did, as text."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=clean_environment(**settings),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@contextlib.contextmanager
def serving(app):
    """Run an application with the product's own server on a port of 127.0.0.1, and give its address."""
    import uvicorn

    from rag.serve import PatientProtocol

    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=0,
        log_config=None,
        access_log=False,
        http=PatientProtocol,
        ws="none",
        h11_max_incomplete_event_size=32 * 1024,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def assert_problem(response, status, title, *said):
    """The one shape of every error over HTTP."""
    body = response.json()
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    error = body.pop("error", {"message": body["detail"]})
    assert error["message"] == body["detail"]
    assert set(body) <= {"type", "title", "status", "detail", "errors"}
    assert (body["type"], body["title"], body["status"]) == ("about:blank", title, status)
    assert body["detail"]
    assert "\n" not in body["detail"]
    assert "Traceback" not in response.text
    for error in body.get("errors", []):
        assert set(error) == {"at", "detail"}
    assert [s for s in said if s not in response.text] == []
