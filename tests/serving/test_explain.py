"""Explanations over HTTP: those of `explain`, one at a time, within limits."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

import numpy as np
import pytest

from lightxml import LightXMLClassifier
from lightxml.inspection import explain
from tests.serving.conftest import NAMES
from tests.serving.service import ask, call, check_answer, serve, until

pytest.importorskip("fastapi")
pytest.importorskip("httpx")

from lightxml.serving import explainer


def why(client: Any, **body: Any) -> asyncio.Task[Any]:
    return asyncio.create_task(client.post("/explain", json=body))


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Explanations wait here; `gate.asked` are the texts of those that have begun."""
    gate: Any = threading.Event()
    gate.asked = []

    def held(model: Any, text: str, label: Any) -> Any:
        gate.asked.append(text)
        assert gate.wait(20)
        if text == "fails":
            raise RuntimeError("a secret of the model")
        return explain(model, text, label)

    monkeypatch.setattr(explainer, "explain", held)
    return gate


def test_the_answer_is_that_of_explain(words: LightXMLClassifier, texts: list[str]) -> None:
    text = f"\U0001f600 {texts[0]}"  # places count characters, not bytes or UTF-16 units

    async def session(client: Any) -> Any:
        return await why(client, text=text, label="label 3"), await why(client, text=text)

    found, best = (response.json() for response in serve(words, session, names=NAMES))
    expected = explain(words, text, "label 3")
    assert (found["label"], found["name"]) == ("label 3", NAMES["label 3"])
    assert (found["score"], found["logit"]) == (expected.score, expected.logit)
    assert [text[word["start"] : word["end"]] for word in found["words"]] == text.split()
    assert [word["weight"] for word in found["words"]] == [w.weight for w in expected.words]
    assert [near["document"] for near in found["neighbors"]] == [
        near.document for near in expected.neighbors
    ]
    for told, opinion in zip(found["opinions"], expected.opinions, strict=True):
        assert told["ranker"] == opinion.ranker
        assert told["values"] == opinion.values
        assert told["best_name"] == NAMES.get(opinion.best)
        added = sorted(each.contribution for each in opinion.features)
        assert [each["contribution"] for each in told["for"]] == [a for a in added if a > 0][:-6:-1]
        assert [each["contribution"] for each in told["against"]] == [a for a in added if a < 0][:5]
    assert best["label"] == words.predict_topk([text], 1)[0, 0]


def test_labels_that_are_numbers_are_known_as_text_too(
    fitted: LightXMLClassifier, texts: list[str]
) -> None:
    async def session(client: Any) -> Any:
        return [(await why(client, text=texts[0], label=label)).json() for label in (3, "3")]

    number, text = serve(fitted, session)
    assert number == text
    assert number["label"] == 3


@pytest.mark.parametrize(
    ("body", "loc", "message"),
    [
        ({}, ["text"], "Field required"),
        ({"text": 1}, ["text"], "Input should be a valid string"),
        ({"text": "12345678901"}, ["text"], "String should have at most 10 characters"),
        ({"text": "a", "label": "x"}, ["label"], "Not among the 12 labels of the model"),
        ({"text": "a", "label": True}, ["label"], "Input should be a string or a whole number"),
        ({"text": "a", "label": [1]}, ["label"], "Input should be a string or a whole number"),
        ({"text": "a", "k": 3}, ["k"], "Extra inputs are not permitted"),
    ],
)
def test_a_wrong_request_is_told_what_is_wrong_and_where(
    fitted: LightXMLClassifier, body: dict[str, Any], loc: list[str], message: str
) -> None:
    async def session(client: Any) -> Any:
        return await why(client, **body)

    response = serve(fitted, session, max_explained_characters=10)
    assert response.status_code == 422
    assert response.json() == {"detail": [{"loc": loc, "msg": message}]}


