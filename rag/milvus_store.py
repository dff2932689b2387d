"""The store on Milvus: the catalogue stays with the one who writes, in the folder of the index; services read Milvus alone."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rag import bm25
from rag.catalogue import Catalogue
from rag.derive import Progress, quiet, vectors_of
from rag.embed import Embedder
from rag.errors import IndexMismatch, IndexMissing, RagError
from rag.keeper import Keeper, Report, fits
from rag.letter import PARSER_VERSION, Letter
from rag.milvus_client import EXACT, KINDS, NEVER, Client, client_of, dimension_of, packed
from rag.milvus_index import MilvusIndex, json_list, read_letters
from rag.remote import MEASURE, SENTENCE
from rag.segment import measure_words, sentence_texts
from rag.store import CATALOGUE, check_built
from rag.text import terms

GRACE_S = 600  # an older generation is kept that long after the next one came
_BATCH = 50  # letters that are written at once
_LETTER = ("id", "key", "part", "parts", "place", "measure", "sentence", "v", "born", "died", "body")
_TERMS = ("terms_of_measures", "terms_of_sentences")
_MARK = "milvus"  # fact in the catalogue: which build is made of it


@dataclass(frozen=True, slots=True)
class MilvusKeeper:
    """Whoever changes a collection in Milvus; the counterpart of :class:`rag.keeper.Keeper`."""

    client: Client
    local: Keeper

    @property
    def embedder(self) -> Embedder:
        """The model."""
        return self.local.embedder

    @property
    def progress(self) -> Progress:
        """Told what is done, how many are, of how many."""
        return self.local.progress

    def writing(self) -> AbstractContextManager[Catalogue]:
        """Hold the lock and the catalogue."""
        return self.local.writing()

    def following(self, *, rebuild: bool, verify: bool) -> AbstractContextManager[Catalogue]:
        """Hold the lock and the catalogue, after the damage was mended."""
        return self.local.following(rebuild=rebuild, verify=verify)

    def check_state(self, catalogue: Catalogue) -> None:
        """Check that what is there is of this model and parser.

        Raises:
            IndexMismatch: naming what differs and the command that repairs it.
        """
        with contextlib.suppress(IndexMissing):
            check_built(self.client.newest()[1], self.embedder)
            if not catalogue.about(_MARK):
                raise IndexMismatch(
                    f"the letters in {self.client.place} are of another catalogue than {catalogue.path}",
                    "the machine that wrote them",
                    "change them there, or replace them all: rag index --rebuild",
                )

    def publish(self, catalogue: Catalogue, report: Report, *, anew: bool = False) -> Report:
        """Write what is new into Milvus, then the generation, and note it in the report."""
        _Publisher(self.client, catalogue, self.embedder, self.progress).publish(anew=anew)
        manifest = self.client.newest()[1]
        report.generation = manifest["generation"]
        report.letters, report.measures = manifest["letters"], manifest["measures"]
        return report

    def tidy(self) -> None:
        """Milvus joins its segments by itself."""


class _Publisher:
    """Makes generations of what the catalogue says."""

    def __init__(self, client: Client, catalogue: Catalogue, embedder: Embedder, progress: Progress) -> None:
        self._client, self._catalogue = client, catalogue
        self._embedder, self._progress = embedder, progress
        self._counts: tuple[Counter[str], Counter[str]] = (Counter(), Counter())

    def publish(self, *, anew: bool) -> None:
        known = self._client.generations()
        n, manifest = max(known.items(), default=(0, {}))
        wanted = self._catalogue.current()
        old = bool(manifest) and manifest["build"] == self._catalogue.about(_MARK)
        if anew or not old or not fits(manifest, self._embedder):
            manifest = self._begin(wanted)
        build = manifest["build"]
        self._undo(build, n)
        rows = self._client.rows(f"{build}_letters", f"died == {NEVER}", (*_LETTER, *_TERMS))
        live = {row["v"] for row in rows}
        going = [row for row in rows if row["v"] not in wanted]
        coming = [v for v in wanted if v not in live]
        if known.get(n, {}).get("build") == build and not going and not coming:
            return
        manifest = {**manifest, "generation": f"gen-{secrets.token_hex(8)}", "at": time.time()}
        self._clean(known, build)
        self._take_out(build, n + 1, going)
        manifest["next"] = self._write(build, n + 1, coming, manifest["next"])
        self._write_counts(build, n + 1)
        sizes = self._catalogue.sizes(list(wanted))
        manifest |= {"letters": len(wanted), "measures": sum(sizes.values())}
        self._client.publish(n + 1, manifest)

    def _begin(self, wanted: dict[int, str]) -> dict[str, Any]:
        """A build of its own, beside the one in use."""
        build = f"letter_rag_b{secrets.token_hex(6)}"
        many = sum(self._catalogue.sizes(list(wanted)).values())
        large = many > EXACT
        self._client.make(build, self._embedder.dimension, large=large)
        with self._catalogue.transaction():
            self._catalogue.set_about(_MARK, build)
        model = self._embedder
        return {
            "build": build,
            "large": large,
            "parser": PARSER_VERSION,
            "embedding": {"name": model.name, "fingerprint": model.fingerprint, "dimension": model.dimension},
            "next": [0, 0, 0],
        }

    def _undo(self, build: str, n: int) -> None:
        """Take back what a writer that was stopped wrote for a generation that never came."""
        name = f"{build}_letters"
        lost = self._client.rows(name, f"born > {n}", ("id", "place"))
        self._delete_letters(build, lost)
        self._client.delete(f"{build}_counts", f"n > {n}")
        marked = self._client.rows(name, f"died > {n} and died < {NEVER}", (*_LETTER, *_TERMS))
        self._client.insert(name, [{**row, "died": NEVER, "none": [0.0, 0.0]} for row in marked])

    def _clean(self, known: dict[int, dict[str, Any]], begun: str) -> None:
        """Delete what only generations held that nobody reads any more."""
        past = [n for n, manifest in known.items() if manifest["at"] < time.time() - GRACE_S]
        if not past:
            return
        oldest = max(past)
        self._client.forget([n for n in known if n < oldest])
        builds = {manifest["build"] for n, manifest in known.items() if n >= oldest}
        self._client.drop([*builds, begun])
        for build in builds:
            self._delete_letters(
                build, self._client.rows(f"{build}_letters", f"died <= {oldest}", ("id", "place"))
            )

    def _delete_letters(self, build: str, rows: Sequence[dict[str, Any]]) -> None:
        places = sorted({row["place"] for row in rows})
        for first in range(0, len(places), 200):
            for kind in KINDS:
                self._client.delete(f"{build}_{kind}", f"place in {places[first : first + 200]}")
        ids = [row["id"] for row in rows]
        for first in range(0, len(ids), 200):
            self._client.delete(f"{build}_letters", f"id in {json_list(ids[first : first + 200])}")

    def _take_out(self, build: str, n: int, going: Sequence[dict[str, Any]]) -> None:
        keys = [row["key"] for row in going if row["part"] == 0]
        for letter in read_letters(self._client, f"{build}_letters", keys).values():
            for kind, texts in enumerate(_texts(letter)):
                for text in texts:
                    self._counts[kind].subtract(set(terms(text)))
        self._client.insert(f"{build}_letters", [{**row, "died": n, "none": [0.0, 0.0]} for row in going])

    def _write(self, build: str, n: int, coming: Sequence[int], following: Sequence[int]) -> list[int]:
        """Write letters that come; return the next free place, and ids of a measure and a sentence."""
        place, *ids = following
        average = self._average(coming)
        for first in range(0, len(coming), _BATCH):
            letters: list[dict[str, Any]] = []
            rows: tuple[list[dict[str, Any]], ...] = ([], [])
            for v in coming[first : first + _BATCH]:
                letter = self._catalogue.letter(v)
                vectors = vectors_of(self._catalogue, v, self._embedder)
                counted = [[Counter(terms(t)) for t in some] for some in _texts(letter)]
                told = {
                    name: sum(c.total() for c in some) for name, some in zip(_TERMS, counted, strict=True)
                }
                row = {
                    "place": place,
                    "measure": ids[0],
                    "sentence": ids[1],
                    "v": v,
                    "born": n,
                    "died": NEVER,
                    **told,
                }
                letters += _letter_rows(letter, row)
                for kind in (MEASURE, SENTENCE):
                    for vector, counts in zip(vectors[kind], counted[kind], strict=True):
                        words = _words(counts, average[kind])
                        rows[kind].append(
                            {
                                "id": ids[kind],
                                "place": place,
                                "vec": vector.astype(np.float16).astype(np.float32).tolist(),
                                "words": words,
                            }
                        )
                        self._counts[kind].update(counts.keys())
                        ids[kind] += 1
                place += 1
            self._client.insert(f"{build}_letters", letters)
            for kind, name in enumerate(KINDS):
                self._client.insert(f"{build}_{name}", rows[kind])
            self._progress("indexing", min(first + _BATCH, len(coming)), len(coming))
        return [place, *ids]

    def _average(self, coming: Sequence[int]) -> tuple[bm25.Texts, bm25.Texts]:
        """About how long texts are, from some of those that come: it chooses candidates and scores nothing."""
        lengths: tuple[list[int], list[int]] = ([], [])
        for v in coming[:: max(1, len(coming) // 50)]:
            for kind, texts in enumerate(_texts(self._catalogue.letter(v))):
                lengths[kind].extend(len(terms(t)) for t in texts)
        one, two = (bm25.Texts(max(1, len(some)), max(1, sum(some))) for some in lengths)
        return one, two

    def _write_counts(self, build: str, n: int) -> None:
        changed = [{t: c for t, c in some.items() if c} for some in self._counts]
        rows = [
            {"id": f"{n}#{i}", "n": n, "part": i, "body": body, "none": [0.0, 0.0]}
            for i, body in enumerate(packed(changed))
        ]
        self._client.insert(f"{build}_counts", rows)


def _texts(letter: Letter) -> tuple[list[str], list[str]]:
    return [measure_words(letter, m) for m in letter.measures], list(sentence_texts(letter))


def _letter_rows(letter: Letter, row: dict[str, Any]) -> list[dict[str, Any]]:
    key = secrets.token_hex(8)
    bodies = packed(letter.as_dict())
    return [
        {
            **row,
            "id": f"{key}#{i}",
            "key": key,
            "part": i,
            "parts": len(bodies),
            "body": body,
            "none": [0.0, 0.0],
        }
        for i, body in enumerate(bodies)
    ]


def _words(counts: Counter[str], about: bm25.Texts) -> dict[int, float]:
    """The sparse vector of a text: for each term the share of its weight that it adds."""
    if not counts:
        return {0: 1e-9}  # Milvus takes no empty one
    times = np.array(list(counts.values()), np.uint16)
    shares = about.share(times, bm25.codes([counts.total()] * len(times)))
    return {dimension_of(t): float(s) for t, s in zip(counts, shares, strict=True)}


class MilvusStore:
    """Letters in Milvus.

    Args:
        address: ``http://host:19530``, or a file of milvus-lite.
        folder: of the index, where the writer keeps its catalogue.
    """

    def __init__(self, address: str, folder: Path) -> None:
        self._client = client_of(address)
        self._folder = folder
        self.place = self._client.place

    def named(self) -> str:
        """Return the name of the newest generation; empty when there is none or no server answers."""
        try:
            return str(self._client.newest()[1]["generation"])
        except RagError:
            return ""

    def check(self) -> None:
        """Milvus itself sees to what is damaged."""
        self.reach()

    def reach(self) -> None:
        """Look whether the server answers.

        Raises:
            StoreUnavailable: it does not.
        """
        self._client.generations()

    def open(self, embedder: Embedder, old: Any = None) -> MilvusIndex:
        """Open the newest generation, with what is taken over from an open one."""
        return MilvusIndex.open(self._client, embedder, old if isinstance(old, MilvusIndex) else None)

    def keeper(
        self,
        embedder: Embedder,
        *,
        wait_s: float | None = None,
        waiting: Callable[[str], None] = lambda _: None,
        progress: Progress | None = None,
    ) -> MilvusKeeper:
        """Return who changes this collection."""
        return MilvusKeeper(self._client, Keeper(self._folder, embedder, wait_s, waiting, progress or quiet))

    @contextlib.contextmanager
    def records(self) -> Iterator[Catalogue | None]:
        """Give the catalogue of the writer, where it is on this machine."""
        if not (self._folder / CATALOGUE).exists():
            yield None
            return
        with Catalogue(self._folder) as catalogue:
            yield catalogue

    def settle(self, generation: str) -> None:
        """Milvus is asked for what was written before (its level Strong)."""
