"""Traces and metrics by OpenTelemetry.

Contract: nothing is sent unless OpenTelemetry's own variables name a place; then the service as it is started by its command
sends its spans there by OTLP, with how the answer went, and never a question.
"""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from fakes import run_python
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from processes import running

from rag import traces

ASKED = "零工驿站建了多少家?"
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def receiver():
    """A place that OTLP is sent to: its address, and what came, by path."""
    came = {"/v1/traces": [], "/v1/metrics": []}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            came[self.path].append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", came
    server.shutdown()
    server.server_close()
    thread.join()


def spans_of(bodies):
    found = {}
    for body in bodies:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            named = {a.key: a.value.string_value for a in resource.resource.attributes}
            for scope in resource.scope_spans:
                for span in scope.spans:
                    found[span.name] = (
                        named["service.name"],
                        span,
                        {a.key: a.value for a in span.attributes},
                    )
    return found


def test_service_sends_its_spans_where_the_variables_say(tmp_path, seed_library, receiver):
    address, came = receiver
    with running(tmp_path, seed_library, OTEL_EXPORTER_OTLP_ENDPOINT=address, no_proxy="*") as (_, client, _):
        client.post("/chat", json={"question": ASKED}, headers={"traceparent": PARENT})
        client.get("/search", params={"q": ASKED})
    spans = spans_of(came["/v1/traces"])
    assert set(spans) == {"POST /chat", "GET /search"}
    service, span, attributes = spans["POST /chat"]
    assert (service, attributes["http.response.status_code"].int_value) == ("letter-rag", 200)
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (PARENT[3:35], PARENT[36:52])
    assert (attributes["rag.outcome"].string_value, attributes["rag.mode"].string_value) == (
        "answered",
        "extractive",
    )
    assert attributes["rag.total_ms"].double_value > 0
    assert spans["GET /search"][2]["url.query"].string_value == "REDACTED"
    sent = b"".join(came["/v1/traces"] + came["/v1/metrics"])
    assert "零工".encode() not in sent
    assert b"%E9%9B%B6" not in sent
    metrics = [ExportMetricsServiceRequest.FromString(body) for body in came["/v1/metrics"]]
    names = {
        m.name for one in metrics for r in one.resource_metrics for s in r.scope_metrics for m in s.metrics
    }
    assert "http.server.request.duration" in names


def test_nothing_is_wanted_without_an_address_or_where_it_is_turned_off(monkeypatch):
    assert not traces.wanted()
    assert traces.tracing(log_questions=False)["tracing"] is False
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
    assert traces.wanted()
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    assert not traces.wanted()


def test_missing_sdk_is_one_line_that_says_what_to_install(tmp_path, seed_library):
    program = "import sys; sys.modules['opentelemetry.sdk'] = None; from rag.cli import main; sys.exit(main(['serve', '--port', '0']))"
    done = run_python(
        "-c",
        program,
        cwd=tmp_path,
        RAG_INDEX_DIR=str(seed_library),
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9",
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith(
        "run: pip install 'letter-rag[otel]', or unset OTEL_EXPORTER_OTLP_ENDPOINT"
    )
    assert "Traceback" not in done.stderr
