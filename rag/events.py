"""An answer as server-sent events: ``status``, ``citations``, ``sentence``, ``answer``, ``done``; or ``error``.

Citations come before the text that rests on them, so that nothing is said before its proof. While there is nothing to say a
comment is sent now and then, so that no proxy between takes the connection for dead.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, TypeVar

from rag.engine import Answer
from rag.errors import RagError
from rag.flow import Event
from rag.problems import body, told

HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
KEEP_ALIVE = ": waiting\n\n"
SILENCE_SECONDS = 10.0  # after which a comment is sent
T = TypeVar("T")


def event(name: str, data: dict[str, Any]) -> str:
    """One event; line breaks in the data are escaped by JSON."""
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"


async def answer_events(
    made: AsyncIterator[Event], count: Callable[[Answer], Answer], silence: float = SILENCE_SECONDS
) -> AsyncIterator[str]:
    """The events of one answer, the first before anything is known; an error in between is an event too.

    Args:
        made: what there is to show, as it comes; the last holds the whole answer.
        count: told the answer.
        silence: seconds without an event until a comment is sent.
    """
    yield event("status", {"state": "reading"})
    try:
        async with contextlib.aclosing(with_pauses(made, silence)) as parts:
            async for part in parts:
                if part is None:
                    yield KEEP_ALIVE
                    continue
                if part.answer is not None:
                    state = "refused" if count(part.answer).refused else "answered"
                    yield event("status", {"state": state})
                yield event(part.kind, part.data)
    except RagError as error:
        yield event("error", body(*told(error)))
    yield event("done", {})


async def waited_for(
    make: Callable[[], Awaitable[T]],
    parts: Callable[[T], Iterable[str]],
    failed: Callable[[RagError], Iterable[str]],
    silence: float = SILENCE_SECONDS,
) -> AsyncIterator[str]:
    """The parts of something that is made whole first, with comments until it is there; or those of its failure."""

    async def made() -> AsyncIterator[T]:
        yield await make()

    try:
        async with contextlib.aclosing(with_pauses(made(), silence)) as found:
            async for whole in found:
                for part in (KEEP_ALIVE,) if whole is None else parts(whole):
                    yield part
    except RagError as error:
        for part in failed(error):
            yield part


async def with_pauses(made: AsyncIterator[T], silence: float) -> AsyncGenerator[T | None, None]:
    """What comes, as it comes, and None whenever nothing has come for so many seconds; who stops listening stops it."""
    coming: asyncio.Task[T] | None = None
    try:
        while True:
            coming = coming or asyncio.ensure_future(anext(made))
            if not (await asyncio.wait({coming}, timeout=silence))[0]:
                yield None
                continue
            done, coming = coming, None
            try:
                part = done.result()
            except StopAsyncIteration:
                return
            yield part
    finally:
        if coming is not None:
            coming.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await coming
