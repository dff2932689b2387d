"""Settings: environment variables with the prefix ``RAG_``, or a ``.env`` file in the working folder.

A frozen dataclass that reads them as ``pydantic-settings`` would: importing that takes a sixth of the time of a cold question.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from rag.errors import DataError

BUNDLED_MODEL = Path(__file__).parent / "models" / "embedder"
BUNDLED_READER = Path(__file__).parent / "models" / "reader"

_PREFIX = "RAG_"
_YES, _NO = ("1", "true", "t", "yes", "y", "on"), ("0", "false", "f", "no", "n", "off")


def Field(default: Any, *, description: str, **bounds: float) -> Any:  # noqa: N802 (as it is named elsewhere)
    """A setting: its default, what it is, and its bounds ``ge``, ``gt`` and ``le``."""
    return dataclasses.field(default=default, metadata={"description": description, **bounds})


@dataclasses.dataclass(frozen=True, init=False)
class Settings:
    """All settings; each is read from ``RAG_`` and its name in capitals.

    Args:
        _env_file: a file of lines like ``RAG_TOP_K=5``; what the environment says comes before it. None reads none.
        given: settings by name; they come before both.

    Raises:
        DataError: a value that makes no sense; the message names the setting.
    """

    seeds_dir: Path = Field(Path("seeds"), description="folder that holds the letters")
    index_dir: Path = Field(Path("index"), description="folder that holds what the program built")
    store: str = Field(
        "",
        description="where the letters are kept: postgresql://…, or http://… of Milvus; default: in index_dir",
    )
    prompts_dir: Path | None = Field(None, description="your own prompts; default: those shipped")
    embedding_model: str = Field(
        str(BUNDLED_MODEL), description="sentence-transformers model: hub name or folder"
    )
    lexicon: Path | None = Field(
        None, description="YAML file of everyday words and the official words to search for with them"
    )
    top_k: int = Field(5, ge=1, le=50, description="measures looked at for an answer")
    min_confidence: float = Field(0.5, ge=0, le=1, description="answers below this are refused (probability)")
    llm_base_url: str | None = Field(
        None, description="address of an OpenAI-compatible service, such as http://127.0.0.1:8080/v1"
    )
    llm_model: str | None = Field(
        None, description="name of the model there; without an address a LangChain name: provider:model"
    )
    llm_timeout_seconds: float = Field(
        60, gt=0, le=3600, description="for all that the model writes of one answer"
    )
    llm_retries: int = Field(2, ge=0, le=10, description="when the service is busy, with growing pauses")
    llm_max_tokens: int = Field(1024, ge=16, le=32768, description="longest text the model may write at once")
    max_question_chars: int = Field(2000, ge=1, description="longest question, in characters")
    host: str = Field("127.0.0.1", description="address the HTTP service binds to")
    port: int = Field(8000, ge=0, le=65535, description="port of the HTTP service; 0 picks one")
    keys_file: Path = Field(Path(".rag-keys.json"), description="file of the service's keys, hashed")
    read_needs_key: bool = Field(
        False, description="asking and reading over HTTP need a key, as writing does"
    )
    max_upload_mib: int = Field(20, ge=1, le=100, description="largest file of a letter taken in, in MiB")
    requests_per_minute: int = Field(
        300, ge=0, description="requests of one client, in each worker; 0: no limit"
    )
    client_concurrency: int = Field(16, ge=1, description="requests of one client at once, in each worker")
    max_concurrency: int = Field(
        128, ge=1, description="requests at once, in each worker; more are sent away (503)"
    )
    allowed_hosts: tuple[str, ...] = Field(
        (),
        description="JSON list of the names the service answers to; default: on loopback its own, else any",
    )
    cors_origins: tuple[str, ...] = Field(
        (), description="JSON list of origins whose pages may call the service; default: none"
    )
    trust_proxy: bool = Field(
        False, description="take the client's address from X-Forwarded-For, behind a proxy of your own"
    )
    log_format: Literal["human", "json"] = Field("human", description="how the service logs")
    log_questions: bool = Field(False, description="questions may stand in the log")

    def __init__(self, _env_file: str | Path | None = ".env", **given: Any) -> None:
        told = {**_file(_env_file), **os.environ}
        told = {k.upper(): v for k, v in told.items() if v and k.upper().startswith(_PREFIX)}
        kinds = _kinds()
        for field in dataclasses.fields(self):
            value: Any = given.get(field.name, told.get(_PREFIX + field.name.upper(), field.default))
            if value is not field.default:
                value = _read(field.name, kinds[field.name], value, field.metadata)
            object.__setattr__(self, field.name, value)

    def with_(self, **changed: Any) -> Settings:
        """Return these settings with some of them changed."""
        now = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return Settings(None, **{**now, **changed})

    @property
    def uses_llm(self) -> bool:
        """Whether a model is to write the answers."""
        return bool(self.llm_base_url or self.llm_model)


def _file(path: str | Path | None) -> Mapping[str, str | None]:
    if path is None or not Path(path).is_file():
        return {}
    from dotenv import dotenv_values

    try:
        return dotenv_values(path, encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"the file {path} is not UTF-8 text", "lines like RAG_TOP_K=5") from error


def _kinds() -> dict[str, str]:
    return {f.name: str(f.type) for f in dataclasses.fields(Settings)}


def _read(name: str, kind: str, value: Any, bounds: Mapping[str, Any]) -> Any:
    """Read a value as what a setting is."""
    wanted = _WANTED.get(kind, kind.replace("Literal", "one of "))
    try:
        found = _parsed(kind, value)
    except (ValueError, TypeError) as error:
        raise _wrong(name, value, wanted) from error
    if found is None:
        return None
    tests = (("ge", "at least", found.__ge__), ("gt", "more than", found.__gt__), ("le", "at most", found.__le__)) if kind in ("int", "float") else ()  # fmt: skip
    for bound, told, holds in tests:
        if bound in bounds and not holds(bounds[bound]):
            raise _wrong(name, value, f"{wanted}, {told} {bounds[bound]}")
    return found


_WANTED = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "tuple[str, ...]": 'a JSON list of strings, such as ["a", "b"]',
}


def _parsed(kind: str, value: Any) -> Any:
    if value is None and kind.endswith("| None"):
        return None
    kind = kind.removesuffix(" | None")
    if kind in ("Path", "str") and isinstance(value, str | Path):
        return Path(value) if kind == "Path" else str(value)
    if kind == "int" and not isinstance(value, bool):
        return int(value)
    if kind == "float":
        return float(value)
    if kind == "bool":
        return _truth(value)
    if kind.startswith("tuple"):
        return _strings(value)
    if kind.startswith("Literal") and value in json.loads(kind.removeprefix("Literal").replace("'", '"')):
        return value
    raise ValueError(value)


def _truth(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    folded = str(value).strip().lower()
    if folded not in _YES + _NO:
        raise ValueError(value)
    return folded in _YES


def _strings(value: Any) -> tuple[str, ...]:
    found = json.loads(value) if isinstance(value, str) else value
    if not isinstance(found, list | tuple) or not all(isinstance(x, str) for x in found):
        raise ValueError(value)
    return tuple(found)


def _wrong(name: str, value: Any, wanted: str) -> DataError:
    return DataError(f"{_PREFIX}{name.upper()} is {value!r}", wanted, f"set or unset {_PREFIX}{name.upper()}")
