"""Processes of the service, for tests."""

import contextlib
import socket
import subprocess
import sys
import threading
import time

import httpx
import pytest
from fakes import clean_environment

PATIENCE = 60  # seconds a test waits at most, on a busy machine


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def running(folder, library, *arguments, **settings):
    """Run ``rag serve`` and give its process and a client of it, once it is ready."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "rag.cli", "serve", "--port", str(port), *arguments],
        cwd=folder,
        env=clean_environment(RAG_INDEX_DIR=str(library), **settings),
        stderr=subprocess.PIPE,
        text=True,
    )
    lines = []
    reading = threading.Thread(target=lambda: lines.extend(process.stderr), daemon=True)
    reading.start()
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=PATIENCE) as client:
        try:
            wait_for(lambda: client.get("/readyz").status_code == 200)
            yield process, client, lines
        finally:
            process.terminate()
            process.wait(PATIENCE)
            reading.join(PATIENCE)
            process.stderr.close()


def wait_for(condition):
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        with contextlib.suppress(httpx.TransportError):
            if condition():
                return
        time.sleep(0.05)
    pytest.fail("it did not come to pass")
