"""Does a letter speak of what a question names? Places, bodies, quoted names and years are checked to the letter."""

from __future__ import annotations

import re
from functools import lru_cache

from rag.letter import Letter, Measure
from rag.question import Question
from rag.text import fold, has_han, simplify

_LATIN, _WIDE = re.compile("[a-z]"), re.compile("[０-９Ａ-Ｚａ-ｚ]")
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
    return [n for n in (*question.names, *question.quoted) if has_han(n) and not _says(letter, _short(n))]


def _says(letter: Letter, folded: str) -> bool:
    """Say whether the folded text of a letter holds a word. Most letters hold it, or show that they do not, without being folded."""
    if folded in letter.text:
        return True
    return not (_is_plain(letter.text) and not _LATIN.search(folded)) and folded in folded_letter(
        letter.id, letter.text
    )


@lru_cache(maxsize=65536)
def _is_plain(text: str) -> bool:
    """Say whether Han words and digits stand in a text as they do when it is folded."""
    return not _WIDE.search(text) and simplify(text) is text


def place_of(letter: Letter) -> str:
    """Return the place the issuer is of, folded and without its rank: 云岭 of 云岭区交通运输局; empty when it tells none."""
    found = re.match(r"([㐀-鿿]{2,4}?)(?:市|县|区|省|州)", fold(letter.issuer))
    return found[1] if found else ""


def is_about(question: Question, letter: Letter) -> bool:
    """Say whether the question names something and all it names is in the letter's title, subject, issuer or addressee."""
    return bool(question.names) and all(mentions(header(letter), name) for name in question.names)


def mentions(text: str, name: str) -> bool:
    """Say whether a folded text mentions a name, with or without 市, 县, 区, 省 at its end."""
    return _short(name) in text


def _short(name: str) -> str:
    return name[:-1] if len(name) > 2 and name[-1] in "市县区省州" else name


def year_missing(question: Question, letter: Letter) -> str:
    """Return a year of the question that is neither the letter's own nor in its text; else an empty string."""
    return next((y for y in question.years if y != letter.date[:4] and not _says(letter, y)), "")


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
