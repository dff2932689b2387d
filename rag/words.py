"""The lexical index: BM25 over character unigrams and bigrams, by tantivy."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import tantivy

from rag.text import terms

_BUFFER = 64_000_000


def _schema() -> Any:
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("terms", stored=False, tokenizer_name="terms", index_option="freq")
    builder.add_unsigned_field("id", stored=False, indexed=False, fast=True)
    return builder.build()


def _open(schema: Any, path: Path) -> Any:
    index = tantivy.Index(schema, path=str(path))
    index.register_tokenizer("terms", tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build())
    return index


def build_words(path: Path, texts: Iterable[str]) -> None:
    """Write the lexical index of ``texts``, numbered from 0, into the empty folder ``path``."""
    path.mkdir()
    index = _open(_schema(), path)
    writer = index.writer(heap_size=_BUFFER, num_threads=1)
    for number, text in enumerate(texts):
        document = tantivy.Document()
        document.add_text("terms", " ".join(terms(text)))
        document.add_unsigned("id", number)
        writer.add_document(document)
    writer.commit()
    writer.wait_merging_threads()


class Words:
    """An opened lexical index."""

    def __init__(self, path: Path) -> None:
        self._schema = _schema()
        self._index = _open(self._schema, path)
        self._searcher = self._index.searcher()
        self.count: int = self._searcher.num_docs

    def search(self, wanted: Iterable[str], limit: int) -> dict[int, float]:
        """Return the BM25 score of the best ``limit`` texts that hold any of the terms, by number."""
        clauses = [
            (tantivy.Occur.Should, tantivy.Query.term_query(self._schema, "terms", t, "freq"))
            for t in dict.fromkeys(wanted)
        ]
        if not clauses or not self.count:
            return {}
        found = self._searcher.search(tantivy.Query.boolean_query(clauses), limit=limit, count=False)
        ids = self._searcher.fast_field_values("id", [address for _, address in found.hits])
        return {int(i): float(score) for i, (score, _) in zip(ids, found.hits, strict=True)}

    def frequency(self, term: str) -> int:
        """Return in how many texts a term stands."""
        return int(self._searcher.doc_freq("terms", term))
