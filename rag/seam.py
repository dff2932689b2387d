"""The seam between what asks and where the letters are kept: what every store offers to those who rank and answer.

Measures and sentences are numbered from 0 in the order of the letters, which is that of their ids; scores are the same in
every store, so that an answer does not depend on where the letters are kept.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Protocol

from rag.embed import Embedder, Ids, Vectors
from rag.heads import Heads
from rag.letter import Letter, Measure
from rag.lists import LetterIds


class Searchable(Protocol):
    """One generation of the letters, opened; what it says never changes."""

    @property
    def embedder(self) -> Embedder:
        """The model its vectors were made with."""

    @property
    def generation(self) -> str:
        """The name of the generation."""

    @property
    def manifest(self) -> dict[str, Any]:
        """What the generation says of itself: ``letters``, ``measures``, ``parser``, ``embedding``."""

    @property
    def letters(self) -> Sequence[Letter]:
        """The letters, in the order of their ids."""

    @property
    def ids(self) -> LetterIds:
        """The ids of the letters, in order."""

    @property
    def heads(self) -> Heads:
        """What is known of the letters without reading them."""

    @property
    def measures(self) -> Sequence[tuple[Letter, Measure]]:
        """Every measure with its letter."""

    def letter(self, letter_id: str) -> Letter:
        """Return a letter by id.

        Raises:
            LetterError: when there is none of that name.
        """

    def chosen(self, numbers: Ids) -> LetterIds:
        """Return the ids of the letters of these numbers, which are in order."""

    def numbers_of(self, letter_ids: Collection[str]) -> Ids:
        """Return the numbers of letters, in order.

        Raises:
            LetterError: when there is none of a name.
        """

    def within(self, letter_ids: Collection[str]) -> Searchable:
        """Return this as it is within some letters: searches find these only; numbers and frequencies are of the whole."""

    def sentence_numbers(self, measure: int) -> range:
        """Return the numbers of the sentences of a measure."""

    def sentence_ranges(self, measures: Ids) -> tuple[Ids, Ids]:
        """Return for each measure the number of its first sentence and the one after its last."""

    def measures_of(self, sentences: Ids) -> Ids:
        """Return the measures that hold sentences."""

    def measure_of(self, sentence: int) -> int:
        """Return the measure that holds a sentence."""

    def nearest_measures(self, query: Vectors, limit: int) -> dict[int, float]:
        """Return the cosine of the nearest measures, by number; ``query`` has shape ``(dimension,)``."""

    def nearest_sentences(self, query: Vectors, limit: int) -> dict[int, float]:
        """Return the cosine of the nearest sentences, by number."""

    def measure_vectors(self, numbers: Sequence[int] | Ids) -> Vectors:
        """Return the vectors of measures: shape ``(len(numbers), dimension)``."""

    def sentence_cosines(self, numbers: Ids, query: Vectors) -> Vectors:
        """Return the cosines of sentences with a query: shape ``(len(numbers),)``."""

    def sentence_vectors(self, measure: int) -> Vectors:
        """Return the vectors of the sentences of a measure: shape ``(sentences, dimension)``."""

    def pieces(self, numbers: Sequence[int]) -> list[Ids]:
        """Return the distinct pieces of measures, by a static model."""

    def measure_scores(self, wanted: Sequence[str], limit: int) -> dict[int, float]:
        """Return the BM25 of the best measures for the terms, by number."""

    def sentence_scores(self, wanted: Sequence[str], limit: int) -> dict[int, float]:
        """Return the BM25 of the best sentences for the terms, by number."""

    def frequency(self, term: str) -> int:
        """Return in how many measures a term stands."""

    def frequencies(self, terms: Sequence[str]) -> list[int]:
        """Return in how many measures each term stands."""

    def structure(self) -> str:
        """Say how vectors and words are searched."""
