"""Readings to an answer, without an LLM: the sentence that answers and the words in it, by the reader and the units."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from rag.confidence import Pick, estimate
from rag.letter import Letter, Measure, Span
from rag.nearness import Nearness
from rag.quantities import FAMILY, Quantity, dates, quantities
from rag.question import Kind, Question
from rag.reading import Read, Reads
from rag.scope import folded_letter, time_conflict
from rag.seam import Searchable
from rag.times import status

AMOUNTS = (Kind.NUMBER, Kind.MONEY, Kind.SHARE)
_SENTENCES = (Kind.EXPLAIN, Kind.LIST, Kind.WHETHER, Kind.FACT)  # whose answer may be several sentences
_ADDRESS = re.compile(r"\d号|[路街巷]|大道")
_CUE = re.compile(r"(?:位于|坐落于?|选址(?:于|在)?|设在|设于|落户|地[址点][为是:]|\()$")
_EDGES = " \t\u3000,，。;；:：、!！?？"
_DIALLED = re.compile(r"\d{3,}(?![\d.]*(?:[万亿余多]?[元个家人次户名年]|号))")
_COUNTS = frozenset({"bodies", "events", "things", "people"})
_MOST = 3  # measures shown when they answer differently; sentences of one answer

# What the parts of a score weigh; chosen on the development questions and teaching texts kept apart (bench/notes.md).
_RELEVANCE, _MOST_RELEVANCE, _SPAN, _RANK, _NEAR = 0.6, 3.0, 0.2, 14.0, 1.4


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen, best first, and the probability in [0, 1] that it answers the question."""

    picks: tuple[Pick, ...]
    confidence: float


@dataclass(frozen=True, slots=True)
class _Candidate:
    """Words that may answer; in code points of the letter."""

    read: Read
    span: Span
    score: float


def choose(index: Searchable, question: Question, reads: Sequence[Read], reader: Reads) -> Choice:
    """Choose the answer from what was read; no picks when nothing was. The sentence chosen is read once more, alone."""
    nearness = Nearness(index, question.asked)
    ranked = sorted((c for r in reads for c in _candidates(question, r, nearness)), key=lambda c: -c.score)
    if not ranked:
        return Choice((), 0.0)
    best = ranked[0]
    picks = list(_picks(question, best))
    alone = reader.alone(question.folded, picks[0].letter, picks[0].measure, picks[0].sentence)
    picks[0] = replace(picks[0], alone=alone)
    confidence = estimate(index, question, picks[0])
    if question.kind in AMOUNTS:
        for other in _others(ranked):
            picks += list(_picks(question, other))[:1]
    return Choice(tuple(picks), confidence)


def _candidates(question: Question, read: Read, nearness: Nearness) -> Iterator[_Candidate]:
    text = folded_letter(read.hit.letter.id, read.hit.letter.text)
    base = _RELEVANCE * min(read.reading.answers, _MOST_RELEVANCE) + _RANK * read.hit.score
    for start, end, log_probability in read.reading.spans:
        found = _trimmed(text, Span(read.window.start + start, read.window.start + end))
        for span in _whole(text, found, question):
            if not _touched(read.hit.measure, span):
                continue  # a line that is no sentence, such as a phone number
            gain = _fit(question, read.hit.letter, read.hit.measure, text, span)
            gain += _NEAR * _nearness(question, read.hit.measure, text, span, nearness)
            yield _Candidate(read, span, base + _SPAN * log_probability + gain)


def _nearness(question: Question, measure: Measure, text: str, span: Span, nearness: Nearness) -> float:
    sentence = _sentence(measure, span)
    begin, end = span.start - sentence.start, min(span.end, sentence.end) - sentence.start
    return nearness.of(sentence.of(text), begin, end, amount=question.kind in AMOUNTS)


def _trimmed(text: str, span: Span) -> Span:
    piece = span.of(text)
    start = span.start + len(piece) - len(piece.lstrip(_EDGES))
    return Span(start, max(start, span.end - (len(piece) - len(piece.rstrip(_EDGES)))))


def _whole(text: str, span: Span, question: Question) -> list[Span]:
    """Widen a span that cuts through an amount or a date; where an amount is asked for, return the amounts in it instead."""
    if span.start >= span.end:
        return []
    begin = max(text.rfind(c, 0, span.start) for c in "。\n;；") + 1
    end = min((i for c in "。\n;；" if (i := text.find(c, span.end)) >= 0), default=len(text))
    clause = text[begin:end]
    amounts = [Span(begin + q.start, begin + q.end) for q in quantities(clause)]
    times = [Span(begin + m.start(), begin + m.end()) for m in dates(clause)]
    inside = [a for a in amounts if a.start < span.end and a.end > span.start]
    if question.kind in AMOUNTS and inside:
        return inside[:_MOST]
    for part in (*amounts, *times):
        if part.start < span.end and part.end > span.start:
            span = Span(min(span.start, part.start), max(span.end, part.end))
    return [span]


