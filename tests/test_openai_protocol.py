"""OpenAI's protocol, as its own clients speak it.

Contract: the official client, LangChain's and curl get the answer with its citation, streamed and not; the citation is a
link to the sentence in the text, an annotation of OpenAI's own form, and in full as data; what clients send besides is
accepted; nothing of a letter becomes a tag, a picture or a link.
"""

import asyncio
import json
import shutil
import subprocess

import httpx2
import openai
import pytest
from fakes import assert_problem, letter_of, serving
from fastapi.testclient import TestClient

from rag.api import create_app
from rag.engine import Engine
from rag.errors import QuestionError
from rag.events import waited_for
from rag.index import update
from rag.openai_protocol import chunks, content, failed, plain
from rag.settings import Settings

ASKED, QUOTE = "零工驿站建了多少家?", "截至目前,全市建成零工驿站63家。"
PLACE = "/letters/wuhan-hrss-2025-07-31#c=2300-2317"
USER = [{"role": "user", "content": ASKED}]


@pytest.fixture(scope="module")
def address(seed_library, embedder):
    settings = Settings(index_dir=seed_library, requests_per_minute=0, _env_file=None)
    with serving(create_app(settings, embedder)) as found:
        yield found


@pytest.fixture(scope="module")
def client(address):
    with openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0) as opened:
        yield opened


def test_answer_and_its_citation(client, address):
    found = client.chat.completions.create(model="letter-rag", messages=USER)
    text = found.choices[0].message.content
    assert text.split("\n")[:3] == ["**63家**", "", f"{QUOTE}[1]"]
    assert (
        text.split("\n")[-1]
        == f"[1] [武汉市人力资源和社会保障局 · 2025-07-31 · (一)大力支持灵活就业。]({address}{PLACE})"
    )
    (note,) = found.choices[0].message.annotations
    assert note.url_citation.url == address + PLACE
    assert text[note.url_citation.start_index : note.url_citation.end_index] == "[1]"
    (citation,) = found.citations
    assert (citation["quote"], citation["start"], citation["end"]) == (QUOTE, 2300, 2317)
    assert (found.short_answer, found.refused, found.choices[0].finish_reason) == ("63家", False, "stop")
    assert found.usage.total_tokens == len(ASKED) + len(text)


def test_stream_gives_the_same_with_the_citations_first(client):
    whole = client.chat.completions.create(model="letter-rag", messages=USER)
    parts = list(
        client.chat.completions.create(
            model="letter-rag", messages=USER, stream=True, stream_options={"include_usage": True}
        )
    )
    text = "".join(p.choices[0].delta.content or "" for p in parts if p.choices)
    assert text == whole.choices[0].message.content
    assert parts[0].citations == whole.citations
    assert parts[0].choices[0].delta.content == ""
    assert parts[0].choices[0].delta.annotations[0]["type"] == "url_citation"
    assert [p.choices[0].finish_reason for p in parts if p.choices][-1] == "stop"
    assert (parts[-1].choices, parts[-1].usage) == ([], whole.usage)
    assert len({p.id for p in parts}) == 1


def test_usage_is_streamed_only_where_asked_for(client):
    parts = list(client.chat.completions.create(model="letter-rag", messages=USER, stream=True))
    assert all(p.choices for p in parts)


def test_history_and_parts_and_unknown_fields_are_accepted(client):
    found = client.chat.completions.create(
        model="gpt-x",
        messages=[
            {"role": "system", "content": "Answer in one word."},
            {"role": "user", "content": "你好"},
            {"role": "assistant", "content": None, "tool_calls": []},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": ASKED},
                    {"type": "image_url", "image_url": {"url": "x"}},
                ],
            },
        ],
        temperature=0.7,
        max_tokens=5,
        tools=[],
        user="someone",
        extra_body={"anything": {"else": 1}},
    )
    assert found.short_answer == "63家"


def test_refusal_is_an_answer_without_citations(client):
    found = client.chat.completions.create(
        model="letter-rag", messages=[{"role": "user", "content": "北京建了多少家零工驿站?"}]
    )
    assert (found.refused, found.reason, found.citations) == (True, "wrong_scope", [])
    assert found.choices[0].message.content.startswith("现有复函没有提到“北京”")


def test_letter_can_be_chosen(client):
    with pytest.raises(openai.NotFoundError, match="there is no letter 'zzz'"):
        client.chat.completions.create(model="letter-rag", messages=USER, extra_body={"letter_id": "zzz"})


@pytest.mark.parametrize(
    "messages", [[], [{"role": "system", "content": "x"}], [{"role": "user", "content": " "}]]
)
def test_what_cannot_be_asked_is_an_error_the_client_knows(client, messages):
    for stream in (False, True):
        with pytest.raises(openai.UnprocessableEntityError) as caught:
            client.chat.completions.create(model="letter-rag", messages=messages, stream=stream)
        assert_problem(caught.value.response, 422, "Unprocessable Entity")


