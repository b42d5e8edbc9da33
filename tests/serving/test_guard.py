"""Who may ask, what a browser is told to forbid, and how long a body may take."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from lightxml import LightXMLClassifier
from tests.serving.service import Watched, ask, serve

pytest.importorskip("fastapi")
pytest.importorskip("httpx")

BODY = {"texts": ["a"], "k": 1}


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:8000", 200),
        ("[::1]:8000", 200),
        ("stranger.example", 421),
        ("localhost.stranger.example", 421),
        ("", 421),
    ],
)
def test_only_the_names_of_the_server_are_answered(
    fitted: LightXMLClassifier, host: str, status: int
) -> None:
    async def session(client: Any) -> Any:
        headers = {"Host": host}
        return [
            await client.get("/health", headers=headers),
            await client.post("/predict", json=BODY, headers=headers),
        ]

    for response in serve(fitted, session, hosts=["localhost", "::1"]):
        assert response.status_code == status


@pytest.mark.parametrize(
    ("site", "status"),
    [("same-origin", 200), ("none", 200), ("same-site", 403), ("cross-site", 403)],
)
def test_pages_of_other_sites_may_not_ask(watched: Watched, site: str, status: int) -> None:
    async def session(client: Any) -> Any:
        return await client.post("/predict", json=BODY, headers={"Sec-Fetch-Site": site})

    assert serve(watched, session).status_code == status
    assert len(watched.asked) == (status == 200)


def test_every_answer_forbids_browsers_what_the_page_does_not_need(
    watched: Watched,
) -> None:
    async def session(client: Any) -> Any:
        watched.fails = True
        answers = [await client.get(path) for path in ("/", "/page.js", "/health", "/nothing")]
        return [*answers, await ask(client, ["a"]), await client.post("/predict", content="[")]

    answers = serve(watched, session)
    assert [answer.status_code for answer in answers] == [200, 200, 200, 404, 500, 422]
    for answer in answers:
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none';")
        assert "unsafe" not in policy
        assert "//" not in policy  # nothing from elsewhere
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert not any(name.startswith("access-control") for name in answer.headers)


def test_the_page_and_its_files_have_their_types_and_fetch_nothing_from_elsewhere(
    fitted: LightXMLClassifier,
) -> None:
    kinds = {"/": "text/html", "/page.css": "text/css", "/page.js": "text/javascript",
             "/icon.svg": "image/svg+xml"}  # fmt: skip

    async def session(client: Any) -> Any:
        return [await client.get(path) for path in kinds]

    for answer, kind in zip(serve(fitted, session), kinds.values(), strict=True):
        assert answer.headers["Content-Type"].startswith(kind)
        assert re.findall(r"\w+://[^\"]+", answer.text) in ([], ["http://www.w3.org/2000/svg"])


def test_a_body_that_comes_too_slowly_is_refused(watched: Watched) -> None:
    async def chunks() -> Any:
        yield b"{"
        await asyncio.sleep(20)

    async def session(client: Any) -> Any:
        return await client.post("/predict", content=chunks())

    response = serve(watched, session, max_body_seconds=1)
    assert response.status_code == 408
    assert response.json() == {"detail": "The body took longer than 1 seconds."}
