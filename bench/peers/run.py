"""This program beside what people would pick instead: one run, one machine, the same letters and questions; part of ``make bench``.

    .venv/bin/python bench/peers/run.py [--letters 20 500] [--peer-letters 20] [--update]

LangChain, LlamaIndex, Haystack and txtai are each written as the shortest tutorial of their documentation has it, and run in throw-away
environments with the versions of ``versions.toml``; the floor is a bare script on numpy and FAISS. The peers encode with a model of
multilingual-e5-small's shape with random weights: **speed only**, what they find says nothing about them. This program uses its bundled
models and does more for a question: it reads, chooses, verifies and quotes.

Every measurement is a process of its own, the systems take turns, and medians are kept; CPU seconds stand beside wall time, because they
mean more on a busy machine. ``--update`` writes ``bench/peers.json`` and ``bench/peers.png``, else both go to ``bench/out``.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import corpus
import load
from peer import rank

HERE = Path(__file__).resolve().parent
BENCH = HERE.parent
OURS, FLOOR, LANGCHAIN = "letter-rag", "floor", "langchain"
SCRIPTS = {
    LANGCHAIN: "peer_langchain.py",
    "llamaindex": "peer_llamaindex.py",
    "haystack": "peer_haystack.py",
    "txtai": "peer_txtai.py",
    FLOOR: "floor.py",
}
QUESTION = "零工驿站建了多少家?"


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process cost: seconds of wall time and of CPU, MiB of the largest of its processes, and what it printed."""

    wall_s: float
    cpu_s: float
    peak_mib: float
    out: str


@dataclass(slots=True)
class Bench:
    """Where everything lies while it is measured.

    Attributes:
        scratch: all of it; ``letters-N``, ``store-SYSTEM-N`` and so on.
        pythons: the interpreter of each system's environment.
        threads: of each process; 0: as each library would have it.
        systems: those that are measured.
        packages: versions installed, by system.
    """

    scratch: Path
    threads: int
    systems: Sequence[str]
    pythons: dict[str, Path] = field(default_factory=dict)
    packages: dict[str, dict[str, str]] = field(default_factory=dict)

    def env(self, system: str, letters: int) -> dict[str, str]:
        """The environment of a process: nothing of the caller's settings, no network, no telemetry."""
        plain = {
            k: v
            for k, v in os.environ.items()
            if not k.startswith(("RAG_", "PYTHON", "LANGCHAIN", "LANGSMITH"))
        }
        plain |= {
            "HF_HUB_OFFLINE": "1",
            "HAYSTACK_TELEMETRY_ENABLED": "False",
            "TOKENIZERS_PARALLELISM": "false",
        }
        plain["RAG_INDEX_DIR"] = str(self.store(system, letters))
        plain |= {"RAG_REQUESTS_PER_MINUTE": "0", "RAG_CLIENT_CONCURRENCY": "1000"}
        plain |= {"MODEL": str(self.model), "STORE": str(self.store(system, letters))}
        plain["PYTHONPATH"] = f"{HERE}:{HERE.parent.parent}"
        if self.threads:
            plain |= dict.fromkeys(
                ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"),
                str(self.threads),
            )
        return plain

    def only(self, letters: int, options: argparse.Namespace) -> Bench:
        """The same with the systems that are given so many letters."""
        some = [s for s in self.systems if s in (OURS, FLOOR) or letters <= options.peer_letters]
        return replace(self, systems=some)

    @property
    def model(self) -> Path:
        """The peers' encoder."""
        return self.scratch / "encoder"

    def letters(self, count: int) -> Path:
        """So many letters, written when first asked for."""
        folder = self.scratch / f"letters-{count}"
        if not folder.exists():
            corpus.write(folder, count)
        return folder

    def store(self, system: str, letters: int) -> Path:
        """Where a system keeps its index of so many letters."""
        return self.scratch / f"store-{system}-{letters}"

    def questions(self, letters: int, count: int) -> Path:
        """A file of questions about so many letters."""
        path = self.scratch / f"questions-{letters}-{count}.json"
        path.write_text(json.dumps(corpus.questions(letters, count)), encoding="utf-8")
        return path

    def command(self, system: str, what: str, letters: int, last: str | Path = "") -> list[str]:
        """The command line that makes a system index, ask, or answer warm."""
        if system == OURS:
            rag = [str(Path(sys.executable).parent / "rag")]
            ours = [sys.executable, str(HERE / "ours.py"), "warm", "-", "-", str(last)]
            return {
                "index": [*rag, "index", "--json", str(self.letters(letters))],
                "ask": [*rag, "ask", str(last)],
                "warm": ours,
            }[what]
        store = str(self.store(system, letters))
        rest = [str(self.letters(letters)), store] if what == "index" else [store, str(last)]
        return [str(self.pythons[system]), str(HERE / SCRIPTS[system]), what, str(self.model), *rest]

    def run(self, system: str, what: str, letters: int, last: str | Path = "") -> Cost:
        """Run one process to its end.

        Raises:
            SystemExit: it failed; with what it said.
        """
        if what == "index":
            shutil.rmtree(self.store(system, letters), ignore_errors=True)
        command = self.command(system, what, letters, last)
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as told:
            started = time.perf_counter()
            process = subprocess.Popen(
                command, cwd=self.scratch, env=self.env(system, letters), stdout=out, stderr=told
            )
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.perf_counter() - started
            process.returncode = os.waitstatus_to_exitcode(status)
            out.seek(0)
            told.seek(0)
            if process.returncode:
                raise SystemExit(f"{command} failed: {told.read().decode(errors='replace')[-2000:]}")
            peak = usage.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)
            return Cost(wall, usage.ru_utime + usage.ru_stime, peak, out.read().decode())


