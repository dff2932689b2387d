"""Haystack as its first pages have it: an in-memory document store, embedders, a retriever, joined by pipelines."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from haystack import Document, Pipeline
from haystack.components.retrievers.in_memory import InMemoryEmbeddingRetriever
from haystack.components.writers import DocumentWriter
from haystack.document_stores.in_memory import InMemoryDocumentStore
from haystack.utils import ComponentDevice
from haystack_integrations.components.embedders.sentence_transformers import (
    SentenceTransformersDocumentEmbedder,
    SentenceTransformersTextEmbedder,
)
from peer import K, passages, run


class Opened(NamedTuple):
    """Each pipeline opens the encoder when it first runs."""

    model: str

    def options(self) -> dict:
        """What both embedders are told."""
        return {"model": self.model, "device": ComponentDevice.from_str("cpu"), "progress_bar": False}


def encoder(model: str) -> Opened:
    """Name the encoder."""
    return Opened(model)


def index(opened: Opened, letters: list[str], store: Path) -> int:
    """Embed, write, save."""
    documents = InMemoryDocumentStore(embedding_similarity_function="cosine")
    embedder = SentenceTransformersDocumentEmbedder(**opened.options())
    pipeline = Pipeline()
    pipeline.add_component("embedder", embedder)
    pipeline.add_component("writer", DocumentWriter(documents))
    pipeline.connect("embedder", "writer")
    made = [
        Document(content=passage, meta={"letter": number})  # without it, the same words would be one document
        for number, text in enumerate(letters)
        for passage in passages(text)
    ]
    pipeline.run({"embedder": {"documents": made}})
    store.mkdir()
    documents.save_to_disk(str(store / "documents.json"))
    return documents.count_documents()


def reopen(opened: Opened, store: Path) -> Callable[[str], list[str]]:
    """Open what was saved."""
    documents = InMemoryDocumentStore.load_from_disk(str(store / "documents.json"))
    pipeline = Pipeline()
    pipeline.add_component("embedder", SentenceTransformersTextEmbedder(**opened.options()))
    pipeline.add_component("retriever", InMemoryEmbeddingRetriever(documents, top_k=K))
    pipeline.connect("embedder.embedding", "retriever.query_embedding")

    def ask(question: str) -> list[str]:
        found = pipeline.run({"embedder": {"text": question}})
        return [d.content for d in found["retriever"]["documents"]]

    return ask


if __name__ == "__main__":
    run(sys.modules[__name__])
