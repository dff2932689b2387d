"""The embedding model alone, without words and without late interaction: the figures of its model card.

Ranks every passage of the public sets under ``--data`` (``corpus.jsonl``, ``queries.jsonl``, ``qrels.tsv``) by the
cosine of the passage, of its best sentence, and by their plain sum; prints nDCG@10 as a Markdown table, and the time a question
takes.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from rag.embed import Embedder, Vectors, open_embedder
from rag.evaluate import json_lines, retrieval_scores
from rag.parse import sentences
from rag.settings import BUNDLED_MODEL

SETS = ("xquad_zh", "xquad_en2zh", "cmrc_dev", "drcd_dev", "tatoeba_en2zh")


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Measure the embedding model alone.")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    parser.add_argument("--model", default=str(BUNDLED_MODEL), metavar="MODEL")
    options = parser.parse_args()
    model = open_embedder(options.model)
    cores = os.cpu_count()
    print(f"nDCG@10; {cores} cores, Python {platform.python_version()}, {datetime.date.today()}.\n")
    print("| set | by passage | by best sentence | sum |\n| --- | ---: | ---: | ---: |")
    for name in SETS:
        if (options.data / name).is_dir():
            views = " | ".join(f"{score:.3f}" for score in ndcg(options.data / name, model))
            print(f"| {name} | {views} |", flush=True)
    print(f"\nA question is embedded in {query_ms(options.data / SETS[0], model):.2f} ms (median).")
    return 0


def query_ms(folder: Path, model: Embedder) -> float:
    """The median time to embed one question, in milliseconds."""
    times = []
    for row in json_lines(folder / "queries.jsonl")[:500]:
        begun = time.perf_counter()
        model.queries([str(row["text"])])
        times.append(1000 * (time.perf_counter() - begun))
    return statistics.median(times)


def ndcg(folder: Path, model: Embedder) -> Iterator[float]:
    """Yield nDCG@10 by passage, by best sentence, and by their sum."""
    corpus = json_lines(folder / "corpus.jsonl")
    judged = (folder / "qrels.tsv").read_text(encoding="utf-8").splitlines()[1:]
    relevant: dict[str, set[str]] = {}
    for query, passage, _ in (line.split("\t") for line in judged):
        relevant.setdefault(query, set()).add(passage)
    queries = [q for q in json_lines(folder / "queries.jsonl") if str(q["id"]) in relevant]
    texts = [str(row["text"]) for row in corpus]
    parts = [[s.of(t) for s in sentences(t, 0, len(t))] or [t] for t in texts]
    asked = model.queries([str(q["text"]) for q in queries])
    whole = asked @ model.passages(texts).T
    starts = np.cumsum([0, *map(len, parts[:-1])])
    each = asked @ model.passages([s for part in parts for s in part]).T
    best = np.maximum.reduceat(each, starts, axis=1)
    for view in (whole, best, whole + best):
        yield _score(view, queries, corpus, relevant)


def _score(view: Vectors, queries: list[dict], corpus: list[dict], relevant: dict[str, set[str]]) -> float:
    order = np.argsort(-view, axis=1, kind="stable")[:, :10]
    ranked = {
        str(q["id"]): [str(corpus[i]["id"]) for i in row] for q, row in zip(queries, order, strict=True)
    }
    return retrieval_scores(ranked, relevant)["ndcg@10"]


if __name__ == "__main__":
    sys.exit(main())
