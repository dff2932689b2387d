"""Does a letter speak of what a question names? Places, bodies, quoted names and years are checked to the letter."""

from __future__ import annotations

import re
from functools import lru_cache

from rag.letter import Letter, Measure
from rag.question import Question
from rag.text import fold

_YEAR = re.compile(r"(?:19|20)\d{2}(?=年)")
_PERIOD = re.compile(r"[上下]半年|第?[一二三四1-4]季度|前三季度|(?<!\d)\d{1,2}月")


@lru_cache(maxsize=4096)
def folded_letter(letter_id: str, text: str) -> str:
    """Return the folded text of a letter, kept while it is in use."""
    del letter_id
    return fold(text)


def header(letter: Letter) -> str:
    """What holds for every measure of a letter: title, subject, issuer, addressee; folded."""
    return fold(" ".join((letter.title, letter.subject, letter.issuer, letter.addressee)))


def missing(question: Question, letter: Letter) -> list[str]:
    """Return the names and quoted names of the question that the letter never mentions."""
    text = folded_letter(letter.id, letter.text)
    return [n for n in (*question.names, *question.quoted) if not mentions(text, n)]


def mentions(text: str, name: str) -> bool:
    """Say whether a folded text mentions a name, with or without 市, 县, 区, 省 at its end."""
    short = name[:-1] if len(name) > 2 and name[-1] in "市县区省州" else name
    return short in text


def year_missing(question: Question, letter: Letter) -> str:
    """Return a year of the question that is neither the letter's own nor in its text; else an empty string."""
    text = folded_letter(letter.id, letter.text)
    years = {*re.findall(r"(?:19|20)\d{2}", text), letter.date[:4]}
    return next((y for y in question.years if y not in years), "")


def time_conflict(question: Question, letter: Letter, measure: Measure, sentence: str) -> bool:
    """Say whether the sentence speaks of another year or period than the one asked for.

    A year is settled by the sentence, else by the measure, else it is the year of the letter. A period (上半年,
    一季度, 5月) conflicts only with another one of its sort.
    """
    if question.years:
        spoken = set(_YEAR.findall(sentence)) or {letter.date[:4]}
        if not set(question.years) & spoken:
            return True
    asked = set(_PERIOD.findall(question.folded))
    said = set(_PERIOD.findall(sentence))
    return any(
        p not in said and any(s != p and s[-1] == p[-1] and len(s) == len(p) for s in said) for p in asked
    )
