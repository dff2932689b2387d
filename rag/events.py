"""An answer as server-sent events: ``status``, ``citations``, ``sentence``, ``answer``, ``done``; or ``error``.

Citations come before any text, so that nothing is said before its proof.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

from rag.engine import Answer
from rag.errors import RagError
from rag.problems import body, told

HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def event(name: str, data: dict[str, Any]) -> str:
    """One event; line breaks in the data are escaped by JSON."""
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"


async def answer_events(ask: Callable[[], Awaitable[Answer]]) -> AsyncIterator[str]:
    """The events of one answer, the first before it is known; an error in between is an event too."""
    yield event("status", {"state": "reading"})
    try:
        answer = await ask()
    except RagError as error:
        yield event("error", body(*told(error)))
    else:
        for part in _parts(answer):
            yield part
    yield event("done", {})


def _parts(answer: Answer) -> Iterator[str]:
    whole = answer.as_dict()
    yield event("status", {"state": "refused" if answer.refused else "answered"})
    yield event("citations", {"citations": whole["citations"]})
    for sentence in answer.answer.split("\n"):
        yield event("sentence", {"text": sentence})
    yield event("answer", whole)
