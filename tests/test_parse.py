"""Text to letter: every character in one place, every measure under the number the letter gives it.

Contract: a letter parses whole or fails by name; the paths are the letter's own numbering, normalised, whatever
the width of its punctuation; a sentence ends in 。!?; of either width and knows its exact offsets.
"""

import json
from dataclasses import replace

import pytest
from fakes import LETTERS, SEEDS, letter_of

from rag.errors import LetterError
from rag.letter import Letter, Span
from rag.parse import check_coverage, parse, sentences
from rag.read import Source, read

EXPECTED = json.loads((LETTERS / "expected.json").read_text(encoding="utf-8"))
SEED_PATHS = [
    "前言",
    *["一/(一)", "一/(二)", "一/(三)"],
    *["二/(一)", "二/(二)", "二/(三)"],
    *["三/(一)", "三/(二)", "三/(三)"],
    *["四/(一)", "四/(二)", "四/(三)"],
    *["五/(一)", "五/(二)", "五/(三)"],
    *["六/(一)", "六/(二)", "六/(三)"],
    "结尾",
]
FULL_WIDTH = str.maketrans(",:;!?().", "，：；！？（）．")


def paths(letter):
    return [m.path for m in letter.measures]


def headings(letter):
    return [m.heading for m in letter.measures]


@pytest.mark.parametrize("name", EXPECTED)
def test_made_up_letter_has_the_expected_paths(name):
    assert paths(parse(read(LETTERS / name))) == EXPECTED[name]["paths"]


@pytest.mark.parametrize("name", EXPECTED)
def test_full_width_punctuation_gives_the_same_paths_and_metadata(name):
    source = read(LETTERS / name)
    half, full = parse(source), parse(replace(source, text=source.text.translate(FULL_WIDTH)))
    assert paths(full) == paths(half)
    assert (full.issuer, full.date) == (half.issuer, half.date)


@pytest.mark.parametrize("name", EXPECTED)
def test_every_character_of_a_letter_belongs_to_exactly_one_place(name):
    letter = parse(read(LETTERS / name))
    owners = [0] * len(letter.text)
    for span in (*letter.measures, *letter.headings, *letter.furniture):
        for i in range(span.start, span.end):
            owners[i] += 1
    astray = [c for c, n in zip(letter.text, owners, strict=True) if not c.isspace() and n != 1]
    assert astray == []


def test_seed_letter_has_twenty_measures(seed):
    assert paths(seed) == SEED_PATHS


def test_seed_letter_in_full_width_has_the_same_twenty_measures():
    source = read(SEEDS / "wuhan-hrss-2025-07-31.txt")
    assert paths(parse(replace(source, text=source.text.translate(FULL_WIDTH)))) == SEED_PATHS


def test_seed_letter_knows_who_wrote_to_whom_and_when(seed):
    assert seed.issuer == "武汉市人力资源和社会保障局"
    assert seed.addressee == "市民盟"
    assert seed.date == "2025-07-31"
    assert seed.subject == "关于强化就业优先导向,促进高质量充分就业的建议"


def test_measure_stands_under_its_section_and_heading(seed):
    measure = next(m for m in seed.measures if m.path == "三/(一)")
    assert measure.section == "三、完善就业帮扶机制,兜牢困难群体民生底线"
    assert measure.heading == "(一)大力支持灵活就业。"
    assert seed.text[measure.body :].startswith("持续推进零工驿站规范化建设")


def test_heading_is_not_among_the_sentences(seed):
    measure = next(m for m in seed.measures if m.path == "三/(一)")
    quotes = [s.of(seed.text) for s in measure.sentences]
    assert len(quotes) == 4
    assert quotes[2] == "截至目前,全市建成零工驿站63家。"


def test_furniture_is_dropped_by_rule(seed):
    assert [s.of(seed.text)[:4] for s in seed.furniture] == ["扫一扫在", "版权所有"]
    assert "扫一扫" not in seed.text[seed.measures[-1].start : seed.measures[-1].end]


def test_letter_survives_the_way_through_json(letters):
    for letter in letters.values():
        again = Letter.from_dict(json.loads(json.dumps(letter.as_dict(), ensure_ascii=False)))
        assert again == letter


def test_coverage_check_names_the_letter_and_the_hole(seed):
    holed = replace(seed, measures=tuple(m for m in seed.measures if m.path != "三/(一)"))
    with pytest.raises(LetterError, match=r"wuhan-hrss-2025-07-31\.txt.*大力支持灵活就业"):
        check_coverage(holed)


