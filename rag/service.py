"""What the endpoints share: the live index, the keys, the metrics, the threads that work, MCP."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from rag import problems
from rag.embed import Embedder
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
        self.mcp = LazyMcp(self)

    def need_key(self, secret: str | None) -> None:
        """Let only those through who have a key.

        Raises:
            HTTPException: 401 without one, 403 when the service has none.
        """
        if not self.keys.all():
            raise HTTPException(403, "this needs a key, and the service has none yet; run: rag key new")
        if secret is None or self.keys.find(secret) is None:
            wrong = "this needs a key" if secret is None else "that is no key of this service"
            raise HTTPException(401, wrong, {"WWW-Authenticate": "Bearer"})

    def warm_up(self) -> None:
        """Open the index and make the suggestions before anyone asks; without an index there is nothing to open."""
        try:
            self.suggestions.of_all(self.live.engine())
        except RagError as error:
            _log.warning("not ready: %s", problems.told(error)[1])


class LazyMcp:
    """MCP at ``/mcp``, imported by the first request for it."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._opened: Any = None
        self._opening = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if self._service.settings.read_needs_key:
            kind, _, secret = Headers(scope=scope).get("authorization", "").partition(" ")
            self._service.need_key(secret.strip() if kind.lower() == "bearer" else None)
        async with self._opening:
            if self._opened is None:
                from rag.mcp import McpOverHttp

                self._opened = McpOverHttp(self._service.live.engine)
        await self._opened(scope, receive, send)

    async def close(self) -> None:
        """End what runs, where anything does."""
        if self._opened is not None:
            await self._opened.close()
