"""Every sentence of an answer against what it cites.

Contract: of the wrong answers that ``bench/verify.py`` makes by rule, all are caught; of the right answers in free wording at least
95 in 100 pass, and every sentence of the letters that is cited as itself. Below, each kind of fault by itself.
"""

import importlib.util
import sys
from collections import Counter

import pytest
from fakes import ROOT, letter_of

from rag.check import check
from rag.claims import source_of, split_all

_spec = importlib.util.spec_from_file_location("verify", ROOT / "bench" / "verify.py")
bench = importlib.util.module_from_spec(_spec)
sys.modules["verify"] = bench
_spec.loader.exec_module(bench)

LETTER = """云泽县民政局关于第7号建议的答复

李一鸣代表:
您提出的《关于养老服务的建议》收悉,现答复如下:

一、养老设施
(一)建设服务站。截至6月底,全县已建成服务站63家、助餐点21家,服务1.2万人次,满意度95.6%,投入20余亿元。按照《云泽县养老三年方案》,计划明年新建服务站8家。东山镇服务站正在建设,设床位40张。
(二)提高补贴。每月补贴由300元提高到500元,对80岁以上老人不少于600元。西门镇的服务点未通过验收。
(三)就餐优惠。“暖心食堂”为老人打9折,2024年3月起执行。撤销的试点不再恢复。

云泽县民政局
2025年7月1日
"""


@pytest.fixture(scope="module")
def sources():
    letter = letter_of(LETTER)
    return [source_of(letter, m) for m in letter.measures if m.path not in ("前言", "结尾")]


def faults(text, sources):
    return [fault for claim in split_all(text) for fault in check(claim, sources).faults]


@pytest.fixture(scope="module")
def right():
    return {name: bench.right(name) for name in bench.FILES}


@pytest.fixture(scope="module")
def verbatim():
    return bench.verbatim()


def test_sets_are_large_enough(right):
    assert sum(map(len, right.values())) >= 120


def test_right_answers_in_free_wording_pass(right):
    cases = [case for some in right.values() for case in some]
    passed = sum(not bench.passes(case) for case in cases)
    assert passed >= 0.95 * len(cases)


def test_sentences_of_the_letters_pass(verbatim):
    assert len(verbatim) > 100
    assert [case.text for case in verbatim if bench.passes(case)] == []


def test_wrong_answers_are_all_caught(right, verbatim):
    cases = bench.wrong([case for some in right.values() for case in some] + verbatim)
    kinds = Counter(case.kind for case in cases)
    assert len(cases) >= 120
    assert set(kinds) >= {
        "digit changed",
        "unit changed",
        "万 dropped",
        "numbers exchanged",
        "year or month moved",
        "negated",
        "planned told as done",
        "citation invented",
        "citation of another measure",
        "quote altered",
        "name exchanged",
    }
    assert [f"{case.kind}: {case.text}" for case in cases if not bench.passes(case)] == []


@pytest.mark.parametrize(
    "text",
    [
        "到6月底建成服务站６３家,助餐点二十一家。[1]",
        "服务了12,000人次,满意度百分之九十五点六。[1]",
        "截至2025年6月底已建成63家服务站。[1]",
        "明年还要新建8家服务站。[1]",
        "2026年计划新建8家服务站。[1]",
        "东山镇服务站还在建,有40张床位。[1]",
        "补贴从每月300元涨到500元。[2]",
        "现在每月补贴500元,以前是300元。[2]",
        "80岁以上老人每月至少600元。[2]",
        "“暖心食堂”从2024年3月开始打9折。[3]",
        "《云泽县养老三年方案》里计划明年新建8家服务站。[1]",
        "西门镇的服务点没有通过验收。[2]",
        "建成服务站63家,每月补贴提高到500元。[1][2]",
    ],
)
def test_right_sentence_passes(text, sources):
    assert faults(text, sources) == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("建成服务站63家。", "no citation"),
        ("建成服务站63家。[9]", "there is no [9]"),
        ("建成服务站63家。[2]", "63家 is not in the source"),
        ("建成服务站64家。[1]", "64家 is not in the source"),
        ("建成服务站63人。[1]", "63人 is not in the source"),
        ("服务1.2人次。[1]", "1.2人次 is not in the source"),
        ("建成服务站21家、助餐点63家。[1]", "two amounts are exchanged"),
        ("建成助餐点63家。[1]", "63家 belongs elsewhere"),
        ("计划明年新建服务站63家。[1]", "63家 belongs elsewhere"),
        ("截至5月底建成63家。[1]", "5月底 is not in the source"),
        ("截至2024年6月底建成63家。[1]", "2024年6月底 is not in the source"),
        ("没有建成63家服务站。[1]", "negation"),
        ("西门镇的服务点通过验收。[2]", "negation"),
        ("已新建8家服务站。[1]", "status"),
        ("将建成服务站63家。[1]", "status"),
        ("东山镇服务站已建成,设床位40张。[1]", "status"),
        ("取消服务站63家。[1]", "status"),
        ("每月补贴由500元提高到300元。[2]", "500元 is the other end of a change"),
        ("每月补贴现在是300元。[2]", "300元 is the other end of a change"),
        ("每月补贴下降到500元。[2]", "direction"),
        ("80岁以上老人不超过600元。[2]", "不超过600元 is bounded otherwise"),
        ("“暖心饭堂”打9折。[3]", "“暖心饭堂” is not in the source"),
        ("《云泽县养老五年方案》计划明年新建服务站8家。[1]", "“云泽县养老五年方案” is not in the source"),
        ("北关镇服务站正在建设,设床位40张。[1]", "…关镇 is not in the source"),
        ("建成服务站63家,见https://a.example/q。[1]", "a link or markup"),
        ("建成服务站63家![x](y)。[1]", "a link or markup"),
        ("建成服务站63家,EVIL。[1]", "evil is not in the source"),
        ("老人可以免费乘坐公交车和地铁。[3]", "it is not what the source says"),
        ("满意度达到一半。[1]", "一半 is not in the source"),
        ("截至6月底,全县已建成服务站“3家”。[1]", "“3家” is not in the source"),
        ("“1.2万”人次得到服务,满意度“5.6%”。[1]", "“5.6%” is not in the source"),
        ("全县已建成服务站九十九。[1]", "九十九 is not in the source"),
        ("全县已建成服务站陆拾叁家。[1]", "陆拾叁 is not in the source"),
        ("全县已建成服务站⑨家。[1]", "⑨ is not in the source"),
        ("全县已建成服务站63家,数量翻倍。[1]", "翻倍 is not in the source"),
        ("每月补贴由300元提高到一元。[2]", "一元 is not in the source"),
        ("全县已建成服务站63家,翻了一番。[1]", "翻了一番 is not in the source"),
    ],
)
def test_wrong_sentence_is_named(text, fault, sources):
    assert fault in faults(text, sources)


