"""The numbers of letters, measures and sentences over all segments: in the order of the ids of the letters.

A generation holds where each letter lies, in that order; all else is arithmetic on mapped arrays, by letter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rag.arrays import Bools, open_arrays, write_arrays
from rag.embed import Ids
from rag.letter import Letter
from rag.lists import Kept, distinct
from rag.segment import Pair, Segment

ORDER = "order.bin"


def write_order(path: Path, segments: Sequence[dict[str, Any]], ids: Mapping[int, str]) -> None:
    """Write where each letter lies, in the order of their ids.

    Args:
        path: the file.
        segments: as the manifest has them.
        ids: of the letters that are there, by version.
    """
    placed = sorted(
        (ids[v], s, i)
        for s, entry in enumerate(segments)
        for gone in [set(entry["removed"])]
        for i, v in enumerate(entry["letters"])
        if v not in gone
    )
    lies = np.array([(s, i) for _, s, i in placed], np.int32).reshape(-1, 2)
    write_arrays(path, {"segments": lies[:, 0], "letters": lies[:, 1]})


class Order:
    """Numbers to places in segments, and back.

    Attributes:
        segments: of each letter, by number.
        letters: its place in the segment.
        places: among the letters of all segments, one after the other.
        measures: number of the first measure of each letter; one more than there are letters.
        sentences: number of its first sentence, likewise.
        numbers: for each segment the number of each of its letters; -1 for those that are no more.
    """

    def __init__(self, path: Path, parts: Sequence[Segment]) -> None:
        found = open_arrays(path)
        self.segments: npt.NDArray[np.int32] = found["segments"]
        self.letters: npt.NDArray[np.int32] = found["letters"]
        self._parts = parts
        sizes = [len(p.versions) for p in parts]
        if len(self.segments) and not _inside(self.segments, self.letters, sizes):
            raise ValueError(f"{ORDER} names letters that no segment holds")
        at = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)[self.segments] + self.letters
        self.places: Ids = at
        nothing = np.zeros(0, np.int64)
        counts = np.concatenate([*(np.diff(p.starts) for p in parts), nothing])
        inner = np.concatenate([*(np.diff(p.sentence_ends) for p in parts), nothing])
        self.measures: Ids = np.concatenate([[0], np.cumsum(counts[at])]).astype(np.int64)
        self.sentences: Ids = np.concatenate([[0], np.cumsum(inner[at])]).astype(np.int64)
        placed = np.full(sum(sizes), -1, np.int64)
        placed[at] = np.arange(len(at))
        self.numbers: list[Ids] = np.split(placed, np.cumsum(sizes)[:-1]) if sizes else []

    def live_letters(self, part: int) -> Bools | None:
        """Return which letters of a segment are there; None for all."""
        live = self.numbers[part] >= 0
        return None if live.all() else live

    def measure_places(self, numbers: Ids) -> tuple[Ids, Ids]:
        """Return segment and row of measures."""
        letters = np.searchsorted(self.measures, numbers, side="right") - 1
        parts = self.segments[letters].astype(np.int64)
        return parts, self._rows([p.starts for p in self._parts], letters, parts) + numbers - self.measures[
            letters
        ]

    def sentence_places(self, numbers: Ids) -> tuple[Ids, Ids]:
        """Return segment and row of sentences."""
        letters = np.searchsorted(self.sentences, numbers, side="right") - 1
        parts = self.segments[letters].astype(np.int64)
        firsts = self._rows([p.sentence_ends for p in self._parts], letters, parts)
        return parts, firsts + numbers - self.sentences[letters]

    def measure_numbers(self, part: int, rows: Ids) -> Ids:
        """Return the numbers of the measures in rows of a segment; -1 for those that are no more."""
        return self._numbers(part, self._parts[part].starts, self.measures, rows)

    def sentence_numbers(self, part: int, rows: Ids) -> Ids:
        """Return the numbers of the sentences in rows of a segment; -1 for those that are no more."""
        return self._numbers(part, self._parts[part].sentence_ends, self.sentences, rows)

    def sentence_ranges(self, measures: Ids) -> tuple[Ids, Ids]:
        """Return for each measure the number of its first sentence and the one after its last."""
        letters = np.searchsorted(self.measures, measures, side="right") - 1
        parts, rows = self.measure_places(measures)
        begin, end, first = (np.zeros(len(measures), np.int64) for _ in range(3))
        for s in distinct(parts).tolist():
            mine, part = parts == s, self._parts[s]
            begin[mine] = part.sentence_starts[rows[mine]]
            end[mine] = part.sentence_starts[rows[mine] + 1]
            first[mine] = part.sentence_ends[self.letters[letters[mine]]]
        shift = self.sentences[letters] - first
        return begin + shift, end + shift

    def measures_of(self, sentences: Ids) -> Ids:
        """Return the measures that hold sentences."""
        letters = np.searchsorted(self.sentences, sentences, side="right") - 1
        parts, rows = self.sentence_places(sentences)
        out = np.zeros(len(sentences), np.int64)
        for s in distinct(parts).tolist():
            mine, part = parts == s, self._parts[s]
            found = np.searchsorted(part.sentence_starts, rows[mine], side="right") - 1
            out[mine] = found - part.starts[self.letters[letters[mine]]] + self.measures[letters[mine]]
        return out

    def _rows(self, starts: Sequence[Ids], letters: Ids, parts: Ids) -> Ids:
        out = np.zeros(len(letters), np.int64)
        for s in distinct(parts).tolist():
            mine = parts == s
            out[mine] = starts[s][self.letters[letters[mine]]]
        return out

    def _numbers(self, part: int, starts: Ids, firsts: Ids, rows: Ids) -> Ids:
        inner = np.searchsorted(starts, rows, side="right") - 1
        letters = self.numbers[part][inner]
        return np.where(letters < 0, -1, firsts[letters] + rows - starts[inner]).astype(np.int64)


class Contents:
    """Letters, measures and ids by number, read when they are asked for; it does not know the index that hands it out."""

    def __init__(self, order: Order, parts: Sequence[Segment], kept: Kept[Letter]) -> None:
        self._order, self._parts, self._kept = order, parts, kept

    def letter(self, number: int) -> Letter:
        """Return a letter."""
        part, i = self._place(number)
        return self._kept.get((part.name, i), lambda: part.letter(i))

    def id(self, number: int) -> str:
        """Return the id of a letter."""
        part, i = self._place(number)
        return part.id(i)

    def measure(self, number: int) -> Pair:
        """Return a measure with its letter."""
        of = int(np.searchsorted(self._order.measures, number, side="right")) - 1
        letter = self.letter(of)
        return letter, letter.measures[number - int(self._order.measures[of])]

    def _place(self, number: int) -> tuple[Segment, int]:
        return self._parts[int(self._order.segments[number])], int(self._order.letters[number])


def _inside(segments: npt.NDArray[np.int32], letters: npt.NDArray[np.int32], sizes: Sequence[int]) -> bool:
    if segments.min() < 0 or segments.max() >= len(sizes) or letters.min() < 0:
        return False
    return bool((letters < np.array(sizes)[segments]).all())
