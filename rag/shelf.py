"""The endpoints of the letters: list, show, suggest, add, remove, rebuild."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import FastAPI, Path, Query, Request
from fastapi.responses import FileResponse, JSONResponse, Response
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from rag import arrivals, schemas
from rag.access import Bearer, reader, secret_of, writer
from rag.letter import Letter
from rag.problems import described
from rag.service import WEB, Service
from rag.summary import letter_detail, letter_summary

LetterId = Annotated[str, Path(description="id of a letter", examples=["wuhan-hrss-2025-07-31"])]
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


def add_reading(app: FastAPI, service: Service) -> None:
    """Add the list, the letters and their suggestions."""
    live = service.live
    may_read = reader(service)

    @app.get(
        "/letters",
        dependencies=[may_read],
        response_model=schemas.LetterList,
        responses=described(403),
        summary="List the letters",
    )
    def letters(
        q: Annotated[str, Query(description="words that title, issuer, date … must hold")] = "",
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        offset: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
    ) -> dict[str, Any]:
        every = live.engine().index.letters
        found = [a for a in every if _matches(a, q)] if q.strip() else every
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
            return page()
        if service.settings.read_needs_key:
            service.need_key(secret_of(given))
        detail = letter_detail(live.engine().index.letter(letter_id))
        return JSONResponse(detail, headers={"Vary": "Accept"})

    @app.get(
        "/suggestions",
        dependencies=[may_read],
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


def add_writing(app: FastAPI, service: Service) -> None:
    """Add what changes the letters."""
    live, work = service.live, service.work
    may_write = writer(service)

    @app.post(
        "/letters",
        dependencies=[may_write],
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
        dependencies=[may_write],
        response_model=schemas.ChangeModel,
        responses=described(403, 404),
        summary="Remove a letter",
    )
    async def remove(letter_id: LetterId, request: Request) -> Response:
        return JSONResponse(asdict(await work.run(request, lambda: arrivals.remove(live, letter_id))))

    @app.post(
        "/index/rebuild",
        dependencies=[may_write],
        response_model=schemas.ChangeModel,
        responses=described(403, 404, 409),
        summary="Build the index anew from the folder of the letters",
    )
    async def rebuild(request: Request) -> Response:
        try:
            return JSONResponse(asdict(await work.run(request, lambda: arrivals.rebuild(live))))
        except arrivals.ConflictError as error:
            raise HTTPException(409, str(error)) from error


def page() -> Response:
    """The page of the service; its address says what it shows."""
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
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise HTTPException(415, "expected multipart/form-data with one file in the field “file”")
    async with request.form(max_files=1, max_fields=4) as form:
        file = form.get("file")
        if not isinstance(file, UploadFile) or not file.filename:
            raise HTTPException(422, "expected one file in the field “file”")
        return file.filename, await file.read()
