"""Whoever changes a collection, and what was done to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path, PurePath
from typing import Any, Protocol

from rag.catalogue import Catalogue
from rag.derive import Progress, built, check_catalogue, derive, quiet, tidy
from rag.embed import Embedder
from rag.errors import IndexMismatch
from rag.intake import ADDED, KNOWN, LEFT_OUT, OLDER, UPDATED, Arrival
from rag.records import Records
from rag.salvage import salvage
from rag.store import check_built, verify_current, writer_lock


@dataclass(slots=True)
class Report:
    """What was done to a collection.

    Attributes:
        arrivals: what became of each letter that came in.
        unchanged: ids of letters whose files were known.
        removed: ids of letters that are no more.
        failed: files that could not be read or parsed, each as the message of its error.
        generation: the generation that answers now.
        letters: how many it holds.
        measures: how many it holds.
    """

    arrivals: list[Arrival] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    generation: str = ""
    letters: int = 0
    measures: int = 0

    def counts(self) -> str:
        """Return how many of each there were, for a person: `` (8 added, 1 removed)``; empty when there was nothing."""
        kinds = [a.what for a in self.arrivals if a.what != KNOWN]
        same = len(self.unchanged) + len(self.arrivals) - len(kinds)
        parts = [(what, kinds.count(what)) for what in (ADDED, UPDATED, OLDER, LEFT_OUT)]
        parts += [("unchanged", same), ("removed", len(self.removed)), ("failed", len(self.failed))]
        told = ", ".join(f"{n} {name}" for name, n in parts if n)
        return f" ({told})" if told else ""

    def notable(self) -> list[Arrival]:
        """What a person would not expect: letters that were there, that replace or are replaced, that are left out."""
        return [a for a in self.arrivals if a.what != ADDED and a.letter_id != PurePath(a.source).stem]

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, fit for JSON."""
        return asdict(self)


class Keeping(Protocol):
    """Whoever changes a collection, wherever it is kept."""

    @property
    def embedder(self) -> Embedder:
        """The model."""

    @property
    def progress(self) -> Progress:
        """Told what is done, how many are, of how many."""

    def writing(self) -> AbstractContextManager[Records]:
        """Hold the lock and the catalogue.

        Raises:
            IndexBusy: another process is writing.
        """

    def following(self, *, rebuild: bool, verify: bool) -> AbstractContextManager[Records]:
        """Hold the lock and the catalogue, after the damage was mended (``rebuild``) or looked for (``verify``)."""

    def check_state(self, catalogue: Any) -> None:
        """Check that the index there is of this model and parser: to index everything anew is for ``rag index`` to do.

        Raises:
            IndexMismatch: naming what differs and the command that repairs it.
        """

    def publish(self, catalogue: Any, report: Report, *, anew: bool = False) -> Report:
        """Make what the catalogue says the generation in use, and note it in the report."""

    def tidy(self) -> None:
        """Join small parts when there are many; answers are the same before and after. Nothing is done while another writes."""


@dataclass(frozen=True, slots=True)
class Keeper:
    """Whoever changes a collection: where it is, with which model, and how it waits and reports.

    Attributes:
        folder: of the index.
        embedder: the model.
        wait_s: how long to wait for another writer, in seconds; None waits for ever.
        waiting: told once who holds the lock.
        progress: told what is done, how many are, of how many.
    """

    folder: Path
    embedder: Embedder
    wait_s: float | None = None
    waiting: Callable[[str], None] = lambda _: None
    progress: Progress = quiet

    @contextmanager
    def writing(self) -> Iterator[Catalogue]:
        """Hold the lock and the catalogue."""
        with (
            writer_lock(self.folder, wait_s=self.wait_s, waiting=self.waiting),
            Catalogue(self.folder) as catalogue,
        ):
            self._check(catalogue)
            yield catalogue

    @contextmanager
    def following(self, *, rebuild: bool, verify: bool) -> Iterator[Catalogue]:
        """Hold the lock and the catalogue, after the damage was mended or looked for.

        Raises:
            IndexDamaged: ``verify``, and a file of the index is missing or altered.
        """
        with writer_lock(self.folder, wait_s=self.wait_s, waiting=self.waiting):
            if rebuild:
                salvage(self.folder)
            elif verify and built(self.folder):
                verify_current(self.folder)
            with Catalogue(self.folder) as catalogue:
                if not rebuild:
                    self._check(catalogue)
                yield catalogue

    def _check(self, catalogue: Catalogue) -> None:
        if now := built(self.folder):
            check_catalogue(catalogue, now[1])

    def check_state(self, catalogue: Catalogue) -> None:
        """Check that the index there is of this model and parser: to index everything anew is for ``rag index`` to do.

        Raises:
            IndexMismatch: naming what differs and the command that repairs it.
        """
        del catalogue
        if now := built(self.folder):
            check_built(now[1], self.embedder)

    def publish(self, catalogue: Catalogue, report: Report, *, anew: bool = False) -> Report:
        """Derive the generation, switch to it, and note it in the report."""
        report.generation = derive(self.folder, catalogue, self.embedder, anew=anew, progress=self.progress)
        now = built(self.folder)
        assert now is not None
        report.letters, report.measures = now[1]["letters"], now[1]["measures"]
        return report

    def tidy(self) -> None:
        """Join small segments when there are many; answers are the same before and after. Nothing is done while another writes."""
        with replace(self, wait_s=0.0).writing() as catalogue:
            while tidy(self.folder, catalogue, self.embedder, self.progress):
                pass


def fits(manifest: dict[str, Any], embedder: Embedder) -> bool:
    """Say whether an index was built with this model and this parser."""
    try:
        check_built(manifest, embedder)
    except IndexMismatch:
        return False
    return True
