"""The catalogue in PostgreSQL: every letter in every version, and what is known of files; only writers change it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rag.catalogue import Version
from rag.embed import Embedded
from rag.letter import Letter
from rag.pg_index import letter_from, own

if TYPE_CHECKING:
    from psycopg import Connection

SCHEMA = 1
_TABLES = """
CREATE TABLE about (name text PRIMARY KEY, value text NOT NULL);
CREATE TABLE versions (
  v bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, letter text NOT NULL, current boolean NOT NULL, pinned boolean NOT NULL,
  content text NOT NULL, origin text NOT NULL, added double precision NOT NULL, sha256 text NOT NULL, number text NOT NULL,
  issuer text NOT NULL, addressee text NOT NULL, subject text NOT NULL, date text NOT NULL, vectors text NOT NULL,
  body text NOT NULL, digest text NOT NULL, gone boolean NOT NULL DEFAULT false);
CREATE INDEX versions_letter ON versions (letter);
CREATE INDEX versions_content ON versions (content);
CREATE INDEX versions_origin ON versions (md5(origin));
CREATE INDEX versions_number ON versions (number, issuer);
CREATE INDEX versions_subject ON versions (md5(subject), issuer);
CREATE INDEX versions_vectors ON versions (vectors);
CREATE TABLE embeddings (
  content text, model text, measures bytea NOT NULL, sentences bytea NOT NULL, PRIMARY KEY (content, model));
CREATE TABLE files (origin text PRIMARY KEY, sha256 text NOT NULL, letters text NOT NULL);
CREATE TABLE removed (content text PRIMARY KEY, letter text NOT NULL);
CREATE TABLE generations (
  n bigint PRIMARY KEY, token text UNIQUE NOT NULL, at timestamptz NOT NULL DEFAULT now(), parser integer NOT NULL,
  model text NOT NULL, fingerprint text NOT NULL, dimension integer NOT NULL, letters bigint NOT NULL, measures bigint NOT NULL);
CREATE TABLE letters (
  p bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, key text UNIQUE NOT NULL, v bigint NOT NULL REFERENCES versions,
  first_measure bigint NOT NULL, first_sentence bigint NOT NULL, measures integer NOT NULL, sentences integer NOT NULL,
  measure_terms bigint NOT NULL, sentence_terms bigint NOT NULL, born bigint NOT NULL, died bigint);
CREATE INDEX letters_died ON letters (died);
CREATE TABLE measures (id bigint PRIMARY KEY, p bigint NOT NULL, vec halfvec NOT NULL);
CREATE INDEX measures_letter ON measures (p);
CREATE TABLE sentences (id bigint PRIMARY KEY, p bigint NOT NULL, vec halfvec NOT NULL);
CREATE INDEX sentences_letter ON sentences (p);
CREATE TABLE chunks (chunk bigint PRIMARY KEY, measures bigint NOT NULL);
CREATE TABLE words (
  term text COLLATE "C", kind smallint, chunk bigint, postings bytea NOT NULL, PRIMARY KEY (term, kind, chunk));
