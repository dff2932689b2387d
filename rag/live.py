"""The engine of a running service: over the generation in use, whoever made it, and over the letters of a folder as they come.

A new generation is opened beside the old one, and one assignment switches. A request has one engine from its first line to its
last, so that no answer mixes two generations; requests that run meanwhile end with the engine they began with.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Lock, Thread

from rag.embed import Embedder, open_embedder
from rag.engine import Engine
from rag.errors import IndexBusy, IndexStateError, LetterError, RagError, StoreUnavailable
from rag.keeper import Keeping, Report
from rag.library import add, follow, follow_changes, remove, tidy_up
from rag.read import Source
from rag.settings import Settings
from rag.stores import store_of

_PATIENCE = 1.0  # seconds a request waits for the generation it was the first to see
_QUIET, _GROUP, _LOOK = (
    100,
    400,
    500,
)  # milliseconds: after the last change, for a group of changes, between two looks
_TIDIED = 8  # additions after which small parts are joined: each part keeps files open
_AGAIN = 2.0  # seconds until what another writer kept from being done is tried again
_log = logging.getLogger("rag.live")


class Live:
    """The engine over the index in use; a new generation on disk is opened when the next request comes."""

    def __init__(self, settings: Settings, embedder: Embedder | None = None) -> None:
        self.settings = settings
        self._store = store_of(settings)
        self._embedder = embedder
        self._engine: Engine | None = None
        self._refused = ""
        self._added = 0
        self._opening = Lock()

    def engine(self) -> Engine:
        """Return the engine; the first request that sees a new generation waits for it, for a second at most.

        Raises:
            IndexStateError: there is no index, or it cannot be opened whole and none was open before.
        """
        engine = self._engine
        if engine is None:
            return self.refresh()
        if self._named() not in ("", engine.index.generation, self._refused) and not self._opening.locked():
            opened = Event()
            Thread(target=self._switch, args=(opened,), daemon=True).start()
            opened.wait(_PATIENCE)
        assert self._engine is not None
        return self._engine

    def refresh(self) -> Engine:
        """Open the generation in use, if it is not open, and return the engine.

        Raises:
            IndexStateError: it cannot be opened whole and none was open before.
        """
        with self._opening:
            named = self._named()
            if self._engine is None:
                self._engine = Engine.open(self.settings, self.embedder())
            elif named not in ("", self._engine.index.generation, self._refused):
                try:
                    self._engine = self._engine.renewed()
                except StoreUnavailable as error:
                    _log.warning("the new index cannot be opened now (%s); it is tried again", error)
                except IndexStateError:
                    self._refused = named
                    _log.exception("the new index cannot be opened; the old one stays in use")
            return self._engine

    def reach(self) -> None:
        """Look whether the letters can be read.

        Raises:
            StoreUnavailable: the service that keeps them does not answer.
        """
        self._store.reach()

    @property
    def is_open(self) -> bool:
        """Whether an engine was opened."""
        return self._engine is not None

    def embedder(self) -> Embedder:
        """Return the model, opened once."""
        if self._embedder is None:
            self._embedder = open_embedder(self.settings.embedding_model)
        return self._embedder

    def keeper(self, wait_s: float | None = 30.0) -> Keeping:
        """Return who changes this collection: for :func:`rag.library.add`, ``remove`` and ``follow``."""
        return self._store.keeper(self.embedder(), wait_s=wait_s)

    def add(self, sources: Iterable[Source | Path]) -> Report:
        """Add letters, as :func:`rag.library.add` does; they are answered from when this returns."""
        report = self._renew(add(self.keeper(), sources, seeds=self.settings.seeds_dir))
        self._added += 1
        if self._added % _TIDIED == 0:
            Thread(target=self._tidy, daemon=True).start()
        return report

    def remove(self, letter_ids: Sequence[str]) -> Report:
        """Remove letters, as :func:`rag.library.remove` does; no answer comes from them when this returns."""
        return self._renew(remove(self.keeper(), letter_ids))

    def look_again(self, paths: Iterable[Path]) -> Report:
        """Hold of files in the folder of letters what they hold now, as :func:`rag.library.follow_changes` does."""
        return self._renew(follow_changes(self.keeper(), self.settings.seeds_dir, paths))

    def rebuild(self) -> Report:
        """Build everything anew from the folder of letters and the catalogue; the old index answers meanwhile."""
        return self._renew(follow(self.keeper(), [self.settings.seeds_dir], empty=True, rebuild=True))

    def _tidy(self) -> None:
        try:
            tidy_up(self.keeper())
        except Exception:
            _log.exception("the index cannot be tidied")

    def _switch(self, opened: Event) -> None:
        try:
            self.refresh()
        except Exception:
            _log.exception("the new index cannot be opened")
        finally:
            opened.set()

    def _named(self) -> str:
        return self._store.named()

    def _renew(self, report: Report) -> Report:
        """Answer from what was just made."""
        self._store.settle(report.generation)
        self.refresh()
        return report


class Watcher(Thread):
    """Follows the folder of letters: a file that comes, changes or goes is in the next generation within a second.

    Attributes:
        ready: set when the index was brought up to date and the folder is being followed.
    """

    def __init__(self, live: Live) -> None:
        super().__init__(name="watcher", daemon=True)
        self.ready = Event()
        self._live = live
        self._end = Event()
        self._untidy = False
        self._rest_until = 0.0

    def run(self) -> None:
        """Bring the index up to date, then follow the folder until :meth:`stop`."""
        from watchfiles import watch

        seeds = self._live.settings.seeds_dir.resolve()
        found = watch(
            seeds,
            watch_filter=None,
            debounce=_GROUP,
            step=_QUIET,
            rust_timeout=_LOOK,
            yield_on_timeout=True,
            stop_event=self._end,
            raise_interrupt=False,
        )
        changed = _paths(next(found, set()))  # from here on nothing that happens is missed
        while not self._try(self._all, seeds) and not self._end.wait(_AGAIN):
            pass
        self.ready.set()
        for changes in found:
            changed |= _paths(changes)
            if time.monotonic() < self._rest_until:
                continue
            if changed and self._try(self._some, seeds, changed):
                changed = set()
            elif not changed and self._untidy:
                self._untidy = False
                self._try(tidy_up, self._live.keeper())

    def stop(self) -> None:
        """End after what is being done; wait for it."""
        self._end.set()
        self.join()

    def _all(self, seeds: Path) -> None:
        self._note(follow(self._live.keeper(), [seeds], verify=False, empty=True))

    def _some(self, seeds: Path, changed: set[Path]) -> None:
        self._note(follow_changes(self._live.keeper(), seeds, changed))

    def _note(self, report: Report) -> None:
        for failed in report.failed:
            _log.error("%s", failed)
        if report.arrivals or report.removed:
            _log.info("%s letters%s", report.letters, report.counts())
            self._untidy = True
        if self._live.is_open:
            self._live.refresh()

    def _try(self, work: Callable[..., None], *given: object) -> bool:
        """Do something; say whether it is done, or not to be tried again."""
        try:
            work(*given)
        except (IndexBusy, OSError) as error:
            _log.warning("%s; it is tried again", error)
            self._rest_until = time.monotonic() + _AGAIN
            return False
        except RagError as error:
            _log.error("the letters cannot be followed: %s", error)
        except Exception:
            _log.exception("the letters cannot be followed")
        return True


def _paths(changes: Iterable[tuple[object, str]]) -> set[Path]:
    return {Path(path) for _, path in changes if not Path(path).name.startswith(".")}


@contextmanager
def watching(settings: Settings) -> Iterator[Watcher]:
    """Follow the folder of letters inside the block.

    Raises:
        LetterError: there is no such folder.
    """
    if not settings.seeds_dir.is_dir():
        raise LetterError(
            f"{settings.seeds_dir} does not exist", "a folder of letters", "make it, or set RAG_SEEDS_DIR"
        )
    watcher = Watcher(Live(settings))
    watcher.start()
    try:
        yield watcher
    finally:
        watcher.stop()
