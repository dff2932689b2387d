"""Near misses made by rule.

Contract: one word of a question is exchanged for one as long that stands beside the same character in another text and not in the
window; the window changes only when both are to; nothing is made where there is no such word.
"""

import random

import pytest

from rag.reader import Encoder
from rag.reader_swaps import Swaps, places

WINDOW, OTHER = "全市港口码头达到63座。", "全县渔业码头建成12座。"


@pytest.fixture
def encode(embedder):
    return Encoder("".join(sorted(set(WINDOW + OTHER + "有多少?"))), embedder)


def told(encode, tokens):
    return "".join(encode.characters[i - 3] for i in tokens.ids)


def swap(encode, question, *, both, others=(OTHER,)):
    texts = dict(zip(others, encode(others), strict=True)) if others else {}
    asked, window = encode([question, WINDOW])
    made = Swaps(encode, texts).swap(asked, window, list(others), random.Random(1), both=both)
    return made and tuple(told(encode, t) for t in made)


def test_word_of_the_question_alone_is_exchanged(encode):
    assert swap(encode, "港口码头有多少?", both=False) == ("渔业码头有多少?", WINDOW)


def test_word_is_exchanged_in_question_and_window(encode):
    assert swap(encode, "港口码头有多少?", both=True) == ("渔业码头有多少?", "全市渔业码头达到63座。")


def test_question_that_shares_no_word_with_its_window_is_left(encode):
    assert swap(encode, "有多少?", both=False) is None


def test_nothing_is_made_without_another_text(encode):
    assert swap(encode, "港口码头有多少?", both=False, others=()) is None


def test_word_that_the_window_holds_as_well_is_not_taken(encode):
    assert swap(encode, "港口码头有多少?", both=False, others=(WINDOW,)) is None


def test_places_are_those_of_the_whole_row(encode):
    assert places(encode(["码头头码码头"])[0].ids, encode(["码头"])[0].ids.tolist()).tolist() == [0, 4]