def main() -> int:
    """Set up, measure, report."""
    options = _options()
    load_before = os.getloadavg()[0]
    if load_before > 0.5:
        print(
            f"the machine is busy (load {load_before:.1f}): look at CPU seconds and ratios", file=sys.stderr
        )
    with ExitStack() as stack:
        scratch = options.keep or stack.enter_context(tempfile.TemporaryDirectory(prefix="rag-peers-"))
        bench = Bench(Path(scratch).resolve(), options.threads, [OURS, *options.systems])
        bench.scratch.mkdir(parents=True, exist_ok=True)
        set_up(bench)
        report = {
            "date": f"{datetime.date.today()}",
            "machine": {
                "cores": os.cpu_count(),
                "python": platform.python_version(),
                "system": f"{platform.system()} {platform.machine()}",
            },
            "load_before": round(load_before, 2),
            "threads": options.threads,
            "packages": bench.packages,
        }
        _measure(bench, options, report)
    report["load_after"] = round(os.getloadavg()[0], 2)
    return _write(report, update=options.update)


def _measure(bench: Bench, options: argparse.Namespace, report: dict) -> None:
    """Fill the report; what is there so far is in ``bench/out/peers.part.json``."""
    sizes = sorted({1, *options.letters})
    parts: list[tuple[str, Callable[[], dict]]] = [
        ("indexing", lambda: {str(n): indexing(bench.only(n, options), n) for n in sizes}),
        ("cold", lambda: cold(bench, options.rounds)),
        ("warm", lambda: {str(n): warm(bench.only(n, options), n, options.questions) for n in sizes}),
        ("http", lambda: http(bench, options) if LANGCHAIN in options.systems else {}),
    ]
    (BENCH / "out").mkdir(exist_ok=True)
    for name, part in parts:
        report[name] = part()
        text = json.dumps(report, indent=1)
        (BENCH / "out" / "peers.part.json").write_text(text, encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--letters", type=int, nargs="+", default=[20], help="sizes of the collection, beside one letter"
    )
    parser.add_argument(
        "--peer-letters",
        type=int,
        default=100,
        help="largest collection given to the peers, whose rate does not depend on it",
    )
    parser.add_argument(
        "--rounds", type=int, default=3, help="of which medians are taken; collections are indexed once"
    )
    parser.add_argument("--questions", type=int, default=60, help="asked of each collection, twice")
    parser.add_argument(
        "--threads", type=int, default=1, help="of each process; 0: each library's own choice"
    )
    parser.add_argument("--clients", type=int, default=8, help="that ask over HTTP")
    parser.add_argument("--seconds", type=float, default=5, help="of each round over HTTP, of each server")
    parser.add_argument(
        "--systems", nargs="*", choices=list(SCRIPTS), default=list(SCRIPTS), help="peers to measure"
    )
    parser.add_argument(
        "--keep", metavar="DIR", help="keep environments and stores here, and use those that are there"
    )
    parser.add_argument("--update", action="store_true", help="write bench/peers.json and .png")
    return parser.parse_args()


