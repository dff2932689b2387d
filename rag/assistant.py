"""The whole flow for whoever talks to people: question, history and letters in; a checked answer out, whole or as it is made.

Follow-up → evidence → (with an LLM: write → verify → repair once) → answer, or refusal. Without evidence no model is asked. The
terminal, the HTTP service and the LangChain chain all answer through here; without an LLM nothing of LangChain is imported.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rag.converse import Meant, is_made_of, questions_of, resolve
from rag.engine import Answer, Engine
from rag.evidence import clean, sources_of, sources_of_lines, speaks_of
from rag.flow import Ask, Event, Flow, ModelFailure, Sent, Write
from rag.overview import Line, answer_of, lines_of
from rag.question import understand
from rag.rank import Hit
from rag.settings import Settings

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from rag.claims import Source
    from rag.prompts import Prompts

History = Sequence[Mapping[str, str]]


class Assistant:
    """Answers questions, with or without an LLM; keeps nothing between them.

    Args:
        engine: an opened engine.
        model: a LangChain chat model, or None to answer in the letters' own words.
        settings: prompts and time limits; default: the engine's.
    """

    def __init__(
        self, engine: Engine, model: BaseChatModel | None = None, settings: Settings | None = None
    ) -> None:
        self.engine = engine
        self.model = model
        self._settings = settings or engine.settings
        self._prompts = _prompts(self._settings) if model is not None else {}

    @classmethod
    def open(cls, settings: Settings | None = None, engine: Engine | None = None) -> Assistant:
        """Open the configured index and the configured model, if any.

        Raises:
            IndexStateError: missing, damaged or built otherwise.
            ModelError: a model that cannot be opened.
            PromptError: a prompt that cannot be used.
        """
        settings = settings or (engine.settings if engine else Settings())
        model = None
        if settings.uses_llm:
            from rag.llm import open_model

            model = open_model(settings)
        return cls(engine or Engine.open(settings), model, settings)

    def ask(
        self, question: str, *, history: History = (), letter_id: str | None = None, k: int | None = None
    ) -> Answer:
        """Answer a question, or refuse.

        Args:
            question: as typed.
            history: the messages before it, oldest first: ``{"role": "user" | "assistant", "content"}``.
            letter_id: only from this letter.
            k: measures to look at; default ``top_k``.

        Raises:
            QuestionError: empty, too long, or a history that is none.
            LetterError: there is no such letter.
        """
        found = None
        for event in self.stream(question, history=history, letter_id=letter_id, k=k):
            found = event.answer or found
        assert found is not None  # the last event holds it
        return found

    async def aask(
        self, question: str, *, history: History = (), letter_id: str | None = None, k: int | None = None
    ) -> Answer:
        """Answer as :meth:`ask` does, without holding up the event loop."""
        found = None
        async for event in self.astream(question, history=history, letter_id=letter_id, k=k):
            found = event.answer or found
        assert found is not None  # the last event holds it
        return found

    def stream(
        self, question: str, *, history: History = (), letter_id: str | None = None, k: int | None = None
    ) -> Iterator[Event]:
        """Yield what there is to show, as it comes; the last event holds the whole answer. Raises as :meth:`ask` does."""
        flow = self._flow(question, history, letter_id, k)
        deadline = time.monotonic() + self._settings.llm_timeout_seconds
        text: Generator[str, None, None] | None = None
        sent: str | ModelFailure | None = None
        try:
            while True:
                asked = _step(flow, sent)
                if isinstance(asked, Answer):
                    yield _whole(asked)
                    return
                sent = None
                if isinstance(asked, Event):
                    yield asked
                    continue
                if isinstance(asked, Write):
                    if text is not None:
                        text.close()
                    text = _write(self._writer, asked, deadline)
                assert text is not None  # it writes before it asks for more
                try:
                    sent = next(text, None)
                except ModelFailure as failure:
                    sent = failure
        finally:
            if text is not None:
                text.close()

    async def astream(
        self, question: str, *, history: History = (), letter_id: str | None = None, k: int | None = None
    ) -> AsyncIterator[Event]:
        """Yield as :meth:`stream` does; searching and checking run in a thread, the model is awaited."""
        import asyncio

        flow = self._flow(question, history, letter_id, k)
        deadline = time.monotonic() + self._settings.llm_timeout_seconds
        text: AsyncGenerator[str, None] | None = None
        sent: str | ModelFailure | None = None
        try:
            while True:
                asked = await asyncio.to_thread(_step, flow, sent)
                if isinstance(asked, Answer):
                    yield _whole(asked)
                    return
                sent = None
                if isinstance(asked, Event):
                    yield asked
                    continue
                if isinstance(asked, Write):
                    if text is not None:
                        await text.aclose()
                    text = _awrite(self._writer, asked, deadline)
                assert text is not None  # it writes before it asks for more
                try:
                    sent = await anext(text, None)
                except ModelFailure as failure:
                    sent = failure
        finally:
            if text is not None:
                await text.aclose()

    @property
    def _writer(self) -> BaseChatModel:
        assert self.model is not None  # the flow writes only with one
        return self.model

    def _flow(self, question: str, history: History, letter_id: str | None, k: int | None) -> Flow:
        before = questions_of(history, self._settings.max_question_chars)
        understand(question, self._settings.max_question_chars)  # refuses what cannot be asked at all
        asked = yield from self._meant(question, before)
        if not asked:
            return self.engine.refuse(question, "not_a_question")
        found = self._evidence(asked, letter_id, k)
        if found.answer.question != question:
            yield Event("status", {"state": "understood", "detail": found.answer.question})
        sources = found.sources() if self.model is not None and not found.answer.refused else []
        if not sources:
            yield from _shown(found.answer)
            return replace(found.answer, question=question)
        from rag.compose import compose

        start = time.perf_counter()
        prompt, language = "summarise" if found.lines else "write", understand(question).language
        told = yield from compose(found.answer, sources, self._prompts, prompt=prompt, language=language)
        return replace(told, question=question, timings_ms=_with_writing(told, start))

    def _meant(
        self, question: str, before: Sequence[str]
    ) -> Generator[Event | Write | Ask, Sent, Sequence[Meant]]:
        """What a question may mean, the likeliest first; the model is asked only when no rule tells."""
        resolved = resolve(question, before)
        if resolved or self.model is None or not before:
            return resolved
        talk = "\n".join(f"- {q}" for q in before)
        prompt = self._prompts["condense", understand(question).language]
        sent = yield Write(prompt.messages(history=talk, question=question))
        text = ""
        while isinstance(sent, str) and len(text) < self._settings.max_question_chars:
            text += sent
            sent = yield Ask.NEXT
        whole = text.strip().strip('“”"')
        return [Meant(whole)] if sent is None and is_made_of(whole, [*before, question]) else []

    def _evidence(self, asked: Sequence[Meant], letter_id: str | None, k: int | None) -> _Found:
        """What the letters say to the first of the questions they answer; their refusal of the first when they answer none."""
        refused: Answer | None = None
        for meant in asked:
            lines = lines_of(self.engine, meant.question, letter_id)
            if lines:
                answer = answer_of(lines, self.engine.refuse(meant.question, "no_evidence"))
                return _Found(answer, lines=lines)
            answer, hits = self.engine.find(meant.question, letter_id=letter_id, k=k)
            if not answer.refused:
                kept = clean(answer)
                if kept is not None and (not meant.topic or speaks_of(kept, meant.topic)):
                    return _Found(kept, hits=hits)
                answer = self.engine.refuse(meant.question, "no_evidence", answer.confidence)
            refused = refused or answer
        assert refused is not None  # there is one question at least
        return _Found(refused)


@dataclass(frozen=True, slots=True)
class _Found:
    """The answer that the evidence allows, and what it was found in: hits, or the lines of a summary."""

    answer: Answer
    hits: Sequence[Hit] = ()
    lines: Sequence[Line] = ()

    def sources(self) -> list[Source]:
        """What a model may see and cite."""
        return sources_of_lines(self.lines) if self.lines else sources_of(self.answer, self.hits)


def _prompts(settings: Settings) -> Prompts:
    from rag.prompts import load_prompts

    return load_prompts(settings.prompts_dir)


def _write(model: BaseChatModel, asked: Write, deadline: float) -> Generator[str, None, None]:
    from rag.llm import write

    return write(model, asked.messages, deadline)


def _awrite(model: BaseChatModel, asked: Write, deadline: float) -> AsyncGenerator[str, None]:
    from rag.llm import awrite

    return awrite(model, asked.messages, deadline)


def _step(flow: Flow, sent: Sent) -> Event | Write | Ask | Answer:
    """Run the flow to its next wish, or to its end."""
    try:
        return flow.send(sent)
    except StopIteration as end:
        answer: Answer = end.value
        return answer


def _shown(answer: Answer) -> Iterator[Event]:
    """The events of an answer in the letters' own words, or of a refusal."""
    if answer.citations:
        yield Event("citations", {"citations": [c.as_dict() for c in answer.citations]})
    for n, line in enumerate(answer.answer.split("\n")):
        yield Event("sentence", {"text": f"\n{line}" if n else line})


def _whole(answer: Answer) -> Event:
    return Event("answer", answer.as_dict(), answer)


def _with_writing(answer: Answer, start: float) -> dict[str, float]:
    spent = round(1000 * (time.perf_counter() - start), 2)
    times = answer.timings_ms
    return {**times, "write": spent, "total": round(times.get("total", 0.0) + spent, 2)}
