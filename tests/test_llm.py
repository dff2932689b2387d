"""A chat model behind a service, over the wire.

Contract: whatever the service does, the answer comes within the time set, is right, and says what it is: ``generated`` when the
model's text stood the checks, else the extractive one with ``reason`` ``unverified`` and one line that says why. The key is sent to
the service and stands nowhere else; a service on this machine is asked without proxies.
"""

import asyncio
import logging
import re

import pytest
import xllamacpp
from scripted import failing
from services import breaks_off, in_turn, page, serving, silent, status, trickles, writes
from tiny import write_model

from rag.assistant import Assistant
from rag.errors import ModelError
from rag.llm import KEY, open_model
from rag.settings import Settings

ASKED = "渔歌街道养老服务综合体设置护理床位多少张?"
RIGHT = "渔歌街道养老服务综合体设有86张护理床位。[1]"
WRONG = "渔歌街道养老服务综合体设有96张护理床位。[1]"
SECRET = "key-of-the-test"


@pytest.fixture
def assistant(engine, monkeypatch):
    """An assistant whose model is behind an address."""
    monkeypatch.setenv(KEY, SECRET)

    def build(address, **given):
        settings = Settings(
            llm_base_url=address,
            llm_model="m",
            _env_file=None,
            **{"llm_timeout_seconds": 30, "llm_retries": 0, **given},
        )
        return Assistant.open(settings, engine)

    return build


def assert_extractive(answer):
    assert (answer.mode, answer.reason, answer.refused) == ("extractive", "unverified", False)
    assert answer.short_answer == "86张"
    assert answer.citations[0].quote in answer.answer


def test_text_that_stands_is_the_answer(assistant):
    with serving(writes(RIGHT)) as service:
        answer = assistant(service.address).ask(ASKED)
    assert (answer.mode, answer.reason, answer.answer) == ("generated", None, RIGHT)
    assert answer.citations[0].quote.startswith("位于港湾区渔歌路66号")
    assert service.requests[0]["stream"] is True
    assert service.headers[0]["authorization"] == f"Bearer {SECRET}"


def test_the_same_without_an_event_loop_held_up(assistant):
    with serving(writes(RIGHT)) as service:
        own = assistant(service.address)
        for _ in range(2):  # each in a loop of its own
            assert asyncio.run(own.aask(ASKED)).answer == RIGHT


def test_several_questions_at_once(assistant):
    async def ask(own):
        return await asyncio.gather(*(own.aask(ASKED) for _ in range(4)))

    with serving(writes(RIGHT)) as service:
        found = asyncio.run(ask(assistant(service.address)))
    assert [a.answer for a in found] == [RIGHT] * 4


@pytest.mark.parametrize(
    ("behave", "line"),
    [
        (writes(WRONG), "did not stand the checks"),
        (writes("无法回答"), "did not stand the checks"),
        (writes(""), "no usable reply|did not stand"),
        (status(429), "429"),
        (status(500), "HTTP 500"),
        (status(401), "refused the key"),
        (status(404), "HTTP 404"),
        (page, "no usable reply|did not stand"),
        (breaks_off("渔歌街道养老服务综合体设有"), "broke off"),
        (breaks_off(RIGHT), "broke off"),
    ],
    ids=["wrong", "cannot", "empty", "429", "500", "401", "404", "page", "cut", "cut-after-a-sentence"],
)
def test_service_that_fails_leaves_the_extractive_answer_and_one_line(assistant, behave, line):
    with serving(behave) as service:
        events = list(assistant(service.address).stream(ASKED))
    assert_extractive(events[-1].answer)
    details = [e.data["detail"] for e in events if e.data.get("state") == "extractive"]
    assert len(details) == 1
    assert "\n" not in details[0]
    assert re.search(line, details[0])


@pytest.mark.parametrize("behave", [silent, trickles], ids=["silent", "trickles"])
def test_service_that_never_ends_is_left_while_it_is_still_at_it(assistant, behave):
    with serving(behave) as service:
        answer = assistant(service.address, llm_timeout_seconds=0.6).ask(ASKED)
        assert not service.released.is_set()
        assert_extractive(answer)
        answer = asyncio.run(assistant(service.address, llm_timeout_seconds=0.6).aask(ASKED))
        assert not service.released.is_set()
        assert_extractive(answer)


