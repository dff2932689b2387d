"""Question to answer with a model that writes what the test says.

Contract: no sentence is shown before it has been checked; a sentence that does not stand is written anew once, else the extractive
answer is given as ``unverified``; without evidence the model is not asked; what is cited is the letter's own sentence.
"""

import asyncio

import pytest
from scripted import failing, writing

from rag.assistant import Assistant
from rag.errors import QuestionError

ASKED = "渔歌街道养老服务综合体设置护理床位多少张?"
FIRST = "渔歌街道养老服务综合体设有86张护理床位。[1]"
SECOND = "它自2024年10月18日起运营,已服务34,000人次。[1]"
WRONG = "它自2023年10月18日起运营。[1]"


def ask(engine, *replies, question=ASKED, **given):
    model = writing(*replies)
    return Assistant(engine, model).ask(question, **given), model


def shown(events):
    return [e.data["text"] for e in events if e.kind == "sentence"]


def test_text_that_stands_is_given_with_the_sentences_of_the_letter(engine):
    answer, model = ask(engine, FIRST + SECOND)
    assert (answer.answer, answer.mode, answer.reason) == (FIRST + SECOND, "generated", None)
    assert answer.short_answer == "86张"
    (citation,) = answer.citations
    assert citation.letter.text[citation.start : citation.end] == citation.quote
    assert citation.quote.startswith("位于港湾区渔歌路66号")
    assert set(answer.timings_ms) == {"retrieve", "answer", "write", "total"}
    assert len(model.asked) == 1


def test_marks_count_the_sentences_cited_and_not_the_sources_shown(engine):
    answer, _ = ask(
        engine, "综合体有86张护理床位。[1]海洲市建成社区养老服务站412个。[1]综合体建筑面积4100平方米。[1]"
    )
    assert (
        answer.answer
        == "综合体有86张护理床位。[1]海洲市建成社区养老服务站412个。[2]综合体建筑面积4100平方米。[1]"
    )
    assert [c.n for c in answer.citations] == [1, 2]


def test_wrong_sentence_is_written_anew_and_what_stood_is_kept(engine):
    answer, model = ask(engine, FIRST + WRONG, SECOND)
    assert answer.answer == FIRST + SECOND
    assert len(model.asked) == 2
    assert "2023年10月18日 is not in the source" in model.asked[1]
    assert FIRST in model.asked[1]


def test_second_wrong_text_leaves_the_extractive_answer(engine):
    answer, model = ask(engine, FIRST + WRONG, WRONG)
    assert (answer.mode, answer.reason, answer.refused) == ("extractive", "unverified", False)
    assert answer.answer == engine.ask(ASKED).answer
    assert len(model.asked) == 2


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "   ",
        "无法回答",
        "没有编号的一句话。",
        "胡言乱语",
        "<think>想不完",
        "[1]",
        "。。。[1]",
        "86",
        "[1]" * 500,
    ],
)
def test_text_of_no_use_leaves_the_extractive_answer(engine, reply):
    answer, _ = ask(engine, reply)
    assert (answer.mode, answer.reason) == ("extractive", "unverified")


def test_endless_text_is_left(engine):
    answer, model = ask(engine, "字" * 100_000)
    assert answer.reason == "unverified"
    assert len(model.sent) < 20_000


def test_thoughts_are_no_part_of_the_answer(engine):
    answer, _ = ask(engine, f"<think>\n共99张?不对。[1]\n</think>\n\n{FIRST}")
    assert answer.answer == FIRST


def test_lists_keep_their_lines(engine):
    answer, _ = ask(engine, f"1. {FIRST}\n2. **{SECOND}**\n")
    assert answer.answer == f"- {FIRST}\n- {SECOND}"


def test_quote_of_another_width_is_put_into_the_characters_of_the_letter(engine):
    question = "《海洲市居家养老服务三年行动方案》是什么时候印发的?"
    answer, _ = ask(
        engine, "《海洲市居家养老服务三年行动方案(2025—2027年)》于2024年11月印发。[1]", question=question
    )
    assert answer.mode == "generated"
    assert "《海洲市居家养老服务三年行动方案（2025—2027年）》" in answer.answer


@pytest.mark.parametrize(
    "quote",
    [
        "“自二〇二四年十月十八日运营以来”",
        "“设置护理床位八十六张”",
        "“设置护理床位86张、”",
        "“设置护理床为86张”",
    ],
)
def test_quote_that_differs_in_more_than_width_does_not_stand(engine, quote):
    answer, _ = ask(engine, f"复函写道:{quote}。[1]")
    assert answer.reason == "unverified"


@pytest.mark.parametrize(
    "quote", ["“设置护理床位86张”", '"设置护理床位８６张"', "“设置护理床位86张,集日间照料”"]
)
def test_quote_is_shown_in_the_characters_of_the_letter(engine, quote):
    answer, _ = ask(engine, f"复函写道:{quote}。[1]")
    assert answer.mode == "generated"
    shown = answer.answer.split("“")[1].split("”")[0]
    assert shown in answer.citations[0].letter.text


