"""Nothing leaves unproved: every quote stands in its letter to the character, every number in a quote with its unit."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rag.errors import VerificationError
from rag.letter import Letter
from rag.quantities import dates, holds, quantities
from rag.text import fold

_MARK = re.compile(r"\[\d+\]")


def verify_quote(letter: Letter, start: int, end: int, quote: str) -> None:
    """Check that ``letter.text[start:end] == quote`` and that it is not empty.

    Raises:
        VerificationError: naming the letter and the place.
    """
    if not quote or not 0 <= start < end <= len(letter.text) or letter.text[start:end] != quote:
        raise VerificationError(
            f"a quote does not stand at [{start}:{end}] of {letter.id}",
            "the letter's own characters",
        )


def unproved(text: str, quotes: Sequence[str]) -> list[str]:
    """Return the numbers and dates of ``text`` that stand in no quote with the same value and unit.

    Footnote marks like [1] are no numbers. 63家, ６３ 家 and 六十三家 are the same; 63家 and 63人 are not.
    """
    proof = [_tight(q) for q in quotes]
    known = {q.key for p in proof for q in quantities(p)}
    times = {m[0] for p in proof for m in dates(p)}
    claim = _tight(_MARK.sub("", text))
    spoken = list(dates(claim))
    wrong = [m[0] for m in spoken if re.search(r"\d", m[0]) and not any(holds(t, m[0]) for t in times)]
    for q in quantities(claim):
        if any(m.start() <= q.start < m.end() for m in spoken):
            continue
        if q.key not in known:
            wrong.append(claim[q.start : q.end])
    return wrong


def verify_text(text: str, quotes: Sequence[str]) -> None:
    """Check that every number of ``text`` stands in a quote.

    Raises:
        VerificationError: naming those that do not.
    """
    if wrong := unproved(text, quotes):
        raise VerificationError(f"numbers that no cited sentence holds: {', '.join(wrong)}")


def _tight(text: str) -> str:
    """Folded, without the blanks that some letters put between a number and its unit."""
    return re.sub(r"(?<=\d)[ \t\u3000]+(?=[㐀-鿿%])|(?<=[㐀-鿿])[ \t\u3000]+(?=\d)", "", fold(text))
