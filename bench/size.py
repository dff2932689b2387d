"""What an index costs as it grows: warm retrieval, whole answers, memory and a cold question, against a bare floor in the same run.

    .venv/bin/python bench/size.py [--sizes 20 10000 100000 1000000] [--folder DIR] [--questions 200] [--out FILE]

The letters are those of ``bench/scale.py``, written into segments as ``rag index`` does but without files and catalogue. The floor does
no more than what a script would: embed the question, search the measures' vectors with FAISS, score the measures' words with the
same postings, add both, ten hits; no sentences, no pieces, no reader. Both run in one process, question by question in turns. Every
question is also searched exactly: all vectors of measures and sentences in full, all postings. ``--folder`` keeps the indexes.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from scale import RAG, run, town, write_letter

from rag.derive import embed
from rag.embed import Embedded, open_embedder
from rag.engine import Engine
from rag.index import Index
from rag.letter import PARSER_VERSION
from rag.order import ORDER, write_order
from rag.parse import parse
from rag.rank import search
from rag.read import Source
from rag.segment import Entry, write_segment
from rag.settings import Settings
from rag.store import new_generation, publish
from rag.text import terms

HERE = Path(__file__).resolve().parent
T = TypeVar("T")
SEGMENT, MEASURES = 100_000, 22  # measures of a segment, and of a letter


class Remembering:
    """A model that embeds a text once: most sentences of these letters are in many of them."""

    def __init__(self, model) -> None:
        self.model, self.known = model, {}

    def __call__(self, letter) -> Embedded:
        said = [s.of(letter.text) for m in letter.measures for s in m.sentences]
        new = [t for t in dict.fromkeys(said) if t not in self.known]
        found = dict(zip(new, self.model.passages(new).astype(np.float16), strict=True)) if new else {}
        vectors = [found[t] if t in found else self.known[t] for t in said]
        if len(self.known) < 50_000:
            self.known |= found
        whole = embed_measures(letter, self.model)
        return Embedded(
            whole.measures, np.array(vectors, np.float16).reshape(-1, self.model.dimension), whole.pieces
        )


def embed_measures(letter, model) -> Embedded:
    """The measures alone, as :func:`rag.derive.embed` makes them."""
    from dataclasses import replace

    bare = replace(
        letter, measures=tuple(replace(m, heading=_text(letter, m), sentences=()) for m in letter.measures)
    )
    return embed(bare, model)


def _text(letter, measure) -> str:
    return measure.heading + "".join(s.of(letter.text) for s in measure.sentences)


def entries(first: int, many: int, model) -> Iterator[Entry]:
    """So many letters, with their vectors."""
    made = Remembering(model)
    for n in range(first, first + many):
        letter = parse(Source(f"letter-{n:06}.txt", write_letter(n)[0], f"{n:064}"))
        yield Entry(n, letter, "", False, *made(letter))


def write_one(job: tuple[Path, int, int, int]) -> dict[str, object]:
    """Write one segment, in a process of its own."""
    home, number, first, many = job
    model = open_embedder(Settings(_env_file=None).embedding_model)
    entry = write_segment(home, number, entries(first, many, model), model.dimension)
    print(f"{home.name}: letters {first} to {first + many}", file=sys.stderr)
    return {"name": home.name, **entry, "removed": []}


def build(folder: Path, measures: int, processes: int) -> None:
    """Write an index of about so many measures."""
    letters, each = -(-measures // MEASURES), SEGMENT // MEASURES
    model = open_embedder(Settings(_env_file=None).embedding_model)
    context = multiprocessing.get_context("spawn")
    with new_generation(folder) as building, ProcessPoolExecutor(processes, context) as pool:
        jobs = [
            (building / f"seg-{s + 1}-{0:08}", s + 1, first, min(each, letters - first))
            for s, first in enumerate(range(0, letters, each))
        ]
        segments: list[dict[str, Any]] = list(pool.map(write_one, jobs))
        write_order(building / ORDER, segments, {v: f"letter-{v:06}" for v in range(letters)})
        about = {"name": model.name, "fingerprint": model.fingerprint, "dimension": model.dimension}
        manifest = {
            "parser": PARSER_VERSION,
            "embedding": about,
            "letters": letters,
            "measures": sum(sum(e["sizes"]) for e in segments),
            "revision": 0,
            "segments": segments,
        }
        publish(folder, building, manifest)


class Floor:
    """The least that hybrid retrieval over the measures takes."""

    def __init__(self, index: Index, limit: int = 100) -> None:
        self.index, self.limit = index, limit

    def __call__(self, question: str) -> list[int]:
        index, limit = self.index, self.limit
        query = index.embedder.queries([question])[0]
        score: dict[int, float] = {}
        at = 0
        near = []
        for part in index.segments.values():
            rows, products = part.measures.search(query, limit)
            near += zip((rows + at).tolist(), products.tolist(), strict=True)
            at += len(part.measures)
        near.sort(key=lambda pair: -pair[1])
        top = near[0][1]
        for n, product in near[:limit]:
            score[n] = product / top
        words = index.measure_scores(terms(question), limit)
        best = max(words.values(), default=1.0)
        for n, s in words.items():
            score[n] = score.get(n, 0.0) + s / best
        return sorted(score, key=score.__getitem__, reverse=True)[:10]


def exactly(index: Index) -> Index:
    """The index, now searched in full."""
    index.__dict__["_reach"] = 0
    for part in index.segments.values():
        if part.measures.kind == "codes":
            part.measures.kind = "flat"
    for words in (index._words, index._sentence_words):
        words.budget = 1 << 60
    return index


def questions(letters: int, many: int) -> list[tuple[str, str, str]]:
    """Questions that name their town, the same without it, and the short answer."""
    rng = random.Random(5)
    out = []
    for _ in range(many):
        n = rng.randrange(letters)
        asked, wanted = rng.choice(write_letter(n)[1])
        out.append((asked, asked.removeprefix(town(n)), wanted))
    return out


def timed(times: list[tuple[float, float]], work: Callable[[], T]) -> T:
    """Do something; note its wall and CPU milliseconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = work()
    times.append((1000 * (time.perf_counter() - wall), 1000 * (time.process_time() - cpu)))
    return found


