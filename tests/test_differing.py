"""Two letters, two figures: both are shown, each with the date that stands in its letter, and which is newer.

Contract: only of letters of other dates that speak of one place or come from one body, only for the same thing in the same unit; a
question that names a year, or one letter, has one answer; every figure and every date stands in a cited quote.
"""

import pytest
from fakes import letter_of

from rag.differing import Dated, spoken
from rag.engine import Engine
from rag.index import update
from rag.settings import Settings
from rag.verify import unproved

ASKED = "零工驿站建了多少家?"
TEXT = "某委员:\n提案收悉,答复如下:\n一、支持灵活就业。{lead}全市建成零工驿站{n}家。{more}\n二、办培训。举办培训班5期。\n{issuer}\n{date}\n"


def letter(name, n, date, issuer="青州市人力资源和社会保障局", *, lead="截至目前,", more="", unit="家"):
    text = TEXT.format(n=n, date=date, issuer=issuer, lead=lead, more=more).replace(f"{n}家", f"{n}{unit}")
    return letter_of(text, f"{name}.txt")


OLD = letter("old", 36, "2024年6月30日", lead="截至5月底,")
NEW = letter("new", 63, "二〇二五年七月三十一日")


@pytest.fixture
def ask(tmp_path, embedder):
    def asking(letters, question=ASKED, **given):
        folder = tmp_path / "index"
        update(folder, letters, embedder)
        return Engine.open(Settings(index_dir=folder, _env_file=None), embedder).ask(question, **given)

    return asking


def test_both_figures_are_shown_newest_first_with_their_dates(ask):
    found = ask([OLD, NEW])
    assert found.answer == (
        "截至目前,全市建成零工驿站63家。[1]（较新的复函：二〇二五年七月三十一日[2]）\n"
        "截至5月底,全市建成零工驿站36家。[3]（较早的复函：2024年6月30日[4]）"
    )
    assert found.short_answer == "63家；36家"
    assert [c.letter.id for c in found.citations] == ["new", "new", "old", "old"]


def test_every_figure_and_date_of_it_is_quoted(ask):
    found = ask([OLD, NEW])
    assert unproved(found.answer, [c.quote for c in found.citations]) == []
    for c in found.citations:
        assert c.letter.text[c.start : c.end] == c.quote


def test_three_letters_are_shown_in_the_order_of_their_dates(ask):
    found = ask([OLD, NEW, letter("oldest", 12, "2023年6月1日")])
    assert found.short_answer == "63家；36家；12家"


def test_answer_in_english_is_told_in_english(ask):
    quotes = [c.quote for c in ask([OLD, NEW]).citations]
    assert spoken(Dated((), 1.0), quotes, "en") == (
        "截至目前,全市建成零工驿站63家。[1] (newest letter: 二〇二五年七月三十一日[2])\n"
        "截至5月底,全市建成零工驿站36家。[3] (older letter: 2024年6月30日[4])"
    )


@pytest.mark.parametrize(
    "other",
    [
        letter("same", 63, "2024年6月30日"),
        letter("place", 36, "2024年6月30日", issuer="白石市人力资源和社会保障局"),
        letter("day", 36, "二〇二五年七月三十一日"),
        letter("undated", 36, ""),
        letter("unit", 36, "2024年6月30日", unit="人"),
        letter("thing", 63, "2024年6月30日", more="另有社区食堂36家。"),
    ],
    ids=lambda a: a.id,
)
def test_one_figure_is_shown_when_the_letters_do_not_differ_on_the_thing(ask, other):
    found = ask([NEW, other])
    assert "较早" not in found.answer


def test_question_about_one_letter_has_one_figure(ask):
    assert ask([OLD, NEW], letter_id="old").short_answer == "36家"


def test_question_that_names_a_year_has_the_figure_of_that_year(ask):
    assert ask([OLD, NEW], "2024年零工驿站建了多少家?").short_answer == "36家"


def test_letters_that_tell_no_body_are_not_of_one(ask):
    unsigned = [letter("old", 36, "2024年6月30日", issuer=""), letter("new", 63, "2025年7月31日", issuer="")]
    assert "较早" not in ask(unsigned).answer
