"""BM25 as tantivy reckons it, for stores that keep the words themselves: the same scores, to the last digits of a float.

k1 = 1.2, b = 0.75, in single precision; the length of a text is rounded down to one of 256 (exact to 40, then four bits).
Source: Robertson et al., Okapi at TREC-3 (1994), with Lucene's one-byte lengths, which tantivy shares.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rag.embed import Ids, Vectors

_K1, _B = np.float32(1.2), np.float32(0.75)
_ONE, _HALF = np.float32(1), np.float32(0.5)
_EXACT = 24  # lengths below are kept as they are, from there on by their first four bits


def _length(code: int) -> int:
    bits, shift = (code - _EXACT) & 7, ((code - _EXACT) >> 3) - 1
    return code if code < _EXACT else _EXACT + (bits if shift < 0 else (bits | 8) << shift)


LENGTHS: Ids = np.array([_length(code) for code in range(256)], np.int64)
"""The length of a text, in terms, by its code."""


def codes(lengths: Sequence[int]) -> npt.NDArray[np.uint8]:
    """Return the code of each length, in terms."""
    found = np.searchsorted(LENGTHS, np.asarray(lengths, np.int64), side="right") - 1
    return found.astype(np.uint8)


@dataclass(frozen=True, slots=True)
class Texts:
    """What BM25 needs to know of all texts: how many there are, and how many terms they have together."""

    count: int
    terms: int

    def weight(self, frequency: int) -> np.float32:
        """Return what one more term adds at most that stands in ``frequency`` of the texts."""
        rare = (np.float32(self.count - frequency) + _HALF) / (np.float32(frequency) + _HALF)
        return np.float32(np.log(_ONE + rare) * (_ONE + _K1))

    def share(self, times: npt.NDArray[np.uint16], length_codes: npt.NDArray[np.uint8]) -> Vectors:
        """Return the share of its weight, in [0, 1), that a term adds where it stands so many times in a text of that length."""
        average = np.float32(self.terms) / np.float32(max(1, self.count))
        norms = _K1 * (_ONE - _B + _B * LENGTHS.astype(np.float32) / average)
        often = times.astype(np.float32)
        return (often / (often + norms[length_codes])).astype(np.float32)


def best(scores: Vectors, limit: int) -> Ids:
    """Return where the ``limit`` highest scores above zero are, best first; the first of equal ones first."""
    found = np.flatnonzero(scores > 0)
    if len(found) > limit:
        least = np.partition(scores[found], len(found) - limit)[len(found) - limit]
        found = found[scores[found] >= least]
    return found[np.argsort(-scores[found], kind="stable")][:limit]
