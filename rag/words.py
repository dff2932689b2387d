"""The lexical index: BM25 over character unigrams and bigrams, by tantivy.

Each segment of the index writes its own texts once (:func:`build_words`); a generation joins the parts of all its segments
into one tantivy index (:func:`join_words`), so that frequencies and lengths are those of the whole collection.
"""

from __future__ import annotations

import errno
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tantivy

from rag.text import terms

Addresses = npt.NDArray[np.uint64]
META, _LOCK = "meta.json", ".tantivy-meta.lock"

_BUFFER = 64_000_000
_PART = re.compile(r"[0-9a-f]{32}\.")


def _schema() -> Any:
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("terms", stored=False, tokenizer_name="terms", index_option="freq")
    builder.add_unsigned_field("id", stored=False, indexed=False, fast=True)
    builder.add_unsigned_field("letter", stored=False, indexed=True, fast=False)
    return builder.build()


def _with_terms(index: Any) -> Any:
    index.register_tokenizer("terms", tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build())
    return index


def _open(path: Path) -> Any:
    """Open an index for reading. tantivy wants to lock even then; where nothing can be written, links to the files serve."""
    if os.access(path, os.W_OK):
        return _with_terms(tantivy.Index.open(str(path)))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        for file in path.iterdir():
            if file.name != _LOCK:
                (Path(scratch) / file.name).symlink_to(file.resolve())
        index = _with_terms(tantivy.Index.open(scratch))
        index.searcher()  # maps the files
        return index


def build_words(path: Path, texts: Iterable[tuple[int, str]], number: int = 0) -> None:
    """Write the lexical index of ``texts`` into the empty folder ``path``.

    Args:
        path: the folder; made here.
        texts: each with the letter it is of; it gets the address ``number << 32 | place``, its place counted from 0.
        number: of the segment.
    """
    path.mkdir()
    try:
        _write(path, texts, number)
    except ValueError as error:  # what tantivy makes of a full disk
        raise OSError(errno.EIO, "the words cannot be written; is the disk full?", str(path)) from error


def _write(path: Path, texts: Iterable[tuple[int, str]], number: int) -> None:
    index = _with_terms(tantivy.Index(_schema(), path=str(path)))
    writer = index.writer(heap_size=_BUFFER, num_threads=1)
    for place, (letter, text) in enumerate(texts):
        document = tantivy.Document()
        document.add_unsigned("letter", letter)
        document.add_text("terms", " ".join(terms(text)))
        document.add_unsigned("id", number << 32 | place)
        writer.add_document(document)
    writer.commit()
    writer.wait_merging_threads()


def parts_of(path: Path) -> dict[str, Any]:
    """Return what :func:`join_words` needs to know of a lexical index: its ``meta.json``."""
    found: dict[str, Any] = json.loads((path / META).read_text(encoding="utf-8"))
    return found


def files_of(path: Path, parts: dict[str, Any]) -> list[Path]:
    """Return the data files of a lexical index that lie in ``path``, by what :func:`parts_of` gave."""
    names = {segment["segment_id"].replace("-", "") for segment in parts["segments"]}
    return sorted(p for p in path.iterdir() if _PART.match(p.name) and p.name.split(".")[0] in names)


def join_words(path: Path, metas: Sequence[dict[str, Any]]) -> None:
    """Write the ``meta.json`` that makes one lexical index of all the parts whose files lie in ``path``."""
    segments = [segment for meta in metas for segment in meta["segments"]]
    joined = {**metas[0], "segments": segments, "opstamp": max(meta["opstamp"] for meta in metas)}
    (path / META).write_text(json.dumps(joined, indent=1), encoding="utf-8")
    (path / _LOCK).touch()


class Words:
    """An opened lexical index."""

    def __init__(self, path: Path) -> None:
        self._schema = _schema()
        self._index = _open(path)
        self._searcher = self._index.searcher()
        self.count: int = self._searcher.num_docs

    def search(
        self,
        wanted: Iterable[str],
        limit: int,
        numbers: Callable[[Addresses], Sequence[int]] = np.ndarray.tolist,
        within: Sequence[int] | None = None,
    ) -> dict[int, float]:
        """Return the BM25 score of the best ``limit`` texts that hold any of the terms, by number, best first.

        Args:
            wanted: the terms.
            limit: how many texts.
            numbers: turns addresses into numbers; a negative number stands for a text that is no more.
            within: only texts of these letters.
        """
        clauses = [
            (tantivy.Occur.Should, tantivy.Query.term_query(self._schema, "terms", t, "freq"))
            for t in dict.fromkeys(wanted)
        ]
        if not clauses or not self.count:
            return {}
        query = tantivy.Query.boolean_query(clauses)
        if within is not None:
            letters = tantivy.Query.term_set_query(self._schema, "letter", list(within))
            unscored = tantivy.Query.boost_query(tantivy.Query.const_score_query(letters, 1.0), 0.0)
            query = tantivy.Query.boolean_query([(tantivy.Occur.Must, query), (tantivy.Occur.Must, unscored)])
        looked = limit
        while True:
            hits = self._searcher.search(query, limit=looked, count=False).hits
            addresses = self._searcher.fast_field_values("id", [address for _, address in hits])
            known = numbers(np.asarray(addresses, np.uint64))
            found = {n: float(score) for n, (score, _) in zip(known, hits, strict=True) if n >= 0}
            if len(found) >= limit or len(hits) < looked:
                return dict(list(found.items())[:limit])
            looked *= 4

    def frequency(self, term: str) -> int:
        """Return in how many texts a term stands, those that are no more among them."""
        return int(self._searcher.doc_freq("terms", term))
