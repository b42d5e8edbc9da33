"""Documents and labels from named columns of CSV, TSV and JSON-lines files."""

from __future__ import annotations

import csv
import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest

from lightxml.datasets import label_sets
from lightxml.datasets.records import column_names, is_record_file, load_records, read_texts

CSV = "id,title,body,labels\n1,First,text,law; trade\n2,Second,,trade\n3,,third,\n"
TEXTS = ["First text", "Second", "third"]
LABELS = [("law", "trade"), ("trade",), ()]


def write(file: Path, content: str | bytes) -> Path:
    data = content.encode() if isinstance(content, str) else content
    file.write_bytes(gzip.compress(data) if file.suffix == ".gz" else data)
    return file


def load(
    file: Path, *texts: str, labels: str | None = "labels", separator: str = ";"
) -> tuple[list[str], list[tuple[str, ...]]]:
    bunch = load_records(file, texts, labels, separator)
    return bunch.X_train, label_sets(bunch.y_train, bunch.labels)


def error_of(file: Path, *texts: str, **options: Any) -> str:
    with pytest.raises(ValueError, match=re.escape(str(file))) as caught:
        load(file, *texts, **options)
    return str(caught.value).replace(str(file), "FILE")


def json_text(*records: Any) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


# --- what is read ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "A.CSV", "a.tsv", "a.jsonl", "a.jsonl.gz"])
def test_every_kind_of_file_gives_the_same_documents_and_labels(tmp_path: Path, name: str):
    rows = [line.split(",") for line in CSV.splitlines()]
    text = CSV
    if "tsv" in name:
        text = "".join("\t".join(row) + "\n" for row in rows)
    elif "json" in name:
        text = json_text(*(dict(zip(rows[0], row, strict=True)) for row in rows[1:]))
    file = write(tmp_path / name, text)
    assert is_record_file(file)
    assert column_names(file) == ["id", "title", "body", "labels"]
    assert load(file, "title", "body") == (TEXTS, LABELS)
    assert list(read_texts(file, ["title", "body"])) == [TEXTS]


def test_the_bunch_is_a_training_part_alone(tmp_path: Path):
    bunch = load_records(write(tmp_path / "a.csv", CSV), ["title"], "labels", ";")
    assert bunch.labels.tolist() == bunch.label_names.tolist() == ["law", "trade"]
    assert bunch.X_test is bunch.X_validation is None
    assert bunch.DESCR.endswith("Read from a.csv")


def test_columns_are_joined_in_the_order_asked_for_and_one_may_be_read_twice(tmp_path: Path):
    file = write(tmp_path / "a.csv", CSV)
    assert load(file, "body", "title", "id", "id")[0] == [
        "text First 1 1",
        "Second 2 2",
        "third 3 3",
    ]


def test_fields_hold_delimiters_quotes_line_ends_and_any_script(tmp_path: Path):
    text = 'one, "two"\nthree\r\nfour\u2028 日本'
    file = tmp_path / "a.csv"
    with file.open("w", newline="", encoding="utf-8-sig") as stream:
        csv.writer(stream).writerows([["text", "labels"], [text, "a b;ç"], ["last", ""]])
    assert load(file, "text") == ([text, "last"], [("a b", "ç"), ()])


def test_windows_line_ends_and_empty_lines_are_no_part_of_the_data(tmp_path: Path):
    file = write(tmp_path / "a.csv", "\ufefftext,labels\r\na,x\r\n\r\nb,y\r\n\r\n")
    assert load(file, "text") == (["a", "b"], [("x",), ("y",)])
    file = write(tmp_path / "a.jsonl", '\ufeff{"text": "a", "labels": "x"}\r\n\n  \n')
    assert load(file, "text") == (["a"], [("x",)])


def test_documents_may_be_longer_than_the_csv_modules_limit_which_stays(tmp_path: Path):
    limit = csv.field_size_limit()
    long = "word " * limit
    file = write(tmp_path / "a.csv", f"text,labels\n{long},x\n")
    assert load(file, "text")[0] == [long]
    assert csv.field_size_limit() == limit


