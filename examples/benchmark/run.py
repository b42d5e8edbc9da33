"""Learners beside each other: same documents, same parts, same cores, in one run.

    python examples/benchmark/run.py DATA [DATA ...] --results FILE.jsonl
        [--settings features+pairs omikuji ...] [--seeds 0 1 2] [--encoder FOLDER] [--memory FOLDER]
        [--checkpoints FOLDER] [--budget SECONDS] [--validation] [--quick]
    python examples/benchmark/tables.py FILE.jsonl

DATA is ``pydocs`` or a folder that `lightxml.datasets.load_xmc` reads. A setting is a learner's
name, with variants after ``+``; `--list` shows them all. Each run is a process of its own, with
its own peak memory and threads; the settings take turns, seed by seed. A run whose result is in
FILE already (same data, part, setting, seed and options) is not repeated, so that a broken
benchmark goes on where it was. A run that takes longer than the budget is ended, and that is its
result until there is a larger budget; a run that failed is tried again. With `--checkpoints`, a
training of ours that was killed goes on where it was; its time is then that of its last part.

`--validation` splits a tenth off the training part (seed 0) and measures on that; the test part
is not read. Settings were chosen so, and only so.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

import processes
from data import machine, peak_gib, read
from settings import INPUTS, LEARNERS, LEFT_OUT, MEMBERS, OF_ENCODERS, OF_NETWORKS, VARIANTS

# Where each learner is: module and function. Imported in the process that runs it.
WHERE = {
    **dict.fromkeys(LEARNERS, ("peers.ours", "run")),
    "omikuji": ("peers.trees", "omikuji"),
    "napkinxc": ("peers.trees", "napkinxc"),
    "one_vs_rest": ("peers.sklearn_peers", "one_vs_rest"),
    "nearest": ("peers.sklearn_peers", "nearest"),
    "pecos": ("peers.pecos_linear", "run"),
    "fine_tuning": ("peers.fine_tuning", "run"),
}
OUR_VARIANTS = {*VARIANTS, *LEFT_OUT, *MEMBERS, *INPUTS}
PEER_VARIANTS: dict[str, set[str]] = {
    "omikuji": {"pairs", "bonsai"},
    "napkinxc": {"pairs"},
    "one_vs_rest": {"pairs", "logistic"},
    "nearest": {"pairs"},
    "pecos": {"pairs"},
    "fine_tuning": set(),
}
QUICK = ["features", "omikuji", "napkinxc", "nearest", "features+network+clusters"]
USES_ENCODER = ("frozen", "trained", "fine_tuning")


def main() -> None:
    """Run what is not there yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="*")
    parser.add_argument("--results", type=Path, help="JSON lines; each run is appended")
    parser.add_argument("--settings", nargs="+", default=["features", "omikuji"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--encoder", help="a folder or hub name")
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument("--max-epochs", type=int, help="of trained encoders")
    parser.add_argument("--memory", help="a folder for a frozen encoder's vectors")
    parser.add_argument("--checkpoints", help="a folder for those of trained encoders")
    parser.add_argument("--environments", default="build/environments", help="a folder for PECOS's")
    parser.add_argument("--budget", type=float, default=3600, help="seconds a run")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--validation", action="store_true")
    parser.add_argument("--quick", action="store_true", help=f"pydocs with {', '.join(QUICK)}")
    parser.add_argument("--list", action="store_true", help="show learners and variants")
    parser.add_argument("--one", metavar="JOB", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(run_one(json.loads(arguments.one))))
        return
    if arguments.list:
        print("learners:", *WHERE, "\nof ours:", *sorted(OUR_VARIANTS))
        print("of peers:", *(f"{n}+{v}" for n, vs in PEER_VARIANTS.items() for v in sorted(vs)))
        return
    if arguments.quick:
        arguments.data, arguments.settings = arguments.data or ["pydocs"], QUICK
    if not arguments.data or arguments.results is None:
        parser.error("expected DATA and --results FILE.jsonl (or --list)")
    for setting in arguments.settings:
        if (message := mistake(setting, arguments.encoder)) is not None:
            parser.error(message)
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


def mistake(setting: str, encoder: str | None) -> str | None:
    """Return what is wrong with a setting, or None."""
    name, *variants = setting.split("+")
    if name not in WHERE:
        return f"{setting}: expected a learner among {', '.join(WHERE)}."
    known = PEER_VARIANTS.get(name, OUR_VARIANTS)
    if name == "features":
        known = known - OF_ENCODERS
    if name == "features" and "network" not in variants and OF_NETWORKS & set(variants):
        return f"{setting}: features alone have no network. Add +network."
    if {"text", "network"} & set(variants) and {*LEFT_OUT, "mean", "logistic"} & set(variants):
        return f"{setting}: the network alone ranks there, so no ranker can be left out."
    if {"pairs", "text"} <= set(variants):
        return f"{setting}: text leaves the features out, so pairs has no effect."
    if unknown := [v for v in variants if v not in known]:
        return f"{setting}: {unknown[0]} is not among {', '.join(sorted(known)) or 'its variants'}."
    if name in USES_ENCODER and encoder is None:
        return f"{setting} needs --encoder."
    return None


def jobs(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Return what is to be run, in turns: data by data, seed by seed, setting by setting."""
    found = []
    for data in arguments.data:
        for seed in arguments.seeds:
            for setting in arguments.settings:
                uses = setting.split("+")[0] in USES_ENCODER
                found.append(
                    {
                        "data": Path(data).name,
                        "part": "validation" if arguments.validation else "test",
                        "setting": setting,
                        "seed": seed,
                        "encoder": Path(arguments.encoder).name if uses else None,
                        "max_length": arguments.max_length if uses else None,
                        "max_epochs": arguments.max_epochs if uses else None,
                        "threads": arguments.threads,
                    }
                )
    return found


def in_a_process(job: dict[str, Any], arguments: argparse.Namespace) -> dict[str, Any]:
    """Run a job in a process of its own; its result, or why there is none."""
    source = next(d for d in arguments.data if Path(d).name == job["data"])
    names = ("encoder", "max_length", "max_epochs", "memory", "checkpoints", "environments")
    more = {name: getattr(arguments, name) for name in names}
    command = [sys.executable, __file__, "--one", json.dumps({**job, **more, "source": source})]
    threads = {"OMP_NUM_THREADS": str(job["threads"]), "MKL_NUM_THREADS": str(job["threads"])}
    ended = processes.run(command, arguments.budget, threads)
    if ended.over_budget:
        return {"over_budget_s": arguments.budget}
    if ended.failed is not None:
        return {"failed": ended.failed, "after_s": ended.seconds}
    return json.loads(ended.output.splitlines()[-1])


def run_one(job: dict[str, Any]) -> dict[str, Any]:
    """Train and measure one setting in this process."""
    from peers.outcome import Options

    from lightxml.metrics import propensities
    from lightxml.metrics.tables import rank_metrics

    train, new = read(job["source"], validation=job["part"] == "validation")
    module, function = WHERE[job["setting"].split("+")[0]]
    with tempfile.TemporaryDirectory() as folder:
        options = Options(
            setting=job["setting"],
            seed=job["seed"],
            encoder=job["encoder"],
            max_length=job["max_length"],
            max_epochs=job["max_epochs"],
            memory=job["memory"],
            checkpoints=job["checkpoints"],
            environments=job["environments"],
            scratch=Path(folder),
            threads=job["threads"],
        )
        outcome = getattr(import_module(module), function)(train, new.texts, options)
    return {
        "documents": [len(train), len(new)],
        "figures": rank_metrics(new.y, outcome.topk, propensities(train.y)),
        "vectorize_s": outcome.vectorize_s,
        "train_s": outcome.train_s,
        "documents_a_second": len(new) / outcome.predict_s,
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