def test_busy_service_is_asked_again(assistant):
    with serving(in_turn(status(429, retry_after="0"), status(503), writes(RIGHT))) as service:
        answer = assistant(service.address, llm_retries=2).ask(ASKED)
    assert answer.answer == RIGHT
    assert len(service.requests) == 3


def test_nobody_there(assistant):
    with serving(silent) as service:
        address = service.address
    assert_extractive(assistant(address).ask(ASKED))


def test_nothing_secret_is_told(assistant, caplog):
    caplog.set_level(logging.DEBUG)
    told = []
    for behave in (status(401), status(500), page, writes(WRONG), breaks_off("渔")):
        with serving(behave) as service:
            own = assistant(service.address)
            told += [str(e.data) for e in own.stream(ASKED)]
            told.append(repr(own.model))
    told += [r.getMessage() for r in caplog.records if r.name.startswith("rag")]
    for text in told:
        for secret in (SECRET, "secret-of-the-service", "编号的资料"):
            assert secret not in text


def test_proxy_of_the_environment_is_not_used_for_this_machine(assistant, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with serving(writes(RIGHT)) as service:
        assert assistant(service.address).ask(ASKED).answer == RIGHT


@pytest.mark.parametrize("question", ["武汉市有多少座桥?", "你好", "渔歌街道的局长叫什么名字?"])
def test_question_without_evidence_costs_nothing(assistant, question):
    with serving(writes(RIGHT)) as service:
        assert assistant(service.address).ask(question).refused
    assert service.requests == []


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    """llama.cpp's own server over a model with random weights."""
    path = tmp_path_factory.mktemp("tiny") / "tiny.gguf"
    write_model(path)
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(path)
    parameters.n_ctx = 16384
    parameters.n_parallel = 1
    parameters.warmup = False
    parameters.cpuparams.n_threads = 1
    parameters.port = 0
    server = xllamacpp.Server(parameters)
    yield f"{server.listening_address}/v1"
    del server


def test_nonsense_of_a_real_server_never_reaches_a_person(assistant, llama):
    own = assistant(llama, llm_max_tokens=64)
    events = list(own.stream(ASKED))
    assert [e.kind for e in events] == ["status", "status", "status", "answer"]
    assert_extractive(events[-1].answer)


def test_nor_without_streaming(assistant, llama):
    own = assistant(llama, llm_max_tokens=64)
    own.model.disable_streaming = True
    assert_extractive(own.ask(ASKED))
    assert_extractive(asyncio.run(own.aask(ASKED)))


def test_without_settings_there_is_no_model():
    settings = Settings(_env_file=None)
    assert not settings.uses_llm
    assert open_model(settings) is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"llm_base_url": "http://127.0.0.1:1/v1"}, "RAG_LLM_MODEL is not"),
        ({"llm_base_url": "127.0.0.1", "llm_model": "m"}, "no address"),
        ({"llm_model": "nobody:knows"}, "nobody:knows"),
        ({"llm_model": "deepseek:deepseek-chat"}, "langchain-deepseek"),
    ],
)
def test_half_a_configuration_says_what_is_missing(given, said, monkeypatch):
    monkeypatch.delenv(KEY, raising=False)
    with pytest.raises(ModelError, match=said):
        open_model(Settings(_env_file=None, **given))


def test_key_is_no_setting(monkeypatch):
    monkeypatch.setenv(KEY, SECRET)
    assert SECRET not in repr(Settings(_env_file=None))


def test_model_of_another_provider_by_its_langchain_name(monkeypatch):
    monkeypatch.setenv(KEY, SECRET)
    model = open_model(Settings(llm_model="openai:gpt-x", _env_file=None))
    assert model.model_name == "gpt-x"
    assert SECRET not in repr(model)


def test_model_that_raises_something_unknown(engine):
    answer = Assistant(engine, failing(RuntimeError("secret-of-the-service"))).ask(ASKED)
    assert_extractive(answer)
