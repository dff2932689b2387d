"""Zip archives, read in memory and never unpacked to disk; Word documents are checked here too before they are opened.

A name inside an archive is only a name: ``../../etc/passwd.txt`` is a letter called so.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from rag.errors import LetterError

if TYPE_CHECKING:
    from zipfile import ZipFile, ZipInfo

MIB = 1 << 20
MEMBERS = 10_000
MEMBER_BYTES = 20 * MIB
TOTAL_BYTES = 100 * MIB
_RATIO = 200  # deflated text shrinks to a tenth, XML to a thirtieth
_LISTED = 200_000  # entries of the directory, counted before they are held in memory
_ENCRYPTED, _UTF8 = 0x1, 0x800


def open_zip(data: bytes, name: str) -> ZipFile:
    """Open an archive, of which nothing is unpacked yet, after a look at its directory.

    Raises:
        LetterError: not a whole zip archive, encrypted, of too many or too large members, or packed suspiciously small.
    """
    import zipfile

    if data.count(b"PK\x01\x02") > _LISTED:
        raise LetterError(f"{name} lists more than {_LISTED:,} files", f"at most {MEMBERS:,}", "split it")
    try:
        opened = zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise LetterError(
            f"{name} is not a whole zip archive", "an undamaged file", "fetch or save it again"
        ) from error
    _check(opened.infolist(), name)
    return opened


def _check(found: list[ZipInfo], name: str) -> None:
    if len(found) > MEMBERS:
        raise LetterError(f"{name} holds {len(found):,} files", f"at most {MEMBERS:,}", "split it")
    total = sum(x.file_size for x in found)
    if total > TOTAL_BYTES:
        raise LetterError(
            f"{name} unpacks to {total // MIB:,} MiB", f"at most {TOTAL_BYTES // MIB} MiB", "split it"
        )
    for member in found:
        _check_member(member, f"{name}/{member_name(member)}")


def _check_member(member: ZipInfo, name: str) -> None:
    size = member.file_size
    if member.flag_bits & _ENCRYPTED:
        raise LetterError(
            f"{name} is encrypted", "an archive without a password", "pack it again without one"
        )
    if size > MEMBER_BYTES:
        raise LetterError(f"{name} unpacks to {size // MIB:,} MiB", f"at most {MEMBER_BYTES // MIB} MiB")
    if size > MIB and size > _RATIO * member.compress_size:
        raise LetterError(
            f"{name} is packed to less than 1/{_RATIO} of its {size // MIB} MiB, as in a zip bomb",
            "a letter",
        )
    if member.compress_type not in (0, 8):
        raise LetterError(
            f"{name} is packed by method {member.compress_type}",
            "a plain zip archive (stored or deflated)",
            "pack it again",
        )


def members(data: bytes, name: str, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the bytes of every wanted member, in order of the names; hidden ones are passed over.

    Args:
        data: the archive.
        name: its name, for errors.
        wanted: says by its name whether a member is wanted.

    Raises:
        LetterError: as for :func:`open_zip`; when a member is damaged; when none is wanted.
    """
    with open_zip(data, name) as opened:
        named = sorted(((member_name(x), x) for x in opened.infolist()), key=lambda pair: pair[0])
        found = [(inner, x) for inner, x in named if not _hidden(inner) and wanted(inner)]
        if not found:
            raise LetterError(f"{name} holds no letter", "letters in a zip archive")
        for inner, member in found:
            yield inner, _bytes_of(opened, member, f"{name}/{inner}")


def _bytes_of(opened: ZipFile, member: ZipInfo, name: str) -> bytes:
    try:
        return opened.read(member)
    except Exception as error:  # zipfile and zlib have a dozen kinds
        raise LetterError(f"{name} is damaged", "an undamaged archive", "fetch or pack it again") from error


def _hidden(name: str) -> bool:
    return name.endswith("/") or any(
        part == "__MACOSX" or (part.startswith(".") and part != "..") for part in PurePosixPath(name).parts
    )


def member_name(member: ZipInfo) -> str:
    """Return the name of a member as a person would read it: UTF-8, or GBK as Windows writes it; on one line."""
    name = member.orig_filename
    if not member.flag_bits & _UTF8:
        name = _decoded(name.encode("cp437"))
    return "".join(c if c.isprintable() else "_" for c in name.replace("\\", "/"))


def _decoded(raw: bytes) -> str:
    for encoding in ("utf-8", "gb18030"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return raw.decode("cp437")
