"""The catalogue: every letter in every version, with its measures, sentences and vectors, in SQLite (WAL).

It is what the index is derived from. Only writers open it; answers come from generations. Every row that is read is checked
against a digest of its content, because SQLite notices a torn page but not a flipped bit.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag.embed import Embedded
from rag.errors import IndexDamaged
from rag.letter import Letter
from rag.segment import Entry
from rag.store import CATALOGUE, REBUILD

SCHEMA = 1
_TABLES = """
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE versions (
  v INTEGER PRIMARY KEY AUTOINCREMENT, letter TEXT NOT NULL, current INTEGER NOT NULL, pinned INTEGER NOT NULL,
  content TEXT NOT NULL, origin TEXT NOT NULL, seal TEXT NOT NULL, added REAL NOT NULL, source TEXT NOT NULL, sha256 TEXT NOT NULL,
  number TEXT NOT NULL, issuer TEXT NOT NULL, addressee TEXT NOT NULL, subject TEXT NOT NULL, title TEXT NOT NULL,
  date TEXT NOT NULL, text TEXT NOT NULL, spans TEXT NOT NULL, vectors TEXT NOT NULL, digest TEXT NOT NULL);
CREATE INDEX versions_letter ON versions (letter);
CREATE INDEX versions_content ON versions (content);
CREATE INDEX versions_origin ON versions (origin);
CREATE INDEX versions_number ON versions (number, issuer);
CREATE INDEX versions_subject ON versions (subject, issuer);
CREATE INDEX versions_vectors ON versions (vectors);
CREATE INDEX versions_state ON versions (v, letter, current, pinned, content, origin, seal);
CREATE TABLE measures (
  v INTEGER NOT NULL, n INTEGER NOT NULL, path TEXT NOT NULL, section TEXT NOT NULL, heading TEXT NOT NULL,
  start INTEGER NOT NULL, "end" INTEGER NOT NULL, body INTEGER NOT NULL, PRIMARY KEY (v, n)) WITHOUT ROWID;
CREATE TABLE sentences (
  v INTEGER NOT NULL, n INTEGER NOT NULL, measure INTEGER NOT NULL, start INTEGER NOT NULL, "end" INTEGER NOT NULL,
  PRIMARY KEY (v, n)) WITHOUT ROWID;
CREATE TABLE embeddings (
  content TEXT NOT NULL, model TEXT NOT NULL, measures BLOB NOT NULL, sentences BLOB NOT NULL, digest TEXT NOT NULL,
  pieces BLOB NOT NULL DEFAULT x'', PRIMARY KEY (content, model));
