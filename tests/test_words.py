"""The lexical index: BM25 over Han characters and their pairs, Latin words and whole numbers.

Contract: texts are numbered from 0; higher is better; rarer terms weigh more; text that holds no term is not found.
"""

import pytest

from rag.words import Words, build_words

TEXTS = ["建成零工驿站63家", "建成公园8座", "5G与AI新媒体", "驿站里的驿站和驿站", ""]


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    folder = tmp_path_factory.mktemp("words") / "words"
    build_words(folder, [(len(t), t) for t in TEXTS])
    return Words(folder)


def test_every_text_is_counted_even_an_empty_one(words):
    assert words.count == 5


def test_texts_that_hold_a_term_are_found_by_number(words):
    assert set(words.search(["建成"], 10)) == {0, 1}
    assert set(words.search(["驿站", "公园"], 10)) == {0, 1, 3}


def test_text_that_holds_the_term_more_often_scores_higher(words):
    scores = words.search(["驿站"], 10)
    assert scores[3] > scores[0] > 0


def test_rarer_term_scores_higher(words):
    scores = words.search(["建成", "公园"], 10)
    assert scores[1] > scores[0]


def test_limit_keeps_the_best(words):
    assert list(words.search(["驿站"], 1)) == [3]


def test_latin_words_and_numbers_are_found_whole(words):
    assert list(words.search(["ai"], 10)) == [2]
    assert list(words.search(["63"], 10)) == [0]
    assert words.search(["6"], 10) == {}


def test_term_given_twice_counts_once(words):
    assert words.search(["公园", "公园"], 10) == words.search(["公园"], 10)


@pytest.mark.parametrize("wanted", [[], ["飞船"], ["AND"], ["建成 OR"]])
def test_nothing_is_found_for_no_or_unknown_terms(words, wanted):
    assert words.search(wanted, 10) == {}


def test_frequency_is_the_number_of_texts(words):
    assert words.frequency("驿站") == 2
    assert words.frequency("飞船") == 0


def test_index_of_no_texts_finds_nothing(tmp_path):
    build_words(tmp_path / "none", [])
    assert Words(tmp_path / "none").search(["建成"], 10) == {}
