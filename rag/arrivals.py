"""Letters that come and go over HTTP: into the folder of the letters, then into the index; whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import tempfile
import unicodedata
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from threading import Lock

from rag.bulk import parse_all
from rag.errors import IndexBusy, LetterError, RagError
from rag.intake import ADDED, UPDATED
from rag.keeper import Report
from rag.letter import Letter
from rag.live import Live
from rag.read import SUFFIXES, letter_files

_UNSAFE = re.compile(r"[\x00-\x1f\x7f/\\:*?\"<>|\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]+")
_NAME_BYTES = 200
_writing = Lock()


class ConflictError(RagError):
    """What is asked for does not go with the letters that are there."""


class RefusedError(RagError):
    """A file that is not taken in."""


@dataclass(frozen=True, slots=True)
class Change:
    """What was done to the collection: ids of letters that are new or newer, and of those that are no more; a line a file not read."""

    added: list[str]
    removed: list[str]
    generation: str
    letters: int
    measures: int
    failed: list[str]


@dataclass(frozen=True, slots=True)
class Taken:
    """What came in: the letters of the file, and what the index did."""

    letters: list[Letter]
    change: Change


def add(live: Live, name: str, data: bytes, *, replace: bool = False) -> Taken:
    """Read a file of letters, keep it in ``RAG_SEEDS_DIR`` and take it into the collection.

    Args:
        live: whose settings and model are used.
        name: of the file, as its sender calls it; only its last part counts.
        data: its bytes.
        replace: take the place of a file of the same name.

    Raises:
        RefusedError: the file is no letter, in one line that says why.
        ConflictError: a file of that name is there and is another one.
    """
    safe = safe_name(name)
    _check(safe, data)
    folder = live.settings.seeds_dir
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / safe
    with _writing:
        before = path.read_bytes() if path.exists() else None
        if before not in (None, data) and not replace:
            raise ConflictError(f"there is a file {safe} already", "another name", "or set replace=true")
        _put(path, data)
        try:
            report = live.add([path])
            if report.failed:
                raise RefusedError(_without(report.failed[0], path.parent, safe))
        except BaseException as error:
            _put(path, before) if before is not None else path.unlink(missing_ok=True)
            if not isinstance(error, IndexBusy):  # else nothing was entered
                with contextlib.suppress(RagError, OSError):
                    live.look_again([path])
            raise
    index = live.engine().index
    mine = dict.fromkeys(a.letter_id for a in report.arrivals)
    mine |= dict.fromkeys(report.unchanged)
    return Taken([index.letter(i) for i in mine], _change(live, report))


def remove(live: Live, letter_id: str) -> Change:
    """Remove a letter, and its file where it has one of its own among the letters of the service.

    Raises:
        LetterError: there is no such letter.
    """
    with _writing:
        letter = live.engine().index.letter(letter_id)
        report = live.remove([letter_id])
        if path := _file_of(live, letter):
            path.unlink(missing_ok=True)
        return _change(live, report)


def rebuild(live: Live) -> Change:
    """Build everything anew from the letters of ``RAG_SEEDS_DIR`` and those that were added by hand.

    Raises:
        ConflictError: there is no such folder; an empty one is taken for what it is.
    """
    if not live.settings.seeds_dir.is_dir():
        raise ConflictError("the folder RAG_SEEDS_DIR is not there", "the letters", "put it back, or make it")
    return _change(live, live.rebuild())


def _change(live: Live, report: Report) -> Change:
    added = [a.letter_id for a in report.arrivals if a.what in (ADDED, UPDATED)]
    failed = [line.replace(f"{live.settings.seeds_dir}/", "") for line in report.failed]
    return Change(added, report.removed, report.generation, report.letters, report.measures, failed)


def safe_name(name: str) -> str:
    """The last part of a file's name, without what a file system or a reader could take for something else.

    Raises:
        RefusedError: nothing is left, it is too long, or its kind is not read.
    """
    last = PurePosixPath(unicodedata.normalize("NFC", name).replace("\\", "/")).name
    safe = _UNSAFE.sub("", last).strip().lstrip(".").strip()
    suffix = PurePosixPath(safe).suffix.lower()
    if suffix not in SUFFIXES or safe.lower() == suffix:
        raise RefusedError(
            f"{safe or 'a file without a name'} is not of a kind that is read",
            f"one of {', '.join(SUFFIXES)}",
        )
    if len(safe.encode()) > _NAME_BYTES:
        raise RefusedError("the name of the file is too long", f"at most {_NAME_BYTES} bytes in UTF-8")
    return safe


def warnings(letter: Letter) -> list[str]:
    """What was not understood of a letter, as codes: ``no_issuer``, ``no_date``, ``no_addressee``, ``no_numbering``."""
    missing = [f"no_{name}" for name in ("issuer", "date", "addressee") if not getattr(letter, name)]
    return missing + (["no_numbering"] if not any(m.heading or m.section for m in letter.measures) else [])


def _check(name: str, data: bytes) -> None:
    """Read the file as the index will, in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="letter-") as scratch:
        path = Path(scratch) / name
        path.write_bytes(data)
        try:
            parse_all([path])
        except LetterError as error:
            raise RefusedError(_without(str(error), Path(scratch), name)) from error


def _without(message: str, folder: Path, name: str) -> str:
    """A message that names the file as its sender does, and no folder."""
    return message.replace(str(folder / name), name).replace(str(folder), "")


def _file_of(live: Live, letter: Letter) -> Path | None:
    folder = live.settings.seeds_dir
    found = letter_files([folder]) if folder.is_dir() else []
    named = (path for path in found if path.name == letter.source)  # in other folders there may be others
    return next((p for p in named if hashlib.sha256(p.read_bytes()).hexdigest() == letter.sha256), None)


def _put(path: Path, data: bytes) -> None:
    new = path.with_name(f".{os.getpid()}.part")
    new.write_bytes(data)
    new.replace(path)
