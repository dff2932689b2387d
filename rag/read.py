"""Bytes to text, by the kind of file; what is no letter is refused by name, with what to do about it."""

from __future__ import annotations

import codecs
import hashlib
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from rag.archive import TOTAL_BYTES, members
from rag.errors import LetterError
from rag.formats import charset, markdown, web_page
from rag.pdf import CHARACTERS, pdf_document
from rag.word import word_document

STDIN = Path("-")
_KINDS = {
    ".txt": "a plain-text letter",
    ".md": "a Markdown letter",
    ".html": "a saved web page",
    ".htm": "a saved web page",
    ".docx": "a Word document (docx)",
    ".pdf": "a PDF document",
    ".zip": "a zip archive of letters",
}
SUFFIXES = tuple(_KINDS)
_PICTURE = "run OCR on it, and add the text"
_DOCX = "open it in Word or WPS and save it as .docx"
_MAGIC = {
    b"\x89PNG": ("a PNG picture", _PICTURE),
    b"\xff\xd8\xff": ("a JPEG picture", _PICTURE),
    b"GIF8": ("a GIF picture", _PICTURE),
    b"II*\x00": ("a TIFF picture", _PICTURE),
    b"MM\x00*": ("a TIFF picture", _PICTURE),
    b"%PDF": ("a PDF document", "name it .pdf"),
    b"PK\x03\x04": ("a zip archive (docx, ofd, xlsx, zip)", "give it the suffix of its kind"),
    b"\xd0\xcf\x11\xe0": ("an old Office document (doc, wps) or one with a password", _DOCX),
    b"{\\rtf": ("an RTF document", _DOCX),
    b"\x7fELF": ("a program", ""),
    b"\x1f\x8b": ("a gzip archive", "unpack it"),
}
_ABOUT = re.compile(r"\.|readme\b", re.IGNORECASE)  # files of a folder that are about it, not in it
_OWN = {".docx": b"PK\x03\x04", ".zip": b"PK\x03\x04", ".pdf": b"%PDF"}
_REFUSED = {
    **dict.fromkeys((".doc", ".wps", ".rtf", ".dot", ".wpt", ".odt"), _DOCX),
    ".ofd": "open it in an OFD reader and save it as .pdf",
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".heic"), _PICTURE),
    **dict.fromkeys((".rar", ".7z", ".tar", ".gz", ".tgz"), "unpack it, or pack it as .zip"),
    **dict.fromkeys((".xls", ".xlsx", ".et", ".ppt", ".pptx", ".dps"), "save its text as .txt"),
}
_CONTROLS = frozenset(map(chr, [*range(9), 11, *range(14, 32), 127]))
_NO_TEXT = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f\ud800-\udfff\ufeff\ufffe\uffff\u00ad\u200b]")


@dataclass(frozen=True, slots=True)
class Source:
    """A letter as read: its text, the SHA-256 of its bytes (hex), and where it came from."""

    name: str
    text: str
    sha256: str


def read(path: Path) -> Source:
    """Read a file that holds one letter; ``-`` is standard input.

    Raises:
        LetterError: when the file cannot be read as what its suffix says, is empty, or is an archive of other than one letter.
    """
    found = read_all(path)
    if len(found) != 1:
        raise LetterError(f"{path.name} holds {len(found)} letters", "one letter", "unpack it")
    return found[0]


def read_all(path: Path) -> list[Source]:
    """Read all the letters of a file: one, or those of a zip archive in order of their names.

    Raises:
        LetterError: as for :func:`read`; a bad member of an archive is named ``archive.zip/member.txt``.
    """
    return read_bytes(*load(path))


def read_bytes(data: bytes, name: str) -> list[Source]:
    """Read all the letters in the bytes of a file of this name, as :func:`read_all` does.

    Raises:
        LetterError: as for :func:`read`.
    """
    if PurePosixPath(name).suffix.lower() != ".zip":
        return [_source(data, name)]
    _check_kind(data, name, ".zip")
    return [_source(inside, f"{name}/{inner}") for inner, inside in members(data, name, _known)]


def load(path: Path) -> tuple[bytes, str]:
    """Return the bytes of a file and its name; ``-`` is standard input.

    Raises:
        LetterError: when it cannot be read or is too large.
    """
    try:
        if path == STDIN:
            data, name = sys.stdin.buffer.read(TOTAL_BYTES + 1), "stdin.txt"
        else:
            with path.open("rb") as file:
                data, name = file.read(TOTAL_BYTES + 1), path.name
    except OSError as error:
        raise LetterError(f"{path} cannot be read ({error.strerror})", "a readable file") from error
    if len(data) > TOTAL_BYTES:
        raise LetterError(f"{name} is too large", f"at most {TOTAL_BYTES >> 20} MiB", "split it")
    return data, name


