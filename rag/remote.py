"""A generation that another process keeps: the letters in memory here, their vectors and words there.

Every measure and sentence has an id there, given once and never again; what is found is turned into numbers by the letters
of this generation, so that what came later or is no more is never seen. :mod:`rag.pg_index` and :mod:`rag.milvus` are stores.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from rag import bm25
from rag.embed import Embedder, Ids, StaticEmbedder, Vectors
from rag.head import header, place_of
from rag.heads import Heads, ReadHeads
from rag.letter import Letter, Measure
from rag.lists import Kept
from rag.lookups import Lookups
from rag.seam import Searchable
from rag.segment import measure_text

MEASURE, SENTENCE = 0, 1  # kinds of texts
_KEPT = 20_000  # measures whose pieces are kept in memory
_ANSWERS = 200  # answers about all letters that are kept in memory
_HELD = 512 << 20  # bytes of vectors that are kept in memory, of each kind


@dataclass(frozen=True, slots=True)
class Placed:
    """A letter and its place in the store.

    Attributes:
        place: its number there.
        key: tells it from any other that was ever there.
        letter: the letter.
        firsts: the ids of its first measure and of its first sentence; the others follow.
        terms: how many terms its measures and its sentences have.
    """

    place: int
    key: str
    letter: Letter
    firsts: tuple[int, int]
    terms: tuple[int, int]

    @property
    def counts(self) -> tuple[int, int]:
        """How many measures and how many sentences it has."""
        return len(self.letter.measures), sum(len(m.sentences) for m in self.letter.measures)


class _Numbers:
    """Ids of texts of one kind and their numbers."""

    def __init__(self, placed: Sequence[Placed], kind: int) -> None:
        firsts = np.array([p.firsts[kind] for p in placed], np.int64)
        counts = np.array([p.counts[kind] for p in placed], np.int64)
        starts = np.cumsum(counts) - counts
        self.ids: Ids = np.arange(int(counts.sum())) + np.repeat(firsts - starts, counts)
        order = np.argsort(firsts, kind="stable")
        self._firsts, self._counts, self._starts = firsts[order], counts[order], starts[order]

    def of(self, ids: Ids) -> Ids:
        """Return the number of each id; -1 for one that is not of this generation."""
        if not len(self._firsts):
            return np.full(len(ids), -1, np.int64)
        at = np.searchsorted(self._firsts, ids, side="right") - 1
        inner = ids - self._firsts[at]
        return np.where((at >= 0) & (inner < self._counts[at]), self._starts[at] + inner, -1)


class _Heads(ReadHeads):
    """What the letters say at their heads; answers are kept, for the next question."""

    def __init__(self, letters: Sequence[Letter]) -> None:
        super().__init__(letters)
        self._kept: Kept[npt.NDArray[np.bool_]] = Kept(_ANSWERS)

    def says(self, folded: str) -> npt.NDArray[np.bool_]:
        return self._kept.get(("says", folded), lambda: ReadHeads.says(self, folded))

    def headed(self, folded: str) -> npt.NDArray[np.bool_]:
        return self._kept.get(
            ("headed", folded), lambda: np.array([folded in head for head in self._headers], np.bool_)
        )

    def tells(self, year: str) -> npt.NDArray[np.bool_]:
        return self._kept.get(("tells", year), lambda: ReadHeads.tells(self, year))

    def one_place(self, numbers: Ids) -> bool:
        return len(numbers) == 0 or bool((self._places[numbers] == self._places[numbers[0]]).all())

    @cached_property
    def _headers(self) -> list[str]:
        return [header(a) for a in self._letters]

    @cached_property
    def _places(self) -> Ids:
        known: dict[str, int] = {}
        return np.array([known.setdefault(place_of(a), len(known)) for a in self._letters], np.int64)


class _Held:
    """Vectors that were fetched before; where all of them are too many, none is kept."""

    def __init__(self, count: int, dimension: int) -> None:
        fits = count * dimension * 2 <= _HELD
        self._rows = np.zeros((count if fits else 0, dimension), np.float16)
        self._known = np.zeros(count if fits else 0, bool)

    def missing(self, numbers: Ids) -> Ids:
        return np.unique(numbers[~self._known[numbers]]) if len(self._known) else np.unique(numbers)

    def rows(self, numbers: Ids, fetched: Ids, vectors: Vectors) -> Vectors:
        """Return the rows of all numbers, of which these were just fetched, in ascending order."""
        if not len(self._known):
            return vectors[np.searchsorted(fetched, numbers)]
        self._rows[fetched] = vectors
        self._known[fetched] = True
        return self._rows[numbers].astype(np.float32)


@dataclass(frozen=True, slots=True)
class Chosen:
    """Some letters of a generation: their places, and which measures and sentences are theirs."""

    places: list[int]
    masks: tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]

    def count(self, kind: int) -> int:
        """How many measures or sentences they have."""
        return int(self.masks[kind].sum())


class Remote(Lookups, ABC):
    """A generation in another process.

    Attributes:
        generation: its name.
        manifest: what it says of itself.
        embedder: the model.
        letters: the letters.
        measures: every measure with its letter.
        placed: the letters with their places.
    """

    most = 2**31  # texts that the store gives at once

    def __init__(
        self, manifest: dict[str, Any], embedder: Embedder, placed: Sequence[Placed], old: Remote | None
    ) -> None:
        self.generation: str = manifest["generation"]
        self.manifest = manifest
        self.embedder = embedder
        self.placed = sorted(placed, key=lambda p: p.letter.id)
        self.letters: Sequence[Letter] = [p.letter for p in self.placed]
        self.measures: list[tuple[Letter, Measure]] = [(a, m) for a in self.letters for m in a.measures]
        self.numbers = tuple(_Numbers(self.placed, kind) for kind in (MEASURE, SENTENCE))
        sizes = [len(m.sentences) for _, m in self.measures]
        self._starts: Ids = np.cumsum([0, *sizes], dtype=np.int64)
        self.texts = tuple(
            bm25.Texts(len(n.ids), sum(p.terms[kind] for p in self.placed))
            for kind, n in enumerate(self.numbers)
        )
        self._vectors = tuple(_Held(len(n.ids), embedder.dimension) for n in self.numbers)
        self._pieces: dict[tuple[str, int], Ids] = old._pieces if old else {}

    @abstractmethod
    def nearest(self, kind: int, query: Vectors, limit: int, chosen: Chosen | None) -> tuple[Ids, Vectors]:
        """Return ids and cosines of the nearest texts, best first: of some letters, or of all and of what else is there."""

    @abstractmethod
    def fetch(self, kind: int, ids: Ids) -> Vectors:
        """Return the vectors of texts by id, which ascend: shape ``(len(ids), dimension)``."""

    @abstractmethod
    def scores(self, kind: int, wanted: Sequence[str], limit: int, chosen: Chosen | None) -> dict[int, float]:
        """Return the BM25 of the best texts for the terms, by number, best first."""

    @abstractmethod
    def frequencies(self, terms: Sequence[str]) -> list[int]:
        """Return in how many measures each term stands."""

    @abstractmethod
    def structure(self) -> str:
        """Say how vectors and words are searched."""

    def frequency(self, term: str) -> int:
        """Return in how many measures a term stands."""
        return self.frequencies([term])[0]

    @cached_property
    def heads(self) -> Heads:
        """What is known of the letters without reading them again."""
        return _Heads(self.letters)

    def letter(self, letter_id: str) -> Letter:
        """Return a letter by id.

        Raises:
            LetterError: when there is none of that name.
        """
        return self.letters[self._number_of(letter_id)]

    def within(self, letter_ids: Collection[str]) -> Searchable:
        """Return this as it is within some letters: searches find these only; numbers and frequencies are of the whole."""
        if len(letter_ids) == len(self.letters):
            return self
        return cast(Searchable, _Within(self, self.numbers_of(letter_ids)))  # the rest of it is the whole's

    def sentence_numbers(self, measure: int) -> range:
        """Return the numbers of the sentences of a measure."""
        return range(int(self._starts[measure]), int(self._starts[measure + 1]))

    def sentence_ranges(self, measures: Ids) -> tuple[Ids, Ids]:
        """Return for each measure the number of its first sentence and the one after its last."""
        return self._starts[measures], self._starts[measures + 1]

    def measure_of(self, sentence: int) -> int:
        """Return the measure that holds a sentence."""
        return int(self.measures_of(np.array([sentence]))[0])

    def measures_of(self, sentences: Ids) -> Ids:
        """Return the measures that hold sentences."""
        return np.searchsorted(self._starts, sentences, side="right") - 1

    def nearest_measures(self, query: Vectors, limit: int) -> dict[int, float]:
        """Return the cosine of the nearest measures, by number; ``query`` has shape ``(dimension,)``."""
        return self.near(MEASURE, query, limit)

    def nearest_sentences(self, query: Vectors, limit: int) -> dict[int, float]:
        """Return the cosine of the nearest sentences, by number."""
        return self.near(SENTENCE, query, limit)

    def near(self, kind: int, query: Vectors, limit: int, chosen: Chosen | None = None) -> dict[int, float]:
        """Return the cosine of the nearest texts of this generation, by number, best first."""
        looked = limit
        while True:
            ids, cosines = self.nearest(kind, query, looked, chosen)
            numbers = self.numbers[kind].of(ids)
            mine = numbers >= 0
            if mine.sum() >= limit or len(ids) < looked or looked >= self.most:
                break
            looked = min(4 * looked, self.most)
        pairs = zip(numbers[mine].tolist(), cosines[mine].tolist(), strict=True)
        ranked = sorted(pairs, key=lambda pair: (-pair[1], pair[0]))
        return dict(ranked[:limit])

    def measure_vectors(self, numbers: Sequence[int] | Ids) -> Vectors:
        """Return the vectors of measures: shape ``(len(numbers), dimension)``."""
        return self._rows(MEASURE, numbers)

    def sentence_cosines(self, numbers: Ids, query: Vectors) -> Vectors:
        """Return the cosines of sentences with a query: shape ``(len(numbers),)``."""
        return self._rows(SENTENCE, numbers) @ query

    def sentence_vectors(self, measure: int) -> Vectors:
        """Return the vectors of the sentences of a measure: shape ``(sentences, dimension)``."""
        return self._rows(SENTENCE, self.sentence_numbers(measure))

    def _rows(self, kind: int, numbers: Sequence[int] | Ids) -> Vectors:
        wanted = np.asarray(numbers, np.int64)
        if not len(wanted):
            return np.zeros((0, self.embedder.dimension), np.float32)
        missing = self._vectors[kind].missing(wanted)
        ids = self.numbers[kind].ids[missing]
        order = np.argsort(ids)
        vectors = np.zeros((len(missing), self.embedder.dimension), np.float32)
        if len(missing):
            vectors[order] = self.fetch(kind, ids[order])
        return self._vectors[kind].rows(wanted, missing, vectors)

    def pieces(self, numbers: Sequence[int]) -> list[Ids]:
        """Return the distinct pieces of measures, by a static model; kept for the next question."""
        assert isinstance(self.embedder, StaticEmbedder)
        keys = [(a.sha256, m.start) for a, m in (self.measures[n] for n in numbers)]
        found = {key: known for key in keys if (known := self._pieces.get(key)) is not None}
        new = {key: n for key, n in zip(keys, numbers, strict=True) if key not in found}
        if new:
            made = self.embedder.pieces([measure_text(*self.measures[n]) for n in new.values()])
            found |= {key: np.unique(ids) for key, ids in zip(new, made, strict=True)}
            if len(self._pieces) > _KEPT:
                self._pieces.clear()
            self._pieces.update(found)
        return [found[key] for key in keys]

    def measure_scores(self, wanted: Sequence[str], limit: int) -> dict[int, float]:
        """Return the BM25 of the best measures for the terms, by number."""
        return self.scores(MEASURE, wanted, limit, None)

    def sentence_scores(self, wanted: Sequence[str], limit: int) -> dict[int, float]:
        """Return the BM25 of the best sentences for the terms, by number."""
        return self.scores(SENTENCE, wanted, limit, None)

    def choose(self, letters: Ids) -> Chosen:
        """Return what is of the letters of these numbers."""
        masks = tuple(np.zeros(len(n.ids), bool) for n in self.numbers)
        places = letters.tolist()
        starts = np.cumsum([(0, 0), *(p.counts for p in self.placed)], axis=0)
        for at in places:
            for kind in (MEASURE, SENTENCE):
                masks[kind][starts[at, kind] : starts[at + 1, kind]] = True
        return Chosen([self.placed[at].place for at in places], (masks[0], masks[1]))


class _Within:
    """A generation within some letters; within one there is no limit to what is found."""

    def __init__(self, whole: Remote, letters: Ids) -> None:
        self._whole = whole
        self._chosen = whole.choose(letters)
        self._alone = len(letters) == 1

    def __getattr__(self, name: str) -> Any:
        return getattr(self._whole, name)

    def nearest_measures(self, query: Vectors, limit: int) -> dict[int, float]:
        return self._near(MEASURE, query, limit)

    def nearest_sentences(self, query: Vectors, limit: int) -> dict[int, float]:
        return self._near(SENTENCE, query, limit)

    def measure_scores(self, wanted: Sequence[str], limit: int) -> dict[int, float]:
        return self._whole.scores(MEASURE, wanted, self._limit(MEASURE, limit), self._chosen)

    def sentence_scores(self, wanted: Sequence[str], limit: int) -> dict[int, float]:
        return self._whole.scores(SENTENCE, wanted, self._limit(SENTENCE, limit), self._chosen)

    def _near(self, kind: int, query: Vectors, limit: int) -> dict[int, float]:
        count = self._chosen.count(kind)
        return self._whole.near(kind, query, count if self._alone else min(limit, count), self._chosen)

    def _limit(self, kind: int, limit: int) -> int:
        return max(limit, self._chosen.count(kind)) if self._alone else limit
