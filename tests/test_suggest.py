"""Suggested questions.

Contract: each is made from a sentence of the letter, and the product answers it with that sentence.
"""

import pytest
from fakes import letter_of

from rag.quantities import quantities
from rag.suggest import Suggestions, _question


@pytest.mark.parametrize(
    ("clause", "question"),
    [
        ("全市建成零工驿站63家", "全市建成零工驿站多少家?"),
        ("截至目前,全市建成零工驿站63家", ""),  # a clause holds no comma
        ("其中新增就业见习基地61家", "新增就业见习基地多少家?"),
        ("为企业减轻社保成本12.29亿元", "为企业减轻社保成本多少元?"),
        ("同比增长5.4%", ""),
        ("较去年同期增加12家", ""),
        ("建成3家", ""),
        ("位于江汉区西北湖路55号", ""),
        ("开展“春风行动”等招聘活动395场", ""),
        ("服务老年人3.4万人次以上的机构", ""),
    ],
)
def test_clause_that_ends_in_an_amount_becomes_a_question(clause, question):
    part = clause.split(",")[-1] if not question else clause
    amounts = list(quantities(part))
    found = _question(part, amounts[0]) if amounts and "," not in clause else ""
    assert found == question


def test_each_is_answered_with_its_own_measure(engine):
    made = Suggestions()
    for letter in engine.index.letters[:3]:
        found = made.of_letter(engine, letter, 3)
        assert len(found) == 3
        for suggestion in found:
            answer = engine.ask(suggestion.question, letter_id=letter.id)
            assert not answer.refused
            assert answer.citations[0].measure.path == suggestion.path


def test_general_ones_are_of_the_newest_letters_in_turn(engine):
    found = Suggestions().of_all(engine)
    newest = sorted(engine.index.letters, key=lambda a: a.date, reverse=True)[:3]
    assert [s.letter.id for s in found] == [a.id for a in newest] * 2


def test_letter_without_amounts_suggests_nothing(engine):
    letter = letter_of("某委员:\n一、建站点。继续推进零工驿站建设。\n二、办培训。加强培训。\n")
    assert Suggestions().of_letter(engine, letter) == []
