"""The persistence format: what goes in comes out, and nothing else is let in."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import signal
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from lightxml.exceptions import BundleError
from lightxml.files.arrays import decode_arrays, encode_arrays
from lightxml.files.bundle import Bundle
from lightxml.files.load import load_bundle, read_record
from lightxml.files.record import FORMAT
from lightxml.files.save import save_bundle
from lightxml.files.strict_json import parse_json

ARRAYS = {
    "head.weight": np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4),
    "head.bias": np.zeros(3, dtype=np.float16),
    "clusters": np.arange(5, dtype=np.int64),
}
EXPECTED = {key: (array.dtype.name, array.shape) for key, array in ARRAYS.items()}
MANIFEST = {"versions": {"lightxml": "0.1"}, "params": {"dropout": 0.5, "name": "bäume"}, "n": 3}
MODEL = Bundle(
    MANIFEST,
    {
        "weights.safetensors": encode_arrays(ARRAYS),
        "tokenizer.json": b'{"vocab": ["a", "b"]}',
        "parts/0/idf.bin": b"",
    },
)


@pytest.fixture(autouse=True, scope="module")
def _no_sync() -> Iterator[None]:
    """Save without waiting for the disk: what the waits are for is in test_bundle_faults.py."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with the model saved in it."""
    save_bundle(MODEL, tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """Give a folder whose record each example of a property overwrites, and the right record."""
    folder = tmp_path_factory.mktemp("model")
    save_bundle(MODEL, folder)
    return folder, (folder / "lightxml.json").read_bytes()


def canonical(record: dict[str, Any]) -> bytes:
    """Spell a record out as the format says, independently of the package."""
    return json.dumps(record, sort_keys=True, indent=1).encode("ascii") + b"\n"


def sign(record: dict[str, Any]) -> bytes:
    """Give the bytes of a record with a right digest, whatever it says."""
    unsigned = {key: value for key, value in record.items() if key != "digest"}
    return canonical(unsigned | {"digest": hashlib.sha256(canonical(unsigned)).hexdigest()})


def read(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "lightxml.json").read_bytes())


def blob_path(folder: Path, name: str = "weights.safetensors") -> Path:
    return folder / read(folder)["blobs"][name]["file"]


@contextmanager
def within(seconds: int) -> Iterator[None]:
    """Let the test fail rather than wait for ever, on a pipe for instance."""

    def stop(*args: Any) -> None:
        raise TimeoutError(f"not done within {seconds} s")

    previous = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)


def attempt(load: Callable[[], Any]) -> tuple[Any, str]:
    """Give what was loaded and "", or None and the message of the one error allowed."""
    try:
        return load(), ""
    except BundleError as error:
        return None, str(error)


# What goes in comes out


def test_a_saved_bundle_loads_equal(folder: Path) -> None:
    assert load_bundle(folder) == MODEL
    assert load_bundle(str(folder)) == MODEL


