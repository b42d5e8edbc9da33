"""What is to be run: the command line of run.py, as jobs, and what each job reads."""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from data import Part, read
from label_texts import names_of, open_list, trained_names, with_title
from peers.outcome import Options
from settings import LEARNERS, WITH_ENCODER, texts_of

# What a job's process is told beside the job: where things are changes no result.
WHERE = ("encoder", "others", "memory", "checkpoints", "environments")


def parser(description: str) -> argparse.ArgumentParser:
    """Return a command line of data sets, settings, and what they read."""
    found = argparse.ArgumentParser(description=description)
    add = found.add_argument
    add("data", nargs="*", help="folders, or pydocs")
    add("--results", type=Path, help="JSON lines; each run is appended")
    add("--settings", nargs="+", default=["features", "omikuji"])
    add("--seeds", nargs="+", type=int, default=[0])
    add("--validation", action="store_true", help="measure on a tenth of the training part")
    add("--others", nargs="+", default=[], help="folders of other sets, for +open")
    add("--most", type=int, metavar="N", help="names of the open list, in the end")
    add("--punctuation", action="store_true", help="split names at it")
    add("--title-ends", metavar="PATTERN", help="for +titles")
    add("--encoder", help="a folder or hub name")
    add("--max-length", type=int, default=128)
    add("--max-epochs", type=int, help="of trained encoders")
    add("--set", nargs="+", default=[], metavar="NAME=VALUE", help="of ours, values as JSON")
    add("--memory", help="a folder for a frozen encoder's vectors")
    add("--checkpoints", help="a folder for those of trained encoders")
    add("--environments", default="build/environments", help="a folder for those of peers")
    add("--threads", type=int, default=os.cpu_count())
    return found


def jobs(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Return what is to be run, in turns: data by data, seed by seed, setting by setting."""
    return [
        job_of(arguments, Path(data).name, setting, seed)
        for data in arguments.data
        for seed in arguments.seeds
        for setting in arguments.settings
    ]


def job_of(arguments: argparse.Namespace, data: str, setting: str, seed: int) -> dict[str, Any]:
    """Return all that changes the result of a run; an option without effect on it is absent."""
    name, *variants = setting.split("+")
    texts = texts_of(setting)
    uses_encoder = name in WITH_ENCODER
    more = {
        "punctuation": bool(texts) and arguments.punctuation,
        "others": sorted(Path(other).name for other in arguments.others) * (texts == "open"),
        "most": arguments.most if texts == "open" else None,
        "title_ends": arguments.title_ends if "titles" in variants else None,
        "set": dict(map(_argument, arguments.set)) if name in LEARNERS else None,
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


def _argument(text: str) -> tuple[str, Any]:
    name, value = text.split("=", 1)
    return name, json.loads(value)


def told(job: dict[str, Any], arguments: argparse.Namespace) -> dict[str, Any]:
    """Return a job, and where what it reads is."""
    source = next(data for data in arguments.data if Path(data).name == job["data"])
    return {"job": job, "source": source, **{name: getattr(arguments, name) for name in WHERE}}


def prepared(told: dict[str, Any], scratch: Path) -> tuple[Part, Part, Options]:
    """Return the documents to learn from and to measure on, and the options of a job."""
    job = told["job"]
    train, new = read(told["source"], validation=job["part"] == "validation")
    names = _names(told, train.classes)
    if "title_ends" in job:
        train, new = (
            replace(part, texts=with_title(part.texts, job["title_ends"])) for part in (train, new)
        )
    options = Options(
        setting=job["setting"],
        names=names,
        seed=job["seed"],
        encoder=told["encoder"],
        max_length=job["max_length"],
        max_epochs=job["max_epochs"],
        arguments=job.get("set", {}),
        memory=told["memory"],
        checkpoints=told["checkpoints"],
        environments=told["environments"],
        scratch=scratch,
        threads=job["threads"],
    )
    return train, new, options


def _names(told: dict[str, Any], trained: list[str]) -> dict[str, str]:
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
