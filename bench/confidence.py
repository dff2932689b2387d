"""Fit the weights of `rag.confidence` on the development questions and on the teaching data that the reader never saw.

The development questions are asked of the made-up letters: each answerable one of its own letter and of all letters together
(true when the answer is right), and of three letters it is not about (false); each unanswerable one of its own letter (false).
The official texts of the teaching data that are kept apart (`rag.teach.kept_apart`) are put together as letters of 16 measures, and
their questions asked of these; they weigh 0.4 of a development question each. ``letters_b`` has no part in it. Prints the weights, and
how well they tell true from false on questions held out in turn. Run: .venv/bin/python bench/confidence.py
"""

from __future__ import annotations

import hashlib
import json
import random
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict

from rag.answer import choose
from rag.confidence import WEIGHTS, features
from rag.embed import open_embedder
from rag.engine import Engine
from rag.evaluate import holds
from rag.index import parse_all, update
from rag.letter import Letter
from rag.parse import parse
from rag.question import Kind, is_no_question, understand
from rag.read import Source
from rag.settings import BUNDLED_MODEL, Settings
from rag.teach import kept_apart, load_teaching

HERE = Path(__file__).parent
LETTERS = (HERE.parent / "tests" / "letters", HERE / "letters")
SET_BY_HAND = ("title", "time", "absent")
_MEASURES = 16  # of a letter made of teaching texts
_TAUGHT = 0.4  # weight of a question on one of them
_NUMERALS = [
    "一",
    "二",
    "三",
    "四",
    "五",
    "六",
    "七",
    "八",
    "九",
    "十",
    "十一",
    "十二",
    "十三",
    "十四",
    "十五",
    "十六",
]


def taught_letters() -> tuple[list[Letter], list[dict[str, Any]]]:
    """Letters made of teaching texts kept apart, and the questions on them as rows like those of the development files."""
    rows = [r for r in load_teaching() if r["k"] != "term" and kept_apart(r["p"])]
    texts = sorted({r["p"] for r in rows if "\n" not in r["p"]}, key=lambda t: zlib.crc32(t.encode()))
    letters, home = [], {}
    for n in range(0, len(texts) - _MEASURES + 1, _MEASURES):
        some = texts[n : n + _MEASURES]
        body = "".join(f"（{_NUMERALS[i]}）{t}\n" for i, t in enumerate(some))
        text = f"关于第{n}号提案的答复\n一、有关情况\n{body}2025年7月31日\n"
        letter = parse(Source(f"taught-{n}", text, hashlib.sha256(text.encode()).hexdigest()))
        letters.append(letter)
        home |= dict.fromkeys(some, letter.id)
    asked = [
        {
            "id": f"{r['p'][:40]}",
            "letter": home[r["p"]],
            "question": r["q"],
            "refuse": r["k"] == "unanswered",
            "answer": r.get("a", r["p"][:20]),
        }
        for r in rows
        if r["p"] in home and ("a" in r or r["k"] == "unanswered")
    ]
    return letters, asked


Told = tuple[
    dict[str, float], bool, str, str, bool
]  # features, right, id, where from, a development question of its letter


def engines(scratch: Path, letters: Sequence[Letter]) -> dict[str, Engine]:
    """An engine for all letters together (``all``) and one for each."""
    model = open_embedder(str(BUNDLED_MODEL))
    found = {}
    for name, some in {"all": letters, **{a.id: [a] for a in letters}}.items():
        update(scratch / name, some, model)
        found[name] = Engine.open(Settings(index_dir=scratch / name), model)
    return found


def weigh(engine: Engine, text: str) -> tuple[dict[str, float], str] | None:
    """The features of the best pick and the words of the answer; None when the question is refused before."""
    question = understand(text)
    letters = engine.letters_in_scope(question, None)
    if is_no_question(question.folded) or isinstance(letters, str) or question.meta:
        return None
    question, _, reads = engine.consider(question, letters, None, 5)
    choice = choose(engine.index, question, reads, engine.reads)
    if not choice.picks:
        return None
    shown = choice.picks if question.kind is not Kind.NUMBER else choice.picks[:1]
    said = "\n".join(p.sentence.of(p.letter.text) for p in shown)
    return features(engine.index, question, choice.picks[0]), said


def development(scratch: Path) -> Iterator[Told]:
    """The development questions, each asked of several letters."""
    rng = random.Random(1)
    library = engines(scratch, parse_all(LETTERS))
    single = [name for name in library if name != "all"]
    for file in ("dev", "letters_a"):
        for line in (HERE / f"{file}.jsonl").read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            own = ["all", row["letter"]] if not row["refuse"] else [row["letter"] or "all"]
            others = [] if row["refuse"] else rng.sample([s for s in single if s != row["letter"]], 3)
            for name in (*own, *others):
                found = weigh(library[name], row["question"])
                if found is not None:
                    right = not row["refuse"] and name in own and holds(row, found[1])
                    yield found[0], right, row["id"], f"{file}/{row.get('style', '')}"


def taught(scratch: Path) -> Iterator[Told]:
    """The questions of the teaching data kept apart, asked of their letter."""
    letters, rows = taught_letters()
    library = engines(scratch, letters)
    for row in rows:
        found = weigh(library[row["letter"]], row["question"])
        if found is not None:
            yield found[0], not row["refuse"] and holds(row, found[1]), row["id"], "taught"


def main() -> None:
    """Collect, fit, print."""
    with tempfile.TemporaryDirectory() as scratch:
        told = [*development(Path(scratch) / "a"), *taught(Path(scratch) / "b")]
    table = np.array([[values[n] for n in WEIGHTS] for values, *_ in told])
    truth = np.array([int(right) for _, right, *_ in told])
    groups, sources = [t[2] for t in told], np.array([t[3] for t in told])
    free = [i for i, n in enumerate(WEIGHTS) if n not in SET_BY_HAND]
    model = LogisticRegression(C=1, fit_intercept=False, max_iter=5000)
    weight = {"sample_weight": np.where(sources == "taught", _TAUGHT, 1.0)}
    held = cross_val_predict(
        model, table[:, free], truth, groups=groups, cv=GroupKFold(5), method="predict_proba", params=weight
    )[:, 1]
    model.fit(table[:, free], truth, **weight)
    fitted = dict(zip([list(WEIGHTS)[i] for i in free], model.coef_[0], strict=True))
    for name, used in WEIGHTS.items():
        shown = f"{fitted[name]:>7.2f}" if name in fitted else "by hand"
        print(f"{name:<14}{shown}   in use {used:>6.2f}")
    used = 1 / (1 + np.exp(-table @ np.array(list(WEIGHTS.values()))))
    for name, p in (("fitted, held out", held), ("in use", used)):
        for source in ("all", *sorted(set(sources))):
            of = np.ones(len(truth), bool) if source == "all" else sources == source
            area = roc_auc_score(truth[of], p[of])
            print(f"{name:<18}{source:<20}{of.sum():>5} questions, AUC {area:.3f}", end="")
            for threshold in (0.3, 0.4, 0.5):
                kept = (p[of & (truth == 1)] >= threshold).mean()
                refused = (p[of & (truth == 0)] < threshold).mean()
                print(f"; at {threshold}: kept {kept:.2f}, refused {refused:.2f}", end="")
            print()


if __name__ == "__main__":
    main()
