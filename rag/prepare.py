"""Files made ready for the catalogue: read, parsed and embedded; where there are many, by several processes."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rag.derive import embed
from rag.embed import Embedded, Embedder, StaticEmbedder
from rag.errors import LetterError
from rag.letter import Letter
from rag.parse import parse
from rag.read import STDIN, Source, load, read_bytes

_MANY, _CHUNK, _MOST = 100, 10, 8  # files that are worth processes; that one takes at once; processes at most

Files = Mapping[str, tuple[str, list[str]]]  # by origin: SHA-256 of the file, ids of its letters


@dataclass(frozen=True, slots=True)
class Item:
    """A file to enter, or what was read already.

    Attributes:
        origin: the path of the file, resolved; or empty.
        given: the path, or what was read.
        pinned: whether it was added by hand.
    """

    origin: str
    given: Path | Source
    pinned: bool


@dataclass(frozen=True, slots=True)
class Prepared:
    """A file made ready.

    Attributes:
        sha256: of its bytes.
        letters: each with what the model made of it.
        unchanged: its bytes are known, so nothing was read.
        failed: why it could not be read or parsed, or empty.
    """

    sha256: str = ""
    letters: tuple[tuple[Letter, Embedded], ...] = ()
    unchanged: bool = False
    failed: str = ""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A file that is new, before it is read: its bytes and its name, or what was read already.

    Attributes:
        sha256: of the bytes.
        content: bytes and name, or what was read.
    """

    sha256: str
    content: tuple[bytes, str] | Source


Prepare = Callable[[Sequence[Item], Embedder, Files], Iterator[Prepared]]


def prepare(item: Item, embedder: Embedder, known: Files) -> Prepared:
    """Make a file ready; what is wrong with it is told in the result."""
    loaded = load_item(item, known)
    return loaded if isinstance(loaded, Prepared) else finish(loaded, embedder)


def load_item(item: Item, known: Files) -> Loaded | Prepared:
    """Load a file, unless it is known or cannot be read; what is wrong with it is told in the result."""
    if isinstance(item.given, Source):
        return Loaded("", item.given)
    try:
        _check_name(item.origin)
        data, name = load(item.given)
    except LetterError as error:
        return Prepared(failed=str(error))
    sha256 = "" if item.given == STDIN else hashlib.sha256(data).hexdigest()
    if item.origin in known and known[item.origin][0] == sha256:
        return Prepared(sha256, unchanged=True)
    return Loaded(sha256, (data, name))


def _check_name(origin: str) -> None:
    """Refuse a name that cannot be written down: a file from another system, unpacked without its names being converted."""
    try:
        origin.encode()
    except UnicodeEncodeError as error:
        shown = origin.encode(errors="backslashreplace").decode()
        raise LetterError(f"the name of {shown} is not UTF-8", "a name in UTF-8", "rename it") from error


def finish(loaded: Loaded, embedder: Embedder) -> Prepared:
    """Read, parse and embed what was loaded; what is wrong with it is told in the result."""
    try:
        content = loaded.content
        sources = [content] if isinstance(content, Source) else read_bytes(*content)
        letters = [parse(s) for s in sources]
    except LetterError as error:
        return Prepared(failed=str(error))
    return Prepared(loaded.sha256, tuple((a, embed(a, embedder)) for a in letters))


def prepare_all(items: Sequence[Item], embedder: Embedder, known: Files) -> Iterator[Prepared]:
    """Make files ready, in order; many of them by as many processes as there are cores."""
    cores = min(os.cpu_count() or 1, _MOST)
    if len(items) < _MANY or cores < 2 or not isinstance(embedder, StaticEmbedder):
        yield from (prepare(item, embedder, known) for item in items)
        return
    chunks = [items[i : i + _CHUNK] for i in range(0, len(items), _CHUNK)]
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(cores, context, _begin, (str(embedder.folder), embedder.name, os.getpid()))
    try:
        running: deque[Future[list[Prepared]]] = deque()
        for chunk in chunks:
            mine = {item.origin: known[item.origin] for item in chunk if item.origin in known}
            running.append(pool.submit(_work, chunk, mine))
            if len(running) > 2 * cores:
                yield from running.popleft().result()
        while running:
            yield from running.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


_model: list[Embedder] = []  # of a process that makes files ready


def _begin(folder: str, name: str, parent: int) -> None:
    """Set a process up: one thread, its own model; a stop is for the parent to handle, whose end ends this one too."""
    os.environ["RAYON_NUM_THREADS"] = "1"
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _model.append(StaticEmbedder(Path(folder), name))
    threading.Thread(target=end_with, args=(parent,), daemon=True).start()


def end_with(parent: int) -> None:
    """End this process when the one that started it has ended."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def _work(items: Sequence[Item], known: Files) -> list[Prepared]:
    return [prepare(item, _model[0], known) for item in items]
