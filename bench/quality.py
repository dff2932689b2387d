"""Quality of answers and of retrieval, compared with the committed baseline; run by ``make eval``.

Answers: ``bench/dev.jsonl`` over the made-up letters in ``tests/letters``. These questions were used while the program
was written, so their scores are no forecast for letters never seen. Retrieval: the folders of public evaluation sets
under ``--data`` or ``RAG_EVAL_DATA``; without it that part is passed over.

Exit 0: nothing is worse than the baseline by more than the tolerance; 1: something is; 2: wrong usage.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import sys
import tempfile
from pathlib import Path

from rag import Engine, Settings
from rag.embed import open_embedder
from rag.evaluate import evaluate_answers, evaluate_beir
from rag.index import parse_all, update
from rag.settings import BUNDLED_MODEL

HERE = Path(__file__).resolve().parent
BASELINE = HERE / "quality.json"
PUBLIC = ("xquad_zh", "xquad_en2zh", "cmrc_dev")
LOWER_IS_BETTER = {"wrongly_refused"}
TOLERANCE = 0.01
Scores = dict[str, dict[str, float]]


def main() -> int:
    """Measure, print a Markdown table, and compare with the baseline or write it."""
    options = _options()
    found = {"dev": _answers(), **_retrieval(options.data)}
    kept: Scores = json.loads(BASELINE.read_text(encoding="utf-8"))["scores"] if BASELINE.exists() else {}
    print(_table(found, kept))
    if options.update:
        _write({**kept, **found})
        return 0
    return _verdict(found, kept)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure quality; compare with bench/quality.json.")
    parser.add_argument(
        "--data",
        type=Path,
        default=os.environ.get("RAG_EVAL_DATA") or None,
        metavar="DIR",
        help=f"folder that holds {', '.join(PUBLIC)}; default: RAG_EVAL_DATA",
    )
    parser.add_argument("--update", action="store_true", help="write the baseline instead")
    options = parser.parse_args()
    if options.data and not options.data.is_dir():
        parser.error(f"{options.data} is not a folder")
    return options


def _answers() -> dict[str, float]:
    """Scores of the answers; no setting of the environment has a say in them, and no index outside a scratch folder."""
    with tempfile.TemporaryDirectory() as scratch:
        defaults = {name: f.default for name, f in Settings.model_fields.items()}
        settings = Settings(**{**defaults, "index_dir": Path(scratch)})
        model = open_embedder(settings.embedding_model)
        update(settings.index_dir, parse_all([HERE.parent / "tests" / "letters"]), model)
        return evaluate_answers(HERE / "dev.jsonl", Engine.open(settings, model))


def _retrieval(data: Path | None) -> Scores:
    if data is None:
        print("public sets: passed over (no --data, no RAG_EVAL_DATA)", file=sys.stderr)
        return {}
    model = open_embedder(str(BUNDLED_MODEL))
    found: Scores = {}
    for name in PUBLIC:
        if (data / name).is_dir():
            print(f"{name} ...", file=sys.stderr)
            found[name] = evaluate_beir(data / name, model)
        else:
            print(f"{name}: passed over (not in {data})", file=sys.stderr)
    return found


def _table(found: Scores, kept: Scores) -> str:
    cores = os.cpu_count()
    where = f"{cores} cores, no GPU used, Python {platform.python_version()}"
    lines = [f"{where}, {datetime.date.today()}.", ""]
    lines += ["| set | score | value | baseline | change |", "| --- | --- | ---: | ---: | ---: |"]
    for name, scores in found.items():
        for score, value in scores.items():
            old = kept.get(name, {}).get(score)
            change = "| | |" if old is None else f"| {old:.4f} | {value - old:+.4f} |"
            lines.append(f"| {name} | {score} | {value:.4f} {change}")
    return "\n".join(lines)


def _verdict(found: Scores, kept: Scores) -> int:
    """Name what is worse than the baseline, or missing from what was measured, on stderr."""
    if not kept:
        print(f"no baseline in {BASELINE.name}; write one with --update", file=sys.stderr)
        return 1
    wrong = [
        f"{name} {score}: {found[name].get(score, 'not measured')} against {old}"
        for name in found
        for score, old in kept.get(name, {}).items()
        if _worse(score, found[name].get(score), old)
    ]
    for line in wrong:
        print(f"worse: {line}", file=sys.stderr)
    if not wrong:
        print(f"nothing is worse than the baseline by more than {TOLERANCE}", file=sys.stderr)
    return 1 if wrong else 0


def _worse(score: str, value: float | None, old: float) -> bool:
    if value is None:
        return True
    loss = value - old if score in LOWER_IS_BETTER else old - value
    return loss > TOLERANCE + 1e-9


def _write(scores: Scores) -> None:
    told = {
        "note": "made by: bench/quality.py --update; dev was used during development",
        "date": f"{datetime.date.today()}",
        "python": platform.python_version(),
        "tolerance": TOLERANCE,
        "scores": scores,
    }
    BASELINE.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    print(f"wrote {BASELINE.name}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
