"""The whole flow as one LangChain ``Runnable``: invoke, batch, stream and their async forms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypedDict

from langchain_core.runnables import Runnable, RunnableGenerator, RunnableLambda

from rag.engine import Answer, Engine


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

    def ask(given: str | ChainInput) -> Answer:
        if isinstance(given, str):
            return opened.ask(given)
        return opened.ask(given["question"], letter_id=given.get("letter_id"), k=given.get("k"))

    def parts(answers: Iterator[Answer]) -> Iterator[dict[str, Any]]:
        for answer in answers:
            whole = answer.as_dict()
            yield {"question": whole.pop("question"), "citations": whole.pop("citations")}
            yield whole

    return RunnableLambda(ask).with_config(run_name="ask") | RunnableGenerator(parts)
