"""One claim against the measures it cites: what is asked of every sentence of an answer that an LLM wrote.

Its amounts, times, shares and names stand in a cited measure and belong there to the same words; what is done, under way,
planned, dropped or denied, more or less than before, is so there too; and its words are those of the sentences it rests on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rag.around import Around, around, around_names, likeness, mass, tokens
from rag.claims import Claim, Source, Verdict
from rag.dictionary import is_name
from rag.dictionary import names as known_names
from rag.english import check_foreign, is_foreign
from rag.facts import Amount, agrees, facts, unread
from rag.polarity import Stance, disagreement, stances
from rag.quantities import holds
from rag.scope import mentions

_FOREIGN = re.compile(
    r"https?:|www\.|://|!?\[[^\]]*\]\(|<[a-z/!]|\b[\w.]+@[\w.]+\b|<\||```|javascript:|data:[a-z]+/",
    re.IGNORECASE,
)
_ENDED = re.compile(
    r"[㐀-鿿](?:镇(?![级区])|乡(?![镇村级土亲风])|村(?![级民道委口里庄卫])|县(?![道乡域级长内城直])|市(?![场民级直区内外政长属])|局(?![部长])|委(?![员托办])|"
    r"街道|大学(?!生)|学院|医院|学校|公司|路(?![口段面网灯程线])|桥|湖(?![长区泊水面岸滨底里])|河(?![湖道流水长岸段口])|公园|厅|银行|集团|协会)"
)
_GENERIC = frozenset(
    "乡城全本我该各县每个省贵区们的地我农街多条座所家学校上下级新两三四五六七八九十公委约大市小政"
)
# Of places and bodies whose names have two characters or more before that; what stands before a shorter one is no name.
_BODY = re.compile(
    r"(?P<first>[㐀-鿿])(?P<rest>[㐀-鿿](?:镇(?![级区])|乡(?![镇村级土亲风])|村(?![级民道委口里庄卫])|县(?![道乡域级长内城直])|市(?![场民级直区内外政长属])|"
    r"局(?![部长])|委(?![员托办])|厅|街道|大学(?!生)|学院|医院|公司))"
)
_BEFORE = _GENERIC | frozenset(
    "在到于从由向对与和及是为等把将被让使给了过按经会同联合以其中余去今明年月日共约有并还也、请"
)
_WITHIN = _BEFORE - frozenset("政")
_WAS = re.compile("[由从原]|之前|以前|过去|此前|先前|当初|曾")
_NOW = re.compile("现在|目前|如今|现[为有]|已|[到至]了?$|只[要需用]|[升降缩增]为")
# Amounts without a number, which no unit and no words around them tell apart.
_VAGUE = re.compile("翻[了上]?[一两三几]?番|[成翻加双]倍|倍增|大?多数|绝大部分|近半|过半")
_BOUNDS = {">": (">",), "<": ("<", "≤"), "≤": ("<", "≤", "")}  # what a bound may rest on
# Chosen on the sets in bench/verify that tune the checks: the least share of words in common; how much more another source
# may have; how much more the words of another amount may speak, in the same sentence, in another, of another unit; how little
# of what is said may stand in the sentence of an amount alone, and how much in another's.
_SUPPORT, _OTHER, _RIVAL, _HELD, _NAMED, _REMOTE, _APART, _LITTLE = 0.3, 0.25, 1.0, 2.5, 3.0, 3.5, 3.0, 2.0
_OWN, _TAKEN = 1.0, 10.0


@dataclass(frozen=True, slots=True)
class _Place:
    """An amount of a source: which source, which span, which amount of it."""

    source: int
    span: int
    amount: int


def check(said: Claim, sources: Sequence[Source]) -> Verdict:
    """Check one claim against the sources, which are numbered from 1.

    Returns:
        The faults, in words fit to tell the writer; without any, the spans the claim rests on.
    """
    if not said.cites:
        return Verdict(("no citation",))
    if unknown := [n for n in said.cites if not 1 <= n <= len(sources)]:
        return Verdict(tuple(f"there is no [{n}]" for n in unknown))
    if _FOREIGN.search(said.text):
        return Verdict(("a link or markup",))
    cited = [n - 1 for n in said.cites]
    if is_foreign(said.text):
        return check_foreign(said.text, sources, cited)
    return _Check(said.text, sources, cited).verdict()


class _Check:
    """One claim being checked."""

    def __init__(self, text: str, sources: Sequence[Source], cited: Sequence[int]) -> None:
        self.text, self.sources, self.cited = text, sources, cited
        self.date = next((sources[n].letter.date for n in cited if sources[n].letter.date), "")
        self.names = facts(text).named()
        self.said = facts(text, self.date, masked=self.names)
        self.faults: list[str] = []

    def verdict(self) -> Verdict:
        """Run the checks in order; later ones need what earlier ones found."""
        named = self._check_names()
        timed = self._check_times()
        bound = self._bind()
        if self.faults:
            return Verdict(tuple(self.faults))
        used = self._used(bound, named | timed)
        self._check_bounds(bound)
        self._check_when(bound)
        self._check_swaps(bound)
        self._check_named()
        self._check_changes(bound)
        self._check_support(used)
        self._check_stances(bound, used)
        spans = tuple((n, self.sources[n].spans[s]) for n, s in sorted(used))
        return Verdict(tuple(dict.fromkeys(self.faults)), spans)

    def _check_names(self) -> set[tuple[int, int]]:
        """Names in quotation marks stand in a cited sentence; places and bodies in the measure, its headings or the letter's head."""
        found: set[tuple[int, int]] = set()
        for name in self.names:
            places = [
                (n, i)
                for n in self.cited
                for i, s in enumerate(self.sources[n].sentences)
                if holds(s.text, name)
            ]
            if not places:
                self.faults.append(f"“{name}” is not in the source")
            found |= set(places[:1])
        proof = " ".join(self.sources[n].text for n in self.cited)
        for name in known_names(self.said.text):
            if is_name(name) and not mentions(proof, name) and name[-1] not in "里内上下中":
                self.faults.append(f"{name} is not in the source")
        for word in re.findall("[a-z]{2,}", self.said.text):
            if word not in proof:
                self.faults.append(f"{word} is not in the source")
        for first, rest in _BODY.findall(self.said.text):
            if first not in _BEFORE and rest[0] not in _WITHIN and first + rest not in proof:
                self.faults.append(f"{first}{rest} is not in the source")
        looked_up = (*_VAGUE.findall(self.said.text), *unread(self.said.text))
        self.faults += [f"{x} is not in the source" for x in looked_up if x not in proof]
        for name in _ENDED.findall(self.said.text):
            if name[0] not in _GENERIC and name not in proof:
                self.faults.append(f"…{name} is not in the source")
        return found

    def _check_times(self) -> set[tuple[int, int]]:
        found: set[tuple[int, int]] = set()
        for time in self.said.times:
            places = [
                (n, i)
                for n in self.cited
                for i, s in enumerate(self.sources[n].sentences)
                if any(agrees(time, t) for t in s.times)
            ]
            if not places:
                self.faults.append(f"{self.said.text[time.start : time.end]} is not in the source")
            elif len(places) == 1:
                found.add(places[0])
        return found

    def _bind(self) -> list[_Place]:
        """Find the place of each amount: with the same value and unit, among words most like its own."""
        mine = around(self.said)
        options = [[p for p in self._places() if self._amount(p).key == a.key] for a in self.said.amounts]
        held: dict[tuple[int, int], int] = {}
        for some in options:
            for key in {(p.source, p.span) for p in some}:
                held[key] = held.get(key, 0) + 1
        found = []
        for amount, some, own in zip(self.said.amounts, options, mine, strict=True):
            if not some:
                self.faults.append(f"{self.said.text[amount.start : amount.end]} is not in the source")
                continue
            found.append(
                max(
                    some,
                    key=lambda p: (2 * held[(p.source, p.span)] + likeness(own, self._around(p)), -p.span),
                )
            )
        return found

    def _places(self) -> Iterator[_Place]:
        for n in self.cited:
            for i, sentence in enumerate(self.sources[n].sentences):
                for k in range(len(sentence.amounts)):
                    yield _Place(n, i, k)

    def _amount(self, p: _Place) -> Amount:
        return self.sources[p.source].sentences[p.span].amounts[p.amount]

    def _around(self, p: _Place) -> Around:
        return self.sources[p.source].arounds[p.span][p.amount]

    def _used(self, bound: Sequence[_Place], others: set[tuple[int, int]]) -> set[tuple[int, int]]:
        """The sentences the claim rests on; without amounts and names the one most like it in each source cited."""
        used = {(p.source, p.span) for p in bound}
        used |= others
        words = tokens(self.said.text)
        for n in self.cited:
            if not any(m == n for m, _ in used):
                own = self.sources[n].words
                used.add((n, max(range(len(own)), key=lambda i: (mass(words & own[i]), -i))))
        return used

    def _check_bounds(self, bound: Sequence[_Place]) -> None:
        """超过 and 不超过 are said where the source says so."""
        for amount, place in zip(self.said.amounts, bound, strict=True):
            source = self._amount(place)
            if amount.bound and source.bound not in _BOUNDS[amount.bound]:
                self.faults.append(f"{self.said.text[amount.start : amount.end]} is bounded otherwise")

    def _check_when(self, bound: Sequence[_Place]) -> None:
        """The time told before an amount is the time it has in the source."""
        for amount, place in zip(self.said.amounts, bound, strict=True):
            sentence = self.sources[place.source].sentences[place.span]
            told = [t for t in self.said.times if t.end <= amount.start]
            there = [
                t
                for t in sentence.times
                if t.end <= self._amount(place).start and not any(a <= t.start < b for a, b in sentence.names)
            ]
            if told and there and not any(agrees(told[-1], t) for t in there[-2:]):
                self.faults.append(f"{self.said.text[amount.start : amount.end]} is of another time")

    def _check_swaps(self, bound: Sequence[_Place]) -> None:
        """An amount stands with the words that it stands with in the source, not with those of another amount."""
        mine = around(self.said)
        held = {(p.source, p.span) for p in bound}
        for said, own, place in zip(self.said.amounts, mine, bound, strict=True):
            rivals = [r for r in self._places() if r not in bound]
            if any(self._outweighs(own, place, r, held) or self._taken_over(said, place, r) for r in rivals):
                self.faults.append(f"{self.said.text[said.start : said.end]} belongs elsewhere")
        for j, place in enumerate(bound):
            for k in range(j + 1, len(bound)):
                if bound[k] != place and self._amount(bound[k]).key != self._amount(place).key:
                    self._check_pair(mine[j], mine[k], place, bound[k])
                elif bound[k] == place and self._is_said_twice(j, k):
                    self.faults.append("one amount is told of two things")

    def _outweighs(self, own: Around, place: _Place, rival: _Place, held: set[tuple[int, int]]) -> bool:
        """Whether the words around an amount are those of another one of its unit; pairs of amounts told are another matter."""
        here, there = self._amount(place), self._amount(rival)
        if here.unit != there.unit or here.value == there.value or self._one_change(place, rival):
            return False
        span = (rival.source, rival.span)
        margin = _RIVAL if span == (place.source, place.span) else _HELD if span in held else _REMOTE
        mine, their = self._pull(own, place, rival)
        return their > mine + margin

    def _taken_over(self, said: Amount, place: _Place, rival: _Place) -> bool:
        """Whether all that is said around an amount stands in another sentence, which has one of its unit; nothing in its own."""
        here, there = self._amount(place), self._amount(rival)
        same = (rival.source, rival.span) == (place.source, place.span)
        if same or here.unit != there.unit or here.value == there.value:
            return False
        mine, their = (self.sources[p.source].words[p.span] for p in (place, rival))
        for words in self._said_around(said):
            if mass((words & mine) - their) <= _OWN and mass((words & their) - mine) >= _TAKEN:
                return True
        return False

    def _said_around(self, said: Amount) -> Iterator[set[str]]:
        """The words of the clause of an amount, and of the whole claim; without those of amounts and times."""
        text = self.said.text
        taken = [(a.start, a.end) for a in self.said.amounts] + [(t.start, t.end) for t in self.said.times]
        for first, last in taken:
            text = text[:first] + "\0" * (last - first) + text[last:]
        start = max(text.rfind(c, 0, said.start) for c in ",;:。") + 1
        end = min((at for c in ",;:。" if (at := text.find(c, said.end)) >= 0), default=len(text))
        yield tokens(text[start:end])
        yield tokens(text)

    def _is_said_twice(self, j: int, k: int) -> bool:
        """Whether two amounts in the same characters rest on one; 这63家 and the like speak of it again."""
        one, other = self.said.amounts[j], self.said.amounts[k]
        if sum(self._amount(p).key == one.key for p in self._places()) > 1:
            return False
        again = self.said.text[max(0, other.start - 2) : other.start]
        return self.said.text[one.start : one.end] == self.said.text[
            other.start : other.end
        ] and not re.search("[这该其即]|上述", again)

    def _check_pair(self, first: Around, second: Around, one: _Place, other: _Place) -> None:
        if self._one_change(one, other):
            return
        own_1, their_1 = self._pull(first, one, other)
        own_2, their_2 = self._pull(second, other, one)
        alike = self._amount(one).unit == self._amount(other).unit
        own, their = own_1 + own_2, their_1 + their_2
        unsaid = alike and not own and not their and (one.source, one.span) == (other.source, other.span)
        if (their > own if alike else their > own + _APART and own < _LITTLE) or (
            unsaid and other.amount < one.amount
        ):
            self.faults.append("two amounts are exchanged")

    def _check_named(self) -> None:
        """A name stands with the words that it stands with in the source, not with those of another name."""
        known = [pair for n in self.cited for pair in self.sources[n].named]
        for name, own in zip(self.said.named(), around_names(self.said), strict=True):
            here = [words for other, words in known if other == name]
            for other, there in known:
                if other == name or not here or name in other or self._listed(name, other):
                    continue
                mine = max(likeness(own, words, there) for words in here)
                if max(likeness(own, there, words) for words in here) > mine + _NAMED:
                    self.faults.append(f"“{name}” belongs elsewhere")

    def _listed(self, one: str, other: str) -> bool:
        """Whether two names stand side by side in a source."""
        side = f"{re.escape(one)}[》”’]、?[《“‘]{re.escape(other)}|{re.escape(other)}[》”’]、?[《“‘]{re.escape(one)}"
        return any(re.search(side, self.sources[n].text) for n in self.cited)

    def _check_changes(self, bound: Sequence[_Place]) -> None:
        """Of 由A提高到B, A is not told as what is now, nor B as what was before, nor B before A without a word."""
        last = ("", -1, -1)
        for amount, place in zip(self.said.amounts, bound, strict=True):
            part = self._change(place)
            told = self._before(amount)
            was, now = bool(_WAS.search(told)), bool(_NOW.search(told))
            turned = last == ("now", place.source, place.span) and part == "was" and not was
            if (part == "was" and now and not was) or (part == "now" and was and not now) or turned:
                self.faults.append(
                    f"{self.said.text[amount.start : amount.end]} is the other end of a change"
                )
            last = ("" if now else part, place.source, place.span)

    def _one_change(self, one: _Place, other: _Place) -> bool:
        """Whether two amounts are the ends of one change; words do not tell these apart, their part does."""
        beside = (one.source, one.span) == (other.source, other.span) and abs(one.amount - other.amount) == 1
        return beside and {self._change(one), self._change(other)} == {"was", "now"}

    def _change(self, place: _Place) -> str:
        return self.sources[place.source].changes[place.span].get(place.amount, "")

    def _before(self, amount: Amount) -> str:
        """The words before an amount, from the clause's start or the amount before it."""
        start = max((a.end for a in self.said.amounts if a.end <= amount.start), default=0)
        return re.split(r"[,;。]", self.said.text[start : amount.start])[-1]

    def _pull(self, own: Around, place: _Place, rival: _Place) -> tuple[float, float]:
        """How strongly the words around an amount speak for its place, and for another."""
        here, there = self._around(place), self._around(rival)
        return likeness(own, here, there), likeness(own, there, here)

    def _check_support(self, used: set[tuple[int, int]]) -> None:
        """The words of the claim are those of the sentences cited, and of no other source much more."""
        words = tokens(self.said.text)
        own = self._support(words, self.cited, used)
        if own < _SUPPORT:
            self.faults.append("it is not what the source says")
        for n in range(len(self.sources)):
            if n not in self.cited and self._support(words, [n], None) > own + _OTHER:
                self.faults.append(f"it is what [{n + 1}] says")

    def _support(self, words: set[str], numbers: Sequence[int], used: set[tuple[int, int]] | None) -> float:
        """The share of the words, by weight, in the sentences used (else in any one of the source) and the headings above."""
        share = 0.0
        context: set[str] = set()
        spoken: set[str] = set()
        for n in numbers:
            context |= tokens(self.sources[n].context)
            for i, own in enumerate(self.sources[n].words):
                if used is None:
                    share = max(share, mass(words & (own | context)) / max(1.0, mass(words)))
                elif (n, i) in used:
                    spoken |= own
        return share if used is None else mass(words & (spoken | context)) / max(1.0, mass(words))

    def _check_stances(self, bound: Sequence[_Place], used: set[tuple[int, int]]) -> None:
        mine = stances(self.said.text)
        whole = [s for n, i in sorted(used) for s in self.sources[n].stances[i]]
        for j, clause in enumerate(mine):
            source, sure = self._clauses(clause, bound, used, whole)
            following = mine[j + 1] if j + 1 < len(mine) else None
            if fault := disagreement(clause, following, source, whole, sure=sure):
                self.faults.append(fault)

    def _clauses(
        self, clause: Stance, bound: Sequence[_Place], used: set[tuple[int, int]], whole: Sequence[Stance]
    ) -> tuple[list[Stance], bool]:
        """The clauses of the source that a clause rests on: those of its amounts or times, else the one most like it.

        Returns:
            The clauses, and whether amounts or times tell them.
        """
        places = [
            (p.source, p.span, self._amount(p).start)
            for amount, p in zip(self.said.amounts, bound, strict=True)
            if clause.start <= amount.start < clause.end
        ]
        places = places or [
            (n, i, t.start)
            for time in self.said.times
            if clause.start <= time.start < clause.end
            for n, i in used
            for t in self.sources[n].sentences[i].times
            if agrees(time, t)
        ]
        found = [s for n, i, at in places for s in self.sources[n].stances[i] if s.start <= at < s.end]
        if found or not whole:
            return found, bool(found)
        words = tokens(clause.text)
        best = max(whole, key=lambda s: mass(words & tokens(s.text)))
        return ([best] if mass(words & tokens(best.text)) >= _SUPPORT * mass(words) else []), False
