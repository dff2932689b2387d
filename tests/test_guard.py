"""What stands before every request.

Contract: who asks too much is told when to come back, and nobody else suffers; a name that is not the service's is not
answered; every reply, errors too, carries the security headers and an id.
"""

import asyncio

import pytest
from fakes import assert_problem
from fastapi.testclient import TestClient

from rag.api import create_app
from rag.guard import Guard, Rates, client_of, is_loopback
from rag.keys import Keys
from rag.settings import Settings

ASKED = {"question": "家庭养老床位每张一次性建设补贴多少钱？"}


@pytest.fixture
def opened(library, embedder, tmp_path):
    """Opens a client of a service with these settings."""
    clients = []

    def open_client(base_url="http://127.0.0.1", **settings):
        settings = {"index_dir": library, "keys_file": tmp_path / "keys.json", "_env_file": None} | settings
        app = create_app(Settings(**settings), embedder)
        client = TestClient(app, base_url=base_url, raise_server_exceptions=False)
        clients.append(client.__enter__())
        return client

    yield open_client
    for client in clients:
        client.__exit__(None, None, None)


def test_bucket_gives_its_tokens_at_once_and_then_evenly():
    rates = Rates(60)
    assert [rates.take("a", 0.0) for _ in range(60)] == [0.0] * 60
    assert rates.take("a", 0.0) == 1.0
    assert rates.take("a", 0.5) == 0.5
    assert rates.take("a", 1.0) == 0.0
    assert rates.take("b", 1.0) == 0.0


def test_zero_is_no_limit():
    assert [Rates(0).take("a", 0.0) for _ in range(1000)] == [0.0] * 1000


def test_clients_that_are_remembered_are_limited():
    rates = Rates(60)
    for n in range(20_000):
        rates.take(str(n), 0.0)
    assert len(rates._buckets) == 10_000


def test_too_many_requests_are_429_with_the_time_to_wait(opened):
    client = opened(requests_per_minute=2)
    assert [client.get("/letters").status_code for _ in range(2)] == [200, 200]
    response = client.get("/letters")
    assert_problem(response, 429, "Too Many Requests", "at most 2 a minute")
    assert 1 <= int(response.headers["retry-after"]) <= 30
    for path in ("/healthz", "/readyz", "/metrics", "/", "/web/main.js"):
        assert client.get(path).status_code == 200


async def _at_once(guard, addresses):
    """Send a request from each address while the earlier ones still run; return the status of each."""
    statuses, gate = {}, asyncio.Event()

    async def send_from(n, address):
        async def send(message):
            if message["type"] == "http.response.start":
                statuses[n] = message["status"]

        async def receive():
            return {"type": "http.request", "body": b"", "more_body": False}

        scope = {
            "type": "http",
            "method": "GET",
            "path": "/letters",
            "headers": [(b"host", b"127.0.0.1")],
            "client": (address, 1),
        }
        await guard(scope, receive, send)

    async def application(scope, receive, send):
        await gate.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})

    guard.app = application
    tasks = [asyncio.create_task(send_from(n, a)) for n, a in enumerate(addresses)]
    await asyncio.sleep(0.05)
    gate.set()
    await asyncio.gather(*tasks)
    assert guard.running.total() == 0
    return [statuses[n] for n in range(len(addresses))]


def test_one_client_at_once_is_limited_and_others_are_not():
    guard = Guard(None, Settings(client_concurrency=2, _env_file=None))
    addresses = ["10.0.0.1"] * 3 + ["10.0.0.2"]
    assert asyncio.run(_at_once(guard, addresses)) == [200, 200, 429, 200]


def test_overload_is_sent_away_and_does_not_grow():
    guard = Guard(None, Settings(max_concurrency=3, _env_file=None))
    addresses = [f"10.0.0.{n}" for n in range(5)]
    assert asyncio.run(_at_once(guard, addresses)) == [200, 200, 200, 503, 503]


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("10.1.2.3", "10.1.2.3"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("testclient", "testclient"),
    ],
)
def test_client_is_an_address_or_a_network_of_ipv6(address, client):
    assert client_of({"client": (address, 5)}) == client


def test_client_of_a_socket_without_address_is_empty():
    assert client_of({"client": None}) == ""


