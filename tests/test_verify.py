"""Nothing leaves unproved.

Contract: a quote stands in its letter to the character, or the answer is not given; a number of an answer stands
in a quote with the same value and the same unit, after normalising; footnote marks are no numbers.
"""

import pytest

from rag.errors import VerificationError
from rag.verify import unproved, verify_quote, verify_text

QUOTE = "截至目前,全市建成驿站63家,服务1.2万人次,满意度95.6%,投入20余亿元。"


@pytest.mark.parametrize(
    "text",
    [
        "63家",
        "６３家",
        "６３ 家",
        "六十三家",
        "建成了63家[1]",
        "服务12000人次",
        "服务12,000人次",
        "服务一万二千人次",
        "满意度百分之九十五点六",
        "满意度９５．６％",
        "投入20亿元",
        "没有数字的一句话",
        f"{QUOTE}[1]",
        "",
    ],
)
def test_number_that_stands_in_the_quote_is_proved(text):
    assert unproved(text, [QUOTE]) == []


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("建成63人", ["63人"]),
        ("建成64家", ["64家"]),
        ("建成六十四家", ["六十四家"]),
        ("建成163家", ["163家"]),
        ("建成6家", ["6家"]),
        ("服务1.2万人", ["1.2万人"]),
        ("服务1.2亿人次", ["1.2亿人次"]),
        ("满意度95.6", ["95.6"]),
        ("满意度提高95.6个百分点", ["95.6个百分点"]),
        ("投入20余万元", ["20余万元"]),
        ("63家和64家", ["64家"]),
        ("2024年建成63家", ["2024年"]),
        ("5月建成63家", ["5月"]),
    ],
)
def test_number_that_stands_in_no_quote_is_named(text, wrong):
    assert unproved(text, [QUOTE]) == wrong


def test_number_changed_inside_han_text_is_caught():
    assert unproved("建成零工驿站36家", ["全市建成零工驿站63家。"]) == ["36家"]


def test_date_of_the_quote_proves_itself_and_its_parts():
    quotes = ["云龙线于2024年8月16日建成通车。"]
    assert unproved("2024年8月16日通车", quotes) == []
    assert unproved("2024年8月17日通车", quotes) == ["2024年8月17日"]
    assert unproved("1月通车", ["云龙线于11月建成通车。"]) == ["1月"]


def test_any_of_several_quotes_may_prove_a_number():
    assert unproved("63家、5期", ["建成63家。", "办了5期。"]) == []


def test_without_quotes_nothing_is_proved():
    assert unproved("63家", []) == ["63家"]


def test_blank_between_number_and_unit_in_the_letter_does_not_matter():
    assert unproved("63家", ["建成 63 家。"]) == []


def test_text_with_an_unproved_number_is_refused_by_name():
    with pytest.raises(VerificationError, match="63人"):
        verify_text("建成63人", [QUOTE])


def test_proved_text_passes():
    verify_text("建成63家[1]", [QUOTE])


def test_exact_quote_passes(seed):
    start = seed.text.index("截至目前,全市建成零工驿站63家。")
    verify_quote(seed, start, start + 17, "截至目前,全市建成零工驿站63家。")


@pytest.mark.parametrize(
    ("shift_start", "shift_end", "quote"),
    [
        (1, 0, "截至目前,全市建成零工驿站63家。"),
        (0, 1, "截至目前,全市建成零工驿站63家。"),
        (0, 0, "截至目前，全市建成零工驿站63家。"),
        (0, 0, "截至目前,全市建成零工驿站36家。"),
        (0, -17, ""),
        (0, 10**6, "截至目前,全市建成零工驿站63家。"),
        (-(10**6), 0, "截至目前,全市建成零工驿站63家。"),
    ],
)
def test_quote_that_does_not_stand_there_is_refused(seed, shift_start, shift_end, quote):
    start = seed.text.index("截至目前,全市建成零工驿站63家。")
    with pytest.raises(VerificationError, match="wuhan-hrss-2025-07-31"):
        verify_quote(seed, start + shift_start, start + 17 + shift_end, quote)
