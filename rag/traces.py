"""Traces and metrics by OpenTelemetry, where its own variables name a place for them; never the text of a question.

The spans are FastAPI's own. What stands after the question mark of an address is left out of them, for it may be a question.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from opentelemetry import trace

from rag.errors import SetupError

if TYPE_CHECKING:
    from fastapi.telemetry import TelemetryConfig
    from opentelemetry.context import Context

    from rag.engine import Answer

_ADDRESSES = (
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
)
_QUIET = frozenset({"/healthz", "/readyz", "/metrics"})


def wanted() -> bool:
    """Whether the environment names a place for traces or metrics."""
    return any(os.environ.get(a) for a in _ADDRESSES) and os.environ.get("OTEL_SDK_DISABLED") != "true"


def check() -> None:
    """See that what the variables ask for can be done.

    Raises:
        SetupError: the variables are set and the SDK is not installed.
    """
    if wanted() and not all(find_spec(f"opentelemetry.{name}") for name in ("sdk", "exporter")):
        raise SetupError(
            "OpenTelemetry's variables are set, but its SDK is not installed",
            "opentelemetry-sdk and opentelemetry-exporter-otlp-proto-http",
            "run: pip install 'letter-rag[otel]', or unset OTEL_EXPORTER_OTLP_ENDPOINT",
        )


def tracing(*, log_questions: bool) -> TelemetryConfig:
    """How FastAPI is to trace: not at all, or to where the variables say.

    Raises:
        SetupError: the variables are set and the SDK is not installed.
    """
    if not wanted():
        return {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
    check()
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

    named = Resource.create({} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": "letter-rag"})
    provider = TracerProvider(resource=named, shutdown_on_exit=False)
    if not log_questions:
        provider.add_span_processor(_discreet())
    return {
        "tracer_provider": provider,
        "logs": False,  # FastAPI's hold what an error says, which may be a question
        "operation_spans": False,
        "auto_configure": True,
        "exclude": lambda scope: scope.get("path") in _QUIET or str(scope.get("path")).startswith("/web/"),
    }


def note(answer: Answer) -> None:
    """Say in the span of the request that runs how its question went."""
    span = trace.get_current_span()
    if not span.is_recording():
        return
    span.set_attribute("rag.outcome", answer.reason or "answered")
    span.set_attribute("rag.mode", answer.mode)
    span.set_attribute("rag.confidence", answer.confidence)
    span.set_attribute("rag.generation", str(answer.index["generation"]))
    for name, ms in answer.timings_ms.items():
        span.set_attribute(f"rag.{name}_ms", ms)


def _discreet() -> Any:
    """A processor that takes the query out of a span before anything is sent."""
    from opentelemetry.sdk.trace import Span, SpanProcessor

    class Discreet(SpanProcessor):
        def on_start(self, span: Span, parent_context: Context | None = None) -> None:
            if span.attributes and "url.query" in span.attributes:
                span.set_attribute("url.query", "REDACTED")

    return Discreet()
