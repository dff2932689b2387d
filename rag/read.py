"""Bytes to text: plain text in UTF-8 (with or without BOM), then GB18030."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rag.errors import LetterError

SUFFIXES = (".txt",)
_MAGIC = {
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"GIF8": "a GIF picture",
    b"%PDF": "a PDF document",
    b"PK\x03\x04": "a zip archive (docx, xlsx, zip)",
    b"\xd0\xcf\x11\xe0": "an old Office document (doc, wps)",
    b"\x7fELF": "a program",
    b"\x1f\x8b": "a gzip archive",
}
_CONTROLS = frozenset(map(chr, [*range(9), 11, *range(14, 32), 127]))


@dataclass(frozen=True, slots=True)
class Source:
    """A file as read: its text, the SHA-256 of its bytes (hex), and where it came from."""

    name: str
    text: str
    sha256: str


def read(path: Path) -> Source:
    """Read one letter.

    Raises:
        LetterError: when the file is not text, is empty, or is neither UTF-8 nor GB18030.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise LetterError(f"{path} cannot be read ({error.strerror})", "a readable file") from error
    return Source(path.name, decode(data, path.name), hashlib.sha256(data).hexdigest())


def decode(data: bytes, name: str) -> str:
    r"""Decode the bytes of a letter; line ends become ``\\n``, a BOM is dropped.

    Raises:
        LetterError: as for :func:`read`.
    """
    what = next((kind for magic, kind in _MAGIC.items() if data.startswith(magic)), None)
    if what:
        raise LetterError(f"{name} is {what}", "a plain-text letter", "save its text as .txt (UTF-8)")
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        return _checked(text.replace("\r\n", "\n").replace("\r", "\n"), name)
    raise LetterError(
        f"{name} is neither UTF-8 nor GB18030 text", "one of these encodings", "save it as UTF-8"
    )


def _checked(text: str, name: str) -> str:
    if not text.strip():
        raise LetterError(f"{name} is empty", "the text of a letter")
    bad = sum(c in _CONTROLS for c in text)
    if bad:
        raise LetterError(f"{name} holds {bad} control characters, so it is not text", "a plain-text letter")
    return text


def letter_files(paths: Iterable[Path]) -> list[Path]:
    """List the letter files at ``paths``; folders are walked, hidden files passed over.

    Raises:
        LetterError: when a path does not exist, or a file is of a kind that is not read.
    """
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            files += sorted(
                f
                for f in path.rglob("*")
                if f.suffix.lower() in SUFFIXES and not f.name.startswith(".") and f.is_file()
            )
        elif not path.exists():
            raise LetterError(f"{path} does not exist", "a letter file or a folder of letters")
        elif path.suffix.lower() not in SUFFIXES:
            raise LetterError(
                f"{path.name} is a {path.suffix or 'nameless'} file",
                f"one of {', '.join(SUFFIXES)}",
            )
        else:
            files.append(path)
    return list(dict.fromkeys(files))