@pytest.mark.parametrize("bundle", [Bundle({}, {}), Bundle({"": [{}, []]}, {"a": b"", "b": b""})])
def test_an_empty_bundle_and_empty_blobs_load_equal(tmp_path: Path, bundle: Bundle) -> None:
    save_bundle(bundle, tmp_path)
    assert load_bundle(tmp_path) == bundle


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False,
    allow_infinity=False) | st.text(),
    lambda values: st.lists(values, max_size=4) | st.dictionaries(st.text(), values, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(manifest=st.dictionaries(st.text(), JSON, max_size=4), blob=st.binary(max_size=50))
@settings(max_examples=30, deadline=None)
def test_any_json_and_any_bytes_load_equal(
    tmp_path_factory: pytest.TempPathFactory, manifest: dict[str, Any], blob: bytes
) -> None:
    folder = tmp_path_factory.mktemp("model")
    save_bundle(Bundle(manifest, {"blob": blob}), folder)
    assert load_bundle(folder) == Bundle(manifest, {"blob": blob})


def test_a_save_over_a_model_of_format_1_leaves_nothing_of_it(tmp_path: Path) -> None:
    save_bundle(Bundle({}, {"old": b"old"}), tmp_path)
    record = json.loads((tmp_path / "lightxml.json").read_text("ascii"))
    (tmp_path / "lightxml.json").write_bytes(sign(record | {"format": 1}))
    save_bundle(Bundle({}, {"new": b"new"}), tmp_path)
    digest = hashlib.sha256(b"new").hexdigest()
    assert {file.name for file in tmp_path.iterdir()} == {"lightxml.json", f"{digest}.bin"}


def test_format_3_is_these_bytes_for_ever(tmp_path: Path) -> None:
    save_bundle(Bundle({"a": [1, 0.5, "é"]}, {"x.json": b"{}", "y": b""}), tmp_path)
    json_digest = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    empty_digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert (tmp_path / "lightxml.json").read_text("ascii").splitlines() == [
        "{",
        ' "blobs": {',
        '  "x.json": {',
        f'   "file": "{json_digest}.json",',
        f'   "sha256": "{json_digest}",',
        '   "size": 2',
        "  },",
        '  "y": {',
        f'   "file": "{empty_digest}.bin",',
        f'   "sha256": "{empty_digest}",',
        '   "size": 0',
        "  }",
        " },",
        ' "digest": "66206bc7ce831f1041cabe4bbe178163b477970793c9e891f627fecff33059eb",',
        ' "format": 3,',
        ' "manifest": {',
        '  "a": [',
        "   1,",
        "   0.5,",
        '   "\\u00e9"',
        "  ]",
        " }",
        "}",
    ]
    lines = (tmp_path / "lightxml.json").read_bytes().splitlines(keepends=True)
    unsigned = b"".join(line for line in lines if b"digest" not in line)
    assert hashlib.sha256(unsigned).hexdigest() in lines[13].decode()
    names = {"lightxml.json", f"{json_digest}.json", f"{empty_digest}.bin"}
    assert set(os.listdir(tmp_path)) == names


def test_the_record_is_read_without_the_blobs(folder: Path) -> None:
    blob_path(folder).unlink()
    record = read_record(folder)
    assert record["format"] == FORMAT
    assert record["manifest"] == MANIFEST
    assert record["blobs"]["tokenizer.json"]["size"] == len(MODEL.blobs["tokenizer.json"])


def test_equal_blobs_share_a_file(tmp_path: Path) -> None:
    bundle = Bundle({}, {"a.json": b"same", "b.json": b"same"})
    save_bundle(bundle, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    assert load_bundle(tmp_path) == bundle


def test_saving_through_a_link_to_a_folder_keeps_the_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "real").mkdir()
    save_bundle(MODEL, tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert load_bundle(tmp_path / "real") == MODEL


def test_saving_replaces_links_and_leaves_what_they_point_to(folder: Path, tmp_path: Path) -> None:
    blob = blob_path(folder)
    outside = tmp_path / "outside"
    blob.rename(outside)
    blob.symlink_to(outside)
    save_bundle(MODEL, folder)
    assert not blob.is_symlink()
    assert outside.read_bytes() == blob.read_bytes() == MODEL.blobs["weights.safetensors"]


def test_saving_over_a_model_leaves_only_the_new_one_and_what_is_not_ours(folder: Path) -> None:
    strangers = ["README.md", "a" * 64, "b" * 64 + ".bin", ".lightxml-notes", "notes.tmp"]
    for name in strangers:
        (folder / name).write_bytes(b"mine")
    new = Bundle({"n": 4}, {"weights.safetensors": b"new", "parts/0/idf.bin": b""})
    save_bundle(new, folder)
    assert load_bundle(folder) == new
    ours = {entry["file"] for entry in read(folder)["blobs"].values()}
    assert set(os.listdir(folder)) == {*strangers, "lightxml.json", *ours}


def test_files_and_folders_are_made_under_the_callers_umask(tmp_path: Path) -> None:
    umask = os.umask(0o027)
    try:
        save_bundle(MODEL, tmp_path / "model")
    finally:
        os.umask(umask)
    assert (tmp_path / "model").stat().st_mode & 0o777 == 0o750
    assert {file.stat().st_mode & 0o777 for file in (tmp_path / "model").iterdir()} == {0o640}


def test_saving_leaves_the_bundle_and_numpys_random_state_alone(tmp_path: Path) -> None:
    before = pickle.dumps(MODEL), pickle.dumps(np.random.get_state())  # noqa: NPY002
    save_bundle(MODEL, tmp_path)
    assert (pickle.dumps(MODEL), pickle.dumps(np.random.get_state())) == before  # noqa: NPY002


# What would not load is not saved


@pytest.mark.parametrize(
    ("bundle", "error", "message"),
    [
        (Bundle({1: "a"}, {}), ValueError, "use str keys only"),  # type: ignore[dict-item]
        (Bundle({"a": (1, 2)}, {}), ValueError, "lists in place of tuples"),
        (Bundle({"a": float("nan")}, {}), ValueError, "not JSON compliant"),
        (Bundle({"a": 2**64}, {}), ValueError, "more than 64 bits"),
        (Bundle({"a": np.int64(1)}, {}), TypeError, "not JSON serializable"),
        (Bundle({"a": "x" * 2**21}, {}), ValueError, "would not load"),
        (Bundle([], {}), ValueError, "would not load"),  # type: ignore[arg-type]
        (Bundle({}, {"../a": b""}), ValueError, "would not load"),
        (Bundle({}, {3: b""}), TypeError, "has the name 3; expected str"),  # type: ignore[dict-item]
        (Bundle({}, {"a": "text"}), TypeError, "'a'] is str; expected bytes"),  # type: ignore[dict-item]
        (Bundle({}, {str(i): b"" for i in range(201)}), ValueError, "at most 200"),
    ],
)
def test_what_would_not_load_is_refused_before_anything_is_written(
    tmp_path: Path, bundle: Bundle, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        save_bundle(bundle, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_saving_to_a_file_is_an_os_error_and_keeps_the_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"mine")
    for path in (tmp_path / "file", tmp_path / "file" / "model"):
        with pytest.raises(NotADirectoryError, match="file"):
            save_bundle(MODEL, path)
    assert (tmp_path / "file").read_bytes() == b"mine"


# Arrays


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.float32).reshape(2, 3).T,
        np.arange(6, dtype=">f8")[::2],
        np.array(2.5, dtype=np.float16),
        np.zeros((0, 3), dtype=np.int8),
        np.array([[True], [False]]),
        np.array([0x3F80, 0xFFFF], dtype=np.uint16),
        np.array([2**64 - 1], dtype=np.uint64),
        np.array([-(2**63)], dtype=">i8"),
    ],
    ids=lambda array: f"{array.dtype}-{array.shape}",
)
def test_arrays_of_any_layout_come_back_as_they_are(array: np.ndarray) -> None:
    data = encode_arrays({"a": array, "pad": np.zeros(3, dtype=np.int8)})
    expected = {"pad": ("int8", (3,)), "a": (array.dtype.name, array.shape)}
    arrays = decode_arrays(data, expected, name="w")
    assert list(arrays) == ["pad", "a"]
    np.testing.assert_array_equal(arrays["a"], array, strict=array.dtype.isnative)
    assert arrays["a"].dtype.isnative
    assert arrays["a"].flags.writeable
    assert arrays["a"].flags.c_contiguous


