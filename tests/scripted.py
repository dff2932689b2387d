"""Chat models for tests that write what the test says, in small pieces, and keep what they were asked."""

from collections.abc import Callable
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import Field


class Scripted(BaseChatModel):
    """Writes ``reply(prompt)``; ``asked`` holds the prompts, ``sent`` counts the pieces that were taken."""

    reply: Callable[[str], str]
    asked: list[str] = Field(default_factory=list)
    sent: list[str] = Field(default_factory=list)
    piece: int = 3

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _written(self, messages: list[Any]) -> str:
        self.asked.append("\n".join(str(m.content) for m in messages))
        return self.reply(self.asked[-1])

    def _generate(
        self,
        messages: list[Any],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **_: Any,
    ) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage(self._written(messages)))])

    def _stream(
        self,
        messages: list[Any],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **_: Any,
    ) -> Any:
        text = self._written(messages)
        for at in range(0, len(text), self.piece):
            self.sent.append(text[at : at + self.piece])
            yield ChatGenerationChunk(message=AIMessageChunk(text[at : at + self.piece]))


def writing(*replies, **given):
    """A model that writes these replies one after the other, the last one again and again."""
    left = list(replies)
    return Scripted(reply=lambda _: left.pop(0) if len(left) > 1 else left[0], **given)


def failing(error):
    """A model that raises."""

    def fail(_):
        raise error

    return Scripted(reply=fail)
