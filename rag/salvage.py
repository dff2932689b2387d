"""A damaged catalogue made whole from what can be read of it and from the generation in use, so that no letter is lost."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag.catalogue import Catalogue
from rag.derive import built
from rag.errors import IndexDamaged
from rag.intake import content_of, embedded_of
from rag.letter import Letter
from rag.segment import LETTERS, TABLE, TEXTS, read_rows
from rag.store import CATALOGUE, check_file

_SIDES = ("", "-wal", "-shm")


@dataclass(frozen=True, slots=True)
class _Saved:
    letter: Letter
    origin: str
    pinned: bool


def salvage(folder: Path) -> bool:
    """Make the catalogue whole, under the writer's lock; say whether it had to be mended.

    The damaged file is kept beside it as ``catalogue.damaged.sqlite``. Older versions that only it held are lost.
    """
    try:
        with Catalogue(folder) as catalogue:
            catalogue.check()
            versions = catalogue.current()
            for v in versions:
                catalogue.letter(v)
            generation = _built(folder)
            if generation is None or catalogue.revision >= generation[1]["revision"]:
                return False
    except IndexDamaged:
        pass
    saved = {s.letter.id: s for s in (*_of_generation(folder), *_of_catalogue(folder))}
    _write(folder, list(saved.values()), _removed(folder))
    return True


def _built(folder: Path) -> tuple[Path, dict[str, Any]] | None:
    with contextlib.suppress(IndexDamaged, KeyError):
        return built(folder)
    return None


def _of_catalogue(folder: Path) -> Iterator[_Saved]:
    with contextlib.suppress(IndexDamaged), Catalogue(folder) as catalogue:
        for version in reversed(catalogue.find(current=1)):
            with contextlib.suppress(IndexDamaged):
                yield _Saved(catalogue.letter(version.v), version.origin, version.pinned)


def _removed(folder: Path) -> dict[str, str]:
    with contextlib.suppress(IndexDamaged), Catalogue(folder) as catalogue:
        return catalogue.removed()
    return {}


def _of_generation(folder: Path) -> Iterator[_Saved]:
    found = _built(folder)
    if found is None:
        return
    home, manifest = found
    for entry in manifest["segments"]:
        with contextlib.suppress(IndexDamaged, ValueError, KeyError, TypeError):
            for file in (LETTERS, TEXTS, TABLE):
                name = f"{entry['name']}/{file}"
                check_file(home / name, manifest["files"][name])
            for row in read_rows(home / entry["name"]):
                if row["v"] not in entry["removed"]:
                    yield _Saved(row["letter"], row["origin"], row["pinned"])


def _write(folder: Path, saved: list[_Saved], removed: dict[str, str]) -> None:
    new = "catalogue.new.sqlite"
    for end in _SIDES:
        (folder / f"{new}{end}").unlink(missing_ok=True)
    with Catalogue(folder, new) as catalogue, catalogue.transaction():
        here = set()
        for s in saved:
            letter, content = s.letter, content_of(s.letter)
            here.add(content)
            catalogue.add(letter, content, embedded_of(letter), origin=s.origin, pinned=s.pinned)
        for content in removed.keys() - here:
            catalogue.set_removed(content, removed[content])
    with contextlib.suppress(FileNotFoundError):
        (folder / CATALOGUE).replace(folder / "catalogue.damaged.sqlite")
    for end in _SIDES[1:]:
        (folder / f"{CATALOGUE}{end}").unlink(missing_ok=True)
    (folder / new).replace(folder / CATALOGUE)
