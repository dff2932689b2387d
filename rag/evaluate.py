"""Measure retrieval on a BEIR-style folder, and answers on a file of questions."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from rag.embed import Embedder
from rag.engine import Answer, Engine
from rag.errors import DataError
from rag.index import Index, update
from rag.letter import Letter, Measure
from rag.parse import sentences
from rag.rank import Hit, search
from rag.reader import open_reader
from rag.reading import Reads, rerank
from rag.scores import Judged, same, summary
from rag.seam import Searchable
from rag.sources import rows
from rag.text import fold
from rag.verify import unproved

_EXPLAINED = ("how", "why", "yesno", "whether")  # their answer is a sentence, not a span
_EXACT = ("number", "money", "share", "percent", "date")


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
        reads = Reads(open_reader(embedder))
        ranked = {
            str(q["id"]): [h.letter.id for h in _ranked(index, reads, str(q["text"]))]
            for q in queries
            if str(q["id"]) in relevant
        }
    return retrieval_scores(ranked, relevant)


def _ranked(index: Searchable, reads: Reads, query: str) -> list[Hit]:
    hits = search(index, query, k=10)
    return rerank(hits, reads.read(fold(query), hits))[0]


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


def evaluate_answers(path: Path, engine: Engine, *, only_own: bool = False) -> dict[str, float]:
    """Ask every question of a file and score the answers.

    Args:
        path: JSON Lines, as ``questions`` reads it.
        engine: an opened engine.
        only_own: ask a question of its own letter only, where its row names one.

    Returns:
        The scores of ``rag.scores.summary``.

    Raises:
        DataError: for a row that cannot be asked or judged.
        LetterError: ``only_own``, and a row names a letter that is not in the index.
    """
    return summary(judge(questions(path), engine, only_own=only_own))


def questions(path: Path) -> list[dict[str, Any]]:
    """Read a file of questions.

    A row holds ``question``; ``refuse`` (true when the letters do not say), or ``answer`` (strings of which one must be
    in the answer) or ``all`` (all must be); optionally ``kind``, ``letter`` and ``path`` of the right measure.

    Raises:
        DataError: naming the first row that is not so.
    """
    rows = json_lines(path, "question")
    for number, row in enumerate(rows, 1):
        if row.get("path") and not row.get("letter"):
            raise DataError(f"row {number} of {path} has a path but no letter", "both")
    return rows


def judge(rows: Iterable[dict[str, Any]], engine: Engine, *, only_own: bool = False) -> list[Judged]:
    """Ask the questions and judge each answer by its row; in the order of the rows.

    Args:
        rows: as ``questions`` returns them.
        engine: an opened engine.
        only_own: ask a question of its own letter only, where its row names one.
    """
    return [_judge(row, engine, row.get("letter") if only_own else None) for row in rows]


def _judge(row: dict[str, Any], engine: Engine, letter_id: str | None) -> Judged:
    found = engine.ask(str(row["question"]), letter_id=letter_id)
    told = Judged(
        answerable=not row.get("refuse"),
        refused=found.refused,
        confidence=found.confidence,
        right=False if row.get("refuse") else None,
        quotes=tuple(c.letter.text[c.start : c.end] == c.quote for c in found.citations),
        unproved=0 if found.refused else len(_unproved(found)),
        total_ms=found.timings_ms["total"],
    )
    if row.get("refuse"):
        return told
    if row.get("path"):
        told = replace(told, **_places(row, engine, letter_id, found))
    return replace(told, **_words(row, found)) if _wanted(row) else told


def _unproved(found: Answer) -> list[str]:
    quotes = [c.quote for c in found.citations]
    return unproved(found.answer, quotes) + unproved(found.short_answer, quotes)


def _places(row: dict[str, Any], engine: Engine, letter_id: str | None, found: Answer) -> dict[str, Any]:
    """Where the right measure stands in the search and whether it is the first cited."""
    right = (row["letter"], row["path"])
    hits = engine.search(str(row["question"]), k=3, letter_id=letter_id)
    order = [(h.letter.id, h.measure.path) for h in hits]
    cited = [(c.letter.id, c.measure.path) for c in found.citations[:1]]
    return {"place": order.index(right) + 1 if right in order else 0, "measure_first": cited == [right]}


def _words(row: dict[str, Any], found: Answer) -> dict[str, Any]:
    """Whether the answer and the short answer, when they were given, hold what is wanted."""
    short = found.answer if row.get("kind") in _EXPLAINED else found.short_answer
    told = {
        "right": not found.refused and holds(row, found.answer),
        "short": not found.refused and holds(row, short),
    }
    if row.get("kind") in _EXACT and not row.get("all"):
        told["short_exact"] = any(same(found.short_answer, w) for w in _wanted(row))
    return told


def _wanted(row: dict[str, Any]) -> list[str]:
    wanted = row.get("all") or row.get("answer") or []
    return [str(w) for w in ([wanted] if isinstance(wanted, str) else wanted)]


def holds(row: dict[str, Any], text: str) -> bool:
    """Say whether a text holds the wanted answer; width, case and blanks do not count."""
    seen = fold(text).replace(" ", "")
    wanted = [fold(w).replace(" ", "") for w in _wanted(row)]
    return bool(wanted) and (all if row.get("all") else any)(w in seen for w in wanted)


def evaluate_reading(path: Path, embedder: Embedder) -> dict[str, float]:
    """Let the reader find answers in whole passages, without search.

    Args:
        path: JSON Lines, gzipped or not, of ``{"question", "context", "answers": [{"text"}]}``.
        embedder: the model.

    Returns:
        ``questions``, ``em`` (the same characters, signs apart) and ``f1`` (by the longest common run of characters), means of
        the best over the answers given. Source: the measures of CMRC 2018 (Cui et al., 2019).
    """
    reads = Reads(open_reader(embedder))
    told = []
    for number, row in enumerate(rows(path)):
        letter = _passage(str(number), row["context"])
        found = reads.read(fold(row["question"]), [Hit(letter, letter.measures[0], 1.0, 1.0, ())])
        spans = [(r.reading.answers + s[2], r.window.start, s) for r in found for s in r.reading.spans[:1]]
        _, at, (start, end, _) = max(spans, default=(0.0, 0, (0, 0, 0.0)))
        said = _plain(letter.text[at + start : at + end])
        wanted = [_plain(a["text"]) for a in row["answers"]]
        told.append((float(said in wanted), max(_overlap(said, w) for w in wanted)))
    em, f1 = (round(sum(column) / len(told), 4) for column in zip(*told, strict=True))
    return {"questions": len(told), "em": em, "f1": f1}


def _plain(text: str) -> str:
    return "".join(c for c in fold(text) if c.isalnum())


def _overlap(a: str, b: str) -> float:
    match = SequenceMatcher(None, a, b, autojunk=False).find_longest_match()
    return 2 * match.size / (len(a) + len(b)) if match.size else 0.0
