"""Numbers with their units, and dates, as official Chinese writes them.

Contract: 63家, ６３家 and 六十三家 are one quantity; 1.2万 is 12,000; 63家 and 63人 are two; all of it inside Han text,
where a digit and a Han character have no border between them.
"""

from decimal import Decimal

import pytest

from rag.quantities import dates, in_digits, quantities
from rag.text import fold


def found(text):
    return [(q.value, q.unit) for q in quantities(fold(text))]


def spans(text):
    return [fold(text)[q.start : q.end] for q in quantities(fold(text))]


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [
        ("建成零工驿站63家。", "63", "家"),
        ("建成零工驿站６３家。", "63", "家"),
        ("建成零工驿站六十三家。", "63", "家"),
        ("培训１，３６７人次", "1367", "人次"),
        ("培训1,367人次", "1367", "人次"),
        ("新增1.2万人", "12000", "人"),
        ("新增12000人", "12000", "人"),
        ("新增一万二千人", "12000", "人"),
        ("合作20余亿元", "2000000000", "元"),
        ("发布信息10万余条", "100000", "条"),
        ("资金3000余万元", "30000000", "元"),
        ("同比增长5.4%", "5.4", "%"),
        ("同比增长５．４％", "5.4", "%"),
        ("同比增长百分之五点四", "5.4", "%"),
        ("完成百分之六十四", "64", "%"),
        ("提高3.4个百分点", "3.4", "个百分点"),
        ("下降约三成", "3", "成"),
        ("服务12.8万家次", "128000", "家次"),
        ("面积1280平方公里", "1280", "平方公里"),
        ("面积96.5平方米", "96.5", "平方米"),
        ("用时30分钟以内", "30", "分钟"),
        ("压缩至12个工作日", "12", "个工作日"),
        ("最长享受36个月", "36", "个月"),
        ("两家单位", "2", "家"),
        ("一百零五所", "105", "所"),
        ("十二个", "12", "个"),
        ("二十条举措", "20", "条"),
        ("三亿五千万元", "350000000", "元"),
        ("营收突破300亿元", "30000000000", "元"),
        ("每月补贴0.6元", "0.6", "元"),
        ("建成零工驿站 63 家", "63", "家"),
        ("服务 12.8 万人次", "128000", "人次"),
        ("补贴 300 万元", "3000000", "元"),
        ("增长 5.4 %", "5.4", "%"),
        ("完成百分之 64", "64", "%"),
        ("投入1亿2000万元", "120000000", "元"),
        ("投入3亿5千万元", "350000000", "元"),
        ("惠及3万5千户", "35000", "户"),
    ],
)
def test_quantity_has_its_value_and_unit(text, value, unit):
    assert found(text) == [(Decimal(value), unit)]


def test_bodies_and_people_are_different_quantities():
    (bodies,) = quantities("63家")
    (people,) = quantities("63人")
    assert bodies.key != people.key
    assert (bodies.family, people.family) == ("bodies", "people")


def test_span_takes_in_the_words_about_the_number():
    assert spans("举办各类招聘会近80场,吸引50人以上") == ["近80场", "50人以上"]
    assert spans("近 80 场,吸引 50 人以上") == ["近 80 场", "50 人以上"]
    assert spans("夜校数十期,讲座几十场,企业上百家") == ["数十期", "几十场", "上百家"]


def test_letters_before_a_round_number_that_end_a_word_are_no_part_of_it():
    assert spans("参加人数百余人,线上千人听讲,建成百家店") == ["百余人", "千人", "百家"]


def test_several_quantities_come_in_order():
    text = "走访企业117家,残疾人109人,培训班38期"
    assert found(text) == [(117, "家"), (109, "人"), (38, "期")]


def test_quantities_are_found_with_han_on_both_sides():
    assert spans("全市建成63家驿站并培训2500名学员") == ["63家", "2500名"]


def test_han_numeral_without_a_unit_is_no_quantity():
    assert found("统一思想,一律公开,三心二意") == []


def test_year_is_no_quantity():
    assert found("2025年") == []


@pytest.mark.parametrize("text", ["第3号", "第六届", "第十五条", "第 3 号"])
def test_ordinal_is_no_quantity(text):
    assert found(text) == []


@pytest.mark.parametrize("text", ["①建站", "㎡", "", "没有数字"])
def test_text_without_a_number_with_unit_has_no_unit(text):
    assert [unit for _, unit in found(text) if unit] == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025年7月31日印发", ["2025年7月31日"]),
        ("截至2024年底,", ["2024年底"]),
        ("今年上半年,全市", ["今年上半年"]),
        ("2024年以来,累计", ["2024年以来"]),
        ("截至6月底", ["6月底"]),
        ("7月初顺利启动", ["7月初"]),
        ("今年一季度", ["今年一季度"]),
        ("前三季度新增", ["前三季度"]),
        ("计划2026年8月底前建成", ["2026年8月底前"]),
        ("自2024年5月1日起,2025年3月止", ["2024年5月1日起", "2025年3月"]),
        ("“十四五”期间", ["“十四五”期间"]),
        ("自 2024 年 5 月 1 日起,截至 6 月底", ["2024 年 5 月 1 日起", "6 月底"]),
        ("没有时间", []),
    ],
)
def test_dates(text, expected):
    assert [m[0] for m in dates(fold(text))] == expected


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("2.55万人", "25,500人"),
        ("1.07亿元", "107,000,000元"),
        ("10余万条", "about 100,000条"),
        ("63家", ""),
        ("2万人和3万人", ""),
    ],
)
def test_amount_in_plain_digits(text, digits):
    assert in_digits(text) == digits
