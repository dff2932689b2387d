"""Files that no honest program wrote, through every reader and the parser: a letter, or one clear error, soon and in little room.

    .venv/bin/python bench/malformed.py [--files 11000] [--seed 1]

Every format is mutated by bytes and, where it is an archive, by the parts inside; then come files made to do harm: names that
lead out of an archive, entities that multiply, a gibibyte packed into one mebibyte, tags nested without end. They are read in a
process of its own that is watched: it may grow to 1 GiB and write nothing. Prints counts as JSON and writes them to ``bench/out``; exit 1 when
anything went wrong.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import multiprocessing
import os
import random
import resource
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

from forms import every_form, zipped  # noqa: E402 (the folder of the tests is known only now)

LETTER = HERE.parent / "tests" / "letters" / "songhe-jobs.txt"
SECONDS = 10.0  # of CPU that a file may take
PATIENCE = 120.0  # seconds of waiting for one file before its process is killed
MIB = 1 << 20
GOOD = ("letter", "refused")
Case = tuple[str, str, bytes]  # what it is, its name, its bytes


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Some bytes changed, lost, doubled or cut off; of a text now and then whole lines."""
    if chance.random() < 0.5 and data.count(b"\n") > 10:
        return _lines_mutated(data, chance)
    found = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 12))):
        if len(found) < 8:
            break
        at = chance.randrange(len(found))
        kind = chance.randrange(6)
        if kind == 0:
            found[at] = chance.randrange(256)
        elif kind == 1:
            del found[at : at + chance.randint(1, 40)]
        elif kind == 2:
            found[at:at] = found[chance.randrange(len(found)) :][: chance.randint(1, 40)]
        elif kind == 3:
            found[at : at + 4] = chance.randbytes(4)
        elif kind == 4:
            found[at:at] = chance.choice((b"\x00", b"<", b"&", b"\xff\xfe", "（".encode(), b"]]>", b"9" * 30))
        elif chance.random() < 0.2:
            del found[at:]
    return bytes(found)


def _lines_mutated(data: bytes, chance: random.Random) -> bytes:
    """Lines lost, doubled, exchanged, joined, or with marks of numbering that do not belong there."""
    lines = data.split(b"\n")
    for _ in range(chance.randint(1, 12)):
        at, other = chance.randrange(len(lines)), chance.randrange(len(lines))
        kind = chance.randrange(5)
        if kind == 0:
            del lines[at]
        elif kind == 1:
            lines.insert(at, lines[other])
        elif kind == 2:
            lines[at], lines[other] = lines[other], lines[at]
        elif kind == 3:
            lines[at : at + 2] = [b"".join(lines[at : at + 2])]
        else:
            lines[at] = (
                chance.choice(("九、", "（三）", "1.", "①", "第二，", "附件：", "一是")).encode() + lines[at]
            )
        if len(lines) < 3:
            break
    return b"\n".join(lines)


