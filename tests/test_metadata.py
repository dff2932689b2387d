"""Who wrote to whom, about what, and when: the fields of a letter, and where they stand in its text.

Contract: a field is a slice of the letter; a date is ISO whatever its numerals; what is not written is empty,
never guessed from elsewhere.
"""

import json

import pytest
from fakes import LETTERS, letter_of

EXPECTED = json.loads((LETTERS / "expected.json").read_text(encoding="utf-8"))
IDS = [name.removesuffix(".txt") for name in EXPECTED]


@pytest.mark.parametrize("letter_id", IDS)
@pytest.mark.parametrize("field", ["subject", "addressee", "issuer", "date"])
def test_made_up_letter_has_the_expected_field(letters, letter_id, field):
    assert getattr(letters[letter_id], field) == (EXPECTED[f"{letter_id}.txt"][field] or "")


def test_field_is_a_slice_of_the_letter(letters):
    letter = letters["haizhou-civil"]
    assert {name: span.of(letter.text) for name, span in letter.fields.items()} == {
        "title": "关于市政协六届三次会议第207号提案的答复",
        "number": "海民函〔2025〕9号",
        "addressee": "九三学社海洲市委员会",
        "subject": "关于构建居家社区养老服务体系的提案",
        "issuer": "海洲市民政局",
        "date": "二〇二五年三月十八日",
        "proposal": "第207号",
    }


@pytest.mark.parametrize(
    ("letter_id", "number"),
    [
        ("qingyuan-edu", "青教函〔2025〕12号"),
        ("nanpu-rural", "南农函〔2025〕27号"),
        ("songhe-jobs", "松人社函〔2025〕58号"),
        ("yunling-transport", "云交函〔2024〕31号"),
        ("dongze-env", ""),
    ],
)
def test_reference_number_is_found_where_there_is_one(letters, letter_id, number):
    assert letters[letter_id].number == number


@pytest.mark.parametrize(
    ("written", "iso"),
    [
        ("2025年7月31日", "2025-07-31"),
        ("2025 年 7 月 3 日", "2025-07-03"),
        ("２０２５年１２月１日", "2025-12-01"),
        ("二〇二五年三月十八日", "2025-03-18"),
        ("二○二四年十二月三十一日", "2024-12-31"),
        ("二零二三年十月十日", "2023-10-10"),
        ("二Ｏ二五年三月二十八日", "2025-03-28"),
        ("二0二五年 三月 五日", "2025-03-05"),
    ],
)
def test_date_becomes_iso(written, iso):
    assert letter_of(f"某委员:\n您的提案收悉。\n建成3个。\n某市某局\n{written}\n").date == iso


def test_date_inside_a_sentence_is_not_the_date_of_the_letter():
    assert letter_of("某委员:\n您的提案收悉。\n该站于2024年5月1日建成,运行良好。\n").date == ""


def test_date_of_printing_is_not_the_date_of_the_letter():
    letter = letter_of(
        "某委员:\n您的提案收悉。\n建成3个。\n某市民政局\n2025年5月12日\n公开方式:主动公开\n"
        "抄送:某市政协提案委。\n某市民政局办公室  2025年5月15日印发\n"
    )
    assert (letter.issuer, letter.date) == ("某市民政局", "2025-05-12")
    assert letter.text[letter.measures[-1].start :].startswith("某市民政局\n2025年5月12日")


@pytest.mark.parametrize("line", ["尊敬的王一代表:您好!", "尊敬的王一代表：您好。", "尊敬的王一代表："])
def test_addressee_is_found_with_a_greeting_behind_it(line):
    letter = letter_of(f"关于第1号建议的答复\n{line}\n建议收悉。\n建成3个。\n某市某局\n2025年1月2日\n")
    assert (letter.addressee, letter.title) == ("尊敬的王一代表", "关于第1号建议的答复")


@pytest.mark.parametrize("body", ["某市供销合作社", "中国人民银行某市分行", "某市第一中学", "某市工商联"])
def test_bodies_that_are_no_offices_sign_too(body):
    letter = letter_of(f"某委员:\n您的提案收悉。\n建成3个。\n{body}\n2025年1月2日\n")
    assert letter.issuer == body


def test_issuer_and_date_on_one_line():
    letter = letter_of("某委员:\n您的提案收悉。\n建成3个。\n某市民政局 2025年1月2日\n")
    assert (letter.issuer, letter.date) == ("某市民政局", "2025-01-02")


def test_two_issuers_who_sign_together_are_both_named():
    letter = letter_of("某委员:\n提案收悉。\n建成3个。\n某市民政局\n某市财政局\n2025年1月2日\n")
    assert letter.fields["issuer"].of(letter.text) == "某市民政局\n某市财政局"


def test_letter_without_signature_takes_its_issuer_from_the_title(letters):
    assert letters["beiling-housing"].issuer == "北岭县住房和城乡建设局"


def test_letter_that_names_nobody_has_empty_fields():
    letter = letter_of("建成站点3个。\n办培训5期。\n")
    assert (letter.issuer, letter.addressee, letter.date, letter.subject) == ("", "", "", "")
    assert letter.title == "small"
