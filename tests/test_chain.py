"""The whole flow as one LangChain Runnable.

Contract: every way to run it gives the answer of the JSON contract; in a stream the citations come before any text,
so that nothing is said before its proof, and the parts merge to the answer of ``invoke``.
"""

import asyncio

import pytest
from langchain_core.runnables import Runnable
from scripted import writing

from rag.chain import build_chain
from rag.errors import QuestionError

ASKED = "渔歌街道养老服务综合体设置护理床位多少张?"
REFUSED = "武汉市有多少座桥?"


@pytest.fixture
def chain(engine):
    return build_chain(engine)


def timeless(answer):
    return {name: value for name, value in answer.items() if name != "timings_ms"}


def merged(parts):
    whole = {}
    for part in parts:
        whole.update(part)
    return whole


async def gathered(stream):
    return [part async for part in stream]


def test_it_is_a_runnable(chain):
    assert isinstance(chain, Runnable)


def test_invoke_gives_the_answer_of_the_engine(chain, engine):
    assert timeless(chain.invoke(ASKED)) == timeless(engine.ask(ASKED).as_dict())
    assert chain.invoke(ASKED)["short_answer"] == "86张"


def test_invoke_takes_a_letter_and_a_number_of_measures(chain, engine):
    given = {"question": "加装电梯补助多少钱?", "letter_id": "linxi-health", "k": 2}
    expected = engine.ask(given["question"], letter_id="linxi-health", k=2).as_dict()
    assert timeless(chain.invoke(given)) == timeless(expected)


def test_batch_answers_in_order(chain):
    found = chain.batch([ASKED, REFUSED])
    assert [a["question"] for a in found] == [ASKED, REFUSED]
    assert [a["reason"] for a in found] == [None, "wrong_scope"]


@pytest.mark.parametrize("question", [ASKED, REFUSED, "你好"])
def test_stream_merges_to_the_answer_of_invoke(chain, question):
    assert timeless(merged(chain.stream(question))) == timeless(chain.invoke(question))


def test_citations_come_before_text_in_a_stream(chain):
    parts = list(chain.stream(ASKED))
    first_text = next(i for i, part in enumerate(parts) if "answer" in part)
    first_proof = next(i for i, part in enumerate(parts) if part.get("citations"))
    assert first_proof < first_text


def test_ainvoke_equals_invoke(chain):
    assert timeless(asyncio.run(chain.ainvoke(ASKED))) == timeless(chain.invoke(ASKED))


def test_abatch_equals_batch(chain):
    found = asyncio.run(chain.abatch([ASKED, REFUSED]))
    assert [timeless(a) for a in found] == [timeless(a) for a in chain.batch([ASKED, REFUSED])]


def test_astream_merges_to_the_answer_of_invoke(chain):
    parts = asyncio.run(gathered(chain.astream(ASKED)))
    assert timeless(merged(parts)) == timeless(chain.invoke(ASKED))


def test_it_goes_on_into_another_runnable(chain):
    assert (chain | (lambda answer: answer["short_answer"])).invoke(ASKED) == "86张"


def test_question_that_cannot_be_asked_is_an_error(chain):
    with pytest.raises(QuestionError, match="the question is empty"):
        chain.invoke(" ")


FIRST = "渔歌街道养老服务综合体设有86张护理床位。[1]"
SECOND = "它自2024年10月18日起运营。[1]"


@pytest.fixture
def written(engine):
    return build_chain(engine, writing(FIRST + SECOND))


def test_model_writes_the_answer(written):
    answer = written.invoke(ASKED)
    assert (answer["answer"], answer["mode"]) == (FIRST + SECOND, "generated")


def test_written_answer_grows_sentence_by_sentence(written):
    parts = list(written.stream(ASKED))
    assert [part["answer"] for part in parts if "answer" in part] == [FIRST, FIRST + SECOND, FIRST + SECOND]
    assert parts[0]["citations"][0]["n"] == 1
    assert timeless(merged(parts)) == timeless(written.invoke(ASKED))


def test_written_answer_is_awaited(written):
    assert timeless(asyncio.run(written.ainvoke(ASKED))) == timeless(written.invoke(ASKED))
    assert merged(asyncio.run(gathered(written.astream(ASKED))))["answer"] == FIRST + SECOND


def test_written_answers_in_a_batch(written):
    found = written.batch([ASKED, REFUSED, ASKED])
    assert [a["mode"] for a in found] == ["generated", "extractive", "generated"]
    assert [a["reason"] for a in asyncio.run(written.abatch([ASKED, REFUSED]))] == [None, "wrong_scope"]


def test_history_goes_with_the_question(chain):
    history = [{"role": "user", "content": "渔歌街道养老服务综合体在哪里?"}]
    assert chain.invoke({"question": "它有多少张床位?", "history": history})["short_answer"] == "86张"


def test_retracted_sentences_do_not_stay_in_the_answer(engine):
    wrong = "它自2023年10月18日起运营。[1]"
    chain = build_chain(engine, writing(FIRST + wrong, wrong))
    whole = merged(chain.stream(ASKED))
    assert whole["reason"] == "unverified"
    assert whole["answer"] == engine.ask(ASKED).answer
