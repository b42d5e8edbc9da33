"""A bounded load test of ``lightxml serve``, on this machine alone.

    python examples/benchmark/serving.py [--model FOLDER] [--texts FILE] [--requests 4000]

Starts the server in a process of its own on 127.0.0.1, sends it a fixed number of requests from
a fixed number of connections, compares every answer with `predict_topk` in this process, stops
the server by SIGTERM and prints what happened. Without --model, a two-layer encoder is trained
on `make_xmc` documents first, which takes seconds. Client and server share the processor.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from transformers import BertConfig

from lightxml import LightXMLClassifier, load
from lightxml.datasets import make_xmc

HOST = "127.0.0.1"
K = 5
# On a CPU, kernels are compiled and kept for each shape of a batch, up to 1,024 of a kind unless
# told otherwise: hundreds of MiB under traffic of many shapes, and slower than 64
# (docs/serving.md).
FEWER_KERNELS = {"LRU_CACHE_CAPACITY": "64", "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "64"}
FLAT = 1.025  # the server's memory at the end, at most, over that half-way


@dataclass(frozen=True)
class Request:
    """A request's body and the scores that its answer must have, an array of (n_texts, K)."""

    body: bytes
    scores: np.ndarray


@dataclass
class Outcome:
    """What the workers write down; list.append is atomic."""

    seconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def n_done(self) -> int:
        return len(self.seconds) + len(self.errors)


def train_small(texts: list[str], folder: Path) -> Path:
    """Fit and save a model of two layers in seconds."""
    _, y = make_xmc(len(texts), 200, random_state=0)
    encoder = BertConfig(
        vocab_size=4000,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=128,
        max_position_embeddings=128,
    )
    model = LightXMLClassifier(
        encoder, max_length=64, max_epochs=1, batch_size=32, device="cpu", random_state=0
    )
    model.fit(texts, y).save(folder / "model")
    return folder / "model"


def make_requests(model: LightXMLClassifier, texts: list[str], n: int) -> list[Request]:
    """Return n requests of one to four documents, and their right scores."""
    scores = model.predict_topk(texts, K, return_scores=True)[1]
    rng = np.random.default_rng(0)
    requests = []
    for _ in range(n):
        rows = rng.integers(len(texts), size=rng.integers(1, 5))
        body = json.dumps({"texts": [texts[i] for i in rows], "k": K}).encode()
        requests.append(Request(body, scores[rows]))
    return requests


def send(connection: http.client.HTTPConnection, request: Request) -> None:
    """Ask, and raise unless the answer is the right one."""
    connection.request("POST", "/predict", request.body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    content = response.read()
    if response.status != 200:
        raise ValueError(f"status {response.status}: {content[:200]!r}")
    scores = [p["scores"] for p in json.loads(content)["predictions"]]
    if not np.allclose(scores, request.scores, atol=1e-4):
        raise ValueError("a wrong answer")


def work(port: int, todo: queue.SimpleQueue[Request], outcome: Outcome, end: float) -> None:
    """Send requests over one connection until there are none, or it is `end`."""
    connection = http.client.HTTPConnection(HOST, port, timeout=30)
    while time.monotonic() < end:
        try:
            request = todo.get_nowait()
        except queue.Empty:
            break
        began = time.perf_counter()
        try:
            send(connection, request)
        except (OSError, ValueError, http.client.HTTPException) as error:
            outcome.errors.append(f"{type(error).__name__}: {error}")
            connection.close()  # it opens again with the next request
        else:
            outcome.seconds.append(time.perf_counter() - began)
    connection.close()


def wait_until_ready(server: subprocess.Popen[str]) -> int:
    """Return the port that the server takes requests at, once it does."""
    assert server.stdout is not None
    for line in server.stdout:
        if line.startswith("Open http://"):
            return int(line.strip().rstrip("/").rpartition(":")[2])
    raise SystemExit(f"The server ended with {server.wait()} before it was ready.")


def resident_mib(pid: int) -> float:
    """Return a process's resident memory in MiB; NaN where there is no /proc."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return float("nan")
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def run(model: Path, requests: list[Request], concurrency: int, seconds: float) -> bool:
    """Start the server, send the requests, stop it, print a table; tell whether all went well."""
    command = [sys.executable, "-m", "lightxml", "serve", str(model), "--port", "0"]
    todo: queue.SimpleQueue[Request] = queue.SimpleQueue()
    for request in requests:
        todo.put(request)
    outcome = Outcome()
    environment = {**FEWER_KERNELS, **os.environ}
    server = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        port = wait_until_ready(server)
        memory = [resident_mib(server.pid)]
        began = time.monotonic()
        arguments = (port, todo, outcome, began + seconds)
        threads = [threading.Thread(target=work, args=arguments) for _ in range(concurrency)]
        for thread in threads:
            thread.start()
        while outcome.n_done < len(requests) / 2 and any(t.is_alive() for t in threads):
            time.sleep(0.01)
        memory.append(resident_mib(server.pid))
        for thread in threads:
            thread.join()
        elapsed = time.monotonic() - began
        memory.append(resident_mib(server.pid))
        server.send_signal(signal.SIGTERM)
        server.wait(30)
    finally:
        server.kill()
        server.wait()
    n_unsent = len(requests) - outcome.n_done
    n_texts = sum(len(request.scores) for request in requests)
    print(f"{'requests':24}{len(requests):>10,}  ({n_texts:,} documents)")
    print(f"{'connections':24}{concurrency:>10}")
    print(f"{'errors':24}{len(outcome.errors):>10}")
    print(f"{'not sent in time':24}{n_unsent:>10}")
    if outcome.seconds:
        for q, value in zip(
            (50, 95, 99), np.percentile(outcome.seconds, (50, 95, 99)), strict=True
        ):
            print(f"{f'latency p{q}, ms':24}{1000 * value:>10.1f}")
    print(f"{'requests/s':24}{len(outcome.seconds) / elapsed:>10.1f}")
    for when, value in zip(("before", "half-way", "after"), memory, strict=True):
        print(f"{f'server MiB, {when}':24}{value:>10.1f}")
    for error in outcome.errors[:5]:
        print(error)
    is_flat = not memory[2] > FLAT * memory[1]  # NaN, unknown, is let pass
    if not is_flat:
        print("The server's memory grew.")
    return is_flat and not outcome.errors and not n_unsent


def main() -> None:
    """Read the arguments, prepare model and requests, run."""
    parser = argparse.ArgumentParser(description="A bounded load test on 127.0.0.1.")
    parser.add_argument("--model", type=Path, help="a saved model; default: trained here")
    parser.add_argument("--texts", type=Path, help="documents to send, one a line")
    parser.add_argument("--requests", type=int, default=4000)
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=120, help="stop sending after these")
    args = parser.parse_args()
    if args.texts is None:
        texts = make_xmc(400, 200, random_state=0)[0]
    else:
        texts = args.texts.read_text("utf-8").splitlines()[:400]
    with tempfile.TemporaryDirectory() as folder:
        path = args.model or train_small(texts, Path(folder))
        requests = make_requests(load(path), texts, args.requests)
        if not run(path, requests, args.concurrency, args.seconds):
            raise SystemExit(1)


if __name__ == "__main__":
    main()
