"""Vectors of a segment: half-precision rows in a file, searched as suits their number.

The file is a FAISS ``IndexScalarQuantizer`` of kind ``QT_fp16``. A few rows are multiplied by numpy, so that FAISS need not be
imported; many are scanned by FAISS; very many are first scanned as 4-bit codes (``IndexPQFastScan``, made when the segment is
written), and the best by these are multiplied exactly. Source: bench/notes.md, "Large collections".
"""

from __future__ import annotations

import errno
import mmap
import os
import struct
import weakref
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from rag.arrays import map_file
from rag.embed import Ids, Vectors

Halves = npt.NDArray[np.float16]

FEW, CODED = 4_096, 40_000  # rows up to which numpy multiplies, and from which codes are made
MORE = 500  # rows beyond those wanted that the codes have to find; all are multiplied exactly
_TOUCHED = 10_000  # rows read one by one after which their pages are given back
_HEADER = struct.Struct("<4siqqqBiiifQQQQ")
_FP16, _INNER_PRODUCT = 4, 0
_TRAINED = 20_000  # rows that the codes are learnt from


class VectorWriter:
    """Writes rows as they come."""

    def __init__(self, path: Path, dimension: int) -> None:
        self.rows = 0
        self._dimension = dimension
        self._file: BinaryIO = path.open("wb")
        self._file.write(self._header())

    def _header(self) -> bytes:
        d, n, unused = self._dimension, self.rows, 1 << 20
        size = 2 * d
        return _HEADER.pack(
            b"IxSQ", d, n, unused, unused, 1, _INNER_PRODUCT, _FP16, 0, 0.0, d, size, 0, size * n
        )

    def add(self, vectors: Vectors | Halves) -> None:
        """Add rows: shape ``(rows, dimension)``."""
        self._file.write(np.ascontiguousarray(vectors, np.float16).tobytes())
        self.rows += len(vectors)

    def close(self) -> None:
        """Write how many rows there are."""
        if not self._file.closed:
            with self._file as file:
                file.seek(0)
                file.write(self._header())


def write_codes(path: Path, table: Table) -> None:
    """Write the 4-bit codes of rows that are many; half as many codes as numbers, or as few as fit."""
    import faiss

    faiss.omp_set_num_threads(1)
    d = table.dimension
    index = faiss.IndexPQFastScan(d, d // 2, 4, faiss.METRIC_INNER_PRODUCT)
    index.pq.cp.niter = 8
    chosen = np.linspace(0, len(table) - 1, min(len(table), _TRAINED)).astype(np.int64)
    index.train(table.of(chosen))
    for first in range(0, len(table), _TRAINED):
        index.add(table.of(np.arange(first, min(len(table), first + _TRAINED))))
    try:
        faiss.write_index(index, str(path))
    except RuntimeError as error:  # what FAISS makes of a full disk
        raise OSError(errno.EIO, "the vectors cannot be written; is the disk full?", str(path)) from error


class Table:
    """Opened rows of vectors.

    Attributes:
        dimension: numbers in a row.
        kind: how they are searched: ``numpy``, ``flat`` or ``codes``.
    """

    def __init__(self, path: Path, codes: Path | None = None) -> None:
        data = map_file(path)
        if len(data) < _HEADER.size or data[:4] != b"IxSQ":
            raise ValueError(f"{path} holds no vectors")
        self.dimension, self._many = map(int, _HEADER.unpack_from(data)[1:3])
        flat = np.frombuffer(data, np.float16, self._many * self.dimension, _HEADER.size)
        self._rows: Halves = flat.reshape(self._many, self.dimension)
        self._map, self._touched = data, 0
        self._file = self._hold(path) if self._many > FEW else -1
        self._codes_file = self._hold(codes) if codes else -1
        self.kind = "codes" if codes else "flat" if self._many > FEW else "numpy"

    def _hold(self, path: Path) -> int:
        """Keep a file open: FAISS opens it when it is needed, and its name may be gone by then."""
        file = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, file)
        return file

    def __len__(self) -> int:
        return self._many

    def of(self, rows: Ids) -> Vectors:
        """Return rows: shape ``(len(rows), dimension)``, float32."""
        found: Vectors = self._rows[rows].astype(np.float32)
        self._touched += len(rows)
        if self._touched > _TOUCHED and isinstance(self._map, mmap.mmap):
            self._touched = 0
            self._map.madvise(
                mmap.MADV_DONTNEED
            )  # they stay in the system's cache, and count for this process no more
        return found

    def search(self, query: Vectors, limit: int) -> tuple[Ids, Vectors]:
        """Return the rows nearest to a query and their inner products, best first."""
        rows, products = self.rough(query, limit)
        if self.kind == "codes":
            products = self.of(rows) @ query
            best = np.argsort(-products, kind="stable")[:limit]
            rows, products = rows[best], products[best]
        return rows, products

    def rough(self, query: Vectors, limit: int) -> tuple[Ids, Vectors]:
        """Return as :meth:`search` does; by the codes, where there are any, and then :data:`MORE` rows more."""
        if not self._many:
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        limit = min(limit, self._many)
        if self.kind == "numpy":
            products = self._floats @ query
            best = np.argsort(-products, kind="stable")[:limit]
            return best, products[best]
        if self.kind == "flat":
            products, found = self._flat.search(query[None, :], limit)
            return found[0], products[0]
        products, found = self._codes.search(query[None, :], min(limit + MORE, self._many))
        known = found[0] >= 0
        return found[0][known], products[0][known]

    @cached_property
    def _floats(self) -> Vectors:
        return self._rows.astype(np.float32)

    @cached_property
    def _flat(self) -> Any:
        return _read(self._file)

    @cached_property
    def _codes(self) -> Any:
        return _read(self._codes_file)


def _read(file: int) -> Any:
    import faiss

    faiss.omp_set_num_threads(1)
    return faiss.read_index(f"/dev/fd/{file}", faiss.IO_FLAG_MMAP_IFC)
