"""Sequences that are read when they are looked at."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from threading import Lock
from typing import Any, Generic, TypeVar, overload

import numpy as np
import numpy.typing as npt

from rag.embed import Ids

T = TypeVar("T")


class Lazy(Sequence[T]):
    """A sequence of ``many`` things, each made by ``read(number)`` when it is asked for; equal to a list of equal things."""

    def __init__(self, many: int, read: Callable[[int], T]) -> None:
        self._many, self._read = many, read

    def __len__(self) -> int:
        return self._many

    @overload
    def __getitem__(self, at: int) -> T: ...
    @overload
    def __getitem__(self, at: slice) -> list[T]: ...
    def __getitem__(self, at: int | slice) -> T | list[T]:
        if isinstance(at, slice):
            return [self._read(n) for n in range(*at.indices(self._many))]
        number = int(at) + (self._many if at < 0 else 0)
        if not 0 <= number < self._many:
            raise IndexError(f"there is no number {at} among {self._many}")
        return self._read(number)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # as Python wants it


class LetterIds(Lazy[str]):
    """Ids of letters of one index.

    Attributes:
        numbers: of these letters, in order.
    """

    def __init__(self, numbers: Ids, id_of: Callable[[int], str]) -> None:
        super().__init__(len(numbers), lambda n: id_of(int(numbers[n])))
        self.numbers = numbers
        self.kept: dict[int, Any] = {}  # what an index made of it, by id of the index


class Kept(Generic[T]):
    """The things that were used last, ``most`` of them; for several threads."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._things: OrderedDict[Hashable, T] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what is kept under a key, or make it."""
        with self._lock:
            if key in self._things:
                self._things.move_to_end(key)
                return self._things[key]
        made = make()
        with self._lock:
            self._things[key] = made
            if len(self._things) > self._most:
                self._things.popitem(last=False)
        return made


def ranges(begins: Ids, ends: Ids) -> Ids:
    """Return the numbers of several ranges, one after the other."""
    sizes = ends - begins
    within = np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    found: Ids = np.repeat(begins, sizes) + within
    return found


def distinct(numbers: Ids) -> Ids:
    """Return the numbers in order, each once; unlike ``numpy.unique`` it does not import ``numpy.ma``."""
    ordered = np.sort(numbers)
    new = np.ones(len(ordered), np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=new[1:])
    return ordered[new]


def ranked(numbers: Ids, scores: npt.NDArray[np.float32], limit: int | None) -> dict[int, float]:
    """Numbers with their scores, the best first, of equal ones the first."""
    if limit is not None and len(scores) > 4 * limit:
        kept = np.flatnonzero(scores >= np.partition(scores, len(scores) - limit)[len(scores) - limit])
        numbers, scores = numbers[kept], scores[kept]
    order = np.lexsort((numbers, -scores))[:limit]
    return dict(zip(numbers[order].tolist(), scores[order].tolist(), strict=True))


def first_of(found: dict[int, float], limit: int) -> dict[int, float]:
    """The first so many of what is ranked."""
    return found if len(found) <= limit else dict(list(found.items())[:limit])