CREATE INDEX words_chunk ON words (chunk);
INSERT INTO about VALUES ('schema', '1'), ('measures', '0'), ('sentences', '0')
"""
_VERSION = "v, letter, current, pinned, content, origin, sha256, date, added"
_META = ("sha256", "number", "issuer", "addressee", "subject", "date")


class PgCatalogue:
    """The catalogue, over the connection of a writer.

    Attributes:
        connection: in autocommit mode.
    """

    def __init__(self, connection: Connection[Any]) -> None:
        self.connection = connection

    def set_up(self) -> None:
        """Make the tables where there are none."""
        if self._rows(f"SELECT {own('about')}")[0][0] is None:
            with self.transaction():
                self.connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
                for statement in _TABLES.split(";"):
                    self.connection.execute(statement.encode())

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing: written at the end of the block, or as it was before."""
        with self.connection.transaction():
            yield

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        return self.connection.execute(query.encode(), values or None).fetchall()

    def _do(self, query: str, *values: object) -> None:
        self.connection.execute(query.encode(), values or None)

    def about(self, name: str) -> str:
        """Return a fact about the catalogue, or an empty string."""
        found = self._rows("SELECT value FROM about WHERE name = %s", name)
        return str(found[0][0]) if found else ""

    def set_about(self, name: str, value: str) -> None:
        """Set a fact about the catalogue."""
        self._do(
            "INSERT INTO about VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            name,
            value,
        )

    def current(self) -> dict[int, str]:
        """The versions that answers come from, each with the id of its letter."""
        return dict(self._rows("SELECT v, letter FROM versions WHERE current AND NOT gone ORDER BY v"))

    def find(self, **wanted: object) -> list[Version]:
        """Return the versions whose columns are as given, the latest first."""
        where = "".join(f" AND {_equals(name)}" for name in wanted)
        values = [bool(v) if name in ("current", "pinned") else v for name, v in wanted.items()]
        rows = self._rows(f"SELECT {_VERSION} FROM versions WHERE NOT gone{where} ORDER BY v DESC", *values)  # noqa: S608 (names of columns)
        return [Version(*row) for row in rows]

    def letter(self, v: int) -> Letter:
        """Return a version of a letter.

        Raises:
            IndexDamaged: it is not as it was written.
        """
        body, digest = self._rows("SELECT body, digest FROM versions WHERE v = %s", v)[0]
        return letter_from(body, digest)

    def add(self, letter: Letter, content: str, vectors: str, *, origin: str, pinned: bool) -> int:
        """Add a version of a letter and make it the current one of its id; call it in a transaction."""
        self._do("UPDATE versions SET current = false WHERE letter = %s AND current", letter.id)
        body = json.dumps(letter.as_dict(), ensure_ascii=False)
        row = {
            "letter": letter.id,
            "current": True,
            "pinned": pinned,
            "content": content,
            "origin": origin,
            "added": time.time(),
            **{name: getattr(letter, name) for name in _META},
            "vectors": vectors,
            "body": body,
            "digest": hashlib.sha256(body.encode()).hexdigest(),
        }
        names, marks = ", ".join(row), ", ".join(["%s"] * len(row))
        made = self._rows(f"INSERT INTO versions ({names}) VALUES ({marks}) RETURNING v", *row.values())  # noqa: S608 (names of columns)
        return int(made[0][0])

    def change(self, v: int, **columns: object) -> None:
        """Change ``current``, ``pinned``, ``content`` or ``origin`` of a version; call it in a transaction."""
        names = ", ".join(f"{name} = %s" for name in columns)
        values = [bool(x) if name in ("current", "pinned") else x for name, x in columns.items()]
        self._do(f"UPDATE versions SET {names} WHERE v = %s", *values, v)  # noqa: S608 (names of columns)

    def delete(self, versions: Sequence[int]) -> None:
        """Delete versions; their text goes when no generation that is kept answers from it any more."""
        self._do("UPDATE versions SET gone = true, current = false WHERE v = ANY(%s)", list(versions))

    def forget_vectors(self) -> None:
        """Delete all vectors: they are made again when they are needed."""
        self._do("DELETE FROM embeddings")

    def vectors_of(self, v: int) -> str:
        """Return the digest of what is embedded of a version."""
        return str(self._rows("SELECT vectors FROM versions WHERE v = %s", v)[0][0])

    def vectors(self, content: str, model: str, dimension: int) -> Embedded | None:
        """Return the vectors of a content by a model, where they wait to be published."""
        rows = self._rows(
            "SELECT measures, sentences FROM embeddings WHERE content = %s AND model = %s", content, model
        )
        if not rows:
            return None
        measures = np.frombuffer(rows[0][0], np.float32).reshape(-1, dimension)
        return Embedded(measures, np.frombuffer(rows[0][1], np.float16).reshape(-1, dimension), [])

    def keep_vectors(self, content: str, model: str, found: Embedded) -> None:
        """Keep the vectors of a content by a model until they are published."""
        one, two = found.measures.astype(np.float32).tobytes(), found.sentences.astype(np.float16).tobytes()
        self._do(
            "INSERT INTO embeddings VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING", content, model, one, two
        )

    def want_vectors(self, content: str, model: str, found: Embedded) -> None:
        """Keep vectors if there is a version of that content that is not published; call it in a transaction."""
        waiting = "SELECT 1 FROM versions AS a WHERE vectors = %s AND NOT EXISTS (SELECT FROM letters WHERE v = a.v)"
        if self._rows(waiting, content):
            self.keep_vectors(content, model, found)

    def files(self) -> dict[str, tuple[str, list[str]]]:
        """The files that were read, each with the SHA-256 it had and the ids of the letters in it."""
        rows = self._rows("SELECT origin, sha256, letters FROM files")
        return {origin: (sha256, json.loads(letters)) for origin, sha256, letters in rows}

    def set_file(self, origin: str, sha256: str, letters: Sequence[str]) -> None:
        """Note that a file was read; call it in a transaction."""
        self.forget_file(origin)
        told = json.dumps(list(letters), ensure_ascii=False)
        self._do("INSERT INTO files VALUES (%s, %s, %s)", origin, sha256, told)

    def forget_file(self, origin: str) -> None:
        """Note that a file is gone; call it in a transaction."""
        self._do("DELETE FROM files WHERE origin = %s", origin)

    def was_removed(self, content: str) -> bool:
        """Say whether a letter of this content was removed by hand."""
        return bool(self._rows("SELECT 1 FROM removed WHERE content = %s", content))

    def set_removed(self, content: str, letter: str | None) -> None:
        """Note that a content was removed by hand, or with None that it is welcome again; call it in a transaction."""
        self._do("DELETE FROM removed WHERE content = %s", content)
        if letter is not None:
            self._do("INSERT INTO removed VALUES (%s, %s)", content, letter)


def _equals(name: str) -> str:
    return f"md5({name}) = md5(%s)" if name in ("origin", "subject") else f"{name} = %s"
