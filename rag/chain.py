"""The whole flow as one LangChain ``Runnable``: invoke, batch, stream and their async forms."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any, TypedDict

from langchain_core.runnables import Runnable, RunnableGenerator, RunnableLambda

from rag.assistant import Assistant, History
from rag.engine import Engine
from rag.flow import Event

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel


class ChainInput(TypedDict, total=False):
    """What the chain takes besides a plain question."""

    question: str
    history: History
    letter_id: str | None
    k: int | None


class Part(dict[str, Any]):
    """Some keys of an answer; parts add up by their keys, later ones replacing earlier ones."""

    def __add__(self, other: dict[str, Any]) -> Part:
        return Part({**self, **other})


def build_chain(
    engine: Engine | None = None, model: BaseChatModel | None = None
) -> Runnable[str | ChainInput, dict[str, Any]]:
    """Build the chain.

    Args:
        engine: an opened engine; default: the configured index.
        model: a LangChain chat model that writes the answers; default: the configured one, if any.

    Returns:
        A Runnable from a question (or a :class:`ChainInput`) to the answer as in the JSON contract. ``stream`` yields
        the parts of that answer as they are ready, each a dict to merge: ``citations`` first, so that no text comes before its
        proof, then ``answer`` as far as it has been written and checked, and at last all of it.
    """
    opened = engine or Engine.open()
    assistant = Assistant(opened, model) if model is not None else Assistant.open(engine=opened)

    def stream(given: Iterator[ChainInput]) -> Iterator[Part]:
        for one in given:
            parts = _Parts(one["question"])
            for event in assistant.stream(**_arguments(one)):
                yield from parts.of(event)

    async def astream(given: AsyncIterator[ChainInput]) -> AsyncIterator[Part]:
        async for one in given:
            parts = _Parts(one["question"])
            async for event in assistant.astream(**_arguments(one)):
                for part in parts.of(event):
                    yield part

    reading = RunnableLambda(_read).with_config(run_name="question")
    return reading | RunnableGenerator(stream, astream).with_config(run_name="answer")


def _read(given: str | ChainInput) -> ChainInput:
    return {"question": given} if isinstance(given, str) else given


def _arguments(given: ChainInput) -> dict[str, Any]:
    return {
        "question": given["question"],
        "history": given.get("history") or (),
        "letter_id": given.get("letter_id"),
        "k": given.get("k"),
    }


class _Parts:
    """Events to parts: what is known so far, each time it grows."""

    def __init__(self, question: str) -> None:
        self._question = question
        self._citations: list[dict[str, Any]] = []
        self._answer = ""

    def of(self, event: Event) -> Iterator[Part]:
        """The parts that an event adds."""
        if event.kind == "citations":
            self._citations += event.data["citations"]
            yield Part(question=self._question, citations=list(self._citations))
        elif event.kind == "sentence":
            self._answer += event.data["text"]
            yield Part(answer=self._answer)
        elif event.kind == "answer":
            yield Part(event.data)
