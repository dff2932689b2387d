"""Two letters, two figures: when letters of other dates give other amounts for the same thing, the answer shows each with its date."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from rag.answer import AMOUNTS, Choice
from rag.confidence import Pick
from rag.letter import Letter, Measure, Span
from rag.quantities import Quantity, dates, quantities
from rag.question import Question
from rag.scope import place_of
from rag.seam import Searchable
from rag.text import fold

_NEAR, _COSINE, _ALIKE = (
    40,
    0.6,
    0.75,
)  # sentences looked at; how near, and how alike without their figures they must be
_MOST = 3  # letters shown
_BLANK = "□"


@dataclass(frozen=True, slots=True)
class Dated(Choice):
    """A choice of amounts that differ from letter to letter: each pick is followed by one of the date of its letter, newest first."""


def by_date(index: Searchable, question: Question, choice: Choice, letters: Sequence[str]) -> Choice:
    """Return the choice with what letters of other dates say of the same thing; as it is when they say the same or nothing.

    Args:
        index: the opened index.
        question: one that names a year has one answer, which the choice holds already.
        choice: what was chosen.
        letters: the ids of the letters that may answer.
    """
    first = choice.picks[0] if choice.picks else None
    if (
        question.kind not in AMOUNTS
        or question.years
        or len(letters) < 2
        or first is None
        or first.short is None
    ):
        return choice
    others = {p.letter.id: p for p in _others(index, first, letters)}
    found = sorted([first, *others.values()], key=lambda p: p.letter.date, reverse=True)
    dated = [_date(p) for p in found[:_MOST]]
    if not others or None in dated:
        return choice
    pairs = [x for pick, date in zip(found, dated, strict=False) for x in (pick, date) if x is not None]
    return Dated(tuple(pairs), choice.confidence)


def spoken(choice: Choice, quotes: Sequence[str], language: str) -> str:
    """Return the text of an answer: each quote with its number; of dated ones also which letter is the newest, with its date."""
    marked = [f"{quote}[{n}]" for n, quote in enumerate(quotes, 1)]
    if not isinstance(choice, Dated):
        return "\n".join(marked)
    newest, older = (
        ("newest letter: ", "older letter: ") if language == "en" else ("较新的复函：", "较早的复函：")
    )
    left, right = (" (", ")") if language == "en" else ("（", "）")
    rows = zip(marked[::2], marked[1::2], strict=True)
    return "\n".join(
        f"{said}{left}{older if i else newest}{date}{right}" for i, (said, date) in enumerate(rows)
    )


def _others(index: Searchable, first: Pick, letters: Sequence[str]) -> Iterator[Pick]:
    """What other letters say in a sentence like that of the pick, with another amount of the same unit; the nearest first."""
    text = first.sentence.of(first.letter.text)
    asked = _amount(first)
    if asked is None or not first.letter.date:
        return
    query = index.embedder.passages([text])[0]
    seen = {first.letter.id}
    for number, cosine in index.within(letters).nearest_sentences(query, _NEAR).items():
        letter, measure = index.measures[of := index.measure_of(number)]
        if letter.id in seen or cosine < _COSINE or not _comparable(first.letter, letter):
            continue
        sentence = measure.sentences[number - index.sentence_numbers(of)[0]]
        found = _same_amount(fold(text), asked, fold(sentence.of(letter.text)))
        if found is not None:
            seen.add(letter.id)
            if found.key != asked.key:
                short = Span(sentence.start + found.start, sentence.start + found.end)
                yield replace(first, letter=letter, measure=measure, sentence=sentence, short=short)


def _comparable(one: Letter, two: Letter) -> bool:
    """Letters of other dates that speak of one place, or come from one body."""
    if not two.date or one.date == two.date:
        return False
    return one.issuer == two.issuer != "" or (place_of(one) != "" and place_of(one) == place_of(two))


def _amount(pick: Pick) -> Quantity | None:
    """The amount of the short answer, in characters of its sentence."""
    assert pick.short is not None
    start, end = pick.short.start - pick.sentence.start, pick.short.end - pick.sentence.start
    text = fold(pick.sentence.of(pick.letter.text))
    return next((q for q in quantities(text) if q.start < end and q.end > start), None)


def _same_amount(one: str, asked: Quantity, two: str) -> Quantity | None:
    """The amount of the second sentence that stands where the one asked for stands in the first."""
    if _ratio(_bare(one), _bare(two)) < _ALIKE:
        return None
    before = _bare(one[: asked.start])[-8:]
    mine = [q for q in quantities(two) if q.unit == asked.unit]
    fit = [(_ratio(before, _bare(two[: q.start])[-8:]), q) for q in mine]
    best = max(fit, key=lambda x: x[0], default=(0.0, None))
    return best[1] if best[0] >= _ALIKE else None


def _bare(folded: str) -> str:
    """A sentence without its figures, times and marks: what it says of whatever amount."""
    out = list(folded)
    for m in dates(folded):
        out[m.start() : m.end()] = " " * (m.end() - m.start())
    for q in quantities("".join(out)):
        out[q.start : q.end] = [_BLANK] + [" "] * (q.end - q.start - 1)
    return re.sub(r"[\s,。;:、!?]|截至|以来", "", "".join(out))


def _ratio(one: str, two: str) -> float:
    from difflib import SequenceMatcher

    return SequenceMatcher(None, one, two, autojunk=False).ratio()


def _date(pick: Pick) -> Pick | None:
    """The date of a letter, as it stands in it."""
    span = pick.letter.fields.get("date")
    measure: Measure | None = next(
        (m for m in pick.letter.measures if span and m.start <= span.start < m.end), None
    )
    return replace(pick, measure=measure, sentence=span, short=None) if span and measure else None
