"""Summaries in the letters' own words: what a letter says, one cited line a measure; who does what, one cited line a letter."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rag.engine import Answer, Citation, Engine
from rag.instructions import touches
from rag.letter import CLOSING, PREFACE, Letter, Measure, Span
from rag.question import understand
from rag.text import fold, has_han, terms
from rag.verify import verify_quote

MOST_LINES = 40
_LETTERS = 12  # letters that are asked one by one
_HITS = 50
_LETTER = r"(?:这|该|此)(?:封|份|个|件|篇)?(?:信|函|复函|答复|回复|文件)|本函|复函|来信答复|(?:this|the) (?:letter|reply)"
_WORDS = "(?:里面?|当?中|主要|都|共|一共|总共|具体|到底|提[到出]|采取|包[括含]|讲|说|写|谈|介绍|承诺|答应|涉及|列|给|出|到|了|的|有|是|关于|针对)*"
_WHOLE = re.compile(
    rf"(?:{_LETTER}){_WORDS}(?:哪些|什么|几[个条项])(?:方面的?)?(?:主要)?(?:措施|内容|举措|做法|工作|事情?|办法|要点|$|\?)|"
    rf"(?:{_LETTER}){_WORDS}(?:讲|说|写|谈)了?(?:些|哪些)?(?:什么|啥)|(?:概括|总结|概述|摘要|归纳)[^,。??]{{0,4}}(?:{_LETTER})|(?:{_LETTER})的?(?:主要内容|大意|摘要|要点|概要)|"
    r"(?:summari[sz]e|summary of|outline) (?:this|the) (?:letter|reply)|what (?:measures|does).{0,20}(?:this|the) (?:letter|reply)",
    re.IGNORECASE,
)
_EACH = re.compile(
    r"(?:各|哪些|哪几个|不同)(?:个|家|有关|相关)?(?:部门|单位|机关|地方|局|地区?|市县?|区县|区|县|城市)(?:都|分别|各自)?[^,。??]{0,6}?(?P<what>(?:怎么|怎样|如何|都|做了|采取|有|是).{2,30})|"
    r"how do (?:the )?(?:departments|bodies|bureaus|cities|letters)(?P<english>.{4,60})",
    re.IGNORECASE,
)
_EMPTY = re.compile(
    r"怎么样?|怎样|如何|采取了?|哪些|什么|措施|举措|做法|工作|做了|开展|支持|促进|推进|推动|加强|落实|都|有|的|了|是|在|方面|[??。,]"
)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a summary: a slice of a letter."""

    letter: Letter
    measure: Measure
    span: Span


def lines_of(engine: Engine, text: str, letter_id: str | None = None) -> list[Line] | None:
    """Return the lines that sum up what is asked for; None when the question asks for no summary, empty when none was found."""
    folded = fold(text)
    if _WHOLE.search(folded):
        return _of_letters(_meant(engine, text, letter_id))
    if each := _EACH.search(folded):
        return _by_letter(engine, each["what"] or each["english"] or "", text, letter_id)
    return None


def _meant(engine: Engine, text: str, letter_id: str | None) -> list[Letter]:
    scope = engine.letters_in_scope(understand(text, engine.settings.max_question_chars), letter_id)
    return [] if isinstance(scope, str) else [engine.index.letter(i) for i in scope]


def _of_letters(letters: Sequence[Letter]) -> list[Line]:
    """One line a measure of one letter; of several letters one line each."""
    if len(letters) == 1:
        own = letters[0]
        return [
            Line(own, m, span)
            for m in own.measures
            if m.path not in (PREFACE, CLOSING) and (span := _head(own, m)) is not None
        ][:MOST_LINES]
    return [line for a in letters[:MOST_LINES] if (line := _title(a)) is not None]


def _head(letter: Letter, measure: Measure) -> Span | None:
    """The heading of a measure, else its first sentence."""
    heading = Span(measure.start, measure.start + len(measure.heading))
    spans = [heading] if measure.heading else list(measure.sentences)
    return next((s for s in spans if not touches(letter, s.start, s.end)), None)


def _title(letter: Letter) -> Line | None:
    """What a letter is about, where it says so."""
    span = letter.fields.get("subject") or letter.fields.get("title")
    measure = next((m for m in letter.measures if span and m.start <= span.start < m.end), None)
    if span is None or measure is None:
        body = [m for m in letter.measures if m.path not in (PREFACE, CLOSING)]
        head = _head(letter, body[0]) if body else None
        return Line(letter, body[0], head) if head else None
    return Line(letter, measure, span)


def _by_letter(engine: Engine, what: str, text: str, letter_id: str | None) -> list[Line]:
    """Of each letter that speaks of it, the sentence that says most about what is asked for."""
    topic = " ".join(_EMPTY.sub(" ", what).split()) or what
    found: dict[str, Line] = {}
    scope = {a.id for a in _meant(engine, text, letter_id)}
    for hit in engine.search(topic, k=_HITS, letter_id=letter_id):
        letter = hit.letter
        if letter.id in found or letter.id not in scope or len(found) >= _LETTERS:
            continue
        spoken = hit.measure.section + letter.text[hit.measure.start : hit.measure.end]
        clean = [s.span for s in hit.sentences if not touches(letter, s.span.start, s.span.end)]
        if clean and _speaks_of(spoken, topic):
            found[letter.id] = Line(letter, hit.measure, clean[0])
    return list(found.values())


def _speaks_of(text: str, topic: str) -> bool:
    """Whether the pairs of characters of the topic stand in a text, but for one in three."""
    seen = fold(text)
    if not has_han(topic):
        return True
    pairs = [t for t in terms(topic) if len(t) > 1]
    return bool(pairs) and sum(p in seen for p in pairs) >= max(1, len(pairs) * 2 / 3)


def answer_of(lines: Sequence[Line], asked: Answer) -> Answer:
    """The lines as an answer, each with its citation; ``asked`` gives what does not depend on them."""
    from dataclasses import replace

    citations = tuple(
        Citation(n, x.letter, x.measure, x.span.start, x.span.end) for n, x in enumerate(lines, 1)
    )
    for c in citations:
        verify_quote(c.letter, c.start, c.end, c.quote)
    told = "\n".join(f"{_quoted(c.quote)}[{c.n}]" for c in citations)
    return replace(
        asked,
        answer=told,
        short_answer="",
        refused=False,
        reason=None,
        confidence=1.0,
        mode="extractive",
        citations=citations,
    )


def _quoted(text: str) -> str:
    return " ".join(text.split())
