"""From the catalogue in PostgreSQL to a generation that answers, in one transaction.

Letters that come are copied in beside those that are there, and those that go are marked with the generation that is without
them: who reads an older generation reads on. What no generation of the last ten minutes holds is deleted by the next change.
Postings lie in chunks, one a change; chunks of about one size are joined when there are many of them.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from rag import bm25
from rag.derive import Progress, embed
from rag.embed import Embedded, Embedder, Ids
from rag.letter import PARSER_VERSION, Letter
from rag.pg_catalogue import PgCatalogue
from rag.pg_index import EXACT, POSTING, TABLES, own, written
from rag.remote import MEASURE, SENTENCE
from rag.segment import measure_words, sentence_texts
from rag.text import terms
from rag.vectors import Halves

if TYPE_CHECKING:
    from psycopg import Connection

GRACE_S = 600  # an older generation is kept that long after the next one came
_BATCH, _CHUNK = 200, 20_000  # letters copied at once; measures whose postings are one chunk
_FAN = 8  # chunks of about one size that are joined; each size is so many times the one before
_SPARE = 500  # measures that may be gone from the postings however few there are
_AT_ONCE = 20_000  # lists of postings that are read at once

_COUNTERS = ("letters", "measures", "sentences")


class Publisher:
    """Makes generations of what the catalogue says, over the connection of a writer."""

    def __init__(
        self, catalogue: PgCatalogue, embedder: Embedder, progress: Progress, exact: int = EXACT
    ) -> None:
        self._catalogue = catalogue
        self._db: Connection[Any] = catalogue.connection
        self._embedder = embedder
        self._progress = progress
        self._exact = exact

    def publish(self, *, anew: bool = False) -> None:
        """Make a generation, unless the newest holds just this.

        Args:
            anew: take over no vector and no posting.
        """
        with self._catalogue.transaction():
            self._db.execute("LOCK TABLE generations IN SHARE ROW EXCLUSIVE MODE")
            newest = self._row("SELECT n, parser, fingerprint FROM generations ORDER BY n DESC LIMIT 1")
            anew = anew or newest is None or newest[1:] != (PARSER_VERSION, self._embedder.fingerprint)
            wanted = self._catalogue.current()
            live = dict(self._rows("SELECT v, p FROM letters WHERE died IS NULL"))
            going = [p for v, p in live.items() if anew or v not in wanted]
            coming = [v for v in wanted if anew or v not in live]
            if newest and not anew and not going and not coming:
                return
            n = newest[0] + 1 if newest else 1
            self._clean()
            self._db.execute("UPDATE letters SET died = %s WHERE p = ANY(%s)", (n, going))
            self._copy_all(n, coming)
            self._near()
            self._name(n)

    def _row(self, query: str, *values: object) -> Any:
        return self._db.execute(query.encode(), values or None).fetchone()

    def _rows(self, query: str, *values: object) -> list[Any]:
        return self._db.execute(query.encode(), values or None).fetchall()

    def _name(self, n: int) -> None:
        counts = self._row("SELECT count(*), coalesce(sum(measures), 0) FROM letters WHERE died IS NULL")
        self._db.execute(
            "INSERT INTO generations (n, token, parser, model, fingerprint, dimension, letters, measures)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            (
                n,
                f"gen-{secrets.token_hex(8)}",
                PARSER_VERSION,
                self._embedder.name,
                self._embedder.fingerprint,
                self._embedder.dimension,
                *counts,
            ),
        )

    def _clean(self) -> None:
        """Delete what only generations held that nobody reads any more."""
        (oldest,) = self._row(
            "SELECT max(n) FROM generations WHERE at < now() - %s * interval '1 s'", GRACE_S
        )
        if oldest is None:
            return
        self._db.execute("DELETE FROM generations WHERE n < %s", (oldest,))
        dead = [p for (p,) in self._rows("DELETE FROM letters WHERE died <= %s RETURNING p", oldest)]
        for table in TABLES if dead else ():
            self._db.execute(f"DELETE FROM {table} WHERE p = ANY(%s)".encode(), (dead,))  # noqa: S608 (names of tables)
        self._db.execute(
            "DELETE FROM versions WHERE gone AND NOT EXISTS (SELECT FROM letters WHERE v = versions.v)"
        )

    def _copy_all(self, n: int, coming: Sequence[int]) -> None:
        chunk = _Chunk()
        done = 0
        for first in range(0, len(coming), _BATCH):
            batch = coming[first : first + _BATCH]
            self._copy(n, batch, chunk)
            done += len(batch)
            self._progress("indexing", done, len(coming))
            if chunk.measures > _CHUNK:
                self._write_chunk(chunk)
                chunk = _Chunk()
        if chunk.measures:
            self._write_chunk(chunk)
        if sum(self._counts()[1:]) > self._exact and len(coming) > _BATCH:
            for table in TABLES:
                self._db.execute(f"ANALYZE {table}".encode())

    def _counts(self) -> list[int]:
        """The next numbers of letters, measures and sentences."""
        return [int(self._catalogue.about(name) or 0) for name in _COUNTERS]

    def _copy(self, n: int, batch: Sequence[int], chunk: _Chunk) -> None:
        place, measure, sentence = self._counts()
        letters: list[tuple[Any, ...]] = []
        rows: tuple[list[tuple[int, int, bytes]], ...] = ([], [])
        for v in batch:
            letter = self._catalogue.letter(v)
            vectors = self._vectors(v, letter)
            counts = (len(vectors[MEASURE]), len(vectors[SENTENCE]))
            told = chunk.add(letter, (measure, sentence))
            key = secrets.token_hex(8)
            letters.append((place, key, v, measure, sentence, *counts, *told, n))
            for kind, at in ((MEASURE, measure), (SENTENCE, sentence)):
                rows[kind].extend((at + i, place, data) for i, data in enumerate(_wire(vectors[kind])))
            place, measure, sentence = place + 1, measure + counts[0], sentence + counts[1]
        columns = "p, key, v, first_measure, first_sentence, measures, sentences, measure_terms, sentence_terms, born"
        kinds = ("int8", "text", *["int8"] * 3, "int4", "int4", *["int8"] * 3)
        self._copy_rows(f"letters ({columns})", kinds, letters)
        for kind, table in enumerate(TABLES):
            self._copy_rows(table, ("int8", "int8", "bytea"), rows[kind])
        for name, value in zip(_COUNTERS, (place, measure, sentence), strict=True):
            self._catalogue.set_about(name, str(value))
        self._db.execute(
            "DELETE FROM embeddings WHERE content IN (SELECT vectors FROM versions WHERE v = ANY(%s))",
            (list(batch),),
        )

    def _vectors(self, v: int, letter: Letter) -> tuple[Halves, Halves]:
        content, model = self._catalogue.vectors_of(v), self._embedder
        found: Embedded = self._catalogue.vectors(content, model.fingerprint, model.dimension) or embed(
            letter, model
        )
        return found.measures.astype(np.float16), found.sentences.astype(np.float16)

    def _copy_rows(self, table: str, kinds: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
        command = f"COPY {table} FROM STDIN (FORMAT binary)"
        with self._db.cursor() as cursor, cursor.copy(command.encode()) as copy:
            copy.set_types(kinds)
            for row in rows:
                copy.write_row(row)

    def _write_chunk(self, chunk: _Chunk) -> int:
        number = int(self._row("SELECT coalesce(max(chunk), 0) + 1 FROM chunks")[0])
        self._db.execute("INSERT INTO chunks VALUES (%s, %s)", (number, chunk.measures))
        self._copy_words((term, kind, number, packed) for (term, kind), packed in chunk.packed())
        return number

    def _copy_words(self, rows: Iterator[tuple[str, int, int, bytes]]) -> None:
        self._copy_rows("words", ("text", "int2", "int8", "bytea"), list(rows))

    def _near(self) -> None:
        """Make the HNSW indexes, once there are too many texts to compare them all."""
        dimension = self._embedder.dimension
        for table, count in zip(TABLES, self._counts()[1:], strict=True):
            name = f"{table}_near_{dimension}"
            if count > self._exact and self._row(f"SELECT {own(name)}") == (None,):
                self._db.execute(
                    f"CREATE INDEX {name} ON {table} USING hnsw ((vec::halfvec({dimension})) halfvec_ip_ops)"
                    f" WHERE vector_dims(vec) = {dimension}".encode()
                )

    def tidy(self) -> bool:
        """Join chunks of postings when there are many of about one size, or when much in them is gone; say whether any were."""
        with self._catalogue.transaction():
            self._db.execute("LOCK TABLE generations IN SHARE ROW EXCLUSIVE MODE")
            some = self._untidy()
            if not some:
                return False
            firsts = self._rows("SELECT first_measure, measures, first_sentence, sentences FROM letters")
            alive = np.array(sorted(firsts), np.int64).reshape(-1, 4)
            number = int(self._row("SELECT max(chunk) + 1 FROM chunks")[0])
            self._join(some, number, {MEASURE: _spans(alive[:, :2]), SENTENCE: _spans(alive[:, 2:])})
            self._db.execute("DELETE FROM words WHERE chunk = ANY(%s)", (some,))
            (left,) = self._row("SELECT sum(measures) FROM chunks WHERE chunk <> ALL(%s)", some)
            kept = int(alive[:, 1].sum()) - int(left or 0)
            self._db.execute("DELETE FROM chunks WHERE chunk = ANY(%s)", (some,))
            self._db.execute("INSERT INTO chunks VALUES (%s, %s)", (number, max(0, kept)))
            return True

    def _untidy(self) -> list[int]:
        chunks: dict[int, int] = dict(self._rows("SELECT chunk, measures FROM chunks"))
        (kept,) = self._row("SELECT coalesce(sum(measures), 0) FROM letters")
        if sum(chunks.values()) > kept + kept // 8 + _SPARE:
            return list(chunks)
        sizes = [0, *(_FAN**power for power in range(1, 12))]
        for low, high in pairwise(sizes):
            some = [chunk for chunk, size in chunks.items() if low <= size < high]
            if len(some) >= _FAN:
                return some
        return []

    def _join(self, some: Sequence[int], number: int, alive: Mapping[int, Ids]) -> None:
        """Write the postings of some chunks as one, without those of texts that are no more."""
        query = (
            "SELECT term, kind, string_agg(postings, ''::bytea ORDER BY chunk) FROM words "
            "WHERE chunk = ANY(%s) GROUP BY term, kind"
        )
        with self._db.cursor(name="joined", binary=True) as cursor:
            cursor.execute(query, (list(some),))
            while rows := cursor.fetchmany(_AT_ONCE):
                kept = ((term, kind, number, _living(packed, alive[kind])) for term, kind, packed in rows)
                self._copy_words(row for row in kept if row[3])


class _Chunk:
    """Postings that are gathered: of each term and kind the texts that hold it."""

    def __init__(self) -> None:
        self.measures = 0
        self._ids: dict[tuple[str, int], list[tuple[int, int, int]]] = {}

    def add(self, letter: Letter, firsts: tuple[int, int]) -> tuple[int, int]:
        """Add the texts of a letter, whose ids begin with these; return how many terms its measures and sentences have."""
        self.measures += len(letter.measures)
        texts = ([measure_words(letter, m) for m in letter.measures], list(sentence_texts(letter)))
        found = [self._add(kind, texts[kind], firsts[kind]) for kind in (MEASURE, SENTENCE)]
        return found[0], found[1]

    def _add(self, kind: int, texts: Sequence[str], first: int) -> int:
        total = 0
        for i, text in enumerate(texts, first):
            counts = Counter(terms(text))
            length = counts.total()
            code = int(bm25.codes([length])[0])
            for term, times in counts.items():
                self._ids.setdefault((written(term), kind), []).append((i, min(times, 65_535), code))
            total += length
        return total

    def packed(self) -> Iterator[tuple[tuple[str, int], bytes]]:
        """The postings of each term and kind, as they are written."""
        for key, rows in self._ids.items():
            yield key, np.array(rows, POSTING).tobytes()


def _wire(vectors: Halves) -> Iterator[bytes]:
    """Vectors as pgvector takes them: the dimension, two bytes of nothing, the numbers, all big-endian."""
    head = len(vectors.T).to_bytes(2, "big") + b"\0\0"
    return (head + row.tobytes() for row in vectors.astype(">f2"))


def _spans(firsts: Ids) -> Ids:
    """First ids and the ones after the last, ascending: shape ``(letters, 2)``."""
    spans = np.stack([firsts[:, 0], firsts[:, 0] + firsts[:, 1]], axis=1)
    ordered: Ids = spans[np.argsort(spans[:, 0], kind="stable")]
    return ordered


def _living(packed: bytes, spans: Ids) -> bytes:
    rows = np.frombuffer(packed, POSTING)
    if not len(spans):
        return b""
    ids = rows["id"].astype(np.int64)
    at = np.searchsorted(spans[:, 0], ids, side="right") - 1
    kept: bytes = rows[(at >= 0) & (ids < spans[at, 1])].tobytes()
    return kept
