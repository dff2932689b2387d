"""txtai as its first page has it: an embeddings database that keeps the texts, saved to a folder."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from peer import K, passages, run
from txtai import Embeddings


def encoder(model: str) -> Embeddings:
    """Open the encoder."""
    return Embeddings(path=model, content=True, gpu=False)


def index(embeddings: Embeddings, letters: list[str], store: Path) -> int:
    """Embed, save."""
    embeddings.index([passage for text in letters for passage in passages(text)])
    embeddings.save(str(store))
    return embeddings.count()


def reopen(embeddings: Embeddings, store: Path) -> Callable[[str], list[str]]:
    """Open what was saved."""
    embeddings.load(str(store))
    return lambda question: [found["text"] for found in embeddings.search(question, K)]


if __name__ == "__main__":
    run(sys.modules[__name__])
