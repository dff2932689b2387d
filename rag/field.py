"""Answers that are a field of the letter itself: who wrote it, to whom, when, and whom to call."""

from __future__ import annotations

from collections.abc import Sequence

from rag.answer import Choice
from rag.confidence import Pick
from rag.letter import Letter
from rag.lists import LetterIds
from rag.question import Question
from rag.rank import Hit
from rag.seam import Searchable

_CONFIDENCE = 0.9


def from_field(
    index: Searchable, question: Question, hits: Sequence[Hit], letters: LetterIds
) -> Choice | None:
    """Return the field that is asked for, where it stands in the text of its letter; None when none is, or it does not stand there.

    Args:
        index: the index.
        question: as understood.
        hits: best first.
        letters: those in scope.
    """
    letter = _letter(index, question.body, hits, letters) if question.meta and hits else None
    span = letter.fields.get(question.meta) if letter else None
    if letter is None or span is None:
        return None
    measure = next((m for m in letter.measures if m.start <= span.start < m.end), None)
    if measure is None:
        return None
    whole = next((s for s in measure.sentences if s.start <= span.start < s.end), span)
    return Choice((Pick(letter, measure, whole, span, 1.0),), _CONFIDENCE)


def _letter(index: Searchable, body: str, hits: Sequence[Hit], letters: LetterIds) -> Letter | None:
    """The letter of the best hit; where a body is named, of the best that it wrote, or any in scope that it wrote."""
    if not body:
        return hits[0].letter
    found = next((h.letter for h in hits if abbreviates(body, h.letter.issuer)), None)
    if found is None:
        own = letters.numbers[index.heads.headed(body)[letters.numbers]].tolist()
        found = next((a for n in own if abbreviates(body, (a := index.letters[n]).issuer)), None)
    return found


def abbreviates(body: str, name: str) -> bool:
    """Say whether the characters of a body's short name stand in its full name in that order: 人社局, 人力资源和社会保障局."""
    left = iter(name)
    return all(c in left for c in body)
