"""A segment: some letters of the index with their vectors and words, written once and never changed.

A generation is a list of segments. Adding a letter writes a small segment; those before it are linked, not read.
"""

from __future__ import annotations

import errno
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from rag.embed import Ids, Vectors
from rag.letter import Letter, Measure
from rag.text import terms
from rag.words import build_words, parts_of

LETTERS, MEASURES, SENTENCES, WORDS = "letters.jsonl", "measures.faiss", "sentences.faiss", "words.json"
MEASURE_WORDS, SENTENCE_WORDS = "measure-words", "sentence-words"

Halves = npt.NDArray[np.float16]
Pair = tuple[Letter, Measure]


@dataclass(frozen=True, slots=True)
class Entry:
    """A letter with all that a segment holds of it.

    Attributes:
        version: its number in the catalogue.
        letter: the letter.
        origin: the file it came from, as a path, or empty.
        pinned: whether it was added by hand, and so does not go when its file does.
        measures: vectors, shape ``(measures, dimension)``, float32.
        sentences: vectors, shape ``(sentences, dimension)``, float16.
    """

    version: int
    letter: Letter
    origin: str
    pinned: bool
    measures: Vectors
    sentences: Halves


def measure_text(letter: Letter, measure: Measure) -> str:
    """What is embedded of a measure: its heading and its sentences."""
    body = "".join(s.of(letter.text) for s in measure.sentences)
    return measure.heading + body


def measure_words(letter: Letter, measure: Measure) -> str:
    """What is searched by word: as embedded, under the section's heading."""
    return f"{measure.section} {measure_text(letter, measure)}"


def sentence_texts(letter: Letter) -> Iterator[str]:
    """The sentences of a letter, in order."""
    return (s.of(letter.text) for m in letter.measures for s in m.sentences)


def write_segment(
    folder: Path,
    number: int,
    entries: Iterable[Entry],
    dimension: int,
    told: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Write a segment into the empty folder ``folder``, letter by letter.

    Args:
        folder: made here; the words go into two folders inside it.
        number: of the segment, unique in its index.
        entries: the letters; taken one by one and not kept.
        dimension: of the vectors.
        told: called after each letter.

    Returns:
        What the manifest says of it: ``number``, the ``letters`` by version, and ``sizes``, measures a letter.
    """
    folder.mkdir()
    measures = faiss.IndexFlatIP(dimension)
    sentences = faiss.IndexScalarQuantizer(
        dimension, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
    )
    versions: list[int] = []
    letters: list[Letter] = []
    with (folder / LETTERS).open("w", encoding="utf-8") as lines:
        for e in entries:
            row = {"v": e.version, "origin": e.origin, "pinned": e.pinned, "letter": e.letter.as_dict()}
            lines.write(json.dumps(row, ensure_ascii=False) + "\n")
            measures.add(e.measures)
            sentences.add(e.sentences.astype(np.float32))
            versions.append(e.version)
            letters.append(e.letter)
            told()
    _write_faiss(measures, folder / MEASURES)
    _write_faiss(sentences, folder / SENTENCES)
    del measures, sentences
    known = list(zip(versions, letters, strict=True))
    measured = ((v, measure_words(a, m)) for v, a in known for m in a.measures)
    build_words(folder / MEASURE_WORDS, measured, number)
    build_words(folder / SENTENCE_WORDS, ((v, t) for v, a in known for t in sentence_texts(a)), number)
    parts = {kind: parts_of(folder / kind) for kind in (MEASURE_WORDS, SENTENCE_WORDS)}
    (folder / WORDS).write_text(json.dumps(parts, indent=1), encoding="utf-8")
    return {"number": number, "letters": versions, "sizes": [len(a.measures) for a in letters]}


def read_parts(folder: Path) -> dict[str, dict[str, Any]]:
    """Return what :func:`rag.words.join_words` needs of a segment, by the kind of words."""
    found: dict[str, dict[str, Any]] = json.loads((folder / WORDS).read_text(encoding="utf-8"))
    return found


def read_rows(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a segment: ``v``, ``origin``, ``pinned`` and ``letter``, a :class:`Letter`."""
    with (folder / LETTERS).open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            yield {**row, "letter": Letter.from_dict(row["letter"])}


class Segment:
    """An opened segment; letters, measures and sentences are counted from 0 within it.

    Attributes:
        versions: the letters by their number in the catalogue.
        letters: the letters.
        starts: where the measures of each letter begin; one more than there are letters.
        sentence_counts: sentences of each measure.
    """

    def __init__(self, folder: Path, entry: dict[str, Any]) -> None:
        rows = list(read_rows(folder))
        self.number: int = entry["number"]
        self.versions: list[int] = [row["v"] for row in rows]
        self.letters: list[Letter] = [row["letter"] for row in rows]
        self.starts: Ids = np.cumsum([0, *(len(a.measures) for a in self.letters)], dtype=np.int64)
        counts = [len(m.sentences) for a in self.letters for m in a.measures]
        self.sentence_counts: Ids = np.asarray(counts, np.int64)
        self.measures = _read_faiss(folder / MEASURES)
        self.sentences = _read_faiss(folder / SENTENCES)
        if self.versions != entry["letters"]:
            raise ValueError(f"{LETTERS} holds other letters than the manifest says")

    @cached_property
    def pairs(self) -> list[list[Pair]]:
        """The measures of each letter, with the letter."""
        return [[(a, m) for m in a.measures] for a in self.letters]

    @cached_property
    def _terms(self) -> dict[int, list[frozenset[str]]]:
        return {}

    def terms_of(self, letter: int) -> list[frozenset[str]]:
        """The terms of each measure of a letter; kept, for letters that are no more but still counted."""
        if letter not in self._terms:
            found = [frozenset(terms(measure_words(a, m))) for a, m in self.pairs[letter]]
            self._terms[letter] = found
        return self._terms[letter]


def search_vectors(index: Any, query: Vectors, limit: int) -> tuple[Ids, Vectors]:
    """Return rows and inner products of the nearest vectors, best first."""
    if not index.ntotal:
        return np.zeros(0, np.int64), np.zeros(0, np.float32)
    scores, rows = index.search(query[None, :], min(limit, index.ntotal))
    return rows[0], scores[0]


def reconstruct(index: Any, rows: Sequence[int] | Ids) -> Vectors:
    """Return vectors by row: shape ``(len(rows), dimension)``."""
    vectors: Vectors = index.reconstruct_batch(np.asarray(rows, np.int64))
    return vectors


def _write_faiss(index: Any, path: Path) -> None:
    try:
        faiss.write_index(index, str(path))
    except RuntimeError as error:  # what FAISS makes of a full disk
        raise OSError(errno.EIO, "the vectors cannot be written; is the disk full?", str(path)) from error


def _read_faiss(path: Path) -> Any:
    faiss.omp_set_num_threads(1)
    return faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