def test_one_is_made_at_a_time_a_few_wait_and_more_are_turned_away(
    words: LightXMLClassifier, gate: Any
) -> None:
    async def session(client: Any) -> Any:
        asked = [why(client, text=str(i)) for i in range(3)]
        await until(lambda: client.app.state.explainer.n_asked == 3)
        refused = await why(client, text="3")
        await until(lambda: gate.asked == ["0"])
        gate.set()
        return refused, await asyncio.gather(*asked), await why(client, text="4")

    refused, answers, later = serve(words, session, max_explanations=2)
    assert refused.status_code == 503
    assert refused.headers["Retry-After"] == "1"
    assert refused.json() == {"detail": "Too many explanations are asked for. Try again later."}
    assert [response.status_code for response in (*answers, later)] == [200] * 4
    assert gate.asked == ["0", "1", "2", "4"]


def test_predictions_go_on_meanwhile(
    words: LightXMLClassifier, texts: list[str], gate: Any
) -> None:
    async def session(client: Any) -> Any:
        explained = why(client, text="a")
        await until(lambda: gate.asked == ["a"])
        answer = await ask(client, texts[:3])
        gate.set()
        return answer, await explained

    answer, explained = serve(words, session)
    check_answer(answer, words, texts[:3])
    assert explained.status_code == 200


def test_predictions_and_explanations_at_once_are_those_of_each_alone(
    fitted: LightXMLClassifier, texts: list[str]
) -> None:
    async def session(client: Any) -> Any:
        explained = [why(client, text=text, label=3) for text in texts[:4]]
        predicted = [ask(client, texts[i : i + 4]) for i in range(0, 40, 4)]
        return await asyncio.gather(*explained), await asyncio.gather(*predicted)

    explained, predicted = serve(fitted, session, max_explanations=4, max_wait_ms=0)
    for response, text in zip(explained, texts, strict=False):
        weights = [word["weight"] for word in response.json()["words"]]
        expected = [word.weight for word in explain(fitted, text, 3).words]
        np.testing.assert_allclose(weights, expected, atol=1e-4)
    for i, response in enumerate(predicted):
        check_answer(response, fitted, texts[4 * i : 4 * i + 4])


def test_a_client_that_left_costs_no_explanation(words: LightXMLClassifier, gate: Any) -> None:
    async def session(client: Any) -> Any:
        first = why(client, text="a")
        await until(lambda: gate.asked == ["a"])
        messages = [{"type": "http.request", "body": b'{"text": "b"}'}, {"type": "http.disconnect"}]
        sent: list[Any] = []
        gone = asyncio.create_task(call(client.app, "/explain", messages, sent))
        await until(lambda: client.app.state.explainer.n_asked == 2)
        gate.set()
        await asyncio.gather(first, gone)
        return sent

    assert serve(words, session)[0]["status"] == 499
    assert gate.asked == ["a"]


def test_an_error_of_the_model_is_logged_and_not_told(
    words: LightXMLClassifier, gate: Any, caplog: pytest.LogCaptureFixture
) -> None:
    gate.set()

    async def session(client: Any) -> Any:
        return await why(client, text="fails"), await why(client, text="a")

    failed, good = serve(words, session)
    assert (failed.status_code, failed.json()) == (
        500,
        {"detail": "The model failed on this text."},
    )
    assert good.status_code == 200
    (record,) = [r for r in caplog.records if r.levelno >= logging.ERROR]
    assert "a secret of the model" in caplog.text
    assert "fails" not in record.getMessage()


def test_the_end_waits_for_what_is_asked(words: LightXMLClassifier, gate: Any) -> None:
    async def session(client: Any) -> Any:
        state = client.app.state
        asked = [why(client, text=str(i)) for i in range(2)]
        await until(lambda: gate.asked == ["0"] and state.explainer.n_asked == 2)
        end = asyncio.create_task(state.explainer.close())
        await until(lambda: state.explainer.closing)
        late = await why(client, text="late")
        gate.set()
        await end
        return late, await asyncio.gather(*asked)

    late, answers = serve(words, session)
    assert (late.status_code, late.json()) == (503, {"detail": "The server is shutting down."})
    assert [response.status_code for response in answers] == [200, 200]
