"""``lightxml reproduce``: the published models, trained again."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from lightxml.cli.options import Device, check_device, check_file, check_folder
from lightxml.cli.recipes import (
    IMPROVEMENTS,
    RECIPES,
    Recipe,
    Smoke,
    choose_improvements,
    wanted,
)
from lightxml.cli.wording import speaking_options
from lightxml.runtime.terminal import peak_memory, sizes


def reproduce(
    name: Annotated[str, typer.Argument(metavar="|".join(RECIPES), show_default=False)],
    data: Annotated[Path | None, typer.Option(metavar="FOLDER", help="The data set.")] = None,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Save the model, and the figures as figures.json."),
    ] = None,
    json_: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Save the figures here instead.")
    ] = None,
    improvements: Annotated[
        str, typer.Option(metavar="NAMES", help=f"Of {','.join(IMPROVEMENTS)}, with commas.")
    ] = "",
    members: Annotated[
        int | None, typer.Option(metavar="N", help="Train the first N of the three members only.")
    ] = None,
    encoder: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FOLDER", help="In place of the published ones: once, or once for each member."
        ),
    ] = None,
    smoke: Annotated[
        bool, typer.Option("--smoke", help="The whole recipe in a minute, made tiny.")
    ] = False,
    checkpoint_dir: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where a killed member goes on from.")
    ] = None,
    device: Device = "auto",
    seed: Annotated[int, typer.Option(help="The same seed, the same model.")] = 0,
) -> None:
    """Train LightXML with its published settings, and compare.

    Three members are trained one after the other and averaged. Their figures on the test part
    are shown beside the published ones.
    """
    if name not in RECIPES:
        raise typer.BadParameter(f"{name}: expected one of {', '.join(RECIPES)}.")
    if output is not None:
        check_folder(output, "--output")
        json_ = json_ or output / "figures.json"
    if json_ is not None:
        check_file(json_, "--json")
    check_device(device)
    recipe, cuts = RECIPES[name], Smoke() if smoke else None
    chosen, idle = choose_improvements(recipe, improvements)
    folder = check_data(data, recipe)
    from lightxml.cli import reproduction
    from lightxml.datasets import label_sets
    from lightxml.runtime.ranks import is_first_process

    model = reproduction.make_ensemble(
        recipe,
        encoders=encoder or [],
        n_members=members,
        improvements=chosen,
        smoke=cuts,
        checkpoint_dir=checkpoint_dir,
        device=device,
        seed=seed,
        verbose=1,
    )
    bunch = reproduction.read_data(recipe, folder, cuts)
    with speaking_options(["encoder"]):
        reproduction.check_encoders(model)
    is_first = is_first_process()
    if is_first:
        typer.echo(sizes(bunch))
    if idle and is_first:
        typer.echo(f"Left out, having no effect without label clusters: {', '.join(idle)}.")
    began = time.monotonic()
    with speaking_options(["encoder", "device", "checkpoint_dir"]):
        model.fit(bunch.X_train, label_sets(bunch.y_train, bunch.labels))
    seconds = time.monotonic() - began
    if not is_first:
        return
    if output is not None:
        model.save(output)
    figures = reproduction.measure(model, bunch, recipe)
    typer.echo(f"Trained in {seconds:,.0f} s, {peak_memory()}.\n")
    typer.echo(reproduction.comparison(recipe, figures, improvements=chosen, smoke=cuts))
    if json_ is not None:
        record = reproduction.record(recipe, model, figures, improvements=chosen, smoke=cuts)
        record |= {"folder": str(folder), "seed": seed, "seconds": round(seconds, 1)}
        _write(record, json_)


def check_data(data: Path | None, recipe: Recipe) -> Path:
    """Return the folder, or say what folder is wanted."""
    if data is None:
        raise FileNotFoundError(f"--data is missing. {wanted(recipe)}")
    if not data.is_dir():
        raise FileNotFoundError(f"--data {data} is not a folder. {wanted(recipe)}")
    return data


def _write(record: dict[str, Any], file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
