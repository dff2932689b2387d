"""Kill it, fill its disk, break its files: the index answers rightly, or says what is broken and what repairs it.

    .venv/bin/python bench/crash.py [--kills 250] [--seed 1]

Four proofs over the letters of ``tests/letters``; each prints how often it was tried and what was found. After every blow the
index is opened with all its checksums, the catalogue is read whole, and ten questions are asked.

* kill: a writer (add, remove, follow a folder, build anew, join segments) is ended by SIGKILL at a random instant.
* disk: a writer runs out of space, at every size from nothing to enough.
* read-only: the folder cannot be written; questions are answered, writers are refused.
* damage: every file of the folder in turn is cut, altered by one bit, or gone.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

os.environ |= {"TOKENIZERS_PARALLELISM": "false", "OPENBLAS_NUM_THREADS": "1"}  # this process forks

from rag.catalogue import Catalogue
from rag.embed import StaticEmbedder
from rag.engine import Engine
from rag.errors import IndexDamaged, IndexStateError, LetterError
from rag.keeper import Keeper
from rag.library import add, follow, remove, tidy_up
from rag.settings import BUNDLED_MODEL, Settings
from rag.store import writer_lock

HERE = Path(__file__).resolve().parent
LETTERS = HERE.parent / "tests" / "letters"
NEW = "某市民政局关于第9号提案的答复\n某委员:\n提案收悉,答复如下:\n一、建新亭。全市建成读书亭{n}座。\n二、办书会。举办朗读会{n}场。\n某市民政局\n2025年3月4日\n"


WAYS = ("empty", "half", "short", "bit", "bit", "bit", "gone")


class Site:
    """A folder of letters, its index, and what is asked of it."""

    def __init__(self, home: Path, embedder: StaticEmbedder, *, small: bool = False) -> None:
        self.home, self.embedder = home, embedder
        self.seeds, self.index = home / "seeds", home / "index"
        self.seeds.mkdir()
        for file in sorted(LETTERS.glob("[dq]*.txt" if small else "*.txt")):
            shutil.copy(file, self.seeds)
        rows = [json.loads(x) for x in (HERE / "dev.jsonl").read_text(encoding="utf-8").splitlines()]
        self.keeper = Keeper(self.index, embedder)
        follow(self.keeper, [self.seeds])
        (home / "mine.txt").write_text(NEW.format(n=3).replace("亭", "屋"), encoding="utf-8")
        add(self.keeper, [home / "mine.txt"])
        self.reads = Engine.open(self._settings(), embedder).reads
        engine = self.engine()
        asked = [(r["question"], engine.ask(r["question"]).short_answer) for r in rows[: 6 if small else 20]]
        self.asked = [*[(q, a) for q, a in asked if a][:9], ("全市建成读书屋多少座?", "3座")]
        self.letters = {a.id for a in engine.index.letters}

    def engine(self) -> Engine:
        """The engine over what is on disk now, every checksum compared."""
        engine = Engine.open(self._settings(), self.embedder)
        engine.reads = self.reads
        return engine

    def _settings(self) -> Settings:
        return Settings(index_dir=self.index, seeds_dir=self.seeds, _env_file=None)

    def wrong(self, *, without: str = "") -> list[str]:
        """What is wrong with the index: letters lost, answers that differ from those of the whole index."""
        engine = self.engine()
        lost = self.letters - {a.id for a in engine.index.letters} - {without}
        faults = [f"lost {i}" for i in lost]
        for question, right in self.asked:
            found = engine.ask(question)
            if found.short_answer != right and not (without and found.refused):
                faults.append(f"{question} {found.short_answer!r} instead of {right!r}")
            for c in found.citations:
                if c.letter.text[c.start : c.end] != c.quote:
                    faults.append(f"{question} misquoted")
        return faults


def jobs(site: Site, rng: random.Random) -> list[tuple[str, Callable[[], object]]]:
    """The writers that are disturbed."""
    new = site.home / "new.txt"
    new.write_text(NEW.format(n=rng.randint(5, 99)), encoding="utf-8")
    return [
        ("add", lambda: add(site.keeper, [new])),
        ("follow", lambda: follow(site.keeper, [site.seeds])),
        ("rebuild", lambda: follow(site.keeper, [site.seeds], rebuild=True)),
        ("remove", lambda: remove(site.keeper, ["new"])),
        ("tidy", lambda: tidy_up(site.keeper)),
    ]


def kill(site: Site, count: int, rng: random.Random) -> Counter[str]:
    """End a writer at a random instant, ``count`` times."""
    found: Counter[str] = Counter()
    spans: dict[str, float] = {}
    while found["killed"] < count:
        name, job = rng.choice(jobs(site, rng)[:4])
        other = site.seeds / "other.txt"
        other.write_text(NEW.format(n=rng.randint(5, 99)).replace("亭", "塔"), encoding="utf-8")
        if rng.random() < 0.3:
            other.unlink()
        with contextlib.suppress(LetterError):
            job_time = _run_and_kill(job, rng.uniform(0, 1.1 * spans.get(name, 0.5)))
            spans[name] = max(spans.get(name, 0.0), job_time or 0.0)
            found["killed" if job_time is None else "ended before"] += 1
        if faults := site.wrong():
            found["wrong"] += 1
            print(name, faults, file=sys.stderr)
        with Catalogue(site.index) as catalogue:
            catalogue.check()
            for v in catalogue.current():
                catalogue.letter(v)
    follow(site.keeper, [site.seeds])
    found["wrong at the end"] += bool(site.wrong())
    found["left over"] += len([p for p in site.index.iterdir() if p.name.startswith(".building")])
    return found


def _run_and_kill(job: Callable[[], object], delay: float) -> float | None:
    """Run a job in a child and kill it after a time; return how long it took when it was faster."""
    started = time.monotonic()
    child = os.fork()
    if not child:
        code = 1
        try:
            with Path(os.devnull).open("w") as null:
                os.dup2(null.fileno(), 2)
            with contextlib.suppress(LetterError):
                job()
            code = 0
        finally:
            os._exit(code)
    while time.monotonic() - started < delay:
        if os.waitpid(child, os.WNOHANG)[0]:
            return time.monotonic() - started
        time.sleep(0.0005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def disk(site: Site, rng: random.Random, steps: int = 24) -> Counter[str]:
    """Let writers run out of space: on a small tmpfs where one can be mounted, else under a limit of the file size."""
    found: Counter[str] = Counter()
    for step in range(steps):
        for name, job in jobs(site, rng)[:3]:
            limit = step * 16_384 + rng.randint(1, 16_000)
            code, said = _limited(job, limit)
            found["refused" if code else "done"] += 1
            if "Traceback" in said:
                found["not told"] += 1
                print(name, limit, said, file=sys.stderr)
            if faults := site.wrong():
                found["wrong"] += 1
                print(name, limit, faults, file=sys.stderr)
    follow(site.keeper, [site.seeds])
    found["wrong at the end"] += bool(site.wrong())
    return found


def _limited(job: Callable[[], object], limit: int) -> tuple[int, str]:
    """Run a job that can write no file beyond a size; return its exit code and what it said."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        code = 1
        try:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
            os.dup2(write, 2)
            try:
                job()
                code = 0
            except (OSError, IndexStateError, LetterError) as error:
                os.write(2, str(error).encode())
            except BaseException as error:
                os.write(2, f"Traceback {error!r}".encode())
        finally:
            os._exit(code)
    os.close(write)
    with os.fdopen(read, "rb") as said:
        text = said.read().decode(errors="replace")
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), text


