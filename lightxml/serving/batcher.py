"""Requests that come at the same time share a batch.

Each waits in a queue, and one worker takes what is there, predicts it in a thread of its own and
hands the answers back.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from fastapi import HTTPException
from starlette.requests import ClientDisconnect

from lightxml.base import TopKEstimator
from lightxml.serving.errors import busy
from lightxml.serving.limits import Limits

log = logging.getLogger("uvicorn.error")


@dataclass(frozen=True)
class Waiting:
    """A request in the queue."""

    texts: list[str]
    k: int
    is_gone: Callable[[], Awaitable[bool]]
    arrived: float  # seconds of the event loop's clock
    answer: asyncio.Future[list[tuple[list[Any], list[float]]]]

    def fail(self, error: Exception) -> None:
        """Raise an error where the answer is awaited, if it still is."""
        if not self.answer.done():
            self.answer.set_exception(error)


class Batcher:
    """A bounded queue, and the one worker that empties it.

    Parameters
    ----------
    model : fitted LightXMLClassifier or LightXMLEnsemble
    limits : Limits
    """

    def __init__(self, model: TopKEstimator, limits: Limits) -> None:
        self.model, self.limits = model, limits
        self.thread = ThreadPoolExecutor(1, "lightxml-predict")
        self.waiting: deque[Waiting] = deque()
        self.closing = False
        self.changed = asyncio.Event()
        self.worker = asyncio.create_task(self._work())

    async def predict(
        self, texts: list[str], k: int, is_gone: Callable[[], Awaitable[bool]]
    ) -> list[tuple[list[Any], list[float]]]:
        """Queue the documents and wait for the k best labels of each, and their scores."""
        if self.closing:
            raise busy("The server is shutting down.")
        if self._n_documents() + len(texts) > self.limits.max_queue:
            raise busy("The queue is full. Try again later.")
        loop = asyncio.get_running_loop()
        request = Waiting(texts, k, is_gone, loop.time(), loop.create_future())
        self.waiting.append(request)
        self.changed.set()
        return await request.answer

    async def close(self) -> None:
        """Answer what is queued, take nothing more, and end the worker and its thread."""
        self.closing = True
        self.changed.set()
        await self.worker
        self.thread.shutdown()

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
                request.answer.set_result(list(ranked))
