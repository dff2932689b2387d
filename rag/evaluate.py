"""Measure retrieval on a BEIR-style folder, and answers on a file of questions."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rag.embed import Embedder
from rag.engine import Engine
from rag.errors import DataError
from rag.index import Index, update
from rag.letter import Letter, Measure
from rag.parse import sentences
from rag.rank import search
from rag.text import fold


def json_lines(path: Path, *needed: str) -> list[dict[str, Any]]:
    """Read a JSON Lines file whose objects have the ``needed`` keys.

    Raises:
        DataError: naming the file and the line that is no such object.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read ({error})", "a JSON Lines file in UTF-8") from error
    found: list[dict[str, Any]] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict):
            raise DataError(f"line {number} of {path} is not a JSON object", "one object a line")
        if lacking := [key for key in needed if key not in row]:
            raise DataError(f"line {number} of {path} has no {', '.join(lacking)}", "these keys")
        found.append(row)
    return found


def evaluate_beir(folder: Path, embedder: Embedder) -> dict[str, float]:
    """Index a corpus as letters of one measure and rank it for every query.

    Args:
        folder: ``corpus.jsonl`` and ``queries.jsonl`` (``{"id", "text"}``), ``qrels.tsv`` (header; query, passage, 1).
        embedder: the model.

    Returns:
        ``ndcg@10``, ``recall@1``, ``recall@10`` and ``mrr@10``, each in [0, 1], means over the queries with a judgement.
    """
    corpus = json_lines(folder / "corpus.jsonl", "id", "text")
    queries = json_lines(folder / "queries.jsonl", "id", "text")
    relevant = _judgements(folder / "qrels.tsv")
    with tempfile.TemporaryDirectory() as scratch:
        letters = [_passage(str(row["id"]), str(row["text"])) for row in corpus]
        update(Path(scratch), letters, embedder)
        index = Index.open(Path(scratch), embedder)
        ranked = {
            str(q["id"]): [h.letter.id for h in search(index, str(q["text"]), k=10)]
            for q in queries
            if str(q["id"]) in relevant
        }
    return retrieval_scores(ranked, relevant)


def retrieval_scores(ranked: dict[str, list[str]], relevant: dict[str, set[str]]) -> dict[str, float]:
    """Score rankings against judgements (binary gains; nDCG's ideal has all relevant passages first)."""
    rows = [_one(found[:10], relevant[q]) for q, found in ranked.items()]
    names = ("ndcg@10", "recall@1", "recall@10", "mrr@10")
    return {n: round(sum(r[i] for r in rows) / max(1, len(rows)), 4) for i, n in enumerate(names)}


def _one(found: Sequence[str], relevant: set[str]) -> tuple[float, float, float, float]:
    hits = [i for i, name in enumerate(found) if name in relevant]
    gain = sum(1 / math.log2(i + 2) for i in hits)
    ideal = sum(1 / math.log2(i + 2) for i in range(min(10, len(relevant))))
    first = sum(i == 0 for i in hits) / len(relevant)
    return gain / ideal, first, len(hits) / len(relevant), 1 / (hits[0] + 1) if hits else 0.0


def _judgements(path: Path) -> dict[str, set[str]]:
    relevant: dict[str, set[str]] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()[1:]
    except OSError as error:
        raise DataError(f"{path} cannot be read", "qrels.tsv with a header line") from error
    for number, line in enumerate(lines, 2):
        parts = line.split("\t")
        if len(parts) != 3 or not parts[2].strip().isdigit():
            raise DataError(f"line {number} of {path} is {line!r}", "query, passage and grade, tab between")
        if int(parts[2]) > 0:
            relevant.setdefault(parts[0], set()).add(parts[1])
    return relevant


def _passage(name: str, text: str) -> Letter:
    """A letter of one measure, for a passage of a public corpus."""
    found = tuple(sentences(text, 0, len(text)))
    measure = Measure("第1段", "", "", 0, len(text), 0, found)
    return Letter(name, text, name, name, name, "", "", "", "", "", (measure,), (), (), {})


def evaluate_answers(path: Path, engine: Engine) -> dict[str, float]:
    """Ask every question of a file and score the answers.

    Args:
        path: JSON Lines: ``question``; ``refuse`` (true when the letters do not say), or ``answer`` (strings of which one
            must be in the answer) or ``all`` (all must be); optionally ``letter`` and ``path`` of the right measure.
        engine: an opened engine.

    Returns:
        Means in [0, 1]: ``measure_first``, ``short_answer``, ``answer``, ``wrongly_refused`` over the answerable questions,
        ``refused`` over the others, and ``citations_exact`` over all citations.
    """
    totals: dict[str, list[float]] = {}

    def count(name: str, value: bool) -> None:
        totals.setdefault(name, []).append(float(value))

    for number, row in enumerate(json_lines(path, "question"), 1):
        if row.get("path") and "letter" not in row:
            raise DataError(f"row {number} of {path} has a path but no letter", "both")
        found = engine.ask(str(row["question"]))
        for c in found.citations:
            count("citations_exact", c.letter.text[c.start : c.end] == c.quote)
        if row.get("refuse"):
            count("refused", found.refused)
            continue
        first = found.citations[0] if found.citations else None
        if row.get("path"):
            right = first and (first.letter.id, first.measure.path) == (row["letter"], row["path"])
            count("measure_first", bool(right))
        explained = row.get("kind") in ("how", "why", "yesno")
        count("short_answer", holds(row, found.answer if explained else found.short_answer))
        count("answer", not found.refused and holds(row, found.answer))
        count("wrongly_refused", found.refused)
    return {name: round(sum(v) / len(v), 4) for name, v in totals.items()}


def holds(row: dict[str, Any], text: str) -> bool:
    """Say whether a text holds the wanted answer; width, case and blanks do not count."""
    seen = fold(text).replace(" ", "")
    wanted = [fold(str(w)).replace(" ", "") for w in row.get("all") or row.get("answer") or []]
    return bool(wanted) and (all if row.get("all") else any)(w in seen for w in wanted)
