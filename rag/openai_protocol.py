"""OpenAI's chat protocol: what its clients send, and an answer as they expect it, with its citations.

The text ends in footnotes with links to the sentence. The citations stand as data too, in the message as OpenAI's own
``annotations`` and beside it in full as ``citations``, in a stream before any text.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Iterator
from typing import Any, Literal
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field

from rag import problems
from rag.engine import Answer, Citation
from rag.errors import RagError

MODEL = "letter-rag"
_ACTIVE = re.compile(
    r"<|!\[|(?<=\])[(:]"
)  # what Markdown would take for a tag, a picture, a link or where one leads


class TextPart(BaseModel):
    """A part of a message; only text is read."""

    model_config = ConfigDict(extra="allow")

    type: str
    text: str = ""


class Message(BaseModel):
    """A message of a conversation."""

    model_config = ConfigDict(extra="allow")

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[TextPart] | None = None

    @property
    def text(self) -> str:
        """All its text."""
        if isinstance(self.content, list):
            return "\n".join(p.text for p in self.content if p.type in ("text", "input_text"))
        return self.content or ""


class StreamOptions(BaseModel):
    """What a client wants of a stream."""

    model_config = ConfigDict(extra="allow")

    include_usage: bool | None = False


class CompletionRequest(BaseModel):
    """The body of ``POST /v1/chat/completions``; other fields of the protocol are accepted and change nothing."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {"model": MODEL, "messages": [{"role": "user", "content": "今年上半年新增就业多少人?"}]}
            ]
        },
    )

    model: str = MODEL
    messages: list[Message] = Field(min_length=1, max_length=1000)
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    letter_id: str | None = Field(None, description="answer from this letter only")


def completion(answer: Answer, asked: str, base: str) -> dict[str, Any]:
    """A whole ``chat.completion``.

    Args:
        answer: the answer.
        asked: the text of the question, for the usage.
        base: the address of the service, for the links.
    """
    text, notes = content(answer, base)
    message = {"role": "assistant", "content": text, "refusal": None, "annotations": notes}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    head = _head(answer, "chat.completion")
    return {**head, "choices": [choice], "usage": _usage(asked, text), **_extras(answer)}


def chunks(answer: Answer, asked: str, base: str, *, usage: bool) -> Iterator[str]:
    """The same as server-sent events, the citations first and ``[DONE]`` last."""
    text, notes = content(answer, base)
    head = _head(answer, "chat.completion.chunk")

    def chunk(delta: dict[str, Any], reason: str | None = None, **more: Any) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}
        return data({**head, "choices": [choice], **more})

    yield chunk({"role": "assistant", "content": "", "annotations": notes}, **_extras(answer))
    for line in text.splitlines(keepends=True):
        yield chunk({"content": line})
    yield chunk({}, "stop")
    if usage:
        yield data({**head, "choices": [], "usage": _usage(asked, text)})
    yield "data: [DONE]\n\n"


def failed(error: RagError) -> Iterator[str]:
    """An error after a stream has begun, as OpenAI's own service tells it."""
    status, detail = problems.told(error)
    yield data({"error": problems.openai_error(status, detail)})
    yield "data: [DONE]\n\n"


def data(found: dict[str, Any]) -> str:
    """One server-sent event."""
    return f"data: {json.dumps(found, ensure_ascii=False)}\n\n"


def models() -> dict[str, Any]:
    """The list of models: one."""
    return {"object": "list", "data": [model()]}


def model() -> dict[str, Any]:
    """The one model."""
    return {"id": MODEL, "object": "model", "created": 0, "owned_by": MODEL}


def content(answer: Answer, base: str) -> tuple[str, list[dict[str, Any]]]:
    """The text with its footnotes, and the annotations that point at the marks in it."""
    lines = [plain(answer.answer)]
    if answer.short_answer and answer.short_answer not in answer.answer.split("\n"):
        lines.insert(0, f"**{plain(answer.short_answer)}**\n")
    if answer.citations:
        lines.append("")
        lines += [f"[{c.n}] [{_place(c)}]({link(c, base)})" + "  " for c in answer.citations]
    text = "\n".join(lines).rstrip()
    return text, [_annotation(c, text, base) for c in answer.citations]


def plain(text: str) -> str:
    """Text that Markdown shows as it is: what would become a tag, a picture or a link is escaped."""
    return _ACTIVE.sub(lambda m: "\\" + m[0], text)


def link(citation: Citation, base: str) -> str:
    """The address of a sentence."""
    return f"{base}/letters/{quote(citation.letter.id, safe='')}#c={citation.start}-{citation.end}"


def _place(c: Citation) -> str:
    """Where a quote stands, as words for a link."""
    where = c.measure.heading or c.measure.section or c.measure.path
    words = " · ".join(filter(None, (c.letter.issuer or c.letter.title, c.letter.date, where)))
    return re.sub(r"([\[\]<])", r"\\\1", words)


def _annotation(c: Citation, text: str, base: str) -> dict[str, Any]:
    """OpenAI's form of a citation: a link, and the range of the text that it stands for."""
    mark = f"[{c.n}]"
    at = max(text.find(mark), 0)
    cited = {"start_index": at, "end_index": at + len(mark), "url": link(c, base), "title": c.letter.title}
    return {"type": "url_citation", "url_citation": cited}


def _extras(answer: Answer) -> dict[str, Any]:
    whole = answer.as_dict()
    return {name: whole[name] for name in ("citations", "short_answer", "confidence", "refused", "reason")}


def _head(answer: Answer, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "object": kind,
        "created": int(time.time()),
        "model": MODEL,
        "system_fingerprint": answer.index["generation"],
    }


def _usage(asked: str, text: str) -> dict[str, int]:
    """Characters, for want of tokens."""
    return {
        "prompt_tokens": len(asked),
        "completion_tokens": len(text),
        "total_tokens": len(asked) + len(text),
    }
