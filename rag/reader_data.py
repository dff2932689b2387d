"""What the reader learns from: public reading sets, the teaching data, and questions made by rule from plain sentences.

Every item becomes windows anew in each pass: one that answers, cropped at random, and others that do not: from elsewhere in
the passage, from passages whose vectors are near, and the teaching data's own unanswered questions and near sentences.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rag.embed import StaticEmbedder
from rag.quantities import dates, quantities
from rag.reading import WINDOW
from rag.sources import rows, tuning_questions
from rag.text import fold

Range = tuple[int, int]

_SENTENCE = re.compile(r"[^。!?;\n]+[。!?;\n]?")
_BODY = re.compile(
    r"[㐀-鿿]{2,14}?(?:局|委员会|部门|公司|集团|大学|学院|医院|中心|协会|银行|法院|机构|政府|企业)"
    r"(?=[负应可会将对在统和与,。、:]|组织|牵头|批准|主管)"
)
_TITLE, _NAME = re.compile(r"《[^》]{2,30}》"), re.compile(r"“[^”]{2,16}”")
_LIST = re.compile(r"(?:包括|涵盖|分为)([^,。;:]{4,60}、[^,。;:]{2,60})")
_PLACE = re.compile(r"(?:位于|设在|选址)([^,。;:]{3,20})")


@dataclass(slots=True)
class Item:
    """A question, the text it is about, and where the answer stands.

    Attributes:
        question: folded.
        text: folded.
        answer: in code points of the text; None when the text answers without such words, or does not answer.
        answered: whether the text answers.
        pool: name of the pool of other texts, or empty.
        near: numbers of texts of the pool that look like this one.
        negative: a near text that does not answer, or empty.
    """

    question: str
    text: str
    answer: Range | None
    answered: bool = True
    pool: str = ""
    near: list[int] = field(default_factory=list)
    negative: str = ""


@dataclass(slots=True)
class Material:
    """All items by source, and the pools that negatives come from."""

    read: list[Item]
    taught: list[Item]
    made: list[Item]
    pools: dict[str, list[str]]

    def texts(self) -> set[str]:
        """Every text that windows are cut from."""
        items = [*self.read, *self.taught, *self.made]
        return (
            {i.text for i in items}
            | {i.negative for i in items if i.negative}
            | {t for pool in self.pools.values() for t in pool}
        )

    def questions(self) -> set[str]:
        """Every question."""
        return {i.question for i in (*self.read, *self.taught, *self.made)}


def load_material(
    data: Path, taught: Sequence[dict[str, str]], embedder: StaticEmbedder, made: int = 60_000
) -> Material:
    """Read all there is to learn from.

    Args:
        data: folder with ``rc/rctrain_*.jsonl.gz`` and ``train/plain_*.jsonl.gz``.
        taught: rows of the teaching data.
        embedder: finds the texts that look alike.
        made: how many questions to make by rule.
    """
    pools: dict[str, list[str]] = {}
    skip = tuning_questions(data)
    read: list[Item] = []
    for path in sorted((data / "rc").glob("rctrain_*.jsonl.gz")):
        found = [r for r in rows(path) if r["question"] not in skip]
        read += _reading_items(path.name, found, embedder, pools)
    items = _teaching_items([r for r in taught if r["k"] != "term"], embedder, pools)
    rng = random.Random(5)  # noqa: S311 (sampling, not secrets)
    plain = [fold(r["t"]) for path in sorted((data / "train").glob("plain_*.jsonl.gz")) for r in rows(path)]
    texts = pools["teaching"] * 3 + rng.sample(plain, min(len(plain), 30_000))
    rng.shuffle(texts)
    return Material(read, items, list(made_questions(texts, rng, made)), pools)


def _reading_items(
    name: str, found: list[dict[str, Any]], embedder: StaticEmbedder, pools: dict[str, list[str]]
) -> list[Item]:
    contexts = list(dict.fromkeys(r["context"] for r in found))
    pools[name] = [fold(c) for c in contexts]
    number = {c: i for i, c in enumerate(contexts)}
    near = _near(embedder, contexts, [r["question"] for r in found], [number[r["context"]] for r in found], 6)
    items = []
    for r, others in zip(found, near, strict=True):
        start, text = r["answers"][0]["start"], r["answers"][0]["text"]
        whole = pools[name][number[r["context"]]]
        items.append(Item(fold(r["question"]), whole, (start, start + len(text)), True, name, others))
    return items


def _teaching_items(
    taught: list[dict[str, str]], embedder: StaticEmbedder, pools: dict[str, list[str]]
) -> list[Item]:
    texts = list(dict.fromkeys(r["p"] for r in taught))
    pools["teaching"] = [fold(t) for t in texts]
    number = {t: i for i, t in enumerate(texts)}
    near = _near(embedder, texts, [r["q"] for r in taught], [number[r["p"]] for r in taught], 8)
    items = []
    for r, others in zip(taught, near, strict=True):
        text, answer = fold(r["p"]), fold(r.get("a", ""))
        at = text.find(answer) if answer and text.count(answer) == 1 else -1
        items.append(
            Item(
                fold(r["q"]),
                text,
                (at, at + len(answer)) if at >= 0 else None,
                r["k"] != "unanswered",
                "teaching",
                others,
                fold(r.get("n", "")),
            )
        )
    return items


def _near(
    embedder: StaticEmbedder, texts: list[str], questions: list[str], own: list[int], most: int
) -> list[list[int]]:
    """The texts nearest to each question, without its own."""
    vectors, asked = embedder.passages(texts), embedder.queries(questions)
    found = []
    for query, mine in zip(asked, own, strict=True):
        order = np.argsort(-(vectors @ query))[: most + 1]
        found.append([int(i) for i in order if i != mine][:most])
    return found


def made_questions(texts: Sequence[str], rng: random.Random, most: int) -> Iterator[Item]:
    """Yield questions made by rule: an amount, date, name, body, list or place of a sentence becomes what is asked for."""
    made = 0
    for text in texts:
        spans = [m.span() for m in _SENTENCE.finditer(text) if 12 < len(m[0]) < 150]
        for start, end in rng.sample(spans, min(2, len(spans))):
            found = _question_of(text[start:end], rng)
            if found and made < most:
                made += 1
                question, (a, b) = found
                yield Item(question, text, (start + a, start + b))


def _askable(sentence: str, rng: random.Random) -> list[tuple[Range, str, int]]:
    """What a sentence can be asked for: the words, how to ask, how often."""
    found = [((q.start, q.end), "多少" + q.unit, 3) for q in quantities(sentence)]
    when = rng.choice(["什么时候", "什么时间", "何时", "啥时候"])
    found += [(m.span(), "哪一年" if m[0].endswith("年") else when, 3) for m in dates(sentence)]
    for pattern, group, words, weight in (
        (_TITLE, 0, ["什么文件", "哪个文件", "哪部法规", "什么"], 1),
        (_NAME, 0, ["什么", "叫什么", "哪个"], 1),
        (_BODY, 0, ["谁", "哪个部门", "哪个单位", "什么机构"], 1),
        (_LIST, 1, ["哪些", "什么", "哪几个"], 2),
        (_PLACE, 1, ["哪里", "什么地方", "哪儿"], 2),
    ):
        found += [(m.span(group), rng.choice(words), weight) for m in pattern.finditer(sentence)]
    return found


def _question_of(sentence: str, rng: random.Random) -> tuple[str, Range] | None:
    found = _askable(sentence, rng)
    if not found:
        return None
    (a, b), word, _ = rng.choices(found, [weight for *_, weight in found])[0]
    cuts = [m.end() for m in re.finditer("[,:;]", sentence)]
    low = max([0, *(c for c in cuts if c <= a)])
    high = min([len(sentence), *(c - 1 for c in cuts if c - 1 >= b)])
    left, right = sentence[low:a], sentence[b:high].rstrip("。!?;\n")
    if low > 0 and (len(left) + len(right) < 6 or rng.random() < 0.3):
        before = max([0, *(c for c in cuts if c < low)])
        left = sentence[before : low - 1] + left
    if len(left) + len(right) < 4:
        return None
    left, right = _thinned(left, rng), _thinned(right, rng)
    order = rng.random()
    question = (
        left + word + right if order < 0.5 else right + left + word if order < 0.75 else word + right + left
    )
    question = question.strip(" ,、") + rng.choice(["?", "", "", ""])
    return (question, (a, b)) if 5 < len(question) < 60 else None


def _thinned(text: str, rng: random.Random) -> str:
    """A text without a quarter of its pairs of characters, more often than not."""
    if rng.random() < 0.4:
        return text
    return "".join(p for p in re.findall(r"[㐀-鿿]{2}|.", text) if rng.random() > 0.25)


def sentence_ranges(text: str) -> list[Range]:
    """Return the ranges of the sentences of a folded text."""
    return [m.span() for m in _SENTENCE.finditer(text)] or [(0, len(text))]


def crop(text: str, keep: Range, rng: random.Random, limit: int = WINDOW) -> Range:
    """Return a window of whole sentences around ``keep``, of at most ``limit`` characters where it can be."""
    found = sentence_ranges(text)
    low = next((i for i, (s, e) in enumerate(found) if s <= keep[0] < e), 0)
    high = next((i for i, (s, e) in enumerate(found) if s < keep[1] <= e), low)
    start, end = found[low][0], found[high][1]
    if end - start > limit:
        start = max(start, keep[0] - rng.randint(0, max(0, limit - (keep[1] - keep[0]))))
        return start, max(min(end, start + limit), keep[1])
    target = limit if rng.random() < 0.75 else rng.randint(40, limit)
    while True:
        sides = []
        if low > 0 and end - found[low - 1][0] <= target:
            sides.append(0)
        if high + 1 < len(found) and found[high + 1][1] - start <= target:
            sides.append(1)
        if not sides:
            return start, end
        if rng.choice(sides) == 0:
            low -= 1
            start = found[low][0]
        else:
            high += 1
            end = found[high][1]
