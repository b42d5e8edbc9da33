"""The bodies of requests: read within limits, then checked."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import HTTPException, Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic_core import PydanticCustomError

from lightxml.serving.errors import invalid
from lightxml.serving.limits import Limits

# Unknown names are refused later: "forbid" would make an error of every one of a million.
_CONFIG = ConfigDict(strict=True, extra="allow")


def predict_schema(limits: Limits) -> type[BaseModel]:
    """Return the form of the JSON that asks for labels, limits included."""
    text = Annotated[str, Field(max_length=limits.max_characters)]
    # The first wrong text is reported, not a million of them.
    texts = Annotated[list[text], Field(min_length=1, max_length=limits.max_texts, fail_fast=True)]
    k = Annotated[int, Field(ge=1, le=limits.max_k)] | None
    return create_model("PredictRequest", __config__=_CONFIG, texts=(texts, ...), k=(k, None))


def explain_schema(limits: Limits) -> type[BaseModel]:
    """Return the form of the JSON that asks for an explanation, limits included."""
    text = Annotated[str, Field(max_length=limits.max_explained_characters)]
    label = Annotated[Any, AfterValidator(_check_label)]
    return create_model("ExplainRequest", __config__=_CONFIG, text=(text, ...), label=(label, None))


def _check_label(label: Any) -> Any:
    if isinstance(label, bool) or not isinstance(label, int | str | None):
        raise PydanticCustomError("label", "Input should be a string or a whole number")
    return label


async def read(request: Request, schema: type[BaseModel], limits: Limits) -> Any:
    """Return a request's JSON as an instance of `schema`.

    Raises
    ------
    HTTPException
        408, 413 or 422: its body comes too slowly, is too large, or has not the form.
    ClientDisconnect
        If nobody waits for the answer any more.
    """
    try:
        async with asyncio.timeout(limits.max_body_seconds):
            body = await _read(request, limits.max_body_bytes)
    except TimeoutError:
        raise HTTPException(
            408, f"The body took longer than {limits.max_body_seconds:g} seconds."
        ) from None
    try:
        asked = schema.model_validate_json(body)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)[0]
        raise invalid(found["loc"], found["msg"]) from None
    for name in asked.model_extra or ():
        raise invalid([name], "Extra inputs are not permitted")
    return asked


async def _read(request: Request, max_bytes: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise HTTPException(413, f"The body is larger than {max_bytes} bytes.")
    return bytes(body)
