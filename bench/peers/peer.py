"""What every peer has in common: read letters, index them into a folder, answer from it; each as a process of its own.

A peer is a module with ``encoder(model)``, ``index(encoder, letters, store)`` and ``reopen(encoder, store)``, see
:func:`run`. This runs in the peer's environment and needs the standard library alone.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

K = 5  # passages a question
SIZE = 300  # characters of a passage at most, about those of a measure


class Peer(Protocol):
    """What a peer's module has."""

    def encoder(self, model: str) -> Any:
        """Open the encoder."""

    def index(self, encoder: Any, letters: list[str], store: Path) -> int:
        """Index letters and save that; return the number of passages."""

    def reopen(self, encoder: Any, store: Path) -> Callable[[str], list[str]]:
        """Open what was saved; return what gives the passages for a question."""


def passages(letter: str) -> list[str]:
    """Cut a letter at its lines and then at ``SIZE`` characters, short lines joined: for peers whose tutorials bring no splitter."""
    found = [""]
    for line in letter.splitlines():
        for part in (line[i : i + SIZE] for i in range(0, len(line), SIZE)):
            if len(found[-1]) + len(part) < SIZE:
                found[-1] = f"{found[-1]}\n{part}".strip()
            else:
                found.append(part)
    return [f for f in found if f]


def rank(ordered: list[float], share: float) -> float:
    """The smallest value that is not under ``share`` of them (nearest rank)."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def timed(ask: Callable[[str], Any], questions: list[str]) -> dict[str, float]:
    """Ask every question twice; times of the second round in milliseconds, and what they cost of CPU."""
    for question in questions:
        ask(question)
    times = []
    spent = time.process_time()
    for question in questions:
        started = time.perf_counter()
        ask(question)
        times.append(1000 * (time.perf_counter() - started))
    spent = time.process_time() - spent
    times.sort()
    return {
        "p50_ms": round(rank(times, 0.5), 3),
        "p99_ms": round(rank(times, 0.99), 3),
        "cpu_ms": round(1000 * spent / len(times), 3),
        "per_second": round(1000 * len(times) / sum(times), 1),
    }


def told() -> argparse.Namespace:
    """The command line of every peer: ``index MODEL LETTERS STORE``, ``ask MODEL STORE QUESTION``, ``warm MODEL STORE QUESTIONS``."""
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command", required=True)
    for name, last in (
        ("index", ("letters", "store")),
        ("ask", ("store", "question")),
        ("warm", ("store", "questions")),
    ):
        command = commands.add_parser(name)
        for argument in ("model", *last):
            command.add_argument(argument)
    return parser.parse_args()


def run(peer: Peer) -> None:
    """Do one of the three; ``ask`` prints a passage, the others JSON."""
    options = told()
    for answer in _run(peer, options):
        print(answer, flush=True)


def _run(peer: Peer, options: argparse.Namespace) -> Iterator[str]:
    encoder = peer.encoder(options.model)
    store = Path(options.store)
    if options.command == "index":
        started, spent = time.perf_counter(), time.process_time()
        letters = [p.read_text(encoding="utf-8") for p in sorted(Path(options.letters).iterdir())]
        chunks = peer.index(encoder, letters, store)
        wall, cpu = time.perf_counter() - started, time.process_time() - spent
        yield json.dumps({"chunks": chunks, "work_s": round(wall, 3), "work_cpu_s": round(cpu, 3)})
    elif options.command == "ask":
        yield peer.reopen(encoder, store)(options.question)[0]
    else:
        questions = json.loads(Path(options.questions).read_text(encoding="utf-8"))
        yield json.dumps(timed(peer.reopen(encoder, store), questions))