def test_nothing_is_shown_before_it_has_been_checked(engine):
    model = writing(FIRST + WRONG, SECOND, piece=1)
    stream = Assistant(engine, model).stream(ASKED)
    seen = []
    for event in stream:
        if event.kind == "sentence":
            seen.append((event.data["text"], len("".join(model.sent))))
    assert [text for text, _ in seen] == [FIRST, SECOND]
    assert seen[0][1] < len(FIRST + WRONG)  # while the second one was still being written


def test_wrong_first_sentence_is_never_shown(engine):
    events = list(Assistant(engine, writing(WRONG, WRONG)).stream(ASKED))
    assert shown(events) == []
    assert [e.data.get("state") for e in events if e.kind == "status"] == [
        "writing",
        "repairing",
        "extractive",
    ]
    assert events[-1].answer.reason == "unverified"


def test_citations_come_before_the_sentence_that_needs_them(engine):
    kinds = [e.kind for e in Assistant(engine, writing(FIRST)).stream(ASKED)]
    assert kinds == ["status", "citations", "sentence", "answer"]


def test_stream_without_end_is_stopped_when_nobody_listens(engine):
    model = writing(FIRST * 200, piece=2)
    stream = Assistant(engine, model).stream(ASKED)
    for event in stream:
        if event.kind == "sentence":
            break
    stream.close()
    before = len(model.sent)
    assert before < 200 * len(FIRST) / 2


@pytest.mark.parametrize("question", ["武汉市有多少座桥?", "你好", "渔歌街道的局长叫什么名字?"])
def test_without_evidence_the_model_is_not_asked(engine, question):
    answer, model = ask(engine, FIRST, question=question)
    assert answer.refused
    assert model.asked == []


def test_model_sees_the_sources_and_the_question_and_no_more(engine):
    _, model = ask(engine, FIRST)
    (prompt,) = model.asked
    assert ASKED in prompt
    assert "[1] 海洲市民政局 · 2025-03-18" in prompt
    assert "{" not in prompt


def test_awaited_answer_is_the_same(engine):
    answer = asyncio.run(Assistant(engine, writing(FIRST + WRONG, SECOND)).aask(ASKED))
    assert answer.answer == FIRST + SECOND


def test_awaited_stream_shows_the_same(engine):
    async def gathered():
        return [e async for e in Assistant(engine, writing(FIRST + WRONG, SECOND)).astream(ASKED)]

    awaited = asyncio.run(gathered())
    plain = list(Assistant(engine, writing(FIRST + WRONG, SECOND)).stream(ASKED))
    assert [(e.kind, e.data.get("text")) for e in awaited] == [(e.kind, e.data.get("text")) for e in plain]


def test_awaited_failure_leaves_the_extractive_answer(engine):
    answer = asyncio.run(Assistant(engine, failing(ConnectionError("x"))).aask(ASKED))
    assert answer.reason == "unverified"


def test_english_question_is_answered_in_english_with_the_words_of_the_letter(engine):
    question = "How many nursing beds does 渔歌街道养老服务综合体 have?"
    text = "It has 86 beds (“设置护理床位86张”). [1]"
    answer, _ = ask(engine, text, question=question)
    if not engine.ask(question).refused:
        assert answer.answer == "It has 86 beds (“设置护理床位86张”).[1]"


def test_summary_in_prose(engine):
    text = "临溪县组建了2个紧密型县域医共体。[1]县里配备了6台CT。[2]"
    answer, model = ask(engine, text, question="这封信讲了哪些措施?", letter_id="linxi-health")
    assert (answer.answer, answer.mode) == (text, "generated")
    assert "每条资料写一句话" in model.asked[0]


def test_summary_that_does_not_stand_is_given_in_the_letters_words(engine):
    answer, _ = ask(
        engine, "临溪县组建了3个医共体。[1]", question="这封信讲了哪些措施?", letter_id="linxi-health"
    )
    assert answer.reason == "unverified"
    assert answer.answer.splitlines()[0] == "1.深化紧密型医共体建设。[1]"


def test_model_makes_a_follow_up_whole_when_no_rule_can(engine):
    history = [{"role": "user", "content": "你好"}, {"role": "user", "content": "谢谢"}]
    answer, model = ask(engine, "绿色大象有几头?", FIRST, question="那培训了多少人?", history=history)
    assert answer.refused  # it was not made of what was said
    assert len(model.asked) == 1


def test_history_that_is_none_is_an_error(engine):
    with pytest.raises(QuestionError, match="history"):
        Assistant(engine).ask(ASKED, history=[{"role": "robot", "content": "x"}])
