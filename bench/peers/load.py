"""Clients that ask over HTTP on kept connections, and what a server spends on them; nothing but the standard library."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def server(command: Sequence[str], folder: Path, env: dict[str, str], port: int) -> Iterator[int]:
    """Run a server until the caller is done; give its process id once it answers.

    Raises:
        SystemExit: it ended, or did not answer within two minutes; with its log.
    """
    log = folder / f"server-{port}.log"
    with log.open("w") as out:
        process = subprocess.Popen(command, cwd=folder, env=env, stdout=out, stderr=out)
    try:
        until = time.monotonic() + 120
        while not asyncio.run(_answers(port)):
            if process.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"{command} does not serve: {log.read_text(encoding='utf-8')[-2000:]}")
            time.sleep(0.1)
        yield process.pid
    finally:
        process.terminate()
        process.wait(60)


async def _answers(port: int) -> bool:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        status, _ = await _ask(reader, writer, "在吗?")
        writer.close()
    except (OSError, asyncio.IncompleteReadError):
        return False
    return status == 200


def hammer(port: int, questions: Sequence[str], clients: int, seconds: float) -> tuple[list[float], int]:
    """Keep so many clients asking; return the times of the answers in milliseconds, and how many replies were no answer."""
    return asyncio.run(_hammer(port, questions, clients, seconds))


async def _hammer(
    port: int, questions: Sequence[str], clients: int, seconds: float
) -> tuple[list[float], int]:
    until = time.perf_counter() + seconds
    times: list[float] = []
    wrong = 0

    async def client(n: int) -> None:
        nonlocal wrong
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.perf_counter() < until:
            started = time.perf_counter()
            status, content = await _ask(reader, writer, questions[n % len(questions)])
            times.append(1000 * (time.perf_counter() - started))
            wrong += status != 200 or len(content) < 20
            n += clients
        writer.close()

    await asyncio.gather(*(client(n) for n in range(clients)))
    return times, wrong


async def _ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, question: str
) -> tuple[int, bytes]:
    body = json.dumps({"question": question}).encode()
    head = "POST /chat HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = next(line for line in answer.split("\r\n") if line.startswith("content-length:"))
    return int(answer.split()[1]), await reader.readexactly(int(length.partition(":")[2]))


def spent(pid: int) -> float:
    """CPU seconds of a process and those it started, so far."""
    total = 0.0
    for one in family(pid):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{one}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            total += (int(fields[11]) + int(fields[12])) / _TICK
    return total


def memory(pid: int) -> float:
    """MiB that a process and those it started hold; what they share is counted once."""
    total = 0
    for one in family(pid):
        with contextlib.suppress(OSError):
            told = Path(f"/proc/{one}/smaps_rollup").read_text(encoding="utf-8")
            total += next(int(line.split()[1]) for line in told.splitlines() if line.startswith("Pss:"))
    return total / 1024


def family(pid: int) -> list[int]:
    """A process and all below it."""
    found = [pid]
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text(encoding="utf-8").split():
                found += family(int(child))
    return found
