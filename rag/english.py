"""A claim in English against Chinese letters: it carries the letter's own words in quotation marks, and is checked against them.

Words of two languages cannot be laid side by side, so every English sentence must quote the Chinese words it rests on; its
numbers, years and months are those of the quote, in their order, and what is planned, under way, dropped or denied is so there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from fractions import Fraction

from rag.claims import Source, Verdict
from rag.facts import Facts, facts, plain, unread
from rag.letter import Span
from rag.polarity import Stance, stances
from rag.quantities import FAMILY, holds
from rag.text import fold, has_han

_QUOTED = re.compile(r"[“‘\"「《]([^“”‘’\"「」《》]*[㐀-鿿][^“”‘’\"「」《》]*)[”’\"」》]")
_SMALL = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = dict(
    zip(
        ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"],
        range(20, 100, 10),
        strict=True,
    )
)
_SCALES = {
    "hundred": 100,
    "thousand": 10**3,
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
    "wan": 10**4,
}
_SHORT = {"k": 10**3, "m": 10**6, "mn": 10**6, "bn": 10**9, "b": 10**9}
_ONE_WORD = "|".join((*_SMALL, *_TENS, *_SCALES))
_NUMBER = re.compile(
    rf"(?<![A-Za-z0-9_])(?<!\d\.)(?P<digits>\d[\d,]*(?:\.\d+)?|\.\d+)(?P<tail>[a-z]+)?(?P<scale>\s*(?:{'|'.join(_SCALES)})\b)?"
    rf"(?P<percent>\s*(?:%|percent\b|per cent\b|percentage point))?"
    rf"|\b(?P<words>(?:{_ONE_WORD})(?:(?:[\s-]+(?:and\s+)?)(?:{_ONE_WORD}))*)\b(?P<share>\s*(?:%|percent\b|per cent\b|percentage point))?",
    re.IGNORECASE,
)
# Amounts without a number, and the Han words that they may rest on.
_VAGUE = {
    r"\bdoubl\w*|\btwice\b|\btripl\w*|\bquadrupl\w*|\bthrice\b|\b(?:two|three|four|five|six|seven|eight|nine|ten|many)-?fold\b": "倍|翻.{0,2}番|翻",
    r"\bhalf\b|\bhalv\w*": "半|50%",
    r"\bmajority\b|\bmost of\b": "多数|多半|过半|大部分",
    r"\bdozens?\b": "打",
    r"\bhundreds\b|\bthousands\b|\bmillions\b": "百|千|万|亿",
    r"\bquarter of\b|\bthird of\b": "分之",
}
_MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
_TITLED = "|".join(m.title() for m in _MONTHS)
_MONTH = re.compile(rf"\b({_TITLED})\b")
# What makes a number a year or a day: the words before it, or behind it.
_IN_YEAR = re.compile(
    rf"(?:\b(?:in|since|by|of|from|until|till|to|and|or|for|during|through|before|after|between|late|early|mid|{_TITLED})\s*|\d[,\s]\s*|[-–—/(]\s*)$",
    re.I,
)
_MANY = re.compile(r"\s+[a-z]+s\b")
_ON_DAY = re.compile(rf"\b(?:{_TITLED})\.?\s+(?:the\s+)?(?:\d{{1,2}}\s*(?:[-–—,]|to|and)\s*)?$")
_OF_MONTH = re.compile(rf"\s*(?:of\s+)?(?:{_TITLED})\b")
# Plain nouns behind a number, and the family of units that they count.
_COUNTED = {
    "people": r"people|persons|residents|workers|students|teachers|children|patients|visitors|households|families",
    "length": r"km|kilomet(?:re|er)s|met(?:re|er)s",
    "area": r"mu|hectares|acres|square (?:kilo)?met(?:re|er)s",
    "weight": r"tons|tonnes|kg|kilograms",
    "time": r"minutes|hours|days|weeks|months|years",
}
_NOUNS = {family: re.compile(rf"\s*(?:{nouns})\b(?!['’])", re.I) for family, nouns in _COUNTED.items()}
_ANY = frozenset({"个", "例", "起", "件"})  # units that count people and things alike
_PLANNED = re.compile(
    r"\bwill\b|\bplan(?:s|ned|ning)?\b|\baims?\b|\bexpect|\btarget|\bintend|\bgoal|\bto be\b|\bby the end of\b|\bupcoming\b|\bstrive",
    re.I,
)
_UNDER_WAY = re.compile(
    r"\bunder (?:way|construction)\b|\bunderway\b|\bongoing\b|\bbeing\b|\bin progress\b|\bcurrently \w+ing\b",
    re.I,
)
_DENIED = re.compile(r"\bnot\b|n't\b|\bno\b|\bnever\b|\bwithout\b|\bnone\b|\bunable\b|\byet to\b", re.I)
_DROPPED = re.compile(r"\bcancel|\babandon|\bsuspend|\bhalt|\bdropped\b|\bcalled off\b|\bdiscontinu", re.I)
_MONEY = re.compile(r"\byuan\b|\brmb\b|\bcny\b|¥", re.I)
_LEAST = 4  # characters of a quote


def is_foreign(text: str) -> bool:
    """Say whether a claim is in English: outside of its quotes there are Latin words and hardly a Han character."""
    rest = _QUOTED.sub("", text)
    han = sum(has_han(c) for c in rest)
    return len(re.findall("[A-Za-z]{2,}", rest)) > 2 * han


def check_foreign(text: str, sources: Sequence[Source], cited: Sequence[int]) -> Verdict:
    """Check an English claim; ``cited`` counts the sources from 0."""
    faults: list[str] = []
    used: list[tuple[int, Span]] = []
    told = _QUOTED.findall(text)
    quotes = [q for q in told if len(q) >= _LEAST]
    for quote in told:
        place = _place(quote, sources, cited)
        if place is None:
            faults.append(f"“{quote}” is not in the source")
        elif len(quote) >= _LEAST:
            used.append(place)
    if not quotes:
        faults.append("no quote of the letter's own Chinese words")
    if faults:
        return Verdict(tuple(faults))
    date = sources[used[0][0]].letter.date
    proved = [facts(q, date) for q in quotes]
    said = _QUOTED.sub(" ", text)
    faults += _numbers(said, proved)
    faults += _in_han(said, proved)
    proof = " ".join(quotes)
    faults += [f"{x} is not in the quote" for x in unread(plain(said)) if x not in plain(proof)]
    faults += [
        f"{found[0]} is not in the quote"
        for vague, han in _VAGUE.items()
        if (found := re.search(vague, said, re.IGNORECASE)) and not re.search(han, proof)
    ]
    faults += _stance(said, quotes, sources, used)
    return Verdict(tuple(dict.fromkeys(faults)), tuple(dict.fromkeys(used)))


def _place(quote: str, sources: Sequence[Source], cited: Sequence[int]) -> tuple[int, Span] | None:
    for n in cited:
        for span in sources[n].spans:
            if holds(fold(span.of(sources[n].letter.text)), fold(quote)) and quote in span.of(
                sources[n].letter.text
            ):
                return n, span
    return None


def _numbers(said: str, quoted: Sequence[Facts]) -> list[str]:
    """The numbers, years and months that the quotes do not hold, and those that come in another order."""
    known = [(a.value, a.unit) for f in quoted for a in f.amounts]
    years = {y for f in quoted for t in f.times for y in t.years}
    months = {m for f in quoted for t in f.times for p in t.parts if isinstance(p, tuple) for m in p}
    days = {p for f in quoted for t in f.times for p in t.parts if isinstance(p, str)}
    faults = [m for m in _MONTH.findall(said) if _MONTHS.index(m.lower()) + 1 not in months]
    order: list[int] = []
    for match in _NUMBER.finditer(said):
        value = _value(match)
        if (value in years and _is_year(said, match)) or (match["digits"] in days and _is_day(said, match)):
            continue
        at = [i for i, (v, unit) in enumerate(known) if v == value and _unit_fits(said, match, unit)]
        if value == 1 and match["words"]:
            continue  # one of them, a one-stop service
        if not at:
            faults.append(match[0].strip())
        else:
            order.append(next((i for i in at if not order or i >= order[-1]), at[0]))
    told = [f"{f} is not in the quote" for f in faults]
    return told if order == sorted(order) else [*told, "numbers in another order"]


def _in_han(said: str, quoted: Sequence[Facts]) -> Iterator[str]:
    """The amounts in Han numerals, outside of the quotes, that the quotes do not hold."""
    known = {a.key for f in quoted for a in f.amounts}
    own = facts(said)
    for amount in own.amounts:
        if has_han(own.text[amount.start]) and amount.key not in known:
            yield f"{own.text[amount.start : amount.end]} is not in the quote"


def _value(match: re.Match[str]) -> Fraction:
    if match["words"]:
        return Fraction(_in_words(match["words"]))
    scale = _SHORT.get((match["tail"] or "").lower(), 1) * _SCALES.get(
        (match["scale"] or "").strip().lower(), 1
    )
    return Fraction(match["digits"].replace(",", "")) * scale


def _in_words(said: str) -> int:
    """The value of a number in words: sixty-three, two hundred and five thousand."""
    total = part = 0
    for word in re.findall("[a-z]+", said.lower()):
        if word in _SCALES and word != "hundred":
            total, part = total + max(1, part) * _SCALES[word], 0
        elif word == "hundred":
            part = max(1, part) * 100
        elif word != "and":
            part += _TENS.get(word) or _SMALL.index(word)
    return total + part


def _unit_fits(said: str, match: re.Match[str], unit: str) -> bool:
    family = FAMILY.get(unit, "")
    if any(f != family and family and p.match(said, match.end()) for f, p in _NOUNS.items()):
        return unit in _ANY
    share = unit in ("%", "个百分点")
    around = said[max(0, match.start() - 6) : match.start()] + said[match.end() : match.end() + 9]
    money = bool(_MONEY.search(around))
    return bool(match["percent"] or match["share"]) == share and money == (unit == "元")


def _is_year(said: str, match: re.Match[str]) -> bool:
    """Whether a number with the value of a year is told as one: in 2024, not 2024 stations."""
    before = said[: match.start()].rstrip(" \t'‘“\"")
    return bool(not before or _IN_YEAR.search(f"{before} ") or not _MANY.match(said, match.end()))


def _is_day(said: str, match: re.Match[str]) -> bool:
    """Whether a number is told as a day: 5 August, August 5, the 5th."""
    if (match["tail"] or "").lower() in ("st", "nd", "rd", "th"):
        return True
    return bool(_ON_DAY.search(said[: match.start()]) or _OF_MONTH.match(said, match.end()))


def _stance(
    said: str, quotes: Sequence[str], sources: Sequence[Source], used: Sequence[tuple[int, Span]]
) -> list[str]:
    clauses = [c for q, (n, span) in zip(quotes, used, strict=True) for c in _of(q, sources[n], span)]
    planned = all(c.planned and not c.done for c in clauses)
    faults = []
    if planned != bool(_PLANNED.search(said)) and not (
        not planned and any(c.planned or c.shall for c in clauses)
    ):
        faults.append("status")
    if _UNDER_WAY.search(said) and not any(c.under_way for c in clauses):
        faults.append("status")
    if all(c.under_way for c in clauses) and not _UNDER_WAY.search(said):
        faults.append("status")
    if bool(_DROPPED.search(said)) != any(c.dropped for c in clauses):
        faults.append("status")
    if bool(_DENIED.search(said)) != any(c.denied for c in clauses):
        faults.append("negation")
    return faults


def _of(quote: str, source: Source, span: Span) -> list[Stance]:
    """The stances of the clauses of a sentence that a quote touches."""
    told = source.sentences[source.spans.index(span)].text
    start = told.find(plain(quote))
    end = start + len(plain(quote))
    found = [c for c in stances(told) if c.start < end and start < c.end] if start >= 0 else []
    return found or stances(told)
