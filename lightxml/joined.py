"""Several models as one bundle, and back."""

from __future__ import annotations

from typing import Any

from lightxml.bundle import MAX_BLOBS, RECORD, Bundle
from lightxml.exceptions import BundleError
from lightxml.strict_json import DAMAGED


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
