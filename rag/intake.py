"""Is it a letter that is known? The same one in another form, a corrected one, an older one, or a new one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from rag.catalogue import Version
from rag.letter import Letter
from rag.records import Records
from rag.segment import measure_text, sentence_texts
from rag.text import fold

_SAME_NUMBER, _SAME_SUBJECT = (
    0.3,
    0.5,
)  # share of the sentences that two versions of one letter have in common

ADDED, UPDATED, OLDER, KNOWN, LEFT_OUT = "added", "updated", "kept as older", "known already", "left out"


@dataclass(frozen=True, slots=True)
class Arrival:
    """What became of a letter that came in.

    Attributes:
        letter_id: the letter it is, or is a version of.
        what: ``added``, ``updated`` (a corrected version, answers come from it now), ``kept as older`` (a version from before the
            one that is there), ``known already`` (the same words), or ``left out`` (it was removed by hand).
        source: the file it came from.
    """

    letter_id: str
    what: str
    source: str


def content_of(letter: Letter) -> str:
    """Return the digest of a letter's words: the same for every format, encoding and width, without page furniture."""
    kept: list[str] = []
    at = 0
    for span in sorted(letter.furniture, key=lambda s: s.start):
        kept.append(letter.text[at : span.start])
        at = max(at, span.end)
    kept.append(letter.text[at:])
    return hashlib.sha256("".join(fold("".join(kept)).split()).encode()).hexdigest()


def embedded_of(letter: Letter) -> str:
    """Return the digest of what is embedded of a letter."""
    digest = hashlib.sha256()
    for text in (*(measure_text(letter, m) for m in letter.measures), "", *sentence_texts(letter)):
        digest.update(text.encode() + b"\0")
    return digest.hexdigest()


def take_in(
    catalogue: Records, letter: Letter, *, origin: str, pinned: bool, welcome: bool = False
) -> Arrival:
    """Enter a letter into the catalogue, in a transaction.

    Args:
        catalogue: the open catalogue.
        letter: under the id that its file gives it.
        origin: the path of its file, with the name inside an archive; or empty.
        pinned: whether a person added it, so that it does not go with its file.
        welcome: take it even if it was removed by hand before.
    """
    content = content_of(letter)
    if catalogue.was_removed(content):
        if not welcome:
            return Arrival(letter.id, LEFT_OUT, letter.source)
        catalogue.set_removed(content, None)
    here = _at(catalogue, origin)
    same = catalogue.find(content=content)
    if same:
        return _again(catalogue, letter, same, here, origin=origin, pinned=pinned)
    old = here or _version_of(catalogue, letter)
    if old is None:
        letter = replace(letter, id=_free_id(catalogue, letter))
        catalogue.add(letter, content, embedded_of(letter), origin=origin, pinned=pinned)
        return Arrival(letter.id, ADDED, letter.source)
    letter = replace(letter, id=old.letter)
    v = catalogue.add(letter, content, embedded_of(letter), origin=origin, pinned=pinned or old.pinned)
    if here is None and letter.date and old.date and letter.date < old.date:
        catalogue.change(v, current=0)
        catalogue.change(old.v, current=1)
        return Arrival(letter.id, OLDER, letter.source)
    if here is not None and _was_half(catalogue, old, letter):
        catalogue.delete([old.v])
    return Arrival(letter.id, UPDATED, letter.source)


def _at(catalogue: Records, origin: str) -> Version | None:
    """The version that answers now and came from this very file."""
    return next(iter(catalogue.find(origin=origin, current=1)), None) if origin else None


def _again(
    catalogue: Records,
    letter: Letter,
    same: list[Version],
    here: Version | None,
    *,
    origin: str,
    pinned: bool,
) -> Arrival:
    """The same words again: in the same file they take its place, elsewhere they change nothing."""
    known = next((v for v in same if here and v.letter == here.letter), same[0])
    if pinned and not known.pinned:
        for version in catalogue.find(letter=known.letter):
            catalogue.change(version.v, pinned=1)
    if here is None or here.letter != known.letter:
        if known.origin and origin and not Path(known.origin).exists():
            catalogue.change(known.v, origin=origin)  # the file was moved
        return Arrival(known.letter, KNOWN, letter.source)
    if (
        known.sha256 == letter.sha256
        and known.current
        and replace(letter, id=known.letter) == catalogue.letter(known.v)
    ):
        return Arrival(known.letter, KNOWN, letter.source)
    letter = replace(letter, id=known.letter)
    catalogue.delete([known.v])
    pinned = known.pinned or pinned
    catalogue.add(letter, known.content, embedded_of(letter), origin=origin, pinned=pinned)
    return Arrival(letter.id, UPDATED, letter.source)


def _was_half(catalogue: Records, old: Version, letter: Letter) -> bool:
    """Say whether the version before was a file that was still being written."""
    return letter.text.startswith(catalogue.letter(old.v).text.rstrip())


def _version_of(catalogue: Records, letter: Letter) -> Version | None:
    """The version that answers now of the letter this is another version of: one reference number or subject, and like words."""
    if letter.number:
        found = catalogue.find(number=letter.number, current=1)
        for v in found:
            if _overlap(letter, catalogue.letter(v.v)) >= _SAME_NUMBER:
                return v
    if letter.subject and letter.issuer:
        known = catalogue.find(
            subject=letter.subject, issuer=letter.issuer, addressee=letter.addressee, current=1
        )
        for v in known:
            other = catalogue.letter(v.v)
            if (letter.number and other.number) or (letter.date and other.date and letter.date != other.date):
                continue  # a later letter on the subject, not a corrected one
            if _overlap(letter, other) >= _SAME_SUBJECT:
                return v
    return None


def _overlap(one: Letter, two: Letter) -> float:
    """The share of the sentences of the shorter letter that both have, in [0, 1]."""
    a, b = _said(sentence_texts(one)), _said(sentence_texts(two))
    return len(a & b) / max(1, min(len(a), len(b)))


def _said(texts: Iterable[str]) -> set[str]:
    return {"".join(fold(t).split()) for t in texts}


def _free_id(catalogue: Records, letter: Letter) -> str:
    if not catalogue.find(letter=letter.id):
        return letter.id
    name = f"{letter.id}-{letter.sha256[:6]}"
    return name if not catalogue.find(letter=name) else f"{letter.id}-{letter.sha256[:16]}"
