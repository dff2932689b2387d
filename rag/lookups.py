"""What can be told of any store from its letters one by one; a store that knows better tells it itself."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Sequence
from functools import cached_property

import numpy as np

from rag.embed import Ids
from rag.errors import LetterError
from rag.heads import Heads, ReadHeads
from rag.letter import Letter
from rag.lists import LetterIds


class Lookups:
    """Lookups by number, for a store that has ``letters``, ``sentence_numbers``, ``measure_of`` and ``frequency``.

    Attributes:
        letters: in the order of their ids.
    """

    letters: Sequence[Letter]

    def sentence_numbers(self, measure: int) -> range:
        """Return the numbers of the sentences of a measure."""
        raise NotImplementedError

    def measure_of(self, sentence: int) -> int:
        """Return the measure that holds a sentence."""
        raise NotImplementedError

    def frequency(self, term: str) -> int:
        """Return in how many measures a term stands."""
        raise NotImplementedError

    @cached_property
    def ids(self) -> LetterIds:
        """The ids of the letters."""
        return LetterIds(np.arange(len(self.letters)), self._id_of)

    @cached_property
    def heads(self) -> Heads:
        """What is known of the letters without reading them; here they are read."""
        return ReadHeads(self.letters)

    def chosen(self, numbers: Ids) -> LetterIds:
        """Return the ids of the letters of these numbers, which are in order."""
        return self.ids if len(numbers) == len(self.ids) else LetterIds(numbers, self._id_of)

    def numbers_of(self, letter_ids: Collection[str]) -> Ids:
        """Return the numbers of letters, in order.

        Raises:
            LetterError: when there is none of a name.
        """
        if isinstance(letter_ids, LetterIds):
            return letter_ids.numbers
        return np.array(sorted(map(self._number_of, letter_ids)), np.int64)

    def sentence_ranges(self, measures: Ids) -> tuple[Ids, Ids]:
        """Return for each measure the number of its first sentence and the one after its last."""
        found = [self.sentence_numbers(m) for m in measures.tolist()]
        begins, ends = [r.start for r in found], [r.stop for r in found]
        return np.array(begins, np.int64), np.array(ends, np.int64)

    def measures_of(self, sentences: Ids) -> Ids:
        """Return the measures that hold sentences."""
        return np.array([self.measure_of(s) for s in sentences.tolist()], np.int64)

    def frequencies(self, terms: Sequence[str]) -> list[int]:
        """Return in how many measures each term stands."""
        return [self.frequency(t) for t in terms]

    @property
    def _id_of(self) -> Callable[[int], str]:
        """Number to id; it does not hold the store, which ends with its last user and not when Python looks for rings."""
        letters = self.letters
        return lambda number: letters[number].id

    def _number_of(self, letter_id: str) -> int:
        number = bisect_left(self.ids, letter_id)
        if number < len(self.ids) and self.ids[number] == letter_id:
            return number
        raise LetterError(
            f"there is no letter {letter_id!r}", f"one of {len(self.letters)} ids", "run: rag letters"
        )
