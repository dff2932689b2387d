"""Runs the service with uvicorn: one process or several, each of which the others can do without."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import tempfile
from typing import Any

import uvicorn
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.h11_impl import H11Protocol

from rag import traces
from rag.errors import SetupError
from rag.guard import is_loopback
from rag.problems import MEDIA_TYPE, body
from rag.settings import Settings
from rag.telemetry import set_up_logs

_HEAD_SECONDS = 15  # for the head of a request to come whole
_CONNECTIONS = 1000  # open at once in a worker
_GRACE_SECONDS = 30  # for what runs, when the service is stopped
_log = logging.getLogger("rag.serve")


class PatientProtocol(H11Protocol):
    """HTTP that does not wait for ever: a head that does not come whole in time ends its connection."""

    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Take a connection, while there are not too many."""
        super().connection_made(transport)
        if len(self.connections) > _CONNECTIONS:
            transport.abort()
        else:
            self._watch()

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        super().connection_lost(exc)
        self._wait_no_more()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP with a problem, as everything else."""
        import h11

        content = json.dumps(body(400, msg.rstrip("."))).encode()
        headers = [
            ("content-type", MEDIA_TYPE),
            ("content-length", str(len(content))),
            ("connection", "close"),
        ]
        for event in (
            h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
            h11.Data(data=content),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _watch(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            self._wait_no_more()
        elif self._waiting is None:
            self._waiting = self.loop.call_later(_HEAD_SECONDS, self._give_up)

    def _wait_no_more(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _give_up(self) -> None:
        self._waiting = None
        if self.cycle is None or self.cycle.response_complete:
            self.transport.abort()


class OwnProxy:
    """ASGI middleware behind one proxy: of the addresses in X-Forwarded-For only the last counts, for the others are the client's word."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = ProxyHeadersMiddleware(app, "*")  # type: ignore[arg-type] # the same protocol, typed otherwise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, with the client and the scheme that the proxy saw."""
        if scope["type"] == "http":
            told = Headers(scope=scope).getlist("x-forwarded-for")
            last = ",".join(told).rpartition(",")[2].strip().encode("latin-1")
            others = [(k, v) for k, v in scope["headers"] if k != b"x-forwarded-for"]
            scope = {**scope, "headers": [*others, (b"x-forwarded-for", last)]}
        await self.app(scope, receive, send)  # type: ignore[arg-type] # as above


def create_worker() -> Any:
    """The application of one worker; its settings come from the environment."""
    from rag.api import create_app

    settings = Settings()
    set_up_logs(settings)
    app = create_app(settings)
    return OwnProxy(app) if settings.trust_proxy else app


def serve(settings: Settings, workers: int = 1) -> int:
    """Run the service until it is stopped.

    A worker that dies is started anew. On SIGTERM or SIGINT nothing new is taken, and what runs is finished.

    Raises:
        SetupError: the address cannot be listened on, or the environment asks for traces and what makes them is not installed.
    """
    traces.check()
    _check_address(settings)
    set_up_logs(settings)
    if not is_loopback(settings.host) and not settings.read_needs_key:
        _log.warning(
            "anyone who reaches %s can read the letters; RAG_READ_NEEDS_KEY=true asks for a key",
            settings.host,
        )
    with tempfile.TemporaryDirectory(prefix="rag-metrics-") as shared:
        # The workers are new processes: what the command line said reaches them by the environment.
        os.environ |= {"RAG_HOST": settings.host, "RAG_PORT": str(settings.port)}
        if workers > 1:
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = shared
        uvicorn.run(
            "rag.serve:create_worker",
            factory=True,
            host=settings.host,
            port=settings.port,
            workers=workers,
            http=PatientProtocol,
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=True,
            proxy_headers=False,
            timeout_graceful_shutdown=_GRACE_SECONDS,
            h11_max_incomplete_event_size=32 * 1024,
        )
    return 0


def _check_address(settings: Settings) -> None:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        socket.create_server((settings.host, settings.port), family=family).close()
    except OSError as error:
        raise SetupError(
            f"{settings.host}:{settings.port} cannot be listened on ({error.strerror})",
            "an address of this machine and a free port",
            "choose others by --host and --port",
        ) from error
