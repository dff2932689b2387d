"""How the service and MCP ask: the one place where a request becomes an answer."""

from __future__ import annotations

from collections.abc import Sequence

from rag.engine import Answer, Engine
from rag.errors import QuestionError
from rag.question import understand


def answer(engine: Engine, question: str, letter_id: str | None = None, k: int | None = None) -> Answer:
    """Answer a question, or refuse.

    Raises:
        QuestionError: empty or too long.
        LetterError: there is no such letter.
    """
    return engine.ask(question, letter_id=letter_id, k=k)


def check(engine: Engine, question: str, letter_id: str | None = None) -> None:
    """Raise what :func:`answer` would raise, before a stream is begun."""
    understand(question, engine.settings.max_question_chars)
    if letter_id is not None:
        engine.index.letter(letter_id)


def question_of(messages: Sequence[tuple[str, str]]) -> str:
    """The question in a conversation of roles and texts: what its user said last.

    Raises:
        QuestionError: nobody asked anything.
    """
    for role, text in reversed(messages):
        if role == "user":
            return text
    raise QuestionError("no message is of the role user", "a question in the last one")
