"""The naive baseline: an encoder with one dense layer, fine-tuned by transformers' Trainer."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from data import Part, size_in_bytes
from scipy.special import expit
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    Trainer,
    TrainingArguments,
)

from lightxml.runtime.devices import choose_autocast, choose_device
from peers.outcome import Options, Outcome, Seconds, best_columns, timed

MAX_EPOCHS = 3


class _Documents(torch.utils.data.Dataset):
    def __init__(self, tokens: dict[str, Any], y: Any) -> None:
        self.tokens, self.y = tokens, y

    def __len__(self) -> int:
        return len(self.tokens["input_ids"])

    def __getitem__(self, i: int) -> dict[str, Any]:
        item = {name: values[i] for name, values in self.tokens.items()}
        if self.y is not None:
            item["labels"] = self.y[[i]].toarray()[0].astype(np.float32)
        return item


def run(train: Part, texts: list[str], options: Options) -> Outcome:
    """Fine-tune with binary cross-entropy over all labels, the Trainer's defaults otherwise."""
    if options.encoder is None:
        raise ValueError("fine_tuning needs --encoder.")
    classes = train.classes
    y = train.y(classes)
    tokenizer = AutoTokenizer.from_pretrained(options.encoder)
    model = AutoModelForSequenceClassification.from_pretrained(
        options.encoder,
        num_labels=len(classes),
        problem_type="multi_label_classification",
    )

    def tokens(documents: list[str]) -> dict[str, Any]:
        encoded = tokenizer(documents, truncation=True, max_length=options.max_length)
        return {name: encoded[name] for name in ("input_ids", "attention_mask")}

    device = choose_device("auto")
    arguments = TrainingArguments(
        output_dir=str(options.scratch / "run"),
        num_train_epochs=options.max_epochs or MAX_EPOCHS,
        per_device_train_batch_size=16,
        per_device_eval_batch_size=64,
        bf16=choose_autocast("auto", device) is not None,
        use_cpu=device.type == "cpu",
        seed=options.seed,
        save_strategy="no",
        report_to=[],
        logging_strategy="no",
        disable_tqdm=True,
    )
    trainer = Trainer(
        model, arguments, train_dataset=_Documents(tokens(train.texts), y),
        processing_class=tokenizer,
    )  # fmt: skip
    _, train_s = timed(trainer.train)

    def predict() -> tuple[list[list[str]], list[list[float]]]:
        ranked, said = [], []
        for begin in range(0, len(texts), 1_000):  # never documents x labels of all
            part = _Documents(tokens(texts[begin : begin + 1_000]), None)
            logits = np.asarray(trainer.predict(part).predictions)
            columns = best_columns(logits)
            ranked += [[classes[j] for j in row] for row in columns]
            said += expit(np.take_along_axis(logits, columns, axis=1)).tolist()
        return ranked, said

    (ranked, said), predict_s = timed(predict)
    model.save_pretrained(options.scratch / "model")
    size = size_in_bytes(options.scratch / "model")
    return Outcome(ranked, Seconds(), train_s, predict_s, size, said)
