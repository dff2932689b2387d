"""Errors over HTTP: RFC 9457 problem+json of one shape, whatever the cause.

``type``, ``title``, ``status``, ``detail`` and, for a body or parameter that is not as expected, ``errors``: where and what.
Under ``/v1`` there is ``error`` besides, the same once more as OpenAI's clients read it. Never a path of this machine, a stack or a key.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.types import Scope

from rag.errors import (
    IndexBusy,
    IndexDamaged,
    IndexMismatch,
    IndexMissing,
    LetterError,
    QuestionError,
    RagError,
    StoreUnavailable,
)

MEDIA_TYPE = "application/problem+json"
_NO_INDEX = {
    IndexMissing: "there is no index yet; run: rag index",
    IndexDamaged: "the index is damaged; run: rag index --rebuild",
    IndexMismatch: "the index was built by another version or model; run: rag index --rebuild",
    IndexBusy: "another process is changing the letters; try again when it is done",
    StoreUnavailable: "the letters cannot be reached now; ask again",
}
_UNAVAILABLE = "the service is not set up; run: rag doctor"


class ProblemError(BaseModel):
    """One thing that is not as expected."""

    at: str = Field(description="where: body/question, query/k")
    detail: str


class OpenaiError(BaseModel):
    """The same error as OpenAI's clients read it."""

    message: str
    type: str
    code: str | None = None
    param: str | None = None


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str = Field("about:blank", examples=["about:blank"])
    title: str = Field(description="the phrase of the status")
    status: int
    detail: str = Field(description="one line for a person")
    errors: list[ProblemError] | None = None
    error: OpenaiError | None = Field(None, description="under /v1 only")


def body(status: int, detail: str, errors: list[dict[str, str]] | None = None) -> dict[str, Any]:
    """The members of a problem."""
    phrase = HTTPStatus(status).phrase
    found: dict[str, Any] = {"type": "about:blank", "title": phrase, "status": status, "detail": detail}
    return found | ({"errors": errors} if errors else {})


def problem(
    scope: Scope,
    status: int,
    detail: str,
    errors: list[dict[str, str]] | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    """A problem as the response to a request of this scope."""
    found = body(status, detail, errors)
    if scope["path"].startswith("/v1/"):
        found["error"] = openai_error(status, detail)
    # ASCII: what a person sent may hold half a surrogate pair, which UTF-8 cannot say.
    content = json.dumps(found)
    return Response(content, status, headers, MEDIA_TYPE)


def openai_error(status: int, detail: str) -> dict[str, str | None]:
    """The same error as OpenAI's clients read it."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {"message": detail, "type": kind, "code": None, "param": None}


def told(error: RagError) -> tuple[int, str]:
    """The status and the one line for a known error; paths of this machine stay in the log."""
    if isinstance(error, QuestionError):
        return 422, str(error)
    if isinstance(error, LetterError):
        return 404, str(error)
    return 503, next((text for kind, text in _NO_INDEX.items() if isinstance(error, kind)), _UNAVAILABLE)


def described(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The entries of an OpenAPI operation for problems of these statuses."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {s: {"description": HTTPStatus(s).phrase, "content": content} for s in statuses}


def add_handlers(app: FastAPI) -> None:
    """Make every error of an application a problem."""

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> Response:
        wrong = [{"at": "/".join(str(x) for x in e["loc"]), "detail": e["msg"]} for e in error.errors()]
        broken = any(e["type"] == "json_invalid" for e in error.errors())
        detail = " ".join("; ".join(f"{w['at']}: {w['detail']}" for w in wrong).split())
        return problem(request.scope, 400 if broken else 422, detail, wrong)

    @app.exception_handler(HTTPException)
    def http(request: Request, error: HTTPException) -> Response:
        return problem(request.scope, error.status_code, str(error.detail), headers=dict(error.headers or {}))

    @app.exception_handler(RagError)
    def known(request: Request, error: RagError) -> Response:
        request.scope["rag.error"] = error
        return problem(request.scope, *told(error))
