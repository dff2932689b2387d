"""Generations on disk: built aside, checked by checksums, switched by one atomic rename.

``CURRENT`` names the folder in use (``gen-…``). A crash at any instant leaves the old one or the new one.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from rag.errors import IndexDamaged, IndexMismatch, IndexMissing

T = TypeVar("T")

FORMAT = 1
CURRENT, MANIFEST = "CURRENT", "manifest.json"
REBUILD = "run: rag index --rebuild"


@contextlib.contextmanager
def writer_lock(folder: Path) -> Iterator[None]:
    """Hold the one writer's lock of an index folder; a second writer waits."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def new_generation(folder: Path) -> Iterator[Path]:
    """Give an empty folder to build in; it is removed when the building fails."""
    for left in folder.glob(".building-*"):
        shutil.rmtree(left, ignore_errors=True)
    building = folder / f".building-{os.getpid()}"
    building.mkdir(parents=True)
    try:
        yield building
    finally:
        shutil.rmtree(building, ignore_errors=True)


def publish(folder: Path, building: Path, manifest: dict[str, Any]) -> str:
    """Seal what was built with its manifest, switch to it, and remove the older generations.

    Returns:
        The name of the new generation.
    """
    files = {name: _entry(building / name) for name in _files(building)}
    manifest = {"format": FORMAT, **manifest, "files": files}
    name = _seal(manifest)
    _write(building / MANIFEST, json.dumps(manifest, ensure_ascii=False, indent=1))
    for file in _files(building):
        _sync(building / file)
    _sync(building)
    if (folder / name).exists():
        shutil.rmtree(folder / name)
    building.rename(folder / name)
    _write(folder / f"{CURRENT}.new", name + "\n")
    (folder / f"{CURRENT}.new").replace(folder / CURRENT)
    _sync(folder)
    for old in folder.glob("gen-*"):
        if old.name != name:
            shutil.rmtree(old, ignore_errors=True)
    return name


def open_current(folder: Path, opener: Callable[[Path, dict[str, Any]], T]) -> T:
    """Open the generation in use with ``opener(home, manifest)``, every file checked.

    A writer may switch to another generation and remove this one at any instant; then the new one is opened.

    Raises:
        IndexMissing: nothing was built here.
        IndexDamaged: a file is missing, cut short or altered.
        IndexMismatch: another format.
    """
    while True:
        name = _current_name(folder)
        try:
            return opener(folder / name, _manifest(folder, name))
        except (OSError, ValueError, RuntimeError, IndexDamaged) as error:
            if _current_name(folder) != name:
                continue
            if isinstance(error, IndexDamaged):
                raise
            raise IndexDamaged(f"{folder / name} cannot be opened ({error})", "an index", REBUILD) from error


def _current_name(folder: Path) -> str:
    try:
        name = (folder / CURRENT).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise _no_current(folder) from error
    if not name.startswith("gen-") or "/" in name:
        raise IndexDamaged(f"{folder / CURRENT} does not name a generation", "gen-…", REBUILD)
    return name


def _manifest(folder: Path, name: str) -> dict[str, Any]:
    home = folder / name
    try:
        manifest: dict[str, Any] = json.loads((home / MANIFEST).read_text(encoding="utf-8"))
        files: dict[str, dict[str, Any]] = manifest["files"]
        found = manifest["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IndexDamaged(f"{home / MANIFEST} is missing or cut short", "a manifest", REBUILD) from error
    if found != FORMAT:
        raise IndexMismatch(f"{folder} is an index of format {found}", f"format {FORMAT}", REBUILD)
    if _seal(manifest) != name:
        raise IndexDamaged(f"{home / MANIFEST} is altered", f"the manifest of {name}", REBUILD)
    for file, entry in files.items():
        _check(home / file, entry)
    return manifest


def _seal(manifest: dict[str, Any]) -> str:
    """The name of a generation: it follows from its manifest, and that from its files."""
    return f"gen-{hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()[:16]}"


def _no_current(folder: Path) -> IndexMissing | IndexDamaged:
    foreign = [p.name for p in folder.iterdir() if not p.name.startswith(".")] if folder.is_dir() else []
    foreign = [name for name in foreign if name != "README.md"]
    if foreign:
        return IndexDamaged(
            f"{folder} holds {foreign[0]} but no {CURRENT}, so it is not an index of this program",
            "an index or an empty folder",
            "run: rag index --rebuild, or set RAG_INDEX_DIR",
        )
    return IndexMissing(f"there is no index in {folder}", "one", "run: rag index")


def _check(path: Path, entry: dict[str, Any]) -> None:
    try:
        found = _entry(path)
    except OSError as error:
        raise IndexDamaged(f"{path} is missing", "the whole index", REBUILD) from error
    if found != entry:
        what = "altered" if found["bytes"] == entry["bytes"] else "cut short or grown"
        raise IndexDamaged(
            f"{path} is {what} ({found['bytes']} bytes, SHA-256 {found['sha256'][:12]}…)",
            f"{entry['bytes']} bytes, {entry['sha256'][:12]}…",
            REBUILD,
        )


def _entry(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {
            "bytes": path.stat().st_size,
            "sha256": hashlib.file_digest(file, "sha256").hexdigest(),
        }


def _files(folder: Path) -> list[str]:
    """The files of a generation that hold data; tantivy's lock files hold none."""
    return sorted(
        p.relative_to(folder).as_posix()
        for p in folder.rglob("*")
        if p.is_file() and p.suffix != ".lock" and p.name != MANIFEST
    )


def _write(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
