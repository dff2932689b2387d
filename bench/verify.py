"""What the checks catch and what they let through, beside a rule that counts digits.

    python bench/verify.py [--show]

Right answers in free wording are in ``bench/verify/`` (see the README there). Wrong answers are made of
them, and of the letters' own sentences, by rule: a digit changed, a unit changed, 万 dropped, two numbers exchanged, a year
moved, a verb denied, a plan told as done and the other way round, a citation that does not exist or is of another
measure, a quote altered by one character, a name exchanged. In the letters of ``bench/letters``, which the sets know nothing of,
every amount of every sentence is exchanged for each of its unit in the other sentences of its measure. Writes ``bench/verify.json``.

The rule compared with is the one found in a widely used system, described from its behaviour: the numbers are the runs of
digits between word borders; an answer passes when at least half of them occur in the cited text, and when it holds none.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise, permutations, product
from pathlib import Path
from typing import Any

from rag.check import check
from rag.claims import Source, source_of, split_all
from rag.facts import facts
from rag.index import parse_all
from rag.letter import Letter
from rag.quantities import quantities
from rag.text import fold

ROOT = Path(__file__).resolve().parent
LETTERS = ROOT.parent / "tests" / "letters"
FILES = ("right_a.jsonl", "right_b.jsonl", "right_c.jsonl", "right_d.jsonl", "right_e.jsonl")
SOURCES = 6
_UNITS = {
    "个": "人",
    "人": "家",
    "家": "人",
    "名": "家",
    "万元": "亿元",
    "亿元": "万元",
    "公里": "米",
    "%": "个百分点",
    "户": "人",
}
_UNITS |= {
    "人次": "人",
    "张": "家",
    "项": "亿元",
    "元": "万元",
    "平方米": "亩",
    "亩": "平方米",
    "所": "人",
    "辆": "条",
    "条": "辆",
}
_VERBS = (
    "建成|完成(?!率)|投入|新增|发放|开通|达到|接待|推广|纳入(?!摸排)|增加(?!值)|提高|移交|取缔|提供|新建|整合"
)
_PLANS = re.compile(
    r"(?<![度造养”])计划(?=[^,。;的]{1,12})|打算|拟(?=[㐀-鿿])|力争|预计|将(?=在|于|完成|探索)|争取(?=年底)|还要|目标|要达到|下一步|到20\d\d年"
)
_OTHERS = ("海陵市", "云溪县", "石门镇")


@dataclass(frozen=True, slots=True)
class Case:
    """An answer to check, the measures it may cite, and how it was made (empty: it is right)."""

    text: str
    sources: tuple[Source, ...]
    kind: str = ""


def letters() -> dict[str, Letter]:
    """The made-up letters, by id."""
    return {letter.id: letter for letter in parse_all([LETTERS])}


def right(name: str) -> list[Case]:
    """The right answers of one file in ``bench/verify/``."""
    known = letters()
    rows = [json.loads(line) for line in (ROOT / "verify" / name).read_text(encoding="utf-8").splitlines()]
    return [Case(row["text"], _sources(known[row["letter"]], row["at"])) for row in rows]


def verbatim() -> list[Case]:
    """Sentences of the letters that hold an amount, as answers."""
    found = []
    for letter in letters().values():
        for measure in letter.measures:
            for span in measure.sentences:
                text = span.of(letter.text).strip()
                if (
                    measure.path not in ("前言", "结尾")
                    and len(list(quantities(fold(text)))) > 1
                    and "\t" not in text
                ):
                    found.append(Case(f"{text}[1]", _sources(letter, [text])))
    return found


def _sources(letter: Letter, at: list[str]) -> tuple[Source, ...]:
    own = [next(m for m in letter.measures if text in letter.text[m.start : m.end]) for text in at]
    others = [m for m in letter.measures if m not in own and m.path not in ("前言", "结尾")]
    return tuple(source_of(letter, m) for m in [*own, *others][:SOURCES])


def moved() -> list[Case]:
    """Sentences of other letters with an amount of another sentence of the same measure, of the same unit, in place of their own."""
    found = []
    for letter in parse_all([ROOT / "letters"]):
        for measure in letter.measures:
            told = [facts(s.of(letter.text), letter.date) for s in measure.sentences]
            for one, other in permutations(told, 2):
                for a, b in product(one.amounts, other.amounts):
                    if a.unit and a.unit == b.unit and a.value != b.value:
                        text = f"{one.text[: a.start]}{other.text[b.start : b.end]}{one.text[a.end :]}"
                        found.append(
                            Case(f"{text.rstrip('。')}。[1]", (source_of(letter, measure),), "moved")
                        )
    return found


def wrong(cases: list[Case]) -> list[Case]:
    """Wrong answers, made of right ones by rule; those that came out the same, or the same in meaning, are left out."""
    found: dict[tuple[str, str], Case] = {}
    for number, case in enumerate(cases):
        for kind, text in _spoiled(case, number):
            if text != case.text:
                found.setdefault((kind, text), Case(text, case.sources, kind))
    return list(found.values())


def _spoiled(case: Case, number: int) -> Iterator[tuple[str, str]]:
    text = case.text
    amounts = list(re.finditer(r"(?<![\d.\[年月])\d[\d,]*(?:\.\d+)?(?!\]|[\d.,]*[年月日时分])", text))
    if amounts:
        m = amounts[number % len(amounts)]
        yield "digit changed", text[: m.start()] + _other_number(m[0]) + text[m.end() :]
        yield "unit changed", _other_unit(text, m.end())
    for m in re.finditer(r"(?<=\d)[万亿](?=[㐀-鿿])", text):
        yield "万 dropped", text[: m.start()] + text[m.end() :]
        break
    for a, b in pairwise(amounts):
        if a[0].replace(",", "") != b[0].replace(",", "") and "[" not in text[a.end() : b.start()]:
            swapped = text[: a.start()] + b[0] + text[a.end() : b.start()] + a[0] + text[b.end() :]
            yield "numbers exchanged", swapped
    for m in re.finditer(r"20\d\d(?=年|到|—)|(?<=年)\d{1,2}(?=月)", text):
        moved = str(int(m[0]) + (1 if number % 2 else -1) or 2)
        yield "year or month moved", text[: m.start()] + moved + text[m.end() :]
    yield from _denied(text)
    yield from _told_otherwise(text)
    yield "citation invented", text.replace("[1]", f"[{SOURCES + 1 + number % 40}]")
    yield "citation of another measure", text.replace("[1]", f"[{min(len(case.sources), 2 + number % 5)}]")
    yield from _names(case, number)


def _other_number(number: str) -> str:
    at = max(i for i, c in enumerate(number) if c.isdigit())
    return number[:at] + str((int(number[at]) + 3) % 10) + number[at + 1 :]


def _other_unit(text: str, at: int) -> str:
    rest = text[at:]
    power = re.match(r"[万亿余多]*", rest)
    skip = power.end() if power else 0
    for unit in sorted(_UNITS, key=len, reverse=True):
        if rest.startswith(unit):
            return text[:at] + _UNITS[unit] + rest[len(unit) :]
        if rest[skip:].startswith(unit):
            return text[: at + skip] + _UNITS[unit] + rest[skip + len(unit) :]
    return text


def _denied(text: str) -> Iterator[tuple[str, str]]:
    if "未" in text or "没有" in text or "尚" in text:
        yield "negated", re.sub("尚未|还未|未(?!来)|没有", "已", text, count=1)
        return
    if re.search("已经?", text):
        yield "negated", re.sub("已经?", "尚未", text, count=1)
    elif not _PLANS.search(text):
        yield "negated", re.sub(f"({_VERBS})", r"没有\1", text, count=1)


def _told_otherwise(text: str) -> Iterator[tuple[str, str]]:
    if told := re.search("计划(?=[^,。;的]{1,12})|打算|拟(?=[㐀-鿿])|力争|预计|争取(?=年底)|还要", text):
        if not re.search("[度造养”]$", text[: told.start()]):
            yield "planned told as done", text[: told.start()] + "已" + text[told.end() :]
    elif _PLANS.search(text):
        return
    elif "正在" in text or "还在" in text:
        yield "under way told as done", re.sub("正在|还在", "已经", text)
    elif re.search("已经?", text):
        yield "done told as planned", re.sub("已经?", "计划", text, count=1)
    elif re.search(_VERBS, text) and "没" not in text and "未" not in text:
        yield "done told as planned", re.sub(f"({_VERBS})", r"将\1", text, count=1)
        yield "done told as dropped", re.sub(f"({_VERBS})", r"取消\1", text, count=1)


def _names(case: Case, number: int) -> Iterator[tuple[str, str]]:
    text = case.text
    names = re.findall("[《“]([^》”]{2,})[》”]", text)
    others = [
        n for s in case.sources for n in re.findall("[《“]([^》”]{2,})[》”]", s.letter.text) if n not in names
    ]
    for name in names:
        at = number % len(name)
        changed = "的" if name[at] != "的" else "之"
        yield "quote altered", text.replace(name, name[:at] + changed + name[at + 1 :])
        others = [n for n in others if n not in name and name not in n]
        if others:
            yield "name exchanged", text.replace(name, others[number % len(others)])
    letter = case.sources[0].letter
    for name in re.findall(f"{letter.issuer[:3]}|[㐀-鿿]{{2}}(?:镇|街道)(?=[㐀-鿿])", text)[:1]:
        if name and name in letter.text:
            yield "name exchanged", text.replace(name, _OTHERS[number % len(_OTHERS)])
    for m in list(re.finditer("[㐀-鿿]{2}(?:镇(?!级)|街道|局)(?=[㐀-鿿])", text))[:1]:
        if m[0] in letter.text and not set(m[0]) & set("乡全各区城"):
            first = "东" if m[0][0] != "东" else "西"
            yield "name altered", text[: m.start()] + first + text[m.start() + 1 :]
    quote = case.sources[0].spans[-1].of(letter.text).strip("。；;\n")[:30]
    if len(quote) > 12:
        at = 3 + number % 8
        yield (
            "quote altered",
            f"复函写道:“{quote[:at]}{'之' if quote[at] != '之' else '的'}{quote[at + 1 :]}”。[1]",
        )


def passes(case: Case) -> list[str]:
    """The faults that the checks find; none when the answer passes."""
    return [fault for claim in split_all(case.text) for fault in check(claim, case.sources).faults]


def digits_pass(case: Case) -> bool:
    """The rule compared with: half of the digits between word borders occur in what is cited."""
    text = re.sub(r"\[\d+\]", " ", case.text)
    cited = {int(n) for n in re.findall(r"\[(\d+)\]", case.text)}
    if not cited <= set(range(1, len(case.sources) + 1)):
        return False
    proof = " ".join(
        case.sources[n - 1].letter.text[case.sources[n - 1].measure.start : case.sources[n - 1].measure.end]
        for n in cited
    )
    numbers = re.findall(r"\b\d+(?:\.\d+)?%?\b", text)
    return not numbers or sum(n in proof for n in numbers) >= len(numbers) / 2


def report(*, show: bool = False) -> dict[str, Any]:
    """Run both rules over all sets."""
    sets = {name: right(name) for name in FILES} | {"verbatim": verbatim()}
    spoiled = wrong([case for cases in sets.values() for case in cases])
    told: dict[str, Any] = {
        "wrong": _wrong(spoiled, show=show),
        "moved": _wrong(moved(), show=show),
        "right": {},
    }
    for name, cases in sets.items():
        failed = [(case, faults) for case in cases if (faults := passes(case))]
        told["right"][name] = {
            "answers": len(cases),
            "let_through": len(cases) - len(failed),
            "let_through_by_digits": sum(map(digits_pass, cases)),
        }
        for case, faults in failed if show else ():
            print(f"not let through, {name}: {case.text} {faults}", file=sys.stderr)
    return told


def _wrong(spoiled: list[Case], *, show: bool) -> dict[str, Any]:
    kinds: dict[str, Counter[str]] = {}
    for case in spoiled:
        found = passes(case)
        count = kinds.setdefault(case.kind, Counter(made=0, caught=0, caught_by_digits=0))
        count.update(made=1, caught=bool(found), caught_by_digits=not digits_pass(case))
        if show and not found:
            print(f"not caught, {case.kind}: {case.text}", file=sys.stderr)
    total = sum(kinds.values(), Counter())
    return {**total, "kinds": {kind: dict(kinds[kind]) for kind in sorted(kinds)}}


if __name__ == "__main__":
    found = report(show="--show" in sys.argv)
    (ROOT / "verify.json").write_text(
        json.dumps(found, ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
    )
    print(json.dumps(found, ensure_ascii=False, indent=1))
