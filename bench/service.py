"""The service under load and under attack, on this machine; nothing is sent anywhere but to 127.0.0.1.

``load``: 32 clients ask over HTTP, in slices that alternate between the service and a bare FastAPI endpoint with the same
work; throughput, times, errors and memory of both. ``hostile``: 10,000 requests that no honest client sends, with 200
connections that never finish theirs. ``fuzz``: schemathesis over the OpenAPI document (``--schemathesis PATH`` names the
command, installed in an environment of its own). Prints JSON, and writes it to ``bench/out/service-….json``.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import math
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
QUESTIONS = ("零工驿站建了多少家?", "今年上半年新增就业多少人?", "走访企业多少家?", "北京有多少家零工驿站?")
BARE = """
from fastapi import FastAPI
from pydantic import BaseModel
from rag.engine import Engine

class Asked(BaseModel):
    question: str

app = FastAPI()
engine = Engine.open()

@app.post("/chat")
def chat(asked: Asked):
    return engine.ask(asked.question).as_dict()
"""


def main() -> int:
    """Run one of the three."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=("load", "hostile", "fuzz"))
    parser.add_argument("--seconds", type=float, default=60, help="load: for each of the two")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--requests", type=int, default=10_000, help="hostile: how many")
    parser.add_argument("--schemathesis", default="schemathesis", help="fuzz: the command")
    parser.add_argument("--examples", type=int, default=620, help="fuzz: cases for each operation")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        report = {"load": load, "hostile": hostile, "fuzz": fuzz}[options.what](options, Path(scratch))
    (HERE / "out").mkdir(exist_ok=True)
    text = json.dumps(report, indent=1, ensure_ascii=False)
    (HERE / "out" / f"service-{options.what}.json").write_text(text + "\n", encoding="utf-8")
    print(text)
    return 0


@contextlib.contextmanager
def running(scratch: Path, *command: str, port: int, path: str) -> Iterator[tuple[int, float]]:
    """Run a server; give its process id and the seconds until ``path`` answered."""
    scratch.mkdir(parents=True, exist_ok=True)
    plain = {k: v for k, v in os.environ.items() if not k.startswith("RAG_")}
    plain |= {
        "RAG_INDEX_DIR": str(scratch.parent / "index"),
        "RAG_SEEDS_DIR": str(scratch.parent / "seeds"),
        "RAG_KEYS_FILE": str(scratch.parent / "keys.json"),
        "RAG_REQUESTS_PER_MINUTE": "0",
        "RAG_CLIENT_CONCURRENCY": "1000",
        "RAG_MAX_CONCURRENCY": "1000",
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONPATH": f"{scratch}:{ROOT}",
    }
    with (scratch / "log").open("w") as log:
        started = time.perf_counter()
        process = subprocess.Popen([sys.executable, *command], cwd=scratch, env=plain, stderr=log, stdout=log)
        try:
            while asyncio.run(_get(port, path)) != 200:
                if process.poll() is not None or time.perf_counter() - started > 60:
                    raise SystemExit((scratch / "log").read_text(encoding="utf-8"))
                time.sleep(0.02)
            yield process.pid, time.perf_counter() - started
        finally:
            process.terminate()
            process.wait(60)


def prepare(scratch: Path, *, more: bool = False) -> None:
    """An index of the letters in ``seeds/``, and of those of the tests if ``more``, in a folder of its own."""
    shutil.copytree(ROOT / "seeds", scratch / "seeds")
    for file in sorted((ROOT / "tests" / "letters").glob("*.txt")) if more else ():
        shutil.copy(file, scratch / "seeds")
    command = [sys.executable, "-m", "rag.cli", "index", str(scratch / "seeds")]
    environment = {**os.environ, "RAG_INDEX_DIR": str(scratch / "index"), "PYTHONPATH": str(ROOT)}
    subprocess.run(command, cwd=scratch, env=environment, check=True, capture_output=True)


def service(scratch: Path, port: int) -> contextlib.AbstractContextManager[tuple[int, float]]:
    """The product's own server."""
    return running(
        scratch / "service", "-m", "rag.cli", "serve", "--port", str(port), port=port, path="/readyz"
    )


