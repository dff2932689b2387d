"""Does a letter speak of what a question names? Places, bodies, quoted names and years are checked to the letter."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache

import numpy as np

from rag.arrays import Bools
from rag.embed import Ids
from rag.head import header, place_of
from rag.heads import Heads
from rag.letter import Letter, Measure
from rag.question import Question
from rag.text import fold, has_han

__all__ = ["header", "place_of"]

_YEAR = re.compile(r"(?:19|20)\d{2}(?=年)")
# A stretch of a year, by its names.
_PERIODS = {
    "h1": re.compile(r"上半年|1[-—至到]6月|6月底|前六个月"),
    "h2": re.compile(r"下半年|7[-—至到]12月"),
    "q1": re.compile(r"(?<!前)第?[一1]季度|1[-—至到]3月|3月底|首季"),
    "q2": re.compile(r"第?[二2]季度"),
    "q3": re.compile(r"(?<!前)第?[三3]季度"),
    "q4": re.compile(r"第?[四4]季度"),
    "9m": re.compile(r"前三季度|9月底"),
    "year": re.compile(r"全年|年底|12月底|年末"),
}


@lru_cache(maxsize=512)
def folded_letter(letter_id: str, text: str) -> str:
    """Return the folded text of a letter, kept while it is in use."""
    del letter_id
    return fold(text)


def is_scoped(question: Question) -> bool:
    """Say whether the question names a place, a body, a year or something in quotation marks."""
    return bool(question.names or question.quoted or question.years)


def in_scope(question: Question, heads: Heads, numbers: Ids) -> Ids | str:
    """Return which of these letters speak of all that the question names; or what the one that lacks least lacks.

    Letters whose title, subject, issuer or addressee is what the question names come before those that only mention it.
    """
    names = [n for n in (*question.names, *question.quoted) if has_han(n)]
    spoken = [heads.says(short(n))[numbers] for n in names] + [
        heads.tells(y)[numbers] for y in question.years
    ]
    held = np.array(spoken, np.bool_).reshape(len(spoken), len(numbers))
    fitting = numbers[held.all(axis=0)]
    if len(fitting) or not len(numbers):
        about = is_about(question, heads)
        own = fitting if about is None else fitting[about[fitting]]
        return own if len(own) else fitting
    lacks = ~held
    years = lacks[len(names) :]
    if len(years):
        lacks = np.vstack([lacks[: len(names)], years & (np.cumsum(years, axis=0) == 1)])  # one year is told
    best = int(np.argmin(lacks.sum(axis=0)))
    return "、".join(
        n for n, lacking in zip((*names, *question.years), lacks[:, best], strict=True) if lacking
    )


def is_about(question: Question, heads: Heads) -> Bools | None:
    """Say of which letters title, subject, issuer or addressee hold all that the question names; None when it names nothing."""
    found = [heads.headed(short(n)) for n in question.names]
    return np.logical_and.reduce(found) if found else None


def mentions(text: str, name: str) -> bool:
    """Say whether a folded text mentions a name, with or without 市, 县, 区, 省 at its end."""
    return short(name) in text


def short(name: str) -> str:
    """Return a name without 市, 县, 区, 省 at its end."""
    return name[:-1] if len(name) > 2 and name[-1] in "市县区省州" else name


def without_place(folded: str, place: str) -> str:
    """Return a folded question without a place, its rank and the words that hang on it; as it was when nothing else is in it."""
    return re.sub(rf"在?{re.escape(place)}[省市县区州]?的?", "", folded).lstrip(",、 ") or folded


def without_own(folded: str, place: str, years: Collection[str]) -> str:
    """Return a folded question without what a letter says by being what it is: the place it is of and the years of its date."""
    if place and place in folded:
        folded = without_place(folded, place)
    for year in filter(None, years):
        folded = re.sub(rf"{year}年(?!\d)的?", "", folded).lstrip(",、 ") or folded
    return folded


def time_conflict(question: Question, letter: Letter, measure: Measure, sentence: str) -> bool:
    """Say whether the sentence speaks of another year or period than the one asked for.

    A year is settled by the sentence, else by the measure, else it is the year of the letter. A period (上半年,
    一季度) conflicts with a sentence that speaks of others only.
    """
    if question.years:
        spoken = set(_YEAR.findall(sentence)) or {letter.date[:4]}
        if not set(question.years) & spoken:
            return True
    asked, said = _periods(question.folded), _periods(sentence)
    return bool(asked and said and not asked & said)


def _periods(text: str) -> set[str]:
    return {name for name, pattern in _PERIODS.items() if pattern.search(text)}
