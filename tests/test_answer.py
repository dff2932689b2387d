"""Hits to an answer: the sentence that says it, and the span in it.

Contract: over the made-up letters, plain questions of every kind get the right measure and the right short answer;
the short answer is a slice of the quoted sentence; what the letters do not say has a low confidence.
"""

import pytest
from fakes import letter_of

from rag.answer import Choice, choose
from rag.letter import Span
from rag.question import understand
from rag.rank import Hit
from rag.reader import Reading
from rag.reading import Read


def chosen(engine, text, k=5):
    letters = [letter.id for letter in engine.index.letters]
    question, _, reads = engine.consider(understand(text), letters, None, k)
    return choose(engine.index, question, reads, engine.reads)


@pytest.mark.parametrize(
    ("question", "letter_id", "path", "short"),
    [
        ("“暖心宿舍”工程改造了多少所农村寄宿制学校？", "qingyuan-edu", "一/(二)", "34所"),
        ("2023年以来青原市新建、改扩建了多少所义务教育学校？", "qingyuan-edu", "一/(一)", "27所"),
        ("「青苗教師」培養計劃每年招收多少人？", "qingyuan-edu", "三/(一)", "120名"),
        ("“百企入园引才”行动一共提供了多少个岗位？", "songhe-jobs", "二/(一)", "13.2万个"),
        ("第六届蜜柚文化节来了多少游客？", "nanpu-rural", "二", "18.5万人次"),
        ("“智慧东泽湖”平台布设了多少座水质监测站？", "dongze-env", "四", "22座"),
        ("東澤湖流域面積有多大？", "dongze-env", "一", "1280平方公里"),
        ("家庭养老床位每张一次性建设补贴多少钱？", "haizhou-civil", "第四", "2500元"),
        ("“护薪行动”帮农民工追回了多少工资？", "songhe-jobs", "四/(三)", "1.07亿元"),
        ("南圃县2024年农村居民人均可支配收入是多少？", "nanpu-rural", "一", "23615元"),
        ("临溪县域内住院人次占比今年上半年达到多少？", "linxi-health", "1", "88.6%"),
        ("农村卫生厕所普及率现在是多少？", "nanpu-rural", "三", "91.6%"),
        ("云龙线是哪天通车的？", "yunling-transport", "二/(1)", "2024年8月16日"),
        ("松禾技师学院新校区什么时候建成？", "songhe-jobs", "三/(二)", "2026年8月底前"),
        ("沙河口濕地公園是哪一天正式開園的？", "dongze-env", "三", "2024年5月22日"),
    ],
)
def test_plain_question_gets_its_measure_and_short_answer(engine, question, letter_id, path, short):
    best = chosen(engine, question).picks[0]
    assert (best.letter.id, best.measure.path) == (letter_id, path)
    assert best.short.of(best.letter.text) == short


@pytest.mark.parametrize(
    ("question", "parts"),
    [
        ("南圃县的四大特色产业是哪些？", ["茶叶", "油茶", "蜜柚", "稻虾"]),
        ("乡村教师生活补助每个月分哪几档？", ["400元", "700元", "1000元"]),
        ("居家适老化改造主要装些什么？", ["扶手", "防滑地垫", "夜间感应灯", "助浴椅"]),
        ("渔歌街道养老服务综合体在哪里？", ["渔歌路66号"]),
        ("为什么北岭县还有4个小区没开工？", ["电力专线迁改方案尚未确定"]),
    ],
)
def test_list_place_or_reason_is_whole(engine, question, parts):
    best = chosen(engine, question).picks[0]
    said = best.sentence.of(best.letter.text)
    assert [p for p in parts if p not in said] == []


@pytest.mark.parametrize(
    "question",
    ["云龙线是哪天通车的？", "家庭养老床位每张一次性建设补贴多少钱？", "养老护理员怎么培养？"],
)
def test_short_answer_lies_in_its_sentence_and_the_sentence_in_its_measure(engine, question):
    for pick in chosen(engine, question).picks:
        assert pick.measure.start <= pick.sentence.start < pick.sentence.end <= pick.measure.end
        if pick.short:
            assert pick.sentence.start <= pick.short.start < pick.short.end <= pick.sentence.end


def test_question_of_how_may_have_several_sentences_of_one_measure(engine):
    picks = chosen(engine, "“海味长者食堂”采取什么模式，怎么补贴？").picks
    assert {(p.letter.id, p.measure.path) for p in picks} == {("haizhou-civil", "第三")}
    assert len({p.sentence for p in picks}) == len(picks)


def test_confidence_is_a_probability(engine):
    for text in ("云龙线是哪天通车的？", "中国的首都是哪里？", "火星上有多少飞船？"):
        assert 0 <= chosen(engine, text).confidence <= 1


def test_what_the_letters_say_is_surer_than_what_they_do_not(engine):
    said = chosen(engine, "家庭养老床位每张一次性建设补贴多少钱？").confidence
    unsaid = chosen(engine, "火星上有多少飞船？").confidence
    assert said > 0.5 > unsaid


def test_without_hits_there_is_no_answer(engine):
    assert choose(engine.index, understand("建了多少家?"), [], engine.reads) == Choice((), 0.0)


def test_line_that_is_no_sentence_is_no_answer(engine):
    letter = letter_of(
        "关于建议的答复\n某委员:\n一、办事。窗口设在一楼大厅。\n某某局\n2025年5月6日\n联系人:张三\n联系电话:12345678\n"
    )
    start = letter.text.index("12345678")
    measure = next(m for m in letter.measures if m.start <= start < m.end)
    spans = ((start - measure.start, start - measure.start + 8, -0.1),)
    read = Read(Hit(letter, measure, 1.0, 1.0, ()), 0, Span(measure.start, measure.end), Reading(5.0, spans))
    assert choose(engine.index, understand("几点开门?"), [read], engine.reads).picks == ()
