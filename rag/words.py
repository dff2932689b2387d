"""The lexical index: BM25 over character unigrams and bigrams, of texts that lie in several files of postings.

Frequencies and lengths are those of the whole collection without what was removed. Where a question's lists are short, every text
in them is scored. Where they are long, rare terms are scored first, and the frequent ones are looked up in the texts that lead by
then: what a text without any rare term could score is little. Source: bench/notes.md, "Large collections".

Scores: k1 = 1.2, b = 0.75, idf = ln(1 + (N - n + 0.5) / (n + 0.5)), lengths kept to about one part in eight, as Lucene does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rag.arrays import Bools
from rag.postings import LONGEST, Postings

Ids = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]

BUDGET, LEADING = (
    150_000,
    1_000,
)  # entries of lists that are scored in full; texts in which the rest is looked up
_K1, _B = np.float32(1.2), np.float32(0.75)


def _steps() -> npt.NDArray[np.int64]:
    """Lengths that are told apart: all up to 40, then eight to each doubling of the step."""
    steps = list(range(41))
    step = 2
    while steps[-1] < LONGEST:
        steps += [steps[-1] + i * step for i in range(1, 9)]
        step *= 2
    return np.array(steps, np.int64)


_LENGTHS = _steps()
_KEPT = _LENGTHS[np.searchsorted(_LENGTHS, np.arange(LONGEST + 1), side="right") - 1].astype(np.float32)


@dataclass(frozen=True, slots=True)
class Found:
    """Texts of one file with their scores, in no order."""

    part: int
    rows: Ids
    scores: Scores


class Words:
    """The words of all segments.

    Args:
        parts: the postings of each.
        live: for each the texts that are still there; None for all.

    Attributes:
        count: texts that are there.
        budget: entries of lists that are scored in full for one question.
    """

    def __init__(
        self,
        parts: Sequence[Postings],
        live: Sequence[Bools | None],
        *,
        budget: int = BUDGET,
        leading: int = LEADING,
    ) -> None:
        self._parts, self._live = parts, live
        self.budget, self._leading = budget, leading
        self.count = sum(
            len(p.lengths) if a is None else int(a.sum()) for p, a in zip(parts, live, strict=True)
        )
        total = sum(
            p.total if a is None else int(p.lengths[a].sum(dtype=np.int64))
            for p, a in zip(parts, live, strict=True)
        )
        mean = np.float32(total / self.count) if total else np.float32(1)
        self._norms = (_K1 * (1 - _B + _B * _KEPT / mean)).astype(np.float32)

    def frequency(self, term: str) -> int:
        """Return in how many texts a term stands."""
        return self.frequencies([term])[0]

    def frequencies(self, terms: Sequence[str]) -> list[int]:
        """Return in how many texts each term stands."""
        found: list[int] = self._frequencies(self._spans(terms)).tolist()
        return found

    def _spans(self, terms: Sequence[str]) -> npt.NDArray[np.int64]:
        """Where the lists of terms lie: shape ``(parts, terms, 2)``."""
        return np.array([p.spans(terms) for p in self._parts], np.int64).reshape(
            len(self._parts), len(terms), 2
        )

    def search(
        self, wanted: Iterable[str], limit: int, within: Sequence[Bools] | Sequence[Ids] | None = None
    ) -> list[Found]:
        """Return the best texts that hold any of the terms: ``limit`` of them, and those that score as the last.

        Args:
            wanted: the terms.
            limit: how many texts.
            within: only these texts: for each file a mask, or where they are few their numbers.
        """
        terms = list(dict.fromkeys(wanted))
        if not terms or not self.count:
            return []
        spans = self._spans(terms)
        frequencies = self._frequencies(spans)
        order = [i for i in np.argsort(frequencies, kind="stable") if frequencies[i]]
        weights = (np.log1p((self.count - frequencies + 0.5) / (frequencies + 0.5)) * 2.2).astype(np.float64)
        if within is not None and all(w.dtype != np.bool_ for w in within):
            few = [
                Found(part, w.astype(np.int64), np.zeros(len(w), np.float32)) for part, w in enumerate(within)
            ]
            return _best([_positive(f) for f in self._add(few, order, spans, weights)], limit)
        allowed = self._live if within is None else [w.astype(np.bool_) for w in within]
        rare = self._rare(order, frequencies)
        found = self._score(rare, spans, weights, allowed)
        late = order[len(rare) :]
        if late and sum(len(f.rows) for f in found) < limit:
            return _best(self._score(order, spans, weights, allowed), limit)
        if late:
            found = self._add(_best(found, max(self._leading, 2 * limit)), late, spans, weights)
        return _best(found, limit)

    def _score(
        self,
        terms: Sequence[int],
        spans: npt.NDArray[np.int64],
        weights: npt.NDArray[np.float64],
        allowed: Sequence[Bools | None],
    ) -> list[Found]:
        """Score all texts that hold one of these terms."""
        if not terms:
            return []
        return [
            Found(part, *self._scored(part, mine[terms], weights[terms], allowed[part]))
            for part, mine in enumerate(spans)
        ]

    def _add(
        self,
        found: list[Found],
        terms: Sequence[int],
        spans: npt.NDArray[np.int64],
        weights: npt.NDArray[np.float64],
    ) -> list[Found]:
        """Add to scores what these terms give."""
        for f in found:
            for i in terms:
                begin, end = spans[f.part, i].tolist()
                self._look_up(f, begin, end, float(weights[i]))
        return found

    def _rare(self, order: Sequence[int], frequencies: Ids) -> list[int]:
        """The rarest terms whose lists are to be scored in full; one at least."""
        ends = np.cumsum(frequencies[order])
        return list(order[: max(1, int(np.searchsorted(ends, self.budget, side="right")))])

    def _frequencies(self, spans: npt.NDArray[np.int64]) -> Ids:
        """In how many texts each term stands, without those that are gone."""
        out: Ids = (spans[..., 1] - spans[..., 0]).sum(axis=0)
        for part, live, mine in zip(self._parts, self._live, spans, strict=True):
            if live is not None:
                out -= [int(np.count_nonzero(~live[part.rows(b, e)])) for b, e in mine]
        return out

    def _scored(
        self, part: int, spans: npt.NDArray[np.int64], weights: npt.NDArray[np.float64], allowed: Bools | None
    ) -> tuple[Ids, Scores]:
        """Score all texts of the lists."""
        postings = self._parts[part]
        rows = np.concatenate([postings.rows(b, e) for b, e in spans])
        counts = np.concatenate([postings.counts(b, e) for b, e in spans]).astype(np.float32)
        heavy = np.repeat(weights.astype(np.float32), spans[:, 1] - spans[:, 0])
        gains = heavy * counts / (counts + self._norms[postings.lengths[rows]])
        if len(rows) * 4 > len(postings.lengths):
            sums = np.bincount(rows, gains, len(postings.lengths))
            touched = np.flatnonzero(sums)
            totals = sums[touched]
        else:
            order = np.argsort(rows, kind="stable")
            rows, gains = rows[order], gains[order]
            first = np.flatnonzero(np.concatenate([[True], rows[1:] != rows[:-1]])) if len(rows) else order
            touched = rows[first].astype(np.int64)
            totals = np.add.reduceat(gains.astype(np.float64), first) if len(rows) else gains
        if allowed is not None:
            kept = allowed[touched]
            touched, totals = touched[kept], totals[kept]
        return touched, totals.astype(np.float32)

    def _look_up(self, found: Found, start: int, end: int, weight: float) -> None:
        """Add to the scores of some texts what one term gives them."""
        if start == end or not len(found.rows):
            return
        postings = self._parts[found.part]
        rows = postings.rows(start, end)
        at = np.searchsorted(rows, found.rows.astype(np.uint32))
        at[at == len(rows)] = 0
        hit = np.flatnonzero(rows[at] == found.rows)
        counts = postings.counts(start, end)[at[hit]].astype(np.float32)
        norms = self._norms[postings.lengths[found.rows[hit]]]
        found.scores[hit] += np.float32(weight) * counts / (counts + norms)


def _positive(found: Found) -> Found:
    kept = found.scores > 0
    return found if kept.all() else Found(found.part, found.rows[kept], found.scores[kept])


def _best(found: Sequence[Found], limit: int) -> list[Found]:
    """Keep the best of all; equal ones at the end of the list are all kept."""
    scores = np.concatenate([np.zeros(0, np.float32), *(f.scores for f in found)])
    if len(scores) <= limit:
        return list(found)
    least = np.partition(scores, len(scores) - limit)[len(scores) - limit]
    kept = [(f, f.scores >= least) for f in found]
    return [Found(f.part, f.rows[k], f.scores[k]) for f, k in kept]