@pytest.mark.parametrize(
    ("host", "alone"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("example.org", False)],
)
def test_loopback_is_told_from_other_addresses(host, alone):
    assert is_loopback(host) is alone


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "localhost.evil", "[::2]"])
def test_on_loopback_other_names_are_refused(opened, host):
    assert_problem(opened().get("/letters", headers={"host": host}), 400, "Bad Request", "RAG_ALLOWED_HOSTS")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1:99", "[::1]:8000", "[::1]"])
def test_on_loopback_its_own_names_are_answered(opened, host):
    assert opened().get("/healthz", headers={"host": host}).status_code == 200


def test_names_are_those_of_the_setting(opened):
    client = opened(allowed_hosts=["letters.example"], host="0.0.0.0")
    assert client.get("/healthz", headers={"host": "letters.example:80"}).status_code == 200
    assert client.get("/healthz", headers={"host": "127.0.0.1"}).status_code == 400
    assert opened(host="0.0.0.0").get("/healthz", headers={"host": "any"}).status_code == 200


@pytest.mark.parametrize("path", ["/", "/web/main.js", "/letters", "/nowhere", "/chat"])
def test_every_reply_has_the_security_headers_and_an_id(opened, path):
    headers = opened().get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert len(headers["x-request-id"]) == 32


def test_other_origins_are_told_nothing_unless_set(opened):
    origin = {"origin": "https://desk.example"}
    assert "access-control-allow-origin" not in opened().get("/letters", headers=origin).headers
    client = opened(cors_origins=["https://desk.example"])
    assert client.get("/letters", headers=origin).headers["access-control-allow-origin"] == origin["origin"]
    assert (
        "access-control-allow-origin" not in client.get("/letters", headers={"origin": "https://x"}).headers
    )


@pytest.mark.parametrize("length", ["-1", "x", "9" * 30, "262145", "１２"])
def test_length_that_is_none_or_too_large_is_413_before_the_body_is_read(opened, length):
    headers = {b"content-length": length.encode()}
    assert_problem(opened().post("/chat", content=b"{}", headers=headers), 413, "Request Entity Too Large")


READS = ["/letters", "/letters/dongze-env", "/search?q=补助", "/suggestions", "/v1/models", "/metrics"]


@pytest.mark.parametrize("path", READS)
def test_reading_needs_a_key_where_that_is_set(opened, tmp_path, path):
    client = opened(read_needs_key=True)
    assert_problem(client.get(path), 403, "Forbidden", "rag key new")
    _, secret = Keys(tmp_path / "keys.json").new()
    response = client.get(path)
    assert_problem(response, 401, "Unauthorized", "needs a key")
    assert response.headers["www-authenticate"] == "Bearer"
    assert_problem(client.get(path, headers={"authorization": "Bearer rag-x"}), 401, "Unauthorized")
    assert client.get(path, headers={"authorization": f"Bearer {secret}"}).status_code == 200


def test_asking_needs_a_key_where_that_is_set(opened, tmp_path):
    client = opened(read_needs_key=True)
    _, secret = Keys(tmp_path / "keys.json").new()
    completion = {"messages": [{"role": "user", "content": ASKED["question"]}]}
    mcp = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    for path, body in (("/chat", ASKED), ("/v1/chat/completions", completion), ("/mcp", mcp)):
        assert_problem(client.post(path, json=body), 401, "Unauthorized")
        headers = {"authorization": f"Bearer {secret}", "accept": "application/json, text/event-stream"}
        assert client.post(path, json=body, headers=headers).status_code == 200


def test_page_and_states_never_need_a_key(opened):
    client = opened(read_needs_key=True)
    for path in ("/", "/web/main.js", "/healthz", "/readyz"):
        assert client.get(path).status_code == 200


def test_files_of_the_page_are_asked_for_again_and_sent_only_when_they_changed(opened):
    first = opened().get("/web/main.js")
    assert first.headers["cache-control"] == "no-cache"
    again = opened().get("/web/main.js", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "path", ["/web/../api.py", "/web/%2e%2e/api.py", "/web/..%2fapi.py", "/web//etc/passwd", "/web/%00"]
)
def test_only_files_of_the_page_are_served(opened, path):
    assert opened().get(path).status_code in (400, 404)
