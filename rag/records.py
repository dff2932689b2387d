"""What those who change a collection need of a catalogue, wherever it is kept: by SQLite here, or by PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from rag.catalogue import Version
from rag.embed import Embedded
from rag.letter import Letter


class Records(Protocol):
    """An open catalogue; :class:`rag.catalogue.Catalogue` says what each of these does."""

    def transaction(self) -> AbstractContextManager[None]:
        """All or nothing."""

    def about(self, name: str) -> str:
        """Return a fact about the catalogue, or an empty string."""

    def set_about(self, name: str, value: str) -> None:
        """Set a fact about the catalogue."""

    def current(self) -> dict[int, str]:
        """The versions that answers come from, each with the id of its letter."""

    def find(self, **wanted: object) -> list[Version]:
        """Return the versions whose columns are as given, the latest first."""

    def letter(self, v: int) -> Letter:
        """Return a version of a letter."""

    def add(self, letter: Letter, content: str, vectors: str, *, origin: str, pinned: bool) -> int:
        """Add a version of a letter and make it the current one of its id."""

    def change(self, v: int, **columns: object) -> None:
        """Change ``current``, ``pinned``, ``content`` or ``origin`` of a version."""

    def delete(self, versions: Sequence[int]) -> None:
        """Delete versions."""

    def forget_vectors(self) -> None:
        """Delete all vectors: they are made again when they are needed."""

    def vectors_of(self, v: int) -> str:
        """Return the digest of what is embedded of a version."""

    def vectors(self, content: str, model: str, dimension: int) -> Embedded | None:
        """Return the vectors of a content by a model, if they are there and whole."""

    def keep_vectors(self, content: str, model: str, found: Embedded) -> None:
        """Keep the vectors of a content by a model."""

    def want_vectors(self, content: str, model: str, found: Embedded) -> None:
        """Keep vectors if there is a version of that content and they are not there."""

    def files(self) -> dict[str, tuple[str, list[str]]]:
        """The files that were read, each with the SHA-256 it had and the ids of the letters in it."""

    def set_file(self, origin: str, sha256: str, letters: Sequence[str]) -> None:
        """Note that a file was read."""

    def forget_file(self, origin: str) -> None:
        """Note that a file is gone."""

    def was_removed(self, content: str) -> bool:
        """Say whether a letter of this content was removed by hand."""

    def set_removed(self, content: str, letter: str | None) -> None:
        """Note that a content was removed by hand, or with None that it is welcome again."""