def told(times: list[tuple[float, float]]) -> dict[str, float]:
    """Median and 99th percentile of wall times, median of CPU times."""
    wall, cpu = sorted(w for w, _ in times), [c for _, c in times]
    return {
        "p50_ms": round(statistics.median(wall), 2),
        "p99_ms": round(wall[int(len(wall) * 0.99)], 2),
        "cpu_p50_ms": round(statistics.median(cpu), 2),
        "cpu_p99_ms": round(sorted(cpu)[int(len(cpu) * 0.99)], 2),
    }


def memory() -> dict[str, int]:
    """Resident MiB of this process: all, and without mapped files."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {
        name: int(lines[key].split()[0]) // 1024
        for name, key in (("rss_mib", "VmRSS"), ("anonymous_mib", "RssAnon"))
    }


def measure(folder: Path, many: int) -> dict[str, object]:
    """Everything that is measured in one process over an opened index."""
    before = memory()
    settings = Settings(index_dir=folder, _env_file=None)
    started = time.perf_counter()
    engine = Engine.open(settings)
    opened = 1000 * (time.perf_counter() - started)
    index, floor = engine.index, Floor(engine.index)
    asked = questions(len(index.letters), many)
    ours, floors, named, unnamed, tops, right = [], [], [], [], [], []
    for full, bare, _ in asked[: many // 4]:
        floor(full), search(index, full), engine.ask(full), engine.ask(bare)
    for full, bare, wanted in asked:
        timed(floors, partial(floor, full))
        tops.append(timed(ours, partial(search, index, full, k=10)))
        right.append(timed(named, partial(engine.ask, full)).short_answer == wanted)
        timed(unnamed, partial(engine.ask, bare))
        if not right[-1]:
            print(f"not {wanted}: {full}", file=sys.stderr)
    after = memory()
    exact = exactly(Index.open(folder, index.embedder))
    same, first = [], []
    for (full, *_), hits in zip(asked[:100], tops, strict=False):
        best = [(h.letter.id, h.measure.path) for h in search(exact, full, k=10)]
        found = [(h.letter.id, h.measure.path) for h in hits]
        same.append(len(set(best) & set(found)) / max(1, len(best)))
        first.append(best[:1] == found[:1])
    return {
        "letters": len(index.letters),
        "measures": len(index.measures),
        "sentences": int(index._order.sentences[-1]),
        "structure": sorted({p.measures.kind for p in index.segments.values()}),
        "open_ms": round(opened, 1),
        "floor": told(floors),
        "retrieve": told(ours),
        "retrieve_to_floor": round(
            statistics.median(c for _, c in ours) / statistics.median(c for _, c in floors), 2
        ),
        "answer_named": told(named),
        "answer_unnamed": told(unnamed),
        "memory": {"before": before, "after": after},
        "right_named": round(statistics.mean(right), 4),
        "same_top_ten": round(statistics.mean(same), 4),
        "same_first": round(statistics.mean(first), 4),
    }


def main() -> int:
    """Build what is not there, measure every size in a process of its own, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[20, 10_000, 100_000, 1_000_000])
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--out", type=Path, default=HERE / "out" / "size.json")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--build-only", action="store_true")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="that build at once")
    options = parser.parse_args()
    if options.child:
        print(json.dumps(measure(options.child, options.questions)))
        return 0
    scratch = options.folder or Path(tempfile.mkdtemp())
    options.out.parent.mkdir(exist_ok=True)
    report: dict[str, object] = {
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "date": datetime.now(UTC).date().isoformat(),
        "sizes": {},
    }
    for size in options.sizes:
        folder = scratch / str(size)
        if not (folder / "CURRENT").exists():
            build(folder, size, options.processes)
        if options.build_only:
            continue
        load = os.getloadavg()[0]
        child = subprocess.run(
            [sys.executable, __file__, "--child", folder, "--questions", str(options.questions)],
            stdout=subprocess.PIPE, text=True, check=True, env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        )  # fmt: skip
        found = json.loads(child.stdout)
        question = write_letter(0)[1][0][0]
        found["cold_ask"] = min(
            (run(RAG, "ask", question, index=folder) for _ in range(5)), key=lambda r: r["cpu_s"]
        )
        found["disk_mib"] = round(sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) / 2**20)
        report["sizes"][str(size)] = {**found, "load": round(load, 1)}  # type: ignore[index]
        options.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=1))
    if options.folder is None:
        shutil.rmtree(scratch)
    return 0


if __name__ == "__main__":
    sys.exit(main())