@contextlib.contextmanager
def tmpfs(folder: Path, size: str) -> Iterator[bool]:
    """Mount a small tmpfs at a folder; say whether it could be."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True, check=False
    )
    try:
        yield done.returncode == 0
    finally:
        if done.returncode == 0:
            subprocess.run(["umount", "-l", str(folder)], check=False)


def full(site: Site, rng: random.Random) -> Counter[str]:
    """The whole index on a tmpfs that is filled to the last page but a few."""
    found: Counter[str] = Counter()
    whole = site.index
    with tmpfs(site.home / "small", "4m") as mounted:
        if not mounted:
            found["not mountable"] += 1
            return found
        site.index = shutil.copytree(whole, site.home / "small" / "index")
        site.keeper = Keeper(site.index, site.embedder)
        ballast = site.home / "small" / "ballast"
        for kib in (0, 4, 16, 32, 64, 96, 128, 192, 256, 384, 512, 768, 1024):
            free = os.statvfs(site.home / "small").f_bavail * 4096
            ballast.write_bytes(b"x" * max(0, free - kib * 1024))
            for name, job in jobs(site, rng)[:3]:
                code, said = _limited(job, resource.RLIM_INFINITY)
                found["refused" if code else "done"] += 1
                found["not told"] += "Traceback" in said
                if "Traceback" in said:
                    print(name, kib, said, file=sys.stderr)
                if faults := site.wrong():
                    found["wrong"] += 1
                    print(name, kib, faults, file=sys.stderr)
            ballast.unlink()
        follow(site.keeper, [site.seeds])
        found["wrong at the end"] += bool(site.wrong())
    site.index, site.keeper = whole, Keeper(whole, site.embedder)
    return found


def read_only(site: Site, rng: random.Random) -> Counter[str]:
    """A folder that cannot be written: questions are answered, writers refused."""
    found: Counter[str] = Counter()
    whole = site.index
    with tmpfs(site.home / "still", "32m") as mounted:
        if not mounted:
            found["not mountable"] += 1
            return found
        site.index = shutil.copytree(whole, site.home / "still" / "index")
        site.keeper = Keeper(site.index, site.embedder)
        subprocess.run(["mount", "-o", "remount,ro", str(site.home / "still")], check=True)
        found["wrong"] += bool(site.wrong())
        for _, job in jobs(site, rng)[:4]:
            try:
                job()
                found["written"] += 1
            except OSError:
                found["refused"] += 1
    site.index, site.keeper = whole, Keeper(whole, site.embedder)
    return found


def damage(site: Site, rng: random.Random, ways: Sequence[str] = WAYS) -> Counter[str]:
    """Cut, alter or take away every file in turn; then repair by ``rag index --rebuild``."""
    found: Counter[str] = Counter()
    sound = shutil.copytree(site.index, site.home / "sound")
    names = sorted(p.relative_to(sound).as_posix() for p in sound.rglob("*") if p.is_file())
    if ways != WAYS:
        names = list({(Path(n).suffix, "words" in n): n for n in names}.values())  # one of each kind
    for name in names:
        for how in ways:
            shutil.rmtree(site.index)
            shutil.copytree(sound, site.index)
            _spoil(site.index / name, how, rng)
            found["tried"] += 1
            found[_asked(site, name, how)] += 1
            found[_written(site, name, how)] += 1
            try:
                follow(site.keeper, [site.seeds], rebuild=True)
                if faults := site.wrong():
                    raise AssertionError(faults)
                found["repaired"] += 1
            except Exception as error:
                found["not repaired"] += 1
                print(name, how, repr(error), file=sys.stderr)
    shutil.rmtree(site.index)
    shutil.copytree(sound, site.index)
    return found


def _spoil(path: Path, how: str, rng: random.Random) -> None:
    data = bytearray(path.read_bytes())
    if how == "gone":
        path.unlink()
        return
    if how == "bit" and data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    keep = {"empty": 0, "half": len(data) // 2, "short": max(0, len(data) - 1)}.get(how, len(data))
    path.write_bytes(bytes(data[:keep]))


def _asked(site: Site, name: str, how: str) -> str:
    """Ask: rightly answered, or refused by name; anything else is wrong."""
    try:
        faults = site.wrong()
    except IndexStateError as error:
        return "refused by name" if "rag index" in str(error) else "refused without help"
    except Exception as error:
        print(name, how, repr(error), file=sys.stderr)
        return "not told"
    if faults:
        print(name, how, faults, file=sys.stderr)
        return "wrong answers"
    return "answered rightly"


def _written(site: Site, name: str, how: str) -> str:
    """Write to it: what is answered after that is right or refused by name."""
    try:
        add(site.keeper, [site.home / "mine.txt"])
    except (IndexDamaged, IndexStateError) as error:
        return "writer refused by name" if "rag index" in str(error) else "writer refused without help"
    except Exception as error:
        print(name, how, repr(error), file=sys.stderr)
        return "writer not told"
    return "written, and " + _asked(site, name, how)


def main() -> int:
    """Run the proofs; exit 1 when one fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=250)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--small", action="store_true", help="a few of each, for a test; writes nothing")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    rng = random.Random(options.seed)
    report: dict[str, dict[str, int]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        site = Site(Path(scratch), StaticEmbedder(BUNDLED_MODEL), small=options.small)
        with writer_lock(site.index):
            pass
        proofs = {
            "kill": lambda: kill(site, 5 if options.small else options.kills, rng),
            "file size": lambda: disk(site, rng, 1 if options.small else 24),
            "full disk": lambda: full(site, rng),
            "read-only": lambda: read_only(site, rng),
            "damage": lambda: damage(site, rng, ("bit",) if options.small else WAYS),
        }
        if options.small:
            del proofs["full disk"]
        for name, proof in proofs.items():
            started = time.monotonic()
            report[name] = {k: v for k, v in sorted(proof().items()) if v}
            print(f"{name:<10} {report[name]}  ({time.monotonic() - started:.0f} s)", flush=True)
    if not options.small:
        (HERE / "out").mkdir(exist_ok=True)
        (HERE / "out" / "crash.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return int(any(BAD & counts.keys() for counts in report.values()))


BAD = {
    "wrong",
    "wrong at the end",
    "wrong answers",
    "written, and wrong answers",
    "left over",
    "not told",
    "writer not told",
    "written, and not told",
    "refused without help",
    "writer refused without help",
    "written, and refused without help",
    "not repaired",
    "written",
}

if __name__ == "__main__":
    sys.exit(main())
