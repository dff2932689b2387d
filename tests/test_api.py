"""The HTTP service, and its contract for errors.

Every error, whatever its cause, is RFC 9457 problem+json of one shape: ``type`` (about:blank), ``title`` (the phrase
of the status), ``status`` (the number), ``detail`` (one line for a person) and, for a body or parameter that is not
as expected, ``errors``: a list of ``at`` and ``detail``. Nothing else, and never a stack.

Answers are those of the JSON contract. Without an index the service is up but not ready; it becomes ready, and
takes up a new generation, without a restart.
"""

import asyncio
import json
import threading

import httpx
import pytest
from fakes import assert_problem, letter_of, serving
from fastapi.testclient import TestClient

from rag.api import create_app
from rag.errors import IndexBusy, QuestionError
from rag.events import answer_events
from rag.flow import Event
from rag.guard import MAX_BODY_BYTES
from rag.index import update
from rag.problems import told
from rag.settings import Settings
from rag.store import CURRENT

ASKED = "家庭养老床位每张一次性建设补贴多少钱？"


@pytest.fixture(scope="module")
def client(library, embedder):
    settings = Settings(index_dir=library, requests_per_minute=0, _env_file=None)
    app = create_app(settings, embedder)
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as opened:
        yield opened


@pytest.fixture
def empty(tmp_path, embedder):
    """A service over a folder in which there is no index yet, and that folder."""
    settings = Settings(index_dir=tmp_path / "index", _env_file=None)
    app = create_app(settings, embedder)
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        yield client, tmp_path / "index"


def events(text):
    """The name and data of each server-sent event."""
    found = [dict(x.split(": ", 1) for x in block.split("\n")) for block in text.split("\n\n") if block]
    return [(e["event"], json.loads(e["data"])) for e in found]


def timeless(answer):
    return {name: value for name, value in answer.items() if name != "timings_ms"}


def test_chat_gives_the_answer_of_the_engine(client, engine):
    response = client.post("/chat", json={"question": ASKED})
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert timeless(response.json()) == timeless(engine.ask(ASKED).as_dict())
    assert response.json()["short_answer"] == "2500元"


def test_chat_refuses_with_status_200(client):
    response = client.post("/chat", json={"question": "柳川县有多少张床位？"})
    assert response.status_code == 200
    assert (response.json()["refused"], response.json()["reason"]) == (True, "wrong_scope")


def test_chat_takes_a_letter_and_a_number_of_measures(client):
    body = {"question": ASKED, "letter_id": "haizhou-civil", "k": 1}
    assert client.post("/chat", json=body).json()["short_answer"] == "2500元"


def test_stream_gives_citations_before_sentences_and_the_whole_answer_last(client, engine):
    response = client.post("/chat", json={"question": ASKED, "stream": True})
    assert response.headers["content-type"].startswith("text/event-stream")
    found = events(response.text)
    assert [name for name, _ in found] == ["status", "citations", "sentence", "status", "answer", "done"]
    assert [data["state"] for name, data in found if name == "status"] == ["reading", "answered"]
    answer = engine.ask(ASKED).as_dict()
    data = dict(found)
    assert data["citations"]["citations"] == answer["citations"]
    assert data["sentence"]["text"] == answer["answer"]
    assert timeless(data["answer"]) == timeless(answer)


def test_question_that_leans_on_the_one_before_is_understood(client):
    body = {"question": "那培训了多少人?"}
    before = [
        {"role": "user", "content": "海洲市的养老护理员有哪些补贴?"},
        {"role": "assistant", "content": "…"},
    ]
    assert client.post("/chat", json=body).json()["reason"] == "not_a_question"
    answer = client.post("/chat", json={**body, "history": before}).json()
    assert (answer["question"], answer["short_answer"]) == ("那培训了多少人?", "4380人次")
    streamed = client.post("/chat", json={**body, "history": before, "stream": True})
    assert dict(events(streamed.text))["answer"]["short_answer"] == "4380人次"


def test_stream_of_a_refusal_has_no_citations(client):
    response = client.post("/chat", json={"question": "你好", "stream": True})
    data = dict(events(response.text))
    assert data["status"] == {"state": "refused"}
    assert "citations" not in data
    assert data["answer"]["reason"] == "not_a_question"


def test_search_gives_hits_best_first(client):
    body = client.get("/search", params={"q": "加装电梯补助", "k": 3}).json()
    assert body["query"] == "加装电梯补助"
    assert body["hits"][0]["letter_id"] == "beiling-housing"
    scores = [hit["score"] for hit in body["hits"]]
    assert scores == sorted(scores, reverse=True)
    assert len(scores) == 3