def _source(data: bytes, name: str) -> Source:
    return Source(name, _text(data, name), hashlib.sha256(data).hexdigest())


def _text(data: bytes, name: str) -> str:
    """The text of one letter, by its suffix. Whatever a library raises becomes one error that names the file."""
    suffix = PurePosixPath(name).suffix.lower()
    if suffix == ".zip":
        raise LetterError(f"{name} is an archive inside an archive", "letters", "unpack it")
    if not data.strip():
        raise LetterError(f"{name} is empty", "the text of a letter")
    if suffix not in _READERS:
        return decode(data, name)
    _check_kind(data, name, suffix)
    try:
        text = _READERS[suffix](data, name)
    except LetterError:
        raise
    except Exception as error:
        raise LetterError(
            f"{name} is damaged ({type(error).__name__})", _KINDS[suffix], "open it and save it again"
        ) from error
    joined = text.encode("utf-16", "surrogatepass").decode("utf-16", "ignore")
    return _checked(_NO_TEXT.sub("", joined), name)


def _check_kind(data: bytes, name: str, suffix: str) -> None:
    for magic, (kind, todo) in _MAGIC.items():
        if data.startswith(magic) and magic != _OWN.get(suffix):
            raise LetterError(f"{name} is {kind}", _KINDS[suffix], todo)


def _markdown(data: bytes, name: str) -> str:
    return markdown(decode(data, name))


def _web_page(data: bytes, name: str) -> str:
    return web_page(decode(data, name, charset(data)), name)


_READERS: dict[str, Callable[[bytes, str], str]] = {
    ".md": _markdown,
    ".html": _web_page,
    ".htm": _web_page,
    ".docx": word_document,
    ".pdf": pdf_document,
}


def decode(data: bytes, name: str, declared: str | None = None) -> str:
    r"""Decode the bytes of a letter; line ends become ``\n``, a BOM is dropped.

    UTF-8 goes before what a page declares: text that is valid UTF-8 is nothing else, while pages saved anew keep their old
    declaration.

    Args:
        data: the bytes.
        name: of the file, for errors.
        declared: the codec a web page names, tried after UTF-8 and before GB18030.

    Raises:
        LetterError: when it is no text, is empty, too long, or in none of the encodings.
    """
    _check_kind(data, name, ".txt")
    wide = "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else None
    for encoding in filter(None, ("utf-8-sig", wide, declared, "gb18030")):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        return _checked(text.replace("\r\n", "\n").replace("\r", "\n"), name)
    raise LetterError(
        f"{name} is neither UTF-8 nor GB18030 nor UTF-16 text", "one of these encodings", "save it as UTF-8"
    )


def _checked(text: str, name: str) -> str:
    if not text.strip():
        raise LetterError(f"{name} is empty", "the text of a letter")
    if len(text) > CHARACTERS:
        raise LetterError(f"{name} holds {len(text):,} characters", f"at most {CHARACTERS:,}", "split it")
    bad = sum(map(text.count, _CONTROLS))
    if bad:
        raise LetterError(f"{name} holds {bad} control characters, so it is not text", "a plain-text letter")
    return text


def _known(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in SUFFIXES


def is_letter(path: Path) -> bool:
    """Say whether a file of a folder is a letter by its name: of a kind that is read, not hidden and no README."""
    return _known(path.name) and not _ABOUT.match(path.name)


def letter_files(paths: Iterable[Path]) -> list[Path]:
    """List the letter files at ``paths``; folders are walked, hidden files, READMEs and other kinds in them passed over.

    Raises:
        LetterError: when a path does not exist, or a file is of a kind that is not read.
    """
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            files += sorted(f for f in path.rglob("*") if is_letter(f) and f.is_file())
        elif path == STDIN or (path.exists() and _known(path.name)):
            files.append(path)
        elif not path.exists():
            raise LetterError(f"{path} does not exist", "a letter file or a folder of letters")
        else:
            raise LetterError(
                f"{path.name} is a {path.suffix or 'nameless'} file",
                f"one of {', '.join(SUFFIXES)}",
                _REFUSED.get(path.suffix.lower(), ""),
            )
    return list(dict.fromkeys(files))