def load(options: argparse.Namespace, scratch: Path) -> dict:
    """Alternate slices of five seconds between the service and the bare endpoint."""
    prepare(scratch)
    (scratch / "bare").mkdir()
    (scratch / "bare" / "bare.py").write_text(BARE, encoding="utf-8")
    ports = {"service": free_port(), "bare": free_port()}
    bare = ("-m", "uvicorn", "bare:app", "--port", str(ports["bare"]), "--log-level", "warning")
    found: dict[str, list[float]] = {"service": [], "bare": []}
    errors: Counter[str] = Counter()
    spent: Counter[str] = Counter()
    with (
        service(scratch, ports["service"]) as (pid, ready),
        running(scratch / "bare", *bare, port=ports["bare"], path="/openapi.json") as (bare_pid, _),
    ):
        pids = {"service": pid, "bare": bare_pid}
        for port in ports.values():
            asyncio.run(_ask(port, options.clients, 5))  # warm
        before = {name: memory(p) for name, p in pids.items()}
        for _ in range(max(1, round(options.seconds / 5))):
            for name, port in ports.items():
                begun = time.perf_counter()
                times, wrong = asyncio.run(_ask(port, options.clients, 5))
                spent[name] += time.perf_counter() - begun
                found[name] += times
                errors[name] += wrong
        after = {name: memory(p) for name, p in pids.items()}
    report: dict = {"clients": options.clients, "cores": os.cpu_count(), "seconds_to_ready": round(ready, 2)}
    for name, times in found.items():
        times.sort()
        report[name] = {
            "requests": len(times),
            "per_second": round(len(times) / spent[name], 1),
            "p50_ms": round(1000 * rank(times, 0.5), 1),
            "p99_ms": round(1000 * rank(times, 0.99), 1),
            "errors": errors[name],
            "memory_mib": [round(before[name], 1), round(after[name], 1)],
        }
    first, second = report["service"], report["bare"]
    report["throughput_of_bare"] = round(first["per_second"] / second["per_second"], 3)
    report["p99_of_bare"] = round(first["p99_ms"] / second["p99_ms"], 3)
    report["memory_after_of_before"] = round(after["service"] / before["service"], 3)
    return report


async def _ask(port: int, clients: int, seconds: float) -> tuple[list[float], int]:
    """Keep this many connections asking; return the times of the answers in seconds, and how many were wrong."""
    until = time.perf_counter() + seconds
    times: list[float] = []
    wrong = 0

    async def client(n: int) -> None:
        nonlocal wrong
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.perf_counter() < until:
            body = json.dumps({"question": QUESTIONS[n % len(QUESTIONS)]}).encode()
            n += 1
            started = time.perf_counter()
            writer.write(_head("POST", "/chat", len(body)) + body)
            status, content = await _response(reader)
            times.append(time.perf_counter() - started)
            wrong += status != 200 or b'"confidence"' not in content
        writer.close()

    await asyncio.gather(*(client(n) for n in range(clients)))
    return times, wrong


def _head(method: str, path: str, length: int) -> bytes:
    return (
        f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Content-Length: {length}\r\n\r\n"
    ).encode()


