"""What a training step and a ranking cost with hundreds of thousands of labels.

    python examples/benchmark/many_labels.py [--heads clustered dense one_vs_all]
        [--n-labels 4000 670091] [--shape minilm|bert-base] [--batch-size 32] [--max-length 128]
        [--rounds 3] [--device cpu]

Synthetic documents (`lightxml.datasets.make_xmc`) of `max_length` tokens or more, an encoder of
the shape of MiniLM (6 layers, width 384) or BERT-base with random weights, no weight averaging.
``clustered`` and ``dense`` (all labels, in chunks) have label embeddings of width 400;
``one_vs_all`` has none, and a layer as wide as the representation. Each run is a process of its
own, so that its peak memory (VmHWM, or what CUDA allocated) is its own, and the settings take
turns, round by round. Printed are medians over rounds, and each step against that of the same head
with the first number of labels.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from transformers import BertConfig

from lightxml.data.documents import EncodedDocuments, tokenize
from lightxml.datasets import make_xmc
from lightxml.fitting.footprint import training_memory
from lightxml.network.config import NetworkConfig
from lightxml.network.encoders import build_encoder, choose_attention
from lightxml.network.heads.kinds import choose_head
from lightxml.network.network import LightXMLNetwork
from lightxml.network.prediction import predict_topk
from lightxml.runtime.devices import choose_autocast, choose_device, seeded
from lightxml.training.config import TrainingConfig
from lightxml.training.loop import train

SHAPES = {"minilm": (6, 384, 12), "bert-base": (12, 768, 12)}
HEADS = ("clustered", "dense", "one_vs_all")
LABEL_DIM, CLUSTER_SIZE = 400, 82


def build(
    shape: str, head: str, n_labels: int, texts: list[str], max_length: int, device: torch.device
) -> tuple[LightXMLNetwork, EncodedDocuments]:
    """Return a network with random weights, ready on the device, and what it reads of the texts.

    The device's generator decides the weights.
    """
    n_layers, width, n_heads = SHAPES[shape]
    config = BertConfig(
        num_hidden_layers=n_layers,
        hidden_size=width,
        num_attention_heads=n_heads,
        intermediate_size=4 * width,
    )
    encoder = build_encoder(config, texts, max_length)
    # Clusters are what is measured here, not what is in them.
    clusters = np.arange(n_labels) // CLUSTER_SIZE if head == "clustered" else None
    label_dim = None if head == "one_vs_all" else LABEL_DIM
    described = choose_head(label_dim, clusters, n_candidate_clusters=32)
    network = LightXMLNetwork(NetworkConfig(n_labels, described), encoder)
    if clusters is not None:
        network.head.set_clusters(clusters)
    network.autocast_dtype = choose_autocast("auto", device)
    choose_attention(encoder.model, max_length, device, network.autocast_dtype is not None)
    return network.to(device), EncodedDocuments(tokenize(texts, encoder.tokenizer))


def training_config(batch_size: int, **changes: Any) -> TrainingConfig:
    """Return a training of one epoch at one rate, without averages."""
    config = TrainingConfig(
        max_epochs=1,
        batch_size=batch_size,
        accumulate=1,
        learning_rate=1e-5,
        head_learning_rate=1e-3,
        weight_decay=0.01,
        schedule="constant",
        swa_start=None,
        swa_every=1,
        seed=0,
        verbose=0,
    )
    return replace(config, **changes)


def run(arguments: argparse.Namespace, head: str, n_labels: int) -> dict[str, Any]:
    """Measure one setting in this process."""
    size, n_steps = arguments.batch_size, arguments.steps
    texts, y = make_xmc(
        size * n_steps,
        n_labels,
        n_labels_per_document=5,
        n_words_per_document=arguments.max_length,
        random_state=0,
    )
    device = choose_device(arguments.device)
    with seeded(0, device):
        network, documents = build(
            arguments.shape, head, n_labels, texts, arguments.max_length, device
        )
        estimate = training_memory(network, size, arguments.max_length, averages=False)
        few = documents.part(0, 2 * size)
        training = training_config(size, learning_rate=1e-4, head_learning_rate=2e-3)
        with network.head.in_training():
            train(network, few, y[: 2 * size], training)
            step = clock(device, lambda: train(network, documents, y, training)) / n_steps
            peak = peak_gib(device)
        predict = clock(device, lambda: predict_topk(network, documents, 5)) / len(documents)
        after = peak_gib(device)
    return {
        "head": head,
        "n_labels": n_labels,
        "batch_size": size,
        "step": step,
        "predict": predict,
        "peak_gib": peak,
        "peak_predict_gib": after,
        "estimate_gib": sum(estimate.values()) / 2**30,
    }


def clock(device: torch.device, work: Callable[[], Any]) -> float:
    """Return the seconds that some work takes."""
    began = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began


def peak_gib(device: torch.device) -> float:
    """Return the peak memory: resident of this process, or allocated on the GPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 2**20
    return float("nan")


def main() -> None:
    """Run every setting in every round, each in its own process, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--heads", nargs="+", choices=HEADS, default=["clustered", "dense"])
    parser.add_argument("--n-labels", nargs="+", type=int, default=[4_000, 670_091])
    parser.add_argument("--shape", choices=SHAPES, default="minilm")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--one", nargs=2, metavar=("HEAD", "N"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(run(arguments, arguments.one[0], int(arguments.one[1]))))
        return
    settings = [(head, n) for head in arguments.heads for n in arguments.n_labels]
    rows: list[dict[str, Any]] = []
    for _ in range(arguments.rounds):
        for head, n_labels in settings:
            command = [sys.executable, __file__, *sys.argv[1:], "--one", head, str(n_labels)]
            output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            rows.append(json.loads(output.splitlines()[-1]))
            print(rows[-1], file=sys.stderr)
    print("head       labels   step s  ratio  predict ms/doc  peak GiB  with predict  estimate GiB")
    for head, n_labels in settings:
        runs = [r for r in rows if (r["head"], r["n_labels"]) == (head, n_labels)]
        first = [r for r in rows if (r["head"], r["n_labels"]) == (head, arguments.n_labels[0])]
        ratio = median(r["step"] / f["step"] for r, f in zip(runs, first, strict=True))
        middle = {name: median(r[name] for r in runs) for name in runs[0] if name != "head"}
        print(
            f"{head:9} {n_labels:7,} {middle['step']:8.3f} {ratio:6.2f} "
            f"{1e3 * middle['predict']:15.1f} {middle['peak_gib']:9.2f} "
            f"{middle['peak_predict_gib']:13.2f} {middle['estimate_gib']:13.2f}"
        )


if __name__ == "__main__":
    main()
