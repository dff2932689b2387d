"""Summaries in the letters' own words: one cited line a measure, or one a letter."""

import pytest

from rag.assistant import Assistant
from rag.overview import lines_of


def paths(lines):
    return [(x.letter.id, x.measure.path) for x in lines]


def test_letter_is_summed_up_measure_by_measure(engine):
    answer = Assistant(engine).ask("这封信讲了哪些措施?", letter_id="songhe-jobs")
    assert not answer.refused
    lines = answer.answer.splitlines()
    assert len(lines) == len(answer.citations) == 12
    assert lines[0] == "(一)做强产业带动就业。[1]"
    assert all(c.letter.text[c.start : c.end] == c.quote for c in answer.citations)
    assert [c.measure.path for c in answer.citations][:3] == ["一/(一)", "一/(二)", "一/(三)"]


def test_letter_may_be_named(engine):
    assert {i for i, _ in paths(lines_of(engine, "临溪县的复函采取了哪些措施?"))} == {"linxi-health"}


def test_measure_without_a_heading_is_told_by_its_first_sentence(engine):
    answer = Assistant(engine).ask("总结一下这封信", letter_id="beiling-housing")
    assert answer.citations[0].quote.startswith("我县于2020年启动")


def test_several_letters_get_a_line_each(engine):
    answer = Assistant(engine).ask("这封信主要讲了什么内容?")
    assert len(answer.citations) == len(engine.index.letters)
    assert "关于加强东泽湖流域综合治理的建议[" in answer.answer


@pytest.mark.parametrize("question", ["各部门怎么支持灵活就业?", "哪些部门采取了支持灵活就业的措施?"])
def test_who_does_what_gets_a_line_a_letter(engine, question):
    assert [i for i, _ in paths(lines_of(engine, question))] == ["songhe-jobs"]


def test_thing_that_no_letter_speaks_of_is_refused(engine):
    answer = Assistant(engine).ask("各部门怎么支持火箭发射?")
    assert answer.refused


@pytest.mark.parametrize(
    "question",
    [
        "零工驿站建了多少家?",
        "这封信是哪天写的?",
        "哪个部门负责加装电梯?",
        "你好",
        "复函中技能补贴的标准是什么?",
        "这份答复里取消的项目有哪些?",
    ],
)
def test_other_questions_ask_for_no_summary(engine, question):
    assert lines_of(engine, question) is None
