"""The report of ``run.py``: a Markdown table, and a picture of it (needs matplotlib).

``python bench/peers/report.py`` prints the short table of the README from ``bench/peers.json``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

OURS, FLOOR, LANGCHAIN = "letter-rag", "floor", "langchain"
NAMES = {
    OURS: "letter-rag",
    LANGCHAIN: "LangChain",
    "llamaindex": "LlamaIndex",
    "haystack": "Haystack",
    "txtai": "txtai",
    FLOOR: "bare script",
}
COLOURS = {OURS: "#D55E00", FLOOR: "#009E73"}


def rows(report: dict[str, Any]) -> list[tuple[str, str, dict[str, float], bool]]:
    """What was measured: a name, how to print it, the figure of each system, and whether more is better."""
    found: list[tuple[str, str, dict[str, float], bool]] = []

    def row(what: str, shape: str, kind: dict[str, Any], field: str, *, more: bool = False) -> None:
        found.append((what, shape, {system: values[field] for system, values in kind.items()}, more))

    row("cold start to answer, CPU", "{:.2f} s", report["cold"], "cpu_s")
    row("cold start to answer, wall time", "{:.2f} s", report["cold"], "wall_s")
    row("its peak memory", "{:.0f} MiB", report["cold"], "peak_mib")
    for letters, kind in report["indexing"].items():
        told = f"{letters} letter{'s' if int(letters) > 1 else ''}"
        row(f"indexing {told}, passages", "{:.0f}", kind, "chunks", more=True)
        row(f"indexing {told}, letters a second", "{:.2f}", kind, "letters_per_s", more=True)
        row(f"indexing {told}, passages a second", "{:.0f}", kind, "chunks_per_s", more=True)
        row(f"indexing {told}, letters a CPU second", "{:.2f}", kind, "letters_per_cpu_s", more=True)
        row("its peak memory", "{:.0f} MiB", kind, "peak_mib")
        row("on disk, without models", "{:.1f} MiB", kind, "store_mib")
    for letters, kind in report["warm"].items():
        told = f"{letters} letter{'s' if int(letters) > 1 else ''}"
        row(f"warm search over {told}, p50", "{:.2f} ms", kind, "p50_ms")
        row(f"warm search over {told}, p99", "{:.2f} ms", kind, "p99_ms")
        row(f"warm search over {told}, CPU a question", "{:.2f} ms", kind, "cpu_ms")
        row("its peak memory", "{:.0f} MiB", kind, "peak_mib")
    return found


def table(report: dict[str, Any]) -> str:
    """Return the report as Markdown."""
    systems = [s for s in NAMES if s in report["cold"]]
    machine = report["machine"]
    where = f"{machine['cores']} cores, Python {machine['python']}, {machine['system']}, {report['date']}"
    load = f"load {report['load_before']} before and {report['load_after']} after"
    head = ["what", *(NAMES[s] for s in systems), "times better than LangChain"]
    lines = [f"{where}; {load}; {report['threads'] or 'any number of'} thread(s) a process.", ""]
    lines += [f"| {' | '.join(head)} |", f"| --- |{' ---: |' * (len(systems) + 1)}"]
    for what, shape, values, more in rows(report):
        told = [shape.format(values[s]) if s in values else "" for s in systems]
        lines.append(f"| {what} | {' | '.join(told)} | {_better(report, what, values, more=more)} |")
    lines += ["", f"The whole answer of letter-rag, warm: {_answer(report)}.", ""]
    if report["http"]:
        lines += [
            "| over HTTP | answers a second | a CPU second | p50 | p99 | memory |",
            "| --- |" + " ---: |" * 5,
        ]
        lines += [_served(name, values) for name, values in report["http"].items()]
    return "\n".join(lines)


def _better(report: dict[str, Any], what: str, values: dict[str, float], *, more: bool) -> str:
    """How many times better than LangChain: of the rates over a larger collection, than its rate over its largest."""
    if LANGCHAIN not in report["cold"] or what.endswith("passages"):
        return ""
    ours, other = values[OURS], values.get(LANGCHAIN)
    if other is None and more:
        last = max(
            (kind for kind in report["indexing"].values() if LANGCHAIN in kind),
            key=lambda k: k[LANGCHAIN]["chunks"],
        )
        field = {"letters a second": "letters_per_s", "passages a second": "chunks_per_s"}
        other = last[LANGCHAIN][field.get(what.partition(", ")[2], "letters_per_cpu_s")]
    if other is None:
        return ""
    return f"{ours / other if more else other / ours:.1f}"


def _served(name: str, values: dict[str, float]) -> str:
    told = {"langchain": "LangChain, retrieval only"}.get(name, f"letter-rag, whole answers, {name}")
    return (
        f"| {told} | {values['per_second']:.0f} | {values['per_cpu_second']:.0f} | {values['p50_ms']:.0f} ms"
        f" | {values['p99_ms']:.0f} ms | {values['memory_mib']:.0f} MiB |"
    )


def _answer(report: dict[str, Any]) -> str:
    parts = []
    for letters, kind in report["warm"].items():
        ask = kind[OURS]["ask"]
        parts.append(
            f"{ask['p50_ms']:.1f} ms (p99 {ask['p99_ms']:.1f}, CPU {ask['cpu_ms']:.1f}) over {letters} letters"
        )
    return ", ".join(parts)


def short(report: dict[str, Any]) -> str:
    """Return what matters most as Markdown: CPU, because it means the same on a busy machine."""
    size = _largest(report)
    kinds: list[tuple[str, str, dict[str, Any], str]] = [
        ("Cold start to answer, CPU", "{:.2f} s", report["cold"], "cpu_s"),
        ("Cold start to answer, wall time", "{:.2f} s", report["cold"], "wall_s"),
        ("Indexing, letters a CPU second", "{:.2f}", _rates(report), "letters_per_cpu_s"),
        (f"Warm search over {size} letters, CPU", "{:.1f} ms", report["warm"][size], "cpu_ms"),
        (f"Warm search over {size} letters, p50", "{:.1f} ms", report["warm"][size], "p50_ms"),
        ("Peak memory of that", "{:.0f} MiB", report["warm"][size], "peak_mib"),
    ]
    systems = [s for s in NAMES if s in report["cold"]]
    lines = [f"| what | {' | '.join(NAMES[s] for s in systems)} |", f"| --- |{' ---: |' * len(systems)}"]
    for what, shape, kind, name in kinds:
        lines.append(f"| {what} | {' | '.join(shape.format(kind[s][name]) for s in systems)} |")
    lines += [
        "",
        "| over HTTP | answers a second | a CPU second | p50 | p99 | memory |",
        "| --- |" + " ---: |" * 5,
    ]
    return "\n".join(lines + [_served(name, values) for name, values in report["http"].items()])


def _largest(report: dict[str, Any]) -> str:
    """The largest collection that LangChain was given."""
    return max((n for n, kind in report["warm"].items() if LANGCHAIN in kind), key=int, default="1")


def _rates(report: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Of each system its rate over the largest collection it was given."""
    found: dict[str, dict[str, float]] = {}
    for kind in sorted(report["indexing"].values(), key=lambda k: k[OURS]["chunks"]):
        found |= kind
    return found


