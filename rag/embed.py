"""Text to vectors, with the bundled static model (no torch) or any sentence-transformers model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from rag.errors import ModelError
from rag.text import simplify

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from rag.unigram import Encoded, Unigram

Vectors = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]
Pieces = Sequence[npt.NDArray[Any]]  # of each text, by number; none where a model has no pieces

_FEW = 20_000  # characters that a process takes apart before it opens tokenizers
_STATIC = [("StaticEmbedding", 0), ("Normalize", 1)]


class Embedded(NamedTuple):
    """What a model makes of a letter.

    Attributes:
        measures: vectors, shape ``(measures, dimension)``.
        sentences: vectors, shape ``(sentences, dimension)``.
        pieces: the distinct pieces of each measure by a static model, or nothing.
    """

    measures: Vectors
    sentences: npt.NDArray[np.float16]
    pieces: Pieces

    def as_bytes(self) -> tuple[bytes, bytes, bytes]:
        """Return measures as float32, sentences as float16, and the pieces as uint32: how many of each measure, then all."""
        counted = [np.array([len(p) for p in self.pieces], np.uint32), *self.pieces]
        pieces = np.concatenate(counted).astype(np.uint32)
        measures, sentences = self.measures.astype(np.float32), self.sentences.astype(np.float16)
        return measures.tobytes(), sentences.tobytes(), pieces.tobytes()

    @classmethod
    def from_bytes(cls, blobs: Sequence[bytes], dimension: int) -> Embedded:
        """Return what :meth:`as_bytes` gave; without pieces where they are from before pieces were kept."""
        measures = np.frombuffer(blobs[0], np.float32).reshape(-1, dimension)
        sentences = np.frombuffer(blobs[1], np.float16).reshape(-1, dimension)
        counted = np.frombuffer(blobs[2], np.uint32)
        ends = np.cumsum(counted[: len(measures)])
        pieces = np.split(counted[len(measures) :], ends)[:-1] if len(counted) else []
        return cls(measures, sentences, pieces)


class Embedder(Protocol):
    """What the index needs of a model.

    Attributes:
        name: hub name or folder, as configured.
        fingerprint: changes when the model does.
        dimension: length of a vector.
    """

    name: str
    fingerprint: str
    dimension: int

    def passages(self, texts: Sequence[str]) -> Vectors:
        """Embed texts of letters: shape ``(len(texts), dimension)``, float32, unit length."""

    def queries(self, texts: Sequence[str]) -> Vectors:
        """Embed questions: shape ``(len(texts), dimension)``, float32, unit length."""


class StaticEmbedder:
    """A sentence-transformers ``StaticEmbedding`` + ``Normalize`` model, opened with numpy and tokenizers alone.

    The table is memory-mapped, so opening it costs nothing but the tokenizer.
    """

    def __init__(self, folder: Path, name: str = "") -> None:
        self.name = name or str(folder)
        self.folder = folder
        self._taken = 0
        self.table = _map_table(folder / "model.safetensors")
        self.dimension = self.table.shape[1]
        self.fingerprint = fingerprint(folder)

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer, opened when the first text comes."""
        from tokenizers import Tokenizer

        return Tokenizer.from_file(str(self.folder / "tokenizer.json"))

    @cached_property
    def _quick(self) -> Unigram | None:
        from rag.unigram import open_unigram

        return open_unigram(self.folder / "tokenizer.json")

    def encode(self, texts: Sequence[str]) -> Sequence[Encoded]:
        """Return the pieces of texts with their places, without special pieces.

        The first texts of a process are taken apart by :mod:`rag.unigram`, which is there at once; whoever has many of them
        waits for ``tokenizers`` to be opened. The pieces are the same.
        """
        from rag.unigram import Encoded

        if "tokenizer" not in self.__dict__:
            self._taken += sum(map(len, texts))
            if self._taken <= _FEW and self._quick and (quick := self._quick.encode_all(texts)) is not None:
                return quick
        found = self.tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [Encoded(e.ids, e.offsets) for e in found]

    def pieces(self, texts: Sequence[str]) -> list[Ids]:
        """Return the piece numbers of each text."""
        found = self.encode([simplify(t) for t in texts])
        return [np.asarray(e.ids, dtype=np.int64) for e in found]

    def passages(self, texts: Sequence[str]) -> Vectors:
        """Embed texts: the mean of their pieces' rows at unit length; zero for a text without pieces."""
        return self.means(self.pieces(texts))

    def means(self, pieces: Sequence[Ids]) -> Vectors:
        """Embed texts given as their pieces."""
        out = np.zeros((len(pieces), self.dimension), np.float32)
        for i, ids in enumerate(pieces):
            if len(ids):
                mean = self.rows(ids).mean(axis=0)
                out[i] = mean / (np.linalg.norm(mean) or 1.0)
        return out

    queries = passages

    def rows(self, ids: Ids) -> Vectors:
        """Return the rows of the table: shape ``(len(ids), dimension)``, float32."""
        return self.table[ids].astype(np.float32)


