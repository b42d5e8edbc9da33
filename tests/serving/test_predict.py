"""Predictions over HTTP: right answers, shared batches, limits, clean errors, a clean end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from lightxml import LightXMLClassifier
from lightxml.serving.limits import Limits
from tests.serving.service import Watched, ask, call, check_answer, client_of, serve, until

pytest.importorskip("fastapi")
httpx = pytest.importorskip("httpx")
create_app = pytest.importorskip("lightxml.serving.app").create_app


async def queued(client: Any, n_requests: int) -> None:
    """Return when so many requests wait in the queue."""
    batcher = client.app.state.batcher
    await until(lambda: len(batcher.waiting) == n_requests)


async def hold(watched: Watched, client: Any, text: str) -> asyncio.Task[Any]:
    """Ask for one text and return while the model is busy with it, at the closed gate."""
    watched.gate.clear()
    n_before = len(watched.asked)
    task = ask(client, [text])
    await until(lambda: len(watched.asked) > n_before)
    return task


# Answers


def test_the_answer_is_that_of_predict_topk(fitted: LightXMLClassifier, texts: list[str]) -> None:
    async def session(client: Any) -> Any:
        return await ask(client, texts[:7], k=3), await ask(client, texts[:2])

    three, default = serve(fitted, session)
    check_answer(three, fitted, texts[:7], 3)
    check_answer(default, fitted, texts[:2], 5)
    assert set(three.json()) == {"predictions"}
    assert set(three.json()["predictions"][0]) == {"labels", "scores"}


def test_labels_stand_beside_their_names(words: LightXMLClassifier) -> None:
    async def session(client: Any) -> Any:
        return await ask(client, ["äöü 中文 \U0001f600", ""], k=12)

    response = serve(words, session, names={"label 3": "drei"})
    check_answer(response, words, ["äöü 中文 \U0001f600", ""], 12)
    for prediction in response.json()["predictions"]:
        named = ["drei" if label == "label 3" else label for label in prediction["labels"]]
        assert prediction["names"] == named


def test_a_model_of_few_labels_gives_all_of_them_unless_told_otherwise(
    make_classifier: Callable[..., LightXMLClassifier], texts: list[str]
) -> None:
    model = make_classifier(max_epochs=1).fit(texts, [["a"], ["b"], ["c"]] * 20)

    async def session(client: Any) -> Any:
        return await ask(client, texts[:2])

    check_answer(serve(model, session), model, texts[:2], 3)


def test_the_body_counts_not_its_content_type(fitted: LightXMLClassifier, texts: list[str]) -> None:
    async def session(client: Any) -> Any:
        content = f'{{"texts": ["{texts[0]}"], "k": 1}}'
        return await client.post("/predict", content=content)

    check_answer(serve(fitted, session), fitted, texts[:1], 1)


# Batches


def test_requests_that_wait_share_a_batch_and_each_gets_its_own_answer(
    watched: Watched, texts: list[str]
) -> None:
    asked = [(texts[i : i + 1 + i % 3], 1 + i % 7) for i in range(1, 13)]

    async def session(client: Any) -> Any:
        first = await hold(watched, client, texts[0])
        others = [ask(client, part, k=k) for part, k in asked]
        await queued(client, 12)
        watched.gate.set()
        return await asyncio.gather(first, *others)

    first, *others = serve(watched, session)
    check_answer(first, watched.model, texts[:1])
    for response, (part, k) in zip(others, asked, strict=True):
        check_answer(response, watched.model, part, k)
    assert watched.sizes == [1, sum(len(part) for part, _ in asked)]
    assert watched.asked[1][1] == 7  # the largest k; the others are its beginnings


def test_requests_within_the_waiting_time_share_a_batch(watched: Watched, texts: list[str]) -> None:
    async def session(client: Any) -> None:
        await asyncio.gather(*(ask(client, [text]) for text in texts[:8]))

    serve(watched, session, max_wait_ms=10_000, max_texts=8, max_batch=8)
    assert watched.sizes == [8]  # full, so that it does not wait the ten seconds


def test_a_lone_request_does_not_wait_for_ever(watched: Watched, texts: list[str]) -> None:
    async def session(client: Any) -> Any:
        return await ask(client, texts[:1])

    check_answer(serve(watched, session, max_wait_ms=1), watched.model, texts[:1])


def test_batches_are_taken_in_order_and_no_larger_than_the_limit(
    watched: Watched, texts: list[str]
) -> None:
    async def session(client: Any) -> Any:
        first = await hold(watched, client, texts[0])
        others = [ask(client, texts[i : i + 3]) for i in range(5)]
        await queued(client, 5)
        watched.gate.set()
        return await asyncio.gather(first, *others)

    responses = serve(watched, session, max_texts=3, max_batch=7, max_wait_ms=0)
    assert watched.sizes == [1, 6, 6, 3]
    assert watched.asked[1][0] == texts[0:3] + texts[1:4]
    for i, response in enumerate(responses[1:]):
        check_answer(response, watched.model, texts[i : i + 3])


# Wrong requests


@pytest.mark.parametrize(
    ("content", "loc", "message"),
    [
        ("", [], "Invalid JSON: EOF while parsing a value at line 1 column 0"),
        ("[" * 100_000, [], "Invalid JSON: recursion limit exceeded"),
        (b'{"texts": ["\xff"]}', [], "Invalid JSON: invalid unicode code point"),
        ("[]", [], "Input should be an object"),
        ("{}", ["texts"], "Field required"),
        ('{"texts": []}', ["texts"], "List should have at least 1 item"),
        ('{"texts": ["a", "b", "c", "d"]}', ["texts"], "List should have at most 3 items"),
        ('{"texts": ["a", null]}', ["texts", 1], "Input should be a valid string"),
        ('{"texts": ["a", "b", "12345678901"]}', ["texts", 2], "String should have at most 10"),
        ('{"texts": ["a"], "k": 0}', ["k"], "Input should be greater than or equal to 1"),
        ('{"texts": ["a"], "k": true}', ["k"], "Input should be a valid integer"),
        ('{"texts": ["a"], "k": 1e400}', ["k"], "Input should be a valid integer"),
        ('{"texts": ["a"], "k": 99}', ["k"], "Input should be less than or equal to 50"),
        ('{"texts": ["a"], "k": 13}', ["k"], "13 is more than the 12 labels of the model"),
        ('{"texts": ["a"], "topk": 3}', ["topk"], "Extra inputs are not permitted"),
    ],
)
def test_a_wrong_request_is_told_what_is_wrong_and_where(
    watched: Watched, content: str | bytes, loc: list[Any], message: str
) -> None:
    async def session(client: Any) -> Any:
        return await client.post("/predict", content=content)

    response = serve(watched, session, max_texts=3, max_characters=10, max_k=50)
    assert response.status_code == 422
    (detail,) = response.json()["detail"]
    assert detail["loc"] == loc
    assert detail["msg"].startswith(message)
    assert set(detail) == {"loc", "msg"}  # nothing of the body comes back
    assert watched.asked == []


def test_a_large_body_is_refused_whether_or_not_it_says_its_length(watched: Watched) -> None:
    sent = 0

    async def chunks() -> Any:
        nonlocal sent
        for _ in range(1000):
            sent += 1
            yield b" " * 100

    async def session(client: Any) -> Any:
        return [await client.post("/predict", content=c) for c in (b" " * 1001, chunks())]

    for response in serve(watched, session, max_body_bytes=1000):
        assert response.status_code == 413
        assert response.json() == {"detail": "The body is larger than 1000 bytes."}
    assert sent < 20


def test_unknown_addresses_and_methods_are_answered_in_json(fitted: LightXMLClassifier) -> None:
    async def session(client: Any) -> Any:
        return await client.get("/nothing"), await client.get("/predict")

    missing, wrong = serve(fitted, session)
    assert (missing.status_code, missing.json()) == (404, {"detail": "Not Found"})
    assert (wrong.status_code, wrong.json()) == (405, {"detail": "Method Not Allowed"})


def test_the_limits_stand_in_the_openapi_description(fitted: LightXMLClassifier) -> None:
    async def session(client: Any) -> Any:
        return await client.get("/openapi.json")

    description = serve(fitted, session, max_texts=3).json()
    body = description["paths"]["/predict"]["post"]["requestBody"]
    assert body["content"]["application/json"]["schema"]["properties"]["texts"]["maxItems"] == 3


# Health


def test_health_tells_how_many_labels_there_are_and_the_limits(fitted: LightXMLClassifier) -> None:
    async def session(client: Any) -> Any:
        return await client.get("/health")

    health = serve(fitted, session, max_texts=3)
    assert health.status_code == 200
    assert health.json() == {
        "status": "ready",
        "n_labels": len(fitted.classes_),
        "limits": asdict(Limits(max_texts=3)),
    }


# Overload and failure


def test_a_full_queue_turns_requests_away_and_loses_none(
    watched: Watched, texts: list[str]
) -> None:
    async def session(client: Any) -> Any:
        tasks = [await hold(watched, client, texts[0])]
        tasks += [ask(client, texts[0:2]), ask(client, texts[2:4])]
        await queued(client, 2)
        refused = await ask(client, texts[4:6])  # 4 of 5 places are taken
        tasks.append(ask(client, texts[6:7]))
        await queued(client, 3)
        watched.gate.set()
        answers = await asyncio.gather(*tasks)
        return refused, answers, await ask(client, texts[4:6])

    refused, answers, later = serve(watched, session, max_texts=2, max_batch=4, max_queue=5)
    assert refused.status_code == 503
    assert refused.headers["Retry-After"] == "1"
    assert refused.json() == {"detail": "The queue is full. Try again later."}
    for response, part in zip(answers, [(0, 1), (0, 2), (2, 4), (6, 7)], strict=True):
        check_answer(response, watched.model, texts[slice(*part)])
    check_answer(later, watched.model, texts[4:6])


def test_an_error_of_the_model_is_told_to_its_batch_alone(
    watched: Watched, texts: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    async def session(client: Any) -> Any:
        first = await hold(watched, client, texts[0])
        others = [ask(client, [text]) for text in texts[1:4]]
        await queued(client, 3)
        watched.fails = True
        watched.gate.set()
        failed = await asyncio.gather(first, *others)
        watched.fails = False
        return failed, await ask(client, texts[:3])

    failed, good = serve(watched, session)
    for response in failed:
        assert response.status_code == 500
        assert response.json() == {"detail": "The model failed on this batch."}
    check_answer(good, watched.model, texts[:3])
    errors = [r for r in caplog.records if r.levelno >= logging.ERROR]
    assert len(errors) == 2  # one a batch, with the traceback that the client does not see
    assert "a secret of the model" in caplog.text


def test_an_answer_that_json_cannot_hold_is_a_clean_500(watched: Watched) -> None:
    def predict_topk(X: list[str], k: int, *, return_scores: bool) -> Any:
        return np.zeros((len(X), k), dtype=int), np.full((len(X), k), np.nan)

    watched.predict_topk = predict_topk  # type: ignore[method-assign]

    async def session(client: Any) -> Any:
        return await ask(client, ["a"])

    response = serve(watched, session)
    assert (response.status_code, response.json()) == (500, {"detail": "Internal error."})


def test_a_client_that_gives_up_harms_nobody(watched: Watched, texts: list[str]) -> None:
    async def session(client: Any) -> Any:
        running = await hold(watched, client, texts[0])
        waiting = [ask(client, [text]) for text in texts[1:4]]
        await queued(client, 3)
        for task in (running, waiting[1]):
            task.cancel()
        await asyncio.wait([running, waiting[1]])
        watched.gate.set()
        return await asyncio.gather(waiting[0], waiting[2])

    one, three = serve(watched, session)
    check_answer(one, watched.model, texts[1:2])
    check_answer(three, watched.model, texts[3:4])
    assert watched.asked[1][0] == [texts[1], texts[3]]  # nobody waits for the other


def test_a_connection_that_closes_costs_no_prediction(watched: Watched, texts: list[str]) -> None:
    async def session(client: Any) -> Any:
        held = await hold(watched, client, texts[0])
        body = f'{{"texts": ["{texts[1]}"]}}'.encode()
        messages = [{"type": "http.request", "body": body}, {"type": "http.disconnect"}]
        sent: list[Any] = []
        closed = asyncio.create_task(call(client.app, "/predict", messages, sent))
        await queued(client, 1)
        other = ask(client, texts[2:3])
        await queued(client, 2)
        watched.gate.set()
        await closed
        return await held, await other, sent

    _, other, sent = serve(watched, session)
    check_answer(other, watched.model, texts[2:3])
    assert watched.asked[1][0] == texts[2:3]
    assert sent[0]["status"] == 499


def test_a_connection_that_closes_before_its_body_came_is_let_go(watched: Watched) -> None:
    async def session(client: Any) -> Any:
        sent: list[Any] = []
        begun = {"type": "http.request", "body": b'{"te', "more_body": True}
        await call(client.app, "/predict", [begun, {"type": "http.disconnect"}], sent)
        return sent

    assert serve(watched, session)[0]["status"] == 499
    assert watched.asked == []


# The end


def test_shutdown_answers_what_is_queued_and_takes_nothing_more(
    watched: Watched, texts: list[str]
) -> None:
    async def main() -> Any:
        limits = Limits(max_texts=2, max_batch=2, max_wait_ms=10_000)
        app = create_app(watched, limits)
        async with client_of(app) as client:
            client.app = app
            lifespan = app.router.lifespan_context(app)
            await lifespan.__aenter__()
            watched.gate.clear()
            tasks = [ask(client, texts[:2]), ask(client, texts[2:4]), ask(client, texts[4:5])]
            await queued(client, 2)
            end = asyncio.create_task(lifespan.__aexit__(None, None, None))
            await until(lambda: app.state.batcher.closing)
            late = await ask(client, texts[:1])
            watched.gate.set()
            answers = await asyncio.gather(*tasks)
            await end
            return late, answers

    late, answers = asyncio.run(main())
    assert late.status_code == 503
    assert late.json() == {"detail": "The server is shutting down."}
    for response, part in zip(answers, [(0, 2), (2, 4), (4, 5)], strict=True):
        check_answer(response, watched.model, texts[slice(*part)])


def test_uvicorn_answers_what_is_queued_before_it_ends(watched: Watched, texts: list[str]) -> None:
    uvicorn = pytest.importorskip("uvicorn")

    async def main() -> Any:
        app = create_app(watched, Limits(max_texts=2, max_batch=2))
        config = uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, ws="none")
        server = uvicorn.Server(config)
        running = asyncio.create_task(server.serve())
        await until(lambda: server.started)
        port = server.servers[0].sockets[0].getsockname()[1]
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            client.app = app
            first = await hold(watched, client, texts[0])
            others = [ask(client, texts[i : i + 1]) for i in range(1, 4)]
            await queued(client, 3)
            server.should_exit = True
            await asyncio.sleep(0.15)  # uvicorn looks every tenth of a second
            watched.gate.set()
            answers = await asyncio.gather(first, *others)
            await running
            return answers

    for i, response in enumerate(asyncio.run(main())):
        check_answer(response, watched.model, texts[i : i + 1])


# Settings


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"max_texts": 0}, "max_texts is 0; expected at least 1."),
        ({"max_wait_ms": float("nan")}, "max_wait_ms is nan; expected at least 0."),
        (
            {"max_texts": 65},
            "max_texts is 65, max_batch 64 and max_queue 512; expected",
        ),
        (
            {"max_queue": 63},
            "max_texts is 64, max_batch 64 and max_queue 63; expected",
        ),
    ],
)
def test_limits_that_could_never_be_met_are_refused(limits: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        Limits(**limits)


def test_a_model_that_reads_no_texts_is_refused(documents: Any) -> None:
    X = sp.eye_array(60, format="csr")
    model = LightXMLClassifier(None, rankers=("neighbors",)).fit(X, documents[1])
    with pytest.raises(ValueError, match=r"^model was fitted on a numeric matrix of 60 columns"):
        create_app(model)