CREATE TABLE files (origin TEXT PRIMARY KEY, sha256 TEXT NOT NULL, letters TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE removed (content TEXT PRIMARY KEY, letter TEXT NOT NULL) WITHOUT ROWID;
"""
_META = ("source", "sha256", "number", "issuer", "addressee", "subject", "title", "date", "text")


@dataclass(frozen=True, slots=True)
class Version:
    """What is known of a version of a letter without its text.

    Attributes:
        v: its number; later arrivals have higher ones.
        letter: the id of the letter.
        current: whether answers come from it.
        pinned: whether it was added by hand.
        content: digest of its words; see :func:`rag.library.content_of`.
        origin: the file it came from, or empty.
        sha256: of the file's bytes.
        date: of the letter, ISO, or empty.
        added: when it came, seconds since 1970.
    """

    v: int
    letter: str
    current: bool
    pinned: bool
    content: str
    origin: str
    sha256: str
    date: str
    added: float


_STATE = ("letter", "current", "pinned", "content", "origin")
_VERSION = "v, letter, current, pinned, content, origin, sha256, date, added"


class Catalogue:
    """An open catalogue; use it as a context manager, under the writer's lock.

    Attributes:
        path: the file.
    """

    def __init__(self, folder: Path, name: str = CATALOGUE) -> None:
        import sqlite3

        self.path = folder / name
        fresh = not self.path.exists()
        self._errors = sqlite3.DatabaseError
        with self._checked():
            self._db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
            try:
                self._set_up(fresh)
            except BaseException:
                self._db.close()
                raise

    def _set_up(self, fresh: bool) -> None:
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute("PRAGMA cache_size=-32000")
        if fresh or not self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            with self.transaction():
                for statement in _TABLES.split(";"):
                    self._db.execute(statement)
                rows = (("schema", str(SCHEMA)), ("revision", "0"), ("versions", "0"))
                self._db.executemany("INSERT INTO about VALUES (?, ?)", rows)
        elif self.about("schema") != str(SCHEMA):
            raise self._damaged(f"it has schema {self.about('schema') or 'none'}")
        elif not self._rows("SELECT 1 FROM pragma_table_info('embeddings') WHERE name = 'pieces'"):
            self._rows("ALTER TABLE embeddings ADD COLUMN pieces BLOB NOT NULL DEFAULT x''")  # before 0.2

    def __enter__(self) -> Catalogue:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; what was committed is on disk."""
        with contextlib.suppress(self._errors):
            self._db.close()

    @contextlib.contextmanager
    def _checked(self) -> Iterator[None]:
        try:
            yield
        except self._errors as error:
            import sqlite3

            code = getattr(error, "sqlite_errorname", "")
            # An error without a code is Python's own: text that is no UTF-8.
            if isinstance(error, sqlite3.OperationalError) and code and not code.startswith("SQLITE_CORRUPT"):
                raise OSError(0, f"{error} ({code})", str(self.path)) from error
            raise self._damaged(str(error)) from error

    def _damaged(self, why: str) -> IndexDamaged:
        return IndexDamaged(f"{self.path} is damaged ({why})", "a whole catalogue", REBUILD)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing: on disk at the end of the block, or as it was before."""
        with self._checked():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                with contextlib.suppress(self._errors):
                    self._db.execute("ROLLBACK")
                raise
            self._db.execute("UPDATE about SET value = value + 1 WHERE name = 'revision'")
            self._db.execute("COMMIT")

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with self._checked():
            return self._db.execute(query, values).fetchall()

    def about(self, name: str) -> str:
        """Return a fact about the catalogue, or an empty string."""
        found = self._rows("SELECT value FROM about WHERE name = ?", name)
        return str(found[0][0]) if found else ""

    def set_about(self, name: str, value: str) -> None:
        """Set a fact about the catalogue."""
        self._rows("INSERT OR REPLACE INTO about VALUES (?, ?)", name, value)

    def check(self) -> None:
        """Read the whole file as SQLite does.

        Raises:
            IndexDamaged: when something in it does not fit.
        """
        found = self._rows("PRAGMA integrity_check(1)")
        if found[0][0] != "ok":
            raise self._damaged(str(found[0][0]).replace("\n", " "))

    @property
    def revision(self) -> int:
        """How many changes were made; never less than that of a generation derived from this catalogue."""
        return int(self.about("revision") or 0)

    def current(self) -> dict[int, str]:
        """The versions that answers come from, each with the id of its letter; every row is checked.

        Raises:
            IndexDamaged: a row is lost or altered.
        """
        rows = self._rows(f"SELECT v, seal, {', '.join(_STATE)} FROM versions ORDER BY v")  # noqa: S608 (names of columns)
        wrong = next((row for row in rows if _seal(row[0], *row[2:]) != row[1]), None)
        if wrong is not None:
            raise self._damaged(f"the row of version {wrong[0]} is altered")
        if len(rows) != int(self.about("versions") or -1):
            raise self._damaged(f"it holds {len(rows)} of {self.about('versions')} versions")
        return {v: letter for v, _, letter, current, *_ in rows if current}

    def sizes(self, versions: Sequence[int]) -> dict[int, int]:
        """Return how many measures each of these versions has."""
        query = "SELECT value, (SELECT count(*) FROM measures WHERE v = value) FROM json_each(?)"  # one look a version
        return dict(self._rows(query, json.dumps(list(versions))))

    def find(self, **wanted: object) -> list[Version]:
        """Return the versions whose columns are as given, the latest first."""
        where = " AND ".join(f"{name} = ?" for name in wanted) or "1"
        rows = self._rows(f"SELECT {_VERSION} FROM versions WHERE {where} ORDER BY v DESC", *wanted.values())  # noqa: S608 (names of columns)
        return [Version(v, a, bool(c), bool(p), *rest) for v, a, c, p, *rest in rows]

    def letter(self, v: int) -> Letter:
        """Return a version of a letter.

        Raises:
            IndexDamaged: when its content is not what was written.
        """
        names = ", ".join(_META)
        rows = self._rows(f"SELECT letter, spans, digest, {names} FROM versions WHERE v = ?", v)  # noqa: S608 (names of columns)
        if not rows:
            raise self._damaged(f"version {v} is missing")
        letter_id, spans, digest, *meta = rows[0]
        try:
            outer: dict[str, Any] = json.loads(spans)
            found = Letter.from_dict(
                {
                    "id": letter_id,
                    **dict(zip(_META, meta, strict=True)),
                    **outer,
                    "measures": self._measures(v),
                }
            )
        except (ValueError, TypeError, KeyError) as error:
            raise self._damaged(f"letter {letter_id}: {error}") from error
        if _digest(found) != digest:
            raise self._damaged(f"letter {letter_id} is not as it was written")
        return found

    def _measures(self, v: int) -> list[dict[str, Any]]:
        inner: dict[int, list[dict[str, int]]] = {}
        for measure, start, end in self._rows(
            'SELECT measure, start, "end" FROM sentences WHERE v = ? ORDER BY n', v
        ):
            inner.setdefault(measure, []).append({"start": start, "end": end})
        names = ("path", "section", "heading", "start", "end", "body")
        rows = self._rows(
            'SELECT path, section, heading, start, "end", body FROM measures WHERE v = ? ORDER BY n', v
        )
        return [
            {**dict(zip(names, row, strict=True)), "sentences": inner.get(n, [])}
            for n, row in enumerate(rows)
        ]

    def add(self, letter: Letter, content: str, vectors: str, *, origin: str, pinned: bool) -> int:
        """Add a version of a letter and make it the current one of its id; call it in a transaction.

        Args:
            letter: the letter, under the id it shall have.
            content: digest of its words.
            vectors: digest of what is embedded of it.
            origin: the file it came from, or empty.
            pinned: whether it was added by hand.
        """
        spans = {k: letter.as_dict()[k] for k in ("headings", "furniture", "fields")}
        for (old,) in self._db.execute(
            "SELECT v FROM versions WHERE letter = ? AND current", (letter.id,)
        ).fetchall():
            self.change(old, current=0)
        row = {
            "letter": letter.id,
            "current": 1,
            "pinned": int(pinned),
            "content": content,
            "origin": origin,
            "seal": "",
            "added": time.time(),
            **{name: getattr(letter, name) for name in _META},
            "spans": json.dumps(spans, ensure_ascii=False),
            "vectors": vectors,
            "digest": _digest(letter),
        }
        names, marks = ", ".join(row), ", ".join("?" * len(row))
        made = self._db.execute(f"INSERT INTO versions ({names}) VALUES ({marks})", tuple(row.values()))  # noqa: S608 (names of columns)
        v = int(made.lastrowid or 0)
        self.change(v)
        self._count(1)
        measures = [
            (v, n, m.path, m.section, m.heading, m.start, m.end, m.body)
            for n, m in enumerate(letter.measures)
        ]
        self._db.executemany("INSERT INTO measures VALUES (?, ?, ?, ?, ?, ?, ?, ?)", measures)
        spread = [(n, s) for n, m in enumerate(letter.measures) for s in m.sentences]
        sentences = [(v, i, n, s.start, s.end) for i, (n, s) in enumerate(spread)]
        self._db.executemany("INSERT INTO sentences VALUES (?, ?, ?, ?, ?)", sentences)
        return v

    def change(self, v: int, **columns: object) -> None:
        """Change ``letter``, ``current``, ``pinned``, ``content`` or ``origin`` of a version; call it in a transaction."""
        found = self._db.execute(f"SELECT {', '.join(_STATE)} FROM versions WHERE v = ?", (v,)).fetchone()  # noqa: S608 (names of columns)
        state = {**dict(zip(_STATE, found, strict=True)), **columns}
        names = ", ".join(f"{name} = ?" for name in state)
        seal = _seal(v, *state.values())
        self._db.execute(f"UPDATE versions SET {names}, seal = ? WHERE v = ?", (*state.values(), seal, v))  # noqa: S608 (names of columns)

    def delete(self, versions: Sequence[int]) -> None:
        """Delete versions with all that is known of them, vectors too; call it in a transaction."""
        wanted = json.dumps(list(versions))
        inside = "v IN (SELECT value FROM json_each(?))"
        for table in ("measures", "sentences"):
            self._db.execute(f"DELETE FROM {table} WHERE {inside}", (wanted,))  # noqa: S608 (names of columns)
        digests = [d for (d,) in self._db.execute(f"SELECT vectors FROM versions WHERE {inside}", (wanted,))]  # noqa: S608 (names of columns)
        self._count(-self._db.execute(f"DELETE FROM versions WHERE {inside}", (wanted,)).rowcount)  # noqa: S608 (names of columns)
        for digest in digests:
            if not self._db.execute("SELECT 1 FROM versions WHERE vectors = ?", (digest,)).fetchone():
                self._db.execute("DELETE FROM embeddings WHERE content = ?", (digest,))

    def _count(self, more: int) -> None:
        self._db.execute("UPDATE about SET value = value + ? WHERE name = 'versions'", (more,))

    def forget_vectors(self) -> None:
        """Delete all vectors: they are made again when they are needed."""
        self._rows("DELETE FROM embeddings")

    def vectors_of(self, v: int) -> str:
        """Return the digest of what is embedded of a version."""
        return str(self._rows("SELECT vectors FROM versions WHERE v = ?", v)[0][0])

    def vectors(self, content: str, model: str, dimension: int) -> Embedded | None:
        """Return the vectors of a content by a model, if they are there and whole."""
        rows = self._rows(
            "SELECT measures, sentences, pieces, digest FROM embeddings WHERE content = ? AND model = ?",
            content,
            model,
        )
        if not rows or hashlib.sha256(b"".join(rows[0][:3])).hexdigest() != rows[0][3]:
            return None
        return Embedded.from_bytes(rows[0][:3], dimension)

    def keep_vectors(self, content: str, model: str, found: Embedded) -> None:
        """Keep the vectors of a content by a model."""
        blobs = found.as_bytes()
        digest = hashlib.sha256(b"".join(blobs)).hexdigest()
        query = "INSERT OR REPLACE INTO embeddings (content, model, measures, sentences, pieces, digest) VALUES (?, ?, ?, ?, ?, ?)"
        self._rows(query, content, model, *blobs, digest)

    def want_vectors(self, content: str, model: str, found: Embedded) -> None:
        """Keep vectors if there is a version of that content and they are not there; call it in a transaction."""
        wanted = self._rows("SELECT 1 FROM versions WHERE vectors = ?", content)
        if wanted and not self._rows(
            "SELECT 1 FROM embeddings WHERE content = ? AND model = ?", content, model
        ):
            self.keep_vectors(content, model, found)

    def entry(self, v: int, found: Embedded) -> Entry:
        """Return what a segment holds of a version."""
        origin, pinned = self._rows("SELECT origin, pinned FROM versions WHERE v = ?", v)[0]
        return Entry(v, self.letter(v), origin, bool(pinned), *found)

    def files(self) -> dict[str, tuple[str, list[str]]]:
        """The files that were read, each with the SHA-256 it had and the ids of the letters in it."""
        rows = self._rows("SELECT origin, sha256, letters FROM files")
        return {origin: (sha256, json.loads(letters)) for origin, sha256, letters in rows}

    def set_file(self, origin: str, sha256: str, letters: Sequence[str]) -> None:
        """Note that a file was read; call it in a transaction."""
        row = (origin, sha256, json.dumps(list(letters), ensure_ascii=False))
        self._db.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?)", row)

    def forget_file(self, origin: str) -> None:
        """Note that a file is gone; call it in a transaction."""
        self._db.execute("DELETE FROM files WHERE origin = ?", (origin,))

    def was_removed(self, content: str) -> bool:
        """Say whether a letter of this content was removed by hand."""
        return bool(self._rows("SELECT 1 FROM removed WHERE content = ?", content))

    def removed(self) -> dict[str, str]:
        """The contents that were removed by hand, each with the id its letter had."""
        return dict(self._rows("SELECT content, letter FROM removed"))

    def set_removed(self, content: str, letter: str | None) -> None:
        """Note that a content was removed by hand, or with None that it is welcome again; call it in a transaction."""
        if letter is None:
            self._db.execute("DELETE FROM removed WHERE content = ?", (content,))
        else:
            self._db.execute("INSERT OR REPLACE INTO removed VALUES (?, ?)", (content, letter))


def _seal(v: int, *state: object) -> str:
    return hashlib.sha256(json.dumps([v, *state], ensure_ascii=False).encode()).hexdigest()[:16]


def _digest(letter: Letter) -> str:
    return hashlib.sha256(
        json.dumps(letter.as_dict(), ensure_ascii=False, sort_keys=True).encode()
    ).hexdigest()
