"""Generations on disk: built aside, checked by checksums, switched by one atomic rename.

``CURRENT`` names the folder in use (``gen-…``). A crash at any instant leaves the old one or the new one. Files that two
generations share are hard links to one file, so that a new generation costs what is new in it.

Every file has a checksum in the manifest. Opening reads the small ones and compares. Large ones are compared by size, inode and
time of the last change with what they were when a writer last read them (``stamps.json``): whatever writes to a file changes these,
and then it is read whole. What changes bits on a disk beneath the file system is found by ``rag doctor`` and ``rag index``, which read
every file; and every letter has a checksum of its own that is compared whenever it is read, so that no quote is ever wrong.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from rag.errors import IndexBusy, IndexDamaged, IndexMismatch, IndexMissing, IndexStateError
from rag.letter import PARSER_VERSION

if TYPE_CHECKING:
    from rag.embed import Embedder

T = TypeVar("T")
Entry = dict[str, Any]

FORMAT = 3
CURRENT, MANIFEST, LOCK, CATALOGUE = "CURRENT", "manifest.json", ".lock", "catalogue.sqlite"
STAMPS = "stamps.json"
REBUILD = "run: rag index --rebuild"
_LOOK = 0.05  # seconds between two tries for the lock
_LARGE = 1 << 20  # bytes; files up to that are read whole whenever an index is opened
_TICK = 0.05  # seconds; two changes of a file that lie further apart have different times


@contextlib.contextmanager
def writer_lock(
    folder: Path, *, wait_s: float | None = None, waiting: Callable[[str], None] = lambda _: None
) -> Iterator[None]:
    """Hold the one writer's lock of an index folder; the lock ends with the process.

    Args:
        folder: the index folder; made when it is not there.
        wait_s: how long to wait for another writer, in seconds; None waits for ever.
        waiting: told once who holds the lock, when it has to be waited for.

    Raises:
        IndexBusy: another writer held it all that time; the message names its process.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("a+", encoding="utf-8") as file:
        _take(file.fileno(), folder, wait_s, waiting)
        file.truncate(0)
        file.write(f"process {os.getpid()} ({_command()})\n")
        file.flush()
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                file.truncate(0)


def _take(handle: int, folder: Path, wait_s: float | None, waiting: Callable[[str], None]) -> None:
    end = None if wait_s is None else time.monotonic() + wait_s
    told = False
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            holder = lock_holder(folder)
        if end is not None and time.monotonic() >= end:
            raise IndexBusy(f"{folder} is being written by {holder}", "no other writer", "try again")
        if not told:
            waiting(holder)
            told = True
        time.sleep(_LOOK)


