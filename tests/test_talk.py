"""``rag chat``: a question a line, each with what was said before it.

Contract: answers on stdout, everything else on stderr; with ``--json`` one JSON answer a line; a question that cannot be asked does
not end the conversation.
"""

import io
import json

import pytest
from scripted import writing

from rag.assistant import Assistant
from rag.cli import main
from rag.talk import talk

ASKED = "渔歌街道养老服务综合体设置护理床位多少张?"
FIRST = "渔歌街道养老服务综合体设有86张护理床位。[1]"
WRONG = "它自2023年10月18日起运营。[1]"


@pytest.fixture
def chat(monkeypatch, capsys, library):
    """Run ``rag chat`` over lines."""

    def run(*lines, options=()):
        monkeypatch.setenv("RAG_INDEX_DIR", str(library))
        monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
        code = main(["chat", *options])
        return code, *capsys.readouterr()

    return run


def test_each_line_leans_on_the_ones_before(chat):
    code, out, err = chat("渔歌街道养老服务综合体在哪里?", "它有多少张床位?")
    assert (code, err) == (0, "")
    assert "渔歌街道养老服务综合体有多少张床位?" in out
    assert "设置护理床位86张" in out
    assert "[1] 海洲市民政局 · 2025-03-18 · haizhou-civil.txt" in out


def test_json_is_an_answer_a_line(chat):
    code, out, err = chat(
        "渔歌街道养老服务综合体在哪里?", "", "它有多少张床位?", "/new", "它有多少张床位?", options=["--json"]
    )
    answers = [json.loads(line) for line in out.splitlines()]
    assert (code, err) == (0, "")
    assert answers[0]["reason"] is None
    assert answers[1]["short_answer"] == "86张"
    assert answers[2]["refused"] or answers[2]["citations"][0]["letter_id"]
    assert len(answers) == 3


def test_quit_ends_and_wrong_lines_do_not(chat):
    code, out, err = chat("问" * 3000, ASKED, "/quit", ASKED, options=["--json"])
    assert code == 0
    assert len(out.splitlines()) == 1
    assert err.startswith("rag: the question has 3,000 characters")


def test_one_letter_only(chat):
    _, out, _ = chat("这封信讲了哪些措施?", options=["--letter", "linxi-health"])
    assert out.startswith("1.深化紧密型医共体建设。[1]\n2.改善基层硬件条件。[2]\n")


def test_sentences_of_a_model_are_shown_once(engine, capsys):
    (answer,) = talk(Assistant(engine, writing(FIRST)), io.StringIO(f"{ASKED}\n"))
    out = capsys.readouterr().out
    assert answer.mode == "generated"
    assert out.count(FIRST) == 1
    assert "[1] 海洲市民政局" in out


def test_retracted_sentences_are_followed_by_the_letters_own(engine, capsys):
    (answer,) = talk(Assistant(engine, writing(FIRST + WRONG, WRONG)), io.StringIO(f"{ASKED}\n"))
    out = capsys.readouterr().out
    assert answer.reason == "unverified"
    assert WRONG not in out
    assert out.index(FIRST) < out.index("设置护理床位86张,".replace(",", "，"))
