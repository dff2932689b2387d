"""The reader as a torch module, for training; :class:`rag.reader.Reader` runs the same network (:mod:`rag.reader_graph`)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (torch's own name for it)

from rag.reader import FEATURES, LATIN, UNKNOWN

_LOW = -1e4


class Drop(nn.Module):
    """Dropout of whole channels of a text: one draw for all its tokens, which costs next to nothing."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        """Zero a share of the channels of ``x`` (many, length, width) while training."""
        if not self.training or not self.share:
            return x
        kept = torch.rand(x.shape[0], 1, x.shape[2]) > self.share
        return x * (kept.to(x.dtype) / (1 - self.share))


class Convolve(nn.Module):
    """A depthwise convolution over the tokens of one text, then a linear layer; residual."""

    def __init__(self, width: int, size: int, share: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.depth = nn.Conv1d(width, width, size, padding=size // 2, groups=width)
        self.point = nn.Linear(width, width)
        self.drop = Drop(share)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Mix neighbouring tokens of ``x`` (many, length, width)."""
        y = self.norm(x) * mask[..., None]
        y = self.depth(y.transpose(1, 2)).transpose(1, 2)
        mixed: Tensor = x + self.drop(self.point(F.relu(y)))
        return mixed


class Attend(nn.Module):
    """The hub (latent tokens and the question) attends to all tokens, the window to the hub alone; residual."""

    def __init__(self, width: int, heads: int, share: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.drop = Drop(share)
        self.heads = heads

    def forward(self, x: Tensor, hub: int, bias: Tensor) -> Tensor:
        """Mix the tokens of ``x`` (many, length, width), of which the first ``hub`` are the hub; ``bias`` hides padding."""
        many, length, width = x.shape
        parts = self.qkv(self.norm(x)).view(many, length, 3, self.heads, width // self.heads)
        q, k, v = parts.permute(2, 0, 3, 1, 4)
        q = q * (width // self.heads) ** -0.5
        bias = bias.to(q.dtype)
        central = ((q[:, :, :hub] @ k.transpose(-1, -2) + bias).softmax(-1).to(v.dtype)) @ v
        scores = q[:, :, hub:] @ k[:, :, :hub].transpose(-1, -2) + bias[..., :hub]
        outer = scores.softmax(-1).to(v.dtype) @ v[:, :, :hub]
        mixed = torch.cat([central, outer], 2).transpose(1, 2).reshape(many, length, width)
        attended: Tensor = x + self.drop(self.out(mixed))
        return attended


class Feed(nn.Module):
    """Two linear layers for each token; residual."""

    def __init__(self, width: int, inner: int, share: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, inner)
        self.down = nn.Linear(inner, width)
        self.drop = Drop(share)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` (many, length, width) and what the layers add."""
        fed: Tensor = x + self.drop(self.down(F.relu(self.up(self.norm(x)))))
        return fed


class Block(nn.Module):
    """One convolution, one attention, one feed-forward layer."""

    def __init__(self, width: int, size: int, heads: int, inner: int, share: float) -> None:
        super().__init__()
        self.convolve = Convolve(width, size, share)
        self.attend = Attend(width, heads, share)
        self.feed = Feed(width, inner, share)


class Net(nn.Module):
    """The reader: see :mod:`rag.reader`."""

    table: Tensor

    def __init__(
        self,
        characters: int,
        table: Tensor,
        *,
        width: int = 160,
        blocks: int = 6,
        heads: int = 5,
        inner: int = 320,
        latent: int = 8,
        share: float = 0.1,
    ) -> None:
        super().__init__()
        self.register_buffer("table", table, persistent=False)
        self.character = nn.Parameter(torch.randn(characters, 96) * 0.1)
        self.static = nn.Parameter(torch.randn(96, table.shape[1]) * 0.1)
        self.segment = nn.Parameter(torch.zeros(2, width))
        self.latent = nn.Parameter(torch.randn(latent, width) * 0.5)
        self.input = nn.Linear(96 + 96 + FEATURES + 1, width)
        self.first, self.last = nn.LayerNorm(width), nn.LayerNorm(width)
        self.blocks = nn.ModuleList([Block(width, 7, heads, inner, share) for _ in range(blocks)])
        self.span, self.answers = nn.Linear(width, 2), nn.Linear(width, 1)
        self.pool = nn.Linear(6 * width, width)
        self.drop = Drop(share)
        self.config = {"blocks": blocks, "heads": heads}

    def forward(
        self, q_ids: Tensor, q_rows: Tensor, w_ids: Tensor, w_rows: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the logits that windows answer (many,), of starts and of ends (many, length)."""
        q_mask, w_mask = (q_ids > 0).float(), (w_ids > 0).float()
        with torch.no_grad(), torch.autocast("cpu", enabled=False):
            q_static, w_static = self.table[q_rows], self.table[w_rows]
            q_match, w_match = match(q_ids, w_ids, q_static, w_static)
        q, w = self._embed(q_ids, q_static, q_match, 0), self._embed(w_ids, w_static, w_match, 1)
        many, latent, hub = len(q), len(self.latent), len(self.latent) + q.shape[1]
        h = self.latent[None].expand(many, -1, -1).to(q.dtype)
        shown = torch.cat([torch.ones(many, latent), q_mask, w_mask], 1)
        bias = ((shown - 1) * -_LOW)[:, None, None, :]
        for block in self.blocks:
            assert isinstance(block, Block)
            both = torch.cat([h, block.convolve(q, q_mask), block.convolve(w, w_mask)], 1)
            x = block.feed(block.attend(both, hub, bias))
            h, q, w = x[:, :latent], x[:, latent:hub], x[:, hub:]
        h, q, w = self.last(h), self.last(q), self.last(w)
        spans = torch.where(w_mask[..., None] > 0, self.span(w).float(), torch.tensor(_LOW))
        low = torch.tensor(_LOW, dtype=w.dtype)
        likely = spans.softmax(1).to(w.dtype)
        pooled = [
            (q * q_mask[..., None]).sum(1) / q_mask.sum(1, keepdim=True).clamp_min(1),
            torch.where(w_mask[..., None] > 0, w, low).amax(1),
            torch.where(q_mask[..., None] > 0, q, low).amax(1),
            h[:, 0],
            (likely[..., :1] * w).sum(1),
            (likely[..., 1:] * w).sum(1),
        ]
        answers = self.answers(F.relu(self.pool(torch.cat(pooled, 1)))).float()[:, 0]
        return answers, spans[..., 0], spans[..., 1]

    def _embed(self, ids: Tensor, static: Tensor, features: Tensor, segment: int) -> Tensor:
        norms = static.norm(dim=-1, keepdim=True)
        meaning = (static / norms.clamp_min(1e-6)) @ self.static.T
        parts = torch.cat([self.character[ids], meaning, features, norms], -1)
        embedded: Tensor = self.first(self.input(self.drop(parts)) + self.segment[segment])
        return embedded


def match(q_ids: Tensor, w_ids: Tensor, q_static: Tensor, w_static: Tensor) -> tuple[Tensor, Tensor]:
    """The features of :func:`rag.reader.match`, for a batch of questions each with its own window."""
    norms = q_static.norm(dim=-1)
    unit_q = q_static / norms.clamp_min(1e-6)[..., None]
    unit_w = w_static / w_static.norm(dim=-1, keepdim=True).clamp_min(1e-6)
    q_mask, w_mask = (q_ids > 0).float(), (w_ids > 0).float()
    both = (w_mask[:, :, None] * q_mask[:, None, :]) > 0
    cosine = torch.where(both, unit_w @ unit_q.transpose(1, 2), torch.tensor(-1.0))
    same = (w_ids[:, :, None] == q_ids[:, None, :]) & both & (q_ids[:, None, :] != UNKNOWN)
    latin = (w_ids[:, :, None] == LATIN) & (q_ids[:, None, :] == LATIN) & both
    same = torch.where(latin, cosine > 0.999, same)
    pair = torch.zeros_like(same)
    run = same[:, :-1, :-1] & same[:, 1:, 1:]
    pair[:, :-1, :-1] |= run
    pair[:, 1:, 1:] |= run
    weight = (norms / (norms * q_mask).amax(1, keepdim=True).clamp_min(1e-6))[:, None, :]
    weighted = torch.where(both, cosine * weight, torch.tensor(-1.0))
    parts = [same.float(), pair.float(), cosine, weighted]
    views = [torch.stack([p.amax(axis) for p in parts], -1) for axis in (1, 2)]
    return views[0] * q_mask[..., None], views[1] * w_mask[..., None]
