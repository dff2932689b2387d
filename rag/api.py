"""The HTTP service: the page, answers, search, letters, OpenAI's protocol and MCP, behind one guard.

Every error is RFC 9457 problem+json (:mod:`rag.problems`). Reading is open by default; whatever writes needs a key.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from copy import copy
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.middleware.cors import CORSMiddleware

import rag
from rag import problems, traces
from rag.embed import Embedder
from rag.guard import Guard
from rag.problems import Problem
from rag.routes import add_routes
from rag.service import Service
from rag.settings import Settings
from rag.telemetry import Telemetry


def create_app(settings: Settings | None = None, embedder: Embedder | None = None) -> FastAPI:
    """Build the application over the configured index."""
    settings = settings or Settings()
    service = Service(settings, embedder)
    app = FastAPI(
        title="letter-rag",
        version=rag.__version__,
        description="Cited answers to questions about government reply letters (复函).",
        docs_url=None,  # its page fetches scripts from elsewhere
        redoc_url=None,
        lifespan=_lifespan(service),
        responses=problems.described(400, 401, 408, 413, 422, 429, 500, 503),
        redirect_slashes=False,
        telemetry=traces.tracing(log_questions=settings.log_questions),
    )
    problems.add_handlers(app)
    add_routes(app, service)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign] # FastAPI's own way to change it
    app.add_middleware(Guard, settings=settings)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type"],
        )
    app.add_middleware(Telemetry, metrics=service.metrics, settings=settings)
    return app


def _lifespan(service: Service) -> Callable[[FastAPI], contextlib.AbstractAsyncContextManager[None]]:
    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.work.start(service.warm_up)
        yield
        await service.mcp.close()
        service.work.close()

    return lifespan


def _openapi(app: FastAPI) -> dict[str, Any]:
    """The document of the routes, with the one shape of errors."""
    if not app.openapi_schema:
        document = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=[_without_head(r) for r in app.routes],
        )
        schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        document["components"]["schemas"] |= schema.pop("$defs") | {"Problem": schema}
        app.openapi_schema = document
    return app.openapi_schema


def _without_head(route: Any) -> Any:
    """A route as the document shows it: HEAD goes without saying."""
    if not isinstance(route, APIRoute):
        return route
    shown = copy(route)
    shown.methods = (route.methods or set()) - {"HEAD"}
    return shown
