"""Question to answer, in plain functions: understand → rank → choose → verify. The terminal's path; no LangChain."""

from __future__ import annotations

import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from string import Formatter
from typing import Any

from rag.answer import Choice, choose
from rag.differing import by_date, spoken
from rag.embed import Embedder, open_embedder
from rag.errors import PromptError
from rag.field import from_field
from rag.index import measure_text
from rag.letter import Letter, Measure, Span
from rag.lists import LetterIds
from rag.quantities import in_digits
from rag.question import Question, is_no_question, mend, understand, with_words
from rag.rank import Hit, expand, load_lexicon, search
from rag.reader import open_reader
from rag.reading import Read, Reads, rerank
from rag.scope import in_scope, is_scoped, place_of, short, without_own, without_place
from rag.seam import Searchable
from rag.settings import Settings
from rag.stores import store_of
from rag.text import fold
from rag.times import resolve, status
from rag.verify import verify_quote, verify_text

REASONS = ("no_evidence", "wrong_scope", "not_a_question", "unverified")
MORE = {"zh": "等", "en": " and others"}
NO_LETTERS = (
    "no_letters"  # said instead of any of them when there is no letter; a file of one's own may lack it
)
_ALLOWED = {"missing", "issuers"}
_READ = 5  # measures that the reader may put in another order


@dataclass(frozen=True, slots=True)
class Citation:
    """A quote with its exact place: ``letter.text[start:end]``."""

    n: int
    letter: Letter
    measure: Measure
    start: int
    end: int
    short: Span | None = None

    @property
    def quote(self) -> str:
        """The characters of the letter."""
        return self.letter.text[self.start : self.end]

    @property
    def times(self) -> dict[str, str]:
        """What the times of the quote mean that hang on the date of the letter: 今年上半年 → 2025年1—6月."""
        return resolve(fold(self.quote), self.letter.date)

    @property
    def status(self) -> str:
        """``planned``, ``under way`` or ``dropped``, of the thing the short answer is about; empty when done."""
        if self.short is None:
            return ""
        return status(fold(self.quote), self.short.start - self.start, self.short.end - self.start)

    def as_dict(self) -> dict[str, Any]:
        """Return the citation as in the JSON contract."""
        return {
            "n": self.n,
            "letter_id": self.letter.id,
            "title": self.letter.title,
            "issuer": self.letter.issuer,
            "date": self.letter.date or None,
            "path": self.measure.path,
            "section": self.measure.section,
            "heading": self.measure.heading,
            "quote": self.quote,
            "start": self.start,
            "end": self.end,
            "times": self.times,
            "status": self.status or None,
            "source": self.letter.source,
            "sha256": self.letter.sha256,
        }


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer or a refusal; ``confidence`` in [0, 1] is the probability that the letters answer the question thus."""

    question: str
    answer: str
    short_answer: str
    refused: bool
    reason: str | None
    confidence: float
    mode: str
    citations: tuple[Citation, ...]
    timings_ms: dict[str, float]
    index: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Return the answer as in the JSON contract."""
        return {
            "question": self.question,
            "answer": self.answer,
            "short_answer": self.short_answer,
            "refused": self.refused,
            "reason": self.reason,
            "confidence": round(self.confidence, 3),
            "mode": self.mode,
            "citations": [c.as_dict() for c in self.citations],
            "timings_ms": self.timings_ms,
            "index": self.index,
        }


