"""Letters as plain data, for the command line and the HTTP service alike."""

from __future__ import annotations

from typing import Any

from rag.letter import Letter


def letter_summary(letter: Letter) -> dict[str, Any]:
    """What a list of letters shows."""
    return {
        "letter_id": letter.id,
        "title": letter.title,
        "subject": letter.subject,
        "number": letter.number or None,
        "addressee": letter.addressee,
        "issuer": letter.issuer,
        "date": letter.date or None,
        "source": letter.source,
        "sha256": letter.sha256,
        "measure_count": len(letter.measures),
    }


def letter_detail(letter: Letter) -> dict[str, Any]:
    """A whole letter: its text, and its measures and sentences as offsets into it (code points)."""
    return {
        **letter_summary(letter),
        "text": letter.text,
        "measures": [
            {
                "path": m.path,
                "section": m.section,
                "heading": m.heading,
                "start": m.start,
                "end": m.end,
                "quote": letter.text[m.start : m.end],
                "sentences": [{"start": s.start, "end": s.end} for s in m.sentences],
            }
            for m in letter.measures
        ],
        "headings": [{"start": s.start, "end": s.end} for s in letter.headings],
        "furniture": [{"start": s.start, "end": s.end} for s in letter.furniture],
    }
