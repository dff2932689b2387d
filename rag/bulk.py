"""A collection given whole, as parsed letters: the index is made to hold exactly these."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rag.catalogue import Catalogue
from rag.derive import built, check_catalogue
from rag.embed import Embedder
from rag.errors import LetterError
from rag.intake import content_of, embedded_of
from rag.keeper import Keeper, Report, fits
from rag.letter import PARSER_VERSION, Letter
from rag.parse import parse
from rag.read import SUFFIXES, letter_files, read_all
from rag.salvage import salvage
from rag.store import verify_current, writer_lock


@dataclass(frozen=True, slots=True)
class Change:
    """What an update did: letter ids, and the new (or unchanged) generation."""

    added: list[str]
    kept: list[str]
    removed: list[str]
    generation: str
    measures: int


def update(folder: Path, letters: Sequence[Letter], embedder: Embedder, *, rebuild: bool = False) -> Change:
    """Make the index hold exactly these letters, by id; the vectors of unchanged ones are taken over.

    Args:
        folder: the index folder.
        letters: all of them.
        embedder: the model.
        rebuild: take nothing over; also what repairs a damaged index.

    Raises:
        IndexDamaged: when the index there is damaged and ``rebuild`` is false.
    """
    keeper = Keeper(folder, embedder)
    with writer_lock(folder):
        if rebuild:
            salvage(folder)
        old = None if rebuild else built(folder)
        if old:
            verify_current(folder)
        anew = old is None or not fits(old[1], embedder)
        with Catalogue(folder) as catalogue:
            if old:
                check_catalogue(catalogue, old[1])
            known = {i: catalogue.letter(v) for v, i in catalogue.current().items()}
            removed = [i for i in known if i not in {a.id for a in letters}]
            fresh = [a for a in letters if known.get(a.id) != a]
            with catalogue.transaction():
                old_ones = [*removed, *(a.id for a in fresh if a.id in known)]
                catalogue.delete([v.v for i in old_ones for v in catalogue.find(letter=i)])
                for a in fresh:
                    catalogue.add(a, content_of(a), embedded_of(a), origin="", pinned=False)
                catalogue.set_about("parser", str(PARSER_VERSION))
            if rebuild:
                catalogue.forget_vectors()
            report = keeper.publish(catalogue, Report(), anew=rebuild)
    ids = [a.id for a in letters]
    added = ids if anew else [a.id for a in fresh]
    kept = [i for i in ids if i not in set(added)]
    return Change(added, kept, removed, report.generation, report.measures)


def parse_all(paths: Iterable[Path], progress: Callable[[str], None] = lambda _: None) -> list[Letter]:
    """Read and parse the letters at ``paths``; two letters of one name get different ids.

    Raises:
        LetterError: for the first file that is no letter.
    """
    letters: list[Letter] = []
    seen: dict[str, str] = {}
    for path in letter_files(paths):
        progress(path.name)
        for source in read_all(path):
            letter = parse(source)
            if seen.get(letter.id) == letter.sha256:
                continue
            if letter.id in seen:
                letter = replace(letter, id=f"{letter.id}-{letter.sha256[:6]}")
            seen[letter.id] = letter.sha256
            letters.append(letter)
    if not letters:
        raise no_letters(paths)
    return letters


def no_letters(paths: Iterable[Path]) -> LetterError:
    """The error for paths that hold no letter."""
    return LetterError(
        f"no letters in {', '.join(map(str, paths))}",
        f"at least one file of {', '.join(SUFFIXES)}",
        "put one there",
    )
