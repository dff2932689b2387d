"""The pictures of the measurements; need matplotlib.

``python bench/figure.py`` draws ``bench/quality.png`` from ``bench/quality.json``; ``quality.py`` draws the reliability diagram.
Colours: Okabe and Ito's, which the colour-blind can tell apart; the groups also stand apart by shade and label.
"""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any

from rag.scores import calibration_error
from rag.scores import reliability as bins
from rag.settings import BUNDLED_MODEL

HERE = Path(__file__).resolve().parent
OURS, MIDDLE, LIGHT, OTHERS, REFUSED = "#D55E00", "#0072B2", "#56B4E9", "#777777", "#009E73"

# XQuAD-zh nDCG@10 as published; parameters as their model cards say.
PUBLISHED = (
    ("inf-retriever-v1", "7B", 0.978),
    ("multilingual-e5-large", "560M", 0.964),
    ("multilingual-e5-base", "278M", 0.955),
    ("multilingual-e5-small", "118M", 0.955),
    ("gte-multilingual-base", "305M", 0.934),
    ("LaBSE", "471M", 0.857),
    ("paraphrase-multilingual-\nMiniLM-L12-v2", "118M", 0.852),
)
SCORES = (
    ("search_first", "right measure first", MIDDLE),
    ("search_in_three", "right measure in first three", LIGHT),
    ("answer", "right answer", OURS),
)
_PAD = 50  # of both titles, so that they stand on one line: between title and axes the legend
STYLES = (("everyday", "everyday words"), ("direct", "official words"), ("english", "English"))


def main() -> int:
    """Draw ``bench/quality.png``; say what of the baseline it lacks."""
    kept = json.loads((HERE / "quality.json").read_text(encoding="utf-8"))["scores"]
    try:
        quality(kept, HERE / "quality.png")
    except KeyError as error:
        print(
            f"quality.json has no {error}; write it with: bench/quality.py --data DIR --update",
            file=sys.stderr,
        )
        return 1
    print("wrote quality.png", file=sys.stderr)
    return 0


def quality(scores: dict[str, dict[str, float]], out: Path) -> None:
    """Draw retrieval beside published models, and answers on letters never seen.

    Args:
        scores: by set and name, as in ``quality.json``.
        out: the PNG to write, 1800 pixels wide.

    Raises:
        KeyError: naming the set or score that is missing.
    """
    figure, (left, right) = _figure((12, 5.4), 2, gridspec_kw={"width_ratios": (0.75, 1.25)})
    _retrieval(left, scores["xquad_zh"]["ndcg@10"])
    _unseen(right, scores)
    _save(figure, out)


def _retrieval(axes: Any, ours: float) -> None:
    rows = sorted(
        [*PUBLISHED, ("letter-rag (this program)", f"{_parameters()} + BM25", ours)], key=lambda r: r[2]
    )
    places = range(len(rows))
    colours = [OURS if value == ours and name.startswith("letter-rag") else OTHERS for name, _, value in rows]
    axes.hlines(places, 0.8, [v for _, _, v in rows], color=colours, linewidth=2)
    axes.scatter([v for _, _, v in rows], places, color=colours, s=70, zorder=3)
    for y, (_, _, value), colour in zip(places, rows, colours, strict=True):
        axes.annotate(f"{value:.3f}", (value, y), (8, 0), "data", "offset points", va="center", color=colour)
    axes.set_yticks(places, [f"{name}\n{size}" for name, size, _ in rows])
    axes.set_xlim(0.8, 1.0)
    axes.set_ylim(-0.7, len(rows) - 0.5)
    axes.set_xticks([0.8, 0.85, 0.9, 0.95, 1])
    axes.set_xlabel("nDCG@10 (axis starts at 0.8)")
    axes.set_title("Passage retrieval: XQuAD, Chinese", pad=_PAD)
    told = "other models: as published"
    axes.text(0.5, 1.03, told, transform=axes.transAxes, ha="center", color=OTHERS)


def _parameters() -> str:
    """The size of the bundled embedding, from the header of its file."""
    with (BUNDLED_MODEL / "model.safetensors").open("rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
    count = sum(prod(t["shape"]) for name, t in header.items() if name != "__metadata__")
    return f"{count / 1e6:.0f}M"


def _unseen(axes: Any, scores: dict[str, dict[str, float]]) -> None:
    for n, (score, label, colour) in enumerate(SCORES):
        values = [scores[f"letters_b/{style}/all"][score] for style, _ in STYLES]
        _bars(axes, [i + 0.27 * (n - 1) for i in range(len(STYLES))], values, colour, label)
    _bars(axes, [len(STYLES)], [scores["letters_b/refuse/own"]["refused"]], REFUSED, "rightly refused")
    names = [f"{told}\n{scores[f'letters_b/{s}/all']['questions']} questions" for s, told in STYLES]
    names.append(f"not in the letter\n{scores['letters_b/refuse/own']['questions']} questions")
    axes.set_xticks(range(len(names)), names)
    axes.set_ylim(0, 1.0)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "25%", "50%", "75%", "100%"])
    axes.set_ylabel("share of questions")
    axes.set_xlabel("asked over 16 letters; what is not in the letter, over that letter")
    axes.set_title("Questions about letters never seen (held out)", pad=_PAD)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.02), ncols=2, frameon=False)


def _bars(axes: Any, places: Sequence[float], values: Sequence[float], colour: str, label: str) -> None:
    bars = axes.bar(places, values, 0.25, color=colour, label=label)
    axes.bar_label(bars, [f"{v:.0%}" for v in values], padding=2, fontsize=9)


def reliability(told: Sequence[tuple[float, bool]], out: Path) -> None:
    """Draw how often answers of a confidence are right, and below it how many questions there are of each.

    Args:
        told: (confidence in [0, 1], right), at least one.
        out: the PNG to write; its folder is made.
    """
    figure, (axes, below) = _figure((6, 6.4), 1, 2, sharex=True, gridspec_kw={"height_ratios": (3, 1)})
    found = bins(told)
    axes.plot([0, 1], [0, 1], color=OTHERS, linestyle="--", label="perfectly calibrated")
    axes.plot([c for _, c, _ in found], [s for _, _, s in found], "o-", color=MIDDLE, label="measured")
    axes.set_ylabel("share right")
    axes.set_ylim(-0.02, 1.02)
    axes.set_title(f"{len(told)} questions, calibration error {calibration_error(told):.3f}")
    axes.legend(loc="upper left", frameon=False)
    bars = below.bar([c for _, c, _ in found], [n for n, _, _ in found], 0.05, color=LIGHT)
    below.bar_label(bars, padding=2, fontsize=9)
    below.margins(y=0.25)
    below.set_ylabel("questions")
    below.set_xlabel("confidence (what was refused counts as not right)")
    below.set_xlim(-0.03, 1.03)
    _save(figure, out)


def _figure(size: tuple[float, float], columns: int, rows: int = 1, **options: Any) -> tuple[Any, Any]:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    plt.rcParams.update({"font.size": 11, "axes.spines.top": False, "axes.spines.right": False})
    return plt.subplots(rows, columns, figsize=size, layout="constrained", **options)


def _save(figure: Any, out: Path) -> None:
    from matplotlib import pyplot as plt

    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=150)
    plt.close(figure)


if __name__ == "__main__":
    sys.exit(main())