def lock_holder(folder: Path) -> str:
    """Return who wrote last into the lock of an index folder, e.g. ``process 123 (rag index)``."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if line := (folder / LOCK).read_text(encoding="utf-8").strip():
            return line[:200]
    return "another process"


def _command() -> str:
    words = [Path(sys.argv[0]).name or "python", *sys.argv[1:2]]
    return " ".join("".join(c if c.isprintable() else "_" for c in w) for w in words)


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


def link(old: Path, new: Path) -> None:
    """Make ``new`` the same file as ``old``, or a copy of it where the file system has no links."""
    try:
        os.link(old, new)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS):
            raise
        shutil.copyfile(old, new)
        _sync(new)


def publish(
    folder: Path, building: Path, manifest: dict[str, Any], shared: Mapping[str, Entry] | None = None
) -> str:
    """Seal what was built with its manifest, switch to it, and remove the older generations.

    Args:
        folder: the index folder.
        building: from :func:`new_generation`.
        manifest: what it is; the checksums are added.
        shared: entries of the files that were linked from the generation before: they are neither read nor synced again.

    Returns:
        The name of the new generation.
    """
    shared = shared or {}
    found = _files(building)
    files = {name: shared.get(name) or _entry(building / name) for name in found}
    manifest = {"format": FORMAT, **manifest, "files": files}
    told = json.dumps(manifest, sort_keys=True)
    name = _seal(told)
    _write(building / MANIFEST, told)
    _write(
        building / STAMPS, json.dumps(_stamps(building, files, _old_stamps(folder) if shared else {}, shared))
    )
    for file in found:
        if file not in shared:
            _sync(building / file)
    for inner in {(building / file).parent for file in found} | {building}:
        _sync(inner)
    if (folder / name).exists():
        shutil.rmtree(folder / name)
    building.rename(folder / name)
    _sync(folder)
    _write(folder / f"{CURRENT}.new", name + "\n")
    (folder / f"{CURRENT}.new").replace(folder / CURRENT)
    _sync(folder)
    for old in folder.glob("gen-*"):
        if old.name != name:
            shutil.rmtree(old, ignore_errors=True)
    return name


def open_current(
    folder: Path,
    opener: Callable[[Path, dict[str, Any]], T],
    trusted: Mapping[str, Entry] | None = None,
) -> T:
    """Open the generation in use with ``opener(home, manifest)``, every file checked.

    A writer may switch to another generation and remove this one at any instant; then the new one is opened.

    Args:
        folder: the index folder.
        opener: opens the files; gets the folder of the generation and its manifest.
        trusted: entries of files that this process has checked and holds open; their links are not read again.

    Raises:
        IndexMissing: nothing was built here.
        IndexDamaged: a file is missing, cut short or altered.
        IndexMismatch: another format.
    """
    while True:
        name = current_name(folder)
        try:
            manifest = read_manifest(folder, name)
            _check_all(folder / name, manifest["files"], trusted or {}, _read_stamps(folder / name))
            return opener(folder / name, manifest)
        except (OSError, ValueError, RuntimeError, KeyError, TypeError, IndexStateError) as error:
            if current_name(folder) != name:
                continue
            if isinstance(error, IndexStateError):
                raise
            raise IndexDamaged(f"{folder / name} cannot be opened ({error})", "an index", REBUILD) from error


def current_name(folder: Path) -> str:
    """Return the name of the generation in use.

    Raises:
        IndexMissing: there is none.
        IndexDamaged: ``CURRENT`` names none, or the folder holds something else.
    """
    try:
        name = (folder / CURRENT).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise _no_current(folder) from error
    if not name.startswith("gen-") or "/" in name:
        raise IndexDamaged(f"{folder / CURRENT} does not name a generation", "gen-…", REBUILD)
    return name


def read_manifest(folder: Path, name: str) -> dict[str, Any]:
    """Return the manifest of a generation, checked against its name; the files are not looked at.

    Raises:
        IndexDamaged: it is missing, cut short or altered.
        IndexMismatch: another format.
    """
    home = folder / name
    try:
        told = (home / MANIFEST).read_text(encoding="utf-8")
        manifest: dict[str, Any] = json.loads(told)
        found = manifest["format"]
        assert isinstance(manifest["files"], dict)
    except (OSError, ValueError, KeyError, TypeError, AssertionError) as error:
        raise IndexDamaged(f"{home / MANIFEST} is missing or cut short", "a manifest", REBUILD) from error
    if found != FORMAT:
        raise IndexMismatch(f"{folder} is an index of format {found}", f"format {FORMAT}", REBUILD)
    if _seal(told) != name:
        raise IndexDamaged(f"{home / MANIFEST} is altered", f"the manifest of {name}", REBUILD)
    return manifest


def check_built(manifest: dict[str, Any], embedder: Embedder) -> None:
    """Check that an index was built with this model and this parser.

    Raises:
        IndexMismatch: naming both and the command that repairs it.
    """
    built = manifest["embedding"]
    if built["fingerprint"] != embedder.fingerprint:
        raise IndexMismatch(
            f"the index was built with the embedding model {built['name']} ({built['fingerprint'][:12]})",
            f"{embedder.name} ({embedder.fingerprint[:12]})",
            REBUILD,
        )
    if manifest["parser"] != PARSER_VERSION:
        raise IndexMismatch(
            f"the index was built by parser {manifest['parser']}", f"{PARSER_VERSION}", REBUILD
        )


def _seal(manifest: str) -> str:
    """The name of a generation: it follows from its manifest, and that from its files."""
    return f"gen-{hashlib.sha256(manifest.encode()).hexdigest()[:16]}"


def _no_current(folder: Path) -> IndexMissing | IndexDamaged:
    names = [p.name for p in folder.iterdir()] if folder.is_dir() else []
    # What a first writer leaves that is killed just before its switch is all in the catalogue.
    own = (".", "README.md", "catalogue.", *(("gen-", f"{CURRENT}.") if CATALOGUE in names else ()))
    if foreign := [name for name in names if not name.startswith(own)]:
        return IndexDamaged(
            f"{folder} holds {foreign[0]} but no {CURRENT}, so it is not an index of this program",
            "an index or an empty folder",
            "run: rag index --rebuild, or set RAG_INDEX_DIR",
        )
    return IndexMissing(f"there is no index in {folder}", "one", "run: rag index")


def _check_all(
    home: Path, files: Mapping[str, Entry], trusted: Mapping[str, Entry], stamps: Mapping[str, Any]
) -> None:
    for file, entry in files.items():
        if trusted.get(file) == entry:
            continue
        if entry["bytes"] <= _LARGE or not _is_stamped(home / file, entry, stamps.get(file)):
            check_file(home / file, entry)


def check_current(folder: Path) -> None:
    """Read every file of the generation in use and compare it with its checksum.

    Raises:
        IndexMissing: there is none.
        IndexDamaged: a file is missing, cut short or altered.
        IndexMismatch: another format.
    """
    while True:
        name = current_name(folder)
        try:
            for file, entry in read_manifest(folder, name)["files"].items():
                check_file(folder / name / file, entry)
            return
        except IndexDamaged:
            if current_name(folder) == name:
                raise


def verify_current(folder: Path) -> None:
    """Do as :func:`check_current`, under the writer's lock, and note the stamps of the files: those of a copied index are new."""
    check_current(folder)
    home = folder / current_name(folder)
    stamps = json.dumps(_stamps(home, read_manifest(folder, home.name)["files"], {}, {}))
    if _read_stamps(home) != json.loads(stamps):
        _write(home / f"{STAMPS}.new", stamps)
        (home / f"{STAMPS}.new").replace(home / STAMPS)


