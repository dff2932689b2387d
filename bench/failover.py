"""A primary that dies under load: what do those who ask see?

    .venv/bin/python bench/failover.py [--clients 8] [--seconds 30] [--how kill|cut]

Four hosts, as network namespaces of this machine (so it needs root): a PostgreSQL primary with a synchronous replica, and two
services, one nearer to each. Clients ask the questions of the set ``dev`` over HTTP all the while. A third of the way in the primary is
killed, or its line is cut so that nothing ever answers; two seconds later the replica is promoted. Every answer is compared with
that of the folder. Afterwards a letter is added, and both services must answer from it. Figures go to ``bench/out/failover.json``.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import dataclasses
import datetime
import http.client
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))
sys.path.insert(0, str(HERE.parent))

from postgres import Server, servers  # noqa: E402

from rag.embed import open_embedder  # noqa: E402
from rag.engine import Engine  # noqa: E402
from rag.evaluate import questions  # noqa: E402
from rag.library import add  # noqa: E402
from rag.settings import BUNDLED_MODEL, Settings  # noqa: E402
from rag.stores import store_of  # noqa: E402

LETTERS = HERE.parent / "tests" / "letters"
NET, BRIDGE = "10.77.83", "letters-br"
DB1, DB2, APP1, APP2 = 1, 2, 3, 4
PROMOTED_AFTER_S = 2.0
NEW = "某委员:\n一、建零工集市。全市建成零工集市41个。\n"
Told = tuple[str, tuple[tuple[str, int, int], ...]]


def main() -> int:
    """Measure; exit 1 when an answer was wrong, or an error was none of those that may be."""
    parser = argparse.ArgumentParser(description="Kill a primary under load.")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--how", choices=("kill", "cut"), default="kill")
    options = parser.parse_args()
    rows = questions(HERE / "dev.jsonl")
    with tempfile.TemporaryDirectory() as scratch, _hosts(), servers() as new:
        right = _right([row["question"] for row in rows], Path(scratch))
        primary = new(host=_ip(DB1), inside=_inside(DB1)).make().start()
        _fill(primary)
        replica = new(host=_ip(DB2), inside=_inside(DB2)).copy_of(primary, synchronous=True)
        with _service(APP1, primary, replica) as one, _service(APP2, replica, primary) as two:
            seen = _load(options, [one, two], right, primary, replica)
            added = _add(scratch, replica, primary, [one, two])
    return _report(options, seen, added)


def _ip(host: int) -> str:
    return f"{NET}.{host}"


def _inside(host: int) -> list[str]:
    return ["ip", "netns", "exec", f"letters{host}"]


def _sh(command: str) -> None:
    subprocess.run(command.split(), check=True)


@contextlib.contextmanager
def _hosts() -> Iterator[None]:
    """Four hosts on one bridge, and this machine on it too."""
    try:
        _sh(f"ip link add {BRIDGE} type bridge")
        _sh(f"ip addr add {NET}.254/24 dev {BRIDGE}")
        _sh(f"ip link set {BRIDGE} up")
        for host in (DB1, DB2, APP1, APP2):
            _sh(f"ip netns add letters{host}")
            _sh(f"ip link add lb{host} type veth peer name eth0 netns letters{host}")
            _sh(f"ip link set lb{host} master {BRIDGE} up")
            for command in (
                f"ip addr add {_ip(host)}/24 dev eth0",
                "ip link set eth0 up",
                "ip link set lo up",
            ):
                subprocess.run([*_inside(host), *command.split()], check=True)
        yield
    finally:
        for host in (DB1, DB2, APP1, APP2):
            subprocess.run(["ip", "link", "del", f"lb{host}"], check=False, stderr=subprocess.DEVNULL)
            subprocess.run(["ip", "netns", "del", f"letters{host}"], check=False, stderr=subprocess.DEVNULL)
        subprocess.run(["ip", "link", "del", BRIDGE], check=False)


def _settings(**given: Any) -> Settings:
    return Settings(**{**{f.name: f.default for f in dataclasses.fields(Settings)}, **given})


def _right(asked: list[str], scratch: Path) -> dict[str, Told]:
    """What the folder answers."""
    settings, model = _settings(index_dir=scratch / "index"), open_embedder(str(BUNDLED_MODEL))
    add(store_of(settings).keeper(model), [LETTERS])
    engine = Engine.open(settings, model)
    return {question: _told(engine.ask(question).as_dict()) for question in asked}


def _told(answer: dict[str, Any]) -> Told:
    return answer["answer"], tuple((c["quote"], c["start"], c["end"]) for c in answer["citations"])


def _fill(primary: Server) -> None:
    add(store_of(_settings(store=primary.url())).keeper(open_embedder(str(BUNDLED_MODEL))), [LETTERS])


@contextlib.contextmanager
def _service(host: int, first: Server, second: Server) -> Iterator[str]:
    """``rag serve`` on a host; its server of choice is the first."""
    known = {k: v for k, v in os.environ.items() if not k.startswith("RAG_")}
    settings = {
        "RAG_STORE": _both(first, second),
        "RAG_HOST": _ip(host),
        "RAG_PORT": "8000",
        "RAG_REQUESTS_PER_MINUTE": "0",
    }
    with tempfile.TemporaryDirectory() as cwd:
        command = [*_inside(host), sys.executable, "-m", "rag.cli", "serve"]
        python = {"PYTHONPATH": str(HERE.parent)}
        process = subprocess.Popen(command, cwd=cwd, env=known | settings | python, stderr=subprocess.DEVNULL)
        try:
            while _get(_ip(host), "/readyz") != 200:
                time.sleep(0.1)
            yield _ip(host)
        finally:
            process.terminate()
            process.wait()


def _both(first: Server, second: Server) -> str:
    return f"postgresql://postgres@{first.address},{second.address}/postgres"


def _get(host: str, path: str) -> int:
    with contextlib.suppress(OSError):
        connection = http.client.HTTPConnection(host, 8000, timeout=60)
        connection.request("GET", path)
        return connection.getresponse().status
    return 0


def _ask(connection: http.client.HTTPConnection, question: str) -> tuple[int, dict[str, Any]]:
    connection.request(
        "POST", "/chat", json.dumps({"question": question}), {"Content-Type": "application/json"}
    )
    response = connection.getresponse()
    return response.status, json.loads(response.read())


class Seen:
    """What the clients saw, and when."""

    def __init__(self) -> None:
        self.counts: collections.Counter[str] = collections.Counter()
        self.refused: list[float] = []
        self.slowest = 0.0
        self.failed_at = self.promoted_at = 0.0

    def note(self, status: int, body: dict[str, Any], right: Told, took: float) -> None:
        """Count an answer."""
        kind = f"{status}"
        if status == 200:
            kind = "right" if _told(body) == right else "wrong"
        if status == 503:
            self.refused.append(time.monotonic())
        self.counts[kind] += 1
        self.slowest = max(self.slowest, took)


def _load(
    options: argparse.Namespace, hosts: list[str], right: dict[str, Told], primary: Server, replica: Server
) -> Seen:
    seen, end = Seen(), threading.Event()

    def client(n: int) -> None:
        connection = http.client.HTTPConnection(hosts[n % len(hosts)], 8000, timeout=60)
        asked = list(right)
        while not end.is_set():
            n += 1
            start = time.monotonic()
            status, body = _ask(connection, asked[n * 7 % len(asked)])
            seen.note(status, body, right[asked[n * 7 % len(asked)]], time.monotonic() - start)

    threads = [threading.Thread(target=client, args=(n,)) for n in range(options.clients)]
    for thread in threads:
        thread.start()
    time.sleep(options.seconds / 3)
    seen.failed_at = time.monotonic()
    if options.how == "kill":
        primary.kill()
    else:
        _sh(f"ip link set lb{DB1} down")
    time.sleep(PROMOTED_AFTER_S)
    replica.promote()
    seen.promoted_at = time.monotonic()
    time.sleep(max(0.0, 2 * options.seconds / 3 - PROMOTED_AFTER_S))
    end.set()
    for thread in threads:
        thread.join()
    return seen


def _add(scratch: str, replica: Server, primary: Server, hosts: list[str]) -> bool:
    """Add a letter on the new primary; say whether every service answers from it."""
    path = Path(scratch) / "new.txt"
    path.write_text(NEW, encoding="utf-8")
    add(store_of(_settings(store=_both(replica, primary))).keeper(open_embedder(str(BUNDLED_MODEL))), [path])
    answers = [_ask(http.client.HTTPConnection(h, 8000, timeout=60), "建成零工集市多少个?")[1] for h in hosts]
    return all(a["short_answer"] == "41个" for a in answers)


def _report(options: argparse.Namespace, seen: Seen, added: bool) -> int:
    last = max(seen.refused, default=seen.failed_at) - seen.failed_at
    row = {
        "date": datetime.date.today().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "clients": options.clients,
        **seen.counts,
        "last_503_s_after_failure": round(last, 1),
        "promoted_s_after_failure": round(seen.promoted_at - seen.failed_at, 1),
        "slowest_answer_s": round(seen.slowest, 1),
        "new_letter_answered": added,
    }
    print(json.dumps({options.how: row}, indent=1))
    out = HERE / "out" / "failover.json"
    out.parent.mkdir(exist_ok=True)
    known = json.loads(out.read_text(encoding="utf-8")) if out.exists() else {}
    out.write_text(json.dumps({**known, options.how: row}, indent=1) + "\n", encoding="utf-8")
    return 0 if added and set(seen.counts) <= {"right", "503"} else 1


if __name__ == "__main__":
    sys.exit(main())
