"""The service as an ASGI application: its addresses, and what each answers."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel
from starlette.requests import ClientDisconnect

from lightxml.base import TopKEstimator
from lightxml.serving.batcher import Batcher
from lightxml.serving.bodies import explain_schema, predict_schema, read
from lightxml.serving.errors import invalid
from lightxml.serving.explainer import Explainer, as_json
from lightxml.serving.guard import Guard
from lightxml.serving.limits import Limits

_PAGE = Path(__file__).parent / "page"
_FILES = {
    "/": ("index.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
_K = 5  # labels of a document, unless it is said


def create_app(
    model: TopKEstimator,
    limits: Limits | None = None,
    *,
    names: Mapping[str, str] | None = None,
    hosts: Collection[str] | None = None,
) -> FastAPI:
    """Return a fitted model's service as an ASGI application.

    Parameters
    ----------
    model : fitted LightXMLClassifier or LightXMLEnsemble
        One that reads texts.
    limits : Limits or None
        None is the defaults.
    names : mapping of str to str, or None
        The name of each label that has one, by what the label prints.
    hosts : collection of str, or None
        Names that the server answers to, without a port; None: all.

    Returns
    -------
    FastAPI
        ``POST /predict``, ``POST /explain``, ``GET /health``, ``GET /openapi.json``, and a page at
        ``/``.

    Raises
    ------
    ValueError
        If the model was fitted on a numeric matrix.
    """
    if hasattr(model, "n_features_in_"):
        raise ValueError(
            f"model was fitted on a numeric matrix of {model.n_features_in_} columns and reads no"
            " texts. Fit one with features=TfidfVectorizer() or an encoder."
        )
    limits = limits or Limits()
    names = names or {}
    n_labels = len(model.classes_)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.batcher = Batcher(model, limits)
        app.state.explainer = Explainer(model, limits)
        yield
        await app.state.batcher.close()
        await app.state.explainer.close()

    # The pages that describe an API would fetch scripts from elsewhere.
    app = FastAPI(title="lightxml", lifespan=lifespan, docs_url=None, redoc_url=None)

    @app.get("/health")
    async def health() -> dict[str, Any]:
        return {"status": "ready", "n_labels": n_labels, "limits": asdict(limits)}

    form = predict_schema(limits)

    @app.post("/predict", openapi_extra=_described(form))
    async def predict(request: Request) -> Response:
        try:
            asked = await read(request, form, limits)
            k = min(_K, n_labels) if asked.k is None else asked.k
            if k > n_labels:
                raise invalid(["k"], f"{k} is more than the {n_labels} labels of the model")
            answers = await app.state.batcher.predict(asked.texts, k, request.is_disconnected)
        except ClientDisconnect:
            return _unread()
        predictions = []
        for labels, scores in answers:
            shown = [names.get(str(label), label) for label in labels]
            named = {"names": shown} if names else {}
            predictions.append({"labels": labels, **named, "scores": scores})
        return JSONResponse({"predictions": predictions})

    explained = explain_schema(limits)

    @app.post("/explain", openapi_extra=_described(explained))
    async def explain(request: Request) -> Response:
        try:
            asked = await read(request, explained, limits)
            found = await app.state.explainer.explain(
                asked.text, asked.label, request.is_disconnected
            )
        except ClientDisconnect:
            return _unread()
        return JSONResponse(as_json(found, names))

    for address, (name, kind) in _FILES.items():
        app.add_route(address, _file(_PAGE / name, kind), include_in_schema=False)

    @app.exception_handler(Exception)
    async def internal_error(request: Request, error: Exception) -> Response:
        return JSONResponse({"detail": "Internal error."}, status_code=500)

    app.add_middleware(Guard, hosts=hosts)
    return app


def _described(schema: type[BaseModel]) -> dict[str, Any]:
    content = {"application/json": {"schema": schema.model_json_schema()}}
    return {"requestBody": {"required": True, "content": content}}


def _unread() -> Response:
    return Response(status_code=499)  # nobody reads it


def _file(path: Path, kind: str) -> Any:
    content = path.read_bytes()

    async def answer(request: Request) -> Response:
        return Response(content, media_type=kind)

    return answer
