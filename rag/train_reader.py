"""Train the bundled reader."""

from __future__ import annotations

import json
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (torch's own name for it)

from rag.embed import StaticEmbedder
from rag.reader import QUESTION_TOKENS, WINDOW_TOKENS, Encoder, Tokens, given
from rag.reader_data import Item, Material, Range, crop, load_material, sentence_ranges
from rag.reader_graph import save_graph
from rag.reader_net import Net
from rag.reader_swaps import Swaps
from rag.reading import WINDOW
from rag.settings import BUNDLED_MODEL
from rag.teach import kept_apart, load_teaching

BATCH, CHARACTERS = 64, 6000
_CHUNK = 2048  # examples sorted by length together
_READ, _TAUGHT, _MADE = 3, 2, 20_000  # times that an item comes in a pass; questions made by rule in it
_WITHOUT = 0.4  # of the windows that do not answer: the item's own text without the sentence that answers
_SWAPPED = {True: 0.1, False: 0.3}  # of the windows that answer, and of those that do not: a word exchanged
_SHOWN = 8  # batches that tell the range of what is multiplied
Parts = list[tuple[str, Range]]
Example = tuple[
    Tokens, Tokens, Range | None, bool
]  # question, window, first and last token of the answer, answered


class Examples:
    """Items to windows of tokens, anew in each pass."""

    def __init__(self, material: Material, encode: Encoder, seed: int) -> None:
        self.material = material
        self.rng = random.Random(seed)  # noqa: S311 (sampling, not secrets)
        texts, questions = sorted(material.texts()), sorted(material.questions())
        self.tokens: dict[str, Tokens] = dict(zip(texts, encode(texts), strict=True))
        self.asked = dict(zip(questions, encode(questions), strict=True))
        self.swaps = Swaps(encode, self.tokens)

    def batches(self) -> Iterator[list[Example]]:
        """Yield batches without end."""
        m = self.material
        while True:
            items = [(i, answers) for _ in range(_READ) for i in m.read for answers in (True, False)]
            for _ in range(_TAUGHT):
                items += [(i, True) for i in m.taught] + [(i, False) for i in m.taught if i.answered]
            made = self.rng.sample(m.made, min(len(m.made), _MADE))
            items += [(i, True) for i in made] + [(i, False) for i in made[: len(made) // 3]]
            self.rng.shuffle(items)
            for at in range(0, len(items), _CHUNK):
                found = [e for i, answers in items[at : at + _CHUNK] if (e := self.example(i, answers))]
                found.sort(key=lambda e: len(e[1].ids))
                batches = [found[j : j + BATCH] for j in range(0, len(found), BATCH)]
                self.rng.shuffle(batches)
                yield from batches

    def example(self, item: Item, answers: bool) -> Example | None:
        """A window of an item that answers (or is the item's own, for an unanswered one), or one that does not."""
        if item.answer and item.near and self.rng.random() < _SWAPPED[answers]:
            return self._swapped(item, answers=answers) or self._window(item, answers=answers)
        return self._window(item, answers=answers)

    def _swapped(self, item: Item, *, answers: bool) -> Example | None:
        """A window that answers and the question, a word exchanged: in the question alone, or in both so that it still answers."""
        found = self._window(item, answers=True)
        if found is None or found[2] is None:
            return None
        asked, window, place, _ = found
        texts = [item.text, *(self.material.pools[item.pool][n] for n in item.near)]
        swapped = self.swaps.swap(asked, window, texts, self.rng, both=answers)
        return (*swapped, place if answers else None, answers) if swapped else None

    def _window(self, item: Item, *, answers: bool) -> Example | None:
        cut = self._cut_taught if item.pool == "teaching" else self._cut_read
        parts, own = cut(item, answers)
        pieces = [self._piece(text, where) for text, where in parts]
        if sum(len(p.ids) for p in pieces) < 4:
            return None
        place = self._place(item.answer, parts[own], pieces, own) if answers and item.answer else None
        asked = self.asked[item.question].cut(0, QUESTION_TOKENS)
        return asked, _joined(pieces), place, answers and item.answered

    def _cut_read(self, item: Item, answers: bool) -> tuple[Parts, int]:
        assert item.answer is not None
        if answers:
            return [(item.text, crop(item.text, item.answer, self.rng))], 0
        if self.rng.random() < _WITHOUT and (parts := self._without_answer(item)):
            return parts, 0
        said = item.text[slice(*item.answer)]
        for _ in range(6):
            near = bool(item.near) and self.rng.random() < 0.5
            text = self.material.pools[item.pool][self.rng.choice(item.near)] if near else item.text
            at = self.rng.randrange(len(text))
            start, end = crop(text, (at, at + 1), self.rng)
            if said not in text[start:end]:
                return [(text, (start, end))], 0
        return [], 0

    def _cut_taught(self, item: Item, answers: bool) -> tuple[Parts, int]:
        """The item's text, or one like it, among sentences of other texts; and which part it is."""
        pool, rng = self.material.pools["teaching"], self.rng
        text = item.text
        if not answers:
            if rng.random() < _WITHOUT and (parts := self._without_answer(item)):
                return parts, 0
            text = item.negative if item.negative and rng.random() < 0.5 else pool[rng.choice(item.near)]
        where = (0, len(text))
        if len(text) > WINDOW:
            where = crop(text, item.answer, rng) if answers and item.answer else (0, WINDOW)
        parts, own, room = [(text, where)], 0, WINDOW - (where[1] - where[0])
        for _ in range(3 if rng.random() < 0.6 else 0):
            other = pool[rng.choice(item.near)] if not answers or rng.random() < 0.3 else rng.choice(pool)
            start, end = rng.choice(sentence_ranges(other))
            if other != item.text and 6 <= end - start <= room:
                room -= end - start
                before = rng.random() < 0.5
                parts.insert(0 if before else len(parts), (other, (start, end)))
                own += before
        return parts, own

    def _without_answer(self, item: Item) -> Parts:
        """What stands around the sentence that answers, without it; empty where that is nothing."""
        if item.answer is None:
            return []
        text, (begin, end) = item.text, item.answer
        low, high = crop(text, item.answer, self.rng)
        found = sentence_ranges(text)
        first = max(low, max((s for s, _ in found if s <= begin), default=low))
        last = min(high, min((e for _, e in found if e >= end), default=high))
        parts = [(text, where) for where in ((low, first), (last, high)) if where[1] - where[0] >= 10]
        said = text[begin:end]
        return parts if parts and not any(said in text[slice(*where)] for _, where in parts) else []

    def _piece(self, text: str, where: Range) -> Tokens:
        tokens = self.tokens[text]
        first, last = (int(i) for i in np.searchsorted(tokens.starts, where))
        return tokens.cut(first, last)

    @staticmethod
    def _place(answer: Range, part: tuple[str, Range], pieces: list[Tokens], own: int) -> Range | None:
        """Where the answer stands among the tokens of the joined pieces: first and last; None when it was cut."""
        start, end = part[1]
        if not (start <= answer[0] and answer[1] <= end):
            return None
        at = sum(len(p.ids) for p in pieces[:own])
        first = int(np.searchsorted(pieces[own].ends, answer[0], side="right"))
        last = int(np.searchsorted(pieces[own].starts, answer[1])) - 1
        return (at + first, at + last) if first <= last else None


def _joined(pieces: list[Tokens]) -> Tokens:
    return Tokens(
        *(np.concatenate([getattr(p, n) for p in pieces]) for n in ("ids", "rows", "starts", "ends"))
    )


def train_reader(
    data: Path,
    out: Path,
    *,
    minutes: float = 60,
    processes: int = 1,
    start: Path | None = None,
    embedder: StaticEmbedder | None = None,
    taught: Sequence[dict[str, str]] | None = None,
    seed: int = 1,
    learning_rate: float = 1.2e-3,
) -> None:
    """Train the reader for a time and save it; ``README.md`` of the folder (the model card) is kept.

    ``reader.safetensors`` holds the weights, to go on from; ``reader.onnx``, made from them, is what runs.

    Args:
        data: the training data (see :func:`rag.reader_data.load_material`).
        out: folder to write ``reader.json``, ``reader.safetensors`` and ``reader.onnx`` to.
        minutes: wall time of the training; the learning rate falls to 2 % over it.
        processes: that train the same weights side by side, one thread each, without waiting for one another
            (Recht et al., Hogwild!, 2011): on a busy machine far faster than as many threads.
        start: folder of a reader to go on from.
        embedder: the static vectors it reads with; default: the bundled ones.
        taught: the teaching data; default: that of the package. Texts kept apart (`rag.teach.kept_apart`) are left out.
        seed: of the sampling and the first weights.
        learning_rate: peak, of AdamW.
    """
    torch.manual_seed(seed)
    if processes > 1:
        torch.set_num_threads(1)
    embedder = embedder or StaticEmbedder(BUNDLED_MODEL)
    rows = load_teaching() if taught is None else taught
    material = load_material(data, [r for r in rows if not kept_apart(r["p"])], embedder)
    characters = _characters(material)
    encode = Encoder(characters, embedder)
    net = Net(encode.size, torch.tensor(embedder.table.astype(np.float32)))
    if start:
        _go_on(net, characters, start)
    examples = Examples(material, encode, seed)
    kept = _fit(net, examples, minutes * 60, learning_rate, processes)
    out.mkdir(parents=True, exist_ok=True)
    weights = {k: v.numpy().astype(np.float16) for k, v in kept.items()}
    save_file(weights, out / "reader.safetensors")
    config = {**net.config, "embedding": embedder.fingerprint, "characters": characters}
    shown = [e for batch in islice(examples.batches(), _SHOWN) for e in batch]
    sample = [given(embedder.table, e[0], [e[1].cut(0, WINDOW_TOKENS)]) for e in shown]
    save_graph({k: v.astype(np.float32) for k, v in weights.items()}, config, out / "reader.onnx", sample)
    (out / "reader.json").write_text(json.dumps(config, ensure_ascii=False) + "\n", encoding="utf-8")


def _go_on(net: Net, characters: str, start: Path) -> None:
    """Take over the weights of another reader; characters it does not know keep their first vectors.

    Blocks it lacks come last and begin by passing on what they are given.
    """
    known = json.loads((start / "reader.json").read_text(encoding="utf-8"))["characters"]
    weights = {
        k: torch.from_numpy(v.astype(np.float32)) for k, v in load_file(start / "reader.safetensors").items()
    }
    place = {c: i for i, c in enumerate(known, 3)}
    table = net.character.detach().clone()
    table[:3] = weights["character"][:3]
    for i, c in enumerate(characters, 3):
        if c in place:
            table[i] = weights["character"][place[c]]
    own = net.state_dict()
    for name in own.keys() - weights.keys():
        new = own[name].clone()
        weights[name] = new.zero_() if re.search(r"\.(?:point|out|down)\.", name) else new
    net.load_state_dict({**weights, "character": table})


def _characters(material: Material) -> str:
    counts: Counter[str] = Counter()
    for item in (*material.read, *material.taught, *material.made):
        counts.update(item.text[:400] + item.question)
    return "".join(sorted(c for c, n in counts.most_common(CHARACTERS) if n >= 3 and not c.isspace()))


def _fit(
    net: Net, examples: Examples, seconds: float, learning_rate: float, processes: int
) -> dict[str, Tensor]:
    """Train, and return the weights averaged over the last 40 % of the time."""
    net.share_memory()
    others = [
        get_context("fork").Process(target=_learn, args=(net, examples, seconds, learning_rate, rank))
        for rank in range(1, processes)
    ]
    for other in others:
        other.start()
    average = _learn(net, examples, seconds, learning_rate, 0)
    for other in others:
        other.join()
    return average or net.state_dict()


def _learn(
    net: Net, examples: Examples, seconds: float, learning_rate: float, rank: int
) -> dict[str, Tensor]:
    """Train in one process; return the weights averaged over the end."""
    if rank:
        examples.rng.seed(rank)
        torch.manual_seed(rank)
    optimizer = _optimizer(net, learning_rate)
    began, sums = time.monotonic(), Counter[str]()
    average: dict[str, Tensor] = {}
    for step, batch in enumerate(examples.batches(), 1):
        done = (time.monotonic() - began) / seconds
        if done >= 1:
            break
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * min(1, step / 200) * max(0.02, 1 - done)
        sums.update(_step(net, optimizer, batch))
        if done > 0.6 and not rank:
            for name, value in net.state_dict().items():
                average.setdefault(name, value.clone()).lerp_(value, 0.004)
        if step % 200 == 0 and not rank:
            told = ", ".join(f"{k} {v / 200:.3f}" for k, v in sums.items())
            print(f"{100 * done:.0f} %, step {step}: {told}", file=sys.stderr, flush=True)
            sums.clear()
    return average


def _optimizer(net: Net, learning_rate: float) -> torch.optim.Optimizer:
    wide = [p for p in net.parameters() if p.dim() > 1]
    flat = [p for p in net.parameters() if p.dim() <= 1]
    groups = [{"params": wide, "weight_decay": 0.02}, {"params": flat, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.98))


def _step(net: Net, optimizer: torch.optim.Optimizer, batch: list[Example]) -> dict[str, float]:
    q_ids, q_rows = _padded([e[0] for e in batch])
    w_ids, w_rows = _padded([e[1].cut(0, WINDOW_TOKENS) for e in batch])
    with torch.autocast("cpu", torch.bfloat16):
        answers, starts, ends = net(q_ids, q_rows, w_ids, w_rows)
    truth = torch.tensor([float(e[3]) for e in batch])
    loss = relevance = F.binary_cross_entropy_with_logits(answers, truth)
    asked = [(i, *e[2]) for i, e in enumerate(batch) if e[2] and e[2][1] < w_ids.shape[1]]
    spans = torch.tensor(0.0)
    if asked:
        index, first, last = (torch.tensor(column) for column in zip(*asked, strict=True))
        spans = (F.cross_entropy(starts[index], first) + F.cross_entropy(ends[index], last)) / 2
        loss = relevance + spans
    optimizer.zero_grad()
    torch.autograd.backward(loss)
    torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    optimizer.step()
    right = ((answers > 0) == (truth > 0.5)).float().mean()
    return {"relevance": relevance.item(), "spans": spans.item(), "right": right.item()}


def _padded(texts: list[Tokens]) -> tuple[Tensor, Tensor]:
    longest = max(len(t.ids) for t in texts)
    ids, rows = np.zeros((2, len(texts), longest), np.int64)
    for i, t in enumerate(texts):
        ids[i, : len(t.ids)], rows[i, : len(t.ids)] = t.ids, t.rows
    return torch.from_numpy(ids), torch.from_numpy(rows)
