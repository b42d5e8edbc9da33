"""The record of a bundle: one canonical form, and every check before it is believed."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from lightxml.exceptions import BundleError
from lightxml.files.bundle import MAX_BLOBS, RECORD, Bundle
from lightxml.files.strict_json import DAMAGED, parse_json

# To raise the format:
# 1. Raise it only when this version would misread, or could not read, what the new version
#    writes. A new optional key in the manifest is no reason.
# 2. Add 1 to FORMAT. In `check_record`, accept the old numbers from OLDEST on too and lift what
#    they hold to the new shape there, so that the rest of the package knows the newest only.
# 3. Save a small bundle with the last version of the old format, put it under tests/data and
#    test that it loads; that test stays for ever. (Formats 1 and 2 were never released, and
#    are refused.)
# 4. Leave the envelope alone: one JSON object in canonical form with the keys "format" and
#    "digest". Older versions check these two first, and can then say "upgrade lightxml"
#    instead of "damaged".
# 5. Say in CHANGELOG.md which versions read and write which formats.
FORMAT = 3
OLDEST = 3


MAX_RECORD_BYTES = 2 * 2**20  # a manifest of a few kilobytes is usual; large things are blobs

BLOB_FILE = re.compile(r"[0-9a-f]{64}\.[a-z0-9]{1,16}")
_BLOB_NAME = re.compile(r"(?:\w[\w.-]*/)*\w[\w.-]*", re.ASCII)


def describe(bundle: Bundle) -> tuple[bytes, dict[str, bytes]]:
    """Give the record of a bundle, and its blobs by file name; refuse what would not load."""
    blobs, files = {}, {}
    for name, blob in bundle.blobs.items():
        if not isinstance(name, str):
            raise TypeError(f"bundle.blobs has the name {name!r}; expected str.")
        if not isinstance(blob, (bytes, bytearray, memoryview)):
            raise TypeError(f"bundle.blobs[{name!r}] is {type(blob).__name__}; expected bytes.")
        digest = hashlib.sha256(blob).hexdigest()
        file = digest + _suffix(name)
        blobs[name] = {"file": file, "size": len(blob), "sha256": digest}
        files[file] = blob
    record: dict[str, Any] = {"format": FORMAT, "manifest": bundle.manifest, "blobs": blobs}
    record["digest"] = hashlib.sha256(_canonical(record)).hexdigest()
    data = _canonical(record)
    try:
        read_back = check_record(data, name=RECORD)
    except BundleError as error:
        raise ValueError(f"The bundle would not load: {error}") from error
    if read_back["manifest"] != bundle.manifest:
        raise ValueError(
            "bundle.manifest does not come back from JSON as it is: "
            "use str keys only, and lists in place of tuples."
        )
    return data, files


def _suffix(name: str) -> str:
    """Give a blob's file the ending of its name, for people who look into the folder."""
    ending = re.search(r"\.[a-z0-9]{1,16}\Z", name)
    return ending.group() if ending else ".bin"


def _canonical(record: dict[str, Any]) -> bytes:
    text = json.dumps(record, sort_keys=True, ensure_ascii=True, allow_nan=False, indent=1)
    return text.encode("ascii") + b"\n"


def check_record(data: bytes, *, name: str, oldest: int = OLDEST) -> dict[str, Any]:
    record = parse_json(data, name=name, max_bytes=MAX_RECORD_BYTES)
    if not isinstance(record, dict) or not {"format", "digest"} <= record.keys():
        raise BundleError(
            f"{name}: is not a record of lightxml: expected an object with a format and a "
            f"digest. {DAMAGED}"
        )
    unsigned = {key: value for key, value in record.items() if key != "digest"}
    # Against the bytes too: a changed space or escape gives the same object.
    if (
        record["digest"] != hashlib.sha256(_canonical(unsigned)).hexdigest()
        or _canonical(record) != data
    ):
        raise BundleError(f"{name}: does not match its own digest. {DAMAGED}")
    number = record["format"]
    if type(number) is not int or number < 1:
        raise BundleError(f"{name}: has format {number!r}; expected a whole number. {DAMAGED}")
    if number > FORMAT:
        raise BundleError(
            f"{name}: has format {number}; this version of lightxml reads up to {FORMAT}. "
            "Upgrade lightxml to load this model."
        )
    if number < oldest:
        raise BundleError(
            f"{name}: has format {number}: it was made by an earlier version of lightxml. This "
            f"version reads format {FORMAT}; train the model again."
        )
    if record.keys() != {"format", "manifest", "blobs", "digest"}:
        raise BundleError(f"{name}: has the keys {sorted(record)}. {DAMAGED}")
    if not isinstance(record["manifest"], dict) or not isinstance(record["blobs"], dict):
        raise BundleError(f"{name}: manifest and blobs must be objects. {DAMAGED}")
    if len(record["blobs"]) > MAX_BLOBS:
        raise BundleError(
            f"{name}: lists {len(record['blobs'])} blobs; at most {MAX_BLOBS} are read. {DAMAGED}"
        )
    for key, entry in record["blobs"].items():
        if not _BLOB_NAME.fullmatch(key) or not _is_entry(key, entry):
            raise BundleError(f"{name}: lists blob {key[:100]!r} in a wrong form. {DAMAGED}")
    return record


def _is_entry(name: str, entry: Any) -> bool:
    # The file's name follows from the digest, so no record can name any other file.
    return (
        isinstance(entry, dict)
        and entry.keys() == {"file", "size", "sha256"}
        and isinstance(entry["sha256"], str)
        and entry["file"] == entry["sha256"] + _suffix(name)
        and BLOB_FILE.fullmatch(entry["file"]) is not None
        and type(entry["size"]) is int
        and entry["size"] >= 0
    )
