"""Pairs to learn from: public files, the teaching data, and English made from Chinese by a dictionary."""

from __future__ import annotations

import gzip
import itertools
import json
import random
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from rag.errors import DataError
from rag.gloss import Glosses

Pair = tuple[str, str]

TUNING = "pairs_cmrc_trial.jsonl.gz"
_SENTENCE = re.compile(r"[^。！？!?；;\n]{4,}[。！？!?；;]?")


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a JSON Lines file, gzipped or not."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def load_sources(data: Path, seed: int = 7) -> dict[str, list[Pair]]:
    """Read every training source under ``data``; each becomes one dataset whose batches are not mixed.

    Args:
        data: folder with ``train/`` and ``rc/`` (see the model card for the files).
        seed: of the shuffle and the sampling.

    Raises:
        DataError: when the folder holds no training file.
    """
    train = data / "train"
    if not any(train.glob("*.jsonl.gz")):
        raise DataError(
            f"no training files in {train}", "JSON Lines named pairs_*, plain_*, zhen_* (.jsonl.gz)"
        )
    rng = random.Random(seed)  # noqa: S311 (sampling, not secrets)
    sources: dict[str, list[Pair]] = {}
    tuning = tuning_questions(data)
    for path in sorted(train.glob("pairs_*.jsonl.gz")):
        if path.name == TUNING:
            continue
        name = path.name.removesuffix(".jsonl.gz")
        pairs = [(r["q"], r["p"][:600]) for r in rows(path)]
        sources[name] = pairs * (1 if "laws" in name else 3)
        if "laws" in name or "csl" in name or "wiki" in name or "policy" in name:
            sources[name + "_sentence"] = [(q, rng.choice(_SENTENCE.findall(p) or [p])) for q, p in pairs]
    for path in sorted((data / "rc").glob("rctrain_*.jsonl.gz")):
        name = path.name.removesuffix(".jsonl.gz")
        sources[name] = [
            (r["question"], sentence_at(r["context"], r["answers"][0]["start"]))
            for r in rows(path)
            if r["question"] not in tuning
        ] * 3
    for path in sorted(train.glob("plain_*.jsonl.gz")):
        near = list(neighbours(r["t"] for r in rows(path)))
        sources[path.name.removesuffix(".jsonl.gz")] = rng.sample(near, min(len(near), 120_000))
    dictionary = train / "zhen_cedict.jsonl.gz"
    words = Glosses((r["zh"], r["en"]) for r in rows(dictionary)) if dictionary.exists() else Glosses([])
    sources |= english_sources(sources, words, rng)
    for path in sorted(train.glob("zhen_*.jsonl.gz")):
        name = path.name.removesuffix(".jsonl.gz")
        if path == dictionary:
            sources[name] = words.pairs()
        else:
            sources[name] = [(r["zh"], r["en"]) for r in rows(path)] * (1 if "pydocs" in name else 3)
    for pairs in sources.values():
        rng.shuffle(pairs)
    return sources


def english_sources(
    sources: dict[str, list[Pair]], words: Glosses, rng: random.Random
) -> dict[str, list[Pair]]:
    """Turn Chinese sources into English ↔ Chinese ones by a dictionary: see :mod:`rag.gloss`.

    Questions and titles meet their passages; running sentences meet themselves and those that follow.
    """
    found: dict[str, list[Pair]] = {}
    for name, pairs in sources.items():
        if not name.startswith("plain"):
            found[f"english_{name}"] = [
                (words.english(a, rng), b) for a, b in list(dict.fromkeys(pairs))[:20_000]
            ]
            continue
        mixed = rng.sample(pairs, min(len(pairs), 80_000))
        found[f"english_{name}"] = [(words.english(a, rng), a) for a, _ in mixed[:50_000]]
        found[f"english_{name}_next"] = [(words.english(a, rng), b) for a, b in mixed[50_000:]]
    return {name: kept for name, pairs in found.items() if (kept := [p for p in pairs if p[0]])}


def tuning_questions(data: Path) -> set[str]:
    """The questions kept out of all training, to tune what comes after it."""
    path = data / "train" / TUNING
    return {r["q"] for r in rows(path)} if path.exists() else set()


def teaching_sources(taught: Sequence[dict[str, str]], rng: random.Random) -> dict[str, list[Pair]]:
    """Turn the teaching data into datasets in which no official text comes twice, so that no batch denies a right answer.

    The n-th question of every text goes into the n-th dataset; English questions also meet a Chinese one of their text.
    """
    by_text: dict[str, list[dict[str, str]]] = {}
    for row in taught:
        if row["k"] == "unanswered":
            continue
        by_text.setdefault(row["p"], []).append(row)
    sources: dict[str, list[Pair]] = {}
    for text, asked in by_text.items():
        rng.shuffle(asked)
        for n, row in enumerate(asked[:6]):
            sources.setdefault(f"teaching_{n}", []).append((row["q"], text))
        english = [r["q"] for r in asked if r["k"] == "en"]
        chinese = [r["q"] for r in asked if r["k"] != "en"]
        if english and chinese:
            sources.setdefault("teaching_en_zh", []).append((english[0], rng.choice(chinese)))
        if len(chinese) > 1:
            sources.setdefault("teaching_zh_zh", []).append((chinese[0], chinese[1]))
    return sources


def sentence_at(text: str, offset: int) -> str:
    """Return the sentence of ``text`` that holds the character at ``offset``."""
    return next((m[0] for m in _SENTENCE.finditer(text) if m.start() <= offset < m.end()), text)


def neighbours(texts: Iterable[str]) -> Iterator[Pair]:
    """Yield each sentence with the one that follows it."""
    for text in texts:
        found = [s for s in _SENTENCE.findall(text) if len(s) > 8]
        yield from itertools.pairwise(found)
