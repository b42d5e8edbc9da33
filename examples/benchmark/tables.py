"""Tables and pictures of what run.py measured.

    python examples/benchmark/tables.py FILE.jsonl [FILE.jsonl ...] [--data NAME]
        [--metrics P PSP ...] [--plot FOLDER]

Markdown, a table for each data set: the mean over seeds and, with two or more, the standard
deviation; the best of each column in bold; below it the commands that made it and the machine.
The picture shows P@1 and PSP@5 over training time.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from run import rows_of
from settings import LEARNERS

CUTS = (1, 3, 5)
FAMILIES = ("P", "PSP", "nDCG", "PSnDCG", "R")
COSTS = ("vectorize_s", "train_s", "documents_a_second", "peak_gib", "model_bytes")
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


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--data", help="this data set alone")
    parser.add_argument("--metrics", nargs="+", default=FAMILIES, choices=FAMILIES)
    parser.add_argument("--plot", type=Path, help="a folder for the pictures")
    arguments = parser.parse_args()
    rows = [row for path in arguments.files for row in rows_of(path)]
    for (data, part), of_data in grouped(rows).items():
        if arguments.data not in (None, data):
            continue
        runs = [run for of_setting in of_data.values() for run in of_setting]
        print(f"### `{data}`, {part} part\n\n{table(data, part, of_data, arguments.metrics)}\n")
        print("```bash", *commands(runs), "```\n", sep="\n")
        print(*machines(runs), "", sep="\n")
        if arguments.plot:
            name = data if part == "test" else f"{data}_{part}"
            draw(arguments.plot / f"{name}.svg", of_data)


def grouped(rows: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, list[dict[str, Any]]]]:
    """Return the runs by data and part, and in these by setting."""
    found: dict[tuple[str, str], dict[str, list[dict[str, Any]]]] = {}
    for row in rows:
        job = row["job"]
        of_data = found.setdefault((job["data"], job["part"]), {})
        of_data.setdefault(name_of(job), []).append(row)
    return found


def name_of(job: dict[str, Any]) -> str:
    """Return what a table calls a setting."""
    more = [f"{job['max_length']} tokens"] if job["max_length"] else []
    more += [f"{job['max_epochs']} epochs"] if job["max_epochs"] else []
    return f"{job['setting']} ({', '.join(more)})" if more else job["setting"]


def table(
    data: str,
    part: str,
    settings: dict[str, list[dict[str, Any]]],
    families: Sequence[str] = FAMILIES,
) -> str:
    """Return a Markdown table, best P@1 first; runs without a result come last."""
    lines: dict[str, list[Any]] = {}
    without: list[str] = []
    columns = [f"{family}@{k}" for family in families for k in CUTS]
    for name, runs in settings.items():
        done = [run for run in runs if "figures" in run]
        if not done:
            budget = runs[-1].get("over_budget_s")  # the last try
            without.append(f"{name}: " + (f"over {budget:.0f} s" if budget else "failed"))
            continue
        values = {c: [100 * run["figures"][c] for run in done] for c in columns}
        mark = " *" if any(run.get("memory") for run in done) else ""
        lines[f"{name}, {len(done)} seed{'s' if len(done) > 1 else ''}{mark}"] = [values, done]
    best = {c: max((np.mean(v[c]) for v, _ in lines.values()), default=0) for c in columns}
    head = "| setting | " + " | ".join(f"{f}@1 / 3 / 5" for f in families)
    head += " | vectorize + train, s | documents/s | peak GiB | model MB |"
    text = [head, "|" + "---|" * (len(families) + 5)]
    for name in sorted(lines, key=lambda n: -np.mean(lines[n][0]["P@1"])):
        values, done = lines[name]
        cells = [" / ".join(cell(values[f"{f}@{k}"], best[f"{f}@{k}"]) for k in CUTS)
                 for f in families]  # fmt: skip
        mean = {key: np.mean([run[key] for run in done]) for key in COSTS}
        cells.append(f"{mean['vectorize_s']:.1f} + {mean['train_s']:.1f}")
        cells.append(f"{mean['documents_a_second']:,.0f}")
        cells.append(f"{mean['peak_gib']:.2f}")
        cells.append(f"{mean['model_bytes'] / 1e6:,.0f}")
        text.append(f"| {name} | " + " | ".join(cells) + " |")
    if part == "test":
        for name, figures in PUBLISHED.get(data, {}).items():
            known = dict(zip(("P", "PSP"), figures.split(), strict=True))
            cells = [known.get(family, "").replace("/", " / ") for family in families]
            text.append(f"| {name} | " + " | ".join(cells) + " |" * 5)
    if any(name.endswith("*") for name in lines):
        text.append("\n\\* The time does not hold what the encoder's memory (`--memory`) gave.")
    if without:
        text.append("\nWithout a result: " + "; ".join(without) + ".")
    return "\n".join(text)


def commands(runs: list[dict[str, Any]]) -> list[str]:
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


def options(run: dict[str, Any]) -> str:
    """Return what a run's command line holds after its seeds."""
    job, found = run["job"], ""
    if job["encoder"]:
        found += f" --encoder {job['encoder']} --max-length {job['max_length']}"
    if job["max_epochs"]:
        found += f" --max-epochs {job['max_epochs']}"
    found += " --memory CACHE" if run.get("memory") else ""
    found += f" --budget {run['over_budget_s']:g}" if "over_budget_s" in run else ""
    found += f" --threads {job['threads']}"
    return found + (" --validation" if job["part"] == "validation" else "")


def machines(runs: list[dict[str, Any]]) -> list[str]:
    """Return a line for each machine and set of versions that the runs name."""
    found = []
    for run in runs:
        on = run["machine"]
        versions = ", ".join(f"{name} {number}" for name, number in on["versions"].items())
        bf16 = "with" if on["bf16"] else "without"
        found.append(f"{on['processor']}, {on['cores']} cores, {bf16} bf16; {versions}.")
    return list(dict.fromkeys(found))


def cell(values: list[float], best: float) -> str:
    """Return mean and spread, in bold if nothing is better."""
    mean = f"{np.mean(values):.2f}"
    mean = f"**{mean}**" if np.mean(values) >= best else mean
    return mean + (f" ±{np.std(values, ddof=1):.2f}" if len(values) > 1 else "")


def draw(path: Path, settings: dict[str, list[dict[str, Any]]]) -> None:
    """Write a picture of P@1 and PSP@5 over training time."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.0, 4.4), layout="constrained")
    for ax, metric in zip(figure.subplots(1, 2), ("P@1", "PSP@5"), strict=True):
        for name, runs in settings.items():
            done = [run for run in runs if "figures" in run]
            if not done:
                continue
            x = np.mean([run["vectorize_s"] + run["train_s"] for run in done])
            y = np.mean([100 * run["figures"][metric] for run in done])
            ours = name.split("+")[0].split(" ")[0] in LEARNERS
            ax.plot(x, y, "o" if ours else "s", color="#0072B2" if ours else "#D55E00")
            ax.annotate(f" {name}", (x, y), fontsize=8, va="center")
        ax.set_xscale("log")
        ax.margins(x=0.25)
        ax.set(xlabel="seconds to vectorize and train", ylabel=f"{metric}, per cent")
        ax.grid(alpha=0.3)
        ax.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


if __name__ == "__main__":
    main()
