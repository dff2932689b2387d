"""Which letters speak of a place, a body or a year.

Contract: what the columns and words of the segments tell is what reading every letter tells.
"""

import numpy as np
import pytest
from fakes import LETTERS, HashEmbedder, letter_of

from rag.heads import ReadHeads
from rag.index import Index, parse_all, update

TEXTS = [
    "青山市教育局关于第1号提案的答复\n某委员:\n一、盖学校。2021年建成学校12所。\n青山市教育局\n2025年3月1日\n",
    "白水市教育局关于第2号提案的答复\n某委员:\n一、学习经验。赴青山市、長江新城考察,２０１９年建成７所。\n白水市教育局\n2024年3月1日\n",
    "某委员:\n一、修路。长江路、江新城都修了,版权所有 5G基站。\n某局\n二〇二三年三月一日\n",
]


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    folder = tmp_path_factory.mktemp("heads")
    letters = [letter_of(t, f"l{n}.txt") for n, t in enumerate(TEXTS)]
    update(folder, [*letters, *parse_all([LETTERS])], HashEmbedder())
    return Index.open(folder, HashEmbedder())


@pytest.mark.parametrize(
    "word",
    [
        "青山",
        "长江",
        "长江新城",
        "江新城",
        "5g基站",
        "教育局",
        "路",
        "版权所有",
        "没有这个",
        "云岭",
        "2019年",
    ],
)
def test_word_is_in_the_text_of_the_same_letters_as_when_all_are_read(index, word):
    assert index.heads.says(word).tolist() == ReadHeads(index.letters).says(word).tolist()


@pytest.mark.parametrize("word", ["青山", "青山市教育局", "教育局", "某委员", "云岭", "没有这个"])
def test_word_is_in_the_head_of_the_same_letters_as_when_all_are_read(index, word):
    assert index.heads.headed(word).tolist() == ReadHeads(index.letters).headed(word).tolist()


def test_long_name_whose_pairs_stand_apart_is_not_said(index):
    said = dict(zip(index.ids, index.heads.says("长江新城").tolist(), strict=True))
    assert (said["l1"], said["l2"]) == (True, False)


@pytest.mark.parametrize("year", ["2019", "2021", "2023", "2024", "2025", "1999", "1066"])
def test_year_is_that_of_the_same_letters_as_when_all_are_read(index, year):
    assert index.heads.tells(year).tolist() == ReadHeads(index.letters).tells(year).tolist()


def test_letters_are_of_one_place_or_not(index):
    numbers = {i: n for n, i in enumerate(index.ids)}
    assert index.heads.one_place(np.array([numbers["l0"]]))
    assert not index.heads.one_place(np.array([numbers["l0"], numbers["l1"]]))


def test_issuers_and_newest_letters_are_those_of_all_letters_read(index):
    read = ReadHeads(index.letters)
    assert index.heads.issuers(4) == read.issuers(4)
    assert index.heads.newest(5) == read.newest(5)
