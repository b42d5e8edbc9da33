"""Markdown of what gpu.py measured.

python examples/benchmark/gpu_table.py OUT/gpu.jsonl
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from run import rows_of

Row = dict[str, Any]


def table(rows: list[Row]) -> str:
    """Return what was measured, part by part, and how each job ended."""
    parts: dict[str, list[Row]] = {}
    for row in latest(rows):
        parts.setdefault("step" if row["part"] == "compiled" else row["part"], []).append(row)
    (on,) = parts["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in on["versions"].items())
    text = [f"{on['gpu']}, {on['cores']} cores; {versions}."]
    for row in parts.get("tests", []):
        text += ["", f"`pytest -m gpu`: {row['tests']}", *(f"- {name}" for name in row["failed"])]
    for part, (columns, cells) in TABLES.items():
        if found := parts.get(part):
            text += ["", line(columns), "|" + "---|" * len(columns)]
            text += [line(cells(row)) for row in found]
    ends = {(row["part"], row["ended"]): row for row in rows if "ended" in row}
    text += ["", "| job | how it ended | seconds |", "|---|---|---|"]
    text += [
        line([f"{part}, {name}", row["how"], f"{row['seconds']:.0f}"])
        for (part, name), row in ends.items()
    ]
    return "\n".join(text) + "\n"


def latest(rows: list[Row]) -> list[Row]:
    """Return the last row of each part and setting."""
    found = {}
    for row in rows:
        if "ended" not in row:
            what = row.get("setting") or row.get("head") or row.get("job", "")
            found[row["part"], str(what)] = row
    return list(found.values())


def line(cells: Sequence[str]) -> str:
    """Return a row of a table."""
    return "| " + " | ".join(cells) + " |"


def agreement(row: Row) -> list[str]:
    """Return the cells of a model that was ranked with on both devices."""
    return [row["setting"], f"{row['largest_difference']:.1e}", f"{100 * row['same_labels']:.2f} %"]


def step(row: Row) -> list[str]:
    """Return the cells of a trained step."""
    ratio = f"{row['ratio']:.3f} ({row['least']:.3f} to {row['most']:.3f})"
    what = f"{row['setting']}, batch {row['batch_size']}"
    return [what, f"{row['bare']:,.0f}", f"{row['ours']:,.0f}", ratio]


def memory(row: Row) -> list[str]:
    """Return the cells of a head."""
    return [
        f"{row['head']}, batch {row['batch_size']}",
        f"{row['n_labels']:,}",
        f"{row['batch_size'] / row['step']:,.0f}",
        f"{1 / row['predict']:,.0f}",
        *(f"{row[name]:.2f}" for name in ("peak_gib", "peak_predict_gib", "estimate_gib")),
    ]


def training(row: Row) -> list[str]:
    """Return the cells of a run of run.py."""
    job, found = row["job"], row["figures"]
    what = [job["data"], f"{job['max_length']} tokens", f"{job['max_epochs']} epochs"]
    what += [f"{name}={value}" for name, value in job["set"].items()]
    figures = " / ".join(f"{100 * found[f'P@{k}']:.2f}" for k in (1, 3, 5))
    seconds = row["vectorize_s"] + row["train_s"]
    return [", ".join(what), figures, f"{100 * found['unseen_R@5']:.1f}", f"{seconds:,.0f}"]


def together(row: Row) -> list[str]:
    """Return the cells of a training in several processes."""
    return [row["setting"], f"{row['loss']:.6f}", f"{row['sum_of_weights']:.6f}"]


TABLES = {
    "agree": (["trained there, ranked on both", "largest difference", "same labels"], agreement),
    "step": (["trained step", "bare, documents/s", "ours, documents/s", "time, ours / bare"], step),
    "memory": (
        [
            "head",
            "labels",
            "training, documents/s",
            "prediction, documents/s",
            "peak GiB in training",
            "and with prediction",
            "estimate beside the network",
        ],
        memory,
    ),
    "train": (
        [
            "training, with all rankers",
            "P@1 / 3 / 5",
            "R@5 of unseen labels",
            "fit, s",
        ],
        training,
    ),
    "nccl": (["processes", "loss", "sum of the weights"], together),
}


if __name__ == "__main__":
    print(table(rows_of(Path(sys.argv[1]))))
