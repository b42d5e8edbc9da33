"""What gpu.py measures in processes of its own: a JSON object a line for each setting.

    python examples/benchmark/gpu_parts.py agree [--encoder FOLDER]
    python examples/benchmark/gpu_parts.py step --attention sdpa|flash [--compile]
    python examples/benchmark/gpu_parts.py processes alone|one|two

With ``--dry`` at tiny sizes, on whatever device there is.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import tempfile
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch.distributed as dist
from data import vectorizer
from encoder_overhead import compare_training
from many_labels import build, training_config
from torch.nn.attention import SDPBackend, sdpa_kernel

from lightxml import LightXMLClassifier, load
from lightxml.datasets import make_xmc
from lightxml.runtime.devices import choose_device, seeded
from lightxml.runtime.distributed import Group
from lightxml.runtime.ranks import ALONE
from lightxml.training.loop import train

HEADS: dict[str, dict[str, Any]] = {
    "one-vs-all": {"label_clusters": False},
    "chunked": {"label_clusters": False, "label_dim": 64},
    "clustered": {"label_clusters": True, "max_cluster_size": 32, "n_candidate_clusters": 8},
}
INPUTS: dict[str, dict[str, Any]] = {
    "features": {"encoder": None},
    "frozen encoder": {"freeze_encoder": True},
    "trained encoder": {},
}


def say(**row: Any) -> None:
    """Print a row at once: what comes after it may be ended."""
    print(json.dumps(row), flush=True)


def agree(arguments: argparse.Namespace) -> None:
    """Train on the device; rank there and, saved and loaded, on the CPU, both in fp32."""
    n_train, n_new, n_labels = (80, 20, 40) if arguments.dry else (1_000, 200, 500)
    texts, y = make_xmc(
        n_train + n_new, n_labels, n_labels_per_document=3, n_words_per_document=80, random_state=0
    )
    new = texts[n_train:]
    for inputs, of_inputs in INPUTS.items():
        settings = {"encoder": arguments.encoder or "tiny", **of_inputs}
        if settings["encoder"] == "tiny" and "freeze_encoder" in of_inputs:
            continue  # it has nothing to freeze
        for head, of_head in HEADS.items():
            there = LightXMLClassifier(
                **settings,
                **of_head,
                rankers=("network",),
                features=vectorizer(),
                max_length=64,
                max_epochs=2,
                precision="fp32",
                device=arguments.device,
                random_state=0,
            )
            there.fit(texts[:n_train], y[:n_train])
            with tempfile.TemporaryDirectory() as folder:
                there.save(Path(folder) / "model")
                here = load(Path(folder) / "model", device="cpu")
            found, scores = there.predict_topk(new, 5, return_scores=True)
            again, on_cpu = here.predict_topk(new, 5, return_scores=True)
            say(
                setting=f"{inputs}, {head}",
                largest_difference=float(np.abs(scores - on_cpu).max()),
                same_labels=float((found == again).mean()),
                on=there.network_.device.type,
            )


def step(arguments: argparse.Namespace) -> None:
    """Time a trained step beside the bare encoder: the same batches, precision, attention."""
    device = choose_device(arguments.device)
    n_labels, size, n_steps, rounds = (40, 2, 2, 1) if arguments.dry else (4_000, 32, 20, 5)
    shapes = ["bert-base"]
    if arguments.dry:
        shapes = ["minilm"]
    elif arguments.attention == "sdpa" and not arguments.compile:
        shapes.append("minilm")  # decides how long a training of it takes
    flash = arguments.attention == "flash"
    for shape in shapes:
        if shape == "minilm" and not arguments.dry:
            size = 64  # as in that training
        for length in (8, 16) if arguments.dry else (128, 512):
            texts, y = make_xmc(
                size * n_steps,
                n_labels,
                n_labels_per_document=5,
                n_words_per_document=2 * length,  # full: flash attention takes no mask
                random_state=0,
            )
            kernel = sdpa_kernel(SDPBackend.FLASH_ATTENTION) if flash else nullcontext()
            with seeded(0, device), kernel:
                network, documents = build(shape, "one_vs_all", n_labels, texts, length, device)
                bare = copy.deepcopy(network.encoder)
                if arguments.compile:
                    network.encoder.compile()
                    bare.compile()
                began = time.perf_counter()
                config = training_config(size)
                measured = compare_training(network, bare, documents, y, config, rounds)
            ratios = np.divide(measured.ours, measured.bare)
            say(
                setting=f"{shape}, {length} tokens, {arguments.attention}"
                + (", compiled" if arguments.compile else ""),
                shape=shape,
                tokens=length,
                batch_size=size,
                ours=len(documents) / float(np.median(measured.ours)),
                bare=len(documents) / float(np.median(measured.bare)),
                ratio=float(np.median(ratios)),
                least=float(ratios.min()),
                most=float(ratios.max()),
                precision=str(network.autocast_dtype),
                seconds=time.perf_counter() - began,
            )


def processes(arguments: argparse.Namespace) -> None:
    """Train as one of some processes, over nccl where there is a GPU, and print what it learnt."""
    device = choose_device(arguments.device)
    ranks, rank = ALONE, 0
    if arguments.how != "alone":
        rank = int(os.environ["RANK"])
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend)
        world = dist.group.WORLD
        ranks = Group(rank, dist.get_world_size(), group=world, patient=world)
    texts, y = make_xmc(64, 300, n_labels_per_document=3, n_words_per_document=12, random_state=0)
    for head in ("one_vs_all", "dense", "clustered"):
        with seeded(0, device):
            network, documents = build("minilm", head, 300, texts, 16, device)
            config = replace(training_config(8), accumulate=2)
            history = train(network, documents, y, config, ranks=ranks)
        total = sum(p.double().sum().item() for p in network.parameters())
        if rank == 0:
            say(setting=f"{head}, {arguments.how}", loss=history[-1]["loss"], sum_of_weights=total)
    if arguments.how != "alone":
        dist.destroy_process_group()


def main() -> None:
    """Measure one part."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dry", action="store_true")
    parts = parser.add_subparsers(required=True)
    of_agree = parts.add_parser("agree")
    of_agree.add_argument("--encoder")
    of_agree.set_defaults(measure=agree)
    of_step = parts.add_parser("step")
    of_step.add_argument("--attention", choices=["sdpa", "flash"], default="sdpa")
    of_step.add_argument("--compile", action="store_true")
    of_step.set_defaults(measure=step)
    of_processes = parts.add_parser("processes")
    of_processes.add_argument("how", choices=["alone", "one", "two"])
    of_processes.set_defaults(measure=processes)
    arguments = parser.parse_args()
    arguments.measure(arguments)


if __name__ == "__main__":
    main()