class Engine:
    """Answers questions over one opened index."""

    def __init__(self, index: Searchable, settings: Settings) -> None:
        self.index = index
        self.settings = settings
        self.refusals = load_refusals(settings.prompts_dir)
        self.lexicon = load_lexicon(settings.lexicon)

    @classmethod
    def open(cls, settings: Settings | None = None, embedder: Embedder | None = None) -> Engine:
        """Open the configured index with the configured model.

        Raises:
            IndexStateError: missing, damaged or built otherwise.
            ModelError: the model cannot be opened.
            PromptError: the refusals cannot be used.
            DataError: a setting or the lexicon makes no sense.
        """
        settings = settings or Settings()
        model = embedder or open_embedder(settings.embedding_model)
        return cls(store_of(settings).open(model), settings)

    def renewed(self) -> Engine:
        """Open the generation that is in use now; what both hold is taken over, and this engine answers on.

        Raises:
            IndexStateError: missing, damaged or built otherwise.
        """
        index = store_of(self.settings).open(self.index.embedder, self.index)
        engine = Engine(index, self.settings)
        engine.reads = self.reads
        return engine

    @cached_property
    def _described(self) -> dict[str, Any]:
        return {
            "generation": self.index.generation,
            "letters": len(self.index.letters),
            "measures": len(self.index.measures),
            "embedding": Path(self.index.embedder.name).name,
        }

    def search(self, query: str, k: int = 5, letter_id: str | None = None) -> list[Hit]:
        """Return the best ``k`` measures for a query.

        Raises:
            QuestionError: empty or too long.
            LetterError: there is no such letter.
        """
        question = understand(query, self.settings.max_question_chars)
        asked = expand(question.asked, self.lexicon)
        index = self.index if letter_id is None else self.index.within([self.index.letter(letter_id).id])
        hits = search(index, question.text, k=max(k, _READ), asked=asked)
        return rerank(hits, self.reads.read(question.folded, hits))[0][:k]

    def ask(self, text: str, *, letter_id: str | None = None, k: int | None = None) -> Answer:
        """Answer a question, or refuse.

        Args:
            text: the question.
            letter_id: only from this letter.
            k: measures to look at; default ``top_k``.

        Raises:
            QuestionError: empty or too long.
            LetterError: there is no such letter.
        """
        return self.find(text, letter_id=letter_id, k=k)[0]

    def find(
        self, text: str, *, letter_id: str | None = None, k: int | None = None
    ) -> tuple[Answer, list[Hit]]:
        """Answer as :meth:`ask` does, and return the hits too that the answer was chosen from; none when it was settled before."""
        clock = _Clock()
        question = understand(text, self.settings.max_question_chars)
        if letter_id is not None:
            self.index.letter(letter_id)
        if is_no_question(question.folded):
            return self._refuse(question, clock, "not_a_question", 0.0), []
        letters = self.letters_in_scope(question, letter_id)
        if isinstance(letters, str):
            return self._refuse(question, clock, "wrong_scope", 0.0, missing=letters), []
        question, hits, reads = self.consider(question, letters, letter_id, k or self.settings.top_k)
        clock.retrieved()
        choice = from_field(self.index, question, hits, letters) or by_date(
            self.index, question, choose(self.index, question, reads, self.reads), letters
        )
        if choice.confidence < self.settings.min_confidence:
            return self._refuse(question, clock, "no_evidence", choice.confidence), hits
        return self._answer(question, clock, choice), hits

    def letters_in_scope(self, question: Question, letter_id: str | None) -> LetterIds | str:
        """The ids of the letters that speak of all the question names; or what the best of them lacks.

        Letters whose title, issuer or addressee is what the question names come before those that only mention it.
        """
        letters = (
            self.index.ids if letter_id is None else self.index.chosen(self.index.numbers_of([letter_id]))
        )
        if not is_scoped(question):
            return letters
        found = in_scope(question, self.index.heads, letters.numbers)
        return found if isinstance(found, str) else self.index.chosen(found)

    def consider(
        self, question: Question, letters: Sequence[str], letter_id: str | None, k: int
    ) -> tuple[Question, list[Hit], list[Read]]:
        """The question as searched for, its typing errors mended; the hits in the letters named by id, and what was read."""
        question = self.without_own_names(question, letters)
        read, hits, reads = self.hits(question, letters, letter_id, k)
        mended = mend(question.asked, (measure_text(h.letter, h.measure) for h in hits))
        if mended == question.asked:
            return read, hits, reads
        return self.hits(with_words(question, mended), letters, letter_id, k)

    def without_own_names(self, question: Question, letters: Sequence[str]) -> Question:
        """The question without the names that all the letters bear: they tell no measure from another, and no measure repeats them."""
        heads, numbers = self.index.heads, self.index.numbers_of(letters)
        names = [n for n in question.names if heads.headed(short(n))[numbers].all()]
        first = place_of(self.index.letters[int(numbers[0])]) if len(numbers) else ""
        places = [first] if first and heads.one_place(numbers) else []
        asked, folded = question.asked, question.folded
        for name in filter(None, (*names, *places)):
            asked = asked.replace(name, " ").strip() or asked
            folded = without_place(folded, name)
        return replace(question, asked=asked, folded=folded)

    def hits(
        self, question: Question, letters: Sequence[str], letter_id: str | None, k: int
    ) -> tuple[Question, list[Hit], list[Read]]:
        """The question as it is read, the best ``k`` measures of the letters named by id, and what the reader says of the first.

        When the question names the place of the best one's letter, the others are of that place too.
        """
        asked = expand(question.asked, self.lexicon)
        chosen = letters if letter_id is None else [letter_id]
        found = search(self.index.within(chosen), question.text, k=k, asked=asked)
        place = place_of(found[0].letter) if found else ""
        if place and place in question.folded:
            found = [h for h in found if place_of(h.letter) == place]
        question = replace(
            question, folded=without_own(question.folded, place, {h.letter.date[:4] for h in found})
        )
        return question, *rerank(found, self.reads.read(question.folded, found))

    @cached_property
    def reads(self) -> Reads:
        """The bundled reader, opened when the first question comes."""
        return Reads(open_reader(self.index.embedder))

    def _answer(self, question: Question, clock: _Clock, choice: Choice) -> Answer:
        citations = tuple(
            Citation(n, p.letter, p.measure, p.sentence.start, p.sentence.end, p.short)
            for n, p in enumerate(choice.picks, 1)
        )
        for c in citations:
            verify_quote(c.letter, c.start, c.end, c.quote)
        answer = spoken(choice, [c.quote for c in citations], question.language)
        shorts = [c.short.of(c.letter.text) for c in citations if c.short]
        short = "；".join(dict.fromkeys(shorts))
        if question.language == "en" and (digits := in_digits(fold(short))):
            short = f"{short} ({digits})"
        quotes = [c.quote for c in citations]
        verify_text(answer, quotes)
        verify_text(short, quotes)
        return Answer(
            question=question.text,
            answer=answer,
            short_answer=short,
            refused=False,
            reason=None,
            confidence=choice.confidence,
            mode="extractive",
            citations=citations,
            timings_ms=clock.read(),
            index=self._described,
        )

    def refuse(self, text: str, reason: str, confidence: float = 0.0) -> Answer:
        """Return a refusal of a question for one of :data:`REASONS`.

        Raises:
            QuestionError: empty or too long.
        """
        return self._refuse(understand(text, self.settings.max_question_chars), _Clock(), reason, confidence)

    def _refuse(
        self, question: Question, clock: _Clock, reason: str, confidence: float, *, missing: str = ""
    ) -> Answer:
        issuers = self.index.heads.issuers(4)
        told = "、".join(issuers[:3]) + (MORE[question.language] if len(issuers) > 3 else "")
        sentences = self.refusals[question.language]
        said = sentences[reason] if issuers else sentences.get(NO_LETTERS, sentences[reason])
        return Answer(
            question=question.text,
            answer=said.format(missing=missing, issuers=told),
            short_answer="",
            refused=True,
            reason=reason,
            confidence=confidence,
            mode="extractive",
            citations=(),
            timings_ms=clock.read(),
            index=self._described,
        )