def set_up(bench: Bench) -> None:
    """Make the environments and the encoder."""
    uv = Path(sys.executable).parent / "uv"
    env = dict(os.environ)
    if os.environ.get("PIP_FIND_LINKS"):
        env.setdefault("UV_FIND_LINKS", os.environ["PIP_FIND_LINKS"])
    else:
        env.setdefault("UV_TORCH_BACKEND", "cpu")
    wanted = tomllib.loads((HERE / "versions.toml").read_text(encoding="utf-8"))
    for system in bench.systems:
        if system == OURS:
            continue
        home = bench.scratch / f"env-{system}"
        print(f"installing {system}", file=sys.stderr)
        if not home.exists():
            subprocess.run([uv, "venv", "-q", "--python", sys.executable, home], check=True, env=env)
        env["VIRTUAL_ENV"] = str(home)
        packages = wanted[system]["packages"]
        subprocess.run([uv, "pip", "install", "-q", "--compile-bytecode", *packages], check=True, env=env)
        bench.pythons[system] = home / "bin" / "python"
        bench.packages[system] = dict(p.split("==") for p in packages)
    subprocess.run([sys.executable, HERE / "encoder.py", bench.model], check=True, capture_output=True)


def turns(bench: Bench, rounds: int) -> Iterator[tuple[int, str]]:
    """Every system in every round, each round begun by another; round 0 is thrown away."""
    for n in range(rounds + 1):
        at = n % len(bench.systems)
        for system in (*bench.systems[at:], *bench.systems[:at]):
            print(f"  {n}/{rounds} {system}", file=sys.stderr)
            yield n, system


def cold(bench: Bench, rounds: int) -> dict[str, dict[str, float]]:
    """From the start of the process to the answer, over the seed letter alone, indexed before."""
    print("cold start", file=sys.stderr)
    kept: dict[str, list[Cost]] = {system: [] for system in bench.systems}
    for n, system in turns(bench, rounds):
        cost = bench.run(system, "ask", 1, QUESTION)
        if n:
            kept[system].append(cost)
    return {system: _medians(costs) for system, costs in kept.items()}


def _medians(costs: Sequence[Cost]) -> dict[str, float]:
    return {
        name: round(statistics.median(getattr(c, name) for c in costs), 3)
        for name in ("wall_s", "cpu_s", "peak_mib")
    }


