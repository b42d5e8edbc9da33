"""An HTTP service around a fitted lightxml model; README.md shows how to start and ask it.

Requests that come at the same time share a batch: each waits in a queue, and one worker takes
what is there, predicts it in a thread of its own and hands the answers back.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from starlette.requests import ClientDisconnect

from lightxml import LightXMLClassifier, load

log = logging.getLogger("uvicorn.error")
RETRY = {"Retry-After": "1"}  # seconds


@dataclass(frozen=True)
class Limits:
    """What a request may ask for, and how much is taken on at once."""

    max_texts: int = 64  # documents a request
    max_characters: int = 20_000  # a document
    max_k: int = 100
    max_body_bytes: int = 2**21
    max_batch: int = 64  # documents predicted together
    max_queue: int = 512  # documents waiting
    max_wait_ms: float = 5.0  # that a request waits for company

    def __post_init__(self) -> None:
        for field in fields(self):
            least = 0 if field.name == "max_wait_ms" else 1
            if not getattr(self, field.name) >= least:
                raise ValueError(
                    f"{field.name} is {getattr(self, field.name)}; expected at least {least}."
                )
        # A request is never divided: it must fit into a batch, and a batch into the queue.
        if not self.max_texts <= self.max_batch <= self.max_queue:
            raise ValueError("Expected max_texts <= max_batch <= max_queue.")


@dataclass(frozen=True)
class Waiting:
    """A request in the queue."""

    texts: list[str]
    k: int
    is_gone: Callable[[], Awaitable[bool]]
    arrived: float
    answer: asyncio.Future[list[dict[str, Any]]]

    def fail(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


class Batcher:
    """A bounded queue, and the one worker that empties it."""

    def __init__(
        self, model: LightXMLClassifier, limits: Limits, thread: ThreadPoolExecutor
    ) -> None:
        self.model, self.limits, self.thread = model, limits, thread
        self.waiting: deque[Waiting] = deque()
        self.closing = False
        self.changed = asyncio.Event()
        self.worker = asyncio.create_task(self._work())

    async def predict(
        self, texts: list[str], k: int, is_gone: Callable[[], Awaitable[bool]]
    ) -> list[dict[str, Any]]:
        """Queue the documents and wait for their labels and scores."""
        if self.closing:
            raise HTTPException(503, "The server is shutting down.", RETRY)
        if self._n_documents() + len(texts) > self.limits.max_queue:
            raise HTTPException(503, "The queue is full. Try again later.", RETRY)
        loop = asyncio.get_running_loop()
        request = Waiting(texts, k, is_gone, loop.time(), loop.create_future())
        self.waiting.append(request)
        self.changed.set()
        return await request.answer

    async def close(self) -> None:
        """Answer what is queued, take nothing more, and end the worker."""
        self.closing = True
        self.changed.set()
        await self.worker

    def _n_documents(self) -> int:
        return sum(len(request.texts) for request in self.waiting)

    async def _work(self) -> None:
        while self.waiting or not self.closing:
            await self._wait_for_company()
            if batch := await self._take():
                await self._answer(batch)

    async def _wait_for_company(self) -> None:
        """Return when a batch is full, its first request has waited enough, or at the end."""
        clock = asyncio.get_running_loop().time
        while not self.closing and self._n_documents() < self.limits.max_batch:
            left = None
            if self.waiting:
                left = self.waiting[0].arrived + self.limits.max_wait_ms / 1000 - clock()
                if left <= 0:
                    return
            self.changed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.changed.wait(), left)

    async def _take(self) -> list[Waiting]:
        """Take what fits into one batch, first come first served."""
        batch: list[Waiting] = []
        room = self.limits.max_batch
        while self.waiting and len(self.waiting[0].texts) <= room:
            request = self.waiting.popleft()
            if not request.answer.done() and await request.is_gone():
                request.fail(ClientDisconnect())
            if not request.answer.done():  # else nobody waits for it any more
                batch.append(request)
                room -= len(request.texts)
        return batch

    async def _answer(self, batch: list[Waiting]) -> None:
        texts = [text for request in batch for text in request.texts]
        k = max(request.k for request in batch)  # whose beginning is the answer to a smaller k

        def predict() -> tuple[Any, Any]:
            return self.model.predict_topk(texts, k, return_scores=True)

        try:
            loop = asyncio.get_running_loop()
            labels, scores = await loop.run_in_executor(self.thread, predict)
        except Exception:
            log.exception("The model failed on a batch of %d documents.", len(texts))
            for request in batch:
                request.fail(HTTPException(500, "The model failed on this batch."))
            return
        begin = 0
        for request in batch:
            rows = slice(begin, begin + len(request.texts))
            begin = rows.stop
            ranked = zip(
                labels[rows, : request.k].tolist(), scores[rows, : request.k].tolist(), strict=True
            )
            if not request.answer.done():
                request.answer.set_result([{"labels": a, "scores": b} for a, b in ranked])


def create_app(
    model: LightXMLClassifier | str | os.PathLike[str],
    limits: Limits | None = None,
    *,
    device: str = "auto",
) -> FastAPI:
    """Return the service as an ASGI application.

    Parameters
    ----------
    model : LightXMLClassifier, str or path
        A fitted estimator, or the folder that its `save` wrote, which is loaded to `device`
        while the service already answers ``GET /health``.
    limits : Limits or None
        None is the defaults.
    device : str, default="auto"
    """
    limits = limits or Limits()
    schema = _request_schema(limits)

    async def start(thread: ThreadPoolExecutor) -> Batcher:
        estimator = model
        if isinstance(estimator, (str, os.PathLike)):
            loop = asyncio.get_running_loop()
            try:
                estimator = await loop.run_in_executor(thread, load, estimator, device)
            except Exception:
                log.exception("The model could not be loaded.")
                raise
        return Batcher(estimator, limits, thread)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with ThreadPoolExecutor(1, "lightxml") as thread:
            app.state.started = asyncio.create_task(start(thread))
            yield
            await asyncio.wait([app.state.started])
            if app.state.started.exception() is None:
                await app.state.started.result().close()

    app = FastAPI(title="lightxml", lifespan=lifespan)

    def batcher() -> Batcher:
        started: asyncio.Task[Batcher] = app.state.started
        if not started.done():
            raise HTTPException(503, "The model is being loaded.", RETRY)
        if started.exception() is not None:
            raise HTTPException(503, "The model could not be loaded; the server's log says why.")
        return started.result()

    @app.get("/health")
    async def health() -> dict[str, Any]:
        return {"status": "ready", "n_labels": len(batcher().model.classes_)}

    content = {"application/json": {"schema": schema.model_json_schema()}}

    @app.post("/predict", openapi_extra={"requestBody": {"required": True, "content": content}})
    async def predict(request: Request) -> Response:
        queue = batcher()
        try:
            asked: Any = schema.model_validate_json(await _read(request, limits.max_body_bytes))
            for name in asked.model_extra:
                raise _invalid([name], "Extra inputs are not permitted")
            if asked.k > (n_labels := len(queue.model.classes_)):
                raise _invalid(["k"], f"{asked.k} is more than the {n_labels} labels of the model")
            answer = await queue.predict(asked.texts, asked.k, request.is_disconnected)
        except ValidationError as error:
            found = error.errors(include_url=False, include_context=False, include_input=False)[0]
            raise _invalid(found["loc"], found["msg"]) from None
        except ClientDisconnect:
            return Response(status_code=499)  # nobody reads it; the access log shows it
        return JSONResponse({"predictions": answer})

    @app.exception_handler(Exception)
    async def internal_error(request: Request, error: Exception) -> Response:
        return JSONResponse({"detail": "Internal error."}, status_code=500)

    return app


def from_environment() -> FastAPI:
    """Return the service that LIGHTXML_MODEL, LIGHTXML_DEVICE and LIGHTXML_MAX_... describe.

    For ``uvicorn --factory app:from_environment``.
    """
    if "LIGHTXML_MODEL" not in os.environ:
        raise ValueError("LIGHTXML_MODEL is not set; expected the folder of a saved model.")
    given: dict[str, Any] = {}
    for field in fields(Limits):
        name = f"LIGHTXML_{field.name.upper()}"
        if name in os.environ:
            number = float if field.name == "max_wait_ms" else int
            try:
                given[field.name] = number(os.environ[name])
            except ValueError:
                raise ValueError(f"{name} is {os.environ[name]!r}; expected a number.") from None
    device = os.environ.get("LIGHTXML_DEVICE", "auto")
    return create_app(os.environ["LIGHTXML_MODEL"], Limits(**given), device=device)


def _request_schema(limits: Limits) -> type[BaseModel]:
    """Return the form of a request's JSON, limits included."""
    text = Annotated[str, Field(max_length=limits.max_characters)]
    # The first wrong text is reported, not a million of them.
    texts = Annotated[list[text], Field(min_length=1, max_length=limits.max_texts, fail_fast=True)]
    return create_model(
        "PredictRequest",
        # Unknown names are refused later: "forbid" would make an error of every one of a million.
        __config__=ConfigDict(strict=True, extra="allow"),
        texts=(texts, ...),
        k=(Annotated[int, Field(ge=1, le=limits.max_k)], 5),
    )


async def _read(request: Request, max_bytes: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise HTTPException(413, f"The body is larger than {max_bytes} bytes.")
    return bytes(body)


def _invalid(where: Any, message: str) -> HTTPException:
    return HTTPException(422, [{"loc": list(where), "msg": message}])
