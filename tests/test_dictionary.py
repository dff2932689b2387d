"""Names of places and bodies, and common words, from the two lists in the package.

Contract: a name in a question is found whether the lists know it or its ending gives it away; plain nouns that
merely end like a name are none.
"""

import pytest

from rag.dictionary import is_common, is_name, names, sound_alike
from rag.text import fold


@pytest.mark.parametrize("word", ["武汉市", "北京大学", "长江"])
def test_known_name(word):
    assert is_name(word)


@pytest.mark.parametrize("word", ["社区", "医院", "学校", "就业"])
def test_common_word_is_no_name(word):
    assert is_common(word)
    assert not is_name(word)


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("武汉市建了几座桥?", ["武汉市"]),
        ("北京大学有多少毕业生?", ["北京大学"]),
        ("江西省南昌市呢?", ["江西省", "南昌市"]),
        ("柳川县的家庭医生签约率是多少?", ["柳川县"]),
        ("临岗市新建了多少所学校?", ["临岗市"]),
        ("西泽湖的水质怎么样?", ["西泽湖"]),
        ("红枫镇卫生院有多少床位?", ["红枫镇"]),
    ],
)
def test_names_of_a_question(question, expected):
    assert names(fold(question)) == expected


def test_name_is_found_in_traditional_characters():
    assert names(fold("柳川縣的簽約率是多少?")) == ["柳川县"]


@pytest.mark.parametrize(
    "question",
    [
        "零工市场有多少个?",
        "建了多少个公园?",
        "中心城区改造了多少?",
        "乡村振兴怎么做?",
        "招聘会现场有多少人?",
        "学校有多少?",
        "社区医院有几家?",
        "灵活就业人员有多少?",
        "位于高新区的企业有多少家?",
        "How many beds are there?",
        "",
    ],
)
def test_plain_nouns_are_no_names(question):
    assert names(fold(question)) == []


@pytest.mark.parametrize(
    ("a", "b", "alike"),
    [
        ("公机", "公积", True),
        ("实息", "实习", True),
        ("银行", "银航", True),
        ("招骋", "招聘", False),
        ("公积", "公积金", False),
    ],
)
def test_words_that_sound_alike(a, b, alike):
    assert bool(sound_alike(a, b)) is alike
