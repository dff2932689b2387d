"""What one measure costs, measured here, and from it on paper what 10⁴ to 10⁸ cost; the tables of ``docs/scale.md``.

    .venv/bin/python bench/paper.py [--letters 200]

Letters of ``bench/peers`` are indexed by ``rag index`` in a process of its own, and some questions are asked in another. Bytes and CPU
seconds of a measure are taken as constant: that holds for texts, vectors and postings, which are what there is much of. Prices are
assumptions, by unit; put your own. Figures go to ``bench/out/paper.json``.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
RAG = Path(sys.executable).parent / "rag"
sys.path.insert(0, str(HERE / "peers"))
import corpus  # noqa: E402

SIZES = (10**4, 10**5, 10**6, 10**7, 10**8)
CORE, MEMORY_GB, SSD_GB = 60, 15, 1  # yuan a month: a virtual core, a GB of memory, a GB of disk
READ = """
import sys, time
from pathlib import Path
from rag.embed import open_embedder
from rag.prepare import Item, prepare
from rag.settings import BUNDLED_MODEL
embedder = open_embedder(str(BUNDLED_MODEL))
items = [Item(str(path), path, pinned=False) for path in sorted(Path(sys.argv[1]).iterdir())]
prepare(items[0], embedder, {})
started = time.process_time()
for item in items:
    assert not prepare(item, embedder, {}).failed
print(time.process_time() - started)
"""
WARM = """
import json, sys, time
from rag import Engine
engine = Engine.open()
questions = json.loads(sys.argv[1])
for question in questions:
    engine.ask(question)
started = time.process_time()
for question in questions:
    engine.search(question, k=5)
found = time.process_time()
for question in questions:
    engine.ask(question)
asked = time.process_time()
print(json.dumps([1000 * (found - started) / len(questions), 1000 * (asked - found) / len(questions)]))
"""


def main() -> int:
    """Measure, multiply, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--letters", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        report = measure(Path(scratch), options.letters)
    (HERE / "out").mkdir(exist_ok=True)
    (HERE / "out" / "paper.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(_tables(report))
    return 0


def measure(scratch: Path, letters: int) -> dict[str, object]:
    """Bytes, CPU milliseconds and memory of a measure; all of them means over the collection."""
    characters = corpus.write(scratch / "letters", letters)
    env = {k: v for k, v in os.environ.items() if not k.startswith("RAG_")}
    env |= {"RAG_INDEX_DIR": str(scratch / "index"), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    before = os.times()
    told = _run([RAG, "index", "--json", scratch / "letters"], scratch, env)
    after = os.times()
    measures = json.loads(told)["measures"]
    read_s = float(_run([sys.executable, "-c", READ, scratch / "letters"], scratch, env))
    asked = json.dumps(corpus.questions(letters, 24))
    search_ms, answer_ms = json.loads(_run([sys.executable, "-c", WARM, asked], scratch, env))
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return {
        "date": f"{datetime.date.today()}",
        "machine": f"{os.cpu_count()} cores, Python {platform.python_version()}",
        "letters": letters,
        "measures": measures,
        "characters": round(characters / measures),
        "catalogue_bytes": round(_size(scratch / "index", "catalogue.sqlite*") / measures),
        "index_bytes": round(_size(scratch / "index", "gen-*/**/*") / measures),
        "index_cpu_ms": round(1000 * spent / measures, 3),
        "read_and_embed_cpu_ms": round(1000 * read_s / measures, 3),
        "search_cpu_ms": round(search_ms, 1),
        "answer_cpu_ms": round(answer_ms, 1),
    }


def _run(command: list[str | Path], folder: Path, env: dict[str, str]) -> str:
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{command[:2]} failed: {done.stderr[-2000:]}")
    return done.stdout


def _size(folder: Path, glob: str) -> int:
    return sum(p.stat().st_size for p in folder.glob(glob) if p.is_file())


def _tables(report: dict) -> str:
    names = ("characters", "catalogue_bytes", "index_bytes", "index_cpu_ms", "read_and_embed_cpu_ms")
    lines = [
        f"{report['machine']}, {report['date']}, {report['letters']} letters",
        "",
        "| of one measure | |",
        "| --- | ---: |",
    ]
    lines += [f"| {name} | {report[name]:,} |" for name in names]
    lines += [
        "",
        "| measures | letters | disk, GB | CPU hours to index | disk, yuan a month |",
        "| ---: | ---: | ---: | ---: | ---: |",
    ]
    each = report["catalogue_bytes"] + report["index_bytes"]
    share = report["letters"] / report["measures"]
    for size in SIZES:
        disk = size * each / 1e9
        hours = size * report["index_cpu_ms"] / 3.6e6
        lines.append(
            f"| {size:,} | {size * share:,.0f} | {disk:,.1f} | {hours:,.2f} | {disk * SSD_GB:,.0f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
