"""What stands before every request: the name it is sent to, how many of them, how large and how slow their bodies are.

Everything is decided before the application reads a byte of the body.
"""

from __future__ import annotations

import asyncio
import ipaddress
import math
import time
from collections import Counter, OrderedDict

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rag.problems import problem
from rag.settings import Settings

MAX_BODY_BYTES = 256 * 1024
_FORM_BYTES = 16 * 1024  # what a form adds to the file in it
_BODY_SECONDS = 30  # between two pieces of a body
_CLIENTS = 10_000  # clients that are remembered
_UNCOUNTED = ("/healthz", "/readyz", "/metrics", "/web/")
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


class Rates:
    """A bucket of tokens a client: full at first, filled again evenly; who is forgotten has a full one."""

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, client: str, now: float) -> float:
        """Take a token; return 0, or the seconds until there is one."""
        if not self.per_minute:
            return 0.0
        burst, refill = float(self.per_minute), self.per_minute / 60
        tokens, at = self._buckets.pop(client, (burst, now))
        tokens = min(burst, tokens + (now - at) * refill)
        enough = tokens >= 1
        self._buckets[client] = (tokens - enough, now)
        if len(self._buckets) > _CLIENTS:
            self._buckets.popitem(last=False)
        return 0.0 if enough else (1 - tokens) / refill


class Guard:
    """ASGI middleware; see the settings for its limits."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.settings = settings
        self.hosts = _hosts(settings)
        self.rates = Rates(settings.requests_per_minute)
        self.running: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it with a problem."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        limit = self._body_limit(scope)
        refusal = self._wrong_host(scope, headers) or _too_large(scope, headers, limit)
        if refusal is not None:
            await refusal(scope, receive, send)
        elif scope["path"] == "/" or scope["path"].startswith(_UNCOUNTED):
            await self.app(scope, _limited(receive, limit), send)
        else:
            await self._counted(scope, _limited(receive, limit), send)

    async def _counted(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = client_of(scope)
        if wait := self.rates.take(client, time.monotonic()):
            most = f"at most {self.settings.requests_per_minute} a minute"
            await _later(scope, 429, f"too many requests; {most}", wait)(scope, receive, send)
            return
        if self.running[client] >= self.settings.client_concurrency:
            most = f"at most {self.settings.client_concurrency} at once"
            await _later(scope, 429, f"too many requests at once; {most}", 1)(scope, receive, send)
            return
        if self.running.total() >= self.settings.max_concurrency:
            await _later(scope, 503, "the service is busy; try again soon", 1)(scope, receive, send)
            return
        self.running[client] += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self.running[client] -= 1
            if not self.running[client]:
                del self.running[client]

    def _body_limit(self, scope: Scope) -> int:
        upload = scope["method"] == "POST" and scope["path"] == "/letters"
        return (self.settings.max_upload_mib << 20) + _FORM_BYTES if upload else MAX_BODY_BYTES

    def _wrong_host(self, scope: Scope, headers: Headers) -> ASGIApp | None:
        host = headers.get("host", "")
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        if not self.hosts or name.lower() in self.hosts:
            return None
        return problem(scope, 400, "the service does not answer to that host name; set RAG_ALLOWED_HOSTS")


def client_of(scope: Scope) -> str:
    """Who asks: an address of IPv4, or a network of 64 bits of IPv6, which one house has for itself."""
    host = scope["client"][0] if scope.get("client") else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return str(host)
    if address.version == 6:
        return str(ipaddress.ip_network((int(address) >> 64 << 64, 64)))
    return str(address)


def is_loopback(host: str) -> bool:
    """Whether an address to listen on can be reached from this machine alone."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _hosts(settings: Settings) -> frozenset[str]:
    """The names answered to; on loopback others are refused, so that no page on the web can have them point here."""
    names = settings.allowed_hosts or (_LOOPBACK if is_loopback(settings.host) else ())
    return frozenset() if "*" in names else frozenset(n.lower() for n in names)


def _too_large(scope: Scope, headers: Headers, limit: int) -> ASGIApp | None:
    length = headers.get("content-length", "0")
    if length.isascii() and length.isdigit() and len(length) < 20 and int(length) <= limit:
        return None
    return problem(scope, 413, f"the body is too large; at most {limit:,} bytes are read")


def _later(scope: Scope, status: int, detail: str, seconds: float) -> ASGIApp:
    return problem(scope, status, detail, headers={"Retry-After": str(max(1, math.ceil(seconds)))})


def _limited(receive: Receive, limit: int) -> Receive:
    """Give up on a body that grows over the limit, whatever its length was said to be, or that stops coming."""
    count, whole = 0, False

    async def receiving() -> Message:
        nonlocal count, whole
        if whole:
            return await receive()
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                message = await receive()
        except TimeoutError:
            raise HTTPException(408, "the body did not come in time") from None
        count += len(message.get("body", b""))
        whole = not message.get("more_body", False)
        if count > limit:
            raise HTTPException(413, f"the body is too large; at most {limit:,} bytes are read")
        return message

    return receiving
