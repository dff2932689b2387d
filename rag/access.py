"""Who may read and who may write, as dependencies of the endpoints."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from rag.service import Service

_bearer = HTTPBearer(auto_error=False, description="a key of rag key new")
Bearer = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


def reader(service: Service) -> Any:
    """The dependency of what only reads."""

    def may_read(given: Bearer) -> None:
        if service.settings.read_needs_key:
            service.need_key(secret_of(given))

    return Depends(may_read)


def writer(service: Service) -> Any:
    """The dependency of what writes."""

    def may_write(given: Bearer) -> None:
        service.need_key(secret_of(given))

    return Depends(may_write)


def secret_of(given: HTTPAuthorizationCredentials | None) -> str | None:
    """The key that came with a request."""
    return given.credentials if given else None
