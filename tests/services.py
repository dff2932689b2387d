"""A small HTTP service that speaks the OpenAI protocol, or fails to in the ways that real ones do."""

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Service(ThreadingHTTPServer):
    """Answers with ``behave(handler, request)``; keeps the requests and the headers they came with."""

    daemon_threads = True

    def __init__(self, behave):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behave = behave
        self.requests = []
        self.headers = []
        self.released = threading.Event()

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request, client_address):
        """A client that goes away is no failure of the test."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append(json.loads(body))
        self.server.headers.append({k.lower(): v for k, v in self.headers.items()})
        self.server.behave(self, self.server.requests[-1])

    def log_message(self, *_):
        """Quiet."""

    def plain(self, status, text, kind="application/json", **headers):
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def begin(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def chunk(self, text):
        data = text.encode()
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def delta(self, text, finish=None):
        choice = {"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": finish}
        whole = {
            "id": "1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "m",
            "choices": [choice],
        }
        self.chunk(f"data: {json.dumps(whole)}\n\n")


@contextlib.contextmanager
def serving(behave):
    """Run a service as long as the block lasts."""
    service = Service(behave)
    thread = threading.Thread(target=service.serve_forever, daemon=True)
    thread.start()
    try:
        yield service
    finally:
        service.released.set()
        service.shutdown()
        service.server_close()
        thread.join()


def writes(text, piece=4):
    """Stream a text."""

    def behave(handler, _):
        handler.begin()
        for at in range(0, len(text), piece):
            handler.delta(text[at : at + piece])
        handler.delta("", "stop")
        handler.chunk("data: [DONE]\n\n")
        handler.chunk("")

    return behave


def status(code, text='{"error": {"message": "secret-of-the-service"}}', **headers):
    """Answer with an HTTP status."""
    return lambda handler, _: handler.plain(code, text, **headers)


def page(handler, _):
    """Answer with a web page, as a proxy's login does."""
    handler.plain(200, "<html><body>Please log in: secret-of-the-service</body></html>", "text/html")


def breaks_off(text):
    """Stream a text and cut the connection."""

    def behave(handler, _):
        handler.begin()
        for c in text:
            handler.delta(c)
        handler.close_connection = True
        handler.connection.shutdown(2)

    return behave


def silent(handler, _):
    """Say nothing until the test is over."""
    handler.server.released.wait(60)


def trickles(handler, _):
    """Stream one character after the other, without end, until the test is over."""
    handler.begin()
    with contextlib.suppress(OSError):
        while not handler.server.released.wait(0.05):
            handler.delta("字")


def in_turn(*behaviours):
    """One behaviour a request, the last one again and again."""
    left = list(behaviours)

    def behave(handler, request):
        (left.pop(0) if len(left) > 1 else left[0])(handler, request)

    return behave
