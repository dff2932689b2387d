"""English out of Chinese by a dictionary.

Contract: the longest words count, notes of the dictionary do not, Latin words and numbers stay as they stand.
"""

import random

import pytest

from rag.gloss import Glosses, glosses

WORDS = Glosses(
    [("公共", "public"), ("公共交通", "public transport"), ("的", "of"), ("票价", "(ticket) fare; the price")]
)


@pytest.mark.parametrize(
    ("entry", "plain"),
    [
        ("to rain; (fig.) to fall", ["rain", "fall"]),
        ("the Great Wall", ["Great Wall"]),
        ("variant of 台", []),
        ("surname Li", ["surname Li"]),
        ("bus, also called 巴士", ["bus"]),
        ("123", []),
    ],
)
def test_glosses_of_an_entry_are_plain(entry, plain):
    assert glosses(entry) == plain


def test_longest_word_is_glossed_and_function_words_are_not():
    assert WORDS.english("公共交通的", random.Random(1)) == "public transport"


def test_latin_words_and_numbers_stay():
    assert WORDS.english("2024年5G公共WiFi占64%", random.Random(1)) == "2024 5 G public WiFi 64%"


def test_words_of_several_glosses_give_one_of_them():
    found = {WORDS.english("票价", random.Random(seed)) for seed in range(20)}
    assert found == {"fare", "price"}


def test_pairs_hold_each_word_with_its_first_glosses():
    assert WORDS.pairs(most=1) == [
        ("公共", "public"),
        ("公共交通", "public transport"),
        ("的", "of"),
        ("票价", "fare"),
    ]


def test_text_without_known_words_is_empty():
    assert WORDS.english("某某", random.Random(1)) == ""
