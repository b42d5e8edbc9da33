"""Tables and the picture of what run.py measured.

    python examples/benchmark/tables.py FILE.jsonl [FILE.jsonl ...] [--data NAME ...]
        [--settings NAME ...] [--metrics P PSP ...] [--picture FILE.svg]

Markdown, a table for each data set: the mean over seeds and, with two or more, the standard
deviation; the best of each column in bold; below it the commands that made it and the machine.
What no run has is no column. `--picture` draws P@1 and P@5 over the time of training, a row of
panels a data set, and beside FILE.svg, FILE_dark.svg for dark pages (`.png` draws PNG).
"""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from run import rows_of

CUTS = (1, 3, 5)
FAMILIES = ("P", "PSP", "nDCG", "PSnDCG", "R", "trained_P")
# Other figures, in per cent but for errors, and what a table calls them.
ALONE = {
    "unseen_R@5": "R@5 of unseen labels", "micro_f1": "micro-F1", "macro_f1": "macro-F1",
    "ECE": "ECE", "ECE_by_chance": "ECE by chance", "ECE_unseen": "ECE of unseen labels",
}  # fmt: skip
IS_ERROR = ("ECE", "ECE_by_chance", "ECE_unseen")
COSTS = {
    "fit_s": ("vectorize + train, s", "{:,.1f}"), "cpu_s": ("CPU s", "{:,.1f}"),
    "documents_a_second": ("documents/s", "{:,.0f}"),
    "documents_a_cpu_second": ("documents a CPU s", "{:,.0f}"),
    "peak_gib": ("peak GiB", "{:.2f}"), "model_bytes": ("model MB", "{:,.1f}"),
}  # fmt: skip
# P and PSP at 1, 3 and 5 as published for the authors' split (Gupta et al., "ZestXML", KDD 2021,
# supplement): AttentionXML to XReg.
PUBLISHED = {
    "eurlex57k": {
        "AttentionXML, published": "93.61/83.42/69.99 53.92/63.59/67.85",
        "ZestXML-tuned, published": "91.42/82.36/69.50 48.01/60.29/66.15",
        "Bonsai, published": "91.53/82.08/69.13 46.41/58.83/64.44",
        "DiSMEC, published": "91.46/82.32/69.31 47.26/59.82/65.55",
        "Parabel, published": "90.81/81.35/68.64 46.82/58.80/64.29",
        "XReg, published": "86.83/78.08/66.97 58.06/62.99/65.97",
    }
}
Row = dict[str, Any]
Runs = dict[str, list[Row]]  # by setting


def main() -> None:
    """Print the tables, draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--data", nargs="+", help="these data sets alone, in this order")
    parser.add_argument("--settings", nargs="+", help="these settings alone")
    parser.add_argument("--metrics", nargs="+", default=[*FAMILIES, *ALONE],
                        choices=[*FAMILIES, *ALONE])  # fmt: skip
    parser.add_argument("--picture", type=Path, metavar="FILE", help=".svg or .png")
    arguments = parser.parse_args()
    rows = [row for path in arguments.files for row in rows_of(path)]
    if arguments.settings:
        rows = [row for row in rows if row["job"]["setting"] in arguments.settings]
    found = grouped(rows)
    if arguments.data:
        found = {key: found[key] for name in arguments.data for key in found if key[0] == name}
    for (data, part), of_data in found.items():
        runs = [run for of_setting in of_data.values() for run in of_setting]
        print(f"### `{data}`, {part} part\n\n{table(data, part, of_data, arguments.metrics)}\n")
        print("```bash", *commands(runs), "```\n", sep="\n")
        print(*machines(runs), "", sep="\n")
    if arguments.picture:
        from picture import draw

        draw(arguments.picture, found)


def grouped(rows: list[Row]) -> dict[tuple[str, str], Runs]:
    """Return the runs by data and part, and in these by setting."""
    found: dict[tuple[str, str], Runs] = {}
    for row in rows:
        job = row["job"]
        of_data = found.setdefault((job["data"], job["part"]), {})
        of_data.setdefault(name_of(job), []).append(row)
    return found


def name_of(job: Row) -> str:
    """Return what a table calls a setting."""
    more = [f"{job['max_length']} tokens"] if job["max_length"] else []
    more += [f"{job['max_epochs']} epochs"] if job["max_epochs"] else []
    more += [f"{name}={value}" for name, value in job.get("set", {}).items()]
    more += [f"most={job['most']}"] if "most" in job else []
    return f"{job['setting']} ({', '.join(more)})" if more else job["setting"]


def table(data: str, part: str, settings: Runs, metrics: Sequence[str]) -> str:
    """Return a Markdown table, best P@1 first; runs without a result come last."""
    done = {name: [run for run in runs if "figures" in run] for name, runs in settings.items()}
    without = [f"{name}: {why(runs[-1])}" for name, runs in settings.items() if not done[name]]
    lines = {name_in_table(name, runs): runs for name, runs in done.items() if runs}
    columns = [column for metric in metrics if (column := figures(metric, lines))]
    columns += [column for cost in COSTS if (column := costs(cost, lines))]
    heads = ["setting", *(head for head, _ in columns)]
    text = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    ordered = sorted(lines, key=lambda name: -mean_of(lines[name], "P@1"))
    text += [f"| {name} | {' | '.join(of[name] for _, of in columns)} |" for name in ordered]
    if part == "test" and lines:
        for name, published in PUBLISHED.get(data, {}).items():
            known = dict(zip(("P", "PSP"), published.split(), strict=True))
            cells = {f"{family}@1 / 3 / 5": known[family].replace("/", " / ") for family in known}
            text.append(f"| {name} | {' | '.join(cells.get(head, '') for head in heads[1:])} |")
    if any(name.endswith("*") for name in lines):
        text.append("\n\\* The time does not hold what the encoder's memory (`--memory`) gave.")
    if without:
        text.append("\nWithout a result: " + "; ".join(without) + ".")
    return "\n".join(text if lines else text[2:])


def why(run: Row) -> str:
    """Return why a run has no result."""
    return f"over {run['over_budget_s']:.0f} s" if "over_budget_s" in run else "failed"


def name_in_table(name: str, runs: list[Row]) -> str:
    """Return the first cell of a row."""
    names = f", {runs[0]['names']:,} names" if runs[0].get("names") else ""
    mark = " *" if any(run.get("memory") for run in runs) else ""
    return f"{name}{names}, {len(runs)} seed{'s' if len(runs) > 1 else ''}{mark}"


def figures(metric: str, lines: Runs) -> tuple[str, dict[str, str]] | None:
    """Return head and cells of a metric's column; None where no run has it."""
    keys = [f"{metric}@{k}" for k in CUTS] if metric in FAMILIES else [metric]
    scale = 1 if metric in IS_ERROR else 100
    values = {
        name: [
            [scale * run["figures"][key] for run in runs if key in run["figures"]] for key in keys
        ]
        for name, runs in lines.items()
    }
    there = [of_name for of_name in values.values() if all(of_name)]
    if not there:
        return None
    best = [max(np.mean(of_name[i]) for of_name in there) for i in range(len(keys))]
    best = [np.inf] if metric in IS_ERROR else best
    cells = {
        name: " / ".join(cell(v, b) for v, b in zip(of_name, best, strict=True))
        if all(of_name) else ""
        for name, of_name in values.items()
    }  # fmt: skip
    head = f"{metric.replace('_', ' ')}@1 / 3 / 5" if metric in FAMILIES else ALONE[metric]
    return head, cells


