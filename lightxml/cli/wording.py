"""What Python calls an argument, in the words of the command line."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from lightxml.exceptions import DeviceMemoryError, NonFiniteLossError
from lightxml.runtime.terminal import warning_line

# Arguments with an option of their own; any other is given as --set NAME=VALUE.
OPTIONS = {
    name: "--" + name.replace("_", "-")
    for name in (
        "encoder", "freeze_encoder", "max_length", "max_epochs", "batch_size", "learning_rate",
        "random_state", "device",
    )
}  # fmt: skip

_PHRASES = (
    (r"features=TfidfVectorizer\(\)", "--tfidf words"),
    (r"(\w+) must be an instance of int, not \w+", r"\1: expected a whole number"),
    (r"(\w+) must be an instance of float, not \w+", r"\1: expected a number"),
    (r", a clusterer \(an instance\), or an array with a cluster number", r", or a list with a"
     r" cluster number"),
    (r"pass X_val and y_val", "give data with a dev part"),
    (r"documents ([\d, ]+) of X\b", r"training documents \1 (counted from 0)"),
    (r"After pruning, no terms remain\..*|max_df corresponds to < documents than min_df|"
     r"empty vocabulary; .*", "--tfidf: no word is in two documents, so that nothing can be"
     " learnt from words. Give more or longer documents."),
)  # fmt: skip
_SETTING = re.compile(r"\b([a-z]+(?:_[a-z]+)*)=('[^']*'|[\w./-]*\w)")
_NAME = re.compile(rf"(?<![\w-])({'|'.join(name for name in OPTIONS if '_' in name)})(?![\w=])")


def in_options(message: str) -> str:
    """Return a message of `fit` or `load` with options in the place of Python's arguments."""
    for pattern, words in _PHRASES:
        message = re.sub(pattern, words, message)
    return _NAME.sub(lambda found: OPTIONS[found[1]], _SETTING.sub(_as_option, message))


def _as_option(found: re.Match[str]) -> str:
    name, value = found[1], found[2].strip("'")
    if name not in OPTIONS:
        return f"--set {name}={value}"
    if name == "freeze_encoder" and value == "True":
        return OPTIONS[name]
    return f"{OPTIONS[name]} {'none' if value == 'None' else value}"


@contextmanager
def speaking_options() -> Iterator[None]:
    """Reword what is raised and warned of within."""
    format_warning = warnings.formatwarning
    warnings.formatwarning = lambda message, *where, **line: in_options(
        warning_line(message, *where, **line)
    )
    try:
        yield
    except (TypeError, ValueError, OSError, NonFiniteLossError, DeviceMemoryError) as error:
        message = in_options(str(error))
        if message == str(error):
            raise
        raise ValueError(message) from error
    finally:
        warnings.formatwarning = format_warning
