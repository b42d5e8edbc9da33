"""load_xmc beside the line files: PECOS, JSON lines and the sparse text files of the repository."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import pickle
import random
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from lightxml import LightXMLClassifier
from lightxml.datasets import label_sets, lines, load_xmc

Y_TRAIN = np.array([[1, 0, 1, 0], [0, 0, 1, 0], [0, 0, 0, 0]])
Y_TEST = np.array([[0, 1, 1, 0], [0, 0, 0, 1]])
X_TRAIN = np.array([[0.5, 0, 0], [0, 2, 0.25], [0, 0, 0]], dtype=np.float32)
X_TEST = np.array([[0, 0, 1], [3, 0, 0]], dtype=np.float32)
TRAIN, TEST = ["first text", "second", "third"], ["fourth", "fifth"]


def write_pecos(folder: Path, part: str, texts: list[str], y: Any) -> None:
    (folder / f"X.{part}.txt").write_text("".join(f"{text}\n" for text in texts))
    sp.save_npz(folder / f"Y.{part}.npz", y if sp.issparse(y) else sp.csr_array(y))


def write_json(folder: Path, part: str, texts: list[str], y: np.ndarray) -> None:
    with gzip.open(folder / f"{part}.json.gz", "wt", encoding="utf-8") as file:
        for text, row in zip(texts, y, strict=True):
            title, _, content = text.partition(" ")
            record = {"uid": "x", "title": title, "content": content}
            record |= {"target_ind": np.flatnonzero(row).tolist(), "target_rel": [1.0]}
            file.write(json.dumps(record) + "\n")


def entries(row: np.ndarray) -> str:
    return " ".join(f"{j}:{row[j]:g}" for j in np.flatnonzero(row))


def write_rows(folder: Path, part: str, X: np.ndarray, y: np.ndarray) -> None:
    with (folder / f"{part}.txt").open("w") as file:
        file.write(f"{len(X)} {X.shape[1]} {y.shape[1]}\n")
        for features, labels in zip(X, y, strict=True):
            file.write(f"{','.join(map(str, np.flatnonzero(labels)))} {entries(features)}\n")


def write_pair(folder: Path, part: str, X: np.ndarray, y: np.ndarray) -> None:
    for name, matrix in (("Xf", X), ("Y", y)):
        rows = "".join(f"{entries(row)}\n" for row in matrix)
        head = f"{matrix.shape[0]} {matrix.shape[1]}\n"
        (folder / f"{part}_X_{name}.txt").write_text(head + rows)


def write_pecos_set(folder: Path) -> None:
    write_pecos(folder, "trn", TRAIN, Y_TRAIN)
    write_pecos(folder, "tst", TEST, Y_TEST)


def write_json_set(folder: Path) -> None:
    write_json(folder, "trn", TRAIN, Y_TRAIN)
    write_json(folder, "tst", TEST, Y_TEST)


def write_rows_set(folder: Path) -> None:
    write_rows(folder, "train", X_TRAIN, Y_TRAIN)
    write_rows(folder, "test", X_TEST, Y_TEST)


def write_pair_set(folder: Path) -> None:
    write_pair(folder, "trn", X_TRAIN, Y_TRAIN)
    write_pair(folder, "tst", X_TEST, Y_TEST)


ALL = [write_pecos_set, write_json_set, write_rows_set, write_pair_set]
OF_TEXTS, OF_FEATURES = ALL[:2], ALL[2:]


# --- what all layouts share --------------------------------------------------------------------


@pytest.mark.parametrize("write", ALL)
def test_labels_of_the_test_part_never_enter_those_of_train(tmp_path: Path, write: Callable):
    write(tmp_path)
    data = load_xmc(tmp_path)
    assert data.labels.tolist() == data.label_names.tolist() == ["0", "2"]
    assert label_sets(data.y_train, data.labels) == [("0", "2"), ("2",), ()]
    assert label_sets(data.y_test, data.labels) == [("2",), ()]
    assert data.n_unseen_labels == {"test": 2}
    assert data.n_unseen_occurrences == {"test": 2}
    assert data.y_train.dtype == np.int64
    assert data.y_train.indices.dtype == np.int32
    assert data.X_validation is data.y_validation is None


@pytest.mark.parametrize("write", OF_TEXTS)
def test_documents_are_texts(tmp_path: Path, write: Callable):
    write(tmp_path)
    data = load_xmc(tmp_path)
    assert (data.X_train, data.X_test) == (TRAIN, TEST)
    assert "train: 3 documents, 2 labels, 1.00 labels a document" in data.DESCR


@pytest.mark.parametrize("write", OF_FEATURES)
def test_documents_are_features(tmp_path: Path, write: Callable):
    write(tmp_path)
    data = load_xmc(tmp_path)
    for X, expected in ((data.X_train, X_TRAIN), (data.X_test, X_TEST)):
        assert isinstance(X, sp.csr_array)
        assert X.dtype == np.float32
        np.testing.assert_array_equal(X.toarray(), expected)


@pytest.mark.parametrize("write", OF_FEATURES)
def test_features_can_be_learnt_from(tmp_path: Path, write: Callable):
    write(tmp_path)
    data = load_xmc(tmp_path)
    model = LightXMLClassifier(device="cpu", random_state=0)
    model.fit(data.X_train, data.y_train, X_val=data.X_test, y_val=data.y_test)
    assert model.predict_topk(data.X_test, k=2).shape == (2, 2)


@pytest.mark.parametrize("name", ["val", "dev"])
def test_a_validation_part_has_one_of_two_names(tmp_path: Path, name: str):
    write_pecos_set(tmp_path)
    write_pecos(tmp_path, name, ["sixth"], Y_TEST[:1])
    data = load_xmc(tmp_path)
    assert data.X_validation == ["sixth"]
    assert label_sets(data.y_validation, data.labels) == [("2",)]
    assert data.n_unseen_labels == {"test": 2, "validation": 1}
    write_pecos(tmp_path, {"val": "dev", "dev": "val"}[name], ["seventh"], Y_TEST[:1])
    with pytest.raises(ValueError, match=r"holds both X\.val\.txt and X\.dev\.txt; keep one"):
        load_xmc(tmp_path)


@pytest.mark.parametrize("write", OF_FEATURES)
def test_a_validation_part_may_hold_features(tmp_path: Path, write: Callable):
    write(tmp_path)
    if write is write_rows_set:
        write_rows(tmp_path, "dev", X_TEST, Y_TEST)
    else:
        write_pair(tmp_path, "val", X_TEST, Y_TEST)
    np.testing.assert_array_equal(load_xmc(tmp_path).X_validation.toarray(), X_TEST)


def test_beside_texts_a_file_of_features_is_not_read(tmp_path: Path):
    (tmp_path / "train_texts.txt").write_text("a\n")
    (tmp_path / "train_labels.txt").write_text("x\n")
    for name in ("train.txt", "train_v1.txt", "test.txt"):
        (tmp_path / name).write_text("not even of that layout")
    assert load_xmc(tmp_path).X_train == ["a"]


@pytest.mark.parametrize("one", ALL)
@pytest.mark.parametrize("other", ALL)
def test_two_layouts_are_an_error_that_names_the_files_of_both(
    tmp_path: Path, one: Callable, other: Callable
):
    one(tmp_path)
    files = {path.name for path in tmp_path.iterdir()}
    other(tmp_path)
    if one is other:
        assert load_xmc(tmp_path).y_train.shape == (3, 2)
        return
    new = {path.name for path in tmp_path.iterdir()} - files
    with pytest.raises(ValueError, match=r"training parts in 2 layouts: .* and ") as caught:
        load_xmc(tmp_path)
    found = str(caught.value).split(" layouts: ")[1].split(". Put each")[0]
    assert all(any(name in found for name in names) for names in (files, new))
    assert "The layouts are: train_texts.txt or" in str(caught.value)


def test_a_folder_of_no_layout_is_told_what_was_found_and_what_is_expected(tmp_path: Path):
    for i in range(12):
        (tmp_path / f"file{i:02}.dat").touch()
    with pytest.raises(FileNotFoundError) as caught:
        load_xmc(tmp_path)
    message = str(caught.value)
    for expected in ("train_labels.txt", "X.trn.txt, and Y.trn.npz", "trn.json.gz", "train.txt;",
                     "trn_X_Xf.txt, and trn_X_Y.txt."):  # fmt: skip
        assert expected in message
    assert message.endswith("Found " + ", ".join(f"'file{i:02}.dat'" for i in range(10)) + ", ....")


@pytest.mark.parametrize("missing", ["X.trn.txt", "Y.trn.npz", "X.tst.txt", "Y.tst.npz"])
def test_half_a_part_names_the_file_that_is_missing(tmp_path: Path, missing: str):
    write_pecos_set(tmp_path)
    (tmp_path / missing).unlink()
    with pytest.raises(FileNotFoundError, match=f"but no {missing}"):
        load_xmc(tmp_path)


@pytest.mark.parametrize(
    ("write", "file"),
    [
        (write_pecos, "Y.trn.npz"),
        (write_json, "trn.json.gz"),
        (write_rows, "train.txt"),
        (write_pair, "trn_X_Y.txt"),
    ],
)
def test_a_training_part_without_a_label_is_an_error(tmp_path: Path, write: Callable, file: str):
    part = "train" if write is write_rows else "trn"
    write(tmp_path, part, TRAIN if write in (write_pecos, write_json) else X_TRAIN, 0 * Y_TRAIN)
    with pytest.raises(ValueError, match=f"{file} holds no label"):
        load_xmc(tmp_path)


# --- PECOS -------------------------------------------------------------------------------------


def test_names_of_labels_come_from_output_items(tmp_path: Path):
    write_pecos_set(tmp_path)
    (tmp_path / "output-items.txt").write_text("law\nsea\n\ntrade\n")
    assert load_xmc(tmp_path).label_names.tolist() == ["law", "2"]


def test_labels_are_sorted_as_strings(tmp_path: Path):
    write_pecos(tmp_path, "trn", ["a", "b"], sp.csr_array(np.eye(2, 12, 9) + np.eye(2, 12, 1)))
    data = load_xmc(tmp_path)
    assert data.labels.tolist() == ["1", "10", "2", "9"]
    assert label_sets(data.y_train, data.labels) == [("1", "9"), ("10", "2")]


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "bsr", "dia"])
def test_any_sparse_form_and_type_of_ones_is_read(tmp_path: Path, form: str):
    y = sp.csr_array(Y_TRAIN.astype(np.float64)).asformat(form)
    write_pecos(tmp_path, "trn", TRAIN, y)
    data = load_xmc(tmp_path)
    assert label_sets(data.y_train, data.labels) == [("0", "2"), ("2",), ()]


def test_stored_zeros_are_no_labels_and_a_repeated_entry_counts_once(tmp_path: Path):
    many = 256  # as often as makes an int8 sum zero again
    columns = np.array([1] * many + [0, 2])
    values = np.array([1] * many + [0, 1])
    y = sp.csr_array((values, columns, np.array([0, many, many + 2])), shape=(2, 3))
    write_pecos(tmp_path, "trn", ["a", "b"], y)
    data = load_xmc(tmp_path)
    assert label_sets(data.y_train, data.labels) == [("1",), ("2",)]


@pytest.mark.parametrize("value", [2, 0.5, -1, np.nan, np.inf])
def test_a_matrix_of_anything_but_0_and_1_is_named_with_the_place(tmp_path: Path, value: float):
    y = sp.csr_array([[0, 1.0], [0, value], [0, 0]])
    write_pecos(tmp_path, "trn", TRAIN, y)
    with pytest.raises(
        ValueError, match=rf"Y\.trn\.npz: row 1, column 1 is {value:.1f}; expected 0"
    ):
        load_xmc(tmp_path)


def test_different_numbers_of_rows_are_an_error_with_both_counts(tmp_path: Path):
    write_pecos(tmp_path, "trn", TRAIN, Y_TEST)
    with pytest.raises(ValueError, match=r"X\.trn\.txt holds 3 lines but .*npz has 2 rows"):
        load_xmc(tmp_path)


def save_raw(file: Path, **arrays: Any) -> None:
    """Write a sparse matrix as save_npz does, whatever the arrays are."""
    ones = np.ones(3, dtype=np.int8)
    whole = {"format": np.array(b"csr"), "shape": np.array([3, 4]), "data": ones,
             "indices": np.array([0, 2, 2]), "indptr": np.array([0, 2, 3, 3])}  # fmt: skip
    np.savez_compressed(file, **{**whole, **arrays})


def test_the_raw_file_that_the_next_test_damages_is_whole(tmp_path: Path):
    write_pecos(tmp_path, "trn", TRAIN, Y_TRAIN)
    save_raw(tmp_path / "Y.trn.npz")
    assert load_xmc(tmp_path).labels.tolist() == ["0", "2"]


@pytest.mark.parametrize(
    "arrays",
    [
        {"indices": np.array([0, 4, 2])},
        {"indices": np.array([0, -1, 2])},
        {"indices": np.array([0, 2])},
        {"indptr": np.array([0, 2, 3, 30])},
        {"indptr": np.array([0, 3, 2, 3])},
        {"shape": np.array([3, -4])},
        {"shape": np.array([10**15, 4])},
        {"format": np.array(b"lil")},
        {"format": np.array(b"csc")},
        {"data": np.array(["a", "b", "c"])},
        {"data": np.ones((3, 3))},
        {"format": np.array(b"coo"), "row": np.array([0, 1, 2]), "col": np.array([0, 9, 0])},
    ],
    ids=lambda arrays: " ".join(f"{k}={v.tolist()}" for k, v in arrays.items()),
)
def test_a_matrix_with_numbers_out_of_range_is_an_error_that_names_the_file(
    tmp_path: Path, arrays: dict[str, Any]
):
    write_pecos(tmp_path, "trn", TRAIN, Y_TRAIN)
    save_raw(tmp_path / "Y.trn.npz", **arrays)
    with pytest.raises(ValueError, match=r"Y\.trn\.npz"):
        load_xmc(tmp_path)


class Payload:
    """Pickled, it would leave a trace when loaded."""

    def __reduce__(self) -> tuple:
        return (exec, ("import sys; sys.payload_was_run = True",))


@pytest.mark.parametrize("kind", ["pickle", "object array", "no zip", "empty", "claim", "text"])
def test_what_is_no_matrix_is_refused_and_nothing_is_unpickled(tmp_path: Path, kind: str):
    write_pecos(tmp_path, "trn", TRAIN, Y_TRAIN)
    file = tmp_path / "Y.trn.npz"
    if kind == "pickle":
        file.write_bytes(pickle.dumps(Payload()))
    elif kind == "object array":
        save_raw(file, data=np.array([Payload()] * 3, dtype=object))
    elif kind == "no zip":
        np.save(file.with_suffix(".npy"), Y_TRAIN)
        file.with_suffix(".npy").rename(file)
    elif kind == "claim":  # an array of 8 EB, of which nothing is there
        with zipfile.ZipFile(file, "w") as archive:
            head = io.BytesIO()
            np.lib.format.write_array_header_1_0(
                head, {"descr": "<i8", "fortran_order": False, "shape": (10**18,)}
            )
            archive.writestr("format.npy", head.getvalue())
    else:
        file.write_bytes(b"" if kind == "empty" else b"1 2\n3 4\n")
    with pytest.raises(ValueError, match=r"Y\.trn\.npz: is no whole sparse matrix as scipy"):
        load_xmc(tmp_path)
    assert not hasattr(sys, "payload_was_run")


def test_a_matrix_file_with_any_byte_changed_is_read_or_refused_as_a_value_error(tmp_path: Path):
    write_pecos(tmp_path, "trn", TRAIN, Y_TRAIN)
    file = tmp_path / "Y.trn.npz"
    whole = file.read_bytes()
    draw = random.Random(0)
    refused = 0
    for _ in range(300):
        damaged = bytearray(whole[: draw.choice([len(whole), draw.randrange(len(whole))])])
        for _ in range(draw.randrange(1, 4)):
            if damaged:
                damaged[draw.randrange(len(damaged))] = draw.randrange(256)
        file.write_bytes(damaged)
        with contextlib.suppress(ValueError):
            load_xmc(tmp_path)
            continue
        refused += 1
    assert refused > 200


# --- JSON lines --------------------------------------------------------------------------------


def write_records(folder: Path, *records: Any, name: str = "trn.json.gz") -> Path:
    text = "".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in records)
    with (gzip.open if name.endswith(".gz") else open)(folder / name, "wb") as file:
        file.write(text.encode())
    return folder


def test_title_and_content_are_joined_and_one_of_them_is_enough(tmp_path: Path):
    write_records(
        tmp_path,
        {"title": "A", "content": "b c", "target_ind": [3, 3, 1]},
        {"title": "D", "content": "", "target_ind": []},
        {"content": "É\n日本", "target_ind": [1]},
        {"title": "", "content": "", "target_ind": [1]},
    )
    data = load_xmc(tmp_path)
    assert data.X_train == ["A b c", "D", "É\n日本", ""]
    assert label_sets(data.y_train, data.labels) == [("1", "3"), (), ("1",), ("1",)]


@pytest.mark.parametrize("name", ["trn.json.gz", "trn.raw.json.gz", "trn.json", "trn.raw.json"])
def test_the_file_may_be_unpacked_or_called_raw(tmp_path: Path, name: str):
    write_records(tmp_path, "\ufeff" + json.dumps({"title": "A", "target_ind": [0]}), name=name)
    assert load_xmc(tmp_path).X_train == ["A"]


@pytest.mark.parametrize("name", ["lbl.json.gz", "lbl.json"])
def test_names_of_labels_come_from_their_titles(tmp_path: Path, name: str):
    write_json_set(tmp_path)
    write_records(tmp_path, {"title": "law"}, {"title": "sea"}, {"title": " "}, name=name)
    assert load_xmc(tmp_path).label_names.tolist() == ["law", "2"]


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"text": "a", "target_ind": [0]}, "neither a title nor a content; it has 'text', 'targ"),
        ({"title": 1, "target_ind": [0]}, "its title is a int; expected a string"),
        ({"title": "a", "content": None, "target_ind": [0]}, "its content is a NoneType"),
        ({"title": "a"}, "has no target_ind; it has 'title'"),
        ({"title": "a", "target_ind": 3}, "its target_ind is 3; expected a list of label numbers"),
        ({"title": "a", "target_ind": [0, -1]}, "expected a list of label numbers, from 0"),
        ({"title": "a", "target_ind": [2**63]}, "expected a list of label numbers, from 0"),
        ({"title": "a", "target_ind": [True]}, "expected a list of label numbers, from 0"),
        ({"title": "a", "target_ind": ["1"]}, "expected a list of label numbers, from 0"),
        ({"title": "a", "target_ind": [10**30]}, "an integer of more than 64 bits"),
        (["a"], "holds a list. Expected one JSON object on each line"),
        ("[" * 100_000, "nested deeper than 64 levels"),
        ('{"title": "a", "title": "b", "target_ind": [0]}', "the key 'title' twice"),
        ('{"title": "a", "target_ind": [NaN]}', "NaN, which is not JSON"),
        ('{"title": "a", ', "is not JSON in UTF-8"),
    ],
)
def test_a_wrong_record_is_named_with_its_line(tmp_path: Path, record: Any, words: str):
    write_records(tmp_path, {"title": "a", "target_ind": [0]}, "", record)
    with pytest.raises(ValueError, match=r"trn\.json\.gz, line 3: ") as caught:
        load_xmc(tmp_path)
    assert words in str(caught.value)
    assert "save the model" not in str(caught.value)


@pytest.mark.parametrize("damage", ["cut off", "changed", "no gzip"])
def test_a_damaged_gzip_file_is_named(tmp_path: Path, damage: str):
    texts = [f"text {random.Random(i).random()}" for i in range(100)]
    write_json(tmp_path, "trn", texts, np.ones((100, 2), dtype=int))
    file = tmp_path / "trn.json.gz"
    whole = bytearray(file.read_bytes())
    if damage == "changed":
        whole[len(whole) // 2] ^= 255
    file.write_bytes({"cut off": whole[:-20], "changed": whole, "no gzip": b"{}\n"}[damage])
    with pytest.raises(ValueError, match=r"trn\.json\.gz(: is no whole gzip file|, line .*JSON)"):
        load_xmc(tmp_path)


def test_a_line_that_unpacks_to_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 2**20)
    record = {"title": "a" * 2**20, "target_ind": [0]}
    write_records(tmp_path, {"title": "a", "target_ind": [0]}, record)
    with pytest.raises(ValueError, match=r"trn\.json\.gz, line 2: is longer than 1 MiB"):
        load_xmc(tmp_path)


# --- sparse text files -------------------------------------------------------------------------


def read_rows(folder: Path, text: str) -> Any:
    (folder / "train.txt").write_text(text)
    return load_xmc(folder)


def test_documents_without_labels_or_features_are_documents_all_the_same(tmp_path: Path):
    text = "5 4 3\n0,2 0:1 3:-2.5e-1\n 1:7\n1:8\n1\n\n"
    data = read_rows(tmp_path, text)
    expected = [[1, 0, 0, -0.25], [0, 7, 0, 0], [0, 8, 0, 0], [0] * 4, [0] * 4]
    assert data.X_train.toarray().tolist() == expected
    assert label_sets(data.y_train, data.labels) == [("0", "2"), (), (), ("1",), ()]


def test_blanks_tabs_and_windows_line_ends_are_no_part_of_the_data(tmp_path: Path):
    data = read_rows(tmp_path, "\ufeff2 3 2 \r\n0\t2:1  0:2 \r\n1,0   1:3\r\n")
    assert data.X_train.toarray().tolist() == [[2, 0, 1], [0, 3, 0]]
    assert data.X_train.has_sorted_indices
    assert label_sets(data.y_train, data.labels) == [("0",), ("0", "1")]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("0 1", "expected \"label,label column:value column:value\"; found '0 1'"),
        ("0 1:", "expected"),
        ("0 :1", "expected"),
        ("0 -1:1", "expected"),
        ("0 1:1e", "expected"),
        ("0 1:1:1", "expected"),
        ("0, 1:1", "expected"),
        ("-1 1:1", "expected"),
        ("0 1.0:1", "expected"),
        ("0 1:nan", "expected"),
        ("0 1:1_0", "expected"),
        ("٣ 1:1", "expected"),
        ("0" * 50 + " 1:1", "expected"),
        ("0 " + "1" * 50 + ":1", "expected"),
        ("0 1:1e39", "holds a value beyond the range of float32"),
        ("0 4:1", "holds the number 4; by the first line, expected at most 3"),
        ("3 1:1", "holds the number 3; by the first line, expected at most 2"),
        ("0,999999999999999999 1:1", "holds the number 999999999999999999"),
    ],
)
def test_a_wrong_line_is_named_with_what_was_found(tmp_path: Path, line: str, words: str):
    with pytest.raises(ValueError, match=r"train\.txt, line 3: ") as caught:
        read_rows(tmp_path, f"3 4 3\n0 1:1\n{line}\n1 2:2\n")
    assert words in str(caught.value)


@pytest.mark.parametrize("head", ["", "3 4", "3 4 5 6", "3 4 x", "3 -4 5", "0 1:1", "3.0 4 5"])
def test_a_file_that_does_not_begin_with_its_counts_is_named(tmp_path: Path, head: str):
    words = r"train\.txt, line 1: expected 3 counts, of documents, features and labels; found '"
    with pytest.raises(ValueError, match=words):
        read_rows(tmp_path, f"{head}\n0 1:1\n")


@pytest.mark.parametrize("n", [1, 3, 10**17])
def test_other_numbers_of_lines_than_promised_are_an_error(tmp_path: Path, n: int):
    words = f"promises {n:,} lines below; found 2"
    with pytest.raises(ValueError, match=words):
        read_rows(tmp_path, f"{n} 4 3\n0 1:1\n0 1:1\n")


@pytest.mark.parametrize("write", OF_FEATURES)
def test_parts_with_different_numbers_of_features_are_an_error(tmp_path: Path, write: Callable):
    write(tmp_path)
    wide = np.ones((2, 5))
    if write is write_rows_set:
        write_rows(tmp_path, "test", wide, Y_TEST)
    else:
        write_pair(tmp_path, "tst", wide, Y_TEST)
    with pytest.raises(ValueError, match="training part has 3 features, its test part 5"):
        load_xmc(tmp_path)


def test_a_pair_with_different_numbers_of_rows_is_an_error(tmp_path: Path):
    write_pair(tmp_path, "trn", X_TRAIN, Y_TEST)
    with pytest.raises(ValueError, match=r"trn_X_Xf\.txt has 3 rows but .*trn_X_Y\.txt has 2"):
        load_xmc(tmp_path)


def test_a_label_of_another_value_than_one_is_named(tmp_path: Path):
    write_pair(tmp_path, "trn", X_TRAIN, Y_TRAIN * np.array([[1], [0.5], [1]]))
    words = r"trn_X_Y\.txt, line 3: gives label 2 the value 0\.5; expected 0 or 1"
    with pytest.raises(ValueError, match=words):
        load_xmc(tmp_path)


def test_labels_of_value_zero_are_none(tmp_path: Path):
    write_pair(tmp_path, "trn", X_TRAIN, Y_TRAIN)
    (tmp_path / "trn_X_Y.txt").write_text("3 4\n0:1.00000 1:0\n\n2:1\n")
    data = load_xmc(tmp_path)
    assert label_sets(data.y_train, data.labels) == [("0",), (), ("2",)]


def test_a_pairs_matrix_with_a_label_row_is_a_wrong_line(tmp_path: Path):
    write_pair(tmp_path, "trn", X_TRAIN, Y_TRAIN)
    (tmp_path / "trn_X_Y.txt").write_text("3 4\n0\n\n2:1\n")
    with pytest.raises(ValueError, match=r"trn_X_Y\.txt, line 2: expected \"column:value"):
        load_xmc(tmp_path)