def _fit(question: Question, letter: Letter, measure: Measure, text: str, span: Span) -> float:
    """What the unit, the status and the time of a span add to its score, in about [-4, 1]."""
    sentence = _sentence(measure, span)
    gain = -1.5 if time_conflict(question, letter, measure, sentence.of(text)) else 0.0
    if span.of(text).strip("“”《》") in question.folded:
        gain -= 2.0  # what the question says itself
    gain += _shape(question, text, span)
    found = _quantity(text, span)
    if question.kind in AMOUNTS:
        unit = _unit_fit(question, found)
        gain += -3.0 if unit is None else unit
        gain += _status(question, text, span)
    return gain


def _shape(question: Question, text: str, span: Span) -> float:
    """What the form of a phone number, a place or a list adds, in [-3, 1]."""
    words = span.of(text)
    if question.kind is Kind.PHONE:
        return 0.0 if _DIALLED.search(words) else -3.0
    if question.kind is Kind.PLACE:
        return 0.5 * bool(_ADDRESS.search(words)) + 0.5 * bool(
            _CUE.search(text[max(0, span.start - 8) : span.start])
        )
    return 0.4 if question.kind is Kind.LIST and "、" in words else 0.0


def _quantity(text: str, span: Span) -> Quantity | None:
    return next(iter(quantities(span.of(text))), None)


def _unit_fit(question: Question, found: Quantity | None) -> float | None:
    """How well the unit of a span answers the one asked for, in [0, 1]; None when it cannot."""
    if found is None:
        return None
    family = {Kind.MONEY: "money", Kind.SHARE: "share"}.get(question.kind, question.family)
    if family and found.family != family:
        return None if question.kind is not Kind.SHARE else 0.0
    asked, unit = question.unit, found.unit
    if not asked or question.kind is not Kind.NUMBER:
        return 0.0
    if asked == unit or {asked, unit} <= {"人", "名", "位"}:
        return 1.0
    a, b = FAMILY.get(asked, ""), FAMILY.get(unit, "")
    if a == b or ((asked == "个" or unit == "个") and {a, b} <= _COUNTS):
        return 0.5
    return 0.0 if not unit or asked in unit or unit in asked else None


def _status(question: Question, text: str, span: Span) -> float:
    """What is planned does not answer what is done, nor the other way round: in [-1, 0]."""
    planned = status(text, span.start, span.end) == "planned"
    if question.planned is None:
        return -0.2 if planned else 0.0
    return 0.0 if planned == question.planned else -1.0


def _sentence(measure: Measure, span: Span) -> Span:
    return next((s for s in measure.sentences if s.start <= span.start < s.end), span)


def _touched(measure: Measure, span: Span) -> list[Span]:
    return [s for s in measure.sentences if s.start < span.end and s.end > span.start]


def _picks(question: Question, candidate: _Candidate) -> Iterator[Pick]:
    """The sentences a candidate stands in, in order; the short answer with the first."""
    hit, span = candidate.read.hit, candidate.span
    touched = _touched(hit.measure, span)[:_MOST]
    if question.kind not in _SENTENCES:
        touched = touched[:1]
    for i, sentence in enumerate(touched):
        short = Span(max(span.start, sentence.start), min(span.end, sentence.end)) if i == 0 else None
        yield Pick(hit.letter, hit.measure, sentence, short, candidate.score, candidate.read.reading.answers)


def _others(ranked: Sequence[_Candidate]) -> list[_Candidate]:
    """Amounts of other measures that answer as well as the best, when the question does not tell them apart."""
    best = ranked[0]
    found: dict[tuple[str, str], _Candidate] = {}
    shown = {best.span.of(best.read.hit.letter.text)}
    for c in ranked[1:]:
        key = (c.read.hit.letter.id, c.read.hit.measure.path)
        said = c.span.of(c.read.hit.letter.text)
        same = key == (best.read.hit.letter.id, best.read.hit.measure.path)
        if not same and key not in found and said not in shown and c.score > best.score - 0.3:
            shown.add(said)
            found[key] = c
    return list(found.values())[: _MOST - 1]
