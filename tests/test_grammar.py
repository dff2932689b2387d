"""Letters made by a grammar come back as they were made: their tree, their sentences, every offset.

Contract: whatever the numbering, with the body on the heading's line or under it, in full or half width, one item a line or all on
one line, the measures are those of the letter and every non-blank character belongs to exactly one of them or to a heading.
"""

import itertools

import pytest
from fakes import letter_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rag.errors import LetterError
from rag.parse import check_coverage

HAN = "一二三四五六七八九"
OUTER = {
    "一、": (lambda n: f"{HAN[n]}、", lambda n: HAN[n]),
    "(一)": (lambda n: f"({HAN[n]})", lambda n: f"({HAN[n]})"),
    "（一）": (lambda n: f"（{HAN[n]}）", lambda n: f"({HAN[n]})"),
    "㈠": (lambda n: "㈠㈡㈢㈣㈤㈥㈦㈧㈨"[n], lambda n: f"({HAN[n]})"),
    "1.": (lambda n: f"{n + 1}.", lambda n: f"{n + 1}"),
    "1．": (lambda n: f"{n + 1}．", lambda n: f"{n + 1}"),
    "⒈": (lambda n: "⒈⒉⒊⒋⒌⒍⒎⒏⒐"[n], lambda n: f"{n + 1}"),
    "第一，": (lambda n: f"第{HAN[n]}，", lambda n: f"第{HAN[n]}"),
}
INNER = {
    "(1)": (lambda n: f"({n + 1})", lambda n: f"({n + 1})"),
    "⑴": (lambda n: "⑴⑵⑶⑷⑸⑹⑺⑻⑼"[n], lambda n: f"({n + 1})"),
    "①": (lambda n: "①②③④⑤⑥⑦⑧⑨"[n], lambda n: "①②③④⑤⑥⑦⑧⑨"[n]),
}
HEADINGS = ["建站点", "办培训", "完善机制", "强化监管", "优化服务供给", "推进平台建设"]
SENTENCES = [
    "建成3个。",
    "全市办了5期!",
    "投入1.5万元；",
    "效果好吗？",
    "２０２５年完成６３家。",
    "“三个一”工程开工。",
    "𠮷祥街道建站2个。",
]

bodies = st.lists(st.sampled_from(SENTENCES), min_size=1, max_size=3)


@st.composite
def items(draw, least=2):
    count = draw(st.integers(least, 5))
    return [(draw(st.sampled_from(HEADINGS)), draw(bodies), draw(st.booleans())) for _ in range(count)]


@st.composite
def letters(draw):
    """A letter as text, with the paths and the sentences it should have."""
    outer = draw(st.sampled_from(sorted(OUTER)))
    mark, path = OUTER[outer]
    lines, expected = (
        ["某委员：", "您的提案收悉，答复如下："],
        [("前言", ["某委员：", "您的提案收悉，答复如下："])],
    )
    for n, (heading, body, below) in enumerate(draw(items())):
        inner = draw(st.sampled_from(["", *sorted(INNER)]))
        if inner:
            lines.append(mark(n) + heading)
            inner_mark, inner_path = INNER[inner]
            sub = draw(items())
            parts = [f"{inner_mark(i)}{h}。{''.join(b)}" for i, (h, b, _) in enumerate(sub)]
            lines += ["".join(parts)] if draw(st.booleans()) else parts
            expected += [(f"{path(n)}/{inner_path(i)}", b) for i, (_, b, _) in enumerate(sub)]
        elif below:
            lines += [mark(n) + heading, "".join(body)]
            expected.append((path(n), body))
        else:
            lines.append(f"{mark(n)}{heading}。{''.join(body)}")
            expected.append((path(n), body))
    lines += ["感谢您的支持！", "某市民政局", "2025年1月2日"]
    expected.append(("结尾", ["感谢您的支持！", "某市民政局", "2025年1月2日"]))
    blank = draw(st.sampled_from(["", "　　", "  "]))
    return draw(st.sampled_from(["\n", "\n\n"])).join(blank + x for x in lines), expected


@settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(letters())
def test_letter_of_the_grammar_comes_back_as_it_was_made(made):
    text, expected = made
    letter = letter_of(text)
    assert [(m.path, [s.of(text) for s in m.sentences]) for m in letter.measures] == expected
    for one, two in itertools.pairwise(letter.measures):
        assert one.end <= two.start
    check_coverage(letter)


@settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    st.text(
        alphabet=st.sampled_from(
            [*"一二三1234()（）、.。；:附件关于建议是第首先其次\n　 \t①⑴㈠⒈“”年月日局202５"]
        ),
        min_size=1,
        max_size=120,
    )
)
def test_any_text_is_covered_or_refused_by_name(text):
    try:
        letter = letter_of(text)
    except LetterError as error:
        assert "small.txt" in str(error)
    else:
        check_coverage(letter)
        for m in letter.measures:
            assert all(m.start <= s.start < s.end <= m.end for s in m.sentences)


