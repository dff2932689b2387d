"""Catalogue to generation: what is new becomes a segment, what is there is linked, and one rename makes it current.

Adding or removing a letter writes one small segment. Small segments are joined with the new one; larger ones of a size are
joined by :func:`tidy`, after the letter can be answered from. What is removed from a large segment is only marked, until an
eighth of it is gone.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rag.catalogue import Catalogue
from rag.embed import Embedded, Embedder, Pieces, StaticEmbedder
from rag.errors import IndexDamaged, IndexMismatch, IndexMissing
from rag.letter import PARSER_VERSION, Letter
from rag.order import ORDER, write_order
from rag.records import Records
from rag.segment import Entry, measure_text, sentence_texts, write_segment
from rag.store import (
    REBUILD,
    check_built,
    current_name,
    link,
    new_generation,
    publish,
    read_manifest,
)

SMALL, LARGE = (
    500,
    100_000,
)  # measures: a segment up to the first is joined with the next letter; none is beyond the second
_TIERS = (0, 2_000, 16_000)  # measures: segments between two of these are of about one size
_FAN = 8  # segments of about one size that are joined into one
_GONE = 1 / 8  # share of a segment that may be marked as removed

Progress = Callable[[str, int, int], None]  # what is done, how many are, of how many


def quiet(_: str, __: int, ___: int) -> None:
    """Progress that nobody looks at."""


def built(folder: Path) -> tuple[Path, dict[str, Any]] | None:
    """The generation in use and its manifest, if there is one of this format; no other file is read.

    Raises:
        IndexDamaged: there is something else.
    """
    try:
        name = current_name(folder)
        return folder / name, read_manifest(folder, name)
    except (IndexMissing, IndexMismatch):
        return None


@dataclass(slots=True)
class _Plan:
    """What becomes of the letters: segments kept, with the versions marked as removed, and those to write."""

    kept: list[dict[str, Any]] = field(default_factory=list)
    fresh: list[list[int]] = field(default_factory=list)

    def cut(self, versions: Sequence[int], catalogue: Catalogue) -> None:
        """Cut versions that have to be written into segments, in the order of their arrival."""
        sizes = catalogue.sizes(versions)
        count = LARGE
        for v in sorted(versions):
            if count + sizes[v] > LARGE:
                self.fresh.append([])
                count = 0
            self.fresh[-1].append(v)
            count += sizes[v]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a generation is derived, from what, with which model."""

    folder: Path
    catalogue: Catalogue
    embedder: Embedder
    progress: Progress


def derive(
    folder: Path,
    catalogue: Catalogue,
    embedder: Embedder,
    *,
    anew: bool = False,
    progress: Progress = quiet,
) -> str:
    """Bring the generation in use to what the catalogue says, under the writer's lock.

    Args:
        folder: the index folder.
        catalogue: its open catalogue.
        embedder: the model.
        anew: take over no segment.
        progress: told of each letter that is written.

    Returns:
        The name of the generation.

    Raises:
        IndexDamaged: the catalogue or a file that has to be read is damaged.
    """
    old = None if anew else built(folder)
    wanted = catalogue.current()
    if old:
        check_catalogue(catalogue, old[1])
    if old and _differs(old[1], embedder):
        old = None
    plan = _plan(old[1]["segments"] if old else [], wanted, catalogue)
    if old and not plan.fresh and plan.kept == old[1]["segments"]:
        return old[0].name
    return _write(_Place(folder, catalogue, embedder, progress), old, plan)


def check_catalogue(catalogue: Catalogue, manifest: dict[str, Any]) -> None:
    """Check that a catalogue knows all that a generation was derived from: before anything is entered, which makes it newer.

    Raises:
        IndexDamaged: it is older, or another one.
    """
    if catalogue.revision < manifest["revision"]:
        raise IndexDamaged(
            f"{catalogue.path} is older than the index (change {catalogue.revision})",
            f"change {manifest['revision']}",
            REBUILD,
        )


def tidy(folder: Path, catalogue: Catalogue, embedder: Embedder, progress: Progress = quiet) -> bool:
    """Join segments of about one size when there are many of them; say whether anything was done."""
    old = built(folder)
    if old is None or _differs(old[1], embedder):
        return False
    segments = old[1]["segments"]
    for low, high in itertools.pairwise(_TIERS):
        some = [e for e in segments if low < _live(e) <= high]
        if len(some) >= _FAN:
            plan = _Plan([e for e in segments if e not in some])
            plan.cut([v for e in some for v in _alive(e)], catalogue)
            _write(_Place(folder, catalogue, embedder, progress), old, plan)
            return True
    return False


def _differs(manifest: dict[str, Any], embedder: Embedder) -> bool:
    try:
        check_built(manifest, embedder)
    except IndexMismatch:
        return True
    return False


