"""The engine over the index in use; a new generation on disk is opened with the next request."""

from __future__ import annotations

import logging
from threading import Lock

from rag.embed import Embedder, open_embedder
from rag.engine import Engine
from rag.errors import IndexStateError
from rag.settings import Settings
from rag.store import CURRENT

_log = logging.getLogger("rag.live")


class Live:
    """Keeps one engine open for many requests; safe to use from several threads."""

    def __init__(self, settings: Settings, embedder: Embedder | None = None) -> None:
        self.settings = settings
        self._embedder = embedder
        self._engine: Engine | None = None
        self._lock = Lock()

    @property
    def embedder(self) -> Embedder:
        """The configured model, opened when it is first needed."""
        if self._embedder is None:
            self._embedder = open_embedder(self.settings.embedding_model)
        return self._embedder

    def engine(self) -> Engine:
        """Return the engine, opened anew when ``CURRENT`` names another generation.

        Raises:
            IndexStateError: there is no index, or it cannot be opened whole and none was open before.
        """
        with self._lock:
            if self._engine is None or self._named() not in ("", self._engine.index.generation):
                self._open()
            assert self._engine is not None
            return self._engine

    def _open(self) -> None:
        try:
            self._engine = Engine.open(self.settings, self.embedder)
        except IndexStateError:
            if self._engine is None:
                raise
            _log.exception("the new index cannot be opened; the old one stays in use")

    def _named(self) -> str:
        try:
            return (self.settings.index_dir / CURRENT).read_text(encoding="utf-8").strip()
        except OSError:
            return ""
