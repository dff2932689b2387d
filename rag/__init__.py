"""Questions in, cited answers out, over Chinese government reply letters (复函).

The flow, one way; a module imports only what stands before it::

    read      bytes → text (with archive, formats, numbering, word, pdf)
    parse     text → Letter: measures and sentences, with offsets
    embed     text → vectors
    catalogue letters, their versions and vectors, in SQLite
    index     catalogue → vectors and words, in atomic generations (with derive, segment, vectors, postings, words, order, heads, store)
    seam      what every store offers; stores: the folder, PostgreSQL (pg_…), Milvus (milvus_…), by remote and bm25
    library   letters come, change and go (with intake, prepare, salvage, keeper)
    rank      question → hits
    reading   hits → what the reader says of each window, and the order that follows
    answer    readings → the sentence that answers, and the span in it
    verify    every quote and number against the letter
    differing two letters with two figures: both, with their dates
    engine    all of that as plain functions
    retrieve  the same hits as a LangChain retriever
    claims    a text by an LLM, sentence by sentence; check holds each against what it cites
    converse  follow-up questions made whole; overview: summaries in the letters' words
    compose   write → check → repair once → else the extractive answer
    assistant all of that for whoever talks to people, with an LLM or without
    chain     the whole flow as one LangChain Runnable
    live      the engine of a service, over letters that come and go
    cli (with talk), api (with web/), mcp, evaluate, train, train_reader

>>> from rag import Engine                                  # doctest: +SKIP
>>> Engine.open().ask("…").short_answer                     # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rag.chain import build_chain
    from rag.engine import Answer, Citation, Engine
    from rag.errors import RagError
    from rag.index import Index
    from rag.letter import Letter
    from rag.retrieve import LetterRetriever
    from rag.settings import Settings

_HOMES = {
    "Answer": "engine",
    "Citation": "engine",
    "Engine": "engine",
    "Index": "index",
    "Letter": "letter",
    "LetterRetriever": "retrieve",
    "RagError": "errors",
    "Settings": "settings",
    "build_chain": "chain",
}

__all__ = [
    "Answer",
    "Citation",
    "Engine",
    "Index",
    "Letter",
    "LetterRetriever",
    "RagError",
    "Settings",
    "build_chain",
]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that ``rag ask`` loads neither LangChain nor torch."""
    if name in _HOMES:
        return getattr(import_module(f"rag.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'rag' has no attribute {name!r}")
