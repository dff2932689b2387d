"""Who to call about a letter, from the question to the terminal, the service and the page.

Contract: name and number of the contact stand in no answer, citation, suggestion or summary, unless they are asked for; then
they are quoted from their place, for a question in Chinese and in English.
"""

import json
import shutil

import pytest
from fakes import run_python, serving
from fastapi.testclient import TestClient

from rag.api import create_app
from rag.index import parse_all, update
from rag.settings import Settings

LETTER = """雨河市园林局关于市政协五届三次会议第77号提案的答复
方启明委员:
您提出的《关于增加口袋公园的提案》收悉,现答复如下:
一、建设公园绿地。全市建成口袋公园58处,绿道126公里。
二、管护古树名木。管护古树219株,设立养护专班12个。
三、下一步打算。2026年计划新建口袋公园20处。
感谢您对园林工作的关心和支持。
雨河市园林局
2025年5月6日
(联系人:沈砚秋,联系电话:0716-8420117)
"""
NAME, PHONE = "沈砚秋", "0716-8420117"
ASKED_FOR = {
    "联系人是谁?": NAME,
    "联系电话是多少?": PHONE,
    "电话是多少?": PHONE,
    "园林局的电话多少": PHONE,
    "雨河市园林局联系方式": PHONE,
    "怎么联系你们?": PHONE,
    "Who is the contact person?": NAME,
    "What is the contact phone number?": PHONE,
}
OTHERS = (
    "口袋公园建了多少处?",
    "古树由谁管护?",
    "谁来负责养护?",
    "这封信讲了哪些措施?",
    "沈砚秋是谁?",
    "8420117",
    "2025年5月6日之后还建多少?",
    "How many pocket parks were built?",
    "Who looks after the old trees?",
    "What does this letter promise?",
    "财政局的电话是多少?",
    "口袋公园的热线是多少?",
)
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="module")
def home(tmp_path_factory, embedder):
    folder = tmp_path_factory.mktemp("contact")
    (folder / "park.txt").write_text(LETTER, encoding="utf-8")
    update(folder / "index", parse_all([folder / "park.txt"]), embedder)
    return folder


@pytest.fixture(scope="module")
def settings(home):
    return Settings(index_dir=home / "index", seeds_dir=home, requests_per_minute=0, _env_file=None)


@pytest.fixture(scope="module")
def client(settings, embedder):
    with TestClient(create_app(settings, embedder), "http://127.0.0.1") as opened:
        yield opened


def assert_kept_out(told, question):
    """Whatever is told of an answer holds neither; only the question itself may."""
    assert [x for x in (NAME, PHONE, "8420117") if x in told.replace(question, "")] == []


def test_terminal_tells_them_only_when_asked(home):
    questions = [*OTHERS, *ASKED_FOR]
    (home / "questions.jsonl").write_text(
        "\n".join(json.dumps({"id": str(n), "question": q}) for n, q in enumerate(questions)),
        encoding="utf-8",
    )
    done = run_python(
        "-m", "rag.cli", "ask", "--json", "--batch", "questions.jsonl", cwd=home, RAG_INDEX_DIR="index"
    )
    lines = dict(zip(questions, done.stdout.splitlines(), strict=True))
    for question in OTHERS:
        assert_kept_out(json.dumps(json.loads(lines[question]), ensure_ascii=False), question)
    assert {q: json.loads(lines[q])["short_answer"] for q in ASKED_FOR} == ASKED_FOR


@pytest.mark.parametrize("question", OTHERS)
def test_service_keeps_them_out_of_answers_whole_and_streamed(client, question):
    assert_kept_out(client.post("/chat", json={"question": question}).text, question)
    assert_kept_out(client.post("/chat", json={"question": question, "stream": True}).text, question)
    messages = {"messages": [{"role": "user", "content": question}]}
    assert_kept_out(client.post("/v1/chat/completions", json=messages).text, question)


@pytest.mark.parametrize(("question", "answer"), ASKED_FOR.items())
def test_service_quotes_them_when_asked(client, question, answer):
    found = client.post("/chat", json={"question": question}).json()
    (citation,) = found["citations"]
    assert (found["short_answer"], citation["quote"]) == (answer, answer)
    assert LETTER[citation["start"] : citation["end"]] == answer


def test_suggestions_do_not_ask_for_them(client):
    assert_kept_out(client.get("/suggestions").text, "")


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium fonts-wqy-microhei")
def test_page_shows_them_only_when_asked(settings, embedder):
    from playwright.sync_api import sync_playwright

    with serving(create_app(settings, embedder)) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(locale="zh-CN")
        page.goto(address)
        for n, question in enumerate(
            (OTHERS[0], OTHERS[7], "联系人是谁?", "What is the contact phone number?")
        ):
            page.fill("#question", question)
            page.press("#question", "Enter")
            page.locator(".turn").nth(n).locator(".sentences").wait_for()
            if n < 2:
                assert_kept_out(page.locator("#turns").inner_text(), "")
        assert page.locator(".turn .short").all_inner_texts() == ["58处", "58处"]
        told = page.locator(".turn .sentences").all_inner_texts()
        assert [NAME in told[2], PHONE in told[3]] == [True, True]
        browser.close()
