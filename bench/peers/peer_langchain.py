"""LangChain as its tutorial on retrieval has it: a text splitter, an embedding from Hugging Face, a FAISS store, a retriever."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from langchain_community.vectorstores import FAISS
from langchain_core.documents import Document
from langchain_huggingface import HuggingFaceEmbeddings
from langchain_text_splitters import RecursiveCharacterTextSplitter
from peer import SIZE, K, run


def encoder(model: str) -> HuggingFaceEmbeddings:
    """Open the encoder."""
    return HuggingFaceEmbeddings(model_name=model, model_kwargs={"device": "cpu"})


def index(embeddings: HuggingFaceEmbeddings, letters: list[str], store: Path) -> int:
    """Split, embed, save."""
    splitter = RecursiveCharacterTextSplitter(chunk_size=SIZE, chunk_overlap=0)
    chunks = splitter.split_documents([Document(page_content=text) for text in letters])
    FAISS.from_documents(chunks, embeddings).save_local(str(store))
    return len(chunks)


def reopen(embeddings: HuggingFaceEmbeddings, store: Path) -> Callable[[str], list[str]]:
    """Open what was saved; its texts are pickled, so this trusts the file."""
    kept = FAISS.load_local(str(store), embeddings, allow_dangerous_deserialization=True)
    retriever = kept.as_retriever(search_kwargs={"k": K})
    return lambda question: [d.page_content for d in retriever.invoke(question)]


if __name__ == "__main__":
    run(sys.modules[__name__])