def _is_stamped(path: Path, entry: Entry, stamp: object) -> bool:
    with contextlib.suppress(OSError):
        found = path.stat()
        return found.st_size == entry["bytes"] and stamp == [found.st_ino, found.st_mtime_ns]
    return False


def _stamps(
    home: Path, files: Mapping[str, Entry], old: Mapping[str, Any], shared: Mapping[str, Entry]
) -> dict[str, list[int]]:
    """The stamps of the large files; those that were linked are read where their stamp is not the one they had."""
    found: dict[str, list[int]] = {}
    for file, entry in files.items():
        if entry["bytes"] <= _LARGE:
            continue
        if file in shared and not _is_stamped(home / file, entry, old.get(file)):
            check_file(home / file, entry)
        state = (home / file).stat()
        time.sleep(max(0.0, min(_TICK, state.st_mtime + _TICK - time.time())))
        found[file] = [state.st_ino, state.st_mtime_ns]
    return found


def _old_stamps(folder: Path) -> dict[str, Any]:
    with contextlib.suppress(IndexStateError):
        return _read_stamps(folder / current_name(folder))
    return {}


def _read_stamps(home: Path) -> dict[str, Any]:
    """The stamps of a generation; none where the file is missing or damaged, so that all is read."""
    with contextlib.suppress(OSError, ValueError):
        found = json.loads((home / STAMPS).read_text(encoding="utf-8"))
        return found if isinstance(found, dict) else {}
    return {}


def check_file(path: Path, entry: Entry) -> None:
    """Check the size and the SHA-256 of a file.

    Raises:
        IndexDamaged: it is missing or not as its entry says.
    """
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


def _entry(path: Path) -> Entry:
    with path.open("rb") as file:
        return {
            "bytes": path.stat().st_size,
            "sha256": hashlib.file_digest(file, "sha256").hexdigest(),
        }


def _files(folder: Path) -> list[str]:
    """The files of a generation that hold data."""
    return sorted(
        p.relative_to(folder).as_posix()
        for p in folder.rglob("*")
        if p.is_file() and p.name not in (MANIFEST, STAMPS)
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
