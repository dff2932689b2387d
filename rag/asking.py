"""How the service and MCP ask: the one place where a request becomes an answer."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Sequence
from functools import lru_cache
from typing import Any

from rag.assistant import Assistant, History
from rag.engine import Answer, Engine
from rag.errors import QuestionError
from rag.flow import Event
from rag.llm import open_model
from rag.question import understand
from rag.settings import Settings

_latest: deque[Assistant] = deque(
    maxlen=2
)  # one holds its engine, and that a generation: no more than are in use


@lru_cache(maxsize=4)
def _model(settings: Settings) -> Any:
    return open_model(settings)


def assistant(engine: Engine) -> Assistant:
    """Return who answers over an engine, with the configured LLM if there is one; it is kept for the engines asked last.

    Raises:
        ModelError: a model that cannot be opened.
        PromptError: a prompt that cannot be used.
    """
    for known in tuple(_latest):  # another thread may add one meanwhile
        if known.engine is engine:
            return known
    made = Assistant(engine, _model(engine.settings))
    _latest.append(made)
    return made


def answer(
    engine: Engine, question: str, letter_id: str | None = None, k: int | None = None, history: History = ()
) -> Answer:
    """Answer a question that may lean on the messages before it, or refuse.

    Raises:
        QuestionError: empty, too long, or a history that is none.
        LetterError: there is no such letter.
    """
    return assistant(engine).ask(question, history=history, letter_id=letter_id, k=k)


def stream(
    engine: Engine, question: str, letter_id: str | None = None, k: int | None = None, history: History = ()
) -> AsyncIterator[Event]:
    """Yield what there is to show of an answer as it comes; it ends with whoever listens."""
    return assistant(engine).astream(question, history=history, letter_id=letter_id, k=k)


def check(engine: Engine, question: str, letter_id: str | None = None) -> Engine:
    """Raise what :func:`answer` would raise, before a stream is begun; else give the engine back."""
    understand(question, engine.settings.max_question_chars)
    if letter_id is not None:
        engine.index.letter(letter_id)
    assistant(engine)
    return engine


def question_of(messages: Sequence[tuple[str, str]]) -> tuple[str, History]:
    """The question in a conversation of roles and texts: what its user said last, and what was said before it.

    Raises:
        QuestionError: nobody asked anything.
    """
    last = max((i for i, (role, _) in enumerate(messages) if role == "user"), default=-1)
    if last < 0:
        raise QuestionError("no message is of the role user", "a question in the last one")
    before = [{"role": r, "content": t} for r, t in messages[:last] if r in ("user", "assistant")]
    return messages[last][1], before
