"""All that is owed on a GPU, in one command of under nine minutes, with a table at its end.

    python examples/benchmark/gpu.py OUT [--part tests agree step memory train nccl compiled]
        [--data FOLDER] [--encoder FOLDER] [--title-ends PATTERN] [--seconds 530] [--dry]

- ``tests``: ``pytest -m gpu``;
- ``agree``: a model trained on the GPU ranks alike there and, saved and loaded, on the CPU (fp32);
- ``step``: a trained step beside the bare encoder, as encoder_overhead.py measures it, in bf16 with
  random weights, 128 and 512 tokens; torch's own choice of attention, and flash attention alone;
- ``memory``: peak memory and documents a second at 670,091 labels, by many_labels.py, for the shape
  of BERT-base in batches of 64: label clusters, all labels in chunks, one layer over all;
- ``train``: a trained encoder with features, label texts and all rankers, by run.py, on the
  data set of `--data` (EURLEX57K, with its labels.txt), for as many epochs as fit; with
  `--title-ends`, titles are a field of their own;
- ``nccl``: a training over nccl in a group of one, and two processes on one card;
- ``compiled``: ``step`` under ``torch.compile``.

Each job is a process with a limit of its own, so that one that fails or hangs takes no other along.
Its rows go to OUT/gpu.jsonl as they come; a job that has ended there is not run again, and so the
same command goes on where it was, and a part can be run alone. What failed is in OUT/errors.txt,
the table in OUT/gpu.md too. `--dry` does it all at tiny sizes, on whatever device there is, without
the jobs' own limits.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import processes
from gpu_table import table
from run import rows_of

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
PARTS = ("tests", "agree", "step", "memory", "train", "nccl", "compiled")
BATCH_SIZE, RATE = 64, 2e-4
# Of a training: what reading, TF-IDF, the other rankers and the ranking take, in seconds (196 for
# EURLEX57K on 16 cores, beside other work); how much longer an epoch takes than that of the encoder
# without features; the limits of the epochs.
AROUND, MORE, FEWEST, MOST = 200, 1.4, 2, 10
KEPT = 110  # seconds for what comes after the training
LEAST = 15  # seconds, with less no job begins
TRAININGS = "trainings.jsonl"  # in OUT, what run.py wrote

Row = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """A process to run.

    Attributes
    ----------
    part, name : str
    command : list of str
        After the interpreter.
    seconds : float
        At most.
    """

    part: str
    name: str
    command: list[str]
    seconds: float


def main() -> None:
    """Run what is not there yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="a folder")
    parser.add_argument("--part", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--data", help="a folder that lightxml.datasets.load_xmc reads")
    parser.add_argument("--encoder", help="a folder")
    parser.add_argument("--title-ends", metavar="PATTERN", help="as of run.py")
    parser.add_argument("--seconds", type=float, default=530, help="for all parts")
    parser.add_argument("--dry", action="store_true", help="tiny sizes")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + arguments.seconds
    results = arguments.out / "gpu.jsonl"
    if not rows_of(results):
        add(results, {"part": "machine", **gpu_and_versions()})
    for part in PARTS:
        if part not in arguments.part:
            continue
        for job in jobs(part, arguments, rows_of(results), end - time.monotonic()):
            left = end - time.monotonic()
            work(job, results, left if arguments.dry else min(job.seconds, left))
    text = table(rows_of(results))
    (arguments.out / "gpu.md").write_text(text, encoding="utf-8")
    print(text)


def jobs(part: str, arguments: argparse.Namespace, rows: list[Row], left: float) -> Iterator[Job]:
    """Yield a part's jobs."""
    dry = ["--dry"] if arguments.dry else []
    measure = [str(HERE / "gpu_parts.py"), *dry]
    if part == "tests":
        files = [
            str(path)
            for path in sorted((ROOT / "tests").rglob("test_*.py"))
            if "mark.gpu" in path.read_text(encoding="utf-8")
        ]
        # Without a GPU, those of them that run on a CPU as well.
        chosen = (
            ["-m", "not slow and not gpu", "-k", "last_bit"] if arguments.dry else ["-m", "gpu"]
        )
        # In place of those of pyproject.toml, which want pytest-xdist: one process has the GPU.
        own = ["-o", "addopts=--import-mode=importlib", "-p", "no:cacheprovider"]
        options = [*own, "-q", "-ra", "--tb=short", *chosen]
        yield Job(part, "pytest", ["-m", "pytest", *options, *files], 120)
    elif part == "agree":
        encoder = [] if arguments.encoder is None else ["--encoder", arguments.encoder]
        yield Job(part, "agree", [*measure, "agree", *encoder], 75)
    elif part == "step":
        yield Job(part, "sdpa", [*measure, "step"], 75)
        yield Job(part, "flash", [*measure, "step", "--attention", "flash"], 50)
    elif part == "compiled":
        yield Job(part, "compiled", [*measure, "step", "--compile"], 150)
    elif part == "memory":
        for head in ("clustered", "dense", "one_vs_all"):
            yield memory_job(head, dry=arguments.dry)
    elif part == "nccl":
        start = ["-m", "torch.distributed.run", "--nproc-per-node"]
        yield Job(part, "alone", [*measure, "processes", "alone"], 40)
        yield Job(part, "one", [*start, "1", *measure, "processes", "one"], 40)
        yield Job(part, "two", [*start, "2", *measure, "processes", "two"], 40)
    elif arguments.data is None or arguments.encoder is None:
        print("train: left out, for it wants --data and --encoder.")
    else:
        yield training_job(arguments, rows, left)


def memory_job(head: str, *, dry: bool) -> Job:
    """Return the run of many_labels.py with a head."""
    n_labels, shape, size, n_steps = (
        (300, "minilm", 4, 2) if dry else (670_091, "bert-base", 64, 20)
    )
    command = [
        str(HERE / "many_labels.py"), "--shape", shape, "--batch-size", str(size),
        "--steps", str(n_steps), "--max-length", "16" if dry else "128",
        "--one", head, str(n_labels),
    ]  # fmt: skip
    return Job("memory", f"{head}, batch {size}", command, 75)


def training_job(arguments: argparse.Namespace, rows: list[Row], left: float) -> Job:
    """Return the run of run.py, with as many tokens and epochs as there is time for."""
    seconds = left if arguments.part == ["train"] else left - KEPT
    tokens, n_epochs = (16, 1) if arguments.dry else plan(arguments.data, rows, seconds)
    setting = "trained+names+titles" if arguments.title_ends else "trained+names"
    command = [
        str(HERE / "run.py"), arguments.data, "--results", str(arguments.out / TRAININGS),
        "--settings", setting, "--encoder", arguments.encoder, "--max-length", str(tokens),
        "--max-epochs", str(n_epochs), "--set", f"batch_size={BATCH_SIZE}",
        f"learning_rate={RATE}", "--budget", f"{seconds - LEAST / 3:.0f}",
    ]  # fmt: skip
    if arguments.title_ends:
        command += ["--title-ends", arguments.title_ends]
    return Job("train", "all rankers", command, seconds)


def plan(data: str, rows: list[Row], seconds: float) -> tuple[int, int]:
    """Return tokens and epochs: the most tokens with which six epochs fit, and what fits then."""
    with (Path(data) / "train_labels.txt").open(encoding="utf-8") as lines:
        n_documents = sum(1 for _ in lines)
    rates = {r["tokens"]: r["ours"] for r in rows if r["part"] == "step" and "tokens" in r
             and r["shape"] == "minilm"}  # fmt: skip
    if rates.keys() != {128, 512}:
        raise SystemExit("train: run the part step first; it decides how many epochs fit.")
    rates[256] = 2 / (1 / rates[128] + 1 / rates[512])  # between the two
    for tokens in (512, 256, 128):
        n_epochs = int((seconds - AROUND) / (MORE * n_documents / rates[tokens]))
        if n_epochs >= 6:
            break
    return tokens, min(max(n_epochs, FEWEST), MOST)


def work(job: Job, results: Path, seconds: float) -> None:
    """Run a job, if it has not ended well before, and write down what it gives."""
    done = [r for r in rows_of(results) if r["part"] == job.part and r.get("ended") == job.name]
    if any(row["how"] == "well" for row in done):
        print(f"{job.part}, {job.name}: already there", flush=True)
        return
    if seconds < LEAST:
        print(f"{job.part}, {job.name}: no time left", flush=True)
        return
    # The scripts run from any folder, and find the package that they came with.
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    ended = processes.run([sys.executable, *job.command], seconds, {"PYTHONPATH": path})
    rows = READ.get(job.part, json_lines)(ended.output, results.parent)
    for row in rows:
        add(results, {"part": job.part, "job": job.name, **row})
    how = "well" if rows else "without a result"
    if ended.over_budget:
        how = f"over {seconds:.0f} s"
    elif ended.failed is not None:
        how = f"failed: {ended.failed}"
    add(results, {"part": job.part, "ended": job.name, "how": how, "seconds": ended.seconds})
    if how != "well":
        with (results.parent / "errors.txt").open("a", encoding="utf-8") as file:
            file.write(f"# {job.part}, {job.name}: {how}\n")
            file.write(ended.output[-20_000:] + ended.errors[-20_000:] + "\n")
    print(f"{job.part}, {job.name}: {how}, {ended.seconds:.0f} s", flush=True)


def json_lines(output: str, out: Path) -> list[Row]:
    """Return the JSON objects that a process printed, a line each."""
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


def of_pytest(output: str, out: Path) -> list[Row]:
    """Return pytest's last line, and the names of tests that failed."""
    lines = output.strip().splitlines()
    failed = [line.split(" - ")[0] for line in lines if line.startswith(("FAILED", "ERROR"))]
    return [{"tests": lines[-1].strip("= "), "failed": failed}] if lines else []


def of_runner(output: str, out: Path) -> list[Row]:
    """Return the last run that run.py wrote down, if it has a result."""
    return [row for row in rows_of(out / TRAININGS)[-1:] if "figures" in row]


READ: dict[str, Callable[[str, Path], list[Row]]] = {"tests": of_pytest, "train": of_runner}


def add(results: Path, row: Row) -> None:
    """Append a row to the results."""
    with results.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def gpu_and_versions() -> Row:
    """Return what a reader must know of the machine."""
    import torch
    from data import machine

    name = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return {"gpu": name, **machine()}


if __name__ == "__main__":
    main()
