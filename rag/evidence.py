"""What a model may see and cite: the measures behind an answer, without what speaks to a machine, within a budget of characters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from rag.engine import Answer
from rag.instructions import left_out, touches
from rag.letter import Letter, Measure, Span
from rag.overview import Line
from rag.rank import Hit
from rag.scope import folded_letter, mentions
from rag.text import fold

if TYPE_CHECKING:
    from rag.claims import Source

_CHARACTERS = 8000  # of the letters, for one answer
_LEAST = 200  # of one measure, whatever the number of measures


def clean(answer: Answer) -> Answer | None:
    """The answer without citations that touch words meant for a machine; None when nothing is left of it."""
    kept = [c for c in answer.citations if not touches(c.letter, c.start, c.end)]
    if len(kept) == len(answer.citations):
        return answer
    if not kept or kept[0].start != answer.citations[0].start:
        return None
    citations = tuple(replace(c, n=n) for n, c in enumerate(kept, 1))
    shorts = dict.fromkeys(c.short.of(c.letter.text) for c in citations if c.short)
    told = "\n".join(f"{c.quote}[{c.n}]" for c in citations)
    return replace(answer, answer=told, short_answer="；".join(shorts), citations=citations)


def speaks_of(answer: Answer, topic: str) -> bool:
    """Say whether the first measure cited, or what it stands under, names the topic."""
    first = answer.citations[0]
    measure = folded_letter(first.letter.id, first.letter.text)[first.measure.start : first.measure.end]
    return mentions(f"{fold(first.measure.section)} {measure}", fold(topic))


def sources_of(answer: Answer, hits: Sequence[Hit]) -> list[Source]:
    """The measures of an answer, cited ones first, then the other hits as they were ranked."""
    cited = [(c.letter, c.measure) for c in answer.citations]
    return list(_sources([*cited, *((h.letter, h.measure) for h in hits)]))


def sources_of_lines(lines: Sequence[Line]) -> list[Source]:
    """The measures of a summary, in its order."""
    return list(_sources((x.letter, x.measure) for x in lines))


def _sources(pairs: Iterable[tuple[Letter, Measure]]) -> Iterator[Source]:
    """Each measure once, as long as the budget lasts; a long one is cut behind a sentence."""
    from rag.claims import Source, source_of

    distinct = {(letter.sha256, measure.start): (letter, measure) for letter, measure in reversed([*pairs])}
    ordered = list(reversed(distinct.values()))
    share = max(_LEAST, _CHARACTERS // max(1, len(ordered)))
    left = _CHARACTERS
    for letter, measure in ordered:
        source = source_of(letter, measure, left_out(letter))
        spans = _fitting(source.spans, min(left, share) if len(ordered) > 8 else left)
        if spans:
            left -= sum(s.end - s.start for s in spans)
            yield Source(letter, measure, spans)


def _fitting(spans: Sequence[Span], budget: int) -> tuple[Span, ...]:
    kept: list[Span] = []
    for span in spans:
        budget -= span.end - span.start
        if budget < 0:
            break
        kept.append(span)
    return tuple(kept)
