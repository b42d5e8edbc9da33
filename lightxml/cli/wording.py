"""What Python calls an argument, in the words of the command line."""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from lightxml.exceptions import DeviceMemoryError, NonFiniteLossError

_PHRASES = (
    (r"features=TfidfVectorizer\(\)", "--tfidf words"),
    (r'TfidfVectorizer\(analyzer="char", ngram_range=\(1, 2\)\)', "--tfidf chars"),
    (r"\ban int\b", "a whole number"),
    (r"\bor None\b", "or none"),
    (r", a clusterer \(an instance\), or an array with", ", or a list with"),
    (r"pass X_val and y_val", "give data with a dev part"),
    (r"documents ([^.]*?) of X\b", r"training documents \1 (counted from 0)"),
    (
        r"After pruning, no terms remain\..*|empty vocabulary; .*"
        r"|max_df corresponds to < documents than min_df",
        "--tfidf: no word is in two documents, so that nothing can be learnt from words. Give more"
        " or longer documents.",
    ),
)
_SETTING = re.compile(r"\b([a-z]+(?:_[a-z]+)*)=('[^']*'|[\w./-]*\w)")
_WORD = re.compile(r"(?<![\w-])[a-z]+(?:_[a-z]+)+(?![\w=])")


def in_options(message: str, names: Collection[str]) -> str:
    """Return a message of an estimator with options in the place of Python's arguments.

    Parameters
    ----------
    message : str
    names : collection of str
        The arguments that have an option of their own; ``max_length`` has ``--max-length``.
    """

    def setting(found: re.Match[str]) -> str:
        name, value = found[1], found[2].strip("'")
        if name not in names:
            return found[0]
        if value in ("True", "False"):
            return _option(name if value == "True" else f"no_{name}")
        return f"{_option(name)} {'none' if value == 'None' else _in_a_shell(value)}"

    def word(found: re.Match[str]) -> str:
        return _option(found[0]) if found[0] in names else found[0]

    for pattern, words in _PHRASES:
        message = re.sub(pattern, words, message)
    return _WORD.sub(word, _SETTING.sub(setting, message))


@contextmanager
def speaking_options(names: Collection[str]) -> Iterator[None]:
    """Reword, as `in_options` does, what is raised and what is warned of within.

    Raises
    ------
    ValueError
        In the place of an error whose words changed.
    """
    format_warning = warnings.formatwarning

    def reworded(message: Warning | str, *args: object, **kwargs: object) -> str:
        text = in_options(str(message), names)
        return format_warning(text, *args, **kwargs)  # type: ignore[arg-type]

    warnings.formatwarning = reworded
    try:
        yield
    except (TypeError, ValueError, OSError, NonFiniteLossError, DeviceMemoryError) as error:
        message = in_options(str(error), names)
        if message == str(error):
            raise
        raise ValueError(message) from error
    finally:
        warnings.formatwarning = format_warning


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def _in_a_shell(value: str) -> str:
    """Return a value as it is typed: in quotes where a shell would read it otherwise."""
    return value if re.fullmatch(r"[\w./:-]+", value) else f"'{value}'"
