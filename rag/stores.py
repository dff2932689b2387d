"""Where the letters are kept: in a folder of this machine, or in the service that ``RAG_STORE`` names."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from rag.embed import Embedder
from rag.errors import DataError
from rag.index import Index
from rag.settings import Settings
from rag.store import CATALOGUE, CURRENT, check_current

if TYPE_CHECKING:  # who only asks needs nothing that writes
    from rag.catalogue import Catalogue
    from rag.derive import Progress
    from rag.keeper import Keeper, Keeping
    from rag.records import Records
    from rag.seam import Searchable


class Store(Protocol):
    """A place where letters are kept."""

    @property
    def place(self) -> str:
        """The folder or address, fit to show."""

    def named(self) -> str:
        """Return the name of the generation in use; empty when none can be seen."""

    def check(self) -> None:
        """Look whether what is kept is whole.

        Raises:
            IndexStateError: it is not.
        """

    def reach(self) -> None:
        """Look whether it can be read from.

        Raises:
            StoreUnavailable: it cannot.
        """

    def open(self, embedder: Embedder, old: Any = None) -> Searchable:
        """Open the generation in use; what an open one has of it is taken over.

        Raises:
            IndexStateError: missing, damaged, built otherwise, or out of reach.
        """

    def keeper(
        self,
        embedder: Embedder,
        *,
        wait_s: float | None = None,
        waiting: Callable[[str], None] = lambda _: None,
        progress: Progress | None = None,
    ) -> Keeping:
        """Return who changes the collection; how it waits and reports is as :class:`rag.keeper.Keeper` says."""

    def records(self) -> AbstractContextManager[Records | None]:
        """Give the catalogue for reading, if there is one."""

    def settle(self, generation: str) -> None:
        """Wait until what is read from holds a generation that was just made."""


class LocalStore:
    """Letters in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.place = str(folder)

    def named(self) -> str:
        """Return the name of the generation in use; empty when none can be seen."""
        try:
            return (self._folder / CURRENT).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            return ""

    def check(self) -> None:
        """Check every file of the generation in use."""
        check_current(self._folder)

    def reach(self) -> None:
        """A generation that is open is read from whatever becomes of its folder."""

    def open(self, embedder: Embedder, old: Any = None) -> Index:
        """Open the generation in use."""
        return Index.open(self._folder, embedder, old if isinstance(old, Index) else None)

    def keeper(
        self,
        embedder: Embedder,
        *,
        wait_s: float | None = None,
        waiting: Callable[[str], None] = lambda _: None,
        progress: Progress | None = None,
    ) -> Keeper:
        """Return who changes the collection."""
        from rag.derive import quiet
        from rag.keeper import Keeper

        return Keeper(self._folder, embedder, wait_s, waiting, progress or quiet)

    @contextlib.contextmanager
    def records(self) -> Iterator[Catalogue | None]:
        """Give the catalogue for reading, if there is one."""
        if not (self._folder / CATALOGUE).exists():
            yield None
            return
        from rag.catalogue import Catalogue

        with Catalogue(self._folder) as catalogue:
            yield catalogue

    def settle(self, generation: str) -> None:
        """A folder holds at once what was written into it."""


def store_of(settings: Settings) -> Store:
    """Return the store that the settings name.

    Raises:
        DataError: they name none that is known, or its driver is not installed.
    """
    named = settings.store.strip()
    if not named:
        return LocalStore(settings.index_dir)
    if named.startswith(("postgresql://", "postgres://")):
        from rag.pg_store import PgStore

        return PgStore(named)
    if named.startswith(("http://", "https://")) or named.endswith(".db"):
        from rag.milvus_store import MilvusStore

        return MilvusStore(named, settings.index_dir)
    raise DataError(
        f"RAG_STORE is {named.rpartition('@')[2]!r}",
        "empty (a folder), postgresql://…, http://… of Milvus, or a file FILE.db of milvus-lite",
        "see docs/stores.md",
    )
