"""A conversation in the terminal: a question a line, answered sentence by sentence as it is made and checked."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TextIO

from rag.assistant import Assistant
from rag.engine import Answer
from rag.errors import LetterError, QuestionError
from rag.flow import Event
from rag.terminal import Style, show_answer, show_places

_HELP = "A question a line; /new forgets what was said, /quit or Ctrl-D ends."


def talk(
    assistant: Assistant,
    lines: TextIO,
    *,
    letter_id: str | None = None,
    k: int | None = None,
    quiet: bool = False,
) -> Iterator[Answer]:
    """Answer line after line, each with what was said before it, and yield the answers.

    Args:
        assistant: who answers.
        lines: the questions.
        letter_id: only from this letter.
        k: measures to look at.
        quiet: show nothing on stdout.
    """
    style = Style()
    asking = lines.isatty()
    history: list[dict[str, str]] = []
    if asking:
        print(_HELP, file=sys.stderr)
    while line := _line(lines, asking):
        question = line.strip()
        if question in ("/quit", "/exit"):
            return
        if question == "/new":
            history.clear()
        if not question or question.startswith("/"):
            continue
        try:
            events = assistant.stream(question, history=history, letter_id=letter_id, k=k)
            answer = _answered(events, None if quiet else style)
        except (QuestionError, LetterError) as error:
            print(f"rag: {error}", file=sys.stderr)
            continue
        history += [{"role": "user", "content": question}, {"role": "assistant", "content": answer.answer}]
        yield answer


def _line(lines: TextIO, asking: bool) -> str:
    if asking:
        print("> ", end="", file=sys.stderr, flush=True)
    return lines.readline()


def _answered(events: Iterator[Event], style: Style | None) -> Answer:
    answer = None
    spoken = False
    for event in events:
        answer = event.answer or answer
        if style is not None:
            spoken = _show(event, style, spoken)
    assert answer is not None  # the last event holds it
    return answer


def _show(event: Event, style: Style, spoken: bool) -> bool:
    """Show what an event brings; says whether sentences have been shown."""
    if event.kind == "sentence":
        print(event.data["text"], end="", flush=True)
        return True
    if event.data.get("state") == "understood":
        print(style.dim(event.data["detail"]))
    if event.answer is not None:
        print(_end(event.answer, style, spoken))
    return spoken


def _end(answer: Answer, style: Style, spoken: bool) -> str:
    """What follows the sentences: the places; or the letter's own words, when those of a model did not stand."""
    if answer.refused:
        return "\n"
    if spoken and answer.reason is None:
        return f"\n\n{show_places(answer, style)}\n"
    gap = f"\n{style.dim('—')}\n" if spoken else ""
    return f"{gap}{show_answer(answer, style)}\n"
