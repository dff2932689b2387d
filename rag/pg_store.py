"""The store on PostgreSQL: one writer at a time on the primary, readers on it or on its replicas."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rag.derive import Progress, quiet
from rag.embed import Embedder
from rag.errors import IndexBusy, IndexMissing, IndexStateError, RagError, StoreUnavailable
from rag.keeper import Report
from rag.pg_catalogue import PgCatalogue
from rag.pg_index import EXACT, PgIndex, read_generation
from rag.pg_pool import Pool, driver, pool_of, said_by, unreachable
from rag.pg_writer import Publisher
from rag.store import check_built

if TYPE_CHECKING:
    from psycopg import Connection

_LOCK = "hashtext('letter-rag'), hashtext(current_schema())"
_ALIVE = "SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3"
_LOOK = 0.1  # seconds between two tries for the lock, or two looks whether a replica has caught up
_CAUGHT_UP_S = 10.0  # how long a writer waits for its replica
_HOLDER = """
SELECT application_name FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND granted AND classid = hashtext('letter-rag')::oid AND objid = hashtext(current_schema())::oid
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""


@dataclass(frozen=True, slots=True)
class PgKeeper:
    """Whoever changes a collection in PostgreSQL; the counterpart of :class:`rag.keeper.Keeper`."""

    pool: Pool
    embedder: Embedder
    wait_s: float | None = None
    waiting: Callable[[str], None] = lambda _: None
    progress: Progress = quiet
    exact: int = EXACT

    @contextlib.contextmanager
    def writing(self) -> Iterator[PgCatalogue]:
        """Hold the lock and the catalogue, on the primary.

        Raises:
            IndexBusy: another writer held the lock all the time.
            StoreUnavailable: there is no primary that answers.
        """
        name = f"letter-rag process {os.getpid()} on {socket.gethostname()}"
        connection = self.pool.connect(target_session_attrs="read-write", application_name=name)
        with contextlib.closing(connection), _told(self.pool.place):
            connection.execute(
                _ALIVE
            )  # the lock of a machine that is gone without a word is free within seconds
            self._lock(connection)
            catalogue = PgCatalogue(connection)
            catalogue.set_up()
            yield catalogue

    @contextlib.contextmanager
    def following(self, *, rebuild: bool, verify: bool) -> Iterator[PgCatalogue]:
        """Hold the lock and the catalogue; PostgreSQL itself sees to what is damaged."""
        del rebuild, verify
        with self.writing() as catalogue:
            yield catalogue

    def check_state(self, catalogue: PgCatalogue) -> None:
        """Check that what is there is of this model and parser.

        Raises:
            IndexMismatch: naming what differs and the command that repairs it.
        """
        if catalogue.connection.execute("SELECT FROM generations").fetchone() is not None:
            check_built(read_generation(catalogue.connection, self.pool.place)[1], self.embedder)

    def publish(self, catalogue: PgCatalogue, report: Report, *, anew: bool = False) -> Report:
        """Make the generation, in one transaction, and note it in the report."""
        Publisher(catalogue, self.embedder, self.progress, self.exact).publish(anew=anew)
        manifest = read_generation(catalogue.connection, self.pool.place)[1]
        report.generation = manifest["generation"]
        report.letters, report.measures = manifest["letters"], manifest["measures"]
        return report

    def tidy(self) -> None:
        """Join small chunks of postings when there are many; nothing is done while another writes."""
        with replace(self, wait_s=0.0).writing() as catalogue:
            while Publisher(catalogue, self.embedder, self.progress).tidy():
                pass

    def _lock(self, connection: Connection[Any]) -> None:
        end = None if self.wait_s is None else time.monotonic() + self.wait_s
        told = False
        while connection.execute(f"SELECT pg_try_advisory_lock({_LOCK})").fetchone() != (True,):
            found = connection.execute(_HOLDER).fetchone()
            holder = str(found[0]) if found else "another process"
            if end is not None and time.monotonic() >= end:
                raise IndexBusy(
                    f"{self.pool.place} is being written by {holder}", "no other writer", "try again"
                )
            if not told:
                self.waiting(holder)
                told = True
            time.sleep(_LOOK)


@contextlib.contextmanager
def _told(place: str) -> Iterator[None]:
    """Turn an error of the driver into one line."""
    psycopg = driver()
    try:
        yield
    except psycopg.OperationalError as error:
        raise unreachable(place, error) from error
    except psycopg.Error as error:
        raise IndexStateError(
            f"{place} cannot be written ({said_by(error)})",
            "PostgreSQL 14 or later with the extension vector, and a role that may create tables",
            "see docs/stores.md",
        ) from error


class PgStore:
    """Letters in PostgreSQL.

    Args:
        url: the address.
        exact: texts that are all compared; above, HNSW chooses which.

    Attributes:
        place: the address, without its password.
    """

    def __init__(self, url: str, exact: int = EXACT) -> None:
        self._pool = pool_of(url)
        self._exact = exact
        self.place = self._pool.place

    def named(self) -> str:
        """Return the name of the newest generation; empty when there is none or no server answers."""
        try:
            return str(self._pool.run(lambda c: read_generation(c, self.place)[1]["generation"]))
        except RagError:
            return ""

    def check(self) -> None:
        """PostgreSQL itself sees to what is damaged."""
        self.reach()

    def reach(self) -> None:
        """Look whether a server answers.

        Raises:
            StoreUnavailable: none does.
        """
        self._pool.row("SELECT 1", {})

    def open(self, embedder: Embedder, old: Any = None) -> PgIndex:
        """Open the newest generation, with what is taken over from an open one."""
        return PgIndex.open(self._pool, embedder, old if isinstance(old, PgIndex) else None, self._exact)

    def keeper(
        self,
        embedder: Embedder,
        *,
        wait_s: float | None = None,
        waiting: Callable[[str], None] = lambda _: None,
        progress: Progress | None = None,
    ) -> PgKeeper:
        """Return who changes this collection."""
        return PgKeeper(self._pool, embedder, wait_s, waiting, progress or quiet, self._exact)

    @contextlib.contextmanager
    def records(self) -> Iterator[PgCatalogue]:
        """Give the catalogue, for reading."""
        with self._pool.session() as connection:
            read_generation(connection, self.place)
            yield PgCatalogue(connection)

    def settle(self, generation: str) -> None:
        """Wait until the server that is read from holds a generation that was just made.

        Raises:
            StoreUnavailable: it does not get there.
        """
        end = time.monotonic() + _CAUGHT_UP_S
        while time.monotonic() < end:
            with contextlib.suppress(IndexMissing):  # a replica may lack the tables too
                (there,) = self._pool.row(
                    "SELECT EXISTS (SELECT FROM generations WHERE token = %(token)s)", {"token": generation}
                )
                if there:
                    return
            time.sleep(_LOOK)
        raise StoreUnavailable(
            f"the server of {self.place} that is read from lacks {generation}",
            "a replica that follows",
            "try again",
        )
