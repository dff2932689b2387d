"""An answer as server-sent events: ``status``, ``citations``, ``sentence``, ``answer``, ``done``; or ``error``.

Citations come before the text that rests on them, so that nothing is said before its proof.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from rag.engine import Answer
from rag.errors import RagError
from rag.flow import Event
from rag.problems import body, told

HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def event(name: str, data: dict[str, Any]) -> str:
    """One event; line breaks in the data are escaped by JSON."""
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"


async def answer_events(made: AsyncIterator[Event], count: Callable[[Answer], Answer]) -> AsyncIterator[str]:
    """The events of one answer, the first before anything is known; an error in between is an event too.

    Args:
        made: what there is to show, as it comes; the last holds the whole answer.
        count: told the answer.
    """
    yield event("status", {"state": "reading"})
    try:
        async for part in made:
            if part.answer is not None:
                state = "refused" if count(part.answer).refused else "answered"
                yield event("status", {"state": state})
            yield event(part.kind, part.data)
    except RagError as error:
        yield event("error", body(*told(error)))
    yield event("done", {})
