"""The endpoints of the service."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.routing import Route
from starlette.staticfiles import StaticFiles

from rag import asking, openai_protocol, schemas
from rag.access import reader
from rag.engine import Answer
from rag.events import HEADERS, answer_events, waited_for
from rag.problems import described
from rag.rank import hit_as_dict
from rag.service import WEB, Service
from rag.shelf import add_reading, add_writing, page

_EVENTS = {"content": {"text/event-stream": {"example": 'event: status\ndata: {"state": "reading"}\n\n'}}}


def add_routes(app: FastAPI, service: Service) -> None:
    """Add every endpoint."""
    _add_asking(app, service)
    add_reading(app, service)
    add_writing(app, service)
    _add_openai(app, service)
    _add_page(app)
    _add_state(app, service)
    _add_heads(app)


def _add_asking(app: FastAPI, service: Service) -> None:
    live, work, count = service.live, service.work, service.metrics.answered

    @app.post(
        "/chat",
        dependencies=[reader(service)],
        response_model=schemas.AnswerModel,
        responses={**described(403, 404), 200: _EVENTS},
        summary="Answer a question",
    )
    async def chat(body: schemas.ChatRequest, request: Request) -> Response:
        request.state.question = body.question
        history = [m.model_dump() for m in body.history]

        def answer() -> Any:
            return count(asking.answer(live.engine(), body.question, body.letter_id, body.k, history))

        if body.stream:
            engine = await work.run(
                request, lambda: asking.check(live.engine(), body.question, body.letter_id)
            )
            made = asking.stream(engine, body.question, body.letter_id, body.k, history)
            return StreamingResponse(
                answer_events(made, count), media_type="text/event-stream", headers=HEADERS
            )
        return JSONResponse((await work.run(request, answer)).as_dict())

    @app.get(
        "/search",
        dependencies=[reader(service)],
        response_model=schemas.SearchModel,
        responses=described(403, 404),
        summary="Find measures",
    )
    async def find(
        request: Request,
        q: Annotated[str, Query(description="what to search for", examples=["新增就业"])],
        k: Annotated[int, Query(ge=1, le=50)] = 5,
        letter: Annotated[str | None, Query(description="only this letter")] = None,
    ) -> Response:
        request.state.question = q
        hits = await work.run(request, lambda: live.engine().search(q, k=k, letter_id=letter))
        return JSONResponse({"query": q, "hits": [hit_as_dict(h) for h in hits]})


def _add_openai(app: FastAPI, service: Service) -> None:
    live, work, count = service.live, service.work, service.metrics.answered
    may_read = reader(service)

    @app.post(
        "/v1/chat/completions",
        dependencies=[may_read],
        responses={**described(403, 404), 200: _EVENTS},
        summary="Answer the last message of a conversation, by OpenAI's protocol",
    )
    async def complete(body: openai_protocol.CompletionRequest, request: Request) -> Response:
        asked, history = asking.question_of([(m.role, m.text) for m in body.messages])
        request.state.question = asked
        base = str(request.base_url).rstrip("/")

        def ask() -> Any:
            return count(asking.answer(live.engine(), asked, body.letter_id, history=history))

        if not body.stream:
            return JSONResponse(openai_protocol.completion(await work.run(request, ask), asked, base))
        await work.run(request, lambda: asking.check(live.engine(), asked, body.letter_id))
        usage = bool(body.stream_options and body.stream_options.include_usage)

        def chunks(answer: Answer) -> Iterator[str]:
            return openai_protocol.chunks(answer, asked, base, usage=usage)

        parts = waited_for(lambda: work.run(request, ask), chunks, openai_protocol.failed)
        return StreamingResponse(parts, media_type="text/event-stream", headers=HEADERS)

    @app.get("/v1/models", dependencies=[may_read], responses=described(403), summary="The one model")
    def models() -> dict[str, Any]:
        return openai_protocol.models()

    @app.get(
        "/v1/models/{model}",
        dependencies=[may_read],
        responses=described(403, 404),
        summary="The one model, by its name",
    )
    def model(model: str) -> dict[str, Any]:
        if model != openai_protocol.MODEL:
            raise HTTPException(404, f"there is no model {model!r}; there is {openai_protocol.MODEL}")
        return openai_protocol.model()


def _add_page(app: FastAPI) -> None:
    @app.get("/", include_in_schema=False)
    def home() -> Response:
        return page()

    app.mount("/web", PageFiles(directory=WEB))


class PageFiles(StaticFiles):
    """The files of the page; a browser asks each time whether it has the ones of this version, for they go together."""

    def file_response(self, *given: Any, **named: Any) -> Response:
        """Return the file, or that it has not changed."""
        response = super().file_response(*given, **named)
        response.headers["Cache-Control"] = "no-cache"
        return response


def _add_state(app: FastAPI, service: Service) -> None:
    @app.get("/healthz", response_model=schemas.StatusModel, summary="The process is up")
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get(
        "/readyz",
        response_model=schemas.StatusModel,
        summary="The index is open and holds letters, and their store answers",
    )
    def readyz() -> dict[str, Any]:
        service.live.reach()
        index = service.live.engine().index
        if not index.letters:
            raise HTTPException(503, "there are no letters; add one: rag add, or POST /letters")
        return {"status": "ok", "generation": index.generation}

    @app.get(
        "/metrics",
        dependencies=[reader(service)],
        response_class=PlainTextResponse,
        responses=described(403),
        summary="Counts and times for Prometheus",
    )
    def metrics() -> Response:
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    app.router.routes.append(Route("/mcp", service.mcp))


def _add_heads(app: FastAPI) -> None:
    """Answer HEAD wherever GET is answered, as HTTP asks; the server leaves the body away."""
    for route in app.routes:
        if isinstance(route, APIRoute) and route.methods and "GET" in route.methods:
            route.methods.add("HEAD")