def test_coverage_check_names_what_belongs_to_two_places(seed):
    at = seed.text.index("截至目前,全市建成零工驿站63家。")
    doubled = replace(seed, headings=(*seed.headings, Span(at, at + 4)))
    with pytest.raises(LetterError, match=r"wuhan-hrss-2025-07-31\.txt.*截至目前"):
        check_coverage(doubled)


def test_coverage_check_says_how_much_was_understood():
    letter = letter_of("某局:\n一、甲事。\n二、乙事。\n")
    with pytest.raises(LetterError, match=r"^small\.txt: 76\.9%.*expected 100%"):
        check_coverage(replace(letter, measures=letter.measures[1:]))


def test_line_that_only_speaks_of_what_furniture_says_is_kept():
    letter = letter_of(
        "某委员:\n一、停车。推广“扫一扫”付费,建成停车场63家。\n二、推进“扫一扫”入园\n保护版权所有人的权益,查处12件。\n"
    )
    assert paths(letter) == ["前言", "一", "二"]
    assert letter.furniture == ()


def test_body_that_handles_a_proposal_is_no_furniture():
    letter = letter_of("承办单位：某市民政局\n某委员：\n一、建站点。建成3个。\n二、办培训。办5期。\n")
    assert letter.furniture == ()


@pytest.mark.parametrize(
    "line",
    [
        *("- 2 -", "—12—", "第 3 页 共 9 页", "某市人民政府办公室版权所有", "ICP备1号"),
        *("发布时间：2025-05-20 来源：某局", "来源:某局", "字体：【大 中 小】", "主办：某局 承办：某中心"),
    ],
)
def test_number_of_a_page_and_what_a_site_adds_are_furniture(line):
    letter = letter_of(f"某委员:\n一、建站点。建成3个。\n{line}\n二、办培训。办5期。\n{line}\n")
    quotes = [s.of(letter.text) for m in letter.measures for s in m.sentences]
    assert quotes == ["某委员:", "建成3个。", "办5期。"]


def test_blanks_of_no_width_hide_no_number_and_are_no_text():
    letter = letter_of(
        "某委员:\n\u200b　\ufeff一、建站点。建成3个。\u200b\n\ufeff二、办培训。办5期。\n\u200b\n"
    )
    assert paths(letter) == ["前言", "一", "二"]


def test_letter_of_furniture_alone_is_no_letter():
    with pytest.raises(LetterError, match="nothing but page furniture"):
        letter_of("扫一扫在手机上查看当前页面\n版权所有:某市某局\n")


@pytest.mark.parametrize("name", ["wide", "half"])
def test_sentences_end_in_a_mark_of_either_width(name):
    text = {"wide": "甲。乙！丙？丁；戊", "half": "甲。乙!丙?丁;戊"}[name]
    found = [(s.start, s.end) for s in sentences(text, 0, len(text))]
    assert found == [(0, 2), (2, 4), (4, 6), (6, 8), (8, 9)]


def test_sentence_keeps_the_quotation_mark_that_closes_it():
    text = "他说“好。”我们走。"
    assert [s.of(text) for s in sentences(text, 0, len(text))] == ["他说“好。”", "我们走。"]


def test_sentence_does_not_run_over_the_end_of_a_line():
    text = "甲事已办\n  乙事在办  \n"
    assert [(s.start, s.end) for s in sentences(text, 0, len(text))] == [(0, 4), (7, 11)]


def test_sentence_offsets_count_code_points_from_the_start_of_the_letter():
    text = "略。𠮷祥街道建站3个。"
    (found,) = sentences(text, 2, len(text))
    assert (found.start, found.end, found.of(text)) == (2, 11, "𠮷祥街道建站3个。")


def test_every_sentence_of_every_letter_lies_in_its_measure(letters):
    for letter in letters.values():
        for measure in letter.measures:
            for s in measure.sentences:
                assert measure.body <= s.start < s.end <= measure.end
                assert s.of(letter.text) == s.of(letter.text).strip()


def test_two_level_letter_with_headings_on_their_own_lines(letters):
    letter = letters["qingyuan-edu"]
    measure = next(m for m in letter.measures if m.path == "一/(二)")
    assert measure.section == "一、扩大资源供给，优化学校布局"
    assert measure.heading == "（二）推进寄宿制学校改造"


def test_one_level_numbers_with_a_point():
    letter = letter_of("某委员:\n提案收悉,答复如下:\n1.建站点。建成3个。\n2.办培训。办了5期。\n")
    assert paths(letter) == ["前言", "1", "2"]
    assert headings(letter) == ["", "1.建站点。", "2.办培训。"]


