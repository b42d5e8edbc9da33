"""Models on disk: a folder of blobs named by their digests, and a record that commits them.

A bundle is a manifest (anything that JSON can say) and named blobs (bytes). On disk::

    model/
        lightxml.json                    the record: format, manifest, blob table, own digest
        4f1c...e9.safetensors            a blob, named by its sha256
        a07b...31.json                   another

The blobs are written first, the record last and by atomic rename, so a save that is killed
anywhere leaves the old model or the new one. Loading trusts nothing: it opens only what the
record lists, and the record and every blob must have the digests that were written down.
Nothing here can run code from a file.

While a save is under way, side files named ``.lightxml-*`` exist: blobs in the writing, the
record to come, and a copy of the record to be replaced. The two records tell a later save,
should this one be killed, which blobs are left over; no other file is ever deleted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lightxml.exceptions import BundleError
from lightxml.files.strict_json import DAMAGED

RECORD = "lightxml.json"
MAX_BLOBS = 200  # a load holds all of them open at once, and some systems allow 256 open files


@dataclass(frozen=True)
class Bundle:
    """A model as plain data.

    Attributes
    ----------
    manifest : dict
        What JSON can say and give back unchanged: ``str`` keys, lists (no tuples), finite
        floats, integers of at most 64 bits, at most 2 MiB in all.
    blobs : dict of str to bytes
        The large parts, by name, e.g. ``"weights.safetensors"``. Names are one or more
        parts of ASCII letters, digits, ``_``, ``.`` and ``-``, joined by ``/``; at most 200.
        To save, a memoryview of bytes does as well, and nothing is copied.
    """

    manifest: dict[str, Any]
    blobs: dict[str, bytes]


def join(bundles: list[Bundle], manifest: dict[str, Any]) -> Bundle:
    """Return one bundle of several, with the given manifest beside theirs.

    The blobs are named ``"0/weights.safetensors"`` and so on; on disk, equal ones are one file.
    """
    blobs = {f"{i}/{name}": b for i, part in enumerate(bundles) for name, b in part.blobs.items()}
    return Bundle({**manifest, "members": [part.manifest for part in bundles]}, blobs)


def split(bundle: Bundle) -> list[Bundle]:
    """Return the bundles that were joined.

    Raises
    ------
    BundleError
        If it lists no members, or more than it could have blobs for.
    """
    manifests = bundle.manifest.get("members")
    if not isinstance(manifests, list) or not all(isinstance(m, dict) for m in manifests):
        raise BundleError(f"{RECORD}: has no list of members. {DAMAGED}")
    if not 1 <= len(manifests) <= MAX_BLOBS:
        raise BundleError(f"{RECORD}: has {len(manifests)} members. {DAMAGED}")
    parts = []
    for i, manifest in enumerate(manifests):
        prefix = f"{i}/"
        blobs = {
            name.removeprefix(prefix): blob
            for name, blob in bundle.blobs.items()
            if name.startswith(prefix)
        }
        parts.append(Bundle(manifest, blobs))
    return parts