class SentenceTransformerEmbedder:
    """Any other sentence-transformers model; its ``query`` and ``passage`` prompts are used where it has them."""

    def __init__(self, name: str) -> None:
        from sentence_transformers import SentenceTransformer

        try:
            self.model: Any = SentenceTransformer(name)
        except Exception as error:
            raise ModelError(
                f"the embedding model {name!r} cannot be opened ({str(error).splitlines()[0]})",
                "a sentence-transformers model: a hub name or a folder",
                "set RAG_EMBEDDING_MODEL, or unset it for the bundled model",
            ) from error
        self.name = name
        self.dimension = int(self.model.get_embedding_dimension() or 0)
        folder = Path(name)
        self.fingerprint = (
            fingerprint(folder) if folder.is_dir() else hashlib.sha256(name.encode()).hexdigest()
        )

    def _encode(self, texts: Sequence[str], prompts: tuple[str, ...]) -> Vectors:
        prompt = next((self.model.prompts[p] for p in prompts if self.model.prompts.get(p)), None)
        found: Vectors = self.model.encode(
            list(texts), prompt=prompt, normalize_embeddings=True, show_progress_bar=False
        )
        return found.astype(np.float32)

    def passages(self, texts: Sequence[str]) -> Vectors:
        """Embed texts of letters, with the model's passage prompt."""
        return self._encode(texts, ("passage", "document"))

    def queries(self, texts: Sequence[str]) -> Vectors:
        """Embed questions, with the model's query prompt."""
        return self._encode(texts, ("query",))


def open_embedder(name: str) -> StaticEmbedder | SentenceTransformerEmbedder:
    """Open a model: a static one from a folder without torch, any other with sentence-transformers.

    Raises:
        ModelError: when it cannot be opened.
    """
    folder = Path(name)
    if folder.is_dir() and _is_static(folder):
        return StaticEmbedder(folder, name)
    return SentenceTransformerEmbedder(name)


def fingerprint(folder: Path) -> str:
    """Identify a model by its files: names, sizes, and 64 blocks of 4 KiB spread over each."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix != ".md"):
        size = path.stat().st_size
        digest.update(f"{path.relative_to(folder).as_posix()} {size}\n".encode())
        with path.open("rb") as file:
            for at in sorted({min(size, i * size // 64) for i in range(64)}):
                file.seek(at)
                digest.update(file.read(4096))
    return digest.hexdigest()


def _is_static(folder: Path) -> bool:
    try:
        modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    kinds = [(m["type"].rpartition(".")[2], m["idx"]) for m in modules]
    return kinds == _STATIC and (folder / "model.safetensors").is_file()


def _map_table(path: Path) -> npt.NDArray[Any]:
    """Map ``embedding.weight`` of a safetensors file (8 bytes of length, a JSON header, the data)."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            entry = json.loads(file.read(length))["embedding.weight"]
        kind = {"F16": np.float16, "F32": np.float32}[entry["dtype"]]
        offset = 8 + length + entry["data_offsets"][0]
        return np.asarray(np.memmap(path, kind, "r", offset, tuple(entry["shape"])))
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(
            f"{path} is no static embedding ({error})", "a safetensors file with embedding.weight"
        ) from error