class _Clock:
    """Times of one question, in milliseconds."""

    def __init__(self) -> None:
        self._start = self._between = time.perf_counter()

    def retrieved(self) -> None:
        self._between = time.perf_counter()

    def read(self) -> dict[str, float]:
        now = time.perf_counter()
        times = {
            "retrieve": self._between - self._start,
            "answer": now - self._between,
            "total": now - self._start,
        }
        return {name: round(1000 * t, 2) for name, t in times.items()}


def load_refusals(folder: Path | None) -> dict[str, dict[str, str]]:
    """Read ``refusals.toml``: by language and reason, one sentence each.

    Raises:
        PromptError: naming all that is missing or unknown in the file.
    """
    path = (folder or shipped_prompts()) / "refusals.toml"
    try:
        found: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PromptError(f"{path} cannot be read ({error})", "a TOML file") from error
    told = {lang: found[lang] if isinstance(found.get(lang), dict) else {} for lang in ("zh", "en")}
    wrong = [
        f"{lang}.{reason}{fault}"
        for lang, sentences in told.items()
        for reason in (*REASONS, *({NO_LETTERS} & sentences.keys()))
        if (fault := _fault(sentences.get(reason))) is not None
    ]
    if wrong:
        raise PromptError(
            f"{path} lacks or misuses {', '.join(wrong)}",
            f"a sentence for each, with no other variables than {', '.join(sorted(_ALLOWED))}",
        )
    return told


def _fault(sentence: Any) -> str | None:
    """What is wrong with a sentence: nothing (None), its unknown variables, or that it is none."""
    try:
        unknown = {name for _, name, _, _ in Formatter().parse(sentence) if name is not None} - _ALLOWED
    except (TypeError, ValueError) as error:
        return f" ({error})"
    return ": " + ", ".join(f"{{{name}}}" for name in sorted(unknown)) if unknown else None


def shipped_prompts() -> Path:
    """The folder of the prompts that come with the program: a link to ``prompts/``, so that a wheel holds them too."""
    return Path(__file__).parent / "data" / "prompts"
