"""Questions that a letter answers, made from its own sentences and kept only when the product answers them rightly."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, zip_longest
from threading import Lock

from rag.engine import Engine
from rag.letter import CLOSING, PREFACE, Letter, Measure, Span
from rag.quantities import Quantity, quantities
from rag.text import fold

_CLAUSE = re.compile(r"[^,;:。!?\n]+")
_OPENING = re.compile(
    r"^(?:(?:截至|截止)[^,]{0,8}?(?:目前|底|日|月)|目前|其中|同时|累计|共|已|今年以来|近年来|在全国率先|一是|二是|三是)+"
)
_UNFIT = re.compile(r"[“”《》()\"'、]|第$|[的在为到至达约近超过每]$|^\d|较|同比|^由|^对|^按|^可")
_UNITS = frozenset({"号", "级", "次", "类", "年", "岁"})  # that make no question of their own
_SHORTEST, _LONGEST = 6, 20  # characters before the amount
_TRIED = 8  # candidates of a letter that are asked
_LETTERS, _GENERAL = 3, 6  # letters that the general suggestions come from; how many there are of them
_KEPT = 256  # letters whose suggestions are kept


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A question, the letter that answers it, and the measure."""

    question: str
    letter: Letter
    path: str


@dataclass(frozen=True, slots=True)
class _Candidate:
    question: str
    measure: Measure
    sentence: Span
    amount: str


class Suggestions:
    """Makes suggestions for an engine, and remembers those of each letter."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str, int], list[Suggestion]] = OrderedDict()
        self._lock = Lock()
        self._making = Lock()

    def of_letter(self, engine: Engine, letter: Letter, most: int = _TRIED) -> list[Suggestion]:
        """Questions about one letter, the measures in turn; asked of that letter alone they are answered."""
        key = (letter.sha256, letter.id, most)
        if (known := self._kept(key)) is not None:
            return known
        with self._making:  # who asks for the same waits for it
            if (known := self._kept(key)) is None:
                known = list(islice(_checked(engine, letter), most))
                self._keep(key, known)
        return known

    def _kept(self, key: tuple[str, str, int]) -> list[Suggestion] | None:
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
            return self._known.get(key)

    def _keep(self, key: tuple[str, str, int], found: list[Suggestion]) -> None:
        with self._lock:
            self._known[key] = found
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)

    def of_all(self, engine: Engine) -> list[Suggestion]:
        """Questions about the newest letters, the letters in turn."""
        newest = [engine.index.letters[n] for n in engine.index.heads.newest(_LETTERS)]
        most = -(-_GENERAL // max(1, len(newest)))
        columns = [self.of_letter(engine, letter, most) for letter in newest]
        return [s for row in zip_longest(*columns) for s in row if s is not None]


def _checked(engine: Engine, letter: Letter) -> Iterator[Suggestion]:
    """The candidates whose own sentence comes back as the answer, with the amount in the short answer."""
    for c in islice(_candidates(letter), _TRIED):
        answer = engine.ask(c.question, letter_id=letter.id)
        if answer.refused or c.amount not in answer.short_answer:
            continue
        first = answer.citations[0]
        if (first.start, first.end) == (c.sentence.start, c.sentence.end):
            yield Suggestion(c.question, letter, c.measure.path)


def _candidates(letter: Letter) -> Iterator[_Candidate]:
    """One question a measure, then a second one a measure, and so on."""
    text = fold(letter.text)
    measures = [m for m in letter.measures if m.path not in (PREFACE, CLOSING)]
    rows = zip_longest(*(_of_measure(letter, m, text) for m in measures or letter.measures))
    seen: set[str] = set()
    for c in (c for row in rows for c in row if c is not None):
        if c.question not in seen:
            seen.add(c.question)
            yield c


def _of_measure(letter: Letter, measure: Measure, text: str) -> Iterator[_Candidate]:
    for sentence in measure.sentences:
        for clause in _CLAUSE.finditer(text, sentence.start, sentence.end):
            amounts = list(quantities(clause[0]))
            if len(amounts) == 1 and (asked := _question(clause[0], amounts[0])):
                start = clause.start() + amounts[0].start
                amount = letter.text[start : clause.start() + amounts[0].end]
                yield _Candidate(asked, measure, sentence, amount)


def _question(clause: str, amount: Quantity) -> str:
    """建成服务站63家 → 建成服务站多少家?; empty when the clause does not end in an amount or says too little."""
    before = _OPENING.sub("", clause[: amount.start])
    if amount.end != len(clause) or not amount.family or amount.family == "share" or amount.unit in _UNITS:
        return ""
    if not _SHORTEST <= len(before) <= _LONGEST or _UNFIT.search(before):
        return ""
    return f"{before}多少{amount.unit}?"
