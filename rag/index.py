"""The index: letters, their vectors and their words, opened from one generation on disk.

``Index.open`` opens it whole or says why not; what it holds is mapped, and read when it is looked at. Segments that are open
already are taken over. :mod:`rag.derive` builds what is opened here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rag.arrays import Bools
from rag.embed import Embedder, Ids, StaticEmbedder, Vectors
from rag.errors import IndexMismatch
from rag.heads import Heads, SegmentHeads
from rag.letter import Letter
from rag.lists import Kept, Lazy, LetterIds, distinct, first_of, ranges, ranked
from rag.lookups import Lookups
from rag.order import ORDER, Contents, Order
from rag.segment import Pair, Segment, measure_text, measure_words
from rag.store import REBUILD, Entry, check_built, open_current
from rag.vectors import MORE, Table
from rag.words import Found, Words

if TYPE_CHECKING:
    from rag.bulk import Change, parse_all, update

__all__ = ["Change", "Index", "measure_text", "measure_words", "parse_all", "update"]

EXACT = 100_000  # sentences up to which all are looked at for the nearest
NEAR = 500  # measures whose sentences are looked at beyond that
_FEW = 2_000  # measures up to which a part of the index is searched by itself
_LETTERS = 1_000  # letters kept in memory


def __getattr__(name: str) -> Any:
    """Import what builds an index when it is first used: who only asks needs neither readers nor parser."""
    if name in ("Change", "parse_all", "update"):
        return getattr(import_module("rag.bulk"), name)
    raise AttributeError(f"module 'rag.index' has no attribute {name!r}")


class Index(Lookups):
    """An opened index; measures and sentences are numbered from 0 in the order of the letters, which is that of their ids.

    Attributes:
        letters: the letters, each read when it is asked for.
        ids: their ids.
        measures: every measure with its letter.
        heads: what is known of the letters without reading them.
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
        self._order = Order(home / ORDER, self._parts)
        self._kept: Kept[Letter] = old._kept if old else Kept(_LETTERS)
        self._last: tuple[bytes, dict[int, float]] = (b"", {})
        self._told: tuple[bytes, Ids, Vectors] = (b"", np.zeros(0, np.int64), np.zeros(0, np.float32))
        self._contents = Contents(self._order, self._parts, self._kept)
        letters = len(self._order.letters)
        self.letters: Sequence[Letter] = Lazy(letters, self._contents.letter)
        self.measures: Sequence[Pair] = Lazy(int(self._order.measures[-1]), self._contents.measure)
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

    @cached_property
    def heads(self) -> Heads:
        """What is known of the letters without reading them."""
        return SegmentHeads(self._parts, self._order, self._contents.letter)

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
        return self._contents.letter(self._number_of(letter_id))

    def within(self, letter_ids: Collection[str]) -> Index:
        """Return this index as it is within some letters: searches find these only; numbers and frequencies are of the whole."""
        if len(letter_ids) == len(self.letters):
            return self
        kept = letter_ids.kept if isinstance(letter_ids, LetterIds) else {}
        if id(self) not in kept:
            kept[id(self)] = _Within(self, self.numbers_of(letter_ids))
        found: Index = kept[id(self)]
        return found

    def sentence_numbers(self, measure: int) -> range:
        """Return the numbers of the sentences of a measure."""
        begins, ends = self.sentence_ranges(np.array([measure]))
        return range(int(begins[0]), int(ends[0]))

    def sentence_ranges(self, measures: Ids) -> tuple[Ids, Ids]:
        """Return for each measure the number of its first sentence and the one after its last."""
        return self._order.sentence_ranges(measures)

    def measure_of(self, sentence: int) -> int:
        """Return the measure that holds a sentence."""
        return int(self.measures_of(np.array([sentence]))[0])

    def measures_of(self, sentences: Ids) -> Ids:
        """Return the measures that hold sentences."""
        return self._order.measures_of(sentences)

    def nearest_measures(self, query: Vectors, limit: int) -> dict[int, float]:
        """Return the cosine of the nearest measures, by number; ``query`` has shape ``(dimension,)``."""
        return first_of(self._near(query, max(limit, self._reach)), limit)

    def nearest_sentences(self, query: Vectors, limit: int) -> dict[int, float]:
        """Return the cosine of the nearest sentences, by number; in a large index those of the nearest measures."""
        if not self._reach:
            tables = [p.sentences for p in self._parts]
            return self._nearest(tables, self._order.sentence_numbers, query, limit)
        near = self._near(query, max(limit, self._reach))
        return self._best_sentences(np.fromiter(near, np.int64), query, limit)

    def measure_vectors(self, numbers: Sequence[int] | Ids) -> Vectors:
        """Return the vectors of measures: shape ``(len(numbers), dimension)``."""
        places = self._order.measure_places(np.asarray(numbers, np.int64))
        return self._vectors([p.measures for p in self._parts], places)

    def vectors_of_sentences(self, numbers: Sequence[int] | Ids) -> Vectors:
        """Return the vectors of sentences: shape ``(len(numbers), dimension)``."""
        places = self._order.sentence_places(np.asarray(numbers, np.int64))
        return self._vectors([p.sentences for p in self._parts], places)

    def sentence_cosines(self, numbers: Ids, query: Vectors) -> Vectors:
        """Return the cosines of sentences with a query: shape ``(len(numbers),)``; those told for it already are not read again."""
        asked, known, cosines = self._told
        if asked != query.tobytes() or not len(known):
            return self.vectors_of_sentences(numbers) @ query
        at = np.minimum(np.searchsorted(known, numbers), len(known) - 1)
        found = known[at] == numbers
        out: Vectors = cosines[at]
        out[~found] = self.vectors_of_sentences(numbers[~found]) @ query
        return out

    def sentence_vectors(self, measure: int) -> Vectors:
        """Return the vectors of the sentences of a measure: shape ``(sentences, dimension)``."""
        return self.vectors_of_sentences(self.sentence_numbers(measure))

    def pieces(self, numbers: Sequence[int]) -> list[Ids]:
        """Return the distinct pieces of measures, by a static model."""
        assert isinstance(self.embedder, StaticEmbedder)
        parts, rows = self._order.measure_places(np.asarray(numbers, np.int64))
        return [self._parts[s].pieces(r) for s, r in zip(parts.tolist(), rows.tolist(), strict=True)]

    def measure_scores(self, wanted: Sequence[str], limit: int) -> dict[int, float]:
        """Return the BM25 of the best measures for the terms, by number."""
        return _numbered(self._words.search(wanted, limit), self._order.measure_numbers, limit)

    def sentence_scores(self, wanted: Sequence[str], limit: int) -> dict[int, float]:
        """Return the BM25 of the best sentences for the terms, by number."""
        return _numbered(self._sentence_words.search(wanted, limit), self._order.sentence_numbers, limit)

    def frequency(self, term: str) -> int:
        """Return in how many measures a term stands."""
        return self._words.frequency(term)

    def frequencies(self, terms: Sequence[str]) -> list[int]:
        """Return in how many measures each term stands."""
        return self._words.frequencies(terms)

    def structure(self) -> str:
        """Say how vectors and words are searched, and why."""
        kinds = {
            "numpy": "numpy",
            "flat": "FAISS fp16 scan",
            "codes": "FAISS 4-bit codes, best rescored in fp16",
        }
        used = ", ".join(
            kinds[k] for k in ("numpy", "flat", "codes") if k in {p.measures.kind for p in self._parts}
        )
        sentences = int(self._order.sentences[-1])
        if self._reach:
            near = (
                f"sentences: those of the nearest {NEAR:,} measures ({sentences:,} are more than {EXACT:,})"
            )
        else:
            near = f"sentences: all {sentences:,} (up to {EXACT:,})"
        return f"measures: {used or 'none'}; {near}; words: BM25, {self._words.budget:,} postings in full, then the best"

    @cached_property
    def _reach(self) -> int:
        """Nearest measures whose sentences are looked at; 0 where all sentences are."""
        return 0 if self._order.sentences[-1] <= EXACT else NEAR

    @cached_property
    def _words(self) -> Words:
        live = [self._live(s, p.starts) for s, p in enumerate(self._parts)]
        return Words([p.measure_words for p in self._parts], live)

    @cached_property
    def _sentence_words(self) -> Words:
        live = [self._live(s, p.sentence_ends) for s, p in enumerate(self._parts)]
        return Words([p.sentence_words for p in self._parts], live)

    @property
    def _id_of(self) -> Callable[[int], str]:
        return self._contents.id

    def _live(self, part: int, starts: Ids) -> Bools | None:
        letters = self._order.live_letters(part)
        return None if letters is None else np.repeat(letters, np.diff(starts))

    def _near(self, query: Vectors, limit: int) -> dict[int, float]:
        """The nearest measures; those of the last query are kept, for its sentences."""
        key = limit.to_bytes(8, "little") + query.tobytes()
        last = self._last
        if last[0] != key:
            tables = [p.measures for p in self._parts]
            last = self._last = key, self._nearest(tables, self._order.measure_numbers, query, limit)
        return last[1]

    def _best_sentences(self, measures: Ids, query: Vectors, limit: int) -> dict[int, float]:
        numbers = ranges(*self.sentence_ranges(np.sort(measures)))
        cosines = self.vectors_of_sentences(numbers) @ query
        self._told = query.tobytes(), numbers, cosines
        return ranked(numbers, cosines, limit)

    def _nearest(
        self,
        tables: Sequence[Table],
        number: Callable[[int, Ids], Ids],
        query: Vectors,
        limit: int,
        allowed: Bools | None = None,
    ) -> dict[int, float]:
        """The best of all segments; where some rows may not be found, as many more are looked at as it takes."""
        parts: list[tuple[Ids, Ids, Ids, Vectors]] = []
        for s, table in enumerate(tables):
            looked = limit
            while True:
                rows, products = table.rough(query, looked)
                mine = number(s, rows)
                fit = mine >= 0
                if allowed is not None:
                    fit &= allowed[np.maximum(mine, 0)]
                if fit.sum() >= limit or looked >= len(table):
                    break
                looked *= 4
            parts.append((np.full(int(fit.sum()), s), rows[fit], mine[fit], products[fit]))
        if not parts:
            return {}
        segments, rows, numbers, cosines = (np.concatenate(column) for column in zip(*parts, strict=True))
        if any(table.kind == "codes" for table in tables):
            best = np.argsort(-cosines, kind="stable")[: limit + MORE]
            numbers, cosines = numbers[best], self._vectors(tables, (segments[best], rows[best])) @ query
        return ranked(numbers, cosines, limit)

    def _vectors(self, tables: Sequence[Table], places: tuple[Ids, Ids]) -> Vectors:
        parts, rows = places
        out = np.zeros((len(rows), self.embedder.dimension), np.float32)
        for s in distinct(parts).tolist():
            mine = parts == s
            out[mine] = tables[s].of(rows[mine])
        return out

    def _check_counts(self, home: Path) -> None:
        for p in self._parts:
            many, inner = len(p.sentence_starts) - 1, int(p.sentence_starts[-1])
            measures = {len(p.measures), len(p.measure_words.lengths), int(p.starts[-1]), many}
            sentences = {len(p.sentences), len(p.sentence_words.lengths), inner}
            if len(measures) > 1 or len(sentences) > 1 or len(p.starts) - 1 != len(p.versions):
                raise IndexMismatch(
                    f"{home} holds {sorted(measures)} vectors or texts for {many} measures, {sorted(sentences)} for {inner} sentences",
                    "equal numbers",
                    REBUILD,
                )


