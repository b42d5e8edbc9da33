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
import os
import sys
import tempfile
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import processes
from data import machine, peak_gib, read
from label_texts import names_of, open_list, trained_names, with_title
from settings import LEARNERS, OURS, PEERS, WITH_ENCODER, mistake, texts_of

QUICK = ["features", "omikuji", "napkinxc", "nearest", "features+network+clusters"]
# What a job's process is told beside the job: where things are changes no result.
WHERE = ("encoder", "others", "memory", "checkpoints", "environments")


def main() -> None:
    """Run what is not there yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="*")
    parser.add_argument("--results", type=Path, help="JSON lines; each run is appended")
    parser.add_argument("--settings", nargs="+", default=["features", "omikuji"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--others", nargs="+", default=[], help="folders of other sets, for +open")
    parser.add_argument("--most", type=int, metavar="N", help="names of the open list, in the end")
    parser.add_argument("--punctuation", action="store_true", help="split names at it")
    parser.add_argument("--title-ends", metavar="PATTERN", help="for +titles")
    parser.add_argument("--encoder", help="a folder or hub name")
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument("--max-epochs", type=int, help="of trained encoders")
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE", help="of ours")
    parser.add_argument("--memory", help="a folder for a frozen encoder's vectors")
    parser.add_argument("--checkpoints", help="a folder for those of trained encoders")
    parser.add_argument(
        "--environments", default="build/environments", help="a folder for those of peers"
    )
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
        print("of ours:", *(f"{n} " for n in LEARNERS), "with", *(f"+{v}" for v in sorted(OURS)))
        for name, (_, _, variants) in PEERS.items():
            print(name, *(f"+{variant}" for variant in sorted(variants)))
        return
    if arguments.quick:
        arguments.data, arguments.settings = arguments.data or ["pydocs"], QUICK
    if not arguments.data or arguments.results is None:
        parser.error("expected DATA and --results FILE.jsonl (or --list)")
    for setting in arguments.settings:
        if (message := mistake(setting, arguments)) is not None:
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


def jobs(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Return what is to be run, in turns: data by data, seed by seed, setting by setting."""
    return [
        job_of(arguments, Path(data).name, setting, seed)
        for data in arguments.data
        for seed in arguments.seeds
        for setting in arguments.settings
    ]


def job_of(arguments: argparse.Namespace, data: str, setting: str, seed: int) -> dict[str, Any]:
    """Return all that changes the result of a run; what is of no effect on it is absent."""
    name, *variants = setting.split("+")
    texts = texts_of(setting)
    uses_encoder = name in WITH_ENCODER
    more = {
        "punctuation": bool(texts) and arguments.punctuation,
        "others": sorted(Path(other).name for other in arguments.others) * (texts == "open"),
        "most": arguments.most if texts == "open" else None,
        "title_ends": arguments.title_ends if "titles" in variants else None,
        "set": dict(map(argument_of, arguments.set)) if name in LEARNERS else None,
    }
    return {
        "data": data,
        "part": "validation" if arguments.validation else "test",
        "setting": setting,
        "seed": seed,
        "encoder": Path(arguments.encoder).name if uses_encoder else None,
        "max_length": arguments.max_length if uses_encoder else None,
        "max_epochs": arguments.max_epochs if uses_encoder else None,
        "threads": arguments.threads,
        **{name: value for name, value in more.items() if value},
    }


def argument_of(text: str) -> tuple[str, Any]:
    """Return name and value of ``NAME=VALUE``."""
    name, value = text.split("=", 1)
    return name, json.loads(value)


def in_a_process(job: dict[str, Any], arguments: argparse.Namespace) -> dict[str, Any]:
    """Run a job in a process of its own; its result, or why there is none."""
    source = next(d for d in arguments.data if Path(d).name == job["data"])
    more = {name: getattr(arguments, name) for name in WHERE}
    told = {"job": job, "source": source, **more}
    command = [sys.executable, __file__, "--one", json.dumps(told)]
    threads = {"OMP_NUM_THREADS": str(job["threads"]), "MKL_NUM_THREADS": str(job["threads"])}
    ended = processes.run(command, arguments.budget, threads)
    if ended.over_budget:
        return {"over_budget_s": arguments.budget}
    if ended.failed is not None:
        return {"failed": ended.failed, "after_s": ended.seconds}
    return json.loads(ended.output.splitlines()[-1])


def run_one(told: dict[str, Any]) -> dict[str, Any]:
    """Train and measure one setting in this process."""
    from figures import figures
    from peers.outcome import Options

    job = told["job"]
    setting = job["setting"]
    train, new = read(told["source"], validation=job["part"] == "validation")
    names = given_names(told, train.classes)
    if "title_ends" in job:
        train, new = (
            replace(part, texts=with_title(part.texts, job["title_ends"])) for part in (train, new)
        )
    name = setting.split("+")[0]
    module, function = ("peers.ours", "run") if name in LEARNERS else PEERS[name][:2]
    with tempfile.TemporaryDirectory() as folder:
        options = Options(
            setting=setting,
            names=names,
            seed=job["seed"],
            encoder=told["encoder"],
            max_length=job["max_length"],
            max_epochs=job["max_epochs"],
            arguments=job.get("set", {}),
            memory=told["memory"],
            checkpoints=told["checkpoints"],
            environments=told["environments"],
            scratch=Path(folder),
            threads=job["threads"],
        )
        outcome = getattr(import_module(module), function)(train, new.texts, options)
    fit = outcome.vectorize + outcome.train
    return {
        "documents": [len(train), len(new)],
        "names": len(names),
        "figures": figures(train, new, outcome.ranked, outcome.probabilities, outcome.given),
        "vectorize_s": outcome.vectorize.wall,
        "train_s": outcome.train.wall,
        "cpu_s": fit.cpu,
        "documents_a_second": len(new) / outcome.predict.wall,
        "documents_a_cpu_second": len(new) / outcome.predict.cpu,
        "model_bytes": outcome.model_bytes,
        "peak_gib": peak_gib(),
    }


def given_names(told: dict[str, Any], trained: list[str]) -> dict[str, str]:
    """Return the label texts that a job's setting is given."""
    job = told["job"]
    kind = texts_of(job["setting"])
    if kind is None:
        return {}
    names = names_of(Path(told["source"]), punctuation="punctuation" in job)
    if kind == "trained_names":
        return trained_names(names, set(trained))
    if kind == "open":
        return open_list(names, [Path(other) for other in told["others"]], job.get("most"))
    return names


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