def test_numbers_on_the_line_of_a_body_open_measures():
    letter = letter_of(
        "某委员:\n答复如下:\n做法有:(一)建站点。建成3个。(二)办培训。办5期。\n某市某局\n2025年1月2日\n"
    )
    assert [m.path for m in letter.measures] == ["前言", "(一)", "(二)", "结尾"]


@pytest.mark.parametrize(
    "text", ["共(一)处。", "见附表(二)。其中(三)项已办。", "按照(一)至(三)条办理;(一)款除外。"]
)
def test_numbers_that_are_no_list_open_no_measure(text):
    letter = letter_of(f"某委员:\n答复如下:\n一、建站点。{text}\n二、办培训。办5期。\n")
    assert [m.path for m in letter.measures] == ["前言", "一", "二"]


def test_questions_without_numbers_are_sections_of_their_answers():
    letter = letter_of(
        "某委员:\n建议收悉,答复如下:\n关于增加停车位的建议\n1.新建3个。\n2.改造5个。\n关于规范收费的建议\n1.定标准。\n2.查20次。\n"
    )
    assert [(m.path, m.section) for m in letter.measures[1:]] == [
        ("建议1/1", "关于增加停车位的建议"),
        ("建议1/2", "关于增加停车位的建议"),
        ("建议2/1", "关于规范收费的建议"),
        ("建议2/2", "关于规范收费的建议"),
    ]


def test_quoted_question_with_its_answer_on_one_line_is_a_measure():
    letter = letter_of("某委员:\n建议收悉:\n关于“增加车位”的建议:新建3个。\n关于“规范收费”的建议:查20次。\n")
    assert [(m.path, m.heading) for m in letter.measures[1:]] == [
        ("建议1", "关于“增加车位”的建议:"),
        ("建议2", "关于“规范收费”的建议:"),
    ]


def test_first_next_and_last_number_measures_where_nothing_else_does():
    letter = letter_of(
        "某委员:\n提案收悉:\n首先,建站点。建成3个。\n其次,办培训。办5期。\n最后,抓宣传。发1万份。\n最后,再次感谢您的支持。\n"
    )
    assert [m.path for m in letter.measures] == ["前言", "首先", "其次", "最后", "结尾"]


def test_annexes_behind_the_signature_have_measures_of_their_own():
    letter = letter_of(
        "某委员:\n提案收悉:\n一、建站点。建成3个。\n二、办培训。办5期。\n附件:1.名单 2.课程\n某市民政局\n2025年1月2日\n"
        "附件1\n站点名单\n一、东站。人民路1号。\n二、西站。人民路9号。\n附件2:课程\n课程\t人数\n电工\t30人\n"
    )
    assert [m.path for m in letter.measures] == [
        *("前言", "一", "二", "结尾", "附件1/前言", "附件1/一", "附件1/二", "附件2/第1段", "附件2/第2段")
    ]
    assert (letter.issuer, letter.date) == ("某市民政局", "2025-01-02")
    assert letter.measures[-1].section == "附件2:课程"


def test_text_on_the_line_of_a_section_is_no_heading_but_can_be_quoted():
    letter = letter_of(
        "一、现状。全市有3个站。\n(一)选址。已定2处。\n(二)开工。已开1处。\n二、打算。年底完成。\n"
    )
    assert [m.path for m in letter.measures] == ["一", "一/(一)", "一/(二)", "二"]
    assert [s.of(letter.text) for s in letter.measures[0].sentences] == ["全市有3个站。"]


CONTACT = "某委员:\n提案收悉:\n一、建站点。建成3个。\n二、办培训。办5期。\n某市民政局\n2025年1月2日\n(联系人:张三,电话:027-85351234)\n公开属性:主动公开\n"


def test_whom_to_call_is_metadata_and_no_sentence():
    letter = letter_of(CONTACT)
    found = {name: letter.fields[name].of(letter.text) for name in ("contact", "phone", "disclosure")}
    assert found == {"contact": "张三", "phone": "027-85351234", "disclosure": "主动公开"}
    assert [s.of(letter.text) for s in letter.measures[-1].sentences] == ["某市民政局", "2025年1月2日"]
    check_coverage(letter)


@pytest.mark.parametrize(
    ("line", "phone"),
    [
        ("联系人及电话:李四 13812345678", "13812345678"),
        ("联系电话:(027)85351234转801", "(027)85351234转801"),
        ("承办人:王五、赵六;办公电话:8535123", "8535123"),
    ],
)
def test_phone_is_found_in_its_forms(line, phone):
    letter = letter_of(CONTACT.replace("(联系人:张三,电话:027-85351234)", line))
    assert letter.fields["phone"].of(letter.text) == phone