def inside(data: bytes, chance: random.Random) -> bytes:
    """An archive packed anew with one part mutated, so that no checksum tells."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    name = chance.choice(sorted(parts))
    return zipped({**parts, name: mutated(parts[name], chance)})


def mutants(count: int, chance: random.Random) -> Iterator[Case]:
    """Mutated files, all forms in turn."""
    forms = every_form(LETTER.read_text(encoding="utf-8"))
    forms["some.zip"] = zipped({n: forms[n] for n in ("utf-8.txt", "gbk.html", "typed.docx", "printed.pdf")})
    names = sorted(forms)
    for n in range(count):
        name = names[n % len(names)]
        data = forms[name]
        packed = name.endswith((".docx", ".zip")) and chance.random() < 0.6
        yield f"mutated {name}", name, inside(data, chance) if packed else mutated(data, chance)


def hostile() -> Iterator[Case]:
    """Files made to do harm."""
    word = every_form(LETTER.read_text(encoding="utf-8"))["numbered.docx"]
    yield from _archives(word)
    yield from _entities(word)
    yield from _texts()
    yield from _pages()
    yield from _documents()


def _archives(word: bytes) -> Iterator[Case]:
    for name in ("../../x.txt", "/etc/x.txt", "..\\..\\x.txt", "C:\\x.txt", "a/../../../x.txt", "x\x00.txt"):
        yield "zip-slip", "slip.zip", zipped({name: "某委员:\n一、建站点。建成站点64家。\n"})
    yield "a gibibyte of blanks", "bomb.zip", _packed("a.txt", b" ", 1024)
    yield "a gibibyte of blanks", "bomb.docx", _packed("word/document.xml", b" ", 1024)
    yield "a gibibyte of blanks", "styles.docx", _replaced(word, "word/styles.xml", b" " * (64 * MIB))
    yield "many files", "many.zip", zipped({f"{n}.txt": "x" for n in range(20_000)})
    deep = "某委员:\n一、建站点。\n".encode()
    for _ in range(20):
        deep = zipped({"in.zip": deep})
    yield "archives in archives", "deep.zip", deep
    for at in range(0, 64, 7):
        yield "cut archive", "cut.zip", zipped({"a.txt": "某委员:\n一、建站点。\n"})[:at]


def _packed(name: str, what: bytes, mebibytes: int) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive, archive.open(name, "w") as file:
        for _ in range(mebibytes):
            file.write(what * MIB)
    return data.getvalue()


def _replaced(data: bytes, name: str, content: bytes | str) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = {n: archive.read(n) for n in archive.namelist()}
    return zipped({**parts, name: content})


def _entities(word: bytes) -> Iterator[Case]:
    lines = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    flat = f'<!DOCTYPE d [<!ENTITY e0 "{"ha" * 1000}">{lines}]>'
    outside = '<!DOCTYPE d [<!ENTITY e11 SYSTEM "file:///etc/passwd">]>'
    space = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    for kind, head in (("entities that multiply", flat), ("an entity of another file", outside)):
        body = f"{head}<w:document {space}><w:body><w:p><w:r><w:t>建成站点&e11;家</w:t></w:r></w:p></w:body></w:document>"
        yield kind, "bomb.docx", _replaced(word, "word/document.xml", body)
        for part in ("word/styles.xml", "word/numbering.xml", "[Content_Types].xml"):
            yield kind, "bomb.docx", _replaced(word, part, f"{head}<x>&e11;</x>")
        yield kind, "bomb.html", f"{head}<html><body><p>建成站点&e11;家。</p></body></html>".encode()


def _texts() -> Iterator[Case]:
    whole = {
        "numbers without end": "一、" * 200_000,
        "brackets without end": "（" * 300_000 + "）" * 300_000,
        "digits without end": "9" * 500_000 + "家。",
        "one line without a stop": "建成站点" * 200_000,
        "lines without end": "\n" * 2_000_000 + "建成",
        "stops without end": "。" * 500_000,
        "sections without end": "一、建站点\n(一)建成\n1.站\n(1)点\n①家\n" * 20_000,
        "blanks without end": "　 \t" * 400_000 + "建成站点64家。",
        "bidi and joiners": "\u202e\u2066\u200d建成\u202c" * 50_000,
        "quotation marks without end": "“《" * 200_000,
        "dates without end": "二〇二五年" * 100_000,
        "links without end": "[" * 100_000 + "](x)" * 100_000,
        "emphasis without end": "**_`" * 100_000,
    }
    for kind, text in whole.items():
        yield kind, "much.txt", text.encode()
        yield kind, "much.md", text.encode()


def _pages() -> Iterator[Case]:
    whole = {
        "tags nested without end": "<div>" * 200_000 + "建成站点64家。",
        "tables nested without end": "<table><tr><td>" * 20_000 + "建成",
        "a table of one row": "<table><tr>" + "<td>64</td>" * 100_000 + "</tr></table>",
        "an attribute without end": f'<p title="{"x" * 4_000_000}">建成站点64家。</p>',
        "an open comment": "<p>建成</p><!--" + "-" * 1_000_000,
        "scripts": "<script>" * 50_000 + "建成",
        "spans without end": "<p>" + "<span>建</span>" * 100_000 + "</p>",
    }
    for kind, body in whole.items():
        yield kind, "much.html", f"<html><body>{body}</body></html>".encode()


def _documents() -> Iterator[Case]:
    kids = "/Kids [3 0 R]"
    head = (
        f"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages{kids}/Count 1>>endobj\n"
    )
    whole = {
        "pages that hold themselves": head.replace("3 0 R", "2 0 R") + "trailer<</Root 1 0 R>>",
        "a million pages said": head.replace("/Count 1", "/Count 1000000") + "trailer<</Root 1 0 R>>",
        "a page without end": head
        + "3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 1e9 1e9]/Contents 3 0 R>>endobj\ntrailer<</Root 1 0 R>>",
        "no trailer": head,
        "nested arrays": head + "3 0 obj" + "[" * 500_000 + "endobj trailer<</Root 1 0 R>>",
    }
    for kind, text in whole.items():
        yield kind, "much.pdf", text.encode()


def work(cases: Any, results: Any, folder: str) -> None:
    """Read what comes; say of each what became of it, how long it took and how large this process has grown."""
    from rag.errors import LetterError
    from rag.parse import parse
    from rag.read import read_all

    wrote: list[str] = []
    own = Path(folder)
    os.chdir(folder)
    sys.dont_write_bytecode = True

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if (
            event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
        ) or event in (
            "os.mkdir",
            "os.rename",
            "os.remove",
            "os.link",
            "os.symlink",
            "shutil.unpack_archive",
        ):
            wrote.append(f"{event} {arguments[0]}")

    for name in ("a.html", "a.docx", "a.pdf"):  # what the readers load, they load before it is watched
        _prepare(own / "in" / name)
    sys.addaudithook(watch)
    while (name := cases.recv()) is not None:
        started = time.process_time()
        wrote.clear()
        try:
            for source in read_all(own / "in" / name):
                parse(source)
            found = "letter"
        except LetterError as error:
            found = "refused" if "\n" not in str(error) and str(error) else "unclear error"
        except MemoryError:
            found = "out of memory"
        except BaseException as error:
            found = f"crash: {error!r:.200}"
        if wrote:
            found = f"wrote: {wrote[:3]}"
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        results.send((found, time.process_time() - started, peak))


def _prepare(path: Path) -> None:
    from rag.errors import LetterError
    from rag.read import read_all

    path.write_bytes(b"<html><body><p>x</p></body></html>")
    with contextlib.suppress(LetterError):
        read_all(path)


class Reader:
    """A process that reads; a new one takes its place when it dies."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process: Any = None
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        theirs, self._cases = context.Pipe(duplex=False)
        self._results, sending = context.Pipe(duplex=False)
        self._process = context.Process(target=work, args=(theirs, sending, str(self.folder)), daemon=True)
        self._process.start()
        theirs.close()
        sending.close()

    def read(self, name: str, data: bytes) -> tuple[str, float, float]:
        """What became of a file, the seconds of CPU it took, and the peak of memory so far in MiB."""
        path = self.folder / "in" / name
        path.write_bytes(data)
        self._cases.send(name)
        try:
            if self._results.poll(PATIENCE):
                found: tuple[str, float, float] = self._results.recv()
                return found
            self._process.kill()
            told = "hang"
        except EOFError:
            self._process.join()
            told = f"died with {self._process.exitcode}"
        finally:
            path.unlink()
        self._process.join()
        self._start()
        return told, PATIENCE, 0.0

    def end(self) -> None:
        """End the process."""
        self._cases.send(None)
        self._process.join(10)


