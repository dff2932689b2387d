"""Connections to PostgreSQL: to one server at a time while it answers, to another of the address when it does not.

Every query of a generation says whether the server that answered holds that generation, so that a replica which lags behind,
or a new primary that never got it, is an error and not another answer.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

from rag.errors import DataError, IndexMissing, IndexStateError, StoreUnavailable

if TYPE_CHECKING:
    from psycopg import Connection

T = TypeVar("T")

# Sooner than the defaults: a server that is gone without a word is noticed within seconds.
_PATIENCE = {
    "connect_timeout": "3",
    "tcp_user_timeout": "5000",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
}
_SESSION = (
    "SET hnsw.iterative_scan = strict_order; SET hnsw.ef_search = 400; SET hnsw.max_scan_tuples = 200000"
)
_HOME = "SELECT current_schema(), split_part(current_setting('search_path'), ',', 1)"
_TOLD = re.compile('(?:: | in )".*')  # what the driver quotes of an address, which may be its password
_ADDRESS = "one like postgresql://user@host:5432/letters"
_IDLE = 8  # connections kept open
_MISSING = "there is no index in {}"


def driver() -> Any:
    """Return the driver.

    Raises:
        DataError: it is not installed.
    """
    try:
        import psycopg
    except ImportError as error:
        raise DataError(
            "RAG_STORE names PostgreSQL, but psycopg is not installed",
            "the extra for it",
            "run: pip install 'letter-rag[postgres]'",
        ) from error
    return psycopg


class Pool:
    """Connections for reading; any thread may use it.

    Attributes:
        place: the address without its password, fit to show.
    """

    def __init__(self, url: str) -> None:
        self._psycopg = driver()
        try:
            self._given: dict[str, Any] = self._psycopg.conninfo.conninfo_to_dict(url)
        except self._psycopg.ProgrammingError as error:
            said = _TOLD.sub("", " ".join(str(error).split()))
            raise DataError(f"RAG_STORE is no address of PostgreSQL ({said})", _ADDRESS) from None
        self.place = _shown(self._given)
        self._idle: list[Connection[Any]] = []
        self._pinned: dict[str, Any] = {}
        self._lock = Lock()

    def run(self, work: Callable[[Connection[Any]], T]) -> T:
        """Do something that only reads; it is done again when the server goes away meanwhile.

        Raises:
            StoreUnavailable: no server answers.
            IndexMissing: there is nothing of this program.
        """
        try:
            with self.session() as connection:
                return work(connection)
        except StoreUnavailable:
            with self.session() as connection:
                return work(connection)

    def row(self, query: str, values: dict[str, Any]) -> tuple[Any, ...]:
        """Return the one row of a query."""

        def asked(connection: Connection[Any]) -> tuple[Any, ...]:
            found: tuple[Any, ...] | None = connection.cursor(binary=True).execute(query, values).fetchone()
            assert found is not None
            return found

        return self.run(asked)

    @contextlib.contextmanager
    def session(self) -> Iterator[Connection[Any]]:
        """Give a connection, and take it back if it is whole.

        Raises:
            StoreUnavailable: the server does not answer, or went away.
            IndexMissing: there is nothing of this program.
            IndexStateError: it may not be read.
        """
        connection = self._take()
        try:
            yield connection
        except self._psycopg.errors.UndefinedTable as error:
            self._give(connection)
            raise IndexMissing(_MISSING.format(self.place), "one", "run: rag index") from error
        except (self._psycopg.OperationalError, self._psycopg.InterfaceError) as error:
            self._drop(connection)
            raise unreachable(self.place, error) from error
        except self._psycopg.Error as error:
            connection.close()
            raise IndexStateError(
                f"{self.place} cannot be read ({said_by(error)})",
                "a role that may read the tables of this program",
                "see docs/stores.md",
            ) from error
        except BaseException:
            connection.close()
            raise
        self._give(connection)

    def connect(self, **more: Any) -> Connection[Any]:
        """Open a connection of one's own.

        Raises:
            StoreUnavailable: no server answers.
            IndexStateError: the schema that the address names is not there.
            DataError: an option of the address is wrong.
        """
        known = {**_PATIENCE, "application_name": "letter-rag", **self._given, **more}
        try:
            with contextlib.ExitStack() as failed:
                connection: Connection[Any] = self._psycopg.connect(**known, autocommit=True)
                failed.callback(connection.close)
                self._prepare(connection)
                failed.pop_all()
                return connection
        except self._psycopg.OperationalError as error:
            raise unreachable(self.place, error) from error
        except self._psycopg.ProgrammingError as error:
            raise DataError(f"RAG_STORE cannot be used ({said_by(error)})", _ADDRESS) from error

    def _prepare(self, connection: Connection[Any]) -> None:
        """Set what sessions need; without the schema that is named first, the tables of another collection would be found."""
        with contextlib.suppress(self._psycopg.errors.UndefinedObject):
            connection.execute(_SESSION)
        here, first = connection.execute(_HOME).fetchone() or (None, "")
        named = first.strip()
        named = named[1:-1] if named.startswith('"') else named.lower()
        if here is None or named not in (here, "$user"):
            raise IndexStateError(
                f"{self.place} has no schema {first.strip()} that may be used",
                "the first of search_path",
                "make it (CREATE SCHEMA), or let this role into it",
            )

    def close(self) -> None:
        """Close what is open."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _take(self) -> Connection[Any]:
        with self._lock:
            if self._idle:
                return self._idle.pop()
            pinned = dict(self._pinned)
        try:
            connection = self.connect(**pinned)
        except StoreUnavailable:
            if not pinned:
                raise
            connection = self.connect()
        with self._lock:
            self._pinned = {"host": connection.info.host, "port": str(connection.info.port)}
        return connection

    def _give(self, connection: Connection[Any]) -> None:
        with self._lock:
            if len(self._idle) < _IDLE and not connection.closed:
                self._idle.append(connection)
                return
        connection.close()

    def _drop(self, connection: Connection[Any]) -> None:
        """Forget a server that went away, with all connections to it."""
        connection.close()
        with self._lock:
            self._pinned = {}
        self.close()


@lru_cache(maxsize=8)
def pool_of(url: str) -> Pool:
    """Return the pool for an address; there is one in a process."""
    return Pool(url)


def unreachable(place: str, error: Exception) -> StoreUnavailable:
    """The error for a server that does not answer."""
    return StoreUnavailable(f"{place} does not answer ({said_by(error)})", "a PostgreSQL server", "try again")


def said_by(error: Exception) -> str:
    """What the driver says, in one line of 200 characters at most."""
    return " ".join(str(error).split())[:200]


def _shown(given: dict[str, Any]) -> str:
    hosts = str(given.get("host") or "localhost").split(",")
    ports = str(given.get("port") or "5432").split(",")
    ports = ports if len(ports) == len(hosts) else ports[:1] * len(hosts)
    servers = ",".join(f"{host}:{port}" for host, port in zip(hosts, ports, strict=True))
    return f"postgresql://{servers}/{given.get('dbname') or ''}"
