"""The process that answers requests until it is told to end."""

from __future__ import annotations

import socket
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI

_MAX_CONNECTIONS = 256  # more are answered with 503 at once
_LAST_SECONDS = 30  # that requests have to end in when the process is told to


def run(app: FastAPI, listener: socket.socket, ready: Callable[[], None]) -> None:
    """Answer requests until SIGINT or SIGTERM comes, then those that have begun, and end by it.

    Parameters
    ----------
    app : FastAPI
    listener : socket
        Bound, as `take_port` gives it.
    ready : callable
        Called when connections are taken.

    Raises
    ------
    KeyboardInterrupt
        By SIGINT. SIGTERM ends the process.
    """

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            ready()

    config = uvicorn.Config(
        app,
        lifespan="on",
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        limit_concurrency=_MAX_CONNECTIONS,
        timeout_graceful_shutdown=_LAST_SECONDS,
    )
    Server(config).run([listener])
