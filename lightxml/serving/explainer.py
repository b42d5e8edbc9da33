"""Explanations, one at a time: each costs as much as hundreds of predictions."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fastapi import HTTPException
from starlette.requests import ClientDisconnect

from lightxml.base import TopKEstimator
from lightxml.inspection import Explanation, Feature, explain
from lightxml.serving.errors import busy, invalid
from lightxml.serving.limits import Limits

log = logging.getLogger("uvicorn.error")

_FEATURES = 5  # of a ranker told for the label, and as many against it, at most


class Explainer:
    """Makes one explanation at a time, in a thread of its own; a few requests may wait.

    The thread is another than that of predictions, which go on meanwhile.

    Parameters
    ----------
    model : fitted LightXMLClassifier or LightXMLEnsemble
    limits : Limits
    """

    def __init__(self, model: TopKEstimator, limits: Limits) -> None:
        self.model, self.limits = model, limits
        self.thread = ThreadPoolExecutor(1, "lightxml-explain")
        self.turn = asyncio.Lock()
        self.n_asked = 0  # the one that is made, and those that wait
        self.closing = False

    async def explain(
        self, text: str, label: Any, is_gone: Callable[[], Awaitable[bool]]
    ) -> Explanation:
        """Wait for the turn, then for the explanation of a label; None is the best one."""
        if self.closing:
            raise busy("The server is shutting down.")
        if self.n_asked > self.limits.max_explanations:
            raise busy("Too many explanations are asked for. Try again later.")
        self.n_asked += 1
        try:
            async with self.turn:
                if await is_gone():
                    raise ClientDisconnect
                loop = asyncio.get_running_loop()
                return await loop.run_in_executor(self.thread, self._explain, text, label)
        except (HTTPException, ClientDisconnect):
            raise
        except Exception:
            log.exception("The explanation of a label failed.")
            raise HTTPException(500, "The model failed on this text.") from None
        finally:
            self.n_asked -= 1

    async def close(self) -> None:
        """Answer those that wait, take nothing more, and end the thread."""
        self.closing = True
        async with self.turn:  # which is given in the order in which it was asked for
            self.thread.shutdown()

    def _explain(self, text: str, label: Any) -> Explanation:
        if label is not None:
            classes = self.model.classes_.tolist()
            # By what it prints: JavaScript knows whole numbers up to 2**53 only.
            known = next((each for each in classes if str(each) == str(label)), None)
            if known is None:
                raise invalid(["label"], f"Not among the {len(classes)} labels of the model")
            label = known
        return explain(self.model, text, label)


def as_json(found: Explanation, names: Mapping[str, str]) -> dict[str, Any]:
    """Return an explanation as JSON has it.

    Parameters
    ----------
    found : Explanation
    names : mapping of str to str
        The name of each label that has one.

    Returns
    -------
    dict
        ``start`` and ``end`` count characters (Unicode code points) of the text. Of a ranker's
        features, those that speak most for the label and most against it.
    """

    def name(label: Any) -> str:
        return names.get(str(label), str(label))

    return {
        "label": found.label,
        "name": name(found.label),
        "score": found.score,
        "logit": found.logit,
        "words": [
            {"start": each.start, "end": each.end, "text": each.text, "weight": each.weight}
            for each in found.words
        ],
        "mentions": [
            {
                "start": each.start,
                "end": each.end,
                "text": each.text,
                "label_text": each.label_text,
                "is_whole": each.is_whole,
            }
            for each in found.mentions
        ],
        "opinions": [
            {
                "ranker": each.ranker,
                "member": each.member,
                "values": each.values,
                "best": each.best,
                "best_name": None if each.best is None else name(each.best),
                "for": _strongest(each.features, 1),
                "against": _strongest(each.features, -1),
            }
            for each in found.opinions
        ],
        "neighbors": [{"document": each.document, "share": each.share} for each in found.neighbors],
    }


def _strongest(features: tuple[Feature, ...], sign: int) -> list[dict[str, Any]]:
    """Return the features that add most to one side, the strongest first."""
    side = [each for each in features if sign * each.contribution > 0]
    side.sort(key=lambda each: -abs(each.contribution))
    return [{"name": each.name, "contribution": each.contribution} for each in side[:_FEATURES]]
