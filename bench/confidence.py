"""Fit the weights of `rag.confidence` on the development questions over the made-up letters.

Each answerable question is asked of its own letter and of all letters together (true when the answer is right), and of three
letters it is not about (false); each unanswerable one of its own letter (false). ``letters_b`` has no part in it. Prints
the weights, and how well they tell true from false on questions held out in turn. Run: .venv/bin/python bench/confidence.py
"""

from __future__ import annotations

import json
import random
import tempfile
from pathlib import Path

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
from rag.question import Kind, is_no_question, understand
from rag.settings import BUNDLED_MODEL, Settings

HERE = Path(__file__).parent
LETTERS = (HERE.parent / "tests" / "letters", HERE / "letters")
SET_BY_HAND = ("title", "time", "absent")


def engines(scratch: Path) -> dict[str, Engine]:
    """An engine for all letters together (``all``) and one for each."""
    model = open_embedder(str(BUNDLED_MODEL))
    letters = parse_all(LETTERS)
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
    choice = choose(engine.index, question, reads)
    if not choice.picks:
        return None
    shown = choice.picks if question.kind is not Kind.NUMBER else choice.picks[:1]
    said = "\n".join(p.sentence.of(p.letter.text) for p in shown)
    return features(engine.index, question, choice.picks[0]), said


def collect(library: dict[str, Engine]) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Features (rows, names), truth (rows,) and the question each row comes from."""
    rng = random.Random(1)
    single = [name for name in library if name != "all"]
    table: list[list[float]] = []
    right: list[int] = []
    groups: list[str] = []
    for file in ("dev", "letters_a"):
        for line in (HERE / f"{file}.jsonl").read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            own = ["all", row["letter"]] if not row["refuse"] else [row["letter"] or "all"]
            others = [] if row["refuse"] else rng.sample([s for s in single if s != row["letter"]], 3)
            for name in (*own, *others):
                found = weigh(library[name], row["question"])
                if found is not None:
                    table.append([found[0][n] for n in WEIGHTS])
                    right.append(int(not row["refuse"] and name in own and holds(row, found[1])))
                    groups.append(row["id"])
    return np.array(table), np.array(right), groups


def main() -> None:
    """Collect, fit, print."""
    with tempfile.TemporaryDirectory() as scratch:
        table, truth, groups = collect(engines(Path(scratch)))
    free = [i for i, n in enumerate(WEIGHTS) if n not in SET_BY_HAND]
    model = LogisticRegression(C=1, fit_intercept=False, max_iter=5000)
    held = cross_val_predict(
        model, table[:, free], truth, groups=groups, cv=GroupKFold(5), method="predict_proba"
    )[:, 1]
    model.fit(table[:, free], truth)
    fitted = dict(zip([list(WEIGHTS)[i] for i in free], model.coef_[0], strict=True))
    for name, used in WEIGHTS.items():
        told = f"{fitted[name]:>7.2f}" if name in fitted else "by hand"
        print(f"{name:<14}{told}   in use {used:>6.2f}")
    used = 1 / (1 + np.exp(-table @ np.array(list(WEIGHTS.values()))))
    for told, p in (("fitted, held out", held), ("in use", used)):
        for threshold in (0.3, 0.4, 0.5):
            print(
                f"{told:<18}AUC {roc_auc_score(truth, p):.3f}  at {threshold}: "
                f"kept of the right {(p[truth == 1] >= threshold).mean():.3f}  "
                f"refused of the wrong {(p[truth == 0] < threshold).mean():.3f}"
            )


if __name__ == "__main__":
    main()
