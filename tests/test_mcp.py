"""The letters for agents, by the SDK's own client: in one process, over stdio and over HTTP.

Contract: each way gives the answer with its citation; what is wrong is told to the agent as an error of the tool.
"""

import asyncio
import os
import sys

import pytest
from fakes import ROOT, serving
from mcp import Client, StdioServerParameters
from mcp.shared.exceptions import MCPError

from rag.api import create_app
from rag.engine import Engine
from rag.mcp import LetterServer
from rag.settings import Settings

ASKED, QUOTE = "零工驿站建了多少家?", "截至目前,全市建成零工驿站63家。"


@pytest.fixture(scope="module")
def server(seed_library, embedder):
    engine = Engine.open(Settings(index_dir=seed_library, _env_file=None), embedder)
    return LetterServer(lambda: engine)


def with_client(server, talk):
    async def run():
        async with Client(server) as client:
            return await talk(client)

    return asyncio.run(run())


async def _asked(client):
    return await client.call_tool("ask", {"question": ASKED})


def assert_answered(result):
    assert not result.is_error
    answer = result.structured_content
    assert answer["short_answer"] == "63家"
    assert [(c["quote"], c["start"], c["end"]) for c in answer["citations"]] == [(QUOTE, 2300, 2317)]


def test_answer_in_one_process(server):
    assert_answered(with_client(server, _asked))


def test_answer_over_stdio(seed_library):
    environment = {
        "RAG_INDEX_DIR": str(seed_library),
        "PYTHONPATH": str(ROOT),
        "HF_HUB_OFFLINE": "1",
        "PATH": os.environ["PATH"],
    }
    command = StdioServerParameters(command=sys.executable, args=["-m", "rag.cli", "mcp"], env=environment)
    assert_answered(with_client(command, _asked))


def test_answer_over_http(seed_library, embedder):
    app = create_app(Settings(index_dir=seed_library, _env_file=None), embedder)
    with serving(app) as address:
        assert_answered(with_client(f"{address}/mcp", _asked))


def test_tools_say_what_they_take_and_only_read(server):
    async def listed(client):
        return (await client.list_tools()).tools

    tools = {t.name: t for t in with_client(server, listed)}
    assert set(tools) == {"ask", "search", "read_letter"}
    assert set(tools["ask"].input_schema["properties"]) == {"question", "letter_id"}
    assert tools["ask"].input_schema["required"] == ["question"]
    assert all(t.description and t.annotations.read_only_hint for t in tools.values())


def test_search_and_read(server):
    async def talk(client):
        found = await client.call_tool("search", {"query": "残疾人就业", "k": 2})
        letter = await client.call_tool("read_letter", {"letter_id": "wuhan-hrss-2025-07-31"})
        return found.structured_content, letter.structured_content

    found, letter = with_client(server, talk)
    assert found["hits"][0]["path"] == "三/(三)"
    assert len(found["hits"]) == 2
    assert letter["text"][2300:2317] == QUOTE
    assert len(letter["measures"]) == 20


def test_letters_are_resources(server, seed):
    async def talk(client):
        listed = (await client.list_resources()).resources
        read = await client.read_resource(listed[0].uri)
        return listed, read.contents[0].text

    listed, text = with_client(server, talk)
    assert [(r.uri, r.title) for r in listed] == [("letter://wuhan-hrss-2025-07-31", seed.title)]
    assert text == seed.text


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("read_letter", {"letter_id": "zzz"}, "there is no letter 'zzz'"),
        ("ask", {"question": ASKED, "letter_id": "zzz"}, "there is no letter 'zzz'"),
        ("ask", {"question": " "}, "the question is empty"),
        ("ask", {}, "question"),
        ("search", {"query": "x", "k": 0}, "k"),
    ],
)
def test_what_is_wrong_is_an_error_of_the_tool(server, tool, arguments, said):
    async def talk(client):
        return await client.call_tool(tool, arguments)

    result = with_client(server, talk)
    assert result.is_error
    assert said in result.content[0].text


def test_unknown_letter_is_no_resource(server):
    async def talk(client):
        with pytest.raises(MCPError, match="there is no letter 'zzz'"):
            await client.read_resource("letter://zzz")

    with_client(server, talk)
