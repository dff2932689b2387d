"""What a letter speaks of.

Contract: a letter whose issuer, title or addressee a question names comes before one that only mentions the name; the place all
letters in question are of tells no measure from another, so it is not searched for.
"""

import pytest
from fakes import letter_of

from rag.engine import Engine
from rag.heads import ReadHeads
from rag.index import update
from rag.question import understand
from rag.scope import is_about, place_of
from rag.settings import Settings

OWN = "青山市教育局关于第1号提案的答复\n某委员:\n一、盖学校。建成学校12所。\n二、招老师。招聘教师90名。\n青山市教育局\n2025年3月1日\n"
OTHER = "白水市教育局关于第2号提案的答复\n某委员:\n一、学习经验。赴青山市考察,建成学校7所。\n二、其他。略。\n白水市教育局\n2025年3月1日\n"


@pytest.fixture
def both(tmp_path, embedder):
    letters = [letter_of(OWN, "own.txt"), letter_of(OTHER, "other.txt")]
    update(tmp_path / "index", letters, embedder)
    return Engine.open(Settings(index_dir=tmp_path / "index", _env_file=None), embedder)


def test_place_of_a_letter_is_that_of_its_issuer():
    assert [place_of(letter_of(t)) for t in (OWN, OTHER)] == ["青山", "白水"]


def test_letter_without_an_issuer_has_no_place():
    assert place_of(letter_of("某委员:\n一、盖学校。建成12所。\n")) == ""


def test_letter_is_about_what_its_head_names():
    asked = understand("青山市建成学校多少所?")
    heads = ReadHeads([letter_of(t) for t in (OWN, OTHER)])
    assert is_about(asked, heads).tolist() == [True, False]


def test_question_without_names_is_about_no_letter():
    assert is_about(understand("建成学校多少所?"), ReadHeads([letter_of(OWN)])) is None


def test_letter_that_only_mentions_the_place_does_not_answer_for_it(both):
    answer = both.ask("青山市建成学校多少所?")
    assert {c.letter.id for c in answer.citations} == {"own"}
    assert answer.short_answer == "12所"


def test_own_place_is_not_searched_for(both):
    asked = both.without_own_names(understand("青山建成学校多少所?"), ["own"]).asked
    assert "青山" not in asked
    assert "学校" in asked


def test_place_that_tells_letters_apart_is_searched_for(both):
    asked = both.without_own_names(understand("青山建成学校多少所?"), ["own", "other"]).asked
    assert "青山" in asked