@pytest.mark.parametrize(
    ("separator", "cell", "labels"),
    [
        (";", " a b ; c;;d ;", ("a b", "c", "d")),
        (" ", "a  b c;d", ("a", "b", "c;d")),
        ("|", "a|b|a", ("a", "b")),
        (" > ", "a > b>c", ("a", "b>c")),
    ],
)
def test_labels_are_split_at_the_separator_without_blanks_around_them(
    tmp_path: Path, separator: str, cell: str, labels: tuple[str, ...]
):
    for name, text in (
        ("a.csv", f"text,labels\nt,{cell}\n"),
        ("a.jsonl", json_text({"text": "t", "labels": cell})),
    ):
        assert load(write(tmp_path / name, text), "text", separator=separator)[1] == [labels]


@pytest.mark.parametrize(
    ("cell", "labels"),
    [
        ('["cat", "a; b"]', ("a; b", "cat")),
        ("['cat', 'dog']", ("cat", "dog")),
        ("['cat' 'dog']", ("cat", "dog")),  # as numpy prints it
        ("{'dog'}", ("dog",)),
        ("[\"it's\", 'b']", ("b", "it's")),
        ("[10, 2]", ("10", "2")),
        (" [] ", ()),
        ("[sic];(b);[see 'x'];['a'", ("(b)", "['a'", "[see 'x']", "[sic]")),  # no lists
        ("(2020)", ("(2020)",)),
    ],
)
def test_a_list_as_json_or_python_writes_it_is_one(
    tmp_path: Path, cell: str, labels: tuple[str, ...]
):
    quoted = cell.replace('"', '""')
    file = write(tmp_path / "a.csv", f'text,labels\nt,"{quoted}"\nt,z\n')
    assert load(file, "text")[1] == [labels, ("z",)]


def test_json_gives_labels_as_a_list_or_a_number_as_they_are(tmp_path: Path):
    file = write(
        tmp_path / "a.jsonl",
        json_text(
            {"text": "t", "labels": ["a; b", " c"]},
            {"text": "t", "labels": [3, "3", 12]},
            {"labels": 7, "text": "t"},
            {"text": "t", "labels": [], "more": None},
        ),
    )
    assert load(file, "text")[1] == [(" c", "a; b"), ("12", "3"), ("7",), ()]


def test_texts_come_in_batches_and_need_no_labels(tmp_path: Path):
    file = write(tmp_path / "a.csv", "text\n" + "".join(f"{i}\n" for i in range(150)))
    batches = list(read_texts(file, ["text"]))
    assert [len(batch) for batch in batches] == [64, 64, 22]
    assert [text for batch in batches for text in batch] == [str(i) for i in range(150)]
    assert list(read_texts(write(file, "text\n"), ["text"])) == []


# --- errors ------------------------------------------------------------------------------------


def test_columns_that_are_not_named_are_listed(tmp_path: Path):
    for name, text in (("a.csv", CSV), ("a.jsonl", json_text({"id": 1, "title": "", "b": 2}))):
        file = write(tmp_path / name, text)
        for texts, labels in (((), "labels"), (("title",), None), ((), None)):
            message = error_of(file, *texts, labels=labels)
            assert message.startswith("FILE: has the columns 'id', 'title', 'b")
            assert "--text-column" in message
            assert "--label-column" in message
        with pytest.raises(ValueError, match=r"has the columns 'id'.*--text-column"):
            next(read_texts(file, []))


def test_a_missing_column_is_named_with_those_there_are(tmp_path: Path):
    file = write(tmp_path / "a.csv", CSV)
    message = error_of(file, "title", "abstract")
    assert message == (
        "FILE: has no column 'abstract'; expected one. Its first line, split at ',', names the"
        " columns 'id', 'title', 'body', 'labels'."
    )
    assert "no column 'tags'" in error_of(file, "title", labels="tags")
    file = write(tmp_path / "a.jsonl", json_text({"a": "t", "labels": []}, {"b": "t"}))
    assert error_of(file, "a") == "FILE, line 2: has no 'a'; it has 'b'."


def test_many_and_long_names_are_cut(tmp_path: Path):
    file = write(tmp_path / "a.csv", ",".join(f"{i}{'x' * 1000}" for i in range(1000)))
    assert len(error_of(file, "text")) < 2000


