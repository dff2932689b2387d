"""The floor: as little as hybrid retrieval can be, on numpy and FAISS alone, with no check of anything.

Vectors are sums of hashed pairs of characters, BM25 is over the same pairs; all arrays are memory-mapped. It reads no letter for
its structure and answers nothing: a passage is all it finds.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import faiss
import numpy as np
from peer import K, passages, run

_HASHED, _WIDE = 1 << 16, 256
_K1, _B = 1.2, 0.75


def encoder(model: str) -> np.ndarray:
    """A fixed random row for each of the hashed pairs, mapped."""
    path = Path(model).parent / "rows.npy"
    if not path.exists():
        rows = np.random.default_rng(0).standard_normal((_HASHED, _WIDE), np.float32)
        np.save(path, rows.astype(np.float16))
    return np.load(path, mmap_mode="r")


def _pairs(text: str) -> np.ndarray:
    codes = np.frombuffer(text.encode("utf-32-le"), np.uint32).astype(np.uint64)
    return ((codes[:-1] * 2654435761 + codes[1:] * 40503) >> 3) % _HASHED


def _vector(rows: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    found = rows[pairs].astype(np.float32).sum(axis=0)
    return found / (np.linalg.norm(found) or 1)


def index(rows: np.ndarray, letters: list[str], store: Path) -> int:
    """Count, weigh, save."""
    texts = [p for letter in letters for p in passages(letter)]
    pairs = [_pairs(t) for t in texts]
    store.mkdir()
    flat = faiss.IndexFlatIP(_WIDE)
    flat.add(np.stack([_vector(rows, p) for p in pairs]))
    faiss.write_index(flat, str(store / "vectors.faiss"))
    counted = [np.unique(p, return_counts=True) for p in pairs]
    terms = np.concatenate([t for t, _ in counted])
    often = np.concatenate([c for _, c in counted]).astype(np.float32)
    sizes = np.array([len(p) for p in pairs], np.float32)
    where = np.repeat(np.arange(len(texts)), [len(t) for t, _ in counted]).astype(np.int32)
    holding = np.bincount(terms.astype(np.int64), minlength=_HASHED)
    rare = np.log(1 + (len(texts) - holding + 0.5) / (holding + 0.5)).astype(np.float32)
    weights = rare[terms] * often * (_K1 + 1) / (often + _K1 * (1 - _B + _B * sizes[where] / sizes.mean()))
    order = np.argsort(terms, kind="stable")
    np.save(store / "starts.npy", np.concatenate([[0], np.cumsum(holding)]))
    np.save(store / "postings.npy", where[order])
    np.save(store / "weights.npy", weights[order].astype(np.float32))
    encoded = [t.encode() for t in texts]
    np.save(store / "ends.npy", np.cumsum([len(e) for e in encoded]))
    (store / "texts").write_bytes(b"".join(encoded))
    return len(texts)


def reopen(rows: np.ndarray, store: Path) -> Callable[[str], list[str]]:
    """Map what was saved."""
    flat = faiss.read_index(str(store / "vectors.faiss"), faiss.IO_FLAG_MMAP_IFC)
    starts, postings, weights, ends = (
        np.load(store / f"{name}.npy", mmap_mode="r") for name in ("starts", "postings", "weights", "ends")
    )
    texts = np.memmap(store / "texts", np.uint8, "r")

    def ask(question: str) -> list[str]:
        pairs = _pairs(question)
        near, which = flat.search(_vector(rows, pairs)[None], min(100, flat.ntotal))
        scores = np.zeros(flat.ntotal, np.float32)
        for term in np.unique(pairs):
            part = slice(starts[term], starts[term + 1])
            scores[postings[part]] += weights[part]
        scores /= scores.max() or 1
        scores[which[0]] += near[0]
        best = np.argpartition(-scores, min(K, len(scores) - 1))[:K]
        best = best[np.argsort(-scores[best])]
        return [bytes(texts[ends[b - 1] if b else 0 : ends[b]]).decode() for b in best]

    return ask


if __name__ == "__main__":
    run(sys.modules[__name__])
