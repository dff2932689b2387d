"""What can be told of any store from its letters one by one.

Contract: a store that only has the plain lookups is asked with the same result as an index that knows better.
"""

import numpy as np
import pytest
from fakes import LETTERS, HashEmbedder

from rag.errors import LetterError
from rag.index import Index, parse_all, update
from rag.lookups import Lookups


class Plain(Lookups):
    """A store with the plain lookups of an index and no others."""

    def __init__(self, index):
        self.letters = list(index.letters)
        self.sentence_numbers, self.measure_of = index.sentence_numbers, index.measure_of
        self.frequency = index.frequency


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lookups")
    update(folder, parse_all([LETTERS]), HashEmbedder())
    return Index.open(folder, HashEmbedder())


@pytest.fixture(scope="module")
def plain(index):
    return Plain(index)


def test_ids_and_numbers_are_the_same(index, plain):
    assert list(plain.ids) == list(index.ids)
    some = list(index.ids)[2:5]
    assert plain.numbers_of(reversed(some)).tolist() == index.numbers_of(some).tolist() == [2, 3, 4]
    assert list(plain.chosen(np.array([1, 3]))) == [index.ids[1], index.ids[3]]


def test_sentences_and_measures_are_the_same(index, plain):
    measures = np.arange(len(index.measures))
    begins, ends = index.sentence_ranges(measures)
    assert [x.tolist() for x in plain.sentence_ranges(measures)] == [begins.tolist(), ends.tolist()]
    sentences = np.arange(int(ends[-1]))
    assert plain.measures_of(sentences).tolist() == index.measures_of(sentences).tolist()
    assert index.measures_of(begins).tolist() == measures.tolist()


def test_frequencies_are_the_same(index, plain):
    assert plain.frequencies(["建成", "飞船"]) == index.frequencies(["建成", "飞船"])


def test_unknown_letter_is_an_error_in_both(index, plain):
    for store in (index, plain):
        with pytest.raises(LetterError, match="no letter 'zzz'"):
            store.numbers_of(["zzz"])


def test_letters_are_a_sequence_that_is_read_when_it_is_looked_at(index):
    assert index.letters[-1].id == index.letters[len(index.letters) - 1].id
    assert [a.id for a in index.letters[1:3]] == list(index.ids)[1:3]
    with pytest.raises(IndexError):
        index.letters[len(index.letters)]
    assert index.letters[0] is index.letters[0]