def test_search_in_one_letter(client):
    hits = client.get("/search", params={"q": "补助", "letter": "linxi-health"}).json()["hits"]
    assert {hit["letter_id"] for hit in hits} == {"linxi-health"}


def test_letters_are_listed(client):
    body = client.get("/letters").json()
    assert [a["letter_id"] for a in body["letters"]] == [
        "beiling-housing",
        "dongze-env",
        "haizhou-civil",
        "linxi-health",
        "nanpu-rural",
        "qingyuan-edu",
        "songhe-jobs",
        "yunling-transport",
    ]


def test_letter_has_its_text_and_measures_as_offsets(client, letters):
    body = client.get("/letters/dongze-env").json()
    assert body["text"] == letters["dongze-env"].text
    assert [m["path"] for m in body["measures"]] == ["前言", "一", "二", "三", "四", "五", "结尾"]
    for measure in body["measures"]:
        assert body["text"][measure["start"] : measure["end"]] == measure["quote"]


@pytest.mark.parametrize(
    ("body", "at"),
    [
        ({}, "question"),
        ({"question": 5}, "question"),
        ({"question": None}, "question"),
        ({"question": ["a"]}, "question"),
        ({"question": ASKED, "k": 0}, "k"),
        ({"question": ASKED, "k": 51}, "k"),
        ({"question": ASKED, "k": "5"}, "k"),
        ({"question": ASKED, "k": 1.5}, "k"),
        ({"question": ASKED, "stream": "yes"}, "stream"),
        ({"question": ASKED, "letter_id": 7}, "letter_id"),
        ({"question": ASKED, "more": 1}, "more"),
        ([], "body"),
        ("text", "body"),
        (None, "body"),
    ],
)
def test_body_of_other_fields_or_types_is_422_and_says_where(client, body, at):
    response = client.post("/chat", json=body)
    assert_problem(response, 422, "Unprocessable Entity", at)
    assert any(at in error["at"] for error in response.json()["errors"])


@pytest.mark.parametrize("content", [b"{", b"not json", b'{"question": }', b"\xff\xfe"])
def test_body_that_is_no_json_is_400(client, content):
    response = client.post("/chat", content=content, headers={"content-type": "application/json"})
    assert_problem(response, 400, "Bad Request")


def test_empty_body_is_422(client):
    assert_problem(client.post("/chat"), 422, "Unprocessable Entity", "body")


@pytest.mark.parametrize(
    ("question", "said"),
    [("", "empty"), (" \n", "empty"), ("问" * 2001, "2,001 characters")],
)
def test_question_that_cannot_be_asked_is_422(client, question, said):
    response = client.post("/chat", json={"question": question})
    assert_problem(response, 422, "Unprocessable Entity", said)
    assert_problem(client.get("/search", params={"q": question}), 422, "Unprocessable Entity", said)


def test_lone_surrogate_is_422(client):
    response = client.post(
        "/chat",
        content=b'{"question": "\\ud800 how many beds?"}',
        headers={"content-type": "application/json"},
    )
    assert_problem(response, 422, "Unprocessable Entity")


@pytest.mark.parametrize(
    ("content", "status", "title"),
    [
        (b'{"question": "beds?", "\\ud800": 1}', 422, "Unprocessable Entity"),
        (b'{"question": "how many beds?", "letter_id": "\\ud800"}', 404, "Not Found"),
        (b'{"question": NaN}', 422, "Unprocessable Entity"),
        (b'{"question": "beds?", "k": 1e999}', 422, "Unprocessable Entity"),
        (b'{"question": "beds?", "k": ' + b"9" * 5000 + b"}", 400, "Bad Request"),
        (b"[" * 100_000, 400, "Bad Request"),
    ],
    ids=["surrogate-name", "surrogate-letter", "nan", "infinite", "huge", "deep"],
)
def test_hostile_json_is_a_problem_and_no_crash(client, content, status, title):
    response = client.post("/chat", content=content, headers={"content-type": "application/json"})
    assert_problem(response, status, title)


def test_body_of_another_type_is_422(client):
    response = client.post("/chat", data={"question": "beds?"})
    assert_problem(response, 422, "Unprocessable Entity", "body")


def test_unknown_letter_is_404(client):
    for response in (
        client.get("/letters/zzz"),
        client.post("/chat", json={"question": ASKED, "letter_id": "zzz"}),
        client.get("/search", params={"q": "补助", "letter": "zzz"}),
    ):
        assert_problem(response, 404, "Not Found", "zzz")


