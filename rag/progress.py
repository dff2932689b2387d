"""A bar for work that takes longer than a second, on a terminal only: how far it is, how fast it goes, how long it takes yet."""

from __future__ import annotations

import sys
import time
from typing import TextIO

_WIDTH = 24
_PATIENCE, _EVERY = 1.0, 0.1  # seconds before a bar is shown, and between two of its pictures
_CLEAR = "\r\033[K"


class Bar:
    """Shows progress; call it with what is done, how many are, and of how many.

    >>> bar = Bar(io.StringIO())  # no terminal: it shows nothing            # doctest: +SKIP
    >>> bar("reading", 3, 10)                                                # doctest: +SKIP
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._on = self._stream.isatty()
        self._what = ""
        self._began = self._shown = 0.0

    def __call__(self, what: str, done: int, total: int) -> None:
        """Note that ``done`` of ``total`` are done."""
        if not self._on:
            return
        now = time.monotonic()
        if what != self._what:
            self._what, self._began, self._shown = what, now, 0.0
        if now - self._began < _PATIENCE or (now - self._shown < _EVERY and done < total):
            return
        self._shown = now
        self._stream.write(_CLEAR + picture(what, done, total, now - self._began))
        self._stream.flush()

    def end(self) -> None:
        """Take the bar away."""
        if self._on and self._shown:
            self._stream.write(_CLEAR)
            self._stream.flush()
        self._what = ""


def picture(what: str, done: int, total: int, seconds: float) -> str:
    """Return the bar as text: ``reading ######------ 500/1,000 · 50 a second · 10 s left``."""
    filled = _WIDTH * done // max(1, total)
    rate = done / seconds if seconds else 0.0
    left = (total - done) / rate if rate else 0.0
    bar = "#" * filled + "-" * (_WIDTH - filled)
    return f"{what} {bar} {done:,}/{total:,} · {rate:,.0f} a second · {_span(left)} left"


def _span(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole} s" if whole < 100 else f"{whole // 60} min {whole % 60} s"
