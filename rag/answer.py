"""Hits to an answer, without an LLM: choose the sentence, the span in it, and decide whether the letters say it."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rag.embed import StaticEmbedder, Vectors
from rag.index import Index, measure_text
from rag.letter import Letter, Measure, Span
from rag.quantities import FAMILY
from rag.question import Kind, Question
from rag.rank import Hit
from rag.scope import folded_letter, header, mentions, time_conflict
from rag.spans import Candidate, candidates, clauses
from rag.text import fold, terms

_SEPARATOR = re.compile(r"[,;:。!?]")
_COUNTS = frozenset({"bodies", "events", "things", "people"})
_MOST = 3  # answers shown when measures answer differently, sentences for how and why


@dataclass(frozen=True, slots=True)
class Pick:
    """A sentence chosen as answer, and the short answer in it; both in code points of the letter's text."""

    letter: Letter
    measure: Measure
    sentence: Span
    short: Span | None
    score: float


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen, best first, and the probability in [0, 1] that it answers the question."""

    picks: tuple[Pick, ...]
    confidence: float


def choose(index: Index, question: Question, hits: Sequence[Hit]) -> Choice:
    """Choose the answer from the hits; no picks when there are no hits."""
    if not hits:
        return Choice((), 0.0)
    judge = _Judge(index, question, hits)
    ranked = sorted((p for hit in hits for p in judge.picks(hit)), key=lambda p: -p.score)
    best = ranked[0]
    confidence = judge.confidence(best)
    if question.kind is Kind.EXPLAIN:
        return Choice(tuple(_more_sentences(best, ranked)), confidence)
    return Choice((best, *_others(question, best, ranked)), confidence)


def _more_sentences(best: Pick, ranked: Sequence[Pick]) -> list[Pick]:
    """The sentences of the best measure that carry a how or why, in the order of the letter."""
    same = [p for p in ranked if p.measure is best.measure and p.letter is best.letter]
    seen: dict[int, Pick] = {}
    for p in same:
        if p.score > 0.75 * best.score:
            seen.setdefault(p.sentence.start, p)
    chosen = sorted(list(seen.values())[:_MOST], key=lambda p: p.sentence.start)
    chosen.remove(seen[best.sentence.start])
    return [best, *chosen]


def _others(question: Question, best: Pick, ranked: Sequence[Pick]) -> list[Pick]:
    """Amounts of other measures that answer as well as the best, when the question does not tell them apart."""
    if question.kind not in (Kind.NUMBER, Kind.MONEY, Kind.SHARE) or best.short is None:
        return []
    found: dict[str, Pick] = {}
    for p in ranked:
        other = p.letter is not best.letter or p.measure is not best.measure
        if other and p.short and p.score > 0.97 * best.score:
            found.setdefault(p.measure.path + p.letter.id, p)
    return list(found.values())[: _MOST - 1]


class _Judge:
    """Scores sentences and spans against one question."""

    def __init__(self, index: Index, question: Question, hits: Sequence[Hit]) -> None:
        self.index = index
        self.question = question
        self.top = hits[0].score or 1.0
        self.best_sentence = max((s.score for h in hits for s in h.sentences), default=1.0) or 1.0
        self.weights = {t: self._weight(t) for t in terms(question.asked) if len(t) > 1 or not _is_han(t)}
        self.known = {t: w for t, w in self.weights.items() if index.frequency(t)}
        self.query = index.embedder.queries([question.asked])[0]

    def _weight(self, term: str) -> float:
        return math.log(1 + len(self.index.measures) / (self.index.frequency(term) + 0.5))

    def picks(self, hit: Hit) -> list[Pick]:
        """Every sentence of a hit with its best span."""
        text = folded_letter(hit.letter.id, hit.letter.text)
        context = fold(f"{hit.measure.section} {hit.measure.heading}") + header(hit.letter)
        found: list[Pick] = []
        for scored in hit.sentences:
            sentence = scored.span.of(text)
            base = 0.8 * hit.score / self.top + 0.6 * scored.score / self.best_sentence
            base += 0.8 * self.coverage(sentence) + 0.3 * self.coverage(sentence + context)
            if time_conflict(self.question, hit.letter, hit.measure, sentence):
                base -= 0.8
            spans = candidates(self.question.kind, sentence)
            best = self.best_span(sentence, spans)
            if best is None:
                found.append(Pick(hit.letter, hit.measure, scored.span, None, base - 0.4))
            else:
                span, gain = best
                short = Span(scored.span.start + span.start, scored.span.start + span.end)
                found.append(Pick(hit.letter, hit.measure, scored.span, short, base + gain))
        return found

    def coverage(self, text: str) -> float:
        """The share in [0, 1] of the question's terms, by weight, that stand in ``text`` (those the letters know)."""
        total = sum(self.known.values())
        return sum(w for t, w in self.known.items() if t in text) / total if total else 0.0

    def best_span(self, sentence: str, spans: Sequence[Candidate]) -> tuple[Candidate, float] | None:
        """The span that fits the question best, with what it adds to the sentence's score."""
        asked = self.question.folded
        fresh = [s for s in spans if sentence[s.start : s.end].strip("“”《》") not in asked]
        if self.question.kind in (Kind.NUMBER, Kind.MONEY, Kind.SHARE, Kind.DATE):
            fresh = fresh or []
        if not fresh:
            return None
        meaning = self.meaning(sentence, fresh)
        scored = [
            (s, 0.7 * self.nearness(sentence, s) + 0.3 * float(m) + self.fit(sentence, s))
            for s, m in zip(fresh, meaning, strict=True)
        ]
        span, gain = max(scored, key=lambda pair: pair[1])
        return span, gain

    def meaning(self, sentence: str, spans: Sequence[Candidate]) -> Vectors:
        """The cosine of the question with the clause of each span and the one before: shape ``(len(spans),)``."""
        parts = clauses(sentence)
        texts = []
        for s in spans:
            at = next((i for i, c in enumerate(parts) if c.start <= s.start < c.end), 0)
            texts.append(sentence[parts[max(0, at - 1)].start : parts[at].end] if parts else sentence)
        cosines: Vectors = self.index.embedder.passages(texts) @ self.query
        return cosines

    def nearness(self, sentence: str, span: Candidate) -> float:
        """How near the question's terms stand to a span, in [0, 1]: halved at each comma between them."""
        total = sum(self.known.values())
        if not total:
            return 0.0
        return sum(w * self._near(sentence, t, span) for t, w in self.known.items()) / total

    @staticmethod
    def _near(sentence: str, term: str, span: Candidate) -> float:
        best = 0.0
        for match in re.finditer(re.escape(term), sentence):
            before = match.end() <= span.start
            between = sentence[match.end() : span.start] if before else sentence[span.end : match.start()]
            if not before and match.start() < span.end:
                between = ""
            commas = len(_SEPARATOR.findall(between))
            value = 0.55**commas * math.exp(-len(between) / 50) * (1.0 if before or commas == 0 else 0.7)
            best = max(best, value)
        return best

    def fit(self, sentence: str, span: Candidate) -> float:
        """How well the unit and the counted thing of a quantity fit the ones asked for, in about [-1, 1]."""
        q = span.quantity
        kind = self.question.kind
        if q is None or kind not in (Kind.NUMBER, Kind.MONEY, Kind.SHARE):
            return 0.1 if kind is not Kind.DATE else 0.0
        gain = _unit_fit(self.question.unit, q.unit) if kind is Kind.NUMBER else 0.2
        noun = self.question.noun
        if len(noun) > 1:
            near = sentence[max(0, span.start - 10) : span.end + 8]
            gain += 0.4 if noun in near else 0.2 if noun[:2] in near or noun[-2:] in near else 0.0
        if not q.unit:
            gain -= 0.4
        return gain

    def confidence(self, best: Pick) -> float:
        """The probability in [0, 1] that the best pick answers the question."""
        question = self.question
        text = folded_letter(best.letter.id, best.letter.text)
        sentence = best.sentence.of(text)
        measure = text[best.measure.start : best.measure.end]
        context = f"{fold(best.measure.section)} {measure} {header(best.letter)}"
        soft = self.soft_coverage(best, context)
        total = sum(self.weights.values())
        hard = sum(w for t, w in self.weights.items() if t in context) / total if total else 0.0
        close = sum(w for t, w in self.weights.items() if t in sentence) / total if total else 0.0
        z = -4.2 + 5.0 * soft + 2.0 * hard + 1.2 * close
        needs_span = question.kind in (Kind.NUMBER, Kind.MONEY, Kind.SHARE, Kind.DATE)
        if needs_span and best.short is None:
            z -= 2.5
        if time_conflict(question, best.letter, best.measure, sentence):
            z -= 4.0
        z -= 2.0 * sum(not mentions(context, n) for n in (*question.names, *question.quoted))
        return 1 / (1 + math.exp(-z))

    def soft_coverage(self, best: Pick, context: str) -> float:
        """Late interaction of the question with the measure, its section and its header, in [0, 1]."""
        model = self.index.embedder
        if not isinstance(model, StaticEmbedder):
            vector = model.passages([measure_text(best.letter, best.measure)])[0]
            return float(max(0.0, vector @ self.query))
        asked, spoken = model.pieces([self.question.asked, context])
        if not len(asked) or not len(spoken):
            return 0.0
        rows, others = model.rows(asked), model.rows(np.unique(spoken))
        weights = np.linalg.norm(rows, axis=1)
        rows /= np.maximum(weights, 1e-9)[:, None]
        others /= np.maximum(np.linalg.norm(others, axis=1), 1e-9)[:, None]
        return float((rows @ others.T).max(axis=1) @ weights / max(float(weights.sum()), 1e-9))


def _unit_fit(asked: str, found: str) -> float:
    if not asked:
        return 0.0
    if asked == found:
        return 0.6
    a, b = FAMILY.get(asked, ""), FAMILY.get(found, "")
    if {asked, found} <= {"人", "名", "位"}:
        return 0.6
    if a == b:
        return 0.35
    if asked == "个" and b in _COUNTS:
        return 0.25
    if asked in found or (found and found in asked):
        return 0.3
    return -0.6


def _is_han(term: str) -> bool:
    return "㐀" <= term[0] <= "鿿"
