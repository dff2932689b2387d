"""A running service while its letters change: every request is answered, each from one generation of the index.

    .venv/bin/python bench/live.py [--clients 8] [--requests 1000]

``rag serve --watch`` runs over the letters of ``tests/letters``. One letter is written anew all the time with another figure, a
second one comes and goes as a file, a third is added and removed by ``rag`` in processes of its own. Meanwhile clients ask over
HTTP. An answer counts as mixed when two answers from one generation differ, when its quote is not that of the version of
the letter whose SHA-256 it names, or when generation and letter do not go together. Prints JSON and writes it to
``bench/out/live.json``; exit 1 when a request failed or an answer was mixed or wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from service import _head, _response, free_port, rank, running

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PROBE = "某市民政局关于第9号提案的答复\n某委员:\n提案收悉,答复如下:\n一、建书亭。全市建成读书亭{n}座。\n某市民政局\n2025年3月4日\n"
GUEST = "某市体育局关于第{n}号建议的答复\n某代表:\n建议收悉,答复如下:\n一、修步道。全市修建滨河步道{n}公里。\n某市体育局\n2025年4月5日\n"
MINE = "某市水务局关于第7号建议的答复\n某代表:\n建议收悉,答复如下:\n一、建水站。全市建成直饮水站71处。\n某市水务局\n2025年4月6日\n"
ALWAYS, SOMETIMES, OTHERS = "全市建成读书亭多少座?", "全市修建滨河步道多少公里?", "全市建成直饮水站多少处?"
SETTLED = "家庭养老床位每张一次性建设补贴多少钱?"
QUESTIONS = (ALWAYS, SOMETIMES, OTHERS, SETTLED)


class Changes:
    """Whoever changes the letters meanwhile; keeps every version by the SHA-256 of its file."""

    def __init__(self, home: Path) -> None:
        self.home, self.seeds = home, home / "seeds"
        self.versions: dict[str, str] = {}
        self.stop = threading.Event()
        self.by_files = self.by_process = 0
        self.failed: list[str] = []
        for file in self.seeds.glob("*.txt"):
            self._keep(file.read_bytes())
        self.write("probe.txt", PROBE.format(n=1))
        (home / "mine.txt").write_text(MINE, encoding="utf-8")
        self._keep(MINE.encode())

    def write(self, name: str, text: str) -> None:
        """Put a file into the folder that is followed."""
        self._keep(text.encode())
        new = self.home / f".{name}"
        new.write_text(text, encoding="utf-8")
        new.replace(self.seeds / name)
        self.by_files += 1

    def _keep(self, data: bytes) -> None:
        self.versions[hashlib.sha256(data).hexdigest()] = data.decode()

    def files(self) -> None:
        """Change letters by their files until told to stop."""
        n = 1
        while not self.stop.wait(0.7):
            n += 1
            self.write("probe.txt", PROBE.format(n=n))
            guest = self.seeds / "guest.txt"
            if n % 2:
                guest.unlink(missing_ok=True)
            else:
                self.write("guest.txt", GUEST.format(n=n))

    def processes(self, environment: dict[str, str]) -> None:
        """Add and remove a letter by the command, each time in another process."""
        commands = (["add", str(self.home / "mine.txt")], ["remove", "mine"])
        while not self.stop.wait(0.5):
            command = [sys.executable, "-m", "rag.cli", *commands[self.by_process % 2]]
            done = subprocess.run(
                command, cwd=self.home, env=environment, capture_output=True, text=True, check=False
            )
            self.by_process += 1
            if done.returncode:
                self.failed.append(done.stderr.strip().splitlines()[-1])


async def ask(
    port: int, clients: int, requests: int, at_most: float
) -> list[tuple[str, int, float, dict[str, Any]]]:
    """Keep this many connections asking; return question, status, seconds and answer of each request."""
    found: list[tuple[str, int, float, dict[str, Any]]] = []
    until = time.perf_counter() + at_most

    async def client(first: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for n in range(first, first + requests):
            if time.perf_counter() > until:
                break
            question = QUESTIONS[n % len(QUESTIONS)]
            body = json.dumps({"question": question}).encode()
            started = time.perf_counter()
            try:
                writer.write(_head("POST", "/chat", len(body)) + body)
                status, content = await _response(reader)
                answer = json.loads(content)
            except (OSError, ValueError, asyncio.IncompleteReadError) as error:
                status, answer = 0, {"error": repr(error)}
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            found.append((question, status, time.perf_counter() - started, answer))
        writer.close()

    await asyncio.gather(*(client(n) for n in range(clients)))
    return found


def faults(
    found: list[tuple[str, int, float, dict[str, Any]]], versions: dict[str, str]
) -> dict[str, list[str]]:
    """What is wrong with the answers, by kind."""
    wrong: dict[str, list[str]] = {"failed": [], "mixed": [], "wrong": []}
    told: dict[tuple[str, str], tuple[Any, ...]] = {}
    sizes: dict[str, tuple[int, int]] = {}
    for question, status, _, answer in found:
        if status != 200:
            wrong["failed"].append(f"{status} {answer}")
            continue
        index = answer["index"]
        cited = tuple((c["letter_id"], c["sha256"], c["quote"]) for c in answer["citations"])
        said = (answer["answer"], answer["short_answer"], cited)
        size = (index["letters"], index["measures"])
        if told.setdefault((index["generation"], question), said) != said:
            wrong["mixed"].append(
                f"{index['generation']} {question} {said} {told[index['generation'], question]}"
            )
        if sizes.setdefault(index["generation"], size) != size:
            wrong["mixed"].append(f"{index['generation']} {size} {sizes[index['generation']]}")
        for c in answer["citations"]:
            text = versions.get(c["sha256"], "").replace("\r\n", "\n")
            if text[c["start"] : c["end"]] != c["quote"]:
                wrong["mixed"].append(f"{c['letter_id']} {c['quote']} is not of {c['sha256'][:8]}")
        if answer["refused"] and question in (ALWAYS, SETTLED):
            wrong["wrong"].append(f"refused {question}")
        if question == SETTLED and not answer["refused"] and answer["short_answer"] != "2500元":
            wrong["wrong"].append(f"{question} {answer['short_answer']}")
    return wrong


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--requests", type=int, default=1000, help="of each client")
    parser.add_argument(
        "--at-most", type=float, default=3600, help="seconds; then it ends with what was asked so far"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch)
        shutil.copytree(
            ROOT / "tests" / "letters", home / "seeds", ignore=shutil.ignore_patterns("*.md", "*.json")
        )
        changes = Changes(home)
        plain = {k: v for k, v in os.environ.items() if not k.startswith("RAG_")}
        environment = {
            **plain,
            "RAG_INDEX_DIR": str(home / "index"),
            "RAG_SEEDS_DIR": str(home / "seeds"),
            "PYTHONPATH": str(ROOT),
        }
        port = free_port()
        command = ("-m", "rag.cli", "serve", "--watch", "--port", str(port))
        with running(home / "service", *command, port=port, path="/readyz") as _:
            others = [
                threading.Thread(target=changes.files),
                threading.Thread(target=changes.processes, args=(environment,)),
            ]
            for thread in others:
                thread.start()
            started = time.perf_counter()
            found = asyncio.run(ask(port, options.clients, options.requests, options.at_most))
            seconds = time.perf_counter() - started
            changes.stop.set()
            for thread in others:
                thread.join()
    wrong = faults(found, changes.versions)
    times = sorted(x for _, _, x, _ in found)
    report = {
        "requests": len(found),
        "clients": options.clients,
        "seconds": round(seconds, 1),
        "changes_by_files": changes.by_files,
        "changes_by_processes": changes.by_process,
        "changes_refused": changes.failed[:3],
        "generations_seen": len({a["index"]["generation"] for _, s, _, a in found if s == 200}),
        "answers_that_differ": len({a["answer"] for _, s, _, a in found if s == 200}),
        "failed": len(wrong["failed"]),
        "mixed": len(wrong["mixed"]),
        "wrong": len(wrong["wrong"]),
        "examples": [x for kind in wrong.values() for x in kind[:3]],
        "p50_ms": round(1000 * rank(times, 0.5), 1),
        "p99_ms": round(1000 * rank(times, 0.99), 1),
    }
    text = json.dumps(report, indent=1, ensure_ascii=False)
    (HERE / "out").mkdir(exist_ok=True)
    (HERE / "out" / "live.json").write_text(text + "\n", encoding="utf-8")
    print(text)
    return int(bool(wrong["failed"] or wrong["mixed"] or wrong["wrong"]))


if __name__ == "__main__":
    sys.exit(main())
