"""Vectors a second of frozen encoders: fp32, bf16 and int8 of a transformer, static embeddings.

    python frozen_encoders.py FOLDER --encoder FOLDER [--static FOLDER] [--documents 1000]
        [--max-length 128] [--rounds 3] [--results FILE]

Each round encodes the same training documents of FOLDER, texts to vectors, once by each way in
turns. Seconds are CPU seconds of one thread, so that other work on the machine costs little. int8:
the linear layers by `torch.ao.quantization.quantize_dynamic`. Said beside it: the mean cosine of a
way's vectors with those of fp32 (of static embeddings there is none, they are other vectors).
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from data import machine

from lightxml.data.documents import tokenize
from lightxml.network.encoders import TextEncoder, build_encoder, choose_attention
from lightxml.network.text_reader import TextReader, frozen_encoder
from lightxml.predicting.frozen import summarise_all

CPU = torch.device("cpu")


def reader_of(encoder: TextEncoder, way: str) -> TextReader:
    """Return the encoder as a fit takes it in this precision, or with linear layers in int8."""
    reader = frozen_encoder(copy.deepcopy(encoder))
    reader.autocast_dtype = torch.bfloat16 if way == "bf16" else None
    choose_attention(reader.encoder, encoder.max_length, CPU, way == "bf16")
    if way == "int8":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch has another package for it by now
            reader.encoder = torch.ao.quantization.quantize_dynamic(
                reader.encoder, {torch.nn.Linear}, dtype=torch.qint8
            )
    return reader


def vectors(reader: TextReader, encoder: TextEncoder, texts: list[str]) -> np.ndarray:
    """Return the vectors of texts, tokens first, float32 of shape (n_texts, width)."""
    tokens = tokenize(texts, encoder.tokenizer, encoder.reading.prompt)
    return summarise_all(reader, tokens)[:, -1].astype(np.float32)


def cosine(found: np.ndarray, expected: np.ndarray) -> float:
    """Return the mean cosine of the rows."""
    lengths = np.linalg.norm(found, axis=1) * np.linalg.norm(expected, axis=1)
    return float(((found * expected).sum(axis=1) / lengths).mean())


def main() -> None:
    """Measure, and print and append a row for each way."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--encoder", required=True)
    parser.add_argument("--static")
    parser.add_argument("--documents", type=int, default=1_000)
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--results", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    lines = (options.folder / "train_texts.txt").read_text(encoding="utf-8").split("\n")
    texts = lines[: options.documents]
    encoder = build_encoder(options.encoder, [], options.max_length)
    ways: dict[str, tuple[TextReader, TextEncoder]] = {
        way: (reader_of(encoder, way), encoder) for way in ("fp32", "bf16", "int8")
    }
    if options.static:
        static = build_encoder(options.static, [], options.max_length)
        ways["static"] = (reader_of(static, "fp32"), static)
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    made: dict[str, np.ndarray] = {}
    for _ in range(options.rounds):
        for way, (reader, of_texts) in ways.items():
            begin = time.process_time()
            made[way] = vectors(reader, of_texts, texts)
            seconds[way].append(time.process_time() - begin)
    for way in ways:
        row: dict[str, Any] = {
            "folder": options.folder.name,
            "way": way,
            "documents": len(texts),
            "max_length": options.max_length,
            "vectors a CPU s": round(len(texts) / statistics.median(seconds[way]), 1),
            "CPU s": [round(each, 2) for each in seconds[way]],
        }
        if way != "static":
            row["cosine with fp32"] = round(cosine(made[way], made["fp32"]), 5)
        print(json.dumps(row))
        if options.results is not None:
            with options.results.open("a", encoding="utf-8") as file:
                file.write(json.dumps({**row, "machine": machine()}) + "\n")


if __name__ == "__main__":
    main()
