"""The endpoints of the service."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Path, Query, Request
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException
from starlette.routing import Route
from starlette.staticfiles import StaticFiles

from rag import arrivals, asking, openai_protocol, schemas
from rag.events import HEADERS, answer_events
from rag.letter import Letter
from rag.problems import described
from rag.rank import hit_as_dict
from rag.service import WEB, Service
from rag.summary import letter_detail, letter_summary

_bearer = HTTPBearer(auto_error=False, description="a key of rag key new")
Bearer = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
LetterId = Annotated[str, Path(description="id of a letter", examples=["wuhan-hrss-2025-07-31"])]
_EVENTS = {"content": {"text/event-stream": {"example": 'event: status\ndata: {"state": "reading"}\n\n'}}}
_UPLOAD = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            }
        },
    }
}


def add_routes(app: FastAPI, service: Service) -> None:
    """Add every endpoint."""
    _add_asking(app, service)
    _add_reading(app, service)
    _add_writing(app, service)
    _add_openai(app, service)
    _add_page(app)
    _add_state(app, service)


def _reader(service: Service) -> Any:
    """The dependency of what only reads."""

    def may_read(given: Bearer) -> None:
        if service.settings.read_needs_key:
            service.need_key(_secret(given))

    return Depends(may_read)


def _writer(service: Service) -> Any:
    """The dependency of what writes."""

    def may_write(given: Bearer) -> None:
        service.need_key(_secret(given))

    return Depends(may_write)


def _secret(given: HTTPAuthorizationCredentials | None) -> str | None:
    return given.credentials if given else None


def _add_asking(app: FastAPI, service: Service) -> None:
    live, work, count = service.live, service.work, service.metrics.answered

    @app.post(
        "/chat",
        dependencies=[_reader(service)],
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
            engine = await work.run(request, live.engine)
            asking.check(engine, body.question, body.letter_id)
            made = asking.stream(engine, body.question, body.letter_id, body.k, history)
            return StreamingResponse(
                answer_events(made, count), media_type="text/event-stream", headers=HEADERS
            )
        return JSONResponse((await work.run(request, answer)).as_dict())

    @app.get(
        "/search",
        dependencies=[_reader(service)],
        response_model=schemas.SearchModel,
        responses=described(403, 404),
        summary="Find measures",
    )
    async def find(
        request: Request,
        q: Annotated[str, Query(description="what to search for", examples=["零工驿站"])],
        k: Annotated[int, Query(ge=1, le=50)] = 5,
        letter: Annotated[str | None, Query(description="only this letter")] = None,
    ) -> Response:
        request.state.question = q
        hits = await work.run(request, lambda: live.engine().search(q, k=k, letter_id=letter))
        return JSONResponse({"query": q, "hits": [hit_as_dict(h) for h in hits]})


def _add_reading(app: FastAPI, service: Service) -> None:
    live = service.live
    reader = _reader(service)

    @app.get(
        "/letters",
        dependencies=[reader],
        response_model=schemas.LetterList,
        responses=described(403),
        summary="List the letters",
    )
    def letters(
        q: Annotated[str, Query(description="words that title, issuer, date … must hold")] = "",
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        offset: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
    ) -> dict[str, Any]:
        found = [a for a in live.engine().index.letters if _matches(a, q)]
        page = found[offset : offset + limit]
        return {"letters": [letter_summary(a) for a in page], "total": len(found)}

    @app.get(
        "/letters/{letter_id}",
        response_model=schemas.LetterModel,
        responses={**described(403, 404), 200: {"content": {"text/html": {"schema": {"type": "string"}}}}},
        summary="Show a letter: as JSON, or as a page where HTML is asked for",
    )
    def letter(letter_id: LetterId, request: Request, given: Bearer) -> Response:
        accepted = request.headers.get("accept", "")
        if "text/html" in accepted and "application/json" not in accepted:
            return _page(request)
        if service.settings.read_needs_key:
            service.need_key(_secret(given))
        detail = letter_detail(live.engine().index.letter(letter_id))
        return JSONResponse(detail, headers={"Vary": "Accept"})

    @app.get(
        "/suggestions",
        dependencies=[reader],
        response_model=schemas.SuggestionList,
        responses=described(403, 404),
        summary="Questions that the letters answer",
    )
    async def suggestions(
        request: Request,
        letter: Annotated[str | None, Query(description="of this letter only")] = None,
        limit: Annotated[int, Query(ge=1, le=20)] = 6,
    ) -> dict[str, Any]:
        def made() -> list[Any]:
            engine = live.engine()
            if letter is None:
                return service.suggestions.of_all(engine)
            return service.suggestions.of_letter(engine, engine.index.letter(letter))

        found = (await service.work.run(request, made))[:limit]
        return {
            "questions": [
                {"question": s.question, "letter_id": s.letter.id, "title": s.letter.title, "path": s.path}
                for s in found
            ]
        }


def _add_writing(app: FastAPI, service: Service) -> None:
    live, work = service.live, service.work
    writer = _writer(service)

    @app.post(
        "/letters",
        dependencies=[writer],
        status_code=201,
        response_model=schemas.ArrivalModel,
        responses=described(403, 409, 415),
        openapi_extra=_UPLOAD,
        summary="Add a letter, or an archive of letters",
    )
    async def add(
        request: Request,
        replace: Annotated[bool, Query(description="take the place of a file of this name")] = False,
    ) -> Response:
        name, data = await _file(request)
        try:
            arrival = await work.run(request, lambda: arrivals.add(live, name, data, replace=replace))
        except arrivals.RefusedError as error:
            raise HTTPException(415, str(error)) from error
        except arrivals.ConflictError as error:
            raise HTTPException(409, str(error)) from error
        return JSONResponse(
            {"letters": [_new(a) for a in arrival.letters], "generation": arrival.change.generation}, 201
        )

    @app.delete(
        "/letters/{letter_id}",
        dependencies=[writer],
        response_model=schemas.ChangeModel,
        responses=described(403, 404, 409),
        summary="Remove a letter",
    )
    async def remove(letter_id: LetterId, request: Request) -> Response:
        try:
            return JSONResponse(asdict(await work.run(request, lambda: arrivals.remove(live, letter_id))))
        except arrivals.ConflictError as error:
            raise HTTPException(409, str(error)) from error

    @app.post(
        "/index/rebuild",
        dependencies=[writer],
        response_model=schemas.ChangeModel,
        responses=described(403, 404),
        summary="Build the index anew from the folder of the letters",
    )
    async def rebuild(request: Request) -> Response:
        return JSONResponse(asdict(await work.run(request, lambda: arrivals.rebuild(live))))


def _add_openai(app: FastAPI, service: Service) -> None:
    live, work, count = service.live, service.work, service.metrics.answered
    reader = _reader(service)

    @app.post(
        "/v1/chat/completions",
        dependencies=[reader],
        responses={**described(403, 404), 200: _EVENTS},
        summary="Answer the last message of a conversation, by OpenAI's protocol",
    )
    async def complete(body: openai_protocol.CompletionRequest, request: Request) -> Response:
        asked, history = asking.question_of([(m.role, m.text) for m in body.messages])
        request.state.question = asked
        base = str(request.base_url).rstrip("/")

        def ask() -> Any:
            return count(asking.answer(live.engine(), asked, body.letter_id, history=history))

        answer = await work.run(request, ask)
        if body.stream:
            usage = bool(body.stream_options and body.stream_options.include_usage)
            chunks = openai_protocol.chunks(answer, asked, base, usage=usage)
            return StreamingResponse(chunks, media_type="text/event-stream", headers=HEADERS)
        return JSONResponse(openai_protocol.completion(answer, asked, base))

    @app.get("/v1/models", dependencies=[reader], responses=described(403), summary="The one model")
    def models() -> dict[str, Any]:
        return openai_protocol.models()

    @app.get(
        "/v1/models/{model}",
        dependencies=[reader],
        responses=described(403, 404),
        summary="The one model, by its name",
    )
    def model(model: str) -> dict[str, Any]:
        if model != openai_protocol.MODEL:
            raise HTTPException(404, f"there is no model {model!r}; there is {openai_protocol.MODEL}")
        return openai_protocol.model()


def _add_page(app: FastAPI) -> None:
    @app.get("/", include_in_schema=False)
    def page(request: Request) -> Response:
        return _page(request)

    app.mount("/web", StaticFiles(directory=WEB))


def _add_state(app: FastAPI, service: Service) -> None:
    @app.get("/healthz", response_model=schemas.StatusModel, summary="The process is up")
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz", response_model=schemas.StatusModel, summary="The index is open")
    def readyz() -> dict[str, Any]:
        return {"status": "ok", "generation": service.live.engine().index.generation}

    @app.get(
        "/metrics",
        dependencies=[_reader(service)],
        response_class=PlainTextResponse,
        responses=described(403),
        summary="Counts and times for Prometheus",
    )
    def metrics() -> Response:
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    app.router.routes.append(Route("/mcp", service.mcp))


def _page(request: Request) -> Response:
    del request
    return FileResponse(
        WEB / "index.html",
        headers={"Vary": "Accept", "Cache-Control": "no-cache"},
        media_type="text/html; charset=utf-8",
    )


def _matches(letter: Letter, words: str) -> bool:
    held = " ".join((letter.id, letter.title, letter.subject, letter.issuer, letter.addressee, letter.date))
    return all(w.lower() in f"{held} {letter.number}".lower() for w in words.split())


def _new(letter: Letter) -> dict[str, Any]:
    outline = [m.heading or m.section or m.path for m in letter.measures]
    return {**letter_summary(letter), "outline": outline, "warnings": arrivals.warnings(letter)}


async def _file(request: Request) -> tuple[str, bytes]:
    """The one file of a form; read only after the key was checked."""
    from starlette.datastructures import UploadFile

    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise HTTPException(415, "expected multipart/form-data with one file in the field “file”")
    async with request.form(max_files=1, max_fields=4) as form:
        file = form.get("file")
        if not isinstance(file, UploadFile) or not file.filename:
            raise HTTPException(422, "expected one file in the field “file”")
        return file.filename, await file.read()
