"""What passes between a flow that makes an answer and whoever runs it: events to show, wishes for text, and failures.

A flow is a generator; it yields an :class:`Event`, or asks for text and is sent it in pieces. So one flow serves plain and
asynchronous callers alike.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from rag.engine import Answer

Messages = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Event:
    """Something to show while an answer is made.

    Attributes:
        kind: ``status``, ``citations``, ``sentence`` or ``answer``.
        data: of a status ``{"state", "detail"}``, the state being ``understood`` (the detail is the question made whole),
            ``writing``, ``repairing`` or ``extractive`` (the detail says in one line why the model's text is not used; the sentences
            shown so far are replaced by the answer); of citations ``{"citations": […]}``, those that are new; of a sentence
            ``{"text"}``, checked, with its marks, to be put behind the ones before as it is; of an answer the answer
            as in the JSON contract.
        answer: the same as an object, in the last event.
    """

    kind: str
    data: dict[str, Any]
    answer: Answer | None = None


@dataclass(frozen=True, slots=True)
class Write:
    """Asks for a text by the model; it is sent in pieces, None at its end, or a failure."""

    messages: Messages


class Ask(Enum):
    """What else a flow asks for."""

    NEXT = "the next piece of the text"


class ModelFailure(Exception):  # noqa: N818 (an outcome that the flow handles, never an error to a person)
    """The model gave no usable text; the message is one line without keys, prompts and addresses."""


Sent = str | ModelFailure | None
Flow = Generator[Event | Write | Ask, Sent, Answer]
