"""The index: letters, their vectors in FAISS and their words in tantivy, in one generation on disk.

``update`` builds it (unchanged letters are not embedded again), ``Index.open`` opens it whole or says why not.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from rag.embed import Embedder, Ids, StaticEmbedder, Vectors
from rag.errors import IndexMismatch, IndexMissing, LetterError
from rag.letter import Letter, Measure
from rag.parse import PARSER_VERSION, parse
from rag.read import SUFFIXES, Source, letter_files, read_all
from rag.store import REBUILD, new_generation, open_current, publish, writer_lock
from rag.words import Words, build_words

LETTERS, MEASURES, SENTENCES = "letters.jsonl", "measures.faiss", "sentences.faiss"
MEASURE_WORDS, SENTENCE_WORDS = "measure-words", "sentence-words"

_KEPT = 20_000  # measures whose pieces are kept in memory


@dataclass(frozen=True, slots=True)
class Change:
    """What an update did: letter ids, and the new (or unchanged) generation."""

    added: list[str]
    kept: list[str]
    removed: list[str]
    generation: str
    measures: int


def measure_text(letter: Letter, measure: Measure) -> str:
    """What is embedded of a measure: its heading and its sentences."""
    body = "".join(s.of(letter.text) for s in measure.sentences)
    return measure.heading + body


def measure_words(letter: Letter, measure: Measure) -> str:
    """What is searched by word: as embedded, under the section's heading."""
    return f"{measure.section} {measure_text(letter, measure)}"


