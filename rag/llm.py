"""The chat model, if one is configured, and what may go wrong with it told in one line.

The key comes from the environment alone (``RAG_LLM_API_KEY``, or the provider's own variable for a LangChain name). It is no
setting, so that it stands in no file of the product, no log and no error. A service on this machine is asked without proxies.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import queue
import re
import threading
import time
from collections.abc import AsyncGenerator, Generator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from rag.errors import ModelError
from rag.flow import Messages, ModelFailure
from rag.settings import Settings

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

KEY = "RAG_LLM_API_KEY"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_CONNECT_SECONDS = 10.0
_AHEAD = 8  # pieces that are read before they are asked for
_LOOK_SECONDS = 0.2  # how often a waiting reader looks whether it is still wanted


def open_model(settings: Settings) -> BaseChatModel | None:
    """Open the configured chat model; None when there is none.

    Raises:
        ModelError: half a configuration, or a name that LangChain does not know.
    """
    if not settings.uses_llm:
        return None
    if not settings.llm_model:
        raise ModelError("RAG_LLM_BASE_URL is set but RAG_LLM_MODEL is not", "both", "set RAG_LLM_MODEL")
    if settings.llm_base_url:
        return _compatible(settings, settings.llm_base_url, settings.llm_model)
    return _named(settings, settings.llm_model)


def _compatible(settings: Settings, address: str, name: str) -> BaseChatModel:
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ModelError("RAG_LLM_BASE_URL is no address", "one such as http://127.0.0.1:8080/v1")
    import httpx2
    from langchain_openai import ChatOpenAI
    from pydantic import SecretStr

    timeout = httpx2.Timeout(settings.llm_timeout_seconds, connect=_CONNECT_SECONDS)
    # No connection is kept: a kept one belongs to the event loop that opened it, and answers come from many.
    common: dict[str, Any] = {
        "timeout": timeout,
        "trust_env": parts.hostname not in _LOOPBACK,
        "limits": httpx2.Limits(max_keepalive_connections=0),
    }
    return ChatOpenAI(
        model=name,
        base_url=address,
        api_key=SecretStr(os.environ.get(KEY) or "none"),
        temperature=0,
        max_retries=settings.llm_retries,
        timeout=timeout,
        http_client=httpx2.Client(**common),
        http_async_client=httpx2.AsyncClient(**common),
        extra_body={"max_tokens": settings.llm_max_tokens},
        stream_usage=False,
    )


def _named(settings: Settings, name: str) -> BaseChatModel:
    from langchain.chat_models import init_chat_model

    given: dict[str, Any] = {"api_key": os.environ[KEY]} if os.environ.get(KEY) else {}
    try:
        model: BaseChatModel = init_chat_model(
            name,
            temperature=0,
            timeout=settings.llm_timeout_seconds,
            max_retries=settings.llm_retries,
            max_tokens=settings.llm_max_tokens,
            **given,
        )
        return model
    except ImportError as error:
        found = re.search("langchain-[a-z-]+", str(error).replace("_", "-"))
        package = found[0] if found else "the LangChain package of its provider"
        raise ModelError(f"{name} needs {package}", "it installed", f"pip install {package}") from None
    except Exception as error:
        raise ModelError(
            f"RAG_LLM_MODEL {name} cannot be opened ({type(error).__name__})",
            "a LangChain name such as deepseek:deepseek-chat and the provider's key in the environment",
            f"set RAG_LLM_BASE_URL for a service of your own, or {KEY}",
        ) from None


def write(model: BaseChatModel, messages: Messages, deadline: float) -> Generator[str, None, None]:
    """Yield the text of a reply as it comes.

    The model is read in a thread of its own, so that the deadline holds whatever the service does.

    Args:
        model: the chat model.
        messages: (role, text).
        deadline: on :func:`time.monotonic`.

    Raises:
        ModelFailure: whatever happened.
    """
    pieces: queue.Queue[str | BaseException | None] = queue.Queue(_AHEAD)
    left = threading.Event()

    def put(piece: str | BaseException | None) -> bool:
        while not left.is_set():
            try:
                pieces.put(piece, timeout=_LOOK_SECONDS)
                return True
            except queue.Full:
                continue
        return False

    def read() -> None:
        try:
            for chunk in model.stream(messages):
                if not put(str(chunk.text)):
                    return
            put(None)
        except BaseException as error:  # it is raised where the text is read
            put(error)

    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(read,), daemon=True, name="rag-llm").start()
    try:
        while True:
            try:
                piece = pieces.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise ModelFailure(_late()) from None
            if piece is None:
                return
            if isinstance(piece, BaseException):
                raise ModelFailure(_told(piece)) from None
            yield piece
    finally:
        left.set()


async def awrite(model: BaseChatModel, messages: Messages, deadline: float) -> AsyncGenerator[str, None]:
    """Yield the text of a reply as it comes, without holding up the event loop.

    Raises:
        ModelFailure: whatever happened.
    """
    stream = model.astream(messages)
    try:
        while True:
            try:
                async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                    chunk = await anext(stream)
            except StopAsyncIteration:
                return
            except TimeoutError:
                raise ModelFailure(_late()) from None
            except Exception as error:
                raise ModelFailure(_told(error)) from None
            yield str(chunk.text)
    finally:
        close = getattr(stream, "aclose", None)
        if close is not None:
            await close()


def _late() -> str:
    return "the model did not finish in time"


def _told(error: BaseException) -> str:
    """What went wrong, in one line; nothing of what the service sent is repeated."""
    status = getattr(error, "status_code", None)
    name = type(error).__name__
    if status == 429:
        return "the model's service takes no more requests for now (HTTP 429)"
    if status in (401, 403):
        return f"the model's service refused the key (HTTP {status})"
    if isinstance(status, int):
        return f"the model's service answered with HTTP {status}"
    if "Timeout" in name:
        return _late()
    if any(word in name for word in ("Connect", "Protocol", "Network", "Read", "Close", "Transport")):
        return "the model's service cannot be reached, or broke off"
    return f"the model's service sent no usable reply ({name})"
