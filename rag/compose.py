"""An answer in the model's words, sentence by sentence: write → verify → repair once → else the extractive answer.

No sentence leaves the flow before it has been checked.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace

from rag.check import check
from rag.claims import Claim, Source, Verdict, split, split_all
from rag.engine import Answer, Citation
from rag.english import is_foreign
from rag.facts import outermost
from rag.flow import Ask, Event, Flow, Messages, ModelFailure, Sent, Write
from rag.prompts import Prompts
from rag.text import fold
from rag.verify import verify_quote

_log = logging.getLogger("rag.llm")
_CANNOT = re.compile(r"^\W*(?:无法回答|cannot answer)\W*$", re.IGNORECASE)
_STRAIGHT = re.compile(r'"([^"]{1,200})"')
_THOUGHT = re.compile(r"^\s*<think>.*?</think>\s*", re.DOTALL)
_LONGEST = 8000  # characters that are read of one reply


@dataclass
class Draft:
    """What has been checked so far: the sentences, and their citations in the order of their numbers."""

    question: str
    sources: Sequence[Source]
    text: str = ""
    citations: list[Citation] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    rejected: str = ""

    def take(self, claim: Claim) -> Generator[Event, None, bool]:
        """Check a claim and show it; says whether it stood."""
        verdict = check(claim, self.sources)
        if verdict.faults:
            self.rejected, self.faults = claim.text, list(verdict.faults)
            return False
        written = _as_written(claim.text, verdict, self.sources)
        if written is None:
            self.rejected, self.faults = claim.text, ["a quote is not the source's own characters"]
            return False
        new, marks = self._cite(verdict)
        if new:
            yield Event("citations", {"citations": [c.as_dict() for c in new]})
        lead = claim.lead if self.text else claim.lead.lstrip("\n")
        gap = " " if self.text and not lead and is_foreign(claim.text) else ""
        said = f"{gap}{lead}{written}{marks}"
        self.text += said
        yield Event("sentence", {"text": said})
        return True

    def _cite(self, verdict: Verdict) -> tuple[list[Citation], str]:
        new: list[Citation] = []
        numbers = []
        for n, span in verdict.used:
            source = self.sources[n]
            known = (
                c for c in self.citations if (c.letter.sha256, c.start) == (source.letter.sha256, span.start)
            )
            citation = next(known, None)
            if citation is None:
                citation = Citation(
                    len(self.citations) + 1, source.letter, source.measure, span.start, span.end
                )
                verify_quote(citation.letter, citation.start, citation.end, citation.quote)
                self.citations.append(citation)
                new.append(citation)
            numbers.append(citation.n)
        return new, "".join(f"[{n}]" for n in sorted(set(numbers)))


def _as_written(text: str, verdict: Verdict, sources: Sequence[Source]) -> str | None:
    """The claim with its quotes in the letter's own characters, where they differ in width alone; None where they differ in more."""
    text = _STRAIGHT.sub(r"“\1”", text)
    proof = [span.of(sources[n].letter.text) for n, span in verdict.used]
    for start, end in outermost(text):
        quoted = text[start:end]
        places = [(written, at) for written in proof if (at := fold(written).find(fold(quoted))) >= 0]
        if not places:
            return None
        written, at = next(((w, w.find(quoted)) for w, _ in places if quoted in w), places[0])
        text = text[:start] + written[at : at + len(quoted)] + text[end:]
    return text


def compose(
    answer: Answer, sources: Sequence[Source], prompts: Prompts, *, prompt: str, language: str
) -> Flow:
    """Let the model write the answer that the evidence allows.

    Args:
        answer: the extractive answer, given when the model's does not stand.
        sources: the measures that may be cited, from 1.
        prompts: as loaded.
        prompt: ``write`` or ``summarise``.
        language: of the question.
    """
    given = {"question": answer.question, "sources": as_sources(sources)}
    draft = Draft(answer.question, sources)
    yield Event("status", {"state": "writing", "detail": ""})
    failure = yield from _attempt(draft, prompts[prompt, language].messages(**given))
    if failure is None and draft.faults:
        yield Event("status", {"state": "repairing", "detail": ""})
        told = {
            "kept": draft.text,
            "draft": draft.rejected,
            "faults": "\n".join(f"- {f}" for f in draft.faults),
        }
        draft.faults = []
        failure = yield from _attempt(draft, prompts["repair", language].messages(**given, **told))
    if failure is None and not draft.faults:
        return _written(answer, draft)
    line = failure or "the model's text did not stand the checks"  # and is repeated nowhere
    _log.warning("%s; the answer is extractive", line)
    yield Event("status", {"state": "extractive", "detail": line})
    return replace(answer, reason="unverified")


def _attempt(draft: Draft, messages: Messages) -> Generator[Event | Write | Ask, Sent, str | None]:
    """Take what the model writes until it ends or a claim does not stand; what failed, if the model did."""
    sent = yield Write(messages)
    text = ""
    read = 0
    before = len(draft.text)
    while sent is not None:
        if isinstance(sent, ModelFailure):
            return str(sent)
        text, read = text + sent, read + len(sent)
        if read > _LONGEST:
            return "the model wrote without end"
        if _thinking(text):
            sent = yield Ask.NEXT
            continue
        claims, text = split(_THOUGHT.sub("", text))
        for claim in claims:
            stood = yield from _taken(draft, claim)
            if not stood:
                return None
        sent = yield Ask.NEXT
    for claim in split_all(_THOUGHT.sub("", text)):
        stood = yield from _taken(draft, claim)
        if not stood:
            return None
    if len(draft.text) == before:
        draft.faults = ["nothing was written"]
    return None


def _thinking(text: str) -> bool:
    """Whether the model is still thinking aloud, which is no part of its answer."""
    start = text.lstrip()
    return ("<think>".startswith(start[:7]) and "</think>" not in start) if start else False


def _taken(draft: Draft, claim: Claim) -> Generator[Event, None, bool]:
    if _CANNOT.match(claim.text):
        draft.rejected, draft.faults = claim.text, ["the sources were said not to answer"]
        return False
    return (yield from draft.take(claim))


def _written(answer: Answer, draft: Draft) -> Answer:
    held = any(
        c.start <= own.start < c.end and c.letter.id == own.letter.id
        for own in answer.citations[:1]
        for c in draft.citations
    )
    return replace(
        answer,
        answer=draft.text,
        short_answer=answer.short_answer if held else "",
        mode="generated",
        citations=tuple(draft.citations),
    )


def as_sources(sources: Sequence[Source]) -> str:
    """The sources as the model sees them: numbered, with where they are from; brackets and markup of the letters disarmed."""
    told = []
    for n, source in enumerate(sources, 1):
        letter = source.letter
        head = " · ".join(
            x for x in (letter.issuer or letter.title, letter.date, source.measure.section) if x
        )
        body = "".join(_disarmed(s.of(letter.text)) for s in source.spans)
        told.append(f"[{n}] {_disarmed(head)}\n{body}")
    return "\n\n".join(told)


def _disarmed(text: str) -> str:
    """Text of a letter without what could pass for a mark, a turn or markup of the prompt."""
    visible = "".join(c for c in text if c.isprintable() or c in "\n\t")
    return visible.translate(str.maketrans("[]<>{}`", "〔〕〈〉﹛﹜'")).strip()
