"""The command as a process: it listens, refuses, and ends without losing an answer."""

from __future__ import annotations

import errno
import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

from lightxml import LightXMLClassifier
from tests.serving.process import served

pytestmark = pytest.mark.slow
pytest.importorskip("fastapi")
httpx = pytest.importorskip("httpx")


@pytest.fixture(scope="module")
def folder(words: LightXMLClassifier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served") / "model"
    words.save(folder)
    return folder


def test_it_answers_with_the_names_that_the_model_was_trained_with(
    folder: Path, words: LightXMLClassifier, texts: list[str]
) -> None:
    with served(folder) as (url, _):
        answer = httpx.post(f"{url}predict", json={"texts": texts[:3], "k": 2}).json()
        found = httpx.post(f"{url}explain", json={"text": texts[0], "label": "label 3"}).json()
        page = httpx.get(url)
        stranger = httpx.get(f"{url}health", headers={"Host": "stranger.example"})
    labels, scores = words.predict_topk(texts[:3], 2, return_scores=True)
    predictions = answer["predictions"]
    assert [p["labels"] for p in predictions] == labels.tolist()
    np.testing.assert_allclose([p["scores"] for p in predictions], scores, atol=1e-5)
    named = [[f"the name of {label.split()[1]}" for label in row] for row in labels]
    assert [p["names"] for p in predictions] == named
    assert found["name"] == "the name of 3"
    assert "<title>lightxml</title>" in page.text
    assert "server" not in page.headers
    assert stranger.status_code == 421


@pytest.mark.parametrize(
    ("sign", "status", "last"),
    [(signal.SIGTERM, -signal.SIGTERM, ""), (signal.SIGINT, 130, "\nInterrupted.\n")],
)
def test_told_to_end_it_answers_what_has_begun(
    folder: Path, words: LightXMLClassifier, texts: list[str],
    sign: signal.Signals, status: int, last: str,
) -> None:  # fmt: skip
    with served(folder) as (url, process):
        port = urlsplit(url).port
        body = json.dumps({"texts": texts[:2]}).encode()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.putrequest("POST", "/predict")
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body[:10])
        assert httpx.get(f"{url}health").status_code == 200  # it has read the above, too
        process.send_signal(sign)
        until_nobody_listens(port)
        connection.send(body[10:])
        answer = connection.getresponse()
        predictions = json.loads(answer.read())["predictions"]
        connection.close()
        out, error = process.communicate(timeout=30)
    assert answer.status == 200
    assert [p["labels"] for p in predictions] == words.predict_topk(texts[:2]).tolist()
    assert process.returncode == status
    assert (out, error) == ("", last)


def until_nobody_listens(port: int | None) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED:
                return
        time.sleep(0.02)
    raise AssertionError("it listens still")


def test_texts_are_not_logged(folder: Path) -> None:
    with served(folder) as (url, process):
        httpx.post(f"{url}predict", json={"texts": ["a secret of mine"]})
        httpx.post(f"{url}predict", content='{"texts": ["a secret of mine"')
        httpx.get(f"{url}predict?texts=a%20secret%20of%20mine")
        process.terminate()
        assert process.communicate(timeout=30) == ("", "")


def test_a_port_in_use_is_told_before_the_model_is_loaded(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "lightxml", "serve", str(folder), "--port", str(port)]
        done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(
        rf"lightxml: error: --host 127\.0\.0\.1 --port {port}: Address already in use\. Give"
        rf" another port, such as --port {port + 1}\.\n",
        done.stderr,
    )
    assert json.dumps(done.stderr).count("\\n") == 1
