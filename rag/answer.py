"""Hits to an answer, without an LLM: choose the sentence that answers and the span in it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rag.confidence import Pick, estimate
from rag.embed import Vectors
from rag.index import Index
from rag.letter import Span
from rag.quantities import FAMILY, quantities
from rag.question import Kind, Question
from rag.rank import Hit
from rag.scope import folded_letter, header, time_conflict
from rag.spans import Candidate, candidates, clauses
from rag.text import fold, terms

_SEPARATOR = re.compile(r"[,;:。!?]")
_PLANNED = re.compile(r"计划|预计|力争|拟于?|将于?|将在|争取|目标|确保|到2\d{3}年")
_YEAR = re.compile(r"(?:19|20)\d{2}(?=年)")
_CUE = re.compile(r"(?:位于|坐落于?|选址(?:于|在)?|设在|设于|落户|地[址点][为是:])$")
_COUNTS = frozenset({"bodies", "events", "things", "people"})
_MOST = 3  # answers shown when measures answer differently, sentences for how and why


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
    confidence = estimate(index, question, best)
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
    shown = {best.sentence.of(best.letter.text)}
    for p in ranked:
        other = p.letter is not best.letter or p.measure is not best.measure
        if other and p.short and p.score > 0.97 * best.score and p.sentence.of(p.letter.text) not in shown:
            shown.add(p.sentence.of(p.letter.text))
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
            spans = candidates(self.question, sentence)
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
        fits = {s: fit for s in fresh if (fit := self.fit(sentence, s)) is not None}
        if not fits:
            return None
        meaning = self.meaning(sentence, list(fits))
        words, sense = (0.7, 0.3) if self.question.language == "zh" else (0.3, 1.2)
        scored = [
            (span, words * self.nearness(sentence, span) + sense * float(m) + fit)
            for (span, fit), m in zip(fits.items(), meaning, strict=True)
        ]
        return max(scored, key=lambda pair: pair[1])

    def meaning(self, sentence: str, spans: Sequence[Candidate]) -> Vectors:
        """The cosine of the question with the clause of each span and the one before: shape ``(len(spans),)``."""
        parts = clauses(sentence)
        texts = []
        for s in spans:
            at = next((i for i, c in enumerate(parts) if c.start <= s.start < c.end), 0)
            if self.question.language == "zh":
                texts.append(sentence[parts[max(0, at - 1)].start : parts[at].end] if parts else sentence)
            else:
                begin = max(parts[at].start, sentence.rfind("、", 0, s.start) + 1) if parts else 0
                texts.append(sentence[begin : s.end])
        cosines: Vectors = self.index.embedder.passages(texts) @ self.query
        return cosines

    def nearness(self, sentence: str, span: Candidate) -> float:
        """How near the question's terms stand to a span, in [0, 1]: halved at each comma between them."""
        total = sum(self.known.values())
        if not total:
            return 0.0
        near = sum(w * self._near(sentence, t, span) for t, w in self.known.items()) / total
        return near + self._label_match(span.label)

    def _label_match(self, label: str) -> float:
        """The share in [0, 1] of the label of an amount that the question names."""
        label = re.sub(r"^.*(?:取得|对|为|给予|符合)|\([^)]*\)|每[月年人]$", "", label)
        if not label:
            return 0.0
        pairs = [label[i : i + 2] for i in range(max(1, len(label) - 1))]
        return sum(p in self.question.folded for p in pairs) / len(pairs)

    def inside(self, span: Candidate) -> float:
        """What a term of the question inside the span is worth: a place or a name is not asked for by itself."""
        if span.quantity is not None:
            return 1.0
        return 0.7 if self.question.kind in (Kind.LIST, Kind.EXPLAIN, Kind.WHETHER, Kind.FACT) else 0.2

    def _near(self, sentence: str, term: str, span: Candidate) -> float:
        best = 0.0
        for start in _places(term, sentence):
            end = start + len(term)
            if start < span.end and end > span.start:
                best = max(best, self.inside(span))
                continue
            before = end <= span.start
            between = sentence[end : span.start] if before else sentence[span.end : start]
            commas = len(_SEPARATOR.findall(between))
            rows = between.count("、")
            value = 0.55**commas * (0.75 if before else 0.5) ** rows * math.exp(-len(between) / 50)
            if span.quantity is not None and before and re.search(r"[和及与、]$", between):
                value *= 0.6  # 8家甲企业和3家乙企业: what stands before 和 belongs to the amount before it
            best = max(best, value * (1.0 if before else 0.7 if commas + rows else 0.95))
        return best

    def fit(self, sentence: str, span: Candidate) -> float | None:
        """How well the unit, the counted thing and the status of a span fit the question, in about [-1, 1].

        None when an amount has a unit that cannot answer.
        """
        gain = self.status(sentence, span)
        q = span.quantity
        if q is None:
            cue = self.question.kind is Kind.PLACE and _CUE.search(sentence[: span.start])
            return gain + self.shape(sentence[span.start : span.end]) + (0.5 if cue else 0.0)
        if self.question.kind is Kind.NUMBER:
            unit = _unit_fit(self.question.unit, q.unit)
            if unit is None:
                return None
            gain += unit
        noun = self.question.noun
        if len(noun) > 1:
            near = sentence[max(0, span.start - 10) : span.end + 8]
            gain += 0.4 if noun in near else 0.2 if noun[:2] in near or noun[-2:] in near else 0.0
        if self.question.years and (spoken := _YEAR.findall(sentence[max(0, span.start - 10) : span.start])):
            gain += 0.3 if spoken[-1] in self.question.years else -0.3
        lead = sentence[max(0, span.start - 4) : span.start]
        if re.search(r"(?:由|从|原来的|原)$", lead):
            gain -= 0.15
        return gain - (0.0 if q.unit else 0.4)

    def shape(self, text: str) -> float:
        """How well the form of a span that is no amount fits the kind of question, in [-0.2, 0.4]."""
        several = "、" in text or "”“" in text or len(list(quantities(text))) > 1
        if self.question.kind is Kind.LIST:
            return 0.4 if several else 0.0
        if self.question.kind is Kind.WHO:
            return -0.1 if several and not re.search(r"哪些|哪几", self.question.folded) else 0.1
        if self.question.kind is Kind.PLACE:
            return 0.4 if re.search(r"\d号|[路街]", text) else 0.1
        return 0.0 if self.question.kind is Kind.DATE else 0.1

    def status(self, sentence: str, span: Candidate) -> float:
        """What is planned does not answer what is done, nor the other way round: in [-0.3, 0.3]."""
        if self.question.kind in (Kind.LIST, Kind.NAME, Kind.WHO, Kind.PLACE, Kind.PHONE):
            return 0.0
        begin = max(sentence.rfind(c, 0, span.start) for c in ",;:") + 1
        planned = bool(_PLANNED.search(sentence[begin : span.end + 6]))
        if self.question.planned is None:
            return -0.1 if planned else 0.0
        return 0.3 if planned == self.question.planned else -0.3


def _unit_fit(asked: str, found: str) -> float | None:
    """How well a unit answers the one asked for, in [0, 0.6]; None when it cannot."""
    if not asked:
        return 0.0
    if asked == found or {asked, found} <= {"人", "名", "位"}:
        return 0.6
    a, b = FAMILY.get(asked, ""), FAMILY.get(found, "")
    if a == b:
        return 0.35
    if (asked == "个" or (found == "个" and a != "people")) and {a, b} <= _COUNTS:
        return 0.25
    if found and (asked in found or found in asked):
        return 0.3
    return 0.0 if not found else None


def _is_han(term: str) -> bool:
    return "㐀" <= term[0] <= "鿿"


def _places(term: str, text: str) -> Iterator[int]:
    at = text.find(term)
    while at >= 0:
        yield at
        at = text.find(term, at + 1)