def draw(report: dict[str, Any], out: Path) -> None:
    """Draw what matters most, each on a logarithmic scale of its own, to a PNG."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    plt.rcParams.update({"font.size": 11, "axes.spines.top": False, "axes.spines.right": False})
    size = _largest(report)
    panels = [
        ("Cold start to answer (CPU seconds)", report["cold"], "cpu_s"),
        ("Indexing (letters a CPU second)", _rates(report), "letters_per_cpu_s"),
        (f"Warm search over {size} letters (CPU milliseconds)", report["warm"][size], "cpu_ms"),
        (f"Peak memory, warm, {size} letters (MiB)", report["warm"][size], "peak_mib"),
    ]
    figure, axes = plt.subplots(2, 2, figsize=(12, 6.4), layout="constrained")
    for axis, (title, kind, name) in zip(axes.flat, panels, strict=True):
        systems = [s for s in reversed(NAMES) if s in kind]
        values = [kind[s][name] for s in systems]
        bars = axis.barh(
            [NAMES[s] for s in systems], values, color=[COLOURS.get(s, "#777777") for s in systems]
        )
        axis.bar_label(bars, [f"{v:,.3g}" if v < 1000 else f"{v:,.0f}" for v in values], padding=4)
        axis.set_xscale("log")
        axis.set_xlim(min(values) / 2, max(values) * 4)
        axis.set_title(title)
    figure.savefig(out, dpi=150)
    plt.close(figure)


if __name__ == "__main__":
    kept = Path(__file__).resolve().parent.parent / "peers.json"
    print(short(json.loads(kept.read_text(encoding="utf-8"))))
