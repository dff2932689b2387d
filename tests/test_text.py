"""Text as the search sees it: half-width, lower case, Simplified, and never longer or shorter than it was.

Contract: offsets into folded text are offsets into the letter; terms are Han characters and their pairs, Latin
words and whole numbers.
"""

import unicodedata

import pytest

from rag.text import fold, has_han, simplify, terms


@pytest.mark.parametrize(
    ("written", "folded"),
    [
        ("６３家", "63家"),
        ("（一）、：；！？，", "(一)、:;!?,"),
        ("ＡＢＣ５Ｇ", "abc5g"),
        ("「青苗教師」", "“青苗教师”"),
        ("東澤湖流域面積", "东泽湖流域面积"),
        ("％", "%"),
        ("已是简体", "已是简体"),
        ("", ""),
    ],
)
def test_fold(written, folded):
    assert fold(written) == folded


@pytest.mark.parametrize(
    "written", ["㎡與㎞", "ﬁ①½…", "𠮷祥街道６３家", "İstanbul", "衛生廳裏髮後乾", "a\u0301é", "❶㈠㊤"]
)
def test_fold_keeps_the_length(written):
    assert len(fold(written)) == len(written)


def test_the_common_characters_stay_as_they_are():
    """The claim that lets them be passed over: none has another compatible or lower-case form."""
    common = [
        *map(chr, range(ord("㐀"), ord("鿿") + 1)),
        *"abcdefghijklmnopqrstuvwxyz0123456789 \n,.:;!?()%。、",
    ]
    assert [c for c in common if unicodedata.normalize("NFKC", c).lower() != c] == []


def test_every_letter_keeps_its_length_when_folded(letters, seed):
    for letter in (*letters.values(), seed):
        assert len(fold(letter.text)) == len(letter.text)


@pytest.mark.parametrize(
    ("traditional", "simplified"),
    [("臨溪縣的智能藥櫃", "临溪县的智能药柜"), ("電梯", "电梯"), ("养老", "养老"), ("abc", "abc")],
)
def test_simplify(traditional, simplified):
    assert simplify(traditional) == simplified


def test_terms_of_han_text_are_characters_and_pairs():
    assert terms("零工驿") == ["零", "工", "驿", "零工", "工驿"]


def test_terms_keep_numbers_and_latin_words_whole():
    assert terms("5.4%的AI企业") == ["5.4", "的", "ai", "企", "业", "企业"]


def test_terms_are_the_same_in_either_width_and_script():
    assert terms("東澤湖６３") == terms("东泽湖63")


def test_terms_of_punctuation_are_none():
    assert terms("，。！?") == []


@pytest.mark.parametrize(("text", "expected"), [("how many 家", True), ("how many", False), ("", False)])
def test_has_han(text, expected):
    assert has_han(text) is expected
