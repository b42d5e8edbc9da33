"""``lightxml serve``: a model behind HTTP, with a page to try it."""

from __future__ import annotations

import importlib.util
import ipaddress
from typing import Annotated

import typer

from lightxml.cli.options import (
    Device,
    Language,
    Model,
    Names,
    check_device,
    check_model,
    check_reads,
    load_model,
    names_of,
    read_label_texts,
)
from lightxml.cli.wording import speaking_options

_NEEDED = ("fastapi", "uvicorn")
_LIMITS = ("max_texts", "max_characters", "max_batch", "max_queue")
_LOCAL = ("localhost", "127.0.0.1", "::1")


def serve(
    model: Model,
    host: Annotated[
        str, typer.Option(help="The address to answer at; 0.0.0.0 is all of this machine's.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 is any free one.")] = 8000,
    hostname: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Answer only those who ask for this name; repeatable.",
            show_default="localhost where --host is this machine alone, else any name",
        ),
    ] = None,
    names: Names = None,
    language: Language = None,
    device: Device = "auto",
    max_texts: Annotated[int, typer.Option(min=1, help="Texts of a request.")] = 64,
    max_characters: Annotated[int, typer.Option(min=1, help="Of a text.")] = 20_000,
    max_batch: Annotated[int, typer.Option(min=1, help="Texts predicted together.")] = 64,
    max_queue: Annotated[
        int, typer.Option(min=1, help="Texts that wait; more are turned away.")
    ] = 512,
) -> None:
    """Answer over HTTP which labels fit a text, and why; with a page to try it.

    POST /predict takes {"texts": ["..."], "k": 5}, POST /explain {"text": "...", "label": "..."}.
    GET /health says that it is ready. There are no users and passwords: it answers to this machine
    only, unless --host says otherwise.
    """
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(f'serve needs {" and ".join(missing)}: pip install "lightxml[serve]"')
    check_device(device)
    check_model(model)
    texts = read_label_texts(names, language, "--names")
    from lightxml.serving.limits import Limits
    from lightxml.serving.port import take_port

    with speaking_options(_LIMITS):
        limits = Limits(
            max_texts=max_texts,
            max_characters=max_characters,
            max_batch=max_batch,
            max_queue=max_queue,
        )
    with take_port(host, port) as listener:
        typer.echo(f"Loading {model} ...")
        estimator = load_model(model, device)
        check_reads(estimator, [""], model)
        estimator.predict_topk([""], 1)  # rankers make their tables for the first text: seconds
        from lightxml.serving.app import create_app
        from lightxml.serving.server import run

        is_local = _is_local(host)
        app = create_app(
            estimator,
            limits,
            names=names_of(estimator, texts, names),
            hosts=hostname or ((*_LOCAL, host) if is_local else None),
        )
        address = f"[{host}]" if ":" in host else host
        url = f"http://{address}:{listener.getsockname()[1]}/"

        def ready() -> None:
            typer.echo(f"Ready, {len(estimator.classes_):,} labels. Ctrl-C ends it.\nOpen {url}")

        run(app, listener, ready)


def _is_local(host: str) -> bool:
    """Tell whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
