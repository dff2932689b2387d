"""A segment: some letters of the index with their vectors and words, written once and never changed.

A generation is a list of segments. Adding a letter writes a small segment; those before it are linked, not read. An opened segment
is a few mapped files: a letter is read, checked and decoded when it is looked at.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rag.arrays import Array, map_file, open_arrays, write_arrays
from rag.embed import Ids, Pieces, Vectors
from rag.errors import IndexDamaged
from rag.head import FIRST_YEAR, YEARS, between_sentences, header, is_plain, place_of, years_of
from rag.letter import Letter, Measure, pack, unpack
from rag.postings import Postings, PostingsWriter
from rag.store import REBUILD
from rag.vectors import CODED, Halves, Table, VectorWriter, write_codes

LETTERS, TEXTS, TABLE = "letters.jsonl", "texts.txt", "table.bin"
MEASURES, SENTENCES, CODES = "measures.faiss", "sentences.faiss", "codes.faiss"
MEASURE_WORDS, SENTENCE_WORDS, HEAD_WORDS, OTHER_WORDS = (
    "measure-words.bin",
    "sentence-words.bin",
    "head-words.bin",
    "other-words.bin",
)

Pair = tuple[Letter, Measure]
_DIGEST = 16  # bytes


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
        pieces: the distinct pieces of each measure by a static model, or nothing.
    """

    version: int
    letter: Letter
    origin: str
    pinned: bool
    measures: Vectors
    sentences: Halves
    pieces: Pieces


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
        folder: made here.
        number: of the segment, unique in its index.
        entries: the letters; taken one by one and not kept.
        dimension: of the vectors.
        told: called after each letter.

    Returns:
        What the manifest says of it: ``number``, the ``letters`` by version, and ``sizes``, measures a letter.
    """
    folder.mkdir()
    with (
        (folder / LETTERS).open("wb") as rows,
        (folder / TEXTS).open("wb") as texts,
        closing(_Writer(folder, dimension)) as writer,
    ):
        for e in entries:
            row = {"v": e.version, "origin": e.origin, "pinned": e.pinned, "letter": pack(e.letter)}
            line = json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode()
            text = e.letter.text.encode()
            rows.write(line + b"\n")
            texts.write(text)
            writer.add(e, line, text)
            told()
    return {"number": number, **writer.finish()}


class _Writer:
    """Everything of a segment but the letters and texts themselves."""

    def __init__(self, folder: Path, dimension: int) -> None:
        self.folder = folder
        self.measures = VectorWriter(folder / MEASURES, dimension)
        self.sentences = VectorWriter(folder / SENTENCES, dimension)
        self.words = {
            name: PostingsWriter() for name in (MEASURE_WORDS, SENTENCE_WORDS, HEAD_WORDS, OTHER_WORDS)
        }
        self.letters: list[tuple[int, int, int, int, int, int]] = []
        self.digests: list[bytes] = []
        self.years: list[int] = []
        self.plain: list[bool] = []
        self.counts: list[int] = []
        self.pieces: list[Array] = []
        self.strings: dict[str, list[bytes]] = {"id": [], "head": []}

    def add(self, e: Entry, line: bytes, text: bytes) -> None:
        """Take a letter and its two rows."""
        letter, head = e.letter, header(e.letter)
        self.measures.add(e.measures)
        self.sentences.add(e.sentences)
        names = _hash(place_of(letter)), _hash(letter.issuer or letter.title)
        date = int(letter.date.replace("-", "")) if letter.date else 0
        self.letters.append((e.version, len(line) + 1, len(text), len(letter.measures), date, *names))  # type: ignore[arg-type]  # names has two
        self.digests.append(_digest(line, text))
        self.years.append(sum(1 << y - FIRST_YEAR for y in years_of(letter)))
        self.plain.append(is_plain(letter.text))
        self.counts += [len(m.sentences) for m in letter.measures]
        self.pieces += e.pieces
        self.strings["id"].append(letter.id.encode())
        self.strings["head"].append(head.encode())
        for m in letter.measures:
            self.words[MEASURE_WORDS].add(measure_words(letter, m))
        for sentence in sentence_texts(letter):
            self.words[SENTENCE_WORDS].add(sentence)
        self.words[HEAD_WORDS].add(head)
        self.words[OTHER_WORDS].add(between_sentences(letter))

    def close(self) -> None:
        """Close the files of the vectors."""
        self.measures.close()
        self.sentences.close()

    def finish(self) -> dict[str, Any]:
        """Write what was gathered, when the files are closed; return what the manifest says."""
        for name, words in self.words.items():
            words.write(self.folder / name)
        if self.measures.rows >= CODED:
            write_codes(self.folder / CODES, Table(self.folder / MEASURES))
        columns = list(zip(*self.letters, strict=True)) or [()] * 7
        versions, lines, texts, sizes, dates, places, names = columns
        bits = b"".join(y.to_bytes(YEARS // 8, "little") for y in self.years)
        pieces = np.concatenate([*self.pieces, np.zeros(0, np.uint32)])
        kind = np.uint16 if not len(pieces) or pieces.max() < 1 << 16 else np.uint32
        strings = {name: b"".join(found) for name, found in self.strings.items()}
        ends = {f"{name}_ends": _ends(map(len, found)) for name, found in self.strings.items()}
        write_arrays(
            self.folder / TABLE,
            {
                "versions": np.array(versions, np.int64),
                "rows": _ends(lines),
                "texts": _ends(texts),
                "digests": np.frombuffer(b"".join(self.digests), np.uint8).reshape(-1, _DIGEST),
                "starts": _ends(sizes),
                "sentences": _ends(self.counts),
                "dates": np.array(dates, np.int32),
                "places": np.array(places, np.uint64),
                "names": np.array(names, np.uint64),
                "years": np.frombuffer(bits, np.uint8).reshape(-1, YEARS // 8),
                "plain": np.array(self.plain, np.uint8),
                "pieces": pieces.astype(kind),
                "piece_ends": _ends(map(len, self.pieces)),
                **{name: np.frombuffer(found, np.uint8) for name, found in strings.items()},
                **ends,
            },
        )
        return {"letters": list(versions), "sizes": list(sizes)}


def read_rows(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a segment whose files are whole: ``v``, ``origin``, ``pinned`` and ``letter``, a :class:`Letter`."""
    table = open_arrays(folder / TABLE)
    rows, texts = map_file(folder / LETTERS), map_file(folder / TEXTS)
    for i in range(len(table["versions"])):
        line, text = _piece(rows, table["rows"], i), _piece(texts, table["texts"], i)
        row = json.loads(line)
        yield {**row, "letter": unpack(row["letter"], text.decode())}