def cell(values: list[float], best: float) -> str:
    """Return mean and spread, in bold if nothing is better; an error is never the best."""
    form = "{:.3f}" if best == np.inf else "{:.2f}"
    mean = form.format(np.mean(values))
    mean = f"**{mean}**" if np.mean(values) >= best > 0 else mean
    return mean + (f" ±{form.format(np.std(values, ddof=1))}" if len(values) > 1 else "")


def costs(cost: str, lines: Runs) -> tuple[str, dict[str, str]] | None:
    """Return head and cells of a cost's column; None where no run has it."""
    head, form = COSTS[cost]
    cells = {}
    for name, runs in lines.items():
        if cost == "fit_s":
            parts = [mean_of(runs, key) for key in ("vectorize_s", "train_s") if key in runs[0]]
        else:
            parts = [mean_of(runs, cost)] if cost in runs[0] else []
        scale = 1e-6 if cost == "model_bytes" else 1
        cells[name] = " + ".join(form.format(scale * part) for part in parts)
    return (head, cells) if any(cells.values()) else None


def mean_of(runs: list[Row], key: str) -> float:
    """Return the mean of a figure or a cost."""
    return float(np.mean([run[key] if key in run else run["figures"][key] for run in runs]))


def commands(runs: list[Row]) -> list[str]:
    """Return the command lines that run just these, without this machine's folders."""
    # Settings under the same options, and of these the settings with the same seeds.
    seeds: dict[tuple[str, str], list[int]] = {}
    for run in runs:
        of_setting = seeds.setdefault((options(run), run["job"]["setting"]), [])
        of_setting.append(run["job"]["seed"])
    settings: dict[tuple[str, str], list[str]] = {}
    for (shared, setting), numbers in seeds.items():
        text = " ".join(map(str, sorted(set(numbers))))
        settings.setdefault((shared, text), []).append(setting)
    data = runs[0]["job"]["data"]
    return [
        f"python examples/benchmark/run.py {data} --results FILE --settings {' '.join(names)} "
        f"--seeds {numbers}{shared}"
        for (shared, numbers), names in settings.items()
    ]


def options(run: Row) -> str:
    """Return what a run's command line holds after its seeds."""
    job = run["job"]
    told = ["--encoder", job["encoder"], "--max-length", job["max_length"]] * bool(job["encoder"])
    told += ["--max-epochs", job["max_epochs"]] * bool(job["max_epochs"])
    told += ["--memory", "CACHE"] * bool(run.get("memory"))
    told += ["--others", *job["others"]] if "others" in job else []
    told += ["--most", job["most"]] if "most" in job else []
    told += ["--title-ends", job["title_ends"]] if "title_ends" in job else []
    if "set" in job:
        told += ["--set", *(f"{name}={json.dumps(value)}" for name, value in job["set"].items())]
    told += ["--punctuation"] * ("punctuation" in job)
    told += ["--budget", f"{run['over_budget_s']:g}"] if "over_budget_s" in run else []
    told += ["--threads", job["threads"]]
    told += ["--validation"] * (job["part"] == "validation")
    return "".join(f" {shlex.quote(str(each))}" for each in told)


def machines(runs: list[Row]) -> list[str]:
    """Return a line for each machine and set of versions that the runs name."""
    found = []
    for run in runs:
        on = run["machine"]
        versions = ", ".join(f"{name} {number}" for name, number in on["versions"].items())
        bf16 = "with" if on["bf16"] else "without"
        found.append(f"{on['processor']}, {on['cores']} cores, {bf16} bf16; {versions}.")
    return list(dict.fromkeys(found))


if __name__ == "__main__":
    main()
