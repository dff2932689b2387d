"""Quality of answers and of retrieval, compared with the committed baseline; run by ``make eval``.

All letters are made up. ``dev`` and ``everyday_zh`` / ``everyday_en`` ask of those in ``tests/letters`` and were used while
the program was written; so was ``letters_a``. ``letters_b`` was held out: its letters are none that the program was
written with, and its scores are the forecast for letters never seen. Of both: ``…/STYLE/all`` asks the answerable questions
of one wording of an index of all 16 letters, ``…/STYLE/own`` of an index of the question's own letter; ``…/refuse/own`` the
unanswerable ones of their own letter; ``…/every/own`` is both together, for the scores that need both.

Retrieval: the folders of public evaluation sets under ``--data`` or ``RAG_EVAL_DATA``. Reading: the files under ``--rc`` or
``RAG_RC_DATA``. Without them those parts are passed over. Draws ``bench/out/reliability.png``, where there is matplotlib.

Exit 0: nothing is worse than the baseline by more than the tolerance; 1: something is; 2: wrong usage.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import figure

from rag import Engine, Settings
from rag.embed import open_embedder
from rag.evaluate import evaluate_beir, evaluate_reading, judge, questions
from rag.index import parse_all, update
from rag.scores import Judged, pairs, summary
from rag.settings import BUNDLED_MODEL
from rag.text import has_han

HERE = Path(__file__).resolve().parent
BASELINE = HERE / "quality.json"
MADE_UP = HERE.parent / "tests" / "letters"
PUBLIC = ("xquad_zh", "xquad_en2zh", "cmrc_dev", "drcd_dev")
READING = "rc_cmrc_dev.jsonl.gz"
STYLES = ("everyday", "direct", "english")

SEARCHED = ("search_first", "search_in_three")
ANSWERED = (
    *("questions", *SEARCHED, "measure_first", "answer", "short_answer", "short_answer_exact"),
    *("wrongly_refused", "citations_exact", "numbers_unproved"),
)
REFUSED = ("questions", "refused", "numbers_unproved")
TRUSTED = ("questions", "refusal_precision", "refusal_f1", "aurc", "calibration_error", "p50_ms", "p99_ms")

LOWER_IS_BETTER = {"wrongly_refused", "aurc", "calibration_error", "numbers_unproved"}
TIMES = {"p50_ms", "p99_ms"}
NEVER_COMPARED = {"questions", *TIMES}
TOLERANCE = 0.01
Scores = dict[str, dict[str, float]]


def main() -> int:
    """Measure, print a Markdown table, and compare with the baseline or write it."""
    options = _options()
    found = {**_answers(), **_retrieval(options.data), **_reading(options.rc)}
    kept: Scores = json.loads(BASELINE.read_text(encoding="utf-8"))["scores"] if BASELINE.exists() else {}
    print(_table(found, kept))
    if options.update:
        _write({**kept, **found})
        return 0
    return _verdict(found, kept)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure quality; compare with bench/quality.json.")
    for name, variable, told in (
        ("--data", "RAG_EVAL_DATA", f"folder that holds {', '.join(PUBLIC)}"),
        ("--rc", "RAG_RC_DATA", f"folder that holds {READING}"),
    ):
        default = os.environ.get(variable) or None
        parser.add_argument(
            name, type=Path, default=default, metavar="DIR", help=f"{told}; default: {variable}"
        )
    parser.add_argument("--update", action="store_true", help="write the baseline instead")
    options = parser.parse_args()
    for folder in (options.data, options.rc):
        if folder and not folder.is_dir():
            parser.error(f"{folder} is not a folder")
    return options


class Library:
    """Engines over some of the made-up letters; no setting of the environment has a say in them."""

    def __init__(self, scratch: Path) -> None:
        self.letters = {a.id: a for a in parse_all([MADE_UP, HERE / "letters"])}
        self._scratch = scratch
        self._model = open_embedder(str(BUNDLED_MODEL))
        self._opened: dict[tuple[str, ...], Engine] = {}

    def of(self, ids: Iterable[str]) -> Engine:
        """Return an engine over the letters of these ids."""
        names = tuple(ids)
        if names not in self._opened:
            defaults = {f.name: f.default for f in dataclasses.fields(Settings)}
            settings = Settings(**{**defaults, "index_dir": self._scratch / str(len(self._opened))})
            update(settings.index_dir, [self.letters[i] for i in names], self._model)
            self._opened[names] = Engine.open(settings, self._model)
            self._opened[names].ask("有多少家?")  # what opens with the first question is not timed
        return self._opened[names]


def _answers() -> Scores:
    with tempfile.TemporaryDirectory() as scratch:
        library = Library(Path(scratch))
        made_up = library.of(a.id for a in parse_all([MADE_UP]))
        _say("dev, everyday ...")
        found = {"dev": summary(judge(questions(HERE / "dev.jsonl"), made_up))}
        everyday = questions(HERE / "everyday.jsonl")
        for name, han in (("everyday_zh", True), ("everyday_en", False)):
            told = judge([row for row in everyday if has_han(row["question"]) == han], made_up)
            found[name] = _some(told, SEARCHED)
        own = {}
        for name in ("letters_a", "letters_b"):
            _say(f"{name} ...")
            scores, own[name] = _letters(name, library)
            found |= scores
    _draw(own["letters_b"])
    return found


def _letters(name: str, library: Library) -> tuple[Scores, list[Judged]]:
    """The scores of a file of questions by wording and index, and all its questions asked of their own letter."""
    rows = questions(HERE / f"{name}.jsonl")
    asked = [row for row in rows if not row["refuse"]]
    over = {
        "all": judge(asked, library.of(library.letters)),
        "own": [j for row in asked for j in judge([row], library.of([row["letter"]]))],
    }
    refused = [j for row in rows if row["refuse"] for j in judge([row], library.of([row["letter"]]))]
    found = {
        f"{name}/{style}/{where}": _some(
            [j for row, j in zip(asked, told, strict=True) if row["style"] == style], ANSWERED
        )
        for style in STYLES
        for where, told in over.items()
    }
    found[f"{name}/refuse/own"] = _some(refused, REFUSED)
    found[f"{name}/every/own"] = _some([*over["own"], *refused], TRUSTED)
    return found, [*over["own"], *refused]


def _some(told: Sequence[Judged], names: Sequence[str]) -> dict[str, float]:
    return {name: value for name, value in summary(told).items() if name in names}


def _draw(judged: Sequence[Judged]) -> None:
    try:
        figure.reliability(pairs(judged), HERE / "out" / "reliability.png")
    except ModuleNotFoundError as error:
        _say(f"reliability diagram: passed over ({error})")


def _retrieval(data: Path | None) -> Scores:
    if data is None:
        _say("public sets: passed over (no --data, no RAG_EVAL_DATA)")
        return {}
    model = open_embedder(str(BUNDLED_MODEL))
    found: Scores = {}
    for name in PUBLIC:
        if (data / name).is_dir():
            _say(f"{name} ...")
            found[name] = evaluate_beir(data / name, model)
        else:
            _say(f"{name}: passed over (not in {data})")
    return found


def _reading(folder: Path | None) -> Scores:
    """Scores of the reader by itself on public questions."""
    if folder is None:
        _say("reading: passed over (no --rc, no RAG_RC_DATA)")
        return {}
    if not (folder / READING).is_file():
        _say(f"reading: passed over ({READING} is not in {folder})")
        return {}
    _say(f"{READING} ...")
    return {"cmrc_dev_reading": evaluate_reading(folder / READING, open_embedder(str(BUNDLED_MODEL)))}


def _table(found: Scores, kept: Scores) -> str:
    where = f"{os.cpu_count()} cores, no GPU used, Python {platform.python_version()}"
    lines = [f"{where}, {datetime.date.today()}.", ""]
    lines += ["| set | score | value | baseline | change |", "| --- | --- | ---: | ---: | ---: |"]
    for name, scores in found.items():
        for score, value in scores.items():
            old = None if score in NEVER_COMPARED else kept.get(name, {}).get(score)
            change = "| | |" if old is None else f"| {_told(old)} | {value - old:+.4g} |"
            lines.append(f"| {name} | {score} | {_told(value)} {change}")
    return "\n".join(lines)


def _told(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.4f}"


def _verdict(found: Scores, kept: Scores) -> int:
    """Name what is worse than the baseline, or missing from what was measured, on stderr."""
    if not kept:
        _say(f"no baseline in {BASELINE.name}; write one with --update")
        return 1
    wrong = [
        f"{name} {score}: {found[name].get(score, 'not measured')} against {old}"
        for name in found
        for score, old in kept.get(name, {}).items()
        if _worse(score, found[name].get(score), old)
    ]
    for line in wrong:
        _say(f"worse: {line}")
    if not wrong:
        _say(f"nothing is worse than the baseline by more than {TOLERANCE}")
    return 1 if wrong else 0


def _worse(score: str, value: float | None, old: float) -> bool:
    if score in NEVER_COMPARED:
        return False
    if value is None:
        return True
    loss = value - old if score in LOWER_IS_BETTER else old - value
    return loss > TOLERANCE + 1e-9


def _write(scores: Scores) -> None:
    told = {
        "note": "made by: bench/quality.py --update; only letters_b was not used during development",
        "date": f"{datetime.date.today()}",
        "python": platform.python_version(),
        "tolerance": TOLERANCE,
        "scores": {n: {s: v for s, v in some.items() if s not in TIMES} for n, some in scores.items()},
    }
    BASELINE.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    _say(f"wrote {BASELINE.name}")


def _say(message: str) -> None:
    print(message, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
