"""Milvus: its client, the collections of a build, and how a generation is read. Only its plain vectors are used.

A build is a set of collections; a generation is a number within a build, and a row that is written last. Rows of letters say by
which generation they came and went. Milvus has no transactions: who reads looks afterwards whether the generation is still there.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import logging
import os
import zlib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from rag.errors import DataError, IndexMissing, StoreUnavailable

NEVER = 2**62  # the generation by which a letter goes that stays
MOST = 16_384  # rows that Milvus gives at once
PART = 60_000  # characters of a text in one row
KINDS = ("measures", "sentences")
EXACT = 100_000  # texts that are all compared
_GENERATIONS = "letter_rag_generations"
_TIMEOUT_S = 30
_AT_ONCE = 1000

Field = tuple[str, str, dict[str, Any]]  # name, kind, more


class Client:
    """A connection to Milvus.

    Attributes:
        place: the address, without a password.
    """

    def __init__(self, address: str) -> None:
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # it speaks of its pings on standard error
        try:
            import pymilvus
        except ImportError as error:
            raise DataError(
                "RAG_STORE names Milvus, but pymilvus is not installed",
                "the extra for it",
                "run: pip install 'letter-rag[milvus]'",
            ) from error
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)  # every error is raised as well
        self.place = address.rpartition("@")[2]
        self._pymilvus = pymilvus
        user, _, rest = address.partition("://")[2].rpartition("@")
        given = (
            {"uri": f"{address.partition('://')[0]}://{rest}", "token": user} if user else {"uri": address}
        )
        with self.told():
            self.milvus: Any = pymilvus.MilvusClient(**given, timeout=_TIMEOUT_S)

    @contextlib.contextmanager
    def told(self) -> Iterator[None]:
        """Turn an error of Milvus into one line.

        Raises:
            StoreUnavailable: always when there was one.
        """
        try:
            yield
        except (self._pymilvus.MilvusException, OSError) as error:
            said = " ".join(str(error).split())[:200]
            raise StoreUnavailable(
                f"{self.place} does not answer ({said})", "a Milvus server", "try again"
            ) from error

    def rows(self, collection: str, where: str, fields: Sequence[str]) -> list[dict[str, Any]]:
        """Return all rows of a collection that fit; none where there is no such collection."""
        with self.told():
            if not self.milvus.has_collection(collection):
                return []
            found: list[dict[str, Any]] = []
            rows = self.milvus.query_iterator(
                collection, filter=where, output_fields=list(fields), batch_size=_AT_ONCE
            )
            while batch := rows.next():
                found += [dict(row) for row in batch]
            rows.close()
            return found

    def insert(self, collection: str, rows: Sequence[dict[str, Any]]) -> None:
        """Insert rows, or write them anew."""
        with self.told():
            for first in range(0, len(rows), _AT_ONCE):
                self.milvus.upsert(collection, list(rows[first : first + _AT_ONCE]))

    def delete(self, collection: str, where: str) -> None:
        """Delete the rows that fit."""
        with self.told():
            if self.milvus.has_collection(collection):
                self.milvus.delete(collection, filter=where)

    def generations(self) -> dict[int, dict[str, Any]]:
        """Return what each generation says of itself, by number."""
        rows = self.rows(_GENERATIONS, "n > 0", ("n", "body"))
        return {row["n"]: json.loads(row["body"]) for row in rows}

    def newest(self) -> tuple[int, dict[str, Any]]:
        """Return the number of the newest generation and what it says of itself.

        Raises:
            IndexMissing: there is none.
        """
        found = self.generations()
        if not found:
            raise IndexMissing(f"there is no index in {self.place}", "one", "run: rag index")
        n = max(found)
        return n, found[n]

    def publish(self, n: int, manifest: dict[str, Any]) -> None:
        """Make a generation the newest."""
        self._collection(_GENERATIONS, [("n", "INT64", {}), ("body", "VARCHAR", {"max_length": 65_535})])
        self.insert(
            _GENERATIONS, [{"n": n, "body": json.dumps(manifest, ensure_ascii=False), "none": [0.0, 0.0]}]
        )

    def forget(self, numbers: Sequence[int]) -> None:
        """Delete generations."""
        self.delete(_GENERATIONS, f"n in {list(numbers)}")

    def make(self, build: str, dimension: int, *, large: bool) -> None:
        """Make the collections of a build."""
        names = ("born", "died", "place", "measure", "sentence", "part", "parts", "v")
        whole: list[Field] = [
            (name, "INT64", {}) for name in (*names, "terms_of_measures", "terms_of_sentences")
        ]
        text: Field = ("body", "VARCHAR", {"max_length": 65_535})
        key: Field = ("id", "VARCHAR", {"max_length": 64})
        self._collection(f"{build}_letters", [key, ("key", "VARCHAR", {"max_length": 32}), *whole, text])
        self._collection(f"{build}_counts", [key, ("n", "INT64", {}), ("part", "INT64", {}), text])
        for kind in KINDS:
            fields = [
                ("id", "INT64", {}),
                ("place", "INT64", {}),
                ("vec", "FLOAT_VECTOR", {"dim": dimension}),
            ]
            self._collection(f"{build}_{kind}", [*fields, ("words", "SPARSE_FLOAT_VECTOR", {})], large=large)

    def drop(self, builds: Sequence[str]) -> None:
        """Delete all collections but those of some builds."""
        with self.told():
            for name in self.milvus.list_collections():
                if name.startswith("letter_rag_b") and name.rpartition("_")[0] not in builds:
                    self.milvus.drop_collection(name)

    def _collection(self, name: str, fields: Sequence[Field], *, large: bool = False) -> None:
        """Make a collection where there is none; the first field is its key. Milvus wants a vector in each."""
        kinds = self._pymilvus.DataType
        with self.told():
            if self.milvus.has_collection(name):
                return
            schema = self.milvus.create_schema(auto_id=False, enable_dynamic_field=False)
            indexes = self.milvus.prepare_index_params()
            for i, (field, kind, more) in enumerate(fields):
                schema.add_field(field, kinds[kind], is_primary=i == 0, **more)
            if all(field != "vec" for field, _, _ in fields):
                schema.add_field("none", kinds.FLOAT_VECTOR, dim=2)
                indexes.add_index("none", index_type="FLAT", metric_type="IP")
            else:
                how = {"index_type": "HNSW", "params": {"M": 16, "efConstruction": 200}}
                indexes.add_index("vec", metric_type="IP", **(how if large else {"index_type": "FLAT"}))
                indexes.add_index("words", index_type="SPARSE_INVERTED_INDEX", metric_type="IP")
            self.milvus.create_collection(
                name, schema=schema, index_params=indexes, consistency_level="Strong"
            )


@lru_cache(maxsize=8)
def client_of(address: str) -> Client:
    """Return the client for an address; there is one in a process."""
    return Client(address)


def dimension_of(term: str) -> int:
    """Return the number of a term in sparse vectors; two terms of one number only make a candidate more."""
    return int.from_bytes(hashlib.blake2b(term.encode(), digest_size=4).digest(), "big") % (2**32 - 1)


def packed(data: Any) -> list[str]:
    """Return plain data as texts that fit into rows."""
    text = base64.b64encode(zlib.compress(json.dumps(data, ensure_ascii=False).encode())).decode()
    return [text[at : at + PART] for at in range(0, len(text), PART)]


def unpacked(parts: Sequence[str]) -> Any:
    """Return what was given to :func:`packed`."""
    return json.loads(zlib.decompress(base64.b64decode("".join(parts))))