def _alive(entry: dict[str, Any]) -> list[int]:
    gone = set(entry["removed"])
    return [v for v in entry["letters"] if v not in gone]


def _live(entry: dict[str, Any]) -> int:
    gone = set(entry["removed"])
    return sum(n for v, n in zip(entry["letters"], entry["sizes"], strict=True) if v not in gone)


def _plan(segments: Sequence[dict[str, Any]], wanted: Mapping[int, str], catalogue: Catalogue) -> _Plan:
    plan = _Plan()
    placed: set[int] = set()
    loose: list[int] = []
    for entry in segments:
        placed |= set(entry["letters"])
        marked = {**entry, "removed": [v for v in entry["letters"] if v not in wanted]}
        total = sum(entry["sizes"])
        if not marked["removed"] or (total > SMALL and total - _live(marked) <= _GONE * total):
            plan.kept.append(marked)
        else:
            loose += _alive(marked)
    loose += [v for v in wanted if v not in placed]
    if loose:
        small = [e for e in plan.kept if sum(e["sizes"]) <= SMALL]
        plan.kept = [e for e in plan.kept if e not in small]
        loose += [v for e in small for v in _alive(e)]
    plan.cut(loose, catalogue)
    return plan


def _write(place: _Place, old: tuple[Path, dict[str, Any]] | None, plan: _Plan) -> str:
    """Write the fresh segments of a plan, link the kept ones, and switch."""
    folder, catalogue, embedder = place.folder, place.catalogue, place.embedder
    with new_generation(folder) as building:
        shared = _link_all(old, building, plan.kept) if old else {}
        count = _Count(sum(map(len, plan.fresh)), place.progress)
        first = max((e["number"] for e in (old[1]["segments"] if old else [])), default=0) + 1
        segments = [*plan.kept]
        for number, versions in enumerate(plan.fresh, first):
            entries = (_entry(catalogue, v, embedder) for v in versions)
            name = f"seg-{number}-{secrets.token_hex(4)}"
            entry = write_segment(building / name, number, entries, embedder.dimension, count)
            segments.append({"name": name, **entry, "removed": []})
        write_order(building / ORDER, segments, catalogue.current())
        sizes = [(_live(e), len(_alive(e))) for e in segments]
        manifest = {
            "parser": PARSER_VERSION,
            "embedding": {
                "name": embedder.name,
                "fingerprint": embedder.fingerprint,
                "dimension": embedder.dimension,
            },
            "letters": sum(n for _, n in sizes),
            "measures": sum(n for n, _ in sizes),
            "revision": catalogue.revision,
            "segments": segments,
        }
        return publish(folder, building, manifest, shared)


class _Count:
    """Counts the letters that are written."""

    def __init__(self, total: int, progress: Progress) -> None:
        self.done, self.total, self.progress = 0, total, progress

    def __call__(self) -> None:
        self.done += 1
        self.progress("indexing", self.done, self.total)


def _link_all(
    old: tuple[Path, dict[str, Any]], building: Path, kept: Sequence[dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Link the files of the segments that are kept; return their entries in the manifest."""
    home, manifest = old
    names = {entry["name"] for entry in kept}
    for name in names:
        (building / name).mkdir()
    shared = {file: known for file, known in manifest["files"].items() if file.partition("/")[0] in names}
    for file in shared:
        try:
            link(home / file, building / file)
        except FileNotFoundError as error:
            raise IndexDamaged(f"{home / file} is missing", "the whole index", REBUILD) from error
    return shared


def _entry(catalogue: Catalogue, v: int, embedder: Embedder) -> Entry:
    return catalogue.entry(v, vectors_of(catalogue, v, embedder))


def vectors_of(catalogue: Records, v: int, embedder: Embedder) -> Embedded:
    """Return the vectors of a version, made and kept when they are not there."""
    content = catalogue.vectors_of(v)
    found = catalogue.vectors(content, embedder.fingerprint, embedder.dimension)
    if found is None or (isinstance(embedder, StaticEmbedder) and len(found.pieces) < len(found.measures)):
        found = embed(catalogue.letter(v), embedder)
        catalogue.keep_vectors(content, embedder.fingerprint, found)
    return found


def embed(letter: Letter, embedder: Embedder) -> Embedded:
    """Embed the measures and the sentences of a letter."""
    texts = [measure_text(letter, m) for m in letter.measures]
    pieces: Pieces = []
    if isinstance(embedder, StaticEmbedder):
        found = embedder.pieces(texts)
        measures, pieces = embedder.means(found), [np.unique(ids).astype(np.uint32) for ids in found]
    else:
        measures = embedder.passages(texts)
    said = list(sentence_texts(letter))
    sentences = embedder.passages(said) if said else np.zeros((0, embedder.dimension), np.float32)
    return Embedded(measures, sentences.astype(np.float16), pieces)
