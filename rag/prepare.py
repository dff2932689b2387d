"""Files made ready for the catalogue: read, parsed and embedded; where there are many, by several processes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rag.derive import embed
from rag.embed import Embedder, Vectors
from rag.errors import LetterError
from rag.letter import Letter
from rag.parse import parse
from rag.read import STDIN, Source, read_all
from rag.segment import Halves

Files = Mapping[str, tuple[str, list[str]]]  # by origin: SHA-256 of the file, ids of its letters


@dataclass(frozen=True, slots=True)
class Item:
    """A file to enter, or what was read already.

    Attributes:
        origin: the path of the file, resolved; or empty.
        given: the path, or what was read.
        pinned: whether it was added by hand.
    """

    origin: str
    given: Path | Source
    pinned: bool


@dataclass(frozen=True, slots=True)
class Prepared:
    """A file made ready.

    Attributes:
        sha256: of its bytes.
        letters: each with the vectors of its measures and of its sentences.
        unchanged: its bytes are known, so nothing was read.
        failed: why it could not be read or parsed, or empty.
    """

    sha256: str = ""
    letters: tuple[tuple[Letter, tuple[Vectors, Halves]], ...] = ()
    unchanged: bool = False
    failed: str = ""


def prepare(item: Item, embedder: Embedder, known: Files) -> Prepared:
    """Make a file ready; what is wrong with it is told in the result."""
    try:
        sha256 = _sha256(item.given)
        if item.origin in known and known[item.origin][0] == sha256:
            return Prepared(sha256, unchanged=True)
        sources = [item.given] if isinstance(item.given, Source) else read_all(item.given)
        letters = [parse(s) for s in sources]
    except LetterError as error:
        return Prepared(failed=str(error))
    return Prepared(sha256, tuple((a, embed(a, embedder)) for a in letters))


def _sha256(given: Path | Source) -> str:
    if isinstance(given, Source) or given == STDIN:
        return ""
    try:
        with given.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise LetterError(f"{given} cannot be read ({error.strerror})", "a readable file") from error
