"""Answers as a person reads them in a terminal."""

from __future__ import annotations

import os
import sys
from typing import TextIO

from rag.engine import Answer, Citation
from rag.rank import Hit
from rag.text import has_han

_STATUS = {
    "planned": ("planned", "计划"),
    "under way": ("under way", "进行中"),
    "dropped": ("dropped", "未实施"),
}
_BEFORE, _AFTER = 60, 40  # characters of context around a quote
_IN_CONTEXT = 6  # citations that are shown with it


class Style:
    """ANSI styles, or none when the output is no terminal or ``NO_COLOR`` is set."""

    def __init__(self, stream: TextIO | None = None) -> None:
        stream = stream or sys.stdout
        forced = bool(os.environ.get("FORCE_COLOR"))
        self.on = forced or (stream.isatty() and not os.environ.get("NO_COLOR"))

    def bold(self, text: str) -> str:
        """Bold."""
        return self._wrap("1", text)

    def dim(self, text: str) -> str:
        """Dim."""
        return self._wrap("2", text)

    def mark(self, text: str) -> str:
        """Highlighted: black on yellow."""
        return self._wrap("30;43", text)

    def _wrap(self, code: str, text: str) -> str:
        return f"\033[{code}m{text}\033[0m" if self.on and text else text


def show_answer(answer: Answer, style: Style) -> str:
    """The short answer, the sentence, and under it where it stands."""
    if answer.refused:
        return answer.answer
    lines = [_short(answer, style)] if answer.short_answer else []
    lines += [answer.answer, "", show_places(answer, style)]
    return "\n".join(lines).rstrip()


def show_places(answer: Answer, style: Style) -> str:
    """Where each citation of an answer stands; of many, without the words around it."""
    many = len(answer.citations) > _IN_CONTEXT
    places = (_place(c, style)[: 2 if many else 3] for c in answer.citations)
    return ("\n" if many else "\n\n").join("\n".join(lines) for lines in places)


def _short(answer: Answer, style: Style) -> str:
    """The short answer, what its times mean, and whether it is only planned."""
    first = answer.citations[0]
    said = [f"{a}: {b}" for a, b in first.times.items()]
    state = _STATUS.get(first.status, ("", ""))[has_han(answer.question)]
    aside = f"  ({', '.join([*([state] if state else []), *said])})" if state or said else ""
    return style.bold(answer.short_answer) + style.dim(aside)


def _place(citation: Citation, style: Style) -> list[str]:
    letter, measure = citation.letter, citation.measure
    known = [letter.issuer or letter.title, letter.date, letter.source]
    where = " › ".join(x for x in (measure.section, measure.heading or measure.path) if x)
    return [
        f"[{citation.n}] {' · '.join(x for x in known if x)}",
        f"    {where}",
        f"    {_in_context(citation, style)}",
    ]


def _in_context(citation: Citation, style: Style) -> str:
    """The quote highlighted between the words around it, in its own line of the letter."""
    text, measure = citation.letter.text, citation.measure
    first = max(measure.body, text.rfind("\n", 0, citation.start) + 1, citation.start - _BEFORE)
    newline = text.find("\n", citation.end)
    last = min(measure.end, newline if newline >= 0 else len(text), citation.end + _AFTER)
    before = text[min(first, citation.start) : citation.start]
    after = text[citation.end : max(last, citation.end)]
    lead = "…" if before and first > measure.body else ""
    tail = "…" if after and last < measure.end else ""
    return style.dim(lead + before) + style.mark(citation.quote) + style.dim(after + tail)


def show_hits(hits: list[Hit], style: Style) -> str:
    """Measures found, each with its best sentence."""
    lines: list[str] = []
    for n, hit in enumerate(hits, 1):
        letter, measure = hit.letter, hit.measure
        where = " › ".join(x for x in (measure.section, measure.heading or measure.path) if x)
        lines.append(f"{n}. {style.bold(where)}  {style.dim(f'{hit.score:.2f}')}")
        lines.append(f"   {letter.issuer or letter.title} · {letter.date or letter.source}")
        if hit.sentences:
            lines.append(f"   {hit.sentences[0].span.of(letter.text)}")
    return "\n".join(lines) or "nothing found"
