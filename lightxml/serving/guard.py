"""What stands before every answer: who may ask, and what a browser may do with it."""

from __future__ import annotations

import re
from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# The page's own files, and requests to this server; nothing within a line of HTML, no frames.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Guard:
    """An ASGI application before another one.

    A browser that runs a stranger's page could be made to ask a server of its own machine: under
    a name that the stranger controls (DNS rebinding), which `hosts` stops, or blindly, which the
    browser tells by ``Sec-Fetch-Site``.

    Parameters
    ----------
    app : ASGI application
    hosts : collection of str, or None
        Names that the server answers to, without a port; None: all.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str] | None) -> None:
        self.app = app
        self.hosts = None if hosts is None else {host.lower() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request, or pass it on; add headers to the answer."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        refusal = self._refusal(scope["method"], Headers(scope=scope))
        await (refusal or self.app)(scope, receive, with_headers)

    def _refusal(self, method: str, headers: Headers) -> JSONResponse | None:
        if self.hosts is not None and _name(headers.get("host", "")) not in self.hosts:
            return JSONResponse({"detail": "This server does not answer to that name."}, 421)
        site = headers.get("sec-fetch-site", "none")
        if method == "POST" and site not in ("none", "same-origin"):
            return JSONResponse({"detail": "Pages of other sites may not ask this server."}, 403)
        return None


def _name(host: str) -> str:
    """Return a Host header without its port; an IPv6 address without its brackets."""
    return re.sub(r":\d*$", "", host).strip("[]").lower()
