"""An answer, sentence by sentence: its claims with the numbers they cite, and the measures that may be cited as proof.

A claim is a sentence with its marks [n]. Text is split as it comes, so that a sentence can be checked before the next is written.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from rag.around import Around, around, around_names, tokens
from rag.facts import Facts, facts, plain
from rag.letter import Letter, Measure, Span
from rag.polarity import Stance, stances
from rag.scope import header

_CITED = re.compile(r"\s*[\[［【]\s*\^?\d+(?:\s*[,，、;；-]\s*\d+)*\s*[\]］】]")
_END = re.compile(r"[。!?！？\n]|\.(?=[\n \[【])")
_SHORTEST = 6  # characters of an English sentence
_CLOSED = re.compile(r"[”’』」）)*_]+")
_GROWING = re.compile(r"[”’』」）)*_\s]*(?:[\[［【][\^\d\s,，、;；-]*)?")
_NUMERAL = r"(?:\d{1,2}|[一二三四五六七八九十]{1,3})"
_BULLET = re.compile(
    rf"(?P<line>\s*)(?P<sign>[>#•·*-]+\s+|{_NUMERAL}[.、．)）](?!\d)\s*|[（(]{_NUMERAL}[)）]\s*)?"
)
_PLAN = re.compile("下一步|下阶段|下一阶段|打算|今后")


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence of an answer.

    Attributes:
        text: its words as they are checked and shown, without marks.
        cites: the numbers it cites, in order.
        lead: what is shown before it: nothing, a new line, or a new line and a dash.
    """

    text: str
    cites: tuple[int, ...]
    lead: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a claim: its faults (none: it stands), and the spans it rests on as (source, span)."""

    faults: tuple[str, ...]
    used: tuple[tuple[int, Span], ...] = ()


def split(text: str) -> tuple[list[Claim], str]:
    """Split a text into its whole claims and the rest, which may still grow.

    A claim ends with the sentence, behind its marks; a semicolon ends none, and a line that ends in a colon leads in the next.
    """
    found: list[Claim] = []
    start = at = 0
    while stop := _END.search(text, at):
        at = end = stop.end()
        if stop[0] == "." and end - start < _SHORTEST:
            continue  # the number of an item
        while match := _CITED.match(text, end) or _CLOSED.match(text, end):
            end = match.end()
        if _GROWING.fullmatch(text, end):
            break
        at = end
        piece = text[start:end]
        if piece.strip() and not piece.rstrip().endswith((":", "：")):
            found.append(claim(piece))
            start = end
    return found, text[start:]


def split_all(text: str) -> list[Claim]:
    """Split a whole text into claims, the last one ended or not."""
    found, rest = split(f"{text}\n\0")
    rest = rest.replace("\0", "")
    return [*found, *([claim(rest)] if rest.strip() else [])]


def claim(piece: str) -> Claim:
    """Read one sentence: its marks, what stands before it, and its words without markup for headings and bold."""
    cites: list[int] = []
    for mark in _CITED.findall(piece):
        for first, last in re.findall(r"(\d+)(?:\s*-\s*(\d+))?", mark):
            cites += range(int(first), min(int(last or first), int(first) + 20) + 1)
    said = _CITED.sub("", piece).replace("**", "").replace("__", "")
    start = _BULLET.match(said)
    assert start is not None  # it matches nothing as well
    lead = "\n- " if start["sign"] else "\n" if "\n" in start["line"] else ""
    words = re.sub(r"\s*\n\s*", " ", said[start.end() :].strip())
    return Claim(words, tuple(dict.fromkeys(cites)), lead)


@dataclass(frozen=True)
class Source:
    """A measure that may be cited, with the spans that count as proof: its heading and sentences, without those left out."""

    letter: Letter
    measure: Measure
    spans: tuple[Span, ...]

    @cached_property
    def sentences(self) -> tuple[Facts, ...]:
        """The facts of each span."""
        return tuple(facts(s.of(self.letter.text), self.letter.date) for s in self.spans)

    @cached_property
    def arounds(self) -> tuple[tuple[Around, ...], ...]:
        """The words around each amount, by span."""
        return tuple(tuple(around(s)) for s in self.sentences)

    @cached_property
    def changes(self) -> tuple[dict[int, str], ...]:
        """Of each span the amounts of a change, ``was`` and ``now``: 由A提高到B."""
        return tuple(_changes(s) for s in self.sentences)

    @cached_property
    def named(self) -> tuple[tuple[str, Around], ...]:
        """The names in quotation marks, with the words around them."""
        return tuple(
            (name, words)
            for s in self.sentences
            for name, words in zip(s.named(), around_names(s), strict=True)
        )

    @cached_property
    def stances(self) -> tuple[tuple[Stance, ...], ...]:
        """The stance of each clause, by span."""
        plan = bool(_PLAN.search(f"{self.measure.section} {self.measure.heading}"))
        return tuple(tuple(stances(s.text, may_plan=plan)) for s in self.sentences)

    @cached_property
    def words(self) -> tuple[frozenset[str], ...]:
        """The tokens of each span."""
        return tuple(frozenset(tokens(s.text)) for s in self.sentences)

    @cached_property
    def context(self) -> str:
        """What the measure stands under: section and heading, title, issuer, addressee; plain."""
        return plain(f"{self.measure.section} {self.measure.heading} {header(self.letter)}")

    @cached_property
    def text(self) -> str:
        """All that counts as proof, with its context; plain."""
        return " ".join([self.context, *(s.text for s in self.sentences)])


def source_of(letter: Letter, measure: Measure, left_out: Sequence[Span] = ()) -> Source:
    """A measure as a source: its heading and sentences, without those that touch a span left out."""
    spans = [Span(measure.start, measure.start + len(measure.heading))] if measure.heading else []
    spans += measure.sentences
    kept = [s for s in spans if not any(s.start < x.end and x.start < s.end for x in left_out)]
    return Source(letter, measure, tuple(kept))


def _changes(sentence: Facts) -> dict[int, str]:
    found: dict[int, str] = {}
    for i, (one, other) in enumerate(pairwise(sentence.amounts)):
        before = re.split("[,;:。、]", sentence.text[: one.start])[-1]
        if re.search("[由从]", before) and re.fullmatch(
            r"[^,;:。、]{0,4}[到至为]", sentence.text[one.end : other.start]
        ):
            found |= {i: "was", i + 1: "now"}
    return found
