"""Scores of answers: means over judged questions, and how far their confidence can be trusted."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from rag.text import fold

_AROUND = "约近超余多,。"
_BINS = 10


@dataclass(frozen=True, slots=True)
class Judged:
    """One question as it was answered; None where its row says nothing of the matter.

    Attributes:
        answerable: the letters hold the answer.
        refused: no answer was given.
        confidence: of the answer or refusal, in [0, 1].
        right: an answer was shown and it holds what is wanted; False for every unanswerable question.
        short: the short answer holds what is wanted.
        short_exact: the short answer is what is wanted and nothing else.
        place: rank of the right measure among the hits, from 1; 0 when it is not among them.
        measure_first: the first citation is of the right measure.
        quotes: for each citation, whether the letter reads so at its place.
        unproved: numbers of the answer and the short answer that stand in no citation.
        total_ms: time the answer took, in milliseconds.
    """

    answerable: bool
    refused: bool
    confidence: float
    right: bool | None = None
    short: bool | None = None
    short_exact: bool | None = None
    place: int | None = None
    measure_first: bool | None = None
    quotes: tuple[bool, ...] = ()
    unproved: int = 0
    total_ms: float = 0.0


def summary(judged: Sequence[Judged]) -> dict[str, float]:
    """Score questions.

    A score that no question has a say in is left out: ``refused`` and what follows from it where all can be
    answered, ``answer`` and the like where none can.

    Returns:
        Rounded to 4 places, in this order. Over the answerable questions, means in [0, 1]: ``search_first`` and
        ``search_in_three`` (the right measure is the first, or among the first three, of the search),
        ``measure_first``, ``answer``, ``short_answer``, ``short_answer_exact``, ``wrongly_refused``. Over all:
        ``refused`` (recall of refusals), ``refusal_precision`` (0 when nothing is refused), ``refusal_f1``,
        ``citations_exact`` over the citations, ``aurc`` and ``calibration_error``, all in [0, 1];
        ``questions`` and ``numbers_unproved``, counts; ``p50_ms`` and ``p99_ms``, in milliseconds.
    """
    if not judged:
        return {"questions": 0}
    asked = [j for j in judged if j.answerable]
    means = {
        "search_first": _mean(j.place == 1 for j in asked if j.place is not None),
        "search_in_three": _mean(1 <= j.place <= 3 for j in asked if j.place is not None),
        "measure_first": _mean(j.measure_first for j in asked),
        "answer": _mean(j.right for j in asked),
        "short_answer": _mean(j.short for j in asked),
        "short_answer_exact": _mean(j.short_exact for j in asked),
        "wrongly_refused": _mean(j.refused for j in asked),
        **_refusals(judged),
        "citations_exact": _mean(right for j in judged for right in j.quotes),
    }
    known = pairs(judged)
    trust = (
        {"aurc": risk_coverage_area(known), "calibration_error": calibration_error(known)} if known else {}
    )
    times = [j.total_ms for j in judged]
    return {
        "questions": len(judged),
        **{name: round(value, 4) for name, value in means.items() if value is not None},
        "numbers_unproved": sum(j.unproved for j in judged),
        **{name: round(value, 4) for name, value in trust.items()},
        "p50_ms": round(percentile(times, 50), 4),
        "p99_ms": round(percentile(times, 99), 4),
    }


def _refusals(judged: Sequence[Judged]) -> dict[str, float]:
    """Recall, precision and F1 of the refusals; nothing where every question can be answered."""
    wanted = sum(not j.answerable for j in judged)
    given = sum(j.refused for j in judged)
    both = sum(j.refused and not j.answerable for j in judged)
    if not wanted:
        return {}
    return {
        "refused": both / wanted,
        "refusal_precision": both / max(1, given),
        "refusal_f1": 2 * both / (wanted + given),
    }


def _mean(values: Iterable[bool | None]) -> float | None:
    told = [v for v in values if v is not None]
    return sum(told) / len(told) if told else None


def pairs(judged: Iterable[Judged]) -> list[tuple[float, bool]]:
    """Return (confidence, right) of every question of which it is known.

    Right is: answerable, and the answer shown holds what is wanted. The text of an answer refused for low
    confidence cannot be seen, so that a refusal always counts as not right, even where the answer held back was.
    """
    return [(j.confidence, j.right) for j in judged if j.right is not None]


def risk_coverage_area(told: Sequence[tuple[float, bool]]) -> float:
    """Return the area under the risk–coverage curve, in [0, 1]; lower is better.

    The risk at coverage i/n is the share of errors among the i questions of highest confidence; the area is the mean
    over i = 1…n. Questions of equal confidence share their errors evenly, so that their order does not matter.
    An unanswerable question is an error even when it is refused: a perfect order puts it last, and still pays.
    Source: Geifman & El-Yaniv, Selective Classification for Deep Neural Networks, NeurIPS 2017.

    Args:
        told: (confidence, right), at least one.
    """
    covered, errors, area = 0, 0.0, 0.0
    for _, group in groupby(sorted(told, key=lambda t: -t[0]), key=lambda t: t[0]):
        wrong = [not right for _, right in group]
        share = sum(wrong) / len(wrong)
        for _ in wrong:
            covered += 1
            errors += share
            area += errors / covered
    return area / covered


def calibration_error(told: Sequence[tuple[float, bool]]) -> float:
    """Return the expected calibration error, in [0, 1]: |confidence − share right| over ten bins, by their size.

    Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017.

    Args:
        told: (confidence, right), at least one.
    """
    return sum(n * abs(mean - share) for n, mean, share in reliability(told)) / len(told)


def reliability(told: Iterable[tuple[float, bool]]) -> list[tuple[int, float, float]]:
    """Return, for each bin of confidence that is not empty, its size, mean confidence and share right.

    Ten bins of equal width; bin m holds the confidences in ((m − 1)/10, m/10], the first also 0.
    """
    bins: list[list[tuple[float, bool]]] = [[] for _ in range(_BINS)]
    for confidence, right in told:
        bins[max(0, math.ceil(_BINS * confidence) - 1)].append((confidence, right))
    return [(len(b), sum(c for c, _ in b) / len(b), sum(r for _, r in b) / len(b)) for b in bins if b]


def percentile(values: Sequence[float], percent: int) -> float:
    """Return the smallest of the values that at least ``percent`` of 100 of them do not exceed (nearest rank).

    Args:
        values: at least one.
        percent: from 1 to 100.
    """
    return sorted(values)[-(-percent * len(values) // 100) - 1]


def same(text: str, wanted: str) -> bool:
    """Say whether two short answers are equal: folded, without blanks, without 约近超余多,。 around them and digits in brackets behind."""
    return _bare(text) == _bare(wanted)


def _bare(text: str) -> str:
    return "".join(re.sub(r" \((?:about )?[\d,.]+[^)]*\)$", "", fold(text)).split()).strip(_AROUND)
