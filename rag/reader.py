"""The learned reader: does a window of a letter answer a question, and with which words?

A small network reads the question and a window together: characters, the bundled static vectors, and how each token of the one
matches the other, through blocks of a depthwise convolution, self-attention over both, and a feed-forward layer. It gives a
logit that the window answers, and a start and an end logit for each token of the window. It is trained by
``rag train reader`` and runs on ONNX Runtime, in 8 bits. Source: the design follows QANet (Yu et al., 2018), made small.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rag.embed import StaticEmbedder, Vectors
from rag.errors import ModelError
from rag.settings import BUNDLED_MODEL, BUNDLED_READER

if TYPE_CHECKING:
    from onnxruntime import SessionOptions

Ints = npt.NDArray[np.int32]
Given = dict[str, npt.NDArray[Any]]

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


def options() -> SessionOptions:
    """How the graph is run: one thread, which on a busy machine is faster than two; joined already, so opened as it is."""
    from onnxruntime import GraphOptimizationLevel, SessionOptions

    told = SessionOptions()
    told.intra_op_num_threads = 1
    told.graph_optimization_level = GraphOptimizationLevel.ORT_DISABLE_ALL
    told.log_severity_level = 3
    return told


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
    """The bundled reader, opened from a folder with ``reader.json`` and ``reader.onnx``.

    Attributes:
        encode: texts to tokens.
    """

    def __init__(self, folder: Path, embedder: StaticEmbedder) -> None:
        from onnxruntime import InferenceSession

        try:
            self.config: dict[str, Any] = json.loads((folder / "reader.json").read_text(encoding="utf-8"))
            graph = (folder / "reader.onnx").read_bytes()
            self._session = InferenceSession(graph, options(), ["CPUExecutionProvider"])
        except Exception as error:  # those of ONNX Runtime have no class of their own
            raise ModelError(f"{folder} is no reader ({error})", "reader.json and reader.onnx") from error
        if self.config["embedding"] != embedder.fingerprint:
            raise ModelError(
                f"the reader in {folder} was trained with other vectors ({self.config['embedding'][:12]})",
                f"{embedder.fingerprint[:12]}",
                "run: rag train reader",
            )
        self.encode = Encoder(self.config["characters"], embedder)
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
        answers, spans = self._session.run(("answers", "spans"), given(self._table, asked, windows))
        return answers, spans[..., 0], spans[..., 1]


def given(table: Vectors, asked: Tokens, windows: Sequence[Tokens]) -> Given:
    """Return what the graph is given, by name.

    Args:
        table: the static vectors.
        asked: the question.
        windows: at least one token in all.
    """
    many, longest = len(windows), max(len(w.ids) for w in windows)
    ids, rows = np.zeros((2, many, longest), np.int32)
    for i, window in enumerate(windows):
        ids[i, : len(window.ids)], rows[i, : len(window.ids)] = window.ids, window.rows
    mask = (ids > 0).astype(np.float32)
    (unit_q, norm_q), (unit_w, norm_w) = _unit(table[asked.rows]), _unit(table[rows])
    match_q, match_w = match(asked.ids, ids, (unit_q, norm_q[:, 0]), unit_w, mask)
    return {
        "asked": asked.ids,
        "ids": ids,
        "mask": mask,
        "static_q": unit_q,
        "static_w": unit_w,
        "match_q": np.concatenate([match_q, np.broadcast_to(norm_q, (many, *norm_q.shape))], axis=-1),
        "match_w": np.concatenate([match_w, norm_w], axis=-1),
    }


def _unit(rows: Vectors) -> tuple[Vectors, Vectors]:
    """Vectors, each of length 1, and the lengths they had."""
    wide: Vectors = rows.astype(np.float32)
    norms: Vectors = np.linalg.norm(wide, axis=-1, keepdims=True)
    unit: Vectors = np.divide(wide, np.maximum(norms, 1e-6), dtype=np.float32)
    return unit, norms


def match(
    asked: Ints, windows: Ints, question: tuple[Vectors, Vectors], unit_w: Vectors, mask: Vectors
) -> tuple[Vectors, Vectors]:
    """How each token of a question matches a window, and the other way round.

    Args:
        asked: character numbers of the question: shape ``(n,)``.
        windows: of the windows, padded with 0: shape ``(many, longest)``.
        question: static vectors of length 1, shape ``(n, dimension)``, and what their lengths were, shape ``(n,)``.
        unit_w: static vectors of length 1, shape ``(many, longest, dimension)``.
        mask: 1 for tokens, 0 for padding: shape ``(many, longest)``.

    Returns:
        For the question ``(many, n, 4)`` and for the windows ``(many, longest, 4)``: the same character or piece, the same pair
        of characters, the best cosine, and the best cosine weighted by the norm of the question's vector.
    """
    unit_q, norm_q = question
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
    begins, stops = tokens.starts[head + i].tolist(), tokens.ends[head + j].tolist()
    found: list[tuple[int, int, float]] = []
    order = np.argsort(-scores, axis=None)
    for flat, score in zip(order.tolist(), scores.ravel()[order].tolist(), strict=True):
        if len(found) == many or score == -math.inf:
            break
        begin, end = begins[flat // len(j)], stops[flat % len(j)]
        if all(end <= x or begin >= y for x, y, _ in found):
            found.append((begin, end, score))
    return tuple(found)


def _log_softmax(x: Vectors) -> Vectors:
    top = x - x.max()
    out: Vectors = top - np.log(np.exp(top).sum())
    return out


def open_reader(embedder: object) -> Reader:
    """Open the bundled reader; it takes the bundled vectors, whatever model the index was built with."""
    if isinstance(embedder, StaticEmbedder) and embedder.folder == BUNDLED_MODEL:
        return Reader(BUNDLED_READER, embedder)
    return Reader(BUNDLED_READER, StaticEmbedder(BUNDLED_MODEL))