class Index:
    """An opened index; measures and sentences are numbered from 0 in the order of the letters.

    Attributes:
        letters: the letters, by id in order of the files.
        measures: every measure with its letter.
        embedder: the model its vectors were made with.
        generation: its name on disk.
    """

    def __init__(self, home: Path, manifest: dict[str, Any], embedder: Embedder) -> None:
        self.embedder = embedder
        self.generation = home.name
        self.manifest = manifest
        lines = (home / LETTERS).read_text(encoding="utf-8").splitlines()
        self.letters = [Letter.from_dict(json.loads(line)) for line in lines]
        self.measures = [(a, m) for a in self.letters for m in a.measures]
        self._starts = [0, *accumulate(len(m.sentences) for _, m in self.measures)]
        self._vectors = _read_faiss(home / MEASURES)
        self._sentences = _read_faiss(home / SENTENCES)
        self._words = Words(home / MEASURE_WORDS)
        self._sentence_words = Words(home / SENTENCE_WORDS)
        self._pieces: dict[int, Ids] = {}
        self._check_counts(home)

    @classmethod
    def open(cls, folder: Path, embedder: Embedder) -> Index:
        """Open the index in ``folder``.

        Raises:
            IndexStateError: missing, damaged, or built otherwise; the message names the command that repairs it.
        """
        return open_current(folder, lambda home, manifest: cls._opened(home, manifest, embedder))

    @classmethod
    def _opened(cls, home: Path, manifest: dict[str, Any], embedder: Embedder) -> Index:
        built = manifest["embedding"]
        if built["fingerprint"] != embedder.fingerprint:
            raise IndexMismatch(
                f"the index was built with the embedding model {built['name']} ({built['fingerprint'][:12]})",
                f"{embedder.name} ({embedder.fingerprint[:12]})",
                REBUILD,
            )
        if manifest["parser"] != PARSER_VERSION:
            raise IndexMismatch(
                f"the index was built by parser {manifest['parser']}", f"{PARSER_VERSION}", REBUILD
            )
        return cls(home, manifest, embedder)

    def letter(self, letter_id: str) -> Letter:
        """Return a letter by id.

        Raises:
            LetterError: when there is none of that name.
        """
        for letter in self.letters:
            if letter.id == letter_id:
                return letter
        raise LetterError(
            f"there is no letter {letter_id!r}",
            f"one of {len(self.letters)} ids",
            "run: rag letters",
        )

    def sentence_numbers(self, measure: int) -> range:
        """Return the numbers of the sentences of a measure."""
        return range(self._starts[measure], self._starts[measure + 1])

    def measure_of(self, sentence: int) -> int:
        """Return the measure that holds a sentence."""
        return bisect_right(self._starts, sentence) - 1

    def nearest_measures(self, query: Vectors, limit: int) -> dict[int, float]:
        """Return the cosine of the nearest measures, by number; ``query`` has shape ``(dimension,)``."""
        return _search(self._vectors, query, limit)

    def nearest_sentences(self, query: Vectors, limit: int) -> dict[int, float]:
        """Return the cosine of the nearest sentences, by number."""
        return _search(self._sentences, query, limit)

    def measure_vectors(self, numbers: Sequence[int]) -> Vectors:
        """Return the vectors of measures: shape ``(len(numbers), dimension)``."""
        return _reconstruct(self._vectors, numbers)

    def vectors_of_sentences(self, numbers: Sequence[int]) -> Vectors:
        """Return the vectors of sentences: shape ``(len(numbers), dimension)``."""
        return _reconstruct(self._sentences, numbers)

    def sentence_vectors(self, measure: int) -> Vectors:
        """Return the vectors of the sentences of a measure: shape ``(sentences, dimension)``."""
        return self.vectors_of_sentences(self.sentence_numbers(measure))

    def pieces(self, numbers: Sequence[int]) -> list[Ids]:
        """Return the distinct pieces of measures, by a static model; kept for the next question."""
        assert isinstance(self.embedder, StaticEmbedder)
        new = [n for n in numbers if n not in self._pieces]
        if new:
            if len(self._pieces) > _KEPT:
                self._pieces.clear()
            found = self.embedder.pieces([measure_text(*self.measures[n]) for n in new])
            self._pieces.update((n, np.unique(ids)) for n, ids in zip(new, found, strict=True))
        return [self._pieces[n] for n in numbers]

    def measure_scores(self, wanted: Sequence[str], limit: int) -> dict[int, float]:
        """Return the BM25 of the best measures for the terms, by number."""
        return self._words.search(wanted, limit)

    def sentence_scores(self, wanted: Sequence[str], limit: int) -> dict[int, float]:
        """Return the BM25 of the best sentences for the terms, by number."""
        return self._sentence_words.search(wanted, limit)

    def frequency(self, term: str) -> int:
        """Return in how many measures a term stands."""
        return self._words.frequency(term)

    def _check_counts(self, home: Path) -> None:
        counts = (self._vectors.ntotal, self._words.count, len(self.measures))
        inner = (self._sentences.ntotal, self._sentence_words.count, self._starts[-1])
        if len({*counts}) != 1 or len({*inner}) != 1:
            raise IndexMismatch(
                f"{home} holds {counts[0]} vectors and {counts[1]} texts for {counts[2]} measures, "
                f"{inner[0]} and {inner[1]} for {inner[2]} sentences",
                "equal numbers",
                REBUILD,
            )


def parse_all(paths: Iterable[Path], progress: Callable[[str], None] = lambda _: None) -> list[Letter]:
    """Read and parse the letters at ``paths``; two letters of one name get different ids.

    Raises:
        LetterError: for the first file that is no letter; nothing is changed then.
    """
    letters: list[Letter] = []
    seen: dict[str, str] = {}
    for source in _sources(paths, progress):
        letter = parse(source)
        if seen.get(letter.id) == letter.sha256:
            continue
        if letter.id in seen:
            letter = replace(letter, id=f"{letter.id}-{letter.sha256[:6]}")
        seen[letter.id] = letter.sha256
        letters.append(letter)
    if not letters:
        raise LetterError(
            f"no letters in {', '.join(map(str, paths))}",
            f"at least one file of {', '.join(SUFFIXES)}",
            "put one there",
        )
    return letters


def _sources(paths: Iterable[Path], progress: Callable[[str], None]) -> Iterator[Source]:
    for path in letter_files(paths):
        progress(path.name)
        yield from read_all(path)


