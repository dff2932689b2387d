"""What the endpoints share: the live index, the keys, the metrics, the threads that work, MCP."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.types import Receive, Scope, Send

from rag import problems
from rag.embed import Embedder
from rag.engine import Engine
from rag.errors import RagError
from rag.keys import Keys
from rag.live import Live
from rag.settings import Settings
from rag.suggest import Suggestions
from rag.telemetry import Metrics
from rag.work import Work

WEB = Path(__file__).parent / "web"
_log = logging.getLogger("rag.service")


class Service:
    """What the routes share."""

    def __init__(self, settings: Settings, embedder: Embedder | None) -> None:
        self.settings = settings
        self.live = Live(settings, embedder)
        self.keys = Keys(settings.keys_file)
        self.metrics = Metrics()
        self.work = Work()
        self.suggestions = Suggestions()
        self.mcp = LazyMcp(self.live.engine)

    def warm_up(self) -> None:
        """Open the index and make the suggestions before anyone asks; without an index there is nothing to open."""
        try:
            self.suggestions.of_all(self.live.engine())
        except RagError as error:
            _log.warning("not ready: %s", problems.told(error)[1])


class LazyMcp:
    """MCP at ``/mcp``, imported by the first request for it."""

    def __init__(self, current: Callable[[], Engine]) -> None:
        self._current = current
        self._opened: Any = None
        self._opening = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        async with self._opening:
            if self._opened is None:
                from rag.mcp import McpOverHttp

                self._opened = McpOverHttp(self._current)
        await self._opened(scope, receive, send)

    async def close(self) -> None:
        """End what runs, where anything does."""
        if self._opened is not None:
            await self._opened.close()