class Segment:
    """An opened segment; letters, measures and sentences are counted from 0 within it.

    Attributes:
        name: of its folder.
        number: of the segment.
        table: what is known of each letter without reading it, by name of the column.
        versions: the letters by their number in the catalogue.
        starts: where the measures of each letter begin; one more than there are letters.
        sentence_starts: where the sentences of each measure begin; one more than there are measures.
        measures: the vectors of the measures.
        sentences: the vectors of the sentences.
    """

    def __init__(self, folder: Path, entry: dict[str, Any]) -> None:
        self.name, self.number = folder.name, int(entry["number"])
        self.table = open_arrays(folder / TABLE)
        self.versions: Ids = self.table["versions"]
        self.starts: Ids = self.table["starts"]
        self.sentence_starts: Ids = self.table["sentences"]
        self._rows, self._texts = map_file(folder / LETTERS), map_file(folder / TEXTS)
        codes = folder / CODES
        self.measures = Table(folder / MEASURES, codes if codes.exists() else None)
        self.sentences = Table(folder / SENTENCES)
        self.measure_words = Postings(folder / MEASURE_WORDS)
        self.sentence_words = Postings(folder / SENTENCE_WORDS)
        self.head_words = Postings(folder / HEAD_WORDS)
        self.other_words = Postings(folder / OTHER_WORDS)
        self._home = folder
        if self.versions.tolist() != entry["letters"]:
            raise ValueError(f"{TABLE} holds other letters than the manifest says")

    @cached_property
    def sentence_ends(self) -> Ids:
        """Where the sentences of each letter begin; one more than there are letters."""
        found: Ids = self.sentence_starts[self.starts]
        return found

    def letter(self, i: int) -> Letter:
        """Read a letter.

        Raises:
            IndexDamaged: it is not as it was written.
        """
        line, text = _piece(self._rows, self.table["rows"], i)[:-1], self.text(i)
        if _digest(line, text) != self.table["digests"][i].tobytes():
            raise IndexDamaged(
                f"letter {self.id(i)!r} in {self._home} is altered", "the letter as it was written", REBUILD
            )
        return unpack(json.loads(line)["letter"], text.decode())

    def text(self, i: int) -> bytes:
        """Return the text of a letter in UTF-8; it is not checked."""
        return _piece(self._texts, self.table["texts"], i)

    def id(self, i: int) -> str:
        """Return the id of a letter."""
        return self._string("id", i).decode()

    def head(self, i: int) -> bytes:
        """Return the folded header of a letter in UTF-8."""
        return self._string("head", i)

    def pieces(self, measure: int) -> Ids:
        """Return the distinct pieces of a measure; none where the model has no pieces."""
        begin, end = self.table["piece_ends"][measure : measure + 2]
        found: Ids = self.table["pieces"][begin:end]
        return found

    def _string(self, name: str, i: int) -> bytes:
        begin, end = self.table[f"{name}_ends"][i : i + 2]
        return self.table[name][begin:end].tobytes()


def _ends(sizes: Iterable[int]) -> npt.NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(np.fromiter(sizes, np.int64))]).astype(np.int64)


def _piece(data: Any, ends: Ids, i: int) -> bytes:
    found: bytes = data[int(ends[i]) : int(ends[i + 1])]
    return found


def _digest(line: bytes, text: bytes) -> bytes:
    return hashlib.blake2b(line + b"\n" + text, digest_size=_DIGEST).digest()


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") if text else 0
