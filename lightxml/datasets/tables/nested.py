"""Values of a JSON record by dotted names: ``meta.labels.name`` looks into objects and lists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def value_of(record: Mapping[str, Any], name: str) -> Any:
    """Return the value of a column; None where the record has none.

    A key of this very name comes first; else the name's parts are keys, one within the other, and
    a list on the way gives the list of its items' values.
    """
    if name in record:
        return record[name]
    return _below(record, name.split(".")) if "." in name else None


def has(record: Mapping[str, Any], name: str) -> bool:
    """Tell whether the record has a column of this name, its value missing or not."""
    if name in record:
        return True
    first, dot, rest = name.partition(".")
    if not dot or first not in record:
        return False
    below = record[first]
    if isinstance(below, list):
        below = next((item for item in below if isinstance(item, Mapping)), None)
        return below is None or has(below, rest)
    return below is None or (isinstance(below, Mapping) and has(below, rest))


def names_in(record: Mapping[str, Any]) -> list[str]:
    """Return the names of a record's columns, those within objects with dots."""
    names: list[str] = []
    for key, value in record.items():
        item = value
        if isinstance(value, list) and value and isinstance(value[0], Mapping):
            item = value[0]
        if isinstance(item, Mapping) and item:
            names.extend(f"{key}.{name}" for name in names_in(item))
        else:
            names.append(key)
    return names


def _below(value: Any, parts: list[str]) -> Any:
    if not parts:
        return value
    if isinstance(value, Mapping):
        return _below(value.get(parts[0]), parts[1:])
    if isinstance(value, list):
        found = [_below(item, parts) for item in value]
        flat: list[Any] = []
        for item in found:
            flat.extend(item) if isinstance(item, list) else flat.append(item)
        return [item for item in flat if item is not None]
    return None
