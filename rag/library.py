"""The collection as its keeper sees it: add letters, remove them, follow a folder, build the index anew.

Every function takes the writer's lock, enters what it is given into the catalogue in small transactions, derives the new
generation, and switches to it. One that is stopped or killed leaves an index that answers; what was entered by then is not
read again by the next.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path

from rag.bulk import no_letters
from rag.catalogue import Version
from rag.errors import IndexBusy, LetterError
from rag.intake import LEFT_OUT, Arrival, content_of, embedded_of, take_in
from rag.keeper import Keeping, Report
from rag.letter import PARSER_VERSION, Letter
from rag.parse import parse
from rag.prepare import Files, Item, Prepare, Prepared, prepare_all
from rag.read import STDIN, Source, is_letter, letter_files
from rag.records import Records

_BATCH = 50  # files that are entered in one transaction


def add(keeper: Keeping, sources: Iterable[Source | Path], *, seeds: Path | None = None) -> Report:
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
        raise no_letters([s for s in given if isinstance(s, Path)])
    with keeper.writing() as catalogue:
        keeper.check_state(catalogue)
        report = Report()
        _enter(keeper, catalogue, report, items, welcome=True)
        return keeper.publish(catalogue, report)


def remove(keeper: Keeping, letter_ids: Sequence[str]) -> Report:
    """Remove letters in all their versions; their files are left alone, and are not read in again until they change.

    Raises:
        LetterError: there is no letter of that id; then nothing is removed.
        IndexBusy: another process is writing.
        IndexStateError: the index is damaged or built otherwise.
    """
    wanted = list(dict.fromkeys(letter_ids))
    with keeper.writing() as catalogue:
        keeper.check_state(catalogue)
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
            for origin, (sha256, ids) in catalogue.files().items():
                if not set(wanted).isdisjoint(ids):
                    catalogue.set_file(origin, sha256, [i for i in ids if i not in wanted])
        return keeper.publish(catalogue, Report(removed=wanted))


def follow(
    keeper: Keeping,
    paths: Sequence[Path],
    *,
    verify: bool = True,
    empty: bool = False,
    rebuild: bool = False,
    prepare: Prepare = prepare_all,
) -> Report:
    """Make the collection hold the letters at the paths, and those that were added by hand.

    Args:
        keeper: whose collection.
        paths: files and folders; a letter whose file is no longer there goes, one whose file cannot be read stays.
        verify: check every file of the index first.
        empty: accept that there is no letter at all.
        rebuild: take nothing over: read, parse, embed and index everything again, and mend what is damaged.
        prepare: what reads, parses and embeds the files, here or on other hosts.

    Raises:
        ClusterError: the other hosts cannot be used.
        LetterError: there is no letter, or none could be read.
        IndexBusy: another process is writing.
        IndexStateError: the index is damaged, and ``rebuild`` is false.
    """
    with keeper.following(rebuild=rebuild, verify=verify) as catalogue:
        pinned = any(v.pinned for v in catalogue.find(current=1))
        files = letter_files([p for p in paths if p.exists() or p == STDIN or not empty])
        if not files and not (empty or pinned):
            raise no_letters(paths)
        gone = catalogue.files().keys() - {_origin(f) for f in files}
        anew = rebuild or catalogue.about("parser") not in ("", str(PARSER_VERSION))
        if rebuild:
            catalogue.forget_vectors()
        report = _sync(keeper, catalogue, files, gone, whole=True, anew=anew, prepare=prepare)
        return keeper.publish(catalogue, report, anew=rebuild)


def follow_changes(keeper: Keeping, seeds: Path, changed: Iterable[Path]) -> Report:
    """Do what :func:`follow` does, of paths in the folder that is followed which have come, changed or gone.

    Raises:
        IndexBusy: another process is writing.
        IndexStateError: the index is damaged or built otherwise.
    """
    with keeper.writing() as catalogue:
        keeper.check_state(catalogue)
        paths = [p.resolve() for p in changed]
        here = set(letter_files([seeds])) if any(p.is_dir() for p in paths) else set()
        here |= {p for p in paths if p.is_file() and is_letter(p)}
        files = sorted(f for f in here if any(f.resolve().is_relative_to(p) for p in paths))
        lost = [p for p in paths if not p.exists()]
        gone = {o for o in catalogue.files() if any(Path(o).is_relative_to(p) for p in lost)}
        return keeper.publish(catalogue, _sync(keeper, catalogue, files, gone))


def _sync(
    keeper: Keeping,
    catalogue: Records,
    files: Sequence[Path],
    gone: AbstractSet[str],
    *,
    whole: bool = False,
    anew: bool = False,
    prepare: Prepare = prepare_all,
) -> Report:
    """Enter files, and remove the letters that no file and no person holds any more: of the whole collection, or of these files."""
    report = Report()
    before = catalogue.files()
    items = [Item(_origin(f), f, pinned=False) for f in files]
    known = {} if anew else before
    entered = _enter(keeper, catalogue, report, items, known=known, before=before, prepare=prepare)
    if anew:
        _parse_again(catalogue, report)
    held = {o: ids for o, (_, ids) in before.items() if o not in gone} | entered
    staying = {v.letter for v in catalogue.find(current=1, pinned=1)}.union(*held.values())
    if len(report.failed) == len(items) > 0 and not staying:
        more = f" (and {len(items) - 1} more)" if len(items) > 1 else ""
        raise LetterError(report.failed[0] + more)
    touched = {i for o in gone | entered.keys() for i in before.get(o, ("", []))[1]}
    report.removed = [i for i in catalogue.current().values() if i not in staying and (whole or i in touched)]
    if report.removed or gone or catalogue.about("parser") != str(PARSER_VERSION):
        with catalogue.transaction():
            catalogue.delete([v.v for i in report.removed for v in catalogue.find(letter=i)])
            for origin in gone:
                catalogue.forget_file(origin)
            catalogue.set_about("parser", str(PARSER_VERSION))
    return report


def versions(catalogue: Records | None, letter_id: str) -> list[tuple[Version, Letter]]:
    """Return the versions of a letter, the one that answers first, then the latest first; nothing is changed.

    Args:
        catalogue: the open catalogue, or None where there is none yet.
        letter_id: the letter.

    Raises:
        LetterError: there is no letter of that id.
        IndexDamaged: the catalogue is damaged.
    """
    found = sorted(catalogue.find(letter=letter_id), key=lambda v: not v.current) if catalogue else []
    if catalogue is None or not found:
        raise LetterError(f"there is no letter {letter_id!r}", "the id of one", "run: rag letters")
    return [(v, catalogue.letter(v.v)) for v in found]


def tidy_up(keeper: Keeping) -> None:
    """Join small parts when there are many; answers are the same before and after. Nothing is done while another writes."""
    with contextlib.suppress(IndexBusy):
        keeper.tidy()


def _enter(
    keeper: Keeping,
    catalogue: Records,
    report: Report,
    items: Sequence[Item],
    *,
    known: Files | None = None,
    before: Files | None = None,
    welcome: bool = False,
    prepare: Prepare = prepare_all,
) -> dict[str, list[str]]:
    """Enter files into the catalogue, some in each transaction; return the ids of the letters of each, by origin."""
    held: dict[str, list[str]] = {}
    alive = set(catalogue.current().values()) if known else set()
    old = before or {}
    ready = zip(items, prepare(items, keeper.embedder, known or {}), strict=True)
    while batch := list(itertools.islice(ready, _BATCH)):
        with catalogue.transaction():
            for item, found in batch:
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
    catalogue: Records, item: Item, found: Prepared, model: str, *, welcome: bool
) -> tuple[list[str], list[Arrival]]:
    arrivals: list[Arrival] = []
    for letter, vectors in found.letters:
        origin = item.origin and (f"{item.origin}/{letter.source}" if len(found.letters) > 1 else item.origin)
        arrivals.append(take_in(catalogue, letter, origin=origin, pinned=item.pinned, welcome=welcome))
        catalogue.want_vectors(embedded_of(letter), model, vectors)
    ids = list(dict.fromkeys(a.letter_id for a in arrivals if a.what != LEFT_OUT))
    if item.origin:
        catalogue.set_file(item.origin, found.sha256, ids)
    return ids, arrivals


def _parse_again(catalogue: Records, report: Report) -> None:
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


def _origin(path: Path) -> str:
    return "" if path == STDIN else str(path.resolve())


def _inside(path: Path, folder: Path | None) -> bool:
    return folder is not None and path != STDIN and path.resolve().is_relative_to(folder.resolve())