def test_arrays_are_written_as_safetensors_itself_reads_them() -> None:
    arrays = safetensors.numpy.load(encode_arrays(ARRAYS))
    assert arrays.keys() == ARRAYS.keys()
    for key, array in arrays.items():
        np.testing.assert_array_equal(array, ARRAYS[key], strict=True)


def test_equal_arrays_give_equal_bytes_in_any_order() -> None:
    fortran = {key: np.asfortranarray(array) for key, array in reversed(ARRAYS.items())}
    assert encode_arrays(fortran) == encode_arrays(ARRAYS)


def test_no_arrays_are_arrays_too() -> None:
    assert decode_arrays(encode_arrays({}), {}, name="w") == {}


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_arrays_that_would_not_load_are_not_encoded(value: float) -> None:
    with pytest.raises(ValueError, match=r"arrays\['w'\] holds NaN or infinite values"):
        encode_arrays({"w": np.array([1, value], dtype=np.float16)})


@pytest.mark.parametrize("array", [np.array(["a"]), np.array([None]), np.zeros(2, dtype=complex)])
def test_dtypes_that_the_format_lacks_are_not_encoded(array: np.ndarray) -> None:
    with pytest.raises(TypeError, match=r"arrays\['w'\] has dtype .*; expected one of bool"):
        encode_arrays({"w": array})


