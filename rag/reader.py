"""The learned reader: does a window of a letter answer a question, and with which words?

A small network reads the question and a window together: characters, the bundled static vectors, and how each token of the one
matches the other, through blocks of a depthwise convolution, self-attention over both, and a feed-forward layer. It gives a
logit that the window answers, and a start and an end logit for each token of the window. It is trained by
``rag train reader`` and runs on numpy alone. Source: the design follows QANet (Yu et al., 2018), made small.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rag.embed import StaticEmbedder, Vectors
from rag.errors import ModelError
from rag.settings import BUNDLED_MODEL, BUNDLED_READER

Ints = npt.NDArray[np.int32]

QUESTION_TOKENS, WINDOW_TOKENS = 48, 224
LONGEST_ANSWER = 64  # tokens
_LIKELY = 16  # starts and ends of a window that are combined
FEATURES = 4
_NOTHING = -20.0  # the logit of a window or a question without tokens
LATIN, UNKNOWN = 1, 2  # numbers of tokens; 0 is padding


@dataclass(frozen=True, slots=True)
class Tokens:
    """A text as the reader sees it: Han characters, digits and signs one by one, Latin words by pieces.

    Attributes:
        ids: numbers of the characters; one number for all Latin pieces.
        rows: the row of the static table of the piece that covers each token.
        starts: first code point of each token, in the text.
        ends: one past its last.
    """

    ids: Ints
    rows: Ints
    starts: Ints
    ends: Ints

    def cut(self, begin: int, end: int) -> Tokens:
        """Return the tokens numbered ``begin`` to ``end``."""
        return Tokens(*(a[begin:end] for a in (self.ids, self.rows, self.starts, self.ends)))


@dataclass(frozen=True, slots=True)
class Reading:
    """What the reader says of one window.

    Attributes:
        answers: the logit that the window answers the question.
        spans: the best spans, best first: start and end in code points of the window's text, and the log probability.
    """

    answers: float
    spans: tuple[tuple[int, int, float], ...]


class Encoder:
    """Texts to tokens."""

    def __init__(self, characters: str, embedder: StaticEmbedder) -> None:
        self.embedder = embedder
        self.characters = characters
        self._ids = {c: i for i, c in enumerate(characters, 3)}
        self.size = len(characters) + 3

    def __call__(self, texts: Sequence[str]) -> list[Tokens]:
        """Encode folded texts."""
        found = self.embedder.encode(texts)
        return [self._tokens(text, e.ids, e.offsets) for text, e in zip(texts, found, strict=True)]

    def _tokens(self, text: str, rows: list[int], offsets: list[tuple[int, int]]) -> Tokens:
        parts: list[tuple[int, int, int, int]] = []
        for row, (start, end) in zip(rows, offsets, strict=True):
            if text[start:end].isascii() and text[start : start + 1].isalpha():
                parts.append((LATIN, row, start, end))
            else:
                parts += [(self._ids.get(text[i], UNKNOWN), row, i, i + 1) for i in range(start, end)]
        table = np.array(parts, np.int32).reshape(-1, 4)
        return Tokens(*(np.ascontiguousarray(table[:, i]) for i in range(4)))


class Reader:
    """The bundled reader, opened from a folder with ``reader.json`` and ``reader.safetensors``.

    Attributes:
        encode: texts to tokens.
        weights: how many numbers it has learnt, beside the static vectors.
    """

    def __init__(self, folder: Path, embedder: StaticEmbedder) -> None:
        from safetensors.numpy import load_file

        try:
            self.config: dict[str, Any] = json.loads((folder / "reader.json").read_text(encoding="utf-8"))
            weights = load_file(folder / "reader.safetensors")
        except (OSError, ValueError) as error:
            raise ModelError(
                f"{folder} is no reader ({error})", "reader.json and reader.safetensors"
            ) from error
        if self.config["embedding"] != embedder.fingerprint:
            raise ModelError(
                f"the reader in {folder} was trained with other vectors ({self.config['embedding'][:12]})",
                f"{embedder.fingerprint[:12]}",
                "run: rag train reader",
            )
        self.encode = Encoder(self.config["characters"], embedder)
        self._w = {name: array.astype(np.float32) for name, array in weights.items()}
        self.weights = sum(array.size for array in self._w.values())
        self._table = embedder.table

    def read(self, question: str, windows: Sequence[str]) -> list[Reading]:
        """Read windows of letters with a question.

        Args:
            question: folded.
            windows: folded; at most ``WINDOW_TOKENS`` tokens of each are read.
        """
        asked = self.encode([question])[0].cut(0, QUESTION_TOKENS)
        tokens = [t.cut(0, WINDOW_TOKENS) for t in self.encode(windows)]
        return self.read_tokens(asked, tokens)

    def read_tokens(
        self, asked: Tokens, windows: Sequence[Tokens], heads: Sequence[int] | None = None
    ) -> list[Reading]:
        """Read windows given as tokens; the first ``heads[i]`` tokens of a window are context that holds no answer."""
        if not any(len(w.ids) for w in windows) or not len(asked.ids):
            return [Reading(_NOTHING, ()) for _ in windows]
        answers, starts, ends = self._forward(asked, windows)
        out = []
        for i, w in enumerate(windows):
            head = heads[i] if heads else 0
            n = len(w.ids)
            logit = float(answers[i]) if n else _NOTHING
            out.append(Reading(logit, _best_spans(starts[i, :n], ends[i, :n], w, head)))
        return out

    def _forward(self, asked: Tokens, windows: Sequence[Tokens]) -> tuple[Vectors, Vectors, Vectors]:
        many, longest, n = len(windows), max(len(w.ids) for w in windows), len(asked.ids)
        ids = np.zeros((many, longest), np.int32)
        rows = np.zeros((many, longest), np.int32)
        for i, window in enumerate(windows):
            ids[i, : len(window.ids)], rows[i, : len(window.ids)] = window.ids, window.rows
        mask = (ids > 0).astype(np.float32)
        static_q, static_w = self._static(asked.rows), self._static(rows)
        f_q, f_w = match(asked.ids, ids, static_q, static_w, mask)
        q = self._input(np.broadcast_to(asked.ids, (many, n)), static_q, f_q, 0)
        w = self._input(ids, static_w, f_w, 1)
        latent = len(self._w["latent"])
        hub = latent + n
        h = np.broadcast_to(self._w["latent"], (many, *self._w["latent"].shape))
        shown = np.concatenate([np.ones((many, hub), np.float32), mask], axis=1)
        for b in range(self.config["blocks"]):
            x = np.concatenate([h, self._convolve(q, b, None), self._convolve(w, b, mask)], axis=1)
            x = self._attend(x, hub, shown, b)
            x = x + self._feed(x, b)
            h, q, w = x[:, :latent], x[:, latent:hub], x[:, hub:]
        h, q, w = self._norm(h, "last"), self._norm(q, "last"), self._norm(w, "last")
        logits = np.where(mask[..., None] > 0, self._linear(w, "span"), -1e4)
        likely = _softmax(logits, axis=1)
        pooled = [
            q.mean(axis=1),
            np.where(mask[..., None] > 0, w, -1e4).max(axis=1),
            q.max(axis=1),
            h[:, 0],
            (likely[..., :1] * w).sum(axis=1),
            (likely[..., 1:] * w).sum(axis=1),
        ]
        hidden = np.maximum(self._linear(np.concatenate(pooled, axis=1), "pool"), 0)
        return self._linear(hidden, "answers")[:, 0], logits[..., 0], logits[..., 1]

    def _static(self, rows: Ints) -> Vectors:
        found: Vectors = self._table[rows].astype(np.float32)
        return found

    def _input(self, ids: Ints, static: Vectors, features: Vectors, segment: int) -> Vectors:
        norms = np.linalg.norm(static, axis=-1, keepdims=True)
        meaning = (static / np.maximum(norms, 1e-6)) @ self._w["static"].T
        meaning = np.broadcast_to(meaning, (*features.shape[:2], meaning.shape[-1]))
        norms = np.broadcast_to(norms, (*features.shape[:2], 1))
        parts = np.concatenate([self._w["character"][ids], meaning, features, norms], axis=-1)
        x = self._linear(parts, "input") + self._w["segment"][segment]
        return self._norm(x, "first")

    def _linear(self, x: Vectors, name: str) -> Vectors:
        out: Vectors = x @ self._w[f"{name}.weight"].T + self._w[f"{name}.bias"]
        return out

    def _norm(self, x: Vectors, name: str) -> Vectors:
        centred = x - x.mean(axis=-1, keepdims=True)
        scale = 1 / np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + 1e-5)
        out: Vectors = centred * scale * self._w[f"{name}.weight"] + self._w[f"{name}.bias"]
        return out

    def _convolve(self, x: Vectors, block: int, mask: Vectors | None) -> Vectors:
        name = f"blocks.{block}.convolve"
        y = self._norm(x, f"{name}.norm")
        if mask is not None:
            y = y * mask[..., None]
        kernel = self._w[f"{name}.depth.weight"][:, 0]  # (width, size)
        half = kernel.shape[1] // 2
        padded = np.pad(y, ((0, 0), (half, half), (0, 0)))
        out = np.zeros_like(y)
        for k in range(kernel.shape[1]):
            out += padded[:, k : k + y.shape[1]] * kernel[:, k]
        out += self._w[f"{name}.depth.bias"]
        return x + self._linear(np.maximum(out, 0), f"{name}.point")

    def _attend(self, x: Vectors, hub: int, shown: Vectors, block: int) -> Vectors:
        name, heads = f"blocks.{block}.attend", self.config["heads"]
        many, length, width = x.shape
        y = self._linear(self._norm(x, f"{name}.norm"), f"{name}.qkv")
        q, k, v = y.reshape(many, length, 3, heads, width // heads).transpose(2, 0, 3, 1, 4)
        q = q * np.float32((width // heads) ** -0.5)
        k = k.swapaxes(-1, -2)
        bias = ((shown - 1) * np.float32(1e4))[:, None, None, :]
        central = _softmax(q[:, :, :hub] @ k + bias, axis=-1) @ v
        outer = _softmax(q[:, :, hub:] @ k[..., :hub], axis=-1) @ v[:, :, :hub]
        mixed = np.concatenate([central, outer], axis=2).transpose(0, 2, 1, 3).reshape(many, length, width)
        return x + self._linear(mixed, f"{name}.out")

    def _feed(self, x: Vectors, block: int) -> Vectors:
        name = f"blocks.{block}.feed"
        y = self._linear(self._norm(x, f"{name}.norm"), f"{name}.up")
        return self._linear(np.maximum(y, 0), f"{name}.down")


def match(
    asked: Ints, windows: Ints, static_q: Vectors, static_w: Vectors, mask: Vectors
) -> tuple[Vectors, Vectors]:
    """How each token of a question matches a window, and the other way round.

    Args:
        asked: character numbers of the question: shape ``(n,)``.
        windows: of the windows, padded with 0: shape ``(many, longest)``.
        static_q: static vectors: shape ``(n, dimension)``.
        static_w: shape ``(many, longest, dimension)``.
        mask: 1 for tokens, 0 for padding: shape ``(many, longest)``.

    Returns:
        For the question ``(many, n, 4)`` and for the windows ``(many, longest, 4)``: the same character or piece, the same pair
        of characters, the best cosine, and the best cosine weighted by the norm of the question's vector.
    """
    norm_q = np.linalg.norm(static_q, axis=-1)
    unit_q = static_q / np.maximum(norm_q, 1e-6)[:, None]
    unit_w = static_w / np.maximum(np.linalg.norm(static_w, axis=-1, keepdims=True), 1e-6)
    cosine = unit_w @ unit_q.T  # (many, longest, n)
    cosine = np.where(mask[..., None] > 0, cosine, -1).astype(np.float32)
    latin = (windows[..., None] == LATIN) & (asked == LATIN)
    same = (windows[..., None] == asked) & (mask[..., None] > 0) & (asked != UNKNOWN)
    same = np.where(latin, cosine > 0.999, same)
    pair = np.zeros_like(same)
    both = same[:, :-1, :-1] & same[:, 1:, 1:]
    pair[:, :-1, :-1] |= both
    pair[:, 1:, 1:] |= both
    weight = norm_q / max(float(norm_q.max(initial=0.0)), 1e-6)

    def views(axis: int) -> Vectors:
        parts = (same, pair, cosine, cosine * weight)
        return np.stack([p.max(axis=axis).astype(np.float32) for p in parts], axis=-1)

    return views(1), views(2)


def _best_spans(
    starts: Vectors, ends: Vectors, tokens: Tokens, head: int, many: int = 5
) -> tuple[tuple[int, int, float], ...]:
    n = len(starts)
    if head >= n:
        return ()
    first, last = _log_softmax(starts[head:]), _log_softmax(ends[head:])
    i, j = np.argsort(-first)[:_LIKELY], np.argsort(-last)[:_LIKELY]
    length = j[None, :] - i[:, None]
    scores = np.where(
        (length >= 0) & (length < LONGEST_ANSWER), first[i][:, None] + last[j][None, :], -np.inf
    )
    found: list[tuple[int, int, float]] = []
    for flat in np.argsort(-scores, axis=None):
        a, b = divmod(int(flat), len(j))
        if len(found) == many or not np.isfinite(scores[a, b]):
            break
        begin, end = int(tokens.starts[head + i[a]]), int(tokens.ends[head + j[b]])
        if all(end <= x or begin >= y for x, y, _ in found):
            found.append((begin, end, float(scores[a, b])))
    return tuple(found)


def _softmax(x: Vectors, axis: int) -> Vectors:
    out: Vectors = np.exp(x - x.max(axis=axis, keepdims=True))
    out /= out.sum(axis=axis, keepdims=True)
    return out


def _log_softmax(x: Vectors) -> Vectors:
    top = x - x.max()
    out: Vectors = top - np.log(np.exp(top).sum())
    return out


def open_reader(embedder: object) -> Reader:
    """Open the bundled reader; it takes the bundled vectors, whatever model the index was built with."""
    if isinstance(embedder, StaticEmbedder) and embedder.folder == BUNDLED_MODEL:
        return Reader(BUNDLED_READER, embedder)
    return Reader(BUNDLED_READER, StaticEmbedder(BUNDLED_MODEL))
