"""Times that hang on the date of a letter, and what is done, under way or planned.

Contract: 今年, 上半年 and 截至6月底 mean what they meant when the letter was written; a time with a year of its own is left alone;
a status is that of the clause the answer stands in.
"""

import pytest

from rag.times import resolve, status

DATE = "2025-07-31"


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("今年上半年,新增就业15.8万人", {"今年上半年": "2025年1—6月"}),
        ("上半年新增3家", {"上半年": "2025年1—6月"}),
        ("今年一季度增长5.4%", {"今年一季度": "2025年1—3月"}),
        ("今年以来发放贷款5.13亿元", {"今年以来": "2025年1月以来"}),
        ("截至6月底,再就业3.96万人", {"截至6月底": "截至2025年6月底"}),
        ("截至12月底建成5处", {"截至12月底": "截至2024年12月底"}),
        ("去年减少2户,明年3月完成", {"去年": "2024年", "明年3月": "2026年3月"}),
        ("今年底前完工", {"今年底": "2025年底"}),
        ("前三季度投资3亿元", {"前三季度": "2025年1—9月"}),
        ("2024年上半年,2023年6月底", {}),
        ("7月初启动", {}),
        ("目前共有63家", {}),
    ],
)
def test_time_means_what_it_meant_when_the_letter_was_written(text, means):
    assert resolve(text, DATE) == means


@pytest.mark.parametrize(
    "text", ["目前年接待5万人次", "60岁以上年龄段", "基本年均增长3%", "三年前年产2万吨", "说明年度安排"]
)
def test_words_in_which_a_time_only_seems_to_stand_mean_none(text):
    assert resolve(text, DATE) == {}


def test_letter_without_a_date_resolves_nothing():
    assert resolve("今年上半年", "") == {}


@pytest.mark.parametrize(
    ("text", "words", "expected"),
    [
        ("已建成63家,计划再建20家", "63家", ""),
        ("已建成63家,计划再建20家", "20家", "planned"),
        ("二期正在建设,规模300张床位", "300张", ""),
        ("正在建设12个站点", "12个", "under way"),
        ("原定的2条线路已取消", "2条", "dropped"),
        ("力争明年底完成90%", "90%", "planned"),
        ("将原有23个园区整合为14个", "14个", ""),
        ("将标准提高到870元", "870元", ""),
        ("我局将新建20座", "20座", "planned"),
        ("完成年度计划2400亩的77.5%", "77.5%", ""),
        ("完成年度计划2400亩的77.5%", "2400亩", "planned"),
        ("“归雁”计划培养48名", "48名", ""),
        ("布设虚拟展厅3个", "3个", ""),
    ],
)
def test_status_is_that_of_the_clause(text, words, expected):
    start = text.index(words)
    assert status(text, start, start + len(words)) == expected
