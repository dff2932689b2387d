"""What a letter says of itself at its head and foot, in one line: for questions that name a place, a body or a year."""

from __future__ import annotations

import re

from rag.letter import Letter, Span
from rag.text import fold, simplify

FIRST_YEAR, YEARS = 1900, 200
_WIDE = re.compile("[０-９Ａ-Ｚａ-ｚ]")
_YEAR = re.compile(r"(?=((?:19|20)[0-9]{2}))")


def header(letter: Letter) -> str:
    """What holds for every measure of a letter: title, subject, issuer, addressee; folded."""
    return fold(" ".join((letter.title, letter.subject, letter.issuer, letter.addressee)))


def place_of(letter: Letter) -> str:
    """Return the place the issuer is of, folded and without its rank: 云岭 of 云岭区交通运输局; empty when it tells none."""
    found = re.match(r"([㐀-鿿]{2,4}?)(?:市|县|区|省|州)", fold(letter.issuer))
    return found[1] if found else ""


def is_plain(text: str) -> bool:
    """Say whether Han words and digits stand in a text as they do when it is folded."""
    return not _WIDE.search(text) and simplify(text) is text


def years_of(letter: Letter) -> set[int]:
    """The years from 1900 to 2099 that a letter names, its own among them."""
    found = {int(y) for y in _YEAR.findall(fold(letter.text))}
    if letter.date:
        found.add(int(letter.date[:4]))
    return {y for y in found if FIRST_YEAR <= y < FIRST_YEAR + YEARS}


def between_sentences(letter: Letter) -> str:
    """What stands in a letter outside of its sentences: headings, page furniture; line by line."""
    spans: list[Span] = sorted((s for m in letter.measures for s in m.sentences), key=lambda s: s.start)
    parts: list[str] = []
    at = 0
    for span in spans:
        if piece := letter.text[at : span.start].strip():
            parts.append(piece)
        at = max(at, span.end)
    return "\n".join([*parts, letter.text[at:].strip()])
