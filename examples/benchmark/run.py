"""Learners beside each other: same documents, same parts, same cores, in one run.

    python examples/benchmark/run.py DATA [DATA ...] --results FILE.jsonl
        [--settings features+names omikuji ...] [--seeds 0 1 2] [--validation] [--quick]
        [--others FOLDER ...] [--most N] [--punctuation] [--title-ends PATTERN]
        [--encoder FOLDER] [--max-length N] [--max-epochs N] [--memory FOLDER]
        [--set NAME=VALUE ...] [--checkpoints FOLDER] [--threads N] [--budget SECONDS]
    python examples/benchmark/tables.py FILE.jsonl

DATA is ``pydocs`` or a folder: a document a line in train_texts.txt, its labels between blanks in
train_labels.txt, the same for ``test``; label texts in labels.txt (label, tab, text). A setting is
a learner's name, with variants after ``+``; `--list` shows them all.

Label texts: ``+trained_names`` of labels with a training document; ``+names`` labels.txt whole (a
closed list); ``+open`` and up to 100,000 names of other sets, the labels.txt of `--others` (an open
list; `--most`: so many in the end, pairs of names where they are too few). Ours read them as
`label_texts`, peers as one more document of its label each. `--punctuation` splits the names at it.
``+titles``: what stands before the first match of `--title-ends` is a field of its own. `--set`:
other arguments of ours, their values as JSON.

Each run is a process of its own, with its own peak memory and threads; the settings take turns,
seed by seed. A run whose result is in FILE already (same data, part, setting, seed and options) is
not repeated, so that a broken benchmark goes on where it was. A run that takes longer than the
budget is ended, and that is its result until there is a larger budget; a run that failed is tried
again. With `--checkpoints`, a training of ours that was killed goes on where it was; its time is
then that of its last part.

`--validation` splits a tenth off the training part (seed 0) and measures on that; the test part
is not read. Settings were chosen so, and only so.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

import processes
from data import machine, peak_gib
from figures import figures
from jobs import jobs, parser, prepared, told
from settings import LEARNERS, OURS, PEERS, mistake

QUICK = ["features", "omikuji", "napkinxc", "nearest"]


def main() -> None:
    """Run what is not there yet, and print the table."""
    line = parser(__doc__.splitlines()[0])
    line.add_argument("--budget", type=float, default=3600, help="seconds a run")
    line.add_argument("--quick", action="store_true", help=f"pydocs with {', '.join(QUICK)}")
    line.add_argument("--list", action="store_true", help="show learners and variants")
    line.add_argument("--one", metavar="JOB", help=argparse.SUPPRESS)
    arguments = line.parse_args()
    if arguments.one:
        print(json.dumps(run_one(json.loads(arguments.one))))
        return
    if arguments.list:
        print("of ours:", *(f"{n} " for n in LEARNERS), "with", *(f"+{v}" for v in sorted(OURS)))
        for name, (_, _, variants) in PEERS.items():
            print(name, *(f"+{variant}" for variant in sorted(variants)))
        return
    if arguments.quick:
        arguments.data, arguments.settings = arguments.data or ["pydocs"], QUICK
    if not arguments.data or arguments.results is None:
        line.error("expected DATA and --results FILE.jsonl (or --list)")
    for setting in arguments.settings:
        if (message := mistake(setting, arguments)) is not None:
            line.error(message)
    for job in jobs(arguments):
        if any(
            row["job"] == job and is_final(row, arguments) for row in rows_of(arguments.results)
        ):
            print(f"{job['setting']} on {job['data']}, seed {job['seed']}: already there")
            continue
        row = {
            "job": job,
            "memory": job["setting"].startswith("frozen") and arguments.memory is not None,
            "machine": machine(),
            **in_a_process(job, arguments),
        }
        with arguments.results.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        print(summary(row), flush=True)


def is_final(row: dict[str, Any], arguments: argparse.Namespace) -> bool:
    """Tell whether a result stands, or the run is worth another try."""
    return "figures" in row or row.get("over_budget_s", 0) >= arguments.budget


def in_a_process(job: dict[str, Any], arguments: argparse.Namespace) -> dict[str, Any]:
    """Run a job in a process of its own; its result, or why there is none."""
    command = [sys.executable, __file__, "--one", json.dumps(told(job, arguments))]
    threads = {"OMP_NUM_THREADS": str(job["threads"]), "MKL_NUM_THREADS": str(job["threads"])}
    ended = processes.run(command, arguments.budget, threads)
    if ended.over_budget:
        return {"over_budget_s": arguments.budget}
    if ended.failed is not None:
        return {"failed": ended.failed, "after_s": ended.seconds}
    return json.loads(ended.output.splitlines()[-1])


def run_one(told: dict[str, Any]) -> dict[str, Any]:
    """Train and measure one setting in this process."""
    name = told["job"]["setting"].split("+")[0]
    module, function = ("peers.ours", "run") if name in LEARNERS else PEERS[name][:2]
    with tempfile.TemporaryDirectory() as folder:
        train, new, options = prepared(told, Path(folder))
        outcome = getattr(import_module(module), function)(train, new.texts, options)
    return {
        "documents": [len(train), len(new)],
        "names": len(options.names),
        "figures": figures(train, new, outcome.ranked, outcome.probabilities, outcome.given),
        "vectorize_s": outcome.vectorize.wall,
        "train_s": outcome.train.wall,
        "cpu_s": (outcome.vectorize + outcome.train).cpu,
        "documents_a_second": len(new) / outcome.predict.wall,
        "documents_a_cpu_second": len(new) / outcome.predict.cpu,
        "model_bytes": outcome.model_bytes,
        "peak_gib": peak_gib(),
    }


def rows_of(path: Path) -> list[dict[str, Any]]:
    """Return the results in a file; none, if there is no file."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def summary(row: dict[str, Any]) -> str:
    """Return a run's result as a line."""
    job = row["job"]
    what = f"{job['data']:15} {job['setting']:28} seed {job['seed']}: "
    if "over_budget_s" in row:
        return f"{what}over {row['over_budget_s']:.0f} s"
    if "failed" in row:
        return f"{what}failed: {row['failed']}"
    p = " / ".join(f"{100 * row['figures'][f'P@{k}']:.2f}" for k in (1, 3, 5))
    seconds = row["vectorize_s"] + row["train_s"]
    return (
        f"{what}P {p}, {seconds:.1f} s, {row['documents_a_second']:,.0f} documents/s, "
        f"{row['peak_gib']:.2f} GiB"
    )


if __name__ == "__main__":
    main()
