"""A generation kept by PostgreSQL with pgvector: cosines by pgvector, BM25 from postings that lie there.

Up to :data:`EXACT` texts every vector is compared; above, HNSW on half precision gives candidates, which are then compared in
full precision. Rows of other generations are there too and are never seen (:mod:`rag.remote`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rag import bm25
from rag.embed import Embedder, Ids, Vectors
from rag.errors import IndexDamaged, IndexMissing, StoreUnavailable
from rag.letter import Letter
from rag.pg_pool import Pool
from rag.remote import MEASURE, Chosen, Placed, Remote
from rag.store import REBUILD, check_built

if TYPE_CHECKING:
    from psycopg import Connection

EXACT = 20_000  # texts that are all compared
TABLES = ("measures", "sentences")
POSTING = np.dtype([("id", "<u4"), ("times", "<u2"), ("length", "u1")])
_POSTINGS = 256 << 20  # bytes of postings that are kept in memory

_KNOWN = "EXISTS (SELECT FROM generations WHERE token = %(generation)s)"
_PACKED = f"SELECT {_KNOWN}, string_agg(int8send(id), ''::bytea), string_agg(float8send(score), ''::bytea)"
_LONGEST = 600  # characters of a term that is written as it is: an index of PostgreSQL takes 2,704 bytes
_LETTERS = """
SELECT p, key, v, first_measure, first_sentence, measure_terms, sentence_terms FROM letters
WHERE born <= %(n)s AND (died IS NULL OR died > %(n)s)"""


def own(name: str) -> str:
    """Return what is SQL for a table or an index of this collection: its schema's, not another's further on in the path."""
    return f"to_regclass(quote_ident(current_schema()) || '.{name}')"


_NEWEST = f"""
SELECT n, token, parser, model, fingerprint, dimension, letters, measures FROM generations
WHERE tableoid = {own("generations")} ORDER BY n DESC LIMIT 1"""  # noqa: S608 (constants)


def written(term: str) -> str:
    """Return a term as it is written: a very long one as its digest."""
    return term if len(term) <= _LONGEST else hashlib.sha256(term.encode()).hexdigest()


def read_generation(connection: Connection[Any], place: str) -> tuple[int, dict[str, Any]]:
    """Return the number of the newest generation and what it says of itself.

    Raises:
        IndexMissing: there is none.
    """
    found = connection.execute(_NEWEST).fetchone()
    if found is None:
        raise IndexMissing(f"there is no index in {place}", "one", "run: rag index")
    n, token, parser, model, fingerprint, dimension, letters, measures = found
    return n, {
        "generation": token,
        "parser": parser,
        "embedding": {"name": model, "fingerprint": fingerprint, "dimension": dimension},
        "letters": letters,
        "measures": measures,
    }


@dataclass(frozen=True, slots=True)
class _Postings:
    """Where a term stands: numbers of the texts, how often in each, and the codes of their lengths."""

    numbers: Ids
    times: npt.NDArray[np.uint16]
    lengths: npt.NDArray[np.uint8]


class PgIndex(Remote):
    """A generation in PostgreSQL."""

    def __init__(
        self,
        pool: Pool,
        manifest: dict[str, Any],
        embedder: Embedder,
        placed: Sequence[Placed],
        *,
        old: PgIndex | None = None,
        exact: int = EXACT,
    ) -> None:
        super().__init__(manifest, embedder, placed, old)
        self._pool = pool
        self.exact = exact
        self._postings: dict[tuple[int, str], _Postings] = {}
        self._bytes = 0

    @classmethod
    def open(cls, pool: Pool, embedder: Embedder, old: PgIndex | None = None, exact: int = EXACT) -> PgIndex:
        """Open the newest generation.

        Args:
            pool: connections to the server.
            embedder: the model.
            old: a generation that is open; the letters that both have are taken over.
            exact: texts that are all compared.

        Raises:
            IndexStateError: missing, damaged, built otherwise, or out of reach.
        """
        known = {p.key: p.letter for p in old.placed} if old else {}

        def read(connection: Connection[Any]) -> PgIndex:
            n, manifest = read_generation(connection, pool.place)
            check_built(manifest, embedder)
            rows = connection.execute(_LETTERS, {"n": n}).fetchall()
            fresh = read_letters(connection, [v for _, key, v, *_ in rows if key not in known])
            asked = {"generation": manifest["generation"]}
            still = connection.execute(f"SELECT {_KNOWN}", asked).fetchone()
            if still != (True,) or len(rows) != manifest["letters"]:
                raise _gone(pool.place, manifest["generation"])
            placed = [
                Placed(
                    p, key, known[key] if key in known else fresh[v], (one, two), (terms_of_one, terms_of_two)
                )
                for p, key, v, one, two, terms_of_one, terms_of_two in rows
            ]
            return cls(pool, manifest, embedder, placed, old=old, exact=exact)

        return pool.run(read)

    def nearest(self, kind: int, query: Vectors, limit: int, chosen: Chosen | None) -> tuple[Ids, Vectors]:
        """Return ids and cosines of the nearest texts, best first: of some letters, or of all and of what else is there."""
        values = {
            "generation": self.generation,
            "query": "[" + ",".join(map(str, query.tolist())) + "]",
            "places": chosen.places if chosen else None,
            "limit": limit,
            "looked": 2 * limit,  # half precision orders the last of them otherwise
        }
        count = chosen.count(kind) if chosen else self.texts[kind].count
        few = count <= self.exact
        known, ids, cosines = self._pool.row(
            _nearest(kind, len(query), some=chosen is not None, few=few), values
        )
        self._check(known)
        return _unpack(ids, ">i8").astype(np.int64), _unpack(cosines, ">f8").astype(np.float32)

    def fetch(self, kind: int, ids: Ids) -> Vectors:
        """Return the vectors of texts by id, which ascend: shape ``(len(ids), dimension)``."""
        query = (
            f"SELECT {_KNOWN}, string_agg(substring(halfvec_send(vec) FROM 5), ''::bytea) "  # noqa: S608 (names of tables)
            f"FROM (SELECT vec FROM {TABLES[kind]} WHERE id = ANY(%(ids)s) ORDER BY id) AS found"
        )
        known, vectors = self._pool.row(query, {"generation": self.generation, "ids": ids.tolist()})
        self._check(known)
        return np.frombuffer(vectors, ">f2").reshape(len(ids), -1).astype(np.float32)

    def scores(self, kind: int, wanted: Sequence[str], limit: int, chosen: Chosen | None) -> dict[int, float]:
        """Return the BM25 of the best texts for the terms, by number, best first."""
        terms = list(dict.fromkeys(wanted))
        found, texts = self._postings_of(kind, terms), self.texts[kind]
        total = np.zeros(texts.count, np.float32)
        for term in terms:
            here = found[term]
            if len(here.numbers):
                weight = texts.weight(len(here.numbers))
                total[here.numbers] += weight * texts.share(here.times, here.lengths)
        if chosen:
            total[~chosen.masks[kind]] = 0
        order = bm25.best(total, limit)
        return dict(zip(order.tolist(), total[order].tolist(), strict=True))

    def frequencies(self, terms: Sequence[str]) -> list[int]:
        """Return in how many measures each term stands."""
        found = self._postings_of(MEASURE, terms)
        return [len(found[t].numbers) for t in terms]

    def structure(self) -> str:
        """Say how vectors and words are searched."""
        sizes = [t.count for t in self.texts]
        how = ["all compared" if s <= self.exact else "HNSW on halfvec, then compared" for s in sizes]
        return (
            f"measures: {sizes[0]:,}, {how[0]}; sentences: {sizes[1]:,}, {how[1]}; words: BM25 from postings"
        )

    def _postings_of(self, kind: int, terms: Sequence[str]) -> Mapping[str, _Postings]:
        found = {t: known for t in terms if (known := self._postings.get((kind, t))) is not None}
        missing = [t for t in dict.fromkeys(terms) if t not in found]
        if not missing:
            return found
        parts: dict[str, list[bytes]] = {written(t): [] for t in missing}
        query = f"SELECT {_KNOWN}, array_agg(term), array_agg(postings) FROM words WHERE kind = %(kind)s AND term = ANY(%(terms)s)"  # noqa: S608 (constants)
        values = {"generation": self.generation, "kind": kind, "terms": list(parts)}
        known, names, postings = self._pool.row(query, values)
        self._check(known)
        for term, some in zip(names or (), postings or (), strict=True):
            parts[term].append(some)
        fresh = {t: self._numbered(kind, b"".join(parts[written(t)])) for t in missing}
        self._keep(kind, fresh)
        return found | fresh

    def _numbered(self, kind: int, packed: bytes) -> _Postings:
        rows = np.frombuffer(packed, POSTING)
        numbers = self.numbers[kind].of(rows["id"].astype(np.int64))
        mine = numbers >= 0
        return _Postings(numbers[mine], rows["times"][mine], rows["length"][mine])

    def _keep(self, kind: int, fresh: Mapping[str, _Postings]) -> None:
        self._bytes += sum(11 * len(p.numbers) + 200 for p in fresh.values())
        if self._bytes > _POSTINGS:
            self._postings, self._bytes = {}, 0
        self._postings |= {(kind, t): p for t, p in fresh.items()}

    def _check(self, known: bool) -> None:
        if not known:
            raise _gone(self._pool.place, self.generation)


def read_letters(connection: Connection[Any], versions: Sequence[int]) -> dict[int, Letter]:
    """Return letters by version.

    Raises:
        IndexDamaged: one is not as it was written.
    """
    rows = connection.execute("SELECT v, body, digest FROM versions WHERE v = ANY(%s)", (list(versions),))
    return {v: letter_from(body, digest) for v, body, digest in rows}


def letter_from(body: str, digest: str) -> Letter:
    """Return a letter from what was written of it.

    Raises:
        IndexDamaged: it is not as it was written.
    """
    if hashlib.sha256(body.encode()).hexdigest() != digest:
        raise IndexDamaged("a letter in the store is not as it was written", "every character", REBUILD)
    return Letter.from_dict(json.loads(body))


def _nearest(kind: int, dimension: int, *, some: bool, few: bool) -> str:
    """The query for the nearest texts: of some letters or all, comparing every vector or by HNSW first."""
    where = f"vector_dims(vec) = {dimension}" + (" AND p = ANY(%(places)s)" if some else "")
    source = f"SELECT id, vec FROM {TABLES[kind]} WHERE {where}"  # noqa: S608 (names of tables)
    if not few:
        source += (
            f" ORDER BY vec::halfvec({dimension}) <#> %(query)s::text::halfvec({dimension}) LIMIT %(looked)s"
        )
    cosine = "-(vec::vector <#> %(query)s::text::vector) AS score"
    ranked = f"SELECT id, {cosine} FROM ({source}) AS near ORDER BY score DESC, id LIMIT %(limit)s"  # noqa: S608 (constants)
    return f"{_PACKED} FROM ({ranked}) AS ranked"


def _unpack(packed: bytes | None, kind: str) -> npt.NDArray[Any]:
    return np.frombuffer(packed or b"", kind)


def _gone(place: str, generation: str) -> StoreUnavailable:
    return StoreUnavailable(
        f"the server of {place} that answers does not hold {generation}",
        "the letters as they were",
        "ask again",
    )
