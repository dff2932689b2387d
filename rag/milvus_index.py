"""A generation kept by Milvus: nearest vectors by Milvus; candidates for BM25 by sparse vectors, then scored here in full.

Milvus's own text analysis is not used: the weights are ours, so that the ranking is that of the folder. How many texts hold
each term is read when the generation is opened.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from rag import bm25
from rag.embed import Embedder, Ids, Vectors
from rag.errors import StoreUnavailable
from rag.letter import Letter
from rag.milvus_client import KINDS, MOST, Client, dimension_of, unpacked
from rag.remote import MEASURE, Chosen, Placed, Remote
from rag.segment import measure_words
from rag.store import check_built
from rag.text import terms

_SHORT = ("id", "key", "part", "place", "measure", "sentence", "terms_of_measures", "terms_of_sentences")
_COUNTED = 50_000  # texts whose terms are kept in memory
_SPARE = 50  # candidates beyond twice those wanted
_IDS = 4000  # ids that are asked for at once


class MilvusIndex(Remote):
    """A generation in Milvus."""

    most = MOST

    def __init__(
        self,
        client: Client,
        manifest: dict[str, Any],
        embedder: Embedder,
        placed: Sequence[Placed],
        *,
        counts: tuple[Counter[str], Counter[str]],
        old: MilvusIndex | None = None,
    ) -> None:
        super().__init__(manifest, embedder, placed, old)
        self._client = client
        self._counts = counts
        self._terms: dict[tuple[int, int], Counter[str]] = {}

    @classmethod
    def open(cls, client: Client, embedder: Embedder, old: MilvusIndex | None = None) -> MilvusIndex:
        """Open the newest generation.

        Args:
            client: of the server.
            embedder: the model.
            old: a generation that is open; the letters that both have are taken over.

        Raises:
            IndexStateError: missing, built otherwise, or out of reach.
        """
        n, manifest = client.newest()
        check_built(manifest, embedder)
        name = f"{manifest['build']}_letters"
        rows = client.rows(name, f"born <= {n} and died > {n}", _SHORT)
        known = {p.key: p.letter for p in old.placed} if old else {}
        fresh = read_letters(client, name, [row["key"] for row in rows if row["key"] not in known])
        placed = [
            Placed(
                row["place"],
                row["key"],
                known[row["key"]] if row["key"] in known else fresh[row["key"]],
                (row["measure"], row["sentence"]),
                (row["terms_of_measures"], row["terms_of_sentences"]),
            )
            for row in rows
            if row["part"] == 0
        ]
        counts = read_counts(client, manifest["build"], n)
        found = cls(client, manifest, embedder, placed, counts=counts, old=old)
        found.check()
        return found

    def check(self) -> None:
        """Look whether the generation is still there.

        Raises:
            StoreUnavailable: it is not.
        """
        if self.generation not in {m["generation"] for m in self._client.generations().values()}:
            raise StoreUnavailable(
                f"{self._client.place} does not hold {self.generation}",
                "the letters as they were",
                "ask again",
            )

    def nearest(self, kind: int, query: Vectors, limit: int, chosen: Chosen | None) -> tuple[Ids, Vectors]:
        """Return ids and cosines of the nearest texts, best first: of some letters, or of all and of what else is there."""
        return self._search(kind, "vec", query.tolist(), limit, chosen)

    def fetch(self, kind: int, ids: Ids) -> Vectors:
        """Return the vectors of texts by id, which ascend: shape ``(len(ids), dimension)``."""
        found: dict[int, Any] = {}
        for first in range(0, len(ids), _IDS):
            where = f"id in {ids[first : first + _IDS].tolist()}"
            found |= {
                row["id"]: row["vec"] for row in self._client.rows(self._name(kind), where, ("id", "vec"))
            }
        if len(found) < len(ids):
            self.check()
        return np.array([found[i] for i in ids.tolist()], np.float32)

    def scores(self, kind: int, wanted: Sequence[str], limit: int, chosen: Chosen | None) -> dict[int, float]:
        """Return the BM25 of the best texts for the terms, by number, best first."""
        texts, counts = self.texts[kind], self._counts[kind]
        weights = {t: texts.weight(counts[t]) for t in dict.fromkeys(wanted) if counts[t] > 0}
        if not weights:
            return {}
        query = {dimension_of(t): float(w) for t, w in weights.items()}
        looked = min(MOST, 2 * limit + _SPARE)
        while True:
            ids, _ = self._search(kind, "words", query, looked, chosen)
            numbers = self.numbers[kind].of(ids)
            numbers = np.sort(numbers[numbers >= 0])
            if len(numbers) >= min(limit, texts.count) or len(ids) < looked or looked >= MOST:
                break
            looked = min(MOST, 4 * looked)
        scored = self._scored(kind, numbers, weights)
        order = bm25.best(scored, limit)
        return dict(zip(numbers[order].tolist(), scored[order].tolist(), strict=True))

    def frequencies(self, terms: Sequence[str]) -> list[int]:
        """Return in how many measures each term stands."""
        return [self._counts[MEASURE][t] for t in terms]

    def structure(self) -> str:
        """Say how vectors and words are searched."""
        one, two = (t.count for t in self.texts)
        how = "HNSW" if self.manifest["large"] else "all compared"
        return f"measures: {one:,}, sentences: {two:,}, {how}; words: BM25, candidates by sparse vectors"

    def _name(self, kind: int) -> str:
        return f"{self.manifest['build']}_{KINDS[kind]}"

    def _search(
        self, kind: int, field: str, query: Any, limit: int, chosen: Chosen | None
    ) -> tuple[Ids, Vectors]:
        where = f"place in {chosen.places}" if chosen else ""
        how = {"metric_type": "IP", "params": {"ef": max(400, limit)} if field == "vec" else {}}
        with self._client.told():
            (found,) = self._client.milvus.search(
                self._name(kind),
                [query],
                anns_field=field,
                limit=min(limit, MOST),
                filter=where,
                search_params=how,
            )
        self.check()
        ids = np.array([hit["id"] for hit in found], np.int64)
        return ids, np.array([hit["distance"] for hit in found], np.float32)

    def _scored(self, kind: int, numbers: Ids, weights: dict[str, np.float32]) -> Vectors:
        counted = [self._count(kind, n) for n in numbers.tolist()]
        lengths = bm25.codes([c.total() for c in counted])
        total = np.zeros(len(numbers), np.float32)
        for term, weight in weights.items():
            times = np.array([c[term] for c in counted], np.uint16)
            total += weight * self.texts[kind].share(times, lengths)
        return total

    def _count(self, kind: int, number: int) -> Counter[str]:
        """The terms of a text, kept for the next question."""
        if (known := self._terms.get((kind, number))) is not None:
            return known
        if len(self._terms) > _COUNTED:
            self._terms = {}
        if kind == MEASURE:
            text = measure_words(*self.measures[number])
        else:
            letter, measure = self.measures[of := self.measure_of(number)]
            text = measure.sentences[number - self.sentence_numbers(of)[0]].of(letter.text)
        found = self._terms[kind, number] = Counter(terms(text))
        return found


def read_letters(client: Client, name: str, keys: Sequence[str]) -> dict[str, Letter]:
    """Return letters by key."""
    parts: dict[str, dict[int, str]] = {}
    wanted = sorted(set(keys))
    for first in range(0, len(wanted), 200):
        some = json_list(wanted[first : first + 200])
        for row in client.rows(name, f"key in {some}", ("key", "part", "body")):
            parts.setdefault(row["key"], {})[row["part"]] = row["body"]
    return {key: Letter.from_dict(unpacked([some[i] for i in sorted(some)])) for key, some in parts.items()}


def json_list(words: Sequence[str]) -> str:
    """A list of words as Milvus's filters take it."""
    return "[" + ", ".join(f'"{w}"' for w in words) + "]"


def read_counts(client: Client, build: str, n: int) -> tuple[Counter[str], Counter[str]]:
    """Return in how many measures and in how many sentences each term stands: what the generations up to ``n`` added and took."""
    parts: dict[int, dict[int, str]] = {}
    for row in client.rows(f"{build}_counts", f"n <= {n}", ("n", "part", "body")):
        parts.setdefault(row["n"], {})[row["part"]] = row["body"]
    counts: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
    for some in parts.values():
        for kind, changed in enumerate(unpacked([some[i] for i in sorted(some)])):
            counts[kind].update(changed)
    return counts
