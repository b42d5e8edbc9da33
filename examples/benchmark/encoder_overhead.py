"""What training and prediction cost beside the bare encoder, paired in one run.

    python examples/benchmark/encoder_overhead.py DATA --encoder FOLDER [--max-length 128]

DATA is a folder that `lightxml.datasets.load_xmc` reads. Each round times both sides, one after
the other, on the same batches in the same precision with the same attention:

- training: `lightxml.training.loop.train` (head, loss, one addition to the averaged weights a
  round, which is far more often than ten times an epoch) against the encoder's own forward +
  backward + fused AdamW;
- prediction: `LightXMLClassifier.predict_topk` from the texts on, tokenizer included, against
  the encoder's forward on batches that are ready.

Printed last: documents a second (medians), and the median and range of the rounds' ratios.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from many_labels import clock, training_config

from lightxml import LightXMLClassifier
from lightxml.data.documents import EncodedDocuments, tokenize
from lightxml.datasets import load_xmc
from lightxml.network.batches import TokenBatch, collate, prediction_batches, training_batches
from lightxml.network.encoders import build_encoder, choose_attention
from lightxml.network.network import LightXMLNetwork
from lightxml.network.prediction import MAX_TOKENS
from lightxml.training.config import TrainingConfig
from lightxml.training.loop import train


@dataclass(frozen=True)
class Measured:
    """Seconds a round for both sides."""

    ours: list[float]
    bare: list[float]

    def row(self, name: str, n_documents: int) -> str:
        ratios = np.divide(self.ours, self.bare)
        return (
            f"{name:12}{n_documents / np.median(self.bare):12.1f}"
            f"{n_documents / np.median(self.ours):12.1f}"
            f"{np.median(ratios):10.3f}  ({ratios.min():.3f} to {ratios.max():.3f})"
        )


def paired(
    ours: Callable[[], Any], bare: Callable[[], Any], rounds: int, device: torch.device
) -> Measured:
    """Time both sides in turns, the first one alternating; one round before is thrown away."""
    seconds: dict[str, list[float]] = {"ours": [], "bare": []}
    sides = [("ours", ours), ("bare", bare)]
    for number in range(rounds + 1):
        for name, work in sides if number % 2 else sides[::-1]:
            elapsed = clock(device, work)
            if number:
                seconds[name].append(elapsed)
    return Measured(**seconds)


def forward(bare: Any, batch: TokenBatch | None, dtype: torch.dtype | None) -> torch.Tensor:
    """Return the [CLS] vectors of the encoder alone, float32."""
    assert batch is not None
    with torch.autocast(batch.input_ids.device.type, dtype=dtype, enabled=dtype is not None):
        inputs = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
        vectors: torch.Tensor = bare(**inputs).last_hidden_state[:, 0].float()
        return vectors


def compare_training(
    network: LightXMLNetwork,
    bare: Any,
    documents: EncodedDocuments,
    y: sp.csr_array,
    config: TrainingConfig,
    rounds: int,
) -> Measured:
    """Time a training of the network against that of its encoder alone, on the same batches."""
    rng = np.random.default_rng([config.seed, 0])  # the one that `train` makes for its first epoch
    batches = training_batches(documents.lengths, config.batch_size, rng)

    def train_bare() -> None:
        bare.train()
        optimizer = torch.optim.AdamW(bare.parameters(), lr=config.learning_rate, fused=True)
        for rows in batches:
            tokens = collate(documents, rows, network.pad_id, network.device).tokens
            forward(bare, tokens, network.autocast_dtype).pow(2).sum().backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    return paired(lambda: train(network, documents, y, config), train_bare, rounds, network.device)


def main() -> None:
    """Run both comparisons and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("--encoder", required=True)
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--steps", type=int, default=6, help="training steps a round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--precision", default="auto")
    arguments = parser.parse_args()

    data = load_xmc(arguments.data)
    # The estimator chooses device, precision and attention; a fit on a few documents, with a
    # column for every label, has it do so.
    first = np.flatnonzero(np.diff(data.y_train.indptr))[:4]
    model = LightXMLClassifier(
        arguments.encoder,
        max_length=arguments.max_length,
        max_epochs=1,
        precision=arguments.precision,
        random_state=0,
    ).fit([data.X_train[i] for i in first], data.y_train[first])
    network = model.network_
    device, dtype = network.device, network.autocast_dtype

    bare = build_encoder(arguments.encoder, data.X_train[:1], arguments.max_length).model
    choose_attention(bare, arguments.max_length, device, dtype is not None)
    bare.to(device)

    # Training.
    n_documents = arguments.steps * arguments.batch_size
    store = EncodedDocuments(tokenize(data.X_train[:n_documents], model.tokenizer_))
    config = training_config(
        arguments.batch_size, schedule="linear", swa_start=0.5, swa_every=arguments.steps
    )
    training = compare_training(
        network, bare, store, data.y_train[:n_documents], config, arguments.rounds
    )

    # Prediction.
    network.eval()
    bare.eval()
    texts = data.X_test[: 2 * n_documents]
    store_test = EncodedDocuments(tokenize(texts, model.tokenizer_))
    ready = [
        collate(store_test, rows, network.pad_id, device).tokens
        for rows in prediction_batches(store_test.lengths, MAX_TOKENS[device.type], len(texts))
    ]

    def predict_bare() -> None:
        with torch.inference_mode():
            for batch in ready:
                forward(bare, batch, dtype)

    prediction = paired(
        lambda: model.predict_topk(texts, 5), predict_bare, arguments.rounds, device
    )

    precision = "fp32" if dtype is None else str(dtype).removeprefix("torch.")
    print(
        f"{arguments.encoder.rstrip('/').split('/')[-1]}, {arguments.max_length} tokens, "
        f"{precision}, {device}, {torch.get_num_threads()} threads, "
        f"{data.y_train.shape[1]:,} labels, {arguments.rounds} rounds"
    )
    print(f"{'':12}{'bare doc/s':>12}{'ours doc/s':>12}{'ours/bare':>10}  (time, range)")
    print(training.row("training", n_documents))
    print(prediction.row("prediction", len(texts)))


if __name__ == "__main__":
    main()