def test_claim_rests_on_the_sentences_that_hold_its_amounts(sources):
    (claim,) = split_all("建成服务站63家,设床位40张的东山镇服务站正在建设。[1]")
    verdict = check(claim, sources)
    assert verdict.faults == ()
    quotes = [span.of(sources[n].letter.text) for n, span in verdict.used]
    assert [q[:6] for q in quotes] == ["截至6月底,", "东山镇服务站"]


ENGLISH = [
    ("It had built 63 stations (“全县已建成服务站63家”) [1].", []),
    ("The county plans to build 8 more next year (“计划明年新建服务站8家”) [1].", []),
    ("It had built 64 stations (“全县已建成服务站63家”) [1].", ["64 is not in the quote"]),
    (
        "It had built 63 stations (“全县已建成服务站64家”) [1].",
        ["“全县已建成服务站64家” is not in the source"],
    ),
    ("It had built 63 stations [1].", ["no quote of the letter's own Chinese words"]),
    ("It built 8 more (“计划明年新建服务站8家”) [1].", ["status"]),
    ("It will build 63 stations (“全县已建成服务站63家”) [1].", ["status"]),
    ("It has not built 63 stations (“全县已建成服务站63家”) [1].", ["negation"]),
    (
        "There are 21 stations and 63 canteens (“全县已建成服务站63家、助餐点21家”) [1].",
        ["numbers in another order"],
    ),
    ("Satisfaction is 95.6 percent (“满意度95.6%”) [1].", []),
    ("Satisfaction is 95.6 yuan (“满意度95.6%”) [1].", ["95.6 is not in the quote"]),
    ("It served 12,000 visits (“服务1.2万人次”) [1].", []),
    ("It had built sixty-three stations (“全县已建成服务站63家”) [1].", []),
    ("It had built sixty-four stations (“全县已建成服务站63家”) [1].", ["sixty-four is not in the quote"]),
    ("It had built 63k stations (“全县已建成服务站63家”) [1].", ["63k is not in the quote"]),
    ("It served twelve thousand visits (“服务1.2万人次”) [1].", []),
    ("It served 1.2 million visits (“服务1.2万人次”) [1].", ["1.2 million is not in the quote"]),
    ("The 63 stations doubled (“全县已建成服务站63家”) [1].", ["doubled is not in the quote"]),
    ("Half of the 63 stations stand (“全县已建成服务站63家”) [1].", ["Half is not in the quote"]),
    ("It had built 3 stations (“3家、助餐点21家”) [1].", ["“3家、助餐点21家” is not in the source"]),
    ("It built “9家” more (“全县已建成服务站63家”) [1].", ["“9家” is not in the source"]),
    ("Satisfaction is 6% (“6%,投入20余亿元”) [1].", ["“6%,投入20余亿元” is not in the source"]),
    ("By then the county had already built 站99家 (“全县已建成服务站63家”) [1].", ["99 is not in the quote"]),
    ("By then the county had already built 九家 (“全县已建成服务站63家”) [1].", ["九家 is not in the quote"]),
    ("It had built Ⅸ stations (“全县已建成服务站63家”) [1].", ["Ⅸ is not in the quote"]),
    ("It had built fivefold more (“全县已建成服务站63家”) [1].", ["fivefold is not in the quote"]),
    ("It had built .63 stations (“全县已建成服务站63家”) [1].", [".63 is not in the quote"]),
    ("It had built 63 trillion (“全县已建成服务站63家”) [1].", ["63 trillion is not in the quote"]),
    ("It had served 63 people (“全县已建成服务站63家”) [1].", ["63 is not in the quote"]),
    ("It has run since March 2024 (“2024年3月起执行”) [3].", []),
    ("It has run 2024 sites (“2024年3月起执行”) [3].", ["2024 is not in the quote"]),
    ("It had built dozens of stations (“全县已建成服务站63家”) [1].", ["dozens is not in the quote"]),
]


@pytest.mark.parametrize(("text", "found"), ENGLISH)
def test_english_sentence_is_checked_by_the_words_it_quotes(text, found, sources):
    assert faults(text, sources) == found
