"""Keys of the service: shown once when they are made, kept as SHA-256, compared in constant time.

A key holds 256 random bits, so a plain hash cannot be turned back; slow hashes are for passwords that people choose.
The file is read again when it changes: a new key works, and a revoked one stops working, without a restart.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from rag.errors import DataError

PREFIX = "rag-"


@dataclass(frozen=True, slots=True)
class Key:
    """A key as it is kept: a short id, the name its owner gave it, the SHA-256 of the secret (hex), the day it was made."""

    id: str
    name: str
    sha256: str
    created: str


class Keys:
    """The keys in a file, which need not exist."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read_at: tuple[int, int] | None = None
        self._keys: list[Key] = []

    def all(self) -> list[Key]:
        """The keys in use, oldest first.

        Raises:
            DataError: the file is not one that this program wrote.
        """
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            self._read_at, self._keys = None, []
            return []
        if self._read_at != (stat.st_mtime_ns, stat.st_ino):
            self._keys = self._read()
            self._read_at = (stat.st_mtime_ns, stat.st_ino)
        return self._keys

    def find(self, secret: str) -> Key | None:
        """The key of this secret, or None; every key is compared, so that time tells nothing."""
        digest = _digest(secret)
        found = None
        for key in self.all():
            if hmac.compare_digest(key.sha256, digest):
                found = key
        return found

    def new(self, name: str = "") -> tuple[Key, str]:
        """Make a key; the secret is returned here and kept nowhere."""
        secret = PREFIX + secrets.token_urlsafe(32)
        digest = _digest(secret)
        key = Key(digest[:8], name, digest, datetime.date.today().isoformat())
        self._write([*self.all(), key])
        return key, secret

    def revoke(self, key_id: str) -> Key:
        """Remove a key.

        Raises:
            DataError: there is no key of this id.
        """
        kept = [k for k in self.all() if k.id != key_id]
        gone = [k for k in self.all() if k.id == key_id]
        if not gone:
            raise DataError(f"there is no key {key_id!r}", "an id", "run: rag key list")
        self._write(kept)
        return gone[0]

    def _read(self) -> list[Key]:
        try:
            return [Key(**entry) for entry in json.loads(self.path.read_text(encoding="utf-8"))]
        except (ValueError, TypeError) as error:
            raise DataError(f"{self.path} cannot be read", "keys", "make new ones: rag key new") from error

    def _write(self, keys: list[Key]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = self.path.with_name(f"{self.path.name}.{os.getpid()}.new")
        handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(handle, "w", encoding="utf-8") as file:  # noqa: PTH123 (a handle, so that the mode is 0600 from the start)
            json.dump([asdict(k) for k in keys], file, ensure_ascii=False, indent=1)
        new.replace(self.path)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
