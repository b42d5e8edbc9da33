"""What a client is told when a request is refused."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastapi import HTTPException


def busy(message: str) -> HTTPException:
    """Return the refusal of what may be asked again a second later."""
    return HTTPException(503, message, {"Retry-After": "1"})


def invalid(where: Iterable[Any], message: str) -> HTTPException:
    """Return the refusal of a wrong request: the place in its JSON, and what is wrong there."""
    return HTTPException(422, [{"loc": list(where), "msg": message}])
