"""The teaching data: how people ask ↔ how officials write, written by hand, and its checker.

Each ``rag/teaching/FIELD.jsonl`` holds rows ``{"q", "p", "f", "k"}``: what a person types, the official text that answers it or means
the same, the field, and the kind; sometimes also ``"a"``, the words of the text that answer, and ``"n"``, an official text that does
not answer. The kinds and how the rows were written are in ``rag/teaching/README.md``.
"""

from __future__ import annotations

import json
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from rag.errors import DataError
from rag.text import fold

TEACHING = Path(__file__).parent / "teaching"
KINDS = ("question", "paraphrase", "en", "term", "unanswered")
MOST_SHARED = 0.6


def load_teaching(folder: Path = TEACHING) -> list[dict[str, str]]:
    """Read every row.

    Raises:
        DataError: for the first row that is not of the schema.
    """
    found: list[dict[str, str]] = []
    for path in sorted(folder.glob("*.jsonl")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            row = json.loads(line)
            wrong = _wrong(row, path.stem)
            if wrong:
                raise DataError(f"row {number} of {path.name}: {wrong}", '{"q", "p", "f", "k"}')
            found.append(row)
    return found


def kept_apart(text: str) -> bool:
    """Say whether an official text is one of the 4 % that the reader never learns from: its confidence is fitted on them."""
    return zlib.crc32(fold(text).encode()) % 25 == 0


def _wrong(row: Any, field: str) -> str:
    if not isinstance(row, dict) or not {"q", "p", "f", "k"} <= row.keys() <= {"q", "p", "f", "k", "a", "n"}:
        return "other keys than q, p, f, k, a, n"
    if not all(isinstance(v, str) and v.strip() for v in row.values()):
        return "an empty value"
    if row["f"] != field:
        return f"field {row['f']!r} in the file of {field!r}"
    if row["k"] not in KINDS:
        return f"kind {row['k']!r}"
    if row.get("a", "") not in row["p"]:
        return f"the answer {row['a']!r} is not in the text"
    shared = longest_shared(row["q"], row["p"]) if row["k"] == "question" else 0
    return f"a question that shares {shared} characters in a row with its text" if shared > 2 else ""


def too_close(questions: Sequence[str], limit: float = MOST_SHARED) -> list[tuple[int, int]]:
    """Return the questions that share more than ``limit`` of their pairs with an earlier one: (later, earlier).

    Pairs are of characters in Chinese, of words in English; of texts with fewer than three pairs only equal ones count.
    """
    seen: dict[str, list[int]] = defaultdict(list)
    kept: list[set[str]] = []
    found: list[tuple[int, int]] = []
    for number, question in enumerate(questions):
        pairs = _pairs(question)
        counts = Counter(other for pair in sorted(pairs) for other in seen[pair])
        share = limit if len(pairs) > 2 else 0.99
        near = next(
            (o for o, n in counts.most_common(3) if n > share * min(len(pairs), len(kept[o]) + 2)), None
        )
        if near is not None:
            found.append((number, near))
            kept.append(set())
            continue
        kept.append(pairs)
        for pair in pairs:
            seen[pair].append(number)
    return found


def _pairs(text: str) -> set[str]:
    seen = fold(text)
    units = seen.split() if seen.isascii() else [c for c in seen if c.isalnum()]
    return {f"{a} {b}" for a, b in pairwise(units)} or {seen}


def longest_shared(a: str, b: str) -> int:
    """Return the length of the longest run of characters that both texts hold."""
    short, long = sorted((fold(a), fold(b)), key=len)
    best = 0
    for i in range(len(short)):
        while i + best < len(short) and short[i : i + best + 1] in long:
            best += 1
    return best


def check(rows: Iterable[dict[str, str]]) -> dict[str, Any]:
    """Count what a person should know of the data.

    Returns:
        ``rows``, ``chinese``, ``english``, ``texts`` (distinct official texts), ``answers`` (rows that tell the words that answer),
        ``negatives`` (distinct), ``close`` (rows refused because another asks the same), ``fields`` and ``kinds`` with their
        numbers, and ``everyday``: the share of the Chinese questions that have at most two characters in a row in common with
        their text.
    """
    given = list(rows)
    terms = [r["q"] for r in given if r["k"] == "term"]
    asked = [r for r in given if r["k"] in ("question", "paraphrase")]
    close = too_close([r["q"] for r in given if r["k"] != "term"]) + too_close(terms)
    return {
        "rows": len(given),
        "chinese": sum(r["k"] in ("question", "paraphrase", "term") for r in given),
        "english": sum(r["k"] == "en" for r in given),
        "texts": len({r["p"] for r in given}),
        "answers": sum("a" in r for r in given),
        "negatives": len({r["n"] for r in given if "n" in r}),
        "close": len(close),
        "fields": dict(Counter(r["f"] for r in given)),
        "kinds": dict(Counter(r["k"] for r in given)),
        "everyday": round(sum(r["k"] == "question" for r in asked) / max(1, len(asked)), 3),
    }


if __name__ == "__main__":
    print(json.dumps(check(load_teaching()), ensure_ascii=False, indent=1))