def test_unknown_path_is_404(client):
    assert_problem(client.get("/nowhere"), 404, "Not Found")


@pytest.mark.parametrize(("method", "path"), [("GET", "/chat"), ("POST", "/search"), ("PUT", "/chat")])
def test_wrong_method_is_405_and_names_the_right_one(client, method, path):
    response = client.request(method, path)
    assert_problem(response, 405, "Method Not Allowed")
    assert response.headers["allow"]


@pytest.mark.parametrize("path", ["/", "/healthz", "/letters", "/letters/haizhou-civil", "/web/main.js"])
def test_head_is_get_without_its_body(client, path):
    head, get = client.head(path), client.get(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == get.headers["content-length"]


def test_writer_that_is_at_work_is_told_as_such():
    assert told(IndexBusy("x")) == (503, "another process is changing the letters; try again when it is done")


@pytest.mark.parametrize("parameters", [{}, {"q": "补助", "k": "many"}, {"q": "补助", "k": 0}])
def test_search_without_or_with_wrong_parameters_is_422(client, parameters):
    response = client.get("/search", params=parameters)
    assert_problem(response, 422, "Unprocessable Entity")
    assert response.json()["errors"]


def test_body_that_is_too_large_is_413(client):
    response = client.post("/chat", json={"question": "x" * MAX_BODY_BYTES})
    assert_problem(response, 413, "Request Entity Too Large", "262,144")


def test_body_of_unknown_length_is_read_up_to_the_limit(client):
    headers = {"content-type": "application/json"}
    whole = json.dumps({"question": ASKED}).encode()
    response = client.post("/chat", content=iter([whole[:9], whole[9:]]), headers=headers)
    assert response.json()["short_answer"] == "2500元"
    response = client.post("/chat", content=iter([b"x" * 100_000] * 3), headers=headers)
    assert_problem(response, 413, "Request Entity Too Large", "262,144")


def test_without_an_index_the_service_is_up_but_not_ready(empty):
    client, _ = empty
    assert client.get("/healthz").json() == {"status": "ok"}
    assert_problem(client.get("/readyz"), 503, "Service Unavailable", "run: rag index")
    response = client.post("/chat", json={"question": ASKED})
    assert_problem(response, 503, "Service Unavailable", "run: rag index")


def test_service_becomes_ready_when_the_index_is_built(empty, embedder, letters):
    client, folder = empty
    assert client.get("/readyz").status_code == 503
    change = update(folder, [letters["haizhou-civil"]], embedder)
    assert client.get("/readyz").json() == {"status": "ok", "generation": change.generation}
    assert client.post("/chat", json={"question": ASKED}).json()["short_answer"] == "2500元"


def test_new_generation_is_taken_up_with_the_next_request(empty, embedder):
    client, folder = empty
    for number in ("63", "64"):
        text = f"某委员:\n一、建站点。建成零工驿站{number}家。\n二、办培训。办班5期。\n"
        change = update(folder, [letter_of(text)], embedder)
        answer = client.post("/chat", json={"question": "建成零工驿站多少家?"}).json()
        assert answer["short_answer"] == f"{number}家"
        assert answer["index"]["generation"] == change.generation


def test_broken_new_generation_leaves_the_old_one_in_use(empty, embedder, letters):
    client, folder = empty
    update(folder, [letters["haizhou-civil"]], embedder)
    assert client.get("/readyz").status_code == 200
    (folder / CURRENT).write_text("gen-0000000000000000\n", encoding="utf-8")
    assert client.post("/chat", json={"question": ASKED}).json()["short_answer"] == "2500元"


def test_index_that_is_damaged_from_the_start_is_503(empty):
    client, folder = empty
    folder.mkdir()
    (folder / CURRENT).write_text("garbage", encoding="utf-8")
    assert_problem(client.get("/readyz"), 503, "Service Unavailable", "rag index --rebuild")


def test_openapi_shows_an_example_and_every_route(client):
    document = client.get("/openapi.json").json()
    assert {(path, method) for path, methods in document["paths"].items() for method in methods} == {
        ("/chat", "post"),
        ("/search", "get"),
        ("/letters", "get"),
        ("/letters", "post"),
        ("/letters/{letter_id}", "get"),
        ("/letters/{letter_id}", "delete"),
        ("/suggestions", "get"),
        ("/index/rebuild", "post"),
        ("/v1/chat/completions", "post"),
        ("/v1/models", "get"),
        ("/v1/models/{model}", "get"),
        ("/healthz", "get"),
        ("/readyz", "get"),
        ("/metrics", "get"),
    }
    for name, path in (("ChatRequest", "/chat"), ("CompletionRequest", "/v1/chat/completions")):
        (example,) = document["components"]["schemas"][name]["examples"]
        assert client.post(path, json=example).status_code == 200
    for methods in document["paths"].values():
        for operation in methods.values():
            assert operation["summary"]
            problem = operation["responses"]["422"]["content"]["application/problem+json"]["schema"]
            assert problem == {"$ref": "#/components/schemas/Problem"}


def test_letters_are_filtered_and_paged(client):
    body = client.get("/letters", params={"q": "海洲 民政"}).json()
    assert ([a["letter_id"] for a in body["letters"]], body["total"]) == (["haizhou-civil"], 1)
    body = client.get("/letters", params={"limit": 2, "offset": 3}).json()
    assert ([a["letter_id"] for a in body["letters"]], body["total"]) == (["linxi-health", "nanpu-rural"], 8)
    assert client.get("/letters", params={"q": "武汉"}).json() == {"letters": [], "total": 0}


def test_letter_is_a_page_where_html_is_asked_for(client):
    page = client.get("/letters/dongze-env", headers={"accept": "text/html,*/*;q=0.8"})
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.text == client.get("/").text
    assert client.get("/letters/dongze-env").headers["vary"] == "Accept"


def test_suggestions_are_answered_by_their_letter(client):
    questions = client.get("/suggestions", params={"letter": "haizhou-civil", "limit": 3}).json()["questions"]
    assert len(questions) == 3
    for q in questions:
        answer = client.post("/chat", json={"question": q["question"], "letter_id": q["letter_id"]}).json()
        assert (answer["refused"], answer["citations"][0]["path"]) == (False, q["path"])


def test_error_in_the_midst_of_a_stream_is_an_event(client):
    async def failing():
        raise QuestionError("the question is empty", "a question in one line")
        yield

    async def gathered():
        return "".join([part async for part in answer_events(failing(), lambda answer: answer)])

    found = events(asyncio.run(gathered()))
    assert [name for name, _ in found] == ["status", "error", "done"]
    assert found[1][1] == {
        "type": "about:blank",
        "title": "Unprocessable Entity",
        "status": 422,
        "detail": "the question is empty; expected a question in one line",
    }


def test_stream_that_waits_says_so_and_goes_on():
    async def slow():
        await asyncio.sleep(0.2)
        yield Event("sentence", {"text": "建成站点64家。[1]"})

    async def gathered():
        return [part async for part in answer_events(slow(), lambda answer: answer, silence=0.05)]

    parts = asyncio.run(gathered())
    assert parts[1] == ": waiting\n\n"
    told = [p for p in parts if not p.startswith(":")]
    assert [name for name, _ in events("".join(told))] == ["status", "sentence", "done"]


def test_listener_that_goes_ends_what_is_made_for_it():
    ended = []

    async def endless():
        try:
            await asyncio.sleep(60)
            yield Event("sentence", {"text": "never"})
        finally:
            ended.append("closed")

    async def listen_and_go():
        parts = answer_events(endless(), lambda answer: answer, silence=0.01)
        assert "reading" in await anext(parts)
        assert await anext(parts) == ": waiting\n\n"
        await parts.aclose()

    asyncio.run(listen_and_go())
    assert ended == ["closed"]


def test_no_path_of_the_machine_is_in_a_reply(empty):
    client, folder = empty
    for path in ("/readyz", "/letters", "/search?q=x", "/letters/zzz"):
        assert str(folder.parent) not in client.get(path).text


def test_many_questions_at_once_get_their_own_answers(client):
    questions = {ASKED: "2500元", "云龙线是哪天通车的？": "2024年8月16日"}
    found = []

    def ask(question):
        answer = client.post("/chat", json={"question": question}).json()
        found.append((answer["question"], answer["short_answer"]))

    threads = [threading.Thread(target=ask, args=(q,)) for q in [*questions] * 5]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == sorted([*questions.items()] * 5)


def test_real_server_answers_over_a_socket(library, embedder):
    app = create_app(Settings(index_dir=library, _env_file=None), embedder)
    with serving(app) as address, httpx.Client(base_url=address, trust_env=False) as client:
        assert client.post("/chat", json={"question": ASKED}).json()["short_answer"] == "2500元"
        body = {"question": ASKED, "stream": True}
        assert events(client.post("/chat", json=body).text)[-1] == ("done", {})
        assert_problem(client.get("/nowhere"), 404, "Not Found")
