"""What is still wrong, by kind: each question of a file asked of its own letter, and where the answer was lost.

    .venv/bin/python bench/errors.py [letters_a] [--list]

Only files that were used during the work may be looked at question by question; of ``letters_b`` counts alone are told.
Columns: right; the right measure but other words; another measure (``read``: the right one was among those read; ``lost``: it was
not); right but refused for want of confidence; refused otherwise. Of the unanswerable: refused, or answered all the same.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import quality

from rag import Engine
from rag.evaluate import holds, questions

HERE = Path(__file__).resolve().parent
HELD_OUT = "letters_b"
WAYS = ("right", "words", "read", "lost", "unsure", "refused")


def main() -> int:
    """Ask, count, print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("name", nargs="?", default="letters_a", help="of a file of questions in bench/")
    parser.add_argument("--list", action="store_true", help="show each question that went wrong")
    options = parser.parse_args()
    if options.list and options.name == HELD_OUT:
        parser.error(f"{HELD_OUT} is held out: its questions are not looked at one by one")
    counts: dict[tuple[str, str], Counter[str]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        library = quality.Library(Path(scratch))
        for row in questions(HERE / f"{options.name}.jsonl"):
            engine = library.of([row["letter"]] if row.get("letter") else library.letters)
            way, told = (_unanswerable if row["refuse"] else _answerable)(row, engine)
            kind = "unanswerable" if row["refuse"] else row.get("kind") or "-"
            counts.setdefault((row.get("style") or "-", kind), Counter())[way] += 1
            if options.list and way != "right":
                print(f"{way}: {row['question']} | {row.get('answer')} | {told}", file=sys.stderr)
    print(f"| wording | kind | questions | {' | '.join(WAYS)} |\n| --- | --- |{' ---: |' * (len(WAYS) + 1)}")
    for (style, kind), found in sorted(counts.items()):
        told = " | ".join(str(found[w] or "") for w in WAYS)
        print(f"| {style} | {kind} | {found.total()} | {told} |")
    return 0


def _unanswerable(row: dict[str, Any], engine: Engine) -> tuple[str, str]:
    answer = engine.ask(row["question"])
    return ("right" if answer.refused else "words"), answer.answer


def _answerable(row: dict[str, Any], engine: Engine) -> tuple[str, str]:
    """Where an answer was lost; what would have been said is asked for without the threshold."""
    answer = engine.ask(row["question"])
    if answer.refused and answer.reason != "no_evidence":
        return "refused", answer.answer
    free = Engine(engine.index, engine.settings.with_(min_confidence=0.0))
    free.reads = engine.reads
    said, hits = free.find(row["question"])
    if holds(row, "\n".join(c.quote for c in said.citations)):
        return ("unsure" if answer.refused else "right"), said.answer
    if row["path"] in {c.measure.path for c in said.citations}:
        return "words", said.answer
    return ("read" if row["path"] in {h.measure.path for h in hits} else "lost"), said.answer


if __name__ == "__main__":
    sys.exit(main())
