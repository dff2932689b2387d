"""What the service tells of itself: a log line, metrics and an id for every request, never the text of a question.

It also puts the security headers on every response, and turns an unexpected error into a problem.
"""

from __future__ import annotations

import json
import logging
import os
import re
import time
import traceback
import uuid
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rag import traces
from rag.engine import Answer
from rag.guard import client_of
from rag.problems import problem
from rag.settings import Settings

_log = logging.getLogger("rag.access")
_ID = re.compile(r"[\w.:-]{1,64}", re.ASCII)
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
SECURITY = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class Metrics:
    """Counts and times in Prometheus' format; of all workers together where there are several."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "rag_http_requests_total",
            "Requests answered",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "rag_http_request_seconds",
            "Time to the end of the response",
            ["route"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.running = Gauge(
            "rag_http_requests_running",
            "Requests being answered",
            multiprocess_mode="livesum",
            registry=self.registry,
        )
        self.answers = Counter(
            "rag_answers_total", "Questions, by outcome", ["outcome"], registry=self.registry
        )
        self.letters = Gauge(
            "rag_index_letters",
            "Letters in the index in use",
            multiprocess_mode="livemax",
            registry=self.registry,
        )

    def answered(self, answer: Answer) -> Answer:
        """Count an answer and give it back."""
        self.answers.labels(answer.reason or "answered").inc()
        self.letters.set(answer.index["letters"])
        traces.note(answer)
        return answer

    def text(self) -> bytes:
        """The metrics as Prometheus reads them."""
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return generate_latest(self.registry)
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call] # it has no types
        return generate_latest(together)


class Telemetry:
    """ASGI middleware, the outermost one."""

    def __init__(self, app: ASGIApp, metrics: Metrics, settings: Settings) -> None:
        self.app = app
        self.metrics = metrics
        self.settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request and tell how it went."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        status = 0
        started = time.perf_counter()

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = request_id
                for name, value in SECURITY.items():
                    headers.setdefault(name, value)
            await send(message)

        with self.metrics.running.track_inprogress():
            try:
                await self.app(scope, receive, sending)
            except ClientDisconnect:
                pass  # nobody is there to be told
            except Exception as error:
                self._unexpected(error, request_id)
                if not status:
                    await problem(scope, 500, "an unexpected error; it was logged")(scope, receive, sending)
            finally:
                self._tell(scope, status, time.perf_counter() - started, request_id)

    def _tell(self, scope: Scope, status: int, seconds: float, request_id: str) -> None:
        route = getattr(scope.get("route"), "path", "") or (
            "/web" if scope["path"].startswith("/web/") else "none"
        )
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self.metrics.requests.labels(method, route, status or 499).inc()
        self.metrics.seconds.labels(route).observe(seconds)
        told: dict[str, Any] = {
            "request_id": request_id,
            "client": client_of(scope),
            "method": method,
            "route": route,
            "status": status or 499,
            "ms": round(1000 * seconds, 1),
        }
        if error := scope.get("rag.error"):
            told["error"] = type(error).__name__
        if self.settings.log_questions and (question := scope["state"].get("question")):
            told["question"] = question
        _log.info("request", extra={"told": told})

    def _unexpected(self, error: Exception, request_id: str) -> None:
        """Log where it happened; what it says may hold a question."""
        place = "".join(traceback.format_tb(error.__traceback__))
        told = {"request_id": request_id, "error": type(error).__name__, "stack": place}
        if self.settings.log_questions:
            told["message"] = str(error)
        _log.error("unexpected error", extra={"told": told})


class JsonLines(logging.Formatter):
    """A JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        told: dict[str, Any] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **getattr(record, "told", {}),
        }
        if record.exc_info:
            told["stack"] = self.formatException(record.exc_info)
        return json.dumps(told, ensure_ascii=True)


class HumanLines(logging.Formatter):
    """A line for a person; control characters are shown, not obeyed."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; a stack follows on lines of its own."""
        told = dict(getattr(record, "told", {}))
        stack = told.pop("stack", "") or (self.formatException(record.exc_info) if record.exc_info else "")
        words = [record.getMessage(), *(f"{k}={v}" for k, v in told.items())]
        line = f"{self.formatTime(record, '%H:%M:%S')} {record.levelname.lower():<7} {' '.join(words)}"
        return "".join(c if c.isprintable() else repr(c)[1:-1] for c in line) + (
            f"\n{stack}" if stack else ""
        )


def set_up_logs(settings: Settings) -> None:
    """Send the log of the service and of its server to stderr, in the configured form."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if settings.log_format == "json" else HumanLines())
    for name in ("rag", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(logging.INFO)
        logger.propagate = False


def _request_id(scope: Scope) -> str:
    """The id the client gave, where it is fit for a log; else a new one."""
    given = next((v.decode("latin-1") for k, v in scope["headers"] if k == b"x-request-id"), "")
    return given if _ID.fullmatch(given) else uuid.uuid4().hex