def write_header(header: Any, data: bytes = b"", length: int | None = None) -> bytes:
    """Write a safetensors file with any header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def entry(dtype: Any = "F32", shape: Any = (2,), offsets: Any = (0, 8)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


EIGHT = bytes(8)
TWO = {"a": ("float32", (2,)), "b": ("float32", (2,))}
ONE = {"a": ("float32", (2,))}
HEADERS = {
    "nothing at all": (b"", ONE),
    "a header of 1 GB": (write_header({"a": entry()}, EIGHT, length=2**30), ONE),
    "a header of 2**64 - 1 bytes": (write_header({"a": entry()}, EIGHT, length=2**64 - 1), ONE),
    "a header longer than the file by one": (write_header(b"{}", length=3), {}),
    "a header that is longer than we read": (write_header(b"{}" + b" " * 2**23), {}),
    "a list": (write_header([]), {}),
    "10^5 nested brackets": (write_header(b"[" * 100_000 + b"]" * 100_000), {}),
    "an entry that is no object": (write_header({"a": [1, 2]}, EIGHT), ONE),
    "an entry without a shape": (write_header({"a": {"dtype": "F32"}}, EIGHT), ONE),
    "an entry with one thing more": (write_header({"a": entry() | {"x": 1}}, EIGHT), ONE),
    "an array missing": (write_header({"a": entry()}, EIGHT), TWO),
    "an array more": (write_header({"a": entry(), "b": entry()}, EIGHT), ONE),
    "another dtype of the same size": (write_header({"a": entry("I32")}, EIGHT), ONE),
    "a list for a dtype": (write_header({"a": entry(["F32"])}, EIGHT), ONE),
    "another shape of the same size": (write_header({"a": entry(shape=[2, 1])}, EIGHT), ONE),
    "offsets past the end": (write_header({"a": entry(offsets=[8, 16])}, EIGHT), ONE),
    "offsets of the wrong size": (write_header({"a": entry(offsets=[0, 4])}, EIGHT), ONE),
    "negative offsets": (write_header({"a": entry(offsets=[-8, 0])}, EIGHT), ONE),
    "fractions for offsets": (write_header({"a": entry(offsets=[0.0, 8.0])}, EIGHT), ONE),
    "three offsets": (write_header({"a": entry(offsets=[0, 8, 8])}, EIGHT), ONE),
    "arrays that overlap": (write_header({"a": entry(), "b": entry()}, EIGHT), TWO),
    "arrays with a hole between": (
        write_header({"a": entry(), "b": entry(offsets=[9, 17])}, bytes(17)),
        TWO,
    ),
    "bytes behind the last array": (write_header({"a": entry()}, bytes(9)), ONE),
    "bytes missing of the last array": (write_header({"a": entry()}, bytes(7)), ONE),
    "a NaN": (write_header({"a": entry()}, np.array([0, np.nan], "<f4").tobytes()), ONE),
    "an infinity": (write_header({"a": entry()}, np.array([-np.inf, 0], "<f4").tobytes()), ONE),
    "a bool of 2": (write_header({"a": entry("BOOL", [1], [0, 1])}, b"\2"), {"a": ("bool", (1,))}),
    "a pickle": (pickle.dumps(ARRAYS), ONE),
}


def test_the_hand_written_header_is_right_before_it_is_changed() -> None:
    assert decode_arrays(write_header({"a": entry()}, EIGHT), ONE, name="w")["a"].tolist() == [0, 0]


@pytest.mark.parametrize(("data", "expected"), HEADERS.values(), ids=HEADERS.keys())
def test_arrays_other_than_the_expected_ones_are_refused(
    data: bytes, expected: dict[str, tuple[str, tuple[int, ...]]]
) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(BundleError, match=r"^weights\.safetensors: .*fresh copy\.$"):
            decode_arrays(data, expected, name="weights.safetensors")
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()


@given(
    position=st.integers(0, len(MODEL.blobs["weights.safetensors"]) - 1),
    patch=st.binary(min_size=0, max_size=6),
    removed=st.integers(0, 6),
)
@settings(max_examples=100, deadline=None)
def test_any_change_to_the_arrays_gives_arrays_as_expected_or_the_error(
    position: int, patch: bytes, removed: int
) -> None:
    data = MODEL.blobs["weights.safetensors"]
    data = data[:position] + patch + data[position + removed :]
    arrays, message = attempt(lambda: decode_arrays(data, EXPECTED, name="w"))
    if arrays is None:
        assert message.startswith("w: ")
    else:
        assert {key: (a.dtype.name, a.shape) for key, a in arrays.items()} == EXPECTED
        assert all(np.isfinite(array).all() for array in arrays.values())


# JSON


@pytest.mark.parametrize(
    "text",
    ['{"a": [1, -2.5e3, "\\"[\\\\", null, true]}', "[" * 64 + "]" * 64, '"' + "[{" * 999 + '"'],
)
def test_plain_json_is_parsed(text: str) -> None:
    assert parse_json(text.encode(), name="x") == json.loads(text)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"[" * 100_000 + b"]" * 100_000, "nested deeper than 64"),
        (b"[" * 65 + b"]" * 65, "nested deeper than 64"),
        (b'["\\\\", ' + b"[" * 64 + b"]" * 65, "nested deeper than 64"),
        (b'["\\"", ' + b"[" * 64 + b"]" * 65, "nested deeper than 64"),
        (b'"' + b'\\"' * 100_000 + b"[" * 1000, "not JSON"),
        (b"[" * 1000 + b"]" * 1000 + b'"', "nested deeper than 64"),
        (b"]" * 1000 + b"[" * 1000, "not JSON"),
        (b'{"a": 1, "b": {}, "a": 1}', "the key 'a' twice"),
        (b'[{"\\u0061": 1, "a": 2}]', "the key 'a' twice"),
        (b"[NaN]", "NaN, which is not JSON"),
        (b"[1e999]", "beyond the range of floats"),
        (b"18446744073709551616", "an integer of more than 64 bits"),
        (b"-9223372036854775809", "an integer of more than 64 bits"),
        (b"9" * 1_000_000, "an integer of more than 64 bits"),
        (b"", "not JSON"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b'"\xff"', "not JSON in UTF-8"),
        (b'"\xed\xa0\x80"', "not JSON in UTF-8"),
        (b" " * 1001, "holds 1001 bytes of JSON; at most 1000"),
    ],
    ids=range(19),
)
def test_json_with_a_trap_is_refused(data: bytes, message: str) -> None:
    max_bytes = 1000 if "1000" in message else 2**24
    tracemalloc.start()
    try:
        with pytest.raises(BundleError, match=rf"^tokenizer\.json: .*{message}"):
            parse_json(data, name="tokenizer.json", max_bytes=max_bytes)
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()


@given(data=st.binary() | st.text('[]{}",:\\u0 1truefalsn').map(str.encode))
@settings(max_examples=100, deadline=None)
def test_any_bytes_are_json_or_the_error(data: bytes) -> None:
    try:
        value = parse_json(data, name="x", max_depth=3)
    except BundleError:
        return
    assert json.dumps(value, sort_keys=True) == json.dumps(json.loads(data), sort_keys=True)


# Tampering with a saved bundle: each row damages it and tells which file the error names

Tamper = Callable[[Path], Path]


def change_record(change: Callable[[dict[str, Any]], Any]) -> Tamper:
    """Change the record and give it a right digest again."""

    def tamper(folder: Path) -> Path:
        record = read(folder)
        (folder / "lightxml.json").write_bytes(sign(change(record) or record))
        return folder / "lightxml.json"

    return tamper


def write_record(data: bytes) -> Tamper:
    def tamper(folder: Path) -> Path:
        (folder / "lightxml.json").write_bytes(data)
        return folder / "lightxml.json"

    return tamper


def set_entry(name: str, **values: Any) -> Tamper:
    return change_record(lambda record: record["blobs"][name].update(values))


def claim_size(size: int) -> Tamper:
    """Let the record say that a blob has another size: the blob is what is named."""

    def tamper(folder: Path) -> Path:
        set_entry("parts/0/idf.bin", size=size)(folder)
        return blob_path(folder, "parts/0/idf.bin")

    return tamper


def replace_by(make: Callable[[Path], Any], name: str = "weights.safetensors") -> Tamper:
    """Remove a file and make something else there."""

    def tamper(folder: Path) -> Path:
        file = folder / name if name == "lightxml.json" else blob_path(folder, name)
        file.rename(folder / "moved")
        make(file)
        return file

    return tamper


def _truncated(folder: Path) -> Path:
    file = blob_path(folder)
    file.write_bytes(file.read_bytes()[:-1])
    return file


def _flipped(folder: Path) -> Path:
    file = blob_path(folder)
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    return file


class Bomb:
    """Leaves a file behind if it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.trace),)