def update(
    folder: Path,
    letters: Sequence[Letter],
    embedder: Embedder,
    *,
    rebuild: bool = False,
) -> Change:
    """Make the index hold exactly these letters; the vectors of unchanged ones are taken over.

    Args:
        folder: the index folder.
        letters: all of them.
        embedder: the model.
        rebuild: take nothing over; also what repairs a damaged index.

    Raises:
        IndexDamaged: when the index there is damaged and ``rebuild`` is false.
    """
    with writer_lock(folder):
        old = None if rebuild else _open_old(folder, embedder)
        known = {a.id: a.sha256 for a in old.letters} if old else {}
        kept = [a.id for a in letters if known.get(a.id) == a.sha256]
        added = [a.id for a in letters if a.id not in kept]
        removed = [i for i in known if i not in {a.id for a in letters}]
        count = sum(len(a.measures) for a in letters)
        if old and not added and not removed:
            return Change([], kept, [], old.generation, count)
        with new_generation(folder) as building:
            manifest = _build(building, letters, embedder, old)
            return Change(added, kept, removed, publish(folder, building, manifest), count)


def _open_old(folder: Path, embedder: Embedder) -> Index | None:
    """The index there, if its vectors can be taken over; another model's or parser's cannot."""
    try:
        return Index.open(folder, embedder)
    except (IndexMissing, IndexMismatch):
        return None


def _build(
    building: Path, letters: Sequence[Letter], embedder: Embedder, old: Index | None
) -> dict[str, Any]:
    lines = (json.dumps(a.as_dict(), ensure_ascii=False) for a in letters)
    (building / LETTERS).write_text("".join(f"{x}\n" for x in lines), encoding="utf-8")
    measures, sentences = _vectors(letters, embedder, old)
    _write_faiss(building / MEASURES, faiss.IndexFlatIP(embedder.dimension), measures)
    half = faiss.IndexScalarQuantizer(
        embedder.dimension, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
    )
    _write_faiss(building / SENTENCES, half, sentences)
    pairs = [(a, m) for a in letters for m in a.measures]
    build_words(building / MEASURE_WORDS, (measure_words(a, m) for a, m in pairs))
    build_words(building / SENTENCE_WORDS, (s.of(a.text) for a, m in pairs for s in m.sentences))
    return {
        "parser": PARSER_VERSION,
        "embedding": {
            "name": embedder.name,
            "fingerprint": embedder.fingerprint,
            "dimension": embedder.dimension,
        },
        "letters": len(letters),
        "measures": len(pairs),
        "sentences": len(sentences),
    }


def _vectors(letters: Sequence[Letter], embedder: Embedder, old: Index | None) -> tuple[Vectors, Vectors]:
    """Vectors of all measures and all sentences; those of unchanged letters come from the old index."""
    known = {a.id: a.sha256 for a in old.letters} if old else {}
    numbers: dict[str, list[int]] = {}
    for n, (a, _) in enumerate(old.measures if old else []):
        numbers.setdefault(a.id, []).append(n)
    measures: list[Vectors] = []
    sentences: list[Vectors] = []
    for letter in letters:
        if old and known.get(letter.id) == letter.sha256:
            mine = numbers[letter.id]
            measures.append(old.measure_vectors(mine))
            sentences += [old.sentence_vectors(n) for n in mine]
        else:
            measures.append(embedder.passages([measure_text(letter, m) for m in letter.measures]))
            sentences.append(embedder.passages(list(_sentence_texts(letter))))
    return np.concatenate(measures), np.concatenate(sentences)


def _sentence_texts(letter: Letter) -> Iterator[str]:
    return (s.of(letter.text) for m in letter.measures for s in m.sentences)


def _write_faiss(path: Path, index: Any, vectors: Vectors) -> None:
    if not index.is_trained:
        index.train(vectors)
    index.add(vectors)
    faiss.write_index(index, str(path))


def _read_faiss(path: Path) -> Any:
    faiss.omp_set_num_threads(1)
    return faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)


def _reconstruct(index: Any, numbers: Sequence[int]) -> Vectors:
    if not len(numbers):
        return np.zeros((0, index.d), np.float32)
    vectors: Vectors = index.reconstruct_batch(np.asarray(numbers, np.int64))
    return vectors


def _search(index: Any, query: Vectors, limit: int) -> dict[int, float]:
    scores, numbers = index.search(query[None, :], min(limit, index.ntotal))
    return {int(n): float(s) for n, s in zip(numbers[0], scores[0], strict=True) if n >= 0}