async def _response(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    status = int(head.split()[1])
    length = next((x for x in head.split("\r\n") if x.startswith("content-length:")), "content-length: 0")
    return status, await reader.readexactly(int(length.partition(":")[2]))


async def _get(port: int, path: str) -> int:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(_head("GET", path, 0))
        status, _ = await _response(reader)
        writer.close()
    except (OSError, asyncio.IncompleteReadError):
        return 0
    return status


def hostile(options: argparse.Namespace, scratch: Path) -> dict:
    """Send what no honest client sends; count what comes back, and see whether the service lives and stays small."""
    prepare(scratch)
    port = free_port()
    with service(scratch, port) as (pid, _):
        counts: Counter[str] = Counter()
        grown = []
        for part in range(4):  # the first warms it up
            counts += asyncio.run(_attack(port, options.requests // 4, 200, seed=part))
            grown.append(round(memory(pid), 1))
        alive, wrong = asyncio.run(_ask(port, 1, 1))
        log = (scratch / "service" / "log").read_text(encoding="utf-8", errors="replace")
    return {
        "requests": options.requests,
        "replies": dict(sorted(counts.items())),
        "alive_after": bool(alive) and not wrong,
        "memory_mib_after_each_quarter": grown,
        "unexpected_errors_logged": log.count("unexpected error"),
    }


async def _attack(port: int, requests: int, slow: int, seed: int) -> Counter[str]:
    """The statuses that came back; ``closed``: ended without one; ``waiting``: given up after two seconds."""
    rng = random.Random(seed)
    counts: Counter[str] = Counter()
    queue = iter([_hostile(rng) for _ in range(requests)])
    held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(slow)]
    for _, writer in held:
        writer.write(b"POST /chat HTTP/1.1\r\nHost: 127.0.0.1\r\nX-")

    async def worker() -> None:
        for sent in queue:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(sent)
                head = await asyncio.wait_for(reader.read(65536), 2)
                counts[head.split(b" ")[1].decode() if head.startswith(b"HTTP/1.1 ") else "closed"] += 1
                writer.close()
            except TimeoutError:  # it waits for the rest, which never comes
                counts["waiting"] += 1
                writer.transport.abort()
            except OSError:
                counts["closed"] += 1

    await asyncio.gather(*(worker() for _ in range(32)))
    for _, writer in held:
        writer.close()
    return counts


def _hostile(rng: random.Random) -> bytes:
    """One request out of twenty kinds."""
    host = b"Host: 127.0.0.1\r\n"
    post = b"POST /chat HTTP/1.1\r\n" + host + b"Content-Type: application/json\r\n"
    noise = rng.randbytes(rng.randrange(1, 2000))

    def body(content: bytes) -> bytes:
        return post + b"Content-Length: %d\r\n\r\n" % len(content) + content

    path = rng.choice(
        [
            "../../etc/passwd",
            "%2e%2e/%2e%2e/",
            "web/..%2f..%2fsettings.py",
            "letters/%00",
            "letters/" + "%ff" * 50,
        ]
    )
    name = json.dumps("".join(rng.choices("\u202e\x00<>'\"\\/复函\ud800🙂", k=40))).encode()
    kinds = [
        noise,
        b"\x16\x03\x01" + noise,
        b"GET /" + path.encode() + b" HTTP/1.1\r\n" + host + b"\r\n",
        b"GET /" + b"a" * rng.randrange(60_000) + b" HTTP/1.1\r\n" + host + b"\r\n",
        b"GET / HTTP/1.1\r\n" + host + b"X: " + b"x" * rng.randrange(200_000) + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + host + b"".join(b"X%d: y\r\n" % n for n in range(rng.randrange(2000))) + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + host + host + b"\r\n",
        post + b"Content-Length: 9999999999\r\n\r\n" + noise,
        post + b"Content-Length: -1\r\n\r\n" + noise,
        post + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        post + b"Transfer-Encoding: chunked\r\n\r\n" + b"ffff\r\n" + b"x" * 65535 + b"\r\n0\r\n\r\n",
        post + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + noise,
        body(noise),
        body(b"[" * rng.randrange(1, 60_000)),
        body(b'{"question": ' + name + b"}"),
        body(b'{"question": "' + b"x" * rng.randrange(250_000) + b'"}'),
        body(b'{"question": "beds?", "k": ' + b"9" * rng.randrange(1, 9000) + b"}"),
        b"POST /letters HTTP/1.1\r\n" + host + b"Content-Type: multipart/form-data; boundary=" + noise.hex().encode()
        + b"\r\nContent-Length: %d\r\n\r\n" % len(noise) + noise,
        b"POST /v1/chat/completions HTTP/1.1\r\n" + host + b"Authorization: Bearer " + b"k" * rng.randrange(9000)
        + b'\r\nContent-Type: application/json\r\nContent-Length: 41\r\n\r\n{"messages": [{"role": "x", "content": 5}]}',
    ]  # fmt: skip
    return rng.choice(kinds)


def fuzz(options: argparse.Namespace, scratch: Path) -> dict:
    """Let schemathesis make requests of the OpenAPI document, with a key, and check every reply against it."""
    prepare(scratch, more=True)  # removing the one that the examples name leaves others
    port = free_port()
    environment = {**os.environ, "RAG_KEYS_FILE": str(scratch / "keys.json"), "PYTHONPATH": str(ROOT)}
    made = subprocess.run(
        [sys.executable, "-m", "rag.cli", "key", "new"],
        cwd=scratch, env=environment, check=True, capture_output=True, text=True,
    )  # fmt: skip
    checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
    with service(scratch, port):
        done = subprocess.run(
            [
                *(options.schemathesis, "run", f"http://127.0.0.1:{port}/openapi.json", "--checks", checks),
                *("--max-examples", str(options.examples), "--continue-on-failure", "--no-color", "--seed", "7"),
                *("-H", f"Authorization: Bearer {made.stdout.strip()}", "--phases", "examples,coverage,fuzzing"),
            ],
            cwd=scratch, capture_output=True, text=True, check=False,
        )  # fmt: skip
    return {"exit": done.returncode, "told": done.stdout.splitlines()[-60:]}


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def memory(pid: int) -> float:
    """Resident memory of a process, in MiB."""
    import psutil

    return float(psutil.Process(pid).memory_info().rss) / (1 << 20)


def rank(ordered: list[float], share: float) -> float:
    """The smallest value that is not under ``share`` of them (nearest rank)."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


if __name__ == "__main__":
    sys.exit(main())
