"""LlamaIndex as its starter tutorial has it: documents, a vector index, kept in a folder; the answer is the passage found."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from llama_index.core import Document, StorageContext, VectorStoreIndex, load_index_from_storage
from llama_index.embeddings.huggingface import HuggingFaceEmbedding
from peer import K, passages, run


def encoder(model: str) -> HuggingFaceEmbedding:
    """Open the encoder."""
    return HuggingFaceEmbedding(model_name=model, device="cpu")


def index(embedding: HuggingFaceEmbedding, letters: list[str], store: Path) -> int:
    """Embed, save."""
    documents = [Document(text=passage) for text in letters for passage in passages(text)]
    made = VectorStoreIndex.from_documents(documents, embed_model=embedding)
    made.storage_context.persist(persist_dir=str(store))
    return len(made.docstore.docs)


def reopen(embedding: HuggingFaceEmbedding, store: Path) -> Callable[[str], list[str]]:
    """Open what was saved."""
    kept = load_index_from_storage(
        StorageContext.from_defaults(persist_dir=str(store)), embed_model=embedding
    )
    retriever = kept.as_retriever(similarity_top_k=K)
    return lambda question: [found.get_content() for found in retriever.retrieve(question)]


if __name__ == "__main__":
    run(sys.modules[__name__])
