"""What the tests of the service share: a model that is watched, and ways to ask."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np

from lightxml import LightXMLClassifier


class Watched:
    """A model that writes down what it is asked, waits at a gate, and fails when told to."""

    def __init__(self, model: LightXMLClassifier) -> None:
        self.model = model
        self.classes_ = model.classes_
        self.asked: list[tuple[list[str], int]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.fails = False

    @property
    def sizes(self) -> list[int]:
        return [len(texts) for texts, _ in self.asked]

    def predict_topk(self, X: list[str], k: int, *, return_scores: bool) -> Any:
        self.asked.append((X, k))
        assert self.gate.wait(20)
        if self.fails:
            raise RuntimeError("a secret of the model")
        return self.model.predict_topk(X, k, return_scores=return_scores)


def serve(
    model: Any,
    session: Callable[[Any], Awaitable[Any]],
    *,
    names: dict[str, str] | None = None,
    hosts: list[str] | None = None,
    **limits: Any,
) -> Any:
    """Start the service, run `session` with a client, shut the service down."""
    from lightxml.serving.app import create_app
    from lightxml.serving.limits import Limits

    async def main() -> Any:
        app = create_app(model, Limits(**limits), names=names, hosts=hosts)
        async with app.router.lifespan_context(app), client_of(app) as client:
            client.app = app
            try:
                return await session(client)
            finally:
                if isinstance(model, Watched):
                    model.gate.set()

    return asyncio.run(main())


def client_of(app: Any) -> Any:
    import httpx

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://service")


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.002)


def ask(client: Any, texts: list[str], **more: Any) -> asyncio.Task[Any]:
    return asyncio.create_task(client.post("/predict", json={"texts": texts, **more}))


def check_answer(response: Any, model: LightXMLClassifier, texts: list[str], k: int = 5) -> None:
    assert response.status_code == 200, response.text
    predictions = response.json()["predictions"]
    labels, scores = model.predict_topk(texts, k, return_scores=True)
    assert [p["labels"] for p in predictions] == labels.tolist()
    np.testing.assert_allclose([p["scores"] for p in predictions], scores, atol=1e-5)


async def call(app: Any, path: str, messages: list[Any], sent: list[Any]) -> None:
    """Speak ASGI with the app, as a server whose client sends `messages`."""
    scope = {"type": "http", "method": "POST", "path": path, "headers": []}
    scope |= {"query_string": b"", "http_version": "1.1", "asgi": {"version": "3.0"}}
    scope |= {"scheme": "http", "root_path": ""}
    rest = iter(messages)

    async def receive() -> Any:
        return next(rest, {"type": "http.disconnect"})

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