def indexing(bench: Bench, letters: int) -> dict[str, dict[str, float]]:
    """New text to answerable. Of a peer the time to import and to open the encoder is left out of the rate, of this program nothing is."""
    table = {}
    for system in bench.systems:
        print(f"indexing {letters} letters: {system}", file=sys.stderr)
        cost = bench.run(system, "index", letters)
        row = {"wall_s": cost.wall_s, "cpu_s": cost.cpu_s, "peak_mib": cost.peak_mib}
        if system == OURS:
            chunks = _measures(cost.out, letters)
            row |= {"chunks": chunks, "work_s": cost.wall_s, "work_cpu_s": cost.cpu_s}
        else:
            row |= json.loads(cost.out)
        row |= {
            "store_mib": _size(bench.store(system, letters)) / (1 << 20),
            "letters_per_s": letters / row["work_s"],
            "chunks_per_s": row["chunks"] / row["work_s"],
            "letters_per_cpu_s": letters / row["work_cpu_s"],
        }
        table[system] = {name: round(value, 3) for name, value in row.items()}
    return table


def _measures(told: str, letters: int) -> int:
    """The measures that ``rag index --json`` says it holds, if all letters are among them."""
    report = json.loads(told)
    if report["letters"] != letters or report["failed"]:
        raise SystemExit(
            f"{report['letters']} letters were indexed; expected {letters}; {report['failed'][:1]}"
        )
    return int(report["measures"])


def _size(folder: Path) -> int:
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())


def warm(bench: Bench, letters: int, questions: int) -> dict[str, dict]:
    """One process, every question a second time: the search alone; of this program the whole answer beside it."""
    file = bench.questions(letters, questions)
    table = {}
    for system in bench.systems:
        print(f"warm, {letters} letters: {system}", file=sys.stderr)
        cost = bench.run(system, "warm", letters, file)
        table[system] = {**json.loads(cost.out), "peak_mib": round(cost.peak_mib, 1)}
    return table


def _median_rows(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: round(statistics.median(r[name] for r in rows), 3) for name in rows[0]}


def http(bench: Bench, options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Answers a second over the largest collection, in turns: LangChain's endpoint, this program with one worker and with two."""
    print("over HTTP", file=sys.stderr)
    letters = max(n for n in (1, *options.letters) if n <= options.peer_letters)
    questions = corpus.questions(letters, 240)
    rag = str(Path(sys.executable).parent / "rag")
    ports = {name: load.free_port() for name in ("langchain", "one worker", "two workers")}
    uvicorn = [str(bench.pythons[LANGCHAIN]), "-m", "uvicorn", "http_langchain:app", "--log-level", "warning"]
    commands = {
        "langchain": (LANGCHAIN, [*uvicorn, "--port", str(ports["langchain"])]),
        "one worker": (OURS, [rag, "serve", "--port", str(ports["one worker"])]),
        "two workers": (OURS, [rag, "serve", "--workers", "2", "--port", str(ports["two workers"])]),
    }
    found: dict[str, list[dict[str, float]]] = {name: [] for name in commands}
    with ExitStack() as stack:
        pids = {
            name: stack.enter_context(
                load.server(command, bench.scratch, bench.env(system, letters), ports[name])
            )
            for name, (system, command) in commands.items()
        }
        for n in range(options.rounds + 1):
            for name, pid in pids.items():
                before, started = load.spent(pid), time.perf_counter()
                times, wrong = load.hammer(ports[name], questions, options.clients, options.seconds)
                wall, cpu = time.perf_counter() - started, load.spent(pid) - before
                if wrong:
                    raise SystemExit(f"{name}: {wrong} of {len(times)} replies were no answer")
                times.sort()
                row = {"per_second": len(times) / wall, "per_cpu_second": len(times) / cpu}
                row |= {
                    "p50_ms": rank(times, 0.5),
                    "p99_ms": rank(times, 0.99),
                    "memory_mib": load.memory(pid),
                }
                if n:
                    found[name].append(row)
                print(f"  {n}/{options.rounds} {name} {row}", file=sys.stderr)
    return {name: _median_rows(rows) for name, rows in found.items()}


def _write(report: dict, *, update: bool) -> int:
    from report import draw, table

    out = BENCH if update else BENCH / "out"
    out.mkdir(exist_ok=True)
    (out / "peers.json").write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(table(report))
    draw(report, out / "peers.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
