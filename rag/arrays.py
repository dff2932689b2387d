"""Named arrays in one file: written once, memory-mapped when opened, so that opening costs nothing and reading what is read."""

from __future__ import annotations

import json
import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Bools = npt.NDArray[np.bool_]

_MAGIC = b"RAGARR1\n"
_ALIGNED = 64  # bytes
_KINDS = frozenset(("|u1", "<u2", "<u4", "<u8", "<i4", "<i8", "<f2", "<f4"))


def write_arrays(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write arrays under their names: magic, length of a JSON header (8 bytes, little-endian), the header, the data aligned."""
    entries: dict[str, list[Any]] = {}
    at = 0
    for name, array in arrays.items():
        kind = array.dtype.newbyteorder("<").str
        if kind not in _KINDS:
            raise TypeError(f"{name} is of kind {kind}")
        entries[name] = [kind, list(array.shape), at]
        at += -(-array.nbytes // _ALIGNED) * _ALIGNED
    header = json.dumps(entries).encode()
    header += b" " * (-(len(_MAGIC) + 8 + len(header)) % _ALIGNED)
    with path.open("wb") as file:
        file.write(_MAGIC + len(header).to_bytes(8, "little") + header)
        for array in arrays.values():
            data = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
            data.tofile(file) if data.size else None
            file.write(bytes(-data.nbytes % _ALIGNED))


def open_arrays(path: Path) -> dict[str, Array]:
    """Map the arrays of a file, read-only.

    Raises:
        ValueError: it is no such file, or cut short.
    """
    data = map_file(path)
    start = len(_MAGIC) + 8
    if data[: len(_MAGIC)] != _MAGIC:
        raise ValueError(f"{path} holds no arrays")
    begin = start + int.from_bytes(data[len(_MAGIC) : start], "little")
    found = {}
    for name, (kind, shape, offset) in json.loads(data[start:begin]).items():
        if kind not in _KINDS:
            raise ValueError(f"{path}: {name} is of kind {kind}")
        size = int(np.prod(shape))
        flat = np.frombuffer(data, kind, size, begin + offset) if size else np.zeros(0, kind)
        found[name] = flat.reshape(shape)
    return found


def map_file(path: Path) -> mmap.mmap | bytes:
    """Map a file, read-only; it stays readable after it is removed."""
    with path.open("rb") as file:
        if not path.stat().st_size:
            return b""
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