def test_numbers_in_words_with_a_comma():
    letter = letter_of("某委员：\n提案收悉，答复如下：\n第一，建站点。建成3个。\n第二，办培训。办5期。\n")
    assert paths(letter) == ["前言", "第一", "第二"]


def test_first_is_and_second_is_number_measures_where_nothing_else_does():
    letter = letter_of("某委员:\n提案收悉,答复如下:\n一是建站点,建成3个。\n二是办培训,办了5期。\n")
    assert paths(letter) == ["前言", "一是", "二是"]


def test_first_is_numbers_no_measure_under_a_section():
    letter = letter_of("一、建站点\n一是选址。\n二是开工。\n二、办培训\n办了5期。\n")
    assert paths(letter) == ["一", "二"]


def test_letter_without_numbers_has_a_measure_a_paragraph():
    letter = letter_of("某委员:\n您的提案收悉。\n建成站点3个。\n办培训5期。\n某市某局\n2025年1月2日\n")
    assert paths(letter) == ["前言", "第1段", "第2段", "结尾"]


def test_numbering_that_restarts_gives_the_second_path_a_mark():
    letter = letter_of(
        "某委员:\n一、建站点。建成3个。\n二、办培训。办了5期。\n附件\n一、站点名单。略。\n二、培训名单。略。\n"
    )
    assert paths(letter) == ["前言", "一", "二", "一#2", "二#2"]


def test_date_under_the_title_does_not_make_an_annex_of_the_sign_off():
    letter = letter_of(
        "关于第1号提案的答复\n2025年5月20日\n某委员:\n一、建站点。建成3个。\n二、办培训。办了5期。\n"
        "附件:站点名单\n某市民政局\n2025年5月12日\n"
    )
    assert paths(letter) == ["前言", "一", "二", "结尾"]
    assert (letter.issuer, letter.date) == ("某市民政局", "2025-05-12")


def test_furniture_between_two_lines_leaves_the_measure_whole():
    letter = letter_of(
        "某委员:\n一、建站点\n建成3个。\n扫一扫在手机上查看当前页面\n开工2个。\n二、办培训\n办5期。\n"
    )
    assert paths(letter) == ["前言", "一", "二"]
    quotes = [s.of(letter.text) for s in letter.measures[1].sentences]
    assert quotes == ["建成3个。", "开工2个。"]


@pytest.mark.parametrize("line", ["2025年以来,建成3个。", "1.5万人受益。", "12.3亿元已拨付。"])
def test_year_or_decimal_at_the_head_of_a_line_is_no_number_of_a_measure(line):
    letter = letter_of(f"某委员:\n一、建站点\n{line}\n二、办培训\n{line}\n")
    assert paths(letter) == ["前言", "一", "二"]


def test_number_out_of_order_opens_no_measure():
    letter = letter_of("某委员:\n1.建站点。\n7.不是第七项。\n2.办培训。\n")
    assert paths(letter) == ["前言", "1", "2"]


def test_tenth_and_later_numbers_are_read():
    numerals = ["一", "二", "三", "四", "五", "六", "七", "八", "九", "十", "十一", "十二"]
    letter = letter_of("".join(f"{n}、第{n}件事。已办结。\n" for n in numerals))
    assert paths(letter) == numerals


def test_circled_numbers_number_measures_under_a_section():
    letter = letter_of("一、建站点\n①选址。已定。\n②开工。已开。\n二、办培训\n①选课。已定。\n②开课。已开。\n")
    assert paths(letter) == ["一/①", "一/②", "二/①", "二/②"]


def test_text_between_a_section_and_its_first_item_is_a_measure_of_the_section():
    letter = letter_of("一、建站点\n总体良好。\n(一)选址。已定。\n(二)开工。已开。\n二、办培训\n办5期。\n")
    assert paths(letter) == ["一", "一/(一)", "一/(二)", "二"]


def test_closing_begins_at_the_next_step_not_at_the_signature(letters):
    closing = next(m for m in letters["songhe-jobs"].measures if m.path == "结尾")
    assert letters["songhe-jobs"].text[closing.start :].startswith("下一步,我局将会同")


def test_letter_id_is_the_name_of_its_file_unless_given():
    source = Source("a-letter.txt", "某委员:\n建成3个。\n", "0" * 64)
    assert parse(source).id == "a-letter"
    assert parse(source, "mine").id == "mine"
