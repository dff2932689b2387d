"""Prompts: one file each, in Chinese and English, their variables checked when they are loaded.

A file ``<name>.<language>.md`` holds what the model is told first, a line of three dashes, and the request with its variables
in braces. A folder of one's own (``RAG_PROMPTS_DIR``) may hold any of them; those it lacks are the shipped ones.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rag.engine import shipped_prompts
from rag.errors import PromptError
from rag.flow import Messages

LANGUAGES = ("zh", "en")
VARIABLES: Mapping[str, frozenset[str]] = {
    "write": frozenset({"question", "sources"}),
    "summarise": frozenset({"question", "sources"}),
    "repair": frozenset({"question", "sources", "kept", "draft", "faults"}),
    "condense": frozenset({"history", "question"}),
}
_VARIABLE = re.compile(r"\{([a-z_]+)\}")
_LINE = "\n---\n"


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt: the standing orders and the request."""

    system: str
    user: str

    def messages(self, **values: str) -> Messages:
        """Return the messages for the model; values are put in as they are and never read as templates."""
        filled = _VARIABLE.sub(lambda m: values.get(m[1], m[0]), self.user)
        return [("system", self.system), ("human", filled)]


Prompts = Mapping[tuple[str, str], Prompt]


def load_prompts(folder: Path | None = None) -> Prompts:
    """Load every prompt in every language.

    Raises:
        PromptError: naming all files that cannot be read, and all variables that are missing or unknown.
    """
    found: dict[tuple[str, str], Prompt] = {}
    wrong: list[str] = []
    for name, wanted in VARIABLES.items():
        for language in LANGUAGES:
            path = _path(folder, f"{name}.{language}.md")
            try:
                found[name, language] = _read(path, wanted)
            except (OSError, ValueError) as error:
                wrong.append(f"{path.name}: {getattr(error, 'strerror', None) or error}")
    if wrong:
        raise PromptError(
            f"prompts cannot be used: {'; '.join(wrong)}",
            "orders, a line of three dashes, and a request with its variables",
            "correct the files, or unset RAG_PROMPTS_DIR to use the shipped ones",
        )
    return found


def _path(folder: Path | None, name: str) -> Path:
    own = folder / name if folder else None
    return own if own is not None and own.exists() else shipped_prompts() / name


def _read(path: Path, wanted: frozenset[str]) -> Prompt:
    text = path.read_text(encoding="utf-8").replace("\r\n", "\n")
    system, line, user = text.partition(_LINE)
    if not line:
        raise ValueError("has no line of three dashes")
    used = set(_VARIABLE.findall(user))
    told = [f"lacks {{{n}}}" for n in sorted(wanted - used)]
    told += [f"has the unknown {{{n}}}" for n in sorted((used - wanted) | set(_VARIABLE.findall(system)))]
    if told:
        raise ValueError(", ".join(told))
    return Prompt(system.strip(), user.strip())