def _sparse(folder: Path) -> Path:
    os.truncate(blob_path(folder), 2**40)
    return blob_path(folder)


def _big_record(folder: Path) -> Path:
    os.truncate(folder / "lightxml.json", 100_000_000)
    return folder / "lightxml.json"


def _drop(*keys: str) -> Tamper:
    return change_record(lambda record: {k: v for k, v in record.items() if k not in keys})


def _rename_blob(name: str) -> Tamper:
    return change_record(lambda r: r["blobs"].update({name: r["blobs"].pop("tokenizer.json")}))


HEX = "0" * 64
TAMPERINGS: dict[str, tuple[Tamper, str]] = {
    "a blob truncated": (_truncated, "expected"),
    "one bit flipped in a blob": (_flipped, "does not match its digest"),
    "a blob of 1 TB that is mostly holes": (_sparse, "expected"),
    "a record of 100 MB": (_big_record, "at most"),
    "a blob missing": (replace_by(lambda file: None), "No such file"),
    "a folder for a blob": (replace_by(Path.mkdir), "not a regular file"),
    "a pipe for the record": (replace_by(os.mkfifo, "lightxml.json"), "not a regular file"),
    "a link to itself": (replace_by(lambda f: f.symlink_to(f.name)), "symbolic links"),
    "a link to a device": (replace_by(lambda f: f.symlink_to("/dev/zero")), "not a regular"),
    "an empty record": (write_record(b""), "not JSON"),
    "a list for a record": (write_record(b"[]"), "not a record of lightxml"),
    "a space more in the record": (
        lambda folder: write_record((folder / "lightxml.json").read_bytes() + b"\n")(folder),
        "its own digest",
    ),
    "the manifest changed": (
        lambda folder: write_record(
            (folder / "lightxml.json").read_bytes().replace(b'"n": 3', b'"n": 4')
        )(folder),
        "its own digest",
    ),
    "no digest": (write_record(canonical({"format": 1, "manifest": {}, "blobs": {}})), "a digest"),
    "a newer format": (change_record(lambda r: r.update(format=FORMAT + 1)), "Upgrade lightxml"),
    "an earlier format": (
        change_record(lambda r: r.update(format=1)),
        "reads format 3; train the model again",
    ),
    "a far newer format": (change_record(lambda r: {"format": 99, "x": []}), "Upgrade lightxml"),
    "format true": (change_record(lambda r: r.update(format=True)), "whole number"),
    "format 0": (change_record(lambda r: r.update(format=0)), "whole number"),
    "no format": (_drop("format"), "a format"),
    "no blobs": (_drop("blobs"), "has the keys"),
    "a key more": (change_record(lambda r: r.update(trust_remote_code=True)), "has the keys"),
    "a list for the manifest": (change_record(lambda r: r.update(manifest=[])), "objects"),
    "a list for the blobs": (change_record(lambda r: r.update(blobs=[])), "objects"),
    "10,000 blobs": (
        change_record(lambda r: r["blobs"].update({f"x{i}": 0 for i in range(10_000)})),
        "10003 blobs; at most 200",
    ),
    "a blob named with ..": (_rename_blob("../tokenizer.json"), "wrong form"),
    "a blob named with a line end": (_rename_blob("x.json\n"), "wrong form"),
    "a blob named in other letters": (_rename_blob("tökenizer.json"), "wrong form"),
    "a blob without a name": (_rename_blob(""), "wrong form"),
    "a file with another digest": (set_entry("tokenizer.json", file=f"{HEX}.json"), "wrong form"),
    "a file and digest that are a path": (
        set_entry("tokenizer.json", file="../secret.json", sha256="../secret"),
        "wrong form",
    ),
    "a digest in capitals": (
        set_entry("tokenizer.json", file="A" * 64 + ".json", sha256="A" * 64),
        "wrong form",
    ),
    "a number for a digest": (set_entry("tokenizer.json", sha256=1), "wrong form"),
    "a negative size": (set_entry("tokenizer.json", size=-1), "wrong form"),
    "true for a size": (set_entry("tokenizer.json", size=True), "wrong form"),
    "a size of 1 GB": (claim_size(2**30), "expected 1073741824"),
    "an entry that is a list": (
        change_record(lambda r: r["blobs"].update({"tokenizer.json": []})),
        "wrong form",
    ),
    "an entry with a key more": (set_entry("tokenizer.json", url="http://x"), "wrong form"),
}  # fmt: skip