class _Within(Index):
    """An index within some letters; within one there is no limit to what is found."""

    def __init__(self, whole: Index, letters: Ids) -> None:
        self.__dict__.update(whole.__dict__)
        self._whole, self._chosen = whole, letters
        self._alone = len(letters) == 1
        begins, ends = self._order.measures[letters], self._order.measures[letters + 1]
        self._many = int((ends - begins).sum())
        self._inner = int((self._order.sentences[letters + 1] - self._order.sentences[letters]).sum())

    def nearest_measures(self, query: Vectors, limit: int) -> dict[int, float]:
        if self._many <= _FEW:
            numbers = self._numbers(self._order.measures)
            return ranked(numbers, self.measure_vectors(numbers) @ query, None if self._alone else limit)
        return first_of(self._near_within(query, max(limit, NEAR)), limit)

    def nearest_sentences(self, query: Vectors, limit: int) -> dict[int, float]:
        if self._many <= _FEW:
            numbers = self._numbers(self._order.sentences)
            vectors = self.vectors_of_sentences(numbers)
            return ranked(numbers, vectors @ query, None if self._alone else limit)
        if not self._whole._reach:
            allowed = self._mask(self._order.sentences)
            tables = [p.sentences for p in self._parts]
            return self._nearest(tables, self._order.sentence_numbers, query, limit, allowed)
        near = self._near_within(query, max(limit, NEAR))
        return self._best_sentences(np.fromiter(near, np.int64), query, limit)

    def measure_scores(self, wanted: Sequence[str], limit: int) -> dict[int, float]:
        limit = max(limit, self._many) if self._alone else limit
        within = self._rows(self._order.measures, [p.starts for p in self._parts])
        return _numbered(self._whole._words.search(wanted, limit, within), self._order.measure_numbers, limit)

    def sentence_scores(self, wanted: Sequence[str], limit: int) -> dict[int, float]:
        limit = max(limit, self._inner) if self._alone else limit
        within = self._rows(self._order.sentences, [p.sentence_ends for p in self._parts])
        found = self._whole._sentence_words.search(wanted, limit, within)
        return _numbered(found, self._order.sentence_numbers, limit)

    def frequency(self, term: str) -> int:
        return self._whole.frequency(term)

    def frequencies(self, terms: Sequence[str]) -> list[int]:
        return self._whole.frequencies(terms)

    def _near_within(self, query: Vectors, limit: int) -> dict[int, float]:
        tables = [p.measures for p in self._parts]
        allowed = self._mask(self._order.measures)
        return self._nearest(tables, self._order.measure_numbers, query, limit, allowed)

    def _numbers(self, starts: Ids) -> Ids:
        return ranges(starts[self._chosen], starts[self._chosen + 1])

    def _mask(self, starts: Ids) -> Bools:
        chosen = np.zeros(len(self.letters), np.bool_)
        chosen[self._chosen] = True
        return np.repeat(chosen, np.diff(starts))

    def _rows(self, starts: Ids, inner: Sequence[Ids]) -> list[Ids] | list[Bools]:
        """The rows of each segment that are within: as numbers where they are few, else as a mask."""
        parts, places = self._order.segments[self._chosen], self._order.letters[self._chosen]
        own = [np.sort(places[parts == s]).astype(np.int64) for s in range(len(self._parts))]
        if int((starts[self._chosen + 1] - starts[self._chosen]).sum()) <= _FEW:
            return [ranges(ends[mine], ends[mine + 1]) for mine, ends in zip(own, inner, strict=True)]
        masks = []
        for mine, ends in zip(own, inner, strict=True):
            chosen = np.zeros(len(ends) - 1, np.bool_)
            chosen[mine] = True
            masks.append(np.repeat(chosen, np.diff(ends)))
        return masks


def _numbered(found: Iterable[Found], number: Callable[[int, Ids], Ids], limit: int) -> dict[int, float]:
    parts = list(found)
    numbers = [np.zeros(0, np.int64), *(number(f.part, f.rows) for f in parts)]
    scores = [np.zeros(0, np.float32), *(f.scores for f in parts)]
    return ranked(np.concatenate(numbers), np.concatenate(scores), limit)