def test_a_column_that_is_there_twice_is_an_error(tmp_path: Path):
    file = write(tmp_path / "a.csv", "text,labels,text\na,b,c\n")
    assert "has 2 columns 'text'" in error_of(file, "text")


@pytest.mark.parametrize("row", ["b", "b,c,d", '"b,\n",c,d'])
def test_a_row_with_more_or_fewer_fields_is_named_with_its_first_line(tmp_path: Path, row: str):
    file = write(tmp_path / "a.csv", f'text,labels\n"a\na",x\n\n{row}\n')
    message = error_of(file, "text")
    assert message.startswith("FILE, line 5: has ")
    assert "expected 2, as in the first line" in message


@pytest.mark.parametrize("row", ['"never closed,x\nmore,y', '"a"b,x'])
def test_wrong_quotes_are_named_with_the_line_where_the_row_begins(tmp_path: Path, row: str):
    file = write(tmp_path / "a.csv", f"text,labels\na,x\n{row}\n")
    message = error_of(file, "text")
    assert message.startswith("FILE, line 3: is no row of fields (")
    assert "double the quotes within" in message


def test_what_is_not_utf8_is_named_with_line_and_byte(tmp_path: Path):
    file = write(tmp_path / "a.csv", b"text,labels\na,x\ncaf\xe9,y\n")
    assert error_of(file, "text").startswith("FILE, line 3: not UTF-8 (byte 0xe9 at position 3)")


@pytest.mark.parametrize("value", [None, 3, ["a"], True])
def test_a_text_that_is_none_is_named(tmp_path: Path, value: Any):
    file = write(tmp_path / "a.jsonl", json_text({"text": value, "labels": []}))
    found = f"{value} ({type(value).__name__})"
    assert error_of(file, "text") == f"FILE, line 1: its 'text' is {found}; expected a string."


@pytest.mark.parametrize("value", [None, True, 0.5, {"a": 1}, ["a", None], [["a"]], [1.0]])
def test_a_label_that_is_none_is_named(tmp_path: Path, value: Any):
    file = write(tmp_path / "a.jsonl", json_text({"text": "", "labels": value}))
    assert error_of(file, "text").startswith("FILE, line 1: its 'labels' holds ")


@pytest.mark.parametrize("line", ["[1]", "{", '{"a": NaN}', '"' + "[" * 9, "[" * 10**5])
def test_a_line_that_is_no_json_object_is_named(tmp_path: Path, line: str):
    file = write(tmp_path / "a.jsonl", json_text({"text": "", "labels": []}) + line + "\n")
    message = error_of(file, "text")
    assert message.startswith("FILE, line 2: ")
    assert message.endswith("Expected one JSON object on each line.")


@pytest.mark.parametrize("name", ["a.txt", "a.gz", "csv", "a.csv.bz2", "a.xlsx"])
def test_another_kind_of_file_is_told_the_known_ones(tmp_path: Path, name: str):
    file = write(tmp_path / name, CSV)
    assert not is_record_file(file)
    message = error_of(file, "title")
    assert message.startswith("FILE: expected a file that ends in .csv, .tsv, .jsonl, .ndjson, ")


def test_a_damaged_gzip_file_is_named(tmp_path: Path):
    file = write(tmp_path / "a.csv.gz", CSV * 100)
    file.write_bytes(file.read_bytes()[:-10])
    assert "is no whole gzip file" in error_of(file, "title")


@pytest.mark.parametrize(("name", "text"), [("a.csv", "text,labels\n"), ("a.jsonl", "\n")])
def test_a_file_without_documents_is_an_error(tmp_path: Path, name: str, text: str):
    assert error_of(write(tmp_path / name, text), "text") == "FILE: holds no document."


def test_an_empty_table_has_no_columns(tmp_path: Path):
    file = write(tmp_path / "a.csv", "")
    assert error_of(file, "text").endswith("names the columns (none).")


def test_an_empty_separator_is_an_error(tmp_path: Path):
    with pytest.raises(ValueError, match="--label-separator is empty"):
        load(write(tmp_path / "a.csv", CSV), "title", separator="")