def test_models_are_one(client):
    assert [m.id for m in client.models.list()] == ["letter-rag"]
    assert client.models.retrieve("letter-rag").object == "model"
    with pytest.raises(openai.NotFoundError, match="there is letter-rag"):
        client.models.retrieve("gpt-4")


@pytest.mark.parametrize("streaming", [False, True])
def test_langchain_gets_answer_and_citation(address, streaming):
    from langchain_openai import ChatOpenAI

    model = ChatOpenAI(model="letter-rag", base_url=f"{address}/v1", api_key="none", stream_usage=True)
    told = "".join(part.content for part in model.stream(ASKED)) if streaming else model.invoke(ASKED).content
    assert told.startswith(f"**63家**\n\n{QUOTE}[1]")
    assert told.endswith(f"({address}{PLACE})")


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl here")
@pytest.mark.parametrize("stream", [False, True])
def test_curl_gets_answer_and_citation(address, stream):
    body = json.dumps({"model": "letter-rag", "messages": USER, "stream": stream})
    command = ["curl", "-sS", "--noproxy", "*", f"{address}/v1/chat/completions"]
    done = subprocess.run(
        [*command, "-H", "Content-Type: application/json", "-d", body],
        capture_output=True,
        text=True,
        check=True,
    )
    if stream:
        lines = [line.removeprefix("data: ") for line in done.stdout.split("\n") if line]
        assert lines[-1] == "[DONE]"
        parts = [json.loads(line) for line in lines[:-1]]
        assert parts[0]["citations"][0]["quote"] == QUOTE
        assert QUOTE in "".join(p["choices"][0]["delta"].get("content", "") for p in parts)
    else:
        found = json.loads(done.stdout)
        assert found["citations"][0]["quote"] == QUOTE
        assert QUOTE in found["choices"][0]["message"]["content"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("建成63家[1]", "建成63家[1]"),
        ("<img src=x>建成", r"\<img src=x>建成"),
        ("![x](http://evil.example/a.png)", r"\![x]\(http://evil.example/a.png)"),
        ("[点](javascript:alert(1))", r"[点]\(javascript:alert(1))"),
        ("[1]: http://evil.example/建成63家。", r"[1]\: http://evil.example/建成63家。"),
    ],
)
def test_markdown_in_a_letter_is_text(text, shown):
    assert plain(text) == shown


def test_heading_of_a_letter_cannot_make_a_link(tmp_path, embedder):
    text = "某委员:\n一、[甲](http://evil.example)<b>。建成零工驿站63家。\n二、办培训。办班5期。\n"
    update(tmp_path / "index", [letter_of(text)], embedder)
    engine = Engine.open(Settings(index_dir=tmp_path / "index", _env_file=None), embedder)
    told, _ = content(engine.ask("建成零工驿站多少家?"), "http://127.0.0.1")
    assert r"一、\[甲\](http:](http://127.0.0.1/letters/small#c=35-45)" in told


def test_deep_history_is_limited(seed_library, embedder):
    app = create_app(Settings(index_dir=seed_library, _env_file=None), embedder)
    with TestClient(app, "http://127.0.0.1") as opened:
        response = opened.post("/v1/chat/completions", json={"messages": USER * 1001})
        assert_problem(response, 422, "Unprocessable Entity", "messages")


def streamed(make, silence=0.05):
    async def gathered():
        parts = waited_for(
            make, lambda answer: chunks(answer, ASKED, "http://x", usage=False), failed, silence
        )
        return [part async for part in parts]

    return asyncio.run(gathered())


def test_stream_that_waits_for_its_answer_sends_comments_that_clients_pass_over(seed_library, embedder):
    engine = Engine.open(Settings(index_dir=seed_library, _env_file=None), embedder)

    async def slow():
        await asyncio.sleep(0.2)
        return engine.ask(ASKED)

    parts = streamed(slow)
    assert (parts[0], parts[-1]) == (": waiting\n\n", "data: [DONE]\n\n")

    def service(_):
        return httpx2.Response(200, text="".join(parts), headers={"Content-Type": "text/event-stream"})

    with openai.OpenAI(
        base_url="http://x/v1",
        api_key="none",
        http_client=openai.DefaultHttpxClient(transport=httpx2.MockTransport(service)),
    ) as client:
        found = client.chat.completions.create(model="letter-rag", messages=USER, stream=True)
        assert "**63家**" in "".join(c.choices[0].delta.content or "" for c in found)


def test_error_in_the_midst_of_a_stream_is_told_as_openai_does():
    async def failing():
        raise QuestionError("the question is empty", "a question in one line")

    (told, end) = streamed(failing)
    assert json.loads(told.removeprefix("data: "))["error"] == {
        "message": "the question is empty; expected a question in one line",
        "type": "invalid_request_error",
        "code": None,
        "param": None,
    }
    assert end == "data: [DONE]\n\n"
