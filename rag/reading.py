"""The best measures, read: windows of whole sentences, what the reader says of each, and the ranking that follows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rag.letter import Letter, Measure, Span
from rag.rank import Hit
from rag.reader import Reader, Reading, Tokens
from rag.text import fold

WINDOW = 200  # characters
_FIRST, _READ = 2, 5  # measures that are read at first, and at most
_WINDOWS = 8  # windows that are read at once
_SURE, _FAR = (
    1.5,
    0.85,
)  # logit that settles it where the next measure's score is below this share of the best
_KEPT = 20_000  # windows kept as tokens
_WEIGHT = 0.3  # of the reader's probability in the ranking


@dataclass(frozen=True, slots=True)
class Read:
    """A window of a hit and what the reader says of it.

    Attributes:
        hit: the measure it is of.
        rank: the place of the hit, from 0.
        window: in code points of the letter.
        reading: spans in code points of the window.
    """

    hit: Hit
    rank: int
    window: Span
    reading: Reading


class Reads:
    """Reads hits; keeps the tokens of measures for the next question."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self._tokens: dict[tuple[str, int], list[tuple[Span, Tokens]]] = {}

    def read(self, question: str, hits: Sequence[Hit]) -> list[Read]:
        """Read the windows of the best hits with a folded question; of the first alone where they settle it."""
        asked = self.reader.encode([question])[0]
        found = self._read(asked, hits, 0, _FIRST)
        if not _settled(found, hits):
            found += self._read(asked, hits, _FIRST, _READ)
        return found

    def alone(self, question: str, letter: Letter, measure: Measure, sentence: Span) -> float:
        """Return the logit that a sentence under its headings answers a folded question, without what stands around it."""
        text = fold(f"{measure.section}。{measure.heading}{sentence.of(letter.text)}")
        return self.reader.read(question, [text])[0].answers

    def _read(self, asked: Tokens, hits: Sequence[Hit], begin: int, end: int) -> list[Read]:
        wanted = [
            (hit, begin + n, span, tokens)
            for n, hit in enumerate(hits[begin:end])
            for span, tokens in self._windows(hit.letter, hit.measure)
        ][:_WINDOWS]
        found = self.reader.read_tokens(asked, [tokens for *_, tokens in wanted])
        return [Read(h, rank, span, r) for (h, rank, span, _), r in zip(wanted, found, strict=True)]

    def _windows(self, letter: Letter, measure: Measure) -> list[tuple[Span, Tokens]]:
        key = (letter.sha256, measure.start)
        if key not in self._tokens:
            if len(self._tokens) > _KEPT:
                self._tokens.clear()
            spans = windows(measure.sentences)
            self._tokens[key] = list(
                zip(spans, self.reader.encode([fold(s.of(letter.text)) for s in spans]), strict=True)
            )
        return self._tokens[key]


def _settled(found: Sequence[Read], hits: Sequence[Hit]) -> bool:
    sure = max((r.reading.answers for r in found), default=-1.0) >= _SURE
    return len(hits) <= _FIRST or (sure and hits[_FIRST].score < _FAR * hits[0].score)


def windows(sentences: Sequence[Span], limit: int = WINDOW) -> list[Span]:
    """Return windows of whole sentences of at most ``limit`` characters, each from the last sentence of the one before.

    A sentence that is longer is cut into windows that overlap by 60 characters.
    """
    parts: list[Span] = []
    for s in sentences:
        start = s.start
        while s.end - start > limit:
            parts.append(Span(start, start + limit))
            start += limit - 60
        parts.append(Span(start, s.end))
    found: list[Span] = []
    first = 0
    while first < len(parts):
        last = first
        while last + 1 < len(parts) and parts[last + 1].end - parts[first].start <= limit:
            last += 1
        found.append(Span(parts[first].start, parts[last].end))
        if last + 1 == len(parts):
            break
        first = max(first + 1, last)
    return found


def rerank(hits: Sequence[Hit], reads: Sequence[Read]) -> tuple[list[Hit], list[Read]]:
    """Order hits by their score and by the probability that one of their windows answers.

    Returns:
        The hits with their new scores, best first, and what was read of them, in that order too.
    """
    best: dict[int, float] = {}
    for r in reads:
        best[r.rank] = max(best.get(r.rank, 0.0), 1 / (1 + math.exp(-r.reading.answers)))
    top = max((h.score for h in hits), default=1.0) or 1.0
    scores = [h.score / top + _WEIGHT * best.get(i, 0.0) for i, h in enumerate(hits)]
    order = sorted(range(len(hits)), key=lambda i: -scores[i])
    place = {old: new for new, old in enumerate(order)}
    ranked = [replace(hits[i], score=scores[i]) for i in order]
    moved = [replace(r, hit=ranked[place[r.rank]], rank=place[r.rank]) for r in reads]
    return ranked, sorted(moved, key=lambda r: r.rank)
