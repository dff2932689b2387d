"""Fit the weights of `rag.confidence` on the development questions over the made-up letters.

Each answerable question is asked of its own letter and of all letters together (right when the right measure comes first), and
of three letters it is not about (to be refused); each unanswerable one of every letter. Prints the weights, and how well
they separate the two on held-out questions. Run: .venv/bin/python bench/confidence.py
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
from rag.index import parse_all, update
from rag.question import is_no_question, understand
from rag.settings import BUNDLED_MODEL, Settings

HERE = Path(__file__).parent
LETTERS = HERE.parent / "tests" / "letters"
SET_BY_HAND = ("no_span", "no_short", "title", "time", "absent")


def engines(scratch: Path) -> dict[str, Engine]:
    """An engine for all letters together (``all``) and one for each."""
    model = open_embedder(str(BUNDLED_MODEL))
    letters = parse_all([LETTERS])
    found = {}
    for name, some in {"all": letters, **{a.id: [a] for a in letters}}.items():
        update(scratch / name, some, model)
        found[name] = Engine.open(Settings(index_dir=scratch / name), model)
    return found


def weigh(engine: Engine, text: str) -> tuple[dict[str, float], tuple[str, str]] | None:
    """The features of the best pick and where it stands; None when the question is refused before."""
    question = understand(text)
    letters = engine.letters_in_scope(question, None)
    if is_no_question(question.folded) or isinstance(letters, str) or question.meta:
        return None
    picks = choose(engine.index, question, engine.hits(question, letters, None, 5)).picks
    if not picks:
        return None
    best = picks[0]
    return features(engine.index, question, best), (best.letter.id, best.measure.path)


def main() -> None:
    """Collect, fit, print."""
    rng = random.Random(1)
    rows = [json.loads(x) for x in (HERE / "dev.jsonl").read_text(encoding="utf-8").splitlines()]
    seen: list[dict[str, float]] = []
    right: list[int] = []
    groups: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        library = engines(Path(scratch))
        single = [name for name in library if name != "all"]
        for row in rows:
            own = [] if row["refuse"] else ["all", row["letter"]]
            others = single if row["refuse"] else rng.sample([s for s in single if s != row["letter"]], 3)
            for name in (*own, *others):
                found = weigh(library[name], row["question"])
                wanted = name in own
                if found is None or (wanted and found[1] != (row["letter"], row["path"])):
                    continue
                seen.append(found[0])
                right.append(int(wanted))
                groups.append(row["id"])
    names = list(WEIGHTS)
    table = np.array([[x[n] for n in names] for x in seen])
    truth = np.array(right)
    balance = np.where(truth == 1, 0.5 / truth.mean(), 0.5 / (1 - truth.mean()))
    model = LogisticRegression(C=3, fit_intercept=False, max_iter=5000)
    held = cross_val_predict(
        model,
        table,
        truth,
        groups=groups,
        cv=GroupKFold(5),
        method="predict_proba",
        params={"sample_weight": balance},
    )[:, 1]
    model.fit(table, truth, balance)
    used = 1 / (1 + np.exp(-table @ np.array([WEIGHTS[n] for n in names])))
    for name, value in zip(names, model.coef_[0], strict=True):
        print(
            f"{name:<14}{value:>7.2f}   in use {WEIGHTS[name]:>6.2f}{'  by hand' if name in SET_BY_HAND else ''}"
        )
    for told, p in (("fitted, held out", held), ("in use", used)):
        print(
            f"{told:<18}AUC {roc_auc_score(truth, p):.3f}  "
            f"answered {(p[truth == 1] >= 0.5).mean():.3f}  refused {(p[truth == 0] < 0.5).mean():.3f}"
        )


if __name__ == "__main__":
    main()
