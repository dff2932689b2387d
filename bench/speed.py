"""Cold start, warm latency, memory and indexing on this machine; run by ``make bench``.

Five rounds, interleaved, after one round that is thrown away; what is printed is the median of the five. Every
measurement is a process of its own. This one imports nothing but the standard library: on Linux the peak memory of a
child counts from that of its parent. The files are in the page cache and Python's bytecode is compiled (in a scratch
folder, in the first round), as on any second start: "cold" means a new process, not a cold disk.
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
RAG = Path(sys.executable).parent / "rag"
QUESTION = "零工驿站建了多少家?"
ROUNDS = 5


def main() -> int:
    """Measure, print a Markdown table, write ``bench/out/speed.json``."""
    parser = argparse.ArgumentParser(description="Measure speed and memory on this machine.")
    parser.add_argument("--warm", action="store_true", help=argparse.SUPPRESS)
    if parser.parse_args().warm:
        return _warm()
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"the machine is busy (load {load:.1f}); the figures will be too high", file=sys.stderr)
    with tempfile.TemporaryDirectory() as scratch:
        rows = _measure(Path(scratch))
    machine = {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }
    report = {
        "date": f"{datetime.date.today()}",
        "machine": machine,
        "load_before": round(load, 2),
        "rounds": ROUNDS,
        "medians": rows,
    }
    out = HERE / "out"
    out.mkdir(exist_ok=True)
    (out / "speed.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(_table(report))
    return 0


def _measure(scratch: Path) -> dict[str, float]:
    """Return the medians by name; seconds, milliseconds and MiB as the names say."""
    seed, made_up = scratch / "seed", scratch / "made-up"
    _run([RAG, "index", ROOT / "seeds"], scratch, seed)
    rounds: list[dict[str, float]] = []
    for n in range(ROUNDS + 1):
        row: dict[str, float] = {}
        row["cold_ask_s"], row["cold_ask_peak_mib"], _ = _run([RAG, "ask", QUESTION], scratch, seed)
        heavy = [sys.executable, "-c", "import sentence_transformers"]
        row["import_sentence_transformers_s"], _, _ = _run(heavy, scratch, seed)
        build = [RAG, "index", ROOT / "tests" / "letters", "--rebuild"]
        row["index_build_s"], _, _ = _run(build, scratch, made_up)
        _, _, told = _run([sys.executable, Path(__file__), "--warm"], scratch, made_up)
        row |= json.loads(told)
        row["cold_ask_share_of_import"] = row["cold_ask_s"] / row["import_sentence_transformers_s"]
        if n:
            rounds.append(row)
            print(f"round {n} of {ROUNDS}", file=sys.stderr)
    return {name: round(statistics.median(r[name] for r in rounds), 4) for name in rounds[0]}


def _run(command: list[str | Path], folder: Path, index: Path) -> tuple[float, float, str]:
    """Run a command to its end; return wall seconds, peak resident memory in MiB, and its stdout.

    No setting of the caller reaches it, neither from the environment nor from a ``.env`` file.
    """
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("RAG_", "PYTHON"))}
    plain |= {"RAG_INDEX_DIR": str(index), "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as told:
        started = time.perf_counter()
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=folder,
            env=plain,
            stdout=out,
            stderr=told,
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        told.seek(0)
        if process.returncode:
            raise SystemExit(f"{command} failed: {told.read().decode(errors='replace')}")
        kibibytes = usage.ru_maxrss / (1024 if sys.platform == "darwin" else 1)
        return wall, kibibytes / 1024, out.read().decode()


def _warm() -> int:
    """Ask every question of ``dev.jsonl`` twice in one process; print p50 and p99 of the second time, in ms."""
    from rag import Engine

    engine = Engine.open()
    lines = (HERE / "dev.jsonl").read_text(encoding="utf-8").splitlines()
    questions = [json.loads(line)["question"] for line in lines]
    times: list[float] = []
    for _ in range(2):
        times.clear()
        for question in questions:
            started = time.perf_counter()
            engine.ask(question)
            times.append(1000 * (time.perf_counter() - started))
    times.sort()
    print(json.dumps({"warm_p50_ms": _rank(times, 0.5), "warm_p99_ms": _rank(times, 0.99)}))
    return 0


def _rank(ordered: list[float], share: float) -> float:
    """Return the smallest value that is not under ``share`` of them (nearest rank)."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def _table(report: dict) -> str:
    m = report["medians"]
    machine = report["machine"]
    letters = len(list((ROOT / "tests" / "letters").glob("*.txt")))
    questions = len((HERE / "dev.jsonl").read_text(encoding="utf-8").splitlines())
    rows = [
        ("Cold `rag ask`, wall time of the process", f"{m['cold_ask_s']:.2f} s"),
        (
            '`python -c "import sentence_transformers"`, wall time',
            f"{m['import_sentence_transformers_s']:.2f} s",
        ),
        ("Cold `rag ask` ÷ that import", f"{m['cold_ask_share_of_import']:.2f}"),
        ("Peak memory of one cold `rag ask`", f"{m['cold_ask_peak_mib']:.0f} MiB"),
        (f"Warm `Engine.ask`, p50 of {questions} questions", f"{m['warm_p50_ms']:.1f} ms"),
        (f"Warm `Engine.ask`, p99 of {questions} questions", f"{m['warm_p99_ms']:.1f} ms"),
        (
            f"`rag index --rebuild` of {letters} letters, wall time of the process",
            f"{m['index_build_s']:.2f} s",
        ),
    ]
    where = f"{machine['cores']} cores, no GPU used, Python {machine['python']}, {machine['system']}, {report['date']}"
    lines = [f"Median of {report['rounds']} runs: {where}.", "", "| what | figure |", "| --- | ---: |"]
    return "\n".join(lines + [f"| {what} | {figure} |" for what, figure in rows])


if __name__ == "__main__":
    sys.exit(main())
