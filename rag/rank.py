"""Question to hits: words and vectors, fused.

A measure's score is the weighted sum of four views, each divided by its maximum over the candidates: the BM25 of the
measure and of its best sentence, the cosine of the measure and of its best sentence; with a static model also late
interaction: for each piece of the question its best cosine among the pieces of the measure, weighted by the norm of
the question's piece. The weight of the words follows how much of the question they can explain, so that everyday
wording is not drowned by chance overlaps. Of a question without Han characters only names and numbers are looked up as words.
Source: weighted sums beat reciprocal rank fusion on these letters and on public sets (bench/notes.md).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np

from rag.embed import Ids, StaticEmbedder, Vectors
from rag.errors import DataError
from rag.letter import Letter, Measure, Span
from rag.lists import distinct, ranges
from rag.seam import Searchable
from rag.text import fold, has_han, terms

CANDIDATES = 100
# Weights of the views, chosen on questions that no evaluation set holds (bench/notes.md).
_WORDS, _BEST_WORDS, _WHOLE, _BEST, _INTERACTION = 1.0, 0.5, 0.3, 0.7, 2.0
_EXPLAINED = 1.5  # power of the share that the words explain
_LATE = 40  # candidates that late interaction looks at
_SENTENCES = 400
_LATIN = re.compile(r"[A-Za-z]+|\d+(?:\.\d+)?")


@dataclass(frozen=True, slots=True)
class ScoredSentence:
    """A sentence of a hit; ``score`` in [0, 2], the share of words and meaning it matches."""

    span: Span
    score: float
    cosine: float


@dataclass(frozen=True, slots=True)
class Hit:
    """A measure found.

    Attributes:
        letter: the letter it is of.
        measure: the measure.
        score: fused; higher is better, comparable within one question only.
        cosine: of its best sentence with the question, in [-1, 1]; comparable between questions.
        sentences: best first.
    """

    letter: Letter
    measure: Measure
    score: float
    cosine: float
    sentences: tuple[ScoredSentence, ...]


def load_lexicon(path: Path | None) -> dict[str, list[str]]:
    """Read a lexicon: a YAML file of everyday words, each with the official word or words to add.

    Raises:
        DataError: when the file is not that.
    """
    if path is None:
        return {}
    import yaml

    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
        return {fold(str(k)): [str(x) for x in ([v] if isinstance(v, str) else v)] for k, v in found.items()}
    except (OSError, ValueError, AttributeError, TypeError, yaml.YAMLError) as error:
        told = " ".join(str(error).split())
        raise DataError(
            f"the lexicon {path} cannot be used ({told})", "YAML like 打零工: [灵活就业]"
        ) from error


def expand(question: str, lexicon: dict[str, list[str]]) -> str:
    """Add to a question the official words for the everyday words in it."""
    seen = fold(question)
    return " ".join([question, *(w for key, words in lexicon.items() if key in seen for w in words)])


def search(
    index: Searchable,
    question: str,
    *,
    k: int = 5,
    letter_id: str | None = None,
    asked: str | None = None,
) -> list[Hit]:
    """Return the best ``k`` measures, best first.

    Args:
        index: an opened index.
        question: what a person typed.
        k: how many.
        letter_id: only measures of this letter.
        asked: the words to search for, when they are not the whole question.
    """
    if letter_id is not None:
        index.letter(letter_id)
        index = index.within([letter_id])
    wanted = (
        terms(asked if asked is not None else question) if has_han(question) else names_and_numbers(question)
    )
    query = index.embedder.queries([asked or question])[0]
    by_word = index.measure_scores(wanted, CANDIDATES)
    word_sentences = index.sentence_scores(wanted, _SENTENCES)
    near = index.nearest_measures(query, CANDIDATES)
    near_sentences = index.nearest_sentences(query, _SENTENCES)
    owners = index.measures_of(np.fromiter(near_sentences, np.int64))
    candidates = distinct(np.array([*by_word, *near, *owners.tolist()], np.int64))
    if not len(candidates):
        return []
    views = _Views(index, candidates, query)
    share = explained(index, wanted, candidates) ** _EXPLAINED
    bm25 = _scaled(map(by_word.get, candidates.tolist(), repeat(0.0)))
    bm25_best = _scaled(_best_of(index, candidates, word_sentences))
    score = share * (_WORDS * bm25 + _BEST_WORDS * bm25_best)
    score = score + _WHOLE * _scaled(views.whole) + _BEST * _scaled(views.best)
    score = score + _INTERACTION * _late(index, asked or question, candidates, score)
    order = np.argsort(-score, kind="stable")[:k]
    top = max(word_sentences.values(), default=1.0)
    hits = []
    for i in order.tolist():
        shares = [word_sentences.get(n, 0.0) / top for n in views.numbers(i)]
        hits.append(_hit(index, int(candidates[i]), float(score[i]), views.of(i), shares))
    return hits


def names_and_numbers(question: str) -> list[str]:
    """Return the words of an English question that a Chinese text may hold as they are: numbers, and capitals within it."""
    found = _LATIN.findall(question)
    return [
        w.lower()
        for i, w in enumerate(found)
        if w[0].isdigit() or w[1:].lower() != w[1:] or (i and w[0].isupper())
    ]


def explained(index: Searchable, wanted: Sequence[str], candidates: Sequence[int] | Ids) -> float:
    """Return the share in [0, 1] of the question, by weight of its terms, that stands in some measure of the index."""
    total = found = 0.0
    terms_ = list(dict.fromkeys(t for t in wanted if len(t) > 1))
    for frequency in index.frequencies(terms_):
        weight = math.log(1 + len(index.measures) / (frequency + 0.5))
        total += weight
        found += weight if frequency else 0.0
    return found / total if total else 0.0


class _Views:
    """The cosines of the question with each candidate and with each of its sentences."""

    def __init__(self, index: Searchable, candidates: Ids, query: Vectors) -> None:
        self.whole = index.measure_vectors(candidates) @ query
        begins, ends = index.sentence_ranges(candidates)
        self._cosines = index.sentence_cosines(ranges(begins, ends), query)
        self._firsts = begins
        self._ends = np.cumsum(ends - begins)
        self._begins = self._ends - (ends - begins)
        self.best = np.zeros(len(candidates), np.float32)
        filled = ends > begins
        if filled.any():
            self.best[filled] = np.maximum.reduceat(self._cosines, self._begins[filled])

    def numbers(self, i: int) -> range:
        """The sentences of a candidate."""
        first = int(self._firsts[i])
        return range(first, first + int(self._ends[i] - self._begins[i]))

    def of(self, i: int) -> Vectors:
        cosines: Vectors = self._cosines[self._begins[i] : self._ends[i]]
        return cosines


def _hit(index: Searchable, number: int, score: float, cosines: Vectors, shares: Sequence[float]) -> Hit:
    letter, measure = index.measures[number]
    told = cosines.tolist()
    scored = [
        ScoredSentence(span, share + max(0.0, cosine), cosine)
        for span, share, cosine in zip(measure.sentences, shares, told, strict=True)
    ]
    scored.sort(key=lambda s: -s.score)
    return Hit(letter, measure, score, max(told, default=0.0), tuple(scored))


def _late(index: Searchable, question: str, candidates: Ids, score: Vectors) -> Vectors:
    """Late interaction in [0, 1] for the best candidates so far; zero for the rest and for other models."""
    out = np.zeros(len(candidates), np.float32)
    model = index.embedder
    if not isinstance(model, StaticEmbedder):
        return out
    chosen = np.argsort(-score, kind="stable")[:_LATE]
    asked = model.rows(model.pieces([question])[0])
    weights = np.linalg.norm(asked, axis=1)
    if not len(asked) or not weights.sum():
        return out
    pieces = index.pieces(candidates[chosen].tolist())
    filled = [n for n, own in enumerate(pieces) if len(own)]
    if not filled:
        return out
    spoken = np.concatenate(pieces).astype(np.int64)
    known = distinct(spoken)
    places = np.searchsorted(known, spoken)
    rows = model.rows(known)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    cosines = rows @ (asked / np.maximum(weights, 1e-9)[:, None]).T  # (pieces, pieces of the question)
    starts = np.cumsum([0, *(len(pieces[n]) for n in filled[:-1])])
    best = np.maximum.reduceat(cosines[places], starts, axis=0)  # (measures, pieces of the question)
    out[chosen[filled]] = best @ weights / weights.sum()
    return out


def _scaled(values: Iterable[float]) -> Vectors:
    given = values if isinstance(values, np.ndarray) else np.fromiter(values, np.float32)
    array: Vectors = np.maximum(given.astype(np.float32), np.float32(0))
    top = float(array.max()) if len(array) else 0.0
    return array / np.float32(top) if top > 0 else array


def _best_of(index: Searchable, candidates: Ids, scores: dict[int, float]) -> Vectors:
    """The score of the best sentence of each candidate."""
    out = np.zeros(len(candidates), np.float32)
    owners = index.measures_of(np.fromiter(scores, np.int64))
    at = np.minimum(np.searchsorted(candidates, owners), len(candidates) - 1)
    mine = candidates[at] == owners
    np.maximum.at(out, at[mine], np.fromiter(scores.values(), np.float32)[mine])
    return out


def hit_as_dict(hit: Hit, sentences: int = 3) -> dict[str, Any]:
    """Return a hit as plain data, without the text of the measure."""
    letter, measure = hit.letter, hit.measure
    return {
        "letter_id": letter.id,
        "title": letter.title,
        "issuer": letter.issuer,
        "date": letter.date or None,
        "path": measure.path,
        "section": measure.section,
        "heading": measure.heading,
        "start": measure.start,
        "end": measure.end,
        "sha256": letter.sha256,
        "score": round(hit.score, 4),
        "sentences": [
            {
                "quote": s.span.of(letter.text),
                "start": s.span.start,
                "end": s.span.end,
                "score": round(s.score, 4),
            }
            for s in hit.sentences[:sentences]
        ],
    }
