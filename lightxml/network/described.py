"""What is written down of a network's parts, and read back: a few numbers, checked."""

from __future__ import annotations

from typing import Any

# Of a part: ``"kind"``, by which its class is found, and the sizes that it is made by.
Described = dict[str, Any]


def check_counts(values: Described, **least: int) -> None:
    """Refuse what is not an int, or below the least.

    Raises
    ------
    ValueError, KeyError
    """
    for name, lowest in least.items():
        if type(values[name]) is not int or values[name] < lowest:
            raise ValueError(f"{name} is {values[name]!r}")
