"""What the files of a pretrained encoder say of its vectors, as sentence-transformers writes them.

There are ``modules.json``, the steps from a text to its vector; the ``config.json`` in the folder
of the step "Pooling"; and ``config_sentence_transformers.json``, with the prompts.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
        From the kind of each step behind the encoder, such as "Pooling", "Dense" and "Normalize",
        to its folder.
    pooling : str or None
        "cls", "mean", "last", or the name of another way; several are joined by "+". None: the
        files do not say.
    pools_prompt : bool
        Whether a prompt's tokens are pooled with the text's.
    prompt : str
        What is put before each text unless somebody says otherwise.
    """

    steps: dict[str, str]
    pooling: str | None = None
    pools_prompt: bool = True
    prompt: str = ""


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
    return OwnFiles(
        steps,
        _pooling_of(pooling),
        pooling.get("include_prompt") is not False,
        str(names.get(prompts.get("default_prompt_name")) or ""),
    )


def _pooling_of(values: dict[str, Any]) -> str | None:
    """Return the way of pooling, or the ways; newer files name it, older ones have a flag each."""
    named = values.get("pooling_mode")
    if named is None:
        named = [way for flag, way in _FLAGS.items() if values.get(flag) is True]
    ways = [named] if isinstance(named, str) else [str(way) for way in named]
    ways = ["last" if way == "lasttoken" else way for way in ways]
    return "+".join(ways) or None
