"""How sure can one be that a sentence answers a question? The probability that decides between answer and refusal."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np

from rag.embed import StaticEmbedder
from rag.index import measure_text
from rag.letter import Letter, Measure, Span
from rag.lists import distinct
from rag.question import Question
from rag.scope import folded_letter, header, mentions, time_conflict
from rag.seam import Searchable
from rag.text import fold, terms

# Who holds an office is said with the office, or not at all.
_TITLE = re.compile(
    r"局长|主任|院长|校长|书记|市长|县长|区长|镇长|部长|厅长|处长|科长|负责人|董事长|总经理|经理|联系人|姓名|法人|承建|施工"
)


@dataclass(frozen=True, slots=True)
class Pick:
    """A sentence chosen as answer, and the short answer in it; both in code points of the letter's text.

    ``answers`` is the reader's logit that the words around it answer, ``alone`` that it does so by itself.
    """

    letter: Letter
    measure: Measure
    sentence: Span
    short: Span | None
    score: float
    answers: float = 0.0
    alone: float = 0.0


def estimate(index: Searchable, question: Question, pick: Pick) -> float:
    """Return the probability in [0, 1] that the pick answers the question."""
    z = sum(WEIGHTS[name] * value for name, value in features(index, question, pick).items())
    return 1 / (1 + math.exp(-z))


# Fitted by logistic regression on the made-up letters and on teaching texts that the reader never saw (bench/confidence.py),
# rounded; the last three were set by hand.
WEIGHTS = {
    "one": -3.44,
    "answers": 0.04,
    "alone": 0.6,
    "score": 0.22,
    "english": -0.63,
    "soft": 0.97,
    "english_soft": 2.04,
    "close": 0.34,
    "worst": -0.49,
    "title": -6.0,
    "time": -9.0,
    "absent": -1.5,
}


def features(index: Searchable, question: Question, pick: Pick) -> dict[str, float]:
    """Return what the estimate weighs, by name; each in about [0, 1] but ``absent``, a count."""
    text = folded_letter(pick.letter.id, pick.letter.text)
    sentence = pick.sentence.of(text)
    measure = text[pick.measure.start : pick.measure.end]
    context = f"{fold(pick.measure.section)} {measure} {header(pick.letter)}"
    soft, worst = _late(index, question.asked, pick, context)
    english = float(question.language == "en")
    words = [t for t in terms(question.asked) if len(t) > 1 or not "㐀" <= t[0] <= "鿿"]
    return {
        "one": 1.0,
        "answers": max(-6.0, min(6.0, pick.answers)),
        "alone": max(-6.0, min(6.0, pick.alone)),
        "score": pick.score,
        "english": english,
        "soft": soft * (1 - english),
        "english_soft": soft * english,
        "close": _share(index, words, sentence) * (1 - english),
        "worst": worst * (1 - english),
        "title": float(any(t not in sentence for t in _TITLE.findall(question.folded))),
        "time": float(time_conflict(question, pick.letter, pick.measure, sentence)),
        "absent": float(sum(not mentions(context, n) for n in (*question.names, *question.quoted))),
    }


def _share(index: Searchable, words: list[str], text: str) -> float:
    """The share of the words, by weight, that stand in a text."""
    found = zip(words, index.frequencies(words), strict=True)
    weights = {w: math.log(1 + len(index.measures) / (f + 0.5)) for w, f in found}
    total = sum(weights.values())
    return sum(v for w, v in weights.items() if w in text) / total if total else 0.0


def _late(index: Searchable, asked: str, pick: Pick, context: str) -> tuple[float, float]:
    """How well the measure, its section and its header explain the pieces of the question.

    Returns:
        The mean over the pieces, weighted by their norms, of the best cosine, and the lowest of the heavier half.
    """
    model = index.embedder
    if not isinstance(model, StaticEmbedder):
        vectors = model.passages([measure_text(pick.letter, pick.measure)])
        cosine = max(0.0, float(vectors[0] @ model.queries([asked])[0]))
        return cosine, cosine
    wanted, spoken = model.pieces([asked, context])
    if not len(wanted) or not len(spoken):
        return 0.0, 0.0
    rows, others = model.rows(wanted), model.rows(distinct(spoken))
    weights = np.linalg.norm(rows, axis=1)
    rows /= np.maximum(weights, 1e-9)[:, None]
    others /= np.maximum(np.linalg.norm(others, axis=1), 1e-9)[:, None]
    best = (rows @ others.T).max(axis=1)
    heavy = best[weights >= np.median(weights)]
    return float(best @ weights / max(float(weights.sum()), 1e-9)), float(heavy.min())
