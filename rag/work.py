"""Blocking work of the service, in a few threads; what nobody waits for any more is not begun."""

from __future__ import annotations

import asyncio
import contextvars
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

T = TypeVar("T")


class Work:
    """A pool of threads; more of them than cores would only make everyone wait longer."""

    def __init__(self, threads: int = 0) -> None:
        self._pool = ThreadPoolExecutor(threads or 2 * (os.cpu_count() or 1), "rag-work")

    async def run(self, request: Request, job: Callable[[], T]) -> T:
        """Run a job for a request whose body has been read.

        Raises:
            ClientDisconnect: the client has gone; the job, if it had not begun, never will.
        """
        within = contextvars.copy_context()  # what the request is called in a trace goes with it
        working = asyncio.get_running_loop().run_in_executor(self._pool, within.run, job)
        watching: asyncio.Future[None] = asyncio.ensure_future(_gone(request))
        both: set[asyncio.Future[Any]] = {working, watching}
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                raise ClientDisconnect
            return working.result()
        finally:
            for task in both:
                task.cancel()

    def start(self, job: Callable[[], None]) -> None:
        """Begin a job that nobody waits for."""
        self._pool.submit(job)

    def close(self) -> None:
        """Begin nothing new; what runs is finished."""
        self._pool.shutdown(wait=False, cancel_futures=True)


async def _gone(request: Request) -> None:
    """Return when the client has gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
