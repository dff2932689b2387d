"""What the service tells of itself.

Contract: one line a request, with its id and without the text of the question unless that is asked for; no reply tells
of paths, stacks or keys; the metrics are read by Prometheus' own parser.
"""

import json
import logging

import pytest
from fakes import assert_problem
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from rag.api import create_app
from rag.settings import Settings
from rag.telemetry import HumanLines, JsonLines

ASKED = "家庭养老床位每张一次性建设补贴多少钱？"


@pytest.fixture
def opened(library, embedder, tmp_path, caplog):
    """Opens a client of a service with these settings; what it logs is in ``caplog``."""
    caplog.set_level(logging.INFO, "rag")
    clients = []

    def open_client(**settings):
        settings = {"index_dir": library, "keys_file": tmp_path / "keys.json", "_env_file": None} | settings
        app = create_app(Settings(**settings), embedder)

        @app.get("/broken")
        def broken(q: str) -> None:
            raise RuntimeError(f"{tmp_path}: {q}")

        client = TestClient(app, "http://127.0.0.1", raise_server_exceptions=False)
        clients.append(client.__enter__())
        return client

    yield open_client
    for client in clients:
        client.__exit__(None, None, None)


def told(caplog):
    return [r.told for r in caplog.records if r.name == "rag.access"]


def test_request_is_told_in_one_line_without_the_question(opened, caplog):
    client = opened()
    response = client.post("/chat", json={"question": ASKED})
    client.get("/search", params={"q": ASKED})
    first, second = (line for line in told(caplog) if line["route"] in ("/chat", "/search"))
    assert first["request_id"] == response.headers["x-request-id"]
    assert (first["method"], first["route"], first["status"], first["client"]) == (
        "POST",
        "/chat",
        200,
        "testclient",
    )
    assert first["ms"] > 0
    assert (second["method"], second["route"]) == ("GET", "/search")
    assert ASKED not in str([r.__dict__ for r in caplog.records])


def test_question_is_told_where_that_is_set(opened, caplog):
    opened(log_questions=True).post("/chat", json={"question": ASKED})
    assert told(caplog)[-1]["question"] == ASKED


def test_id_of_the_client_is_kept_where_it_is_fit(opened):
    client = opened()
    assert client.get("/healthz", headers={"x-request-id": "a-b.C:1"}).headers["x-request-id"] == "a-b.C:1"
    for unfit in ("a b", "x" * 65, 'a"b', ""):
        assert len(client.get("/healthz", headers={"x-request-id": unfit}).headers["x-request-id"]) == 32


def test_unexpected_error_is_a_problem_and_is_logged_without_what_it_says(opened, caplog, tmp_path):
    response = opened().get("/broken", params={"q": ASKED})
    assert_problem(response, 500, "Internal Server Error", "it was logged")
    assert str(tmp_path) not in response.text
    (record,) = (r for r in caplog.records if r.getMessage() == "unexpected error")
    assert record.told["error"] == "RuntimeError"
    assert record.told["request_id"] == response.headers["x-request-id"]
    assert "in broken" in record.told["stack"]
    assert ASKED not in str(record.__dict__)


def test_metrics_count_requests_and_answers(opened):
    client = opened()
    for question in (ASKED, ASKED, "你好"):
        client.post("/chat", json={"question": question})
    client.get("/nowhere")
    client.request("BREW", "/nowhere")
    families = text_string_to_metric_families(client.get("/metrics").text)
    values = {(s.name, *sorted(s.labels.items())): s.value for f in families for s in f.samples}
    chat = (("method", "POST"), ("route", "/chat"), ("status", "200"))
    assert values["rag_http_requests_total", *chat] == 3
    assert values["rag_http_requests_total", ("method", "GET"), ("route", "none"), ("status", "404")] == 1
    assert values["rag_http_requests_total", ("method", "other"), ("route", "none"), ("status", "404")] == 1
    assert values["rag_answers_total", ("outcome", "answered")] == 2
    assert values["rag_answers_total", ("outcome", "not_a_question")] == 1
    assert values["rag_http_request_seconds_count", ("route", "/chat")] == 3
    assert values["rag_index_letters",] == 8


def record(message, **told):
    made = logging.LogRecord("rag.access", logging.INFO, "x.py", 1, message, (), None)
    made.told = told
    return made


def test_json_line_is_one_object():
    line = JsonLines().format(record("request", route="/chat", question="零工\n驿站"))
    assert "\n" not in line
    found = json.loads(line)
    assert (found["event"], found["level"], found["route"]) == ("request", "info", "/chat")
    assert found["question"] == "零工\n驿站"


def test_line_for_a_person_shows_control_characters():
    line = HumanLines().format(record("request", question="a\x1b[31m\nb"))
    assert line.endswith(r"info    request question=a\x1b[31m\nb")