@pytest.mark.parametrize(("tamper", "message"), TAMPERINGS.values(), ids=TAMPERINGS.keys())
def test_a_tampered_bundle_ends_in_one_error_with_the_files_name(
    folder: Path, tamper: Tamper, message: str
) -> None:
    load_bundle(folder)
    file = tamper(folder)
    # A blob's file is followed by its name in the model.
    name = str(file) if file.name == "lightxml.json" else f"{file} ("
    open_files = len(os.listdir("/dev/fd"))
    tracemalloc.start()
    try:
        with within(60), pytest.raises(BundleError) as caught:
            load_bundle(folder)
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()
    found = str(caught.value)
    assert found.startswith(name)
    assert message in found
    assert len(found) < 1000
    assert found.endswith(".")
    assert len(os.listdir("/dev/fd")) == open_files


@pytest.mark.parametrize("file", ["lightxml.json", "weights.safetensors"])
def test_a_refusal_by_the_system_is_the_cause_of_the_error(
    folder: Path, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = folder / file if file == "lightxml.json" else blob_path(folder)
    real_open = os.open

    def refuse(path: Any, *args: Any, **kwargs: Any) -> int:
        if path == refused:
            raise PermissionError(13, "Permission denied", str(path))
        return real_open(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(BundleError, match="Permission denied") as caught:
        load_bundle(folder)
    assert str(caught.value).startswith(str(refused))
    assert isinstance(caught.value.__cause__, PermissionError)


def test_the_error_for_no_model_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"Give the folder that save wrote") as caught:
        load_bundle(tmp_path)
    assert isinstance(caught.value.__cause__, FileNotFoundError)


def test_a_bit_flipped_in_any_byte_of_the_record_is_found(folder: Path) -> None:
    file = folder / "lightxml.json"
    data = file.read_bytes()
    for position in range(len(data)):
        changed = bytearray(data)
        changed[position] ^= 1 << position % 8
        file.write_bytes(changed)
        with pytest.raises(BundleError):
            read_record(folder)


@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_any_change_to_the_records_bytes_loads_equal_or_is_the_error(
    kept: tuple[Path, bytes], data: st.DataObject
) -> None:
    folder, record = kept
    for _ in range(data.draw(st.integers(1, 3))):
        begin = data.draw(st.integers(0, len(record)))
        end = data.draw(st.integers(begin, min(begin + 8, len(record))))
        patch = data.draw(st.binary(max_size=8) | st.sampled_from([b" ", b'"', b"{", b"}", b"\\"]))
        record = record[:begin] + patch + record[end:]
    (folder / "lightxml.json").write_bytes(record)
    bundle, message = attempt(lambda: load_bundle(folder))
    assert bundle == MODEL or message.startswith(str(folder / "lightxml.json"))


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from paths(item, (*path, key))


@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_any_signed_record_is_a_bundle_or_the_error(
    kept: tuple[Path, bytes], data: st.DataObject
) -> None:
    folder, record = kept[0], json.loads(kept[1])
    *way, last = data.draw(st.sampled_from([path for path in paths(record) if path]))
    target = record
    for key in way:
        target = target[key]
    target[last] = data.draw(JSON)
    (folder / "lightxml.json").write_bytes(sign(record))
    bundle, message = attempt(lambda: load_bundle(folder))
    if bundle is None:
        assert message.startswith(str(folder))
    else:
        assert bundle.manifest == record["manifest"]
        assert all(MODEL.blobs[name] == blob for name, blob in bundle.blobs.items())


# What is no tampering


def test_a_link_to_a_file_with_the_right_digest_is_followed(folder: Path, tmp_path: Path) -> None:
    snapshot = tmp_path / "snapshot"  # as a hub's cache lays it out: links, also for the record
    snapshot.mkdir()
    for file in folder.iterdir():
        (snapshot / file.name).symlink_to(Path("..") / folder.name / file.name)
    (tmp_path / "latest").symlink_to("snapshot")
    assert load_bundle(tmp_path / "latest") == MODEL


def test_what_the_record_does_not_list_is_never_opened(folder: Path) -> None:
    os.mkfifo(folder / ("f" * 64 + ".bin"))
    (folder / ".lightxml-0123456789abcdef.json").symlink_to("/dev/zero")
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb(folder / "exploded")))
    assert load_bundle(folder) == MODEL
    assert not (folder / "exploded").exists()


def test_a_model_loads_from_where_nothing_may_be_written(folder: Path) -> None:
    before = sorted((file.name, file.stat().st_mtime_ns) for file in folder.iterdir())
    folder.chmod(0o555)
    try:
        assert load_bundle(folder) == MODEL
    finally:
        folder.chmod(0o755)
    assert sorted((file.name, file.stat().st_mtime_ns) for file in folder.iterdir()) == before