def measure(cases: Iterator[Case], folder: Path, told: Callable[[int], None]) -> dict[str, Any]:
    """Read all cases; count what became of them by kind."""
    (folder / "in").mkdir()
    counts: dict[str, Counter[str]] = {}
    slowest, peak, wrong, n = ("", 0.0), 0.0, [], 0
    reader = Reader(folder)
    for n, (kind, name, data) in enumerate(cases, 1):
        found, seconds, size = reader.read(name, data)
        slow = seconds > SECONDS
        counts.setdefault(kind, Counter())[found if found in GOOD else "wrong"] += 1
        if found not in GOOD or slow:
            wrong.append(f"{kind} ({name}): {found}, {seconds:.1f} s")
            (HERE / "out" / f"malformed-{len(wrong)}-{name}").write_bytes(data[: 8 * MIB])
        slowest = max(slowest, (f"{kind} ({name})", seconds), key=lambda x: x[1])
        peak = max(peak, size)
        told(n)
    reader.end()
    left = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    return {
        "files": n,
        "letters": sum(c["letter"] for c in counts.values()),
        "refused": sum(c["refused"] for c in counts.values()),
        "wrong": wrong,
        "slowest_cpu_seconds": [slowest[0], round(slowest[1], 2)],
        "peak_memory_mib": round(peak),
        "left_behind": [p for p in left if p not in ("in/a.html", "in/a.docx", "in/a.pdf")],
        "kinds": {kind: dict(c) for kind, c in sorted(counts.items())},
    }


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=11_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    (HERE / "out").mkdir(exist_ok=True)

    def cases() -> Iterator[Case]:
        yield from hostile()
        yield from mutants(options.files, random.Random(options.seed))

    def told(n: int) -> None:
        if sys.stderr.isatty() and n % 50 == 0:
            print(f"\r{n:,}", end="", file=sys.stderr)

    with tempfile.TemporaryDirectory() as scratch:
        report = measure(cases(), Path(scratch).resolve(), told)
    text = json.dumps(report, indent=1, ensure_ascii=False)
    (HERE / "out" / "malformed.json").write_text(text + "\n", encoding="utf-8")
    print(text)
    return int(bool(report["wrong"] or report["left_behind"] or report["peak_memory_mib"] > 1024))


if __name__ == "__main__":
    sys.exit(main())
