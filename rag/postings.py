"""Which texts hold a term, and how often: sorted lists in one memory-mapped file, written once.

The terms are those of :func:`rag.text.terms`. A Han character or pair has a number of its own, so that a text becomes terms by
arithmetic on arrays; Latin words and numbers are numbered as they come and found by a 64-bit hash.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rag.arrays import open_arrays, write_arrays
from rag.text import fold

Rows = npt.NDArray[np.uint32]
Counts = npt.NDArray[np.uint8]
Packed = npt.NDArray[np.uint64]

LONGEST = 65_535  # terms that are counted of one text
_HAN_FIRST, _HAN_LAST = 0x3400, 0x9FFF
_OTHERS = (
    0xA000_0000  # numbers of Latin words and numbers begin here; those of pairs of Han characters end before
)
_OTHER = re.compile(r"[a-z]+|\d+(?:\.\d+)?")
_BATCH = 400_000  # characters that are taken apart at once
_RANGES = 16  # parts in which the lists are put together, for less memory
_MOST_TEXTS = 1 << 24
_KEY, _ROW = np.uint64(32), np.uint64(8)


class PostingsWriter:
    """Takes texts, numbered from 0 as they come, and writes their terms."""

    def __init__(self) -> None:
        self._waiting: list[str] = []
        self._characters = 0
        self._chunks: list[Packed] = []
        self._lengths: list[npt.NDArray[np.int64]] = []
        self._others: dict[str, int] = {}
        self._taken = 0

    def add(self, text: str) -> None:
        """Take a text."""
        self._waiting.append(text)
        self._characters += len(text)
        if self._characters > _BATCH:
            self._take()

    def _take(self) -> None:
        """Take the waiting texts apart: (term, text, count) as one number each, sorted."""
        if not self._waiting:
            return
        first, many = self._taken, len(self._waiting)
        self._taken += many
        if self._taken > _MOST_TEXTS:
            raise OverflowError(f"{self._taken} texts in one segment")
        folded = [fold(t) for t in self._waiting]
        self._waiting, self._characters = [], 0
        texts = np.repeat(np.arange(many, dtype=np.uint64), [len(t) + 1 for t in folded])
        whole = "\n".join([*folded, ""])
        keys, places = self._keys(whole)
        owners = texts[places]
        self._lengths.append(np.bincount(owners.astype(np.int64), minlength=many))
        pairs = keys << _KEY | (owners + np.uint64(first)) << _ROW
        pairs.sort()
        starts = np.flatnonzero(np.concatenate([[True], pairs[1:] != pairs[:-1]])) if len(pairs) else places
        counts = np.diff(np.append(starts, len(pairs)))
        self._chunks.append(np.bitwise_or(pairs[starts], np.minimum(counts, 255).astype(np.uint64)))

    def _keys(self, whole: str) -> tuple[Packed, npt.NDArray[np.int64]]:
        """The numbers of all terms of a folded text, and where each begins."""
        codes = np.frombuffer(whole.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
        han = (codes >= _HAN_FIRST) & (codes <= _HAN_LAST)
        ones = np.flatnonzero(han)
        twos = np.flatnonzero(han[:-1] & han[1:])
        found = [(m.start(), m[0]) for m in _OTHER.finditer(whole)]
        at = np.array([start for start, _ in found], np.int64)
        others = [self._others.setdefault(word, _OTHERS + len(self._others)) for _, word in found]
        pairs = codes[twos] << np.uint64(16) | codes[twos + 1]
        keys = np.concatenate([codes[ones], pairs, np.array(others, np.uint64)])
        return keys, np.concatenate([ones, twos, at])

    def write(self, path: Path) -> None:
        """Write what was taken."""
        self._take()
        chunks = self._chunks
        sample = np.sort(
            np.concatenate([c[:: max(1, len(c) // 256)] for c in chunks] or [np.zeros(0, np.uint64)])
        )
        bounds = sample[:: max(1, len(sample) // _RANGES)][1:] >> _KEY << _KEY
        cuts = [np.concatenate([[0], np.searchsorted(c, bounds), [len(c)]]) for c in chunks]
        size = sum(map(len, chunks))
        rows, counts = np.zeros(size, np.uint32), np.zeros(size, np.uint8)
        keys: list[npt.NDArray[np.uint32]] = []
        starts: list[npt.NDArray[np.int64]] = []
        at = 0
        for r in range(len(bounds) + 1):
            part = np.concatenate(
                [c[cut[r] : cut[r + 1]] for c, cut in zip(chunks, cuts, strict=True)] or [sample]
            )
            part.sort()
            rows[at : at + len(part)] = (part >> _ROW).astype(np.uint32) & np.uint32(_MOST_TEXTS - 1)
            counts[at : at + len(part)] = part.astype(np.uint8)
            mine = (part >> _KEY).astype(np.uint32)
            new = (
                np.flatnonzero(np.concatenate([[True], mine[1:] != mine[:-1]]))
                if len(mine)
                else np.zeros(0, np.int64)
            )
            keys.append(mine[new])
            starts.append(at + new)
            at += len(part)
        words = sorted((_hash(word), number - _OTHERS) for word, number in self._others.items())
        lengths = np.concatenate([*self._lengths, np.zeros(0, np.int64)])
        write_arrays(
            path,
            {
                "keys": np.concatenate([*keys, np.zeros(0, np.uint32)]),
                "starts": np.concatenate([*starts, np.array([size])]).astype(np.int64),
                "rows": rows,
                "counts": counts,
                "lengths": np.minimum(lengths, LONGEST).astype(np.uint16),
                "hashes": np.array([h for h, _ in words], np.uint64),
                "numbers": np.array([n for _, n in words], np.uint32),
            },
        )


def write_postings(path: Path, texts: Iterable[str]) -> None:
    """Write the terms of texts, which are numbered from 0."""
    writer = PostingsWriter()
    for text in texts:
        writer.add(text)
    writer.write(path)


class Postings:
    """An opened file of postings.

    Attributes:
        lengths: terms of each text.
        total: terms of all texts.
    """

    def __init__(self, path: Path) -> None:
        found = open_arrays(path)
        self._keys, self._starts = found["keys"], found["starts"]
        self._rows, self._counts = found["rows"], found["counts"]
        self._hashes, self._numbers = found["hashes"], found["numbers"]
        self.lengths: npt.NDArray[np.uint16] = found["lengths"]
        self.total = int(self.lengths.sum(dtype=np.int64))

    def spans(self, words: Sequence[str]) -> npt.NDArray[np.int64]:
        """Return where the lists of terms begin and end: shape ``(len(words), 2)``; empty ones for what no text holds."""
        keys = np.array([_key(w) or self._other(w) for w in words], np.int64)
        out = np.zeros((len(words), 2), np.int64)
        known = np.flatnonzero(keys)
        if not len(known) or not len(self._keys):
            return out
        wanted = keys[known].astype(np.uint32)
        at = np.minimum(np.searchsorted(self._keys, wanted), len(self._keys) - 1)
        here = self._keys[at] == wanted
        at, known = at[here], known[here]
        out[known, 0], out[known, 1] = self._starts[at], self._starts[at + 1]
        return out

    def rows(self, start: int, end: int) -> Rows:
        """Return the numbers of the texts of a list, in order."""
        return self._rows[start:end]

    def counts(self, start: int, end: int) -> Counts:
        """Return how often the term stands in each text of a list; 255 is the most that is told."""
        return self._counts[start:end]

    def holding(self, word: str) -> Rows:
        """Return the numbers of the texts that hold a term, in order."""
        start, end = self.spans([word])[0]
        return self._rows[start:end]

    def _other(self, word: str) -> int:
        """The number of a Latin word or a number here; 0 when no text holds it."""
        if not len(self._hashes):
            return 0
        wanted = np.uint64(_hash(word))
        at = int(np.searchsorted(self._hashes, wanted))
        return (
            _OTHERS + int(self._numbers[at]) if at < len(self._hashes) and self._hashes[at] == wanted else 0
        )


@lru_cache(maxsize=65536)
def _key(word: str) -> int:
    """The number of a Han character or a pair of them; 0 when it is something else."""
    codes = [ord(c) for c in word]
    if not 1 <= len(codes) <= 2 or not all(_HAN_FIRST <= c <= _HAN_LAST for c in codes):
        return 0
    return codes[0] if len(codes) == 1 else codes[0] << 16 | codes[1]


def _hash(word: str) -> int:
    return int.from_bytes(
        hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little"
    )
