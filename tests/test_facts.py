"""Amounts, times and names of a sentence, and the words around them."""

from fractions import Fraction

import pytest

from rag.around import around
from rag.facts import agrees, facts

DATE = "2025-07-31"


def amounts(text):
    return [(a.value, a.unit, a.bound) for a in facts(text).amounts]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("建成６３ 家", [(63, "家", "")]),
        ("一百二十一个小区", [(121, "个", "")]),
        ("12,000人次", [(12000, "人次", "")]),
        ("1.2万名", [(12000, "人", "")]),
        ("不少于30平方米", [(30, "平方米", ">")]),
        ("不能超过2餐", [(2, "餐", "<")]),
        ("年度限额为500元", [(500, "元", "<")]),
        ("9600多名", [(9600, "人", ">")]),
        ("30分钟以内", [(30, "分钟", "<")]),
        ("四分之三以上", [(75, "%", ">")]),
        ("三分之二", [(Fraction(200, 3), "%", "")]),
        ("约三成", [(30, "%", "")]),
        ("一半", [(50, "%", "")]),
        ("百分之九十五点六", [(Fraction("95.6"), "%", "")]),
        ("第六届", [(6, "第届", "")]),
        ("首个公园", [(1, "第个", "")]),
        ("5至9名", [(5, "人", ""), (9, "人", "")]),
        ("由45个工作日压缩至12个。", [(45, "个工作日", ""), (12, "个工作日", "")]),
        ("一个小区", []),
        ("打9折", [(9, "折", "")]),
    ],
)
def test_amounts(text, found):
    assert amounts(text) == found


@pytest.mark.parametrize(
    ("said", "source"),
    [
        ("2025年上半年", "今年上半年"),
        ("今年1至6月", "上半年"),
        ("2024年8月", "2024年8月16日"),
        ("二〇二四年五月二十二日", "2024年5月22日"),
        ("2024年前9个月", "2024年1月至9月"),
        ("年底前", "12月底前"),
        ("明年", "2026年"),
        ("2023年以来", "自2023年起"),
        ("去年11月", "2024年11月"),
    ],
)
def test_same_time_said_otherwise(said, source):
    (one,), (other,) = facts(said, DATE).times, facts(source, DATE).times
    assert agrees(one, other)


@pytest.mark.parametrize(
    ("said", "source"),
    [
        ("2024年上半年", "今年上半年"),
        ("2024年8月16日", "2024年8月"),
        ("6月底", "5月底"),
        ("2023年", "2023年以来"),
        ("下半年", "上半年"),
        ("今年", "去年"),
        ("1月", "11月"),
    ],
)
def test_other_time(said, source):
    (one,), (other,) = facts(said, DATE).times, facts(source, DATE).times
    assert not agrees(one, other)


def test_names_are_what_stands_in_the_outermost_marks():
    assert facts("印发《甲“乙”丙》,推出“丁”和'戊'").named() == ("甲“乙”丙", "丁")
    assert facts("“没有完").named() == ("没有完",)


def test_words_around_an_amount_are_those_of_its_own_segment():
    first, second = around(facts("建成服务点36个、流动服务车12台"))
    assert "服务" in first.near
    assert "流动" not in first.near
    assert "流动" in second.near


def test_list_with_respectively_is_dealt_out():
    one, two, three = around(facts("博士、硕士、本科每月分别补贴1500元、1000元、600元"))
    assert ("博士" in one.near, "硕士" in two.near, "本科" in three.near) == (True, True, True)
    assert "博士" not in two.near
