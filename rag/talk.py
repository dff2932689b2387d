"""A conversation in the terminal: a question a line, answered sentence by sentence as it is made and checked."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TextIO

from rag.assistant import Assistant
from rag.compose import Event
from rag.engine import Answer
from rag.errors import LetterError, QuestionError
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
            answer = _answered(assistant, question, history, letter_id, k, None if quiet else style)
        except (QuestionError, LetterError) as error:
            print(f"rag: {error}", file=sys.stderr)
            continue
        history += [{"role": "user", "content": question}, {"role": "assistant", "content": answer.answer}]
        yield answer


def _line(lines: TextIO, asking: bool) -> str:
    if asking:
        print("> ", end="", file=sys.stderr, flush=True)
    return lines.readline()


def _answered(
    assistant: Assistant,
    question: str,
    history: list[dict[str, str]],
    letter_id: str | None,
    k: int | None,
    style: Style | None,
) -> Answer:
    answer = None
    spoken = False
    for event in assistant.stream(question, history=history, letter_id=letter_id, k=k):
        answer = event.answer or answer
        if style is not None:
            spoken = _show(event, style, spoken)
    assert answer is not None  # the last event holds it
    return answer


def _show(event: Event, style: Style, spoken: bool) -> bool:
    """Show what an event brings; says whether sentences of a model have been shown."""
    state = event.data.get("state") if event.kind == "status" else ""
    if state == "understood":
        print(style.dim(event.data["detail"]))
    elif state == "extractive" and spoken:
        print(f"\n{style.dim('—')}")
    elif event.kind == "sentence":
        if event.data["text"] and event.answer is None and state == "":
            print(event.data["text"], end="", flush=True)
        return True
    elif event.answer is not None:
        end = event.answer
        if end.mode == "generated" or end.refused:
            print("\n" + ("" if end.refused else "\n" + show_places(end, style) + "\n"), end="")
        elif spoken and end.reason is None:
            print(f"\n\n{show_places(end, style)}\n")
        else:
            print(f"{show_answer(end, style)}\n")
    return spoken
