"""The whole flow as one LangChain ``Runnable``: invoke, batch, stream and their async forms."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, TypedDict

from langchain_core.runnables import Runnable, RunnableGenerator, RunnableLambda
from langchain_core.runnables.utils import AddableDict

from rag.engine import Engine


class ChainInput(TypedDict, total=False):
    """What the chain takes besides a plain question."""

    question: str
    letter_id: str | None
    k: int | None


def build_chain(engine: Engine | None = None) -> Runnable[str | ChainInput, dict[str, Any]]:
    """Build the chain.

    Args:
        engine: an opened engine; default: the configured index.

    Returns:
        A Runnable from a question (or a :class:`ChainInput`) to the answer as in the JSON contract. ``stream`` yields
        the parts of that answer as they are ready, each a dict to merge: citations first, so that no text comes
        before its proof.
    """
    opened = engine or Engine.open()

    def ask(given: str | ChainInput) -> dict[str, Any]:
        if isinstance(given, str):
            return opened.ask(given).as_dict()
        return opened.ask(given["question"], letter_id=given.get("letter_id"), k=given.get("k")).as_dict()

    def parts(whole: dict[str, Any]) -> Iterator[AddableDict]:
        first = ("question", "citations")
        yield AddableDict({name: whole[name] for name in first})
        yield AddableDict({name: value for name, value in whole.items() if name not in first})

    def stream(answers: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        for answer in answers:
            yield from parts(answer)

    async def astream(answers: AsyncIterator[dict[str, Any]]) -> AsyncIterator[dict[str, Any]]:
        async for answer in answers:
            for part in parts(answer):
                yield part

    asking = RunnableLambda(ask).with_config(run_name="ask")
    return asking | RunnableGenerator(stream, astream)
