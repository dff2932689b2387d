"""What a letter is: its text, its measures and sentences, each a slice of that text.

All offsets are code points into :attr:`Letter.text`, the decoded source; a quote is always ``text[start:end]``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

PREFACE, CLOSING = "前言", "结尾"
_TOLD = ("id", "sha256", "source", "title", "subject", "addressee", "issuer", "date", "number")
PARSER_VERSION = 3  # of what :mod:`rag.parse` makes of a text; kept here for those who only open an index


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open range of code points ``[start, end)``."""

    start: int
    end: int

    def of(self, text: str) -> str:
        """Return the characters of ``text`` in this range."""
        return text[self.start : self.end]


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure 措施: the unit of chunking.

    Attributes:
        path: place in the letter's own numbering, e.g. ``三/(一)``, ``前言``.
        section: the section heading above it, as written; empty when there is none.
        heading: its own heading as written, with its number; empty when there is none.
        start: first character, in code points of the letter's text.
        end: one past the last character.
        body: where the text after the heading starts.
        sentences: the units of citation, in order; the heading is not among them.
    """

    path: str
    section: str
    heading: str
    start: int
    end: int
    body: int
    sentences: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Letter:
    """One letter 复函.

    Attributes:
        id: short name, unique in an index.
        text: the decoded source, unchanged.
        sha256: of the source's bytes, hex.
        source: the file it came from.
        title: its title as written, else the subject.
        subject: the proposal it answers (inside 《》), or empty.
        addressee: 提案方, or empty.
        issuer: 答复单位, or empty.
        date: 成文日期 as ISO ``YYYY-MM-DD``, or empty.
        number: 文号, or empty.
        measures: in order of the text.
        headings: section headings, which belong to no measure.
        furniture: page furniture dropped by rule.
        fields: where the metadata stands in the text, by the name of the attribute.
    """

    id: str
    text: str
    sha256: str
    source: str
    title: str
    subject: str
    addressee: str
    issuer: str
    date: str
    number: str
    measures: tuple[Measure, ...]
    headings: tuple[Span, ...]
    furniture: tuple[Span, ...]
    fields: dict[str, Span]

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, fit for JSON: what ``dataclasses.asdict`` gives, ten times as fast."""
        data = {f.name: getattr(self, f.name) for f in fields(self)}
        data["measures"] = tuple(_plain_measure(m) for m in self.measures)
        data["headings"] = tuple(map(_plain_span, self.headings))
        data["furniture"] = tuple(map(_plain_span, self.furniture))
        data["fields"] = {name: _plain_span(s) for name, s in self.fields.items()}
        return data

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Letter:
        """Build a letter from what :meth:`as_dict` gave."""
        measures = tuple(
            Measure(**{**m, "sentences": tuple(Span(**s) for s in m["sentences"])}) for m in data["measures"]
        )
        return cls(
            **{
                **data,
                "measures": measures,
                "headings": tuple(Span(**s) for s in data["headings"]),
                "furniture": tuple(Span(**s) for s in data["furniture"]),
                "fields": {name: Span(**s) for name, s in data["fields"].items()},
            }
        )


def pack(letter: Letter) -> dict[str, Any]:
    """Return a letter without its text as plain data, fit for JSON: short, and quick to read again."""
    data = {name: getattr(letter, name) for name in _TOLD}
    data["measures"] = [
        [m.path, m.section, m.heading, m.start, m.end, m.body, _flat(m.sentences)] for m in letter.measures
    ]
    data["headings"], data["furniture"] = _flat(letter.headings), _flat(letter.furniture)
    data["fields"] = {name: [s.start, s.end] for name, s in letter.fields.items()}
    return data


def unpack(data: dict[str, Any], text: str) -> Letter:
    """Build a letter from what :func:`pack` gave, and its text."""
    told = {name: data[name] for name in _TOLD}
    return Letter(
        **told,
        text=text,
        measures=tuple(
            Measure(path, section, heading, start, end, body, _spans(sentences))
            for path, section, heading, start, end, body, sentences in data["measures"]
        ),
        headings=_spans(data["headings"]),
        furniture=_spans(data["furniture"]),
        fields={name: Span(*s) for name, s in data["fields"].items()},
    )


def _flat(spans: Iterable[Span]) -> list[int]:
    return [n for s in spans for n in (s.start, s.end)]


def _spans(flat: Sequence[int]) -> tuple[Span, ...]:
    return tuple(map(Span, flat[::2], flat[1::2]))


def _plain_span(span: Span) -> dict[str, int]:
    return {"start": span.start, "end": span.end}


def _plain_measure(m: Measure) -> dict[str, Any]:
    return {
        "path": m.path,
        "section": m.section,
        "heading": m.heading,
        "start": m.start,
        "end": m.end,
        "body": m.body,
        "sentences": tuple(map(_plain_span, m.sentences)),
    }
