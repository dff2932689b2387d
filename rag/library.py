"""The collection as its keeper sees it: add letters, remove them, follow a folder, build the index anew.

Every function takes the writer's lock, enters what it is given into the catalogue in small transactions, derives the new
generation, and switches to it. One that is stopped or killed leaves an index that answers; what was entered by then is not
read again by the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path, PurePath
from typing import Any

from rag.catalogue import Catalogue
from rag.derive import Progress, built, check_built, derive, quiet, tidy
from rag.embed import Embedder
from rag.errors import IndexMismatch, LetterError
from rag.intake import ADDED, KNOWN, LEFT_OUT, OLDER, UPDATED, Arrival, content_of, embedded_of, take_in
from rag.letter import Letter
from rag.parse import PARSER_VERSION, parse
from rag.prepare import Files, Item, Prepared, prepare
from rag.read import STDIN, SUFFIXES, Source, letter_files, read_all
from rag.salvage import salvage
from rag.store import open_current, writer_lock

_BATCH = 50  # files that are entered in one transaction


@dataclass(frozen=True, slots=True)
class Change:
    """What an update did: letter ids, and the new (or unchanged) generation."""

    added: list[str]
    kept: list[str]
    removed: list[str]
    generation: str
    measures: int


@dataclass(slots=True)
class Report:
    """What was done to a collection.

    Attributes:
        arrivals: what became of each letter that came in.
        unchanged: ids of letters whose files were known.
        removed: ids of letters that are no more.
        failed: files that could not be read or parsed, each as the message of its error.
        generation: the generation that answers now.
        letters: how many it holds.
        measures: how many it holds.
    """

    arrivals: list[Arrival] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    generation: str = ""
    letters: int = 0
    measures: int = 0

    def counts(self) -> str:
        """Return how many of each there were, for a person: `` (8 added, 1 removed)``; empty when there was nothing."""
        kinds = [a.what for a in self.arrivals if a.what != KNOWN]
        same = len(self.unchanged) + len(self.arrivals) - len(kinds)
        parts = [(what, kinds.count(what)) for what in (ADDED, UPDATED, OLDER, LEFT_OUT)]
        parts += [("unchanged", same), ("removed", len(self.removed)), ("failed", len(self.failed))]
        told = ", ".join(f"{n} {name}" for name, n in parts if n)
        return f" ({told})" if told else ""

    def notable(self) -> list[Arrival]:
        """What a person would not expect: letters that were there, that replace or are replaced, that are left out."""
        return [a for a in self.arrivals if a.what != ADDED and a.letter_id != PurePath(a.source).stem]

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, fit for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Keeper:
    """Whoever changes a collection: where it is, with which model, and how it waits and reports.

    Attributes:
        folder: of the index.
        embedder: the model.
        wait_s: how long to wait for another writer, in seconds; None waits for ever.
        waiting: told once who holds the lock.
        progress: told what is done, how many are, of how many.
    """

    folder: Path
    embedder: Embedder
    wait_s: float | None = None
    waiting: Callable[[str], None] = lambda _: None
    progress: Progress = quiet

    @contextmanager
    def writing(self) -> Iterator[Catalogue]:
        """Hold the lock and the catalogue."""
        with (
            writer_lock(self.folder, wait_s=self.wait_s, waiting=self.waiting),
            Catalogue(self.folder) as catalogue,
        ):
            yield catalogue

    def publish(self, catalogue: Catalogue, report: Report, *, anew: bool = False) -> Report:
        """Derive the generation, switch to it, and note it in the report."""
        report.generation = derive(self.folder, catalogue, self.embedder, anew=anew, progress=self.progress)
        now = built(self.folder)
        assert now is not None
        report.letters, report.measures = now[1]["letters"], now[1]["measures"]
        return report


def add(keeper: Keeper, sources: Iterable[Source | Path], *, seeds: Path | None = None) -> Report:
    """Add letters to the collection; each is answerable when this returns.

    Args:
        keeper: whose collection.
        sources: what was read, or paths of files and folders.
        seeds: the folder that is followed; files in it go when they go, all others stay until they are removed by id.

    Raises:
        LetterError: nothing that was given is a letter.
        IndexBusy: another process is writing.
        IndexStateError: the index is damaged or built otherwise.
    """
    given = list(sources)
    files = letter_files([s for s in given if isinstance(s, Path)])
    items = [Item("", s, pinned=True) for s in given if isinstance(s, Source)]
    items += [Item(_origin(f), f, pinned=not _inside(f, seeds)) for f in files]
    if not items:
        raise _no_letters([s for s in given if isinstance(s, Path)])
    with keeper.writing() as catalogue:
        _check_state(keeper)
        report = Report()
        _enter(keeper, catalogue, report, items, welcome=True)
        return keeper.publish(catalogue, report)


def remove(keeper: Keeper, letter_ids: Sequence[str]) -> Report:
    """Remove letters in all their versions; their files are left alone, and are not read in again until they change.

    Raises:
        LetterError: there is no letter of that id; then nothing is removed.
        IndexBusy: another process is writing.
        IndexStateError: the index is damaged or built otherwise.
    """
    wanted = list(dict.fromkeys(letter_ids))
    with keeper.writing() as catalogue:
        _check_state(keeper)
        with catalogue.transaction():
            for letter_id in wanted:
                versions = catalogue.find(letter=letter_id)
                if not versions:
                    raise LetterError(
                        f"there is no letter {letter_id!r}", "the id of one", "run: rag letters"
                    )
                for v in versions:
                    catalogue.set_removed(v.content, letter_id)
                catalogue.delete([v.v for v in versions])
        return keeper.publish(catalogue, Report(removed=wanted))


def follow(
    keeper: Keeper, paths: Sequence[Path], *, verify: bool = True, empty: bool = False, rebuild: bool = False
) -> Report:
    """Make the collection hold the letters at the paths, and those that were added by hand.

    Args:
        keeper: whose collection.
        paths: files and folders; a letter whose file is no longer there goes, one whose file cannot be read stays.
        verify: check every file of the index first.
        empty: accept that there is no letter at all.
        rebuild: take nothing over: read, parse, embed and index everything again, and mend what is damaged.

    Raises:
        LetterError: there is no letter, or none could be read.
        IndexBusy: another process is writing.
        IndexStateError: the index is damaged, and ``rebuild`` is false.
    """
    with writer_lock(keeper.folder, wait_s=keeper.wait_s, waiting=keeper.waiting):
        if rebuild:
            salvage(keeper.folder)
        elif verify and built(keeper.folder):
            open_current(keeper.folder, lambda *_: None)
        with Catalogue(keeper.folder) as catalogue:
            return _follow(keeper, catalogue, paths, empty=empty, rebuild=rebuild)


def _follow(
    keeper: Keeper, catalogue: Catalogue, paths: Sequence[Path], *, empty: bool, rebuild: bool
) -> Report:
    report = Report()
    pinned = {v.letter for v in catalogue.find(current=1, pinned=1)}
    items = [Item(_origin(f), f, pinned=False) for f in _files(paths, empty=empty or bool(pinned))]
    before = catalogue.files()
    anew = rebuild or catalogue.about("parser") not in ("", str(PARSER_VERSION))
    if rebuild:
        catalogue.forget_vectors()
    held = _enter(keeper, catalogue, report, items, known={} if anew else before, before=before)
    if anew:
        _parse_again(catalogue, report)
    staying = pinned.union(*held.values())
    gone = [i for i in dict.fromkeys(catalogue.current().values()) if i not in staying]
    if len(report.failed) == len(items) > 0 and not staying:
        raise LetterError(report.failed[0] + (f" (and {len(items) - 1} more)" if len(items) > 1 else ""))
    with catalogue.transaction():
        catalogue.delete([v.v for i in gone for v in catalogue.find(letter=i)])
        for origin in before.keys() - held.keys():
            catalogue.forget_file(origin)
        catalogue.set_about("parser", str(PARSER_VERSION))
    report.removed = gone
    return keeper.publish(catalogue, report, anew=rebuild)


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
            open_current(folder, lambda *_: None)
        anew = old is None or not _fits(old[1], embedder)
        with Catalogue(folder) as catalogue:
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
        raise _no_letters(paths)
    return letters


def tidy_up(keeper: Keeper) -> None:
    """Join small segments when there are many; answers are the same before and after. Nothing is done while another writes."""
    quick = replace(keeper, wait_s=0.0)
    with quick.writing() as catalogue:
        while tidy(keeper.folder, catalogue, keeper.embedder, keeper.progress):
            pass


def _enter(
    keeper: Keeper,
    catalogue: Catalogue,
    report: Report,
    items: Sequence[Item],
    *,
    known: Files | None = None,
    before: Files | None = None,
    welcome: bool = False,
) -> dict[str, list[str]]:
    """Enter files into the catalogue, some in each transaction; return the ids of the letters of each, by origin."""
    held: dict[str, list[str]] = {}
    alive = set(catalogue.current().values()) if known else set()
    old = before or {}
    for start in range(0, len(items), _BATCH):
        batch = [prepare(item, keeper.embedder, known or {}) for item in items[start : start + _BATCH]]
        with catalogue.transaction():
            for item, found in zip(items[start:], batch, strict=False):
                ids = old.get(item.origin, ("", []))[1]
                if found.failed:
                    report.failed.append(found.failed)
                elif found.unchanged:
                    report.unchanged += [i for i in ids if i in alive]
                else:
                    ids, arrivals = _take_all(
                        catalogue, item, found, keeper.embedder.fingerprint, welcome=welcome
                    )
                    report.arrivals += arrivals
                held.setdefault(item.origin, []).extend(ids)
                keeper.progress("reading", len(held), len(items))
    return held


def _take_all(
    catalogue: Catalogue, item: Item, found: Prepared, model: str, *, welcome: bool
) -> tuple[list[str], list[Arrival]]:
    arrivals: list[Arrival] = []
    for letter, vectors in found.letters:
        origin = item.origin and (f"{item.origin}/{letter.source}" if len(found.letters) > 1 else item.origin)
        arrivals.append(take_in(catalogue, letter, origin=origin, pinned=item.pinned, welcome=welcome))
        catalogue.want_vectors(embedded_of(letter), model, *vectors)
    ids = list(dict.fromkeys(a.letter_id for a in arrivals if a.what != LEFT_OUT))
    if item.origin:
        catalogue.set_file(item.origin, found.sha256, ids)
    return ids, arrivals


def _parse_again(catalogue: Catalogue, report: Report) -> None:
    """Parse the letters anew of which there is no file, by the parser of today."""
    done = {a.letter_id for a in report.arrivals}
    for v, letter_id in catalogue.current().items():
        if letter_id in done:
            continue
        old = catalogue.letter(v)
        try:
            new = parse(Source(old.source, old.text, old.sha256), letter_id)
        except LetterError as error:
            report.failed.append(str(error))
            continue
        report.unchanged.append(letter_id)
        if new == old:
            continue
        (state,) = catalogue.find(v=v)
        with catalogue.transaction():
            catalogue.delete([v])
            catalogue.add(new, content_of(new), embedded_of(new), origin=state.origin, pinned=state.pinned)


def _check_state(keeper: Keeper) -> None:
    """Adding to an index of another model or parser would index everything anew: that is for ``rag index`` to do."""
    if now := built(keeper.folder):
        check_built(now[1], keeper.embedder)


def _fits(manifest: dict[str, object], embedder: Embedder) -> bool:
    try:
        check_built(manifest, embedder)
    except IndexMismatch:
        return False
    return True


def _files(paths: Sequence[Path], *, empty: bool) -> list[Path]:
    files = letter_files([p for p in paths if p.exists() or p == STDIN or not empty])
    if not files and not empty:
        raise _no_letters(paths)
    return files


def _no_letters(paths: Iterable[Path]) -> LetterError:
    return LetterError(
        f"no letters in {', '.join(map(str, paths))}",
        f"at least one file of {', '.join(SUFFIXES)}",
        "put one there",
    )


def _origin(path: Path) -> str:
    return "" if path == STDIN else str(path.resolve())


def _inside(path: Path, folder: Path | None) -> bool:
    return folder is not None and path != STDIN and path.resolve().is_relative_to(folder.resolve())
