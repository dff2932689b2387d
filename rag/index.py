"""The index: letters, their vectors in FAISS and their words in tantivy, opened from one generation on disk.

``Index.open`` opens it whole or says why not; segments that are open already are taken over, so that a generation with one more
letter opens in the time that letter takes. :mod:`rag.derive` builds what is opened here.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rag.embed import Embedder, Ids, StaticEmbedder, Vectors
from rag.errors import IndexMismatch, LetterError
from rag.letter import Letter
from rag.segment import (
    MEASURE_WORDS,
    SENTENCE_WORDS,
    Pair,
    Segment,
    measure_text,
    measure_words,
    reconstruct,
    search_vectors,
)
from rag.store import REBUILD, Entry, check_built, open_current
from rag.words import Addresses, Words

if TYPE_CHECKING:
    from rag.bulk import Change, parse_all, update

__all__ = ["Change", "Index", "measure_text", "measure_words", "parse_all", "update"]

_KEPT = 20_000  # measures whose pieces are kept in memory
_ROW = np.uint64(0xFFFFFFFF)


def __getattr__(name: str) -> Any:
    """Import what builds an index when it is first used: who only asks needs neither readers nor parser."""
    if name in ("Change", "parse_all", "update"):
        return getattr(import_module("rag.bulk"), name)
    raise AttributeError(f"module 'rag.index' has no attribute {name!r}")


class Index:
    """An opened index; measures and sentences are numbered from 0 in the order of the letters, which is that of their ids.

    Attributes:
        letters: the letters.
        measures: every measure with its letter.
        embedder: the model its vectors were made with.
        generation: its name on disk.
        manifest: what the generation says of itself.
    """

    def __init__(
        self, home: Path, manifest: dict[str, Any], embedder: Embedder, old: Index | None = None
    ) -> None:
        self.embedder = embedder
        self.generation = home.name
        self.manifest = manifest
        open_now = old.segments if old else {}
        self.segments: dict[str, Segment] = {
            e["name"]: open_now.get(e["name"]) or Segment(home / e["name"], e) for e in manifest["segments"]
        }
        self._parts = list(self.segments.values())
        self._words = Words(home / MEASURE_WORDS)
        self._sentence_words = Words(home / SENTENCE_WORDS)
        self._pieces: dict[tuple[str, int], Ids] = old._pieces if old else {}
        removed = {e["name"]: set(e["removed"]) for e in manifest["segments"]}
        self._number(removed)
        self._gone = self._count_gone(removed)
        self._check_counts(home)

    @classmethod
    def open(cls, folder: Path, embedder: Embedder, old: Index | None = None) -> Index:
        """Open the index in ``folder``.

        Args:
            folder: the index folder.
            embedder: the model.
            old: an index of that folder that is open; the segments that both have are taken over without a second check.

        Raises:
            IndexStateError: missing, damaged, or built otherwise; the message names the command that repairs it.
        """

        def opener(home: Path, manifest: dict[str, Any]) -> Index:
            check_built(manifest, embedder)
            return cls(home, manifest, embedder, old)

        return open_current(folder, opener, old.checked if old else None)

    @property
    def checked(self) -> dict[str, Entry]:
        """The files that were checked when this was opened."""
        files: dict[str, Entry] = self.manifest["files"]
        return files

    def letter(self, letter_id: str) -> Letter:
        """Return a letter by id.

        Raises:
            LetterError: when there is none of that name.
        """
        if (letter := self._by_id.get(letter_id)) is not None:
            return letter
        raise LetterError(
            f"there is no letter {letter_id!r}",
            f"one of {len(self.letters)} ids",
            "run: rag letters",
        )

    def within(self, letter_ids: Collection[str]) -> Index:
        """Return this index as it is within some letters: searches find these only; numbers and frequencies are of the whole."""
        return self if len(letter_ids) == len(self.letters) else _Within(self, letter_ids)

    def sentence_numbers(self, measure: int) -> range:
        """Return the numbers of the sentences of a measure."""
        return range(self._starts[measure], self._starts[measure + 1])

    def measure_of(self, sentence: int) -> int:
        """Return the measure that holds a sentence."""
        return bisect_right(self._starts, sentence) - 1

    def nearest_measures(self, query: Vectors, limit: int) -> dict[int, float]:
        """Return the cosine of the nearest measures, by number; ``query`` has shape ``(dimension,)``."""
        return self._nearest([s.measures for s in self._parts], self._measure_numbers, query, limit)

    def nearest_sentences(self, query: Vectors, limit: int) -> dict[int, float]:
        """Return the cosine of the nearest sentences, by number."""
        return self._nearest([s.sentences for s in self._parts], self._sentence_numbers, query, limit)

    def measure_vectors(self, numbers: Sequence[int]) -> Vectors:
        """Return the vectors of measures: shape ``(len(numbers), dimension)``."""
        return self._vectors([s.measures for s in self._parts], self._measure_places, numbers)

    def vectors_of_sentences(self, numbers: Sequence[int]) -> Vectors:
        """Return the vectors of sentences: shape ``(len(numbers), dimension)``."""
        return self._vectors([s.sentences for s in self._parts], self._sentence_places, numbers)

    def sentence_vectors(self, measure: int) -> Vectors:
        """Return the vectors of the sentences of a measure: shape ``(sentences, dimension)``."""
        return self.vectors_of_sentences(self.sentence_numbers(measure))

    def pieces(self, numbers: Sequence[int]) -> list[Ids]:
        """Return the distinct pieces of measures, by a static model; kept for the next question."""
        assert isinstance(self.embedder, StaticEmbedder)
        keys = [(a.sha256, m.start) for a, m in (self.measures[n] for n in numbers)]
        found = {key: known for key in keys if (known := self._pieces.get(key)) is not None}
        new = {key: n for key, n in zip(keys, numbers, strict=True) if key not in found}
        if new:
            made = self.embedder.pieces([measure_text(*self.measures[n]) for n in new.values()])
            fresh = {key: np.unique(ids) for key, ids in zip(new, made, strict=True)}
            if len(self._pieces) > _KEPT:
                self._pieces.clear()
            self._pieces.update(fresh)
            found |= fresh
        return [found[key] for key in keys]

    def measure_scores(self, wanted: Sequence[str], limit: int) -> dict[int, float]:
        """Return the BM25 of the best measures for the terms, by number."""
        return self._words.search(wanted, limit, partial(self._numbers_at, numbers=self._measure_numbers))

    def sentence_scores(self, wanted: Sequence[str], limit: int) -> dict[int, float]:
        """Return the BM25 of the best sentences for the terms, by number."""
        return self._sentence_words.search(
            wanted, limit, partial(self._numbers_at, numbers=self._sentence_numbers)
        )

    def frequency(self, term: str) -> int:
        """Return in how many measures a term stands."""
        return self._words.frequency(term) - self._gone[term]

    def _number(self, removed: dict[str, set[int]]) -> None:
        """Number letters, measures and sentences over all segments, in the order of the ids of the letters."""
        placed = sorted(
            (a.id, s, i)
            for s, (name, part) in enumerate(self.segments.items())
            for i, (v, a) in enumerate(zip(part.versions, part.letters, strict=True))
            if v not in removed[name]
        )
        self.letters = [self._parts[s].letters[i] for _, s, i in placed]
        self.measures: list[Pair] = []
        for _, s, i in placed:
            self.measures.extend(self._parts[s].pairs[i])
        self._by_id = {a.id: a for a in self.letters}
        firsts = [np.full(len(p.letters), -1, np.int64) for p in self._parts]
        at = 0
        self._place_of: dict[
            str, tuple[int, int, int]
        ] = {}  # version, first measure and the one after the last
        for letter_id, s, i in placed:
            firsts[s][i] = at
            end = at + len(self._parts[s].pairs[i])
            self._place_of[letter_id] = (self._parts[s].versions[i], at, end)
            at = end
        spread = [_spread(first, np.diff(p.starts)) for p, first in zip(self._parts, firsts, strict=True)]
        counts = _scatter(at, spread, [p.sentence_counts for p in self._parts])
        starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
        inner = [
            _spread(np.where(n < 0, -1, starts[n]), p.sentence_counts)
            for p, n in zip(self._parts, spread, strict=True)
        ]
        self._starts: list[int] = starts.tolist()
        self._measure_numbers, self._measure_places = spread, _places(at, spread)
        self._sentence_numbers, self._sentence_places = inner, _places(int(starts[-1]), inner)
        self._segment_of = {p.number: s for s, p in enumerate(self._parts)}

    def _count_gone(self, removed: dict[str, set[int]]) -> Counter[str]:
        """In how many measures that are no more each term stands: the words know them until their segment is written anew."""
        gone: Counter[str] = Counter()
        for name, versions in removed.items():
            part = self.segments[name]
            for i, v in enumerate(part.versions if versions else ()):
                if v in versions:
                    for found in part.terms_of(i):
                        gone.update(found)
        return gone

    def _numbers_at(self, addresses: Addresses, numbers: Sequence[Ids]) -> list[int]:
        """Turn the addresses of texts into numbers."""
        rows = (addresses & _ROW).astype(np.int64)
        parts = (addresses >> np.uint64(32)).astype(np.int64)
        return [
            int(numbers[self._segment_of[p]][r]) for p, r in zip(parts.tolist(), rows.tolist(), strict=True)
        ]

    def _nearest(
        self, vectors: Sequence[Any], numbers: Sequence[Ids], query: Vectors, limit: int
    ) -> dict[int, float]:
        found: list[tuple[float, int]] = []
        for index, known in zip(vectors, numbers, strict=True):
            looked = limit
            while True:
                rows, scores = search_vectors(index, query, looked)
                mine = known[rows]
                if (mine >= 0).sum() >= limit or len(rows) < looked:
                    break
                looked *= 4
            pairs = zip(scores.tolist(), mine.tolist(), strict=True)
            found += [(score, n) for score, n in pairs if n >= 0]
        found.sort(key=lambda pair: (-pair[0], pair[1]))
        return {n: score for score, n in found[:limit]}

    def _vectors(self, vectors: Sequence[Any], places: Ids, numbers: Sequence[int]) -> Vectors:
        out = np.zeros((len(numbers), self.embedder.dimension), np.float32)
        wanted = places[np.asarray(numbers, np.int64)] if len(numbers) else places[:0]
        for s in np.unique(wanted[:, 0]).tolist():
            mine = wanted[:, 0] == s
            out[mine] = reconstruct(vectors[s], wanted[mine, 1])
        return out

    def _check_counts(self, home: Path) -> None:
        for part in self._parts:
            counts = (part.measures.ntotal, len(part.sentence_counts))
            inner = (part.sentences.ntotal, int(part.sentence_counts.sum()))
            self._check_equal(home, counts, inner)
        whole = sum(len(p.sentence_counts) for p in self._parts)
        sentences = sum(int(p.sentence_counts.sum()) for p in self._parts)
        self._check_equal(home, (self._words.count, whole), (self._sentence_words.count, sentences))

    def _check_equal(self, home: Path, counts: tuple[int, int], inner: tuple[int, int]) -> None:
        if counts[0] != counts[1] or inner[0] != inner[1]:
            raise IndexMismatch(
                f"{home} holds {counts[0]} vectors or texts for {counts[1]} measures, {inner[0]} for {inner[1]} sentences",
                "equal numbers",
                REBUILD,
            )


class _Within(Index):
    """An index within some letters; within one there is no limit to what is found."""

    def __init__(self, whole: Index, letter_ids: Collection[str]) -> None:
        self.__dict__.update(whole.__dict__)
        chosen = [whole._place_of[i] for i in letter_ids]
        self._versions = [v for v, _, _ in chosen]
        self._numbers = [n for _, first, end in chosen for n in range(first, end)]
        self._inner = [n for m in self._numbers for n in self.sentence_numbers(m)]
        self._alone = len(chosen) == 1

    def nearest_measures(self, query: Vectors, limit: int) -> dict[int, float]:
        return self._best(self._numbers, self.measure_vectors(self._numbers) @ query, limit)

    def nearest_sentences(self, query: Vectors, limit: int) -> dict[int, float]:
        return self._best(self._inner, self.vectors_of_sentences(self._inner) @ query, limit)

    def measure_scores(self, wanted: Sequence[str], limit: int) -> dict[int, float]:
        limit = max(limit, len(self._numbers)) if self._alone else limit
        at = partial(self._numbers_at, numbers=self._measure_numbers)
        return self._words.search(wanted, limit, at, self._versions)

    def sentence_scores(self, wanted: Sequence[str], limit: int) -> dict[int, float]:
        limit = max(limit, len(self._inner)) if self._alone else limit
        at = partial(self._numbers_at, numbers=self._sentence_numbers)
        return self._sentence_words.search(wanted, limit, at, self._versions)

    def _best(self, numbers: Sequence[int], scores: Vectors, limit: int) -> dict[int, float]:
        order = np.argsort(-scores, kind="stable")
        best = order if self._alone else order[:limit]
        return {numbers[i]: float(scores[i]) for i in best.tolist()}


def _spread(firsts: Ids, counts: Ids) -> Ids:
    """Numbers of the parts of things: each thing's first number and the following ones; -1 where its first is -1."""
    within = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
    first = np.repeat(firsts, counts)
    return np.where(first < 0, -1, first + within).astype(np.int64)


def _scatter(size: int, numbers: Sequence[Ids], values: Sequence[Ids]) -> Ids:
    out = np.zeros(size, np.int64)
    for n, v in zip(numbers, values, strict=True):
        out[n[n >= 0]] = v[n >= 0]
    return out


def _places(size: int, numbers: Sequence[Ids]) -> Ids:
    """Segment and row of every number: shape ``(size, 2)``."""
    out = np.zeros((size, 2), np.int64)
    for s, n in enumerate(numbers):
        rows = np.flatnonzero(n >= 0)
        out[n[rows], 0] = s
        out[n[rows], 1] = rows
    return out
