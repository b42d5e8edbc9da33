"""What the files of a pretrained encoder say of its vectors, as sentence-transformers writes them.

There are ``modules.json``, the steps from a text to its vector; the ``config.json`` in the folder
of the step "Pooling"; and ``config_sentence_transformers.json``, with the prompts. model2vec says
in ``config.json`` what it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from lightxml.exceptions import warn
from lightxml.network.reading import Pooling

POOLING = "1_Pooling"  # the folder of the step, where no modules.json says it

_FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_lasttoken": "last",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
}


@dataclass(frozen=True)
class OwnFiles:
    """What a model's own files say.

    Attributes
    ----------
    steps : dict of str to str
        From the kind of each step, such as "Transformer", "Pooling", "Dense" and "Normalize", to
        its folder.
    pooling : str or None
        "cls", "mean", "last", or the name of another way; several are joined by "+". None: the
        files do not say.
    pools_prompt : bool
        Whether a prompt's tokens are pooled with the text's.
    prompt : str
        What is put before each text unless somebody says otherwise.
    normalize : bool
        Whether vectors are scaled to length 1.
    static : str or None
        The folder of static embeddings within the model, "" for the model's own; None: it is a
        transformer.
    """

    steps: dict[str, str]
    pooling: str | None = None
    pools_prompt: bool = True
    prompt: str = ""
    normalize: bool = False
    static: str | None = None


NOTHING = OwnFiles({})


def read_own_files(find: Callable[[str], str | None]) -> OwnFiles:
    """Read them.

    Parameters
    ----------
    find : callable
        Gives the place of a file of the model; None where the model has no such file.

    Raises
    ------
    OSError, ValueError
        If a file cannot be read, or is not such as sentence-transformers writes it.
    """

    def values(name: str, kind: type) -> Any:
        if (file := find(name)) is None:
            return kind()
        found = json.loads(Path(file).read_text(encoding="utf-8"))
        if not isinstance(found, kind):
            raise ValueError(f"{name} is a JSON {type(found).__name__}; expected a {kind.__name__}")
        return found

    steps = {}
    for module in values("modules.json", list):
        # Its class, by its full name, which has not always been the same.
        steps[str(module["type"]).rsplit(".", 1)[-1]] = str(module["path"])
    pooling = values(f"{steps.get('Pooling', POOLING)}/config.json", dict)
    prompts = values("config_sentence_transformers.json", dict)
    names = prompts.get("prompts") or {}
    config, static = values("config.json", dict), steps.get("StaticEmbedding")
    if config.get("model_type") == "model2vec":
        static = ""
    return OwnFiles(
        steps,
        _pooling_of(pooling),
        pooling.get("include_prompt") is not False,
        str(names.get(prompts.get("default_prompt_name")) or ""),
        config.get("normalize", "Normalize" in steps) is True,
        "" if static == "." else static,
    )


def _pooling_of(values: dict[str, Any]) -> str | None:
    """Return the way of pooling, or the ways; newer files name it, older ones have a flag each."""
    named = values.get("pooling_mode")
    if named is None:
        named = [way for flag, way in _FLAGS.items() if values.get(flag) is True]
    ways = [named] if isinstance(named, str) else [str(way) for way in named]
    ways = ["last" if way == "lasttoken" else way for way in ways]
    return "+".join(ways) or None


def pooling_of(
    name: str, own: OwnFiles, given: str, *, else_by: Pooling, has_summary_token: bool
) -> Pooling:
    """Return how to pool: as given, or as the files say.

    Whoever pools in a way that is not built is pooled by the mean.

    Parameters
    ----------
    name : str
        Of the encoder.
    own : OwnFiles
    given : {"auto", "cls", "mean", "last"}
    else_by : str
        Where nobody says.
    has_summary_token : bool

    Raises
    ------
    ValueError
        If there is no summary token to pool by.
    """
    if "Dense" in own.steps:
        warn(
            f"encoder={name!r}: its own files put a dense layer behind the pooling, which is not "
            "read. Texts are compared by the vectors before it."
        )
    way: Any = own.pooling or else_by if given == "auto" else given
    if way == "cls" and not has_summary_token:
        raise ValueError(
            f"pooling='cls' needs a summary token ([CLS]), and encoder={name!r} has none. Pass "
            "pooling='mean' or 'last'."
        )
    if way not in get_args(Pooling):
        warn(
            f"encoder={name!r}: its own files pool by {way!r}, which is not built; the mean of the "
            "tokens is taken. Pass pooling='mean' to say so."
        )
        return "mean"
    pooling: Pooling = way
    return pooling


def prompt_of(name: str, own: OwnFiles, pooling: str, given: str | None) -> str:
    """Return what is put before each text: as given, or as the files say.

    Raises
    ------
    ValueError
        If the files leave its tokens out of the pooling, which is not built.
    """
    prompt = own.prompt if given is None else given
    if prompt and pooling == "auto" and not own.pools_prompt:
        raise ValueError(
            f"encoder={name!r} has its prompt left out of the pooling by its own files "
            "(include_prompt is false), which is not built. Pass prompt='', or say with pooling "
            "how the tokens of prompt and text are pooled."
        )
    return prompt
