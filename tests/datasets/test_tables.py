"""Documents and labels of tables, in the forms in which people have them."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import re
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lightxml.datasets import load_table
from lightxml.fields import join_fields

CSV = "id,title,body,labels\n1,First,text,law; trade\n2,Second,,trade\n3,,third,\n"
TEXTS = ["First \x1f text", "Second \x1f ", " \x1f third"]
LABELS = [("law", "trade"), ("trade",), ()]


def write(file: Path, content: str | bytes) -> Path:
    data = content.encode() if isinstance(content, str) else content
    file.write_bytes(gzip.compress(data) if file.suffix == ".gz" else data)
    return file


def load(
    file: Path, *texts: str, labels: Any = "labels", **options: Any
) -> tuple[list[str], list[tuple[str, ...]]]:
    data = load_table(file, text_column=list(texts), label_column=labels, **options)
    return data.X, data.y


def error_of(file: Path, *texts: str, **options: Any) -> str:
    with pytest.raises(ValueError, match=re.escape(str(file))) as caught:
        load(file, *texts, **options)
    return str(caught.value).replace(str(file), "FILE")


def random_csv() -> str:
    """Return a table that does not shrink to nothing when it is packed."""
    words = np.random.default_rng(0).integers(10**9, size=(2_000, 3)).astype(str)
    return "title,labels\n" + "".join(f"{a} {b},{c[:2]}\n" for a, b, c in words)


def packed(file: Path, content: str) -> Path:
    data = content.encode()
    if file.suffix == ".zip":
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("inside.csv", data)
            archive.writestr("__MACOSX/._inside.csv", "of no meaning")
    else:
        compress = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
        file.write_bytes(compress[file.suffix](data))
    return file


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
    assert load(file, "title", "body") == (TEXTS, LABELS)


def test_what_was_understood_is_told_and_reads_another_table(tmp_path: Path):
    data = load_table(
        write(tmp_path / "a.csv", CSV), text_column=["title", "body"], label_column="labels"
    )
    assert data.DESCR.splitlines() == [
        f"{tmp_path / 'a.csv'}: columns between commas; labels between ';'.",
        "3 documents, 2 labels, 1.0 a document",
        "The most frequent labels: 'trade' (2), 'law' (1); the longest: 'trade'",
        "Documents without a label: 1.",
    ]
    assert data.reading == {
        "text_column": ["title", "body"],
        "label_column": ["labels"],
        "label_separator": ";",
        "label_form": "separated",
    }
    other = write(tmp_path / "b.jsonl", json_text({"title": "t", "body": None, "labels": "a;b"}))
    assert load_table(other, **data.reading).y == [("a", "b")]


def test_columns_are_joined_in_the_order_asked_for_and_one_may_be_read_twice(tmp_path: Path):
    file = write(tmp_path / "a.csv", CSV)
    assert load(file, "body", "title", "id", "id")[0] == join_fields(
        ["text", "", "third"], ["First", "Second", ""], ["1", "2", "3"], ["1", "2", "3"]
    )


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
        assert load(write(tmp_path / name, text), "text", label_separator=separator)[1] == [labels]


@pytest.mark.parametrize(
    ("cell", "labels"),
    [
        ('["cat", "a; b"]', ("cat", "a; b")),
        ("['cat', 'dog']", ("cat", "dog")),
        ("['cat' 'dog']", ("cat", "dog")),  # as numpy prints it
        ("{'dog'}", ("dog",)),
        ("[\"it's\", 'b']", ("it's", "b")),
        ("[10, 2]", ("10", "2")),
        (" [] ", ()),
        ("[sic];(b);[see 'x'];['a'", ("[sic]", "(b)", "[see 'x']", "['a'")),  # no lists
        ("(2020)", ("(2020)",)),
    ],
)
def test_a_list_as_json_or_python_writes_it_is_one(
    tmp_path: Path, cell: str, labels: tuple[str, ...]
):
    quoted = cell.replace('"', '""')
    file = write(tmp_path / "a.csv", f'text,labels\nt,"{quoted}"\nu,z\n')
    assert load(file, "text")[1] == [labels, ("z",)]


def test_json_gives_labels_as_a_list_or_a_number_as_they_are(tmp_path: Path):
    file = write(
        tmp_path / "a.jsonl",
        json_text(
            {"text": "t", "labels": ["a; b", " c", ""]},
            {"text": "t", "labels": [3, "3", 12]},
            {"labels": 7, "text": "t"},
            {"text": "t", "labels": [], "more": None},
        ),
    )
    assert load(file, "text")[1] == [("a; b", "c"), ("3", "12"), ("7",), ()]


# --- forms of files ----------------------------------------------------------------------------

TABLE = [("first, text", "law; trade"), ('a "second"', "trade"), ("", "")]
DOCUMENTS = ["first, text", 'a "second"', ""]
OF_TABLE = [("law", "trade"), ("trade",), ()]


def delimited(delimiter: str) -> str:
    stream = io.StringIO()
    csv.writer(stream, delimiter=delimiter).writerows([("text", "labels"), *TABLE])
    return stream.getvalue()


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz", ".zip"])
def test_a_packed_file_is_unpacked_by_what_it_is(tmp_path: Path, suffix: str):
    file = packed(tmp_path / f"a.csv{suffix}", delimited(","))
    assert load(file, "text") == (DOCUMENTS, OF_TABLE)
    assert load(file.rename(tmp_path / "b.csv"), "text") == (DOCUMENTS, OF_TABLE)


def test_an_archive_of_several_files_is_refused_with_their_names(tmp_path: Path):
    file = tmp_path / "a.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.csv", "")
        archive.writestr("b.csv", "")
    assert error_of(file, "text").startswith("FILE: holds 2 files ('a.csv', 'b.csv'); expected one")


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.txt", "a"])
def test_a_delimiter_is_told_from_the_file(tmp_path: Path, delimiter: str, name: str):
    assert load(write(tmp_path / name, delimited(delimiter)), "text") == (DOCUMENTS, OF_TABLE)


def test_a_delimiter_of_ones_own_is_given(tmp_path: Path):
    file = write(tmp_path / "a.csv", delimited("^"))
    assert "Another delimiter is passed as delimiter=" in error_of(file, "text")
    assert load(file, "text", delimiter="^") == (DOCUMENTS, OF_TABLE)


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"]
)
def test_an_encoding_is_told_from_the_file(tmp_path: Path, encoding: str):
    text = "text,labels\nein längerer Satz über Käse,Öl;Käse\nund noch einer davon,Öl\n"
    file = write(tmp_path / "a.csv", text.encode(encoding))
    documents = ["ein längerer Satz über Käse", "und noch einer davon"]
    assert load(file, "text") == (documents, [("Öl", "Käse"), ("Öl",)])
    told = load_table(file, text_column="text", label_column="labels").DESCR
    assert (f", {encoding};" in told) == (not encoding.startswith("utf-8"))


@pytest.mark.parametrize(
    ("encoding", "text"), [("cp1251", "слова и слова"), ("gb18030", "这是中文")]
)
def test_an_encoding_that_cannot_be_told_is_asked_for(tmp_path: Path, encoding: str, text: str):
    file = write(tmp_path / "a.csv", f"text,labels\n{text},a\n".encode(encoding))
    message = error_of(file, "text")
    assert message.startswith("FILE, line 2: is not UTF-8 (byte 0x")
    assert "such as encoding='gb18030', encoding='shift_jis'" in message
    assert load(file, "text", encoding=encoding)[0] == [text]
    with pytest.raises(ValueError, match="which Python does not know"):
        load(file, "text", encoding="klingon")


def test_columns_without_names_are_numbered(tmp_path: Path):
    file = write(tmp_path / "a.tsv", "a cat purrs\tcat;pet\nthe car\tcar\n")
    message = error_of(file, "text")
    assert "pass header=False, and columns by their numbers: text_column='1'" in message
    expected = (["a cat purrs", "the car"], [("cat", "pet"), ("car",)])
    assert load(file, "1", labels="2") == load(file, "1", labels="2", header=False) == expected
    reading = load_table(file, text_column="1", label_column="2").reading
    names = write(tmp_path / "b.tsv", "cat\tpet\n")  # could be names, but for the reading
    assert load_table(names, **reading).X == ["cat"]
    assert "say so with header=False" in error_of(names, "1", labels="2")


def test_a_lone_quote_swallows_no_rows(tmp_path: Path):
    rows = ['"A lone quote\tx', "more\ty", 'a 12"\tz', '5"\tx']
    file = write(tmp_path / "a.tsv", "text\tlabels\n" + "\n".join(rows) + "\n")
    assert load(file, "text")[0] == ['"A lone quote', "more", 'a 12"', '5"']
    told = load_table(file, text_column="text", label_column="labels").DESCR
    assert "quotes are characters" in told
    # Far behind the beginning, where nothing was told yet.
    wrong = "id,text,labels\n" + '1,"a, b",x\n' * 30_000 + '"2,open,x\n3,c,y\n4,to here",z\n'
    message = error_of(write(tmp_path / "b.csv", wrong), "text")
    assert message.startswith("FILE, line 30,002: a quote opens there and closes in line 30,004,")
    with pytest.raises(ValueError, match="has 2 fields; expected 3"):
        load(tmp_path / "b.csv", "text", quotes=True)


def test_a_json_array_and_nested_keys_are_read(tmp_path: Path):
    records = [
        {"meta": {"title": "t"}, "tags": [{"name": "a", "id": 1}, {"name": "b"}], "body": None},
        {"meta": {"title": None}, "tags": [], "body": "more"},
        {"meta": {}, "body": 3},
    ]
    texts = {"text_column": ["meta.title", "body"], "label_column": "tags.name"}
    for name, text in (("a.json", json.dumps(records)), ("b.json", json_text(*records))):
        data = load_table(write(tmp_path / name, text), **texts)
        documents = join_fields(["t", "", ""], ["", "more", "3"])
        assert (data.X, data.y) == (documents, [("a", "b"), (), ()])
    message = error_of(tmp_path / "a.json", "meta.title", labels="tags")
    assert "record 1: its 'tags' holds {'name': 'a', 'id': 1} (dict)" in message
    assert "Name the key that is meant, such as 'name'" in message
    message = error_of(write(tmp_path / "c.json", "[1]"), "text")
    assert message == "FILE, record 1: holds a int. Expected an array of JSON objects."


def test_fasttexts_lines_need_no_columns(tmp_path: Path):
    file = write(
        tmp_path / "a.txt", "__label__law __label__trade some words\n\nno label\n__label__x y\n"
    )
    data = load_table(file)
    assert (data.X, data.y) == (
        ["some words", "no label", "y"], [("law", "trade"), (), ("x",)]
    )  # fmt: skip
    assert load_table(file, **data.reading).y == data.y


def test_parquet_and_excel_give_what_csv_gives(tmp_path: Path):
    pd, _ = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    rows = {"text": ["one", None, "three"], "year": [1.0, None, 3.5], "labels": ["a;b", "a", None]}
    frame = pd.DataFrame(rows)
    frame.to_parquet(tmp_path / "a.parquet")
    documents = join_fields(["one", "", "three"], ["1", "", "3.5"])
    expected = (documents, [("a", "b"), ("a",), ()])
    assert load(tmp_path / "a.parquet", "text", "year") == expected
    frame.assign(labels=[["a", "b"], ["a"], []]).to_parquet(tmp_path / "b.parquet")
    assert load(tmp_path / "b.parquet", "text", "year") == expected
    assert "no column 'txt'; expected one of 'text'" in error_of(tmp_path / "b.parquet", "txt")
    (tmp_path / "b.parquet").write_bytes((tmp_path / "b.parquet").read_bytes()[:-9])
    assert "is no whole Parquet file" in error_of(tmp_path / "b.parquet", "text")
    pytest.importorskip("openpyxl")
    frame.to_excel(tmp_path / "a.xlsx", index=False)
    assert load(tmp_path / "a.xlsx", "text", "year") == expected


def test_what_reads_parquet_is_asked_for_where_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(
        ImportError, match=r'Parquet files need pyarrow: pip install "lightxml\[tab'
    ):
        load(write(tmp_path / "a.parquet", b"PAR1" + bytes(99)), "text")


def test_what_is_said_of_csv_is_refused_for_others(tmp_path: Path):
    file = write(tmp_path / "a.jsonl", json_text({"text": "t", "labels": []}))
    with pytest.raises(ValueError, match=r"delimiter=';' is about a file like CSV; .* is JSON lin"):
        load(file, "text", delimiter=";")


# --- forms of labels ---------------------------------------------------------------------------


def test_columns_of_zeros_and_ones_are_labels_of_their_names(tmp_path: Path):
    file = write(tmp_path / "a.csv", "text,cat,dog,car\na,1,0,\nb,0,1.0,\nc,TRUE,1,0\n")
    data = load_table(file, text_column="text", label_column=["cat", "dog", "car"])
    assert data.y == [("cat",), ("dog",), ("cat", "dog")]
    assert load_table(file, text_column="text", label_column="cat").y == [("cat",), (), ("cat",)]
    other = write(tmp_path / "b.csv", "text,cat,dog,car\na,0,0,0\n")
    assert load_table(other, **data.reading).y == [()]
    other = write(tmp_path / "b.csv", "text,cat,dog,car\na,0,2,0\n")
    with pytest.raises(ValueError, match=r"line 2: its 'dog' is '2'; expected 0 or 1"):
        load_table(other, **data.reading)
    assert load(file, "text", labels="dog", label_form="separated")[1][1:] == [("1.0",), ("1",)]


@pytest.mark.parametrize(
    ("cells", "labels", "form"),
    [
        (["<a><b c>", "<a>", ""], [("a", "b c"), ("a",), ()], "tags"),
        (["__label__a __label__b", "__label__c"], [("a", "b"), ("c",)], "prefixed"),
        (["[a, b]", "[c d]", "[]"], [("a", "b"), ("c d",), ()], "bracketed"),
        (["{'a', 'b'}", "['c']"], [("a", "b"), ("c",)], "separated"),
        (["<a> and <b>;c", "<d>"], [("<a> and <b>", "c"), ("<d>",)], "separated"),
    ],
)
def test_labels_are_read_as_people_write_them(
    tmp_path: Path, cells: list[str], labels: list[tuple[str, ...]], form: str
):
    file = tmp_path / "a.csv"
    with file.open("w", newline="") as stream:
        csv.writer(stream).writerows(
            [("text", "labels"), *((f"text {i}", cell) for i, cell in enumerate(cells))]
        )
    data = load_table(file, text_column="text", label_column="labels")
    assert data.y == labels
    assert data.reading["label_form"] == form


def test_labels_of_several_columns_come_together(tmp_path: Path):
    file = write(tmp_path / "a.csv", "text,first,second\na,x,y;x\nb,,z\n")
    data = load_table(file, text_column="text", label_column=["first", "second"])
    assert data.y == [("x", "y"), ("z",)]


def test_rows_of_one_document_become_one(tmp_path: Path):
    rows = "id,text,tag\n1,a b,x\n1,a b,y\n2,c,x\n1,a b,x\n"
    file = write(tmp_path / "a.csv", rows)
    message = error_of(file, "text", labels="tag")
    assert message.startswith("FILE, line 3: has the text of FILE, line 2 and another label")
    assert "group_by='text'; or group_by='', if each row is a document" in message
    grouped = (["a b", "c"], [("x", "y"), ("x",)])
    assert load(file, "text", labels="tag", group_by="id") == grouped
    assert load(file, "text", labels="tag", group_by="text") == grouped
    assert len(load(file, "text", labels="tag", group_by="")[0]) == 4
    write(file, rows + "2,other,y\n")
    assert error_of(file, "text", labels="tag", group_by="id").startswith(
        "FILE, line 6: has the 'id' of line 4, but another text."
    )


# --- readings that look wrong ------------------------------------------------------------------


def table_of(tmp_path: Path, cells: list[str]) -> Path:
    file = tmp_path / "a.csv"
    with file.open("w", newline="") as stream:
        csv.writer(stream).writerows(
            [("text", "labels"), *((f"text {i}", cell) for i, cell in enumerate(cells))]
        )
    return file


@pytest.mark.parametrize(
    ("cells", "separator"),
    [
        (["cat,pet", "dog,pet", "car"], ","),
        (["a|b", "b|c"], "|"),
        (["a\nb", "c\nb"], "\n"),
        (["12 4", "4 17", "9"], " "),
        (["好、坏", "坏、大"], "、"),
        (["a/b", "b/c", "a/c", "c/b", "b/a", "c/a"], "/"),  # of parts that come again
        (["a,b", "b,c"] * 30 + ["one;two"], ","),  # which one with the default hides
    ],
)
def test_another_separator_in_most_cells_is_asked_about(
    tmp_path: Path, cells: list[str], separator: str
):
    file = table_of(tmp_path, cells)
    message = error_of(file, "text")
    assert re.match("FILE: (no document has|1 documents have) more than one label, and ", message)
    assert f"Pass label_separator={separator!r}; or label_separator=';', if each" in message
    assert len(load(file, "text", label_separator=separator)[1][0]) == 2
    assert load(file, "text", label_separator=";")[1][0] == (cells[0],)


def test_signs_within_labels_are_no_separators(tmp_path: Path):
    cells = ["science-fiction", "sub-sets", "no. 1", "machine learning", "deep learning", "re-use"]
    assert load(table_of(tmp_path, cells), "text")[1] == [(cell,) for cell in cells]


def test_brackets_that_are_no_lists_are_asked_about(tmp_path: Path):
    file = table_of(tmp_path, ["[a b", "[c d", "[e"])
    assert "If each is a list, put its labels into quotes" in error_of(file, "text")
    assert load(file, "text", label_separator=";")[1][0] == ("[a b",)


def test_a_label_in_every_document_is_asked_about(tmp_path: Path):
    file = table_of(tmp_path, ["tag;a"] * 10 + ["tag;b"] * 10)
    assert "the label 'tag' is in every one of 20 documents" in error_of(file, "text")
    assert load(file, "text", label_separator=";")[1][0] == ("tag", "a")
    few = table_of(tmp_path, ["tag;a", "tag;b"])
    assert load(few, "text")[1] == [("tag", "a"), ("tag", "b")]


def test_texts_that_come_again_with_other_labels_are_told(tmp_path: Path):
    file = write(tmp_path / "a.csv", "text,labels\nt,a;b\nu,a\nt,c\n")
    told = load_table(file, text_column="text", label_column="labels").DESCR
    assert told.endswith("Documents with the text of an earlier one and other labels: 1.")


@pytest.mark.parametrize(
    ("argument", "value", "error"),
    [
        ("text_column", 3, TypeError),
        ("label_column", ["a", 1], TypeError),
        ("label_separator", 1, TypeError),
        ("label_form", "boxes", ValueError),
        ("delimiter", ",,", ValueError),
        ("delimiter", "\n", ValueError),
        ("header", "yes", TypeError),
        ("quotes", 1, TypeError),
        ("encoding", "base64", ValueError),
    ],
)
def test_a_wrong_argument_is_named(tmp_path: Path, argument: str, value: Any, error: type):
    with pytest.raises(error, match=f"^{argument} is "):
        load_table(write(tmp_path / "a.csv", CSV), **{argument: value})


def test_standard_input_is_a_table_too(monkeypatch: pytest.MonkeyPatch):
    stream = io.TextIOWrapper(io.BufferedReader(io.BytesIO(CSV.encode())))
    monkeypatch.setattr(sys, "stdin", stream)
    data = load_table("-", text_column=["title", "body"], label_column="labels")
    assert (data.X, data.y) == (TEXTS, LABELS)


# --- errors ------------------------------------------------------------------------------------


def test_columns_that_are_not_named_are_listed(tmp_path: Path):
    for name, text in (("a.csv", CSV), ("a.jsonl", json_text({"id": 1, "title": "", "b": 2}))):
        file = write(tmp_path / name, text)
        for texts, labels in (((), "labels"), (("title",), None), ((), None)):
            message = error_of(file, *texts, labels=labels)
            assert re.match(r"FILE: has the columns 'id' \('?1'?\), 'title' \(", message)
            assert "(text_column)" in message
            assert "(label_column)" in message


def test_a_missing_column_is_named_with_those_there_are(tmp_path: Path):
    file = write(tmp_path / "a.csv", CSV)
    message = error_of(file, "title", "abstract")
    assert message == (
        "FILE: has no column 'abstract'; expected one. Its first line, split at ',', names the"
        " columns 'id', 'title', 'body', 'labels'."
    )
    assert "no column 'tags'" in error_of(file, "title", labels="tags")
    file = write(tmp_path / "a.jsonl", json_text({"a": "t", "labels": []}, {"b": "t"}))
    assert error_of(file, "c") == "FILE, line 1: has no 'c'; it has 'a', 'labels'."


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
    file = write(tmp_path / "a.csv", f'text,labels\n"a, b",x\n{row}\n')
    message = error_of(file, "text")
    assert message.startswith("FILE, line 3: is no row of fields (")
    assert "double the quotes within; or pass quotes=False" in message


def test_what_is_not_utf8_behind_the_beginning_is_named_with_line_and_byte(tmp_path: Path):
    rows = b"a word,x\n" * 40_000
    file = write(tmp_path / "a.csv", b"text,labels\n" + rows + b"caf\xe9,y\n")
    message = error_of(file, "text")
    assert message.startswith("FILE, line 40,002: is not UTF-8 (byte 0xe9).")
    assert message.endswith("encoding='cp1252' would read 'café,y' there.")
    assert load(file, "text", encoding="cp1252")[0][-1] == "café"


@pytest.mark.parametrize("value", [True, {"a": 1}, [["a"]]])
def test_a_text_that_is_none_is_named(tmp_path: Path, value: Any):
    file = write(tmp_path / "a.jsonl", json_text({"text": value, "labels": []}))
    assert error_of(file, "text") == (
        f"FILE, line 1: its 'text' is {value} ({type(value).__name__}); expected a text. Name a"
        " column of texts, or a key within it after a dot."
    )


@pytest.mark.parametrize("value", [0.5, {"a": 1}, ["a", None], [["a"]], [1.0]])
def test_a_label_that_is_none_is_named(tmp_path: Path, value: Any):
    file = write(tmp_path / "a.jsonl", json_text({"text": "", "labels": value}))
    assert error_of(file, "text").startswith("FILE, line 1: its 'labels' holds ")


@pytest.mark.parametrize("line", ["[1]", "{", '{"a": NaN}', '"' + "[" * 9, "[" * 10**5])
def test_a_line_that_is_no_json_object_is_named(tmp_path: Path, line: str):
    file = write(tmp_path / "a.jsonl", json_text({"text": "", "labels": []}) + line + "\n")
    message = error_of(file, "text")
    assert message.startswith("FILE, line 2: ")
    assert message.endswith("Expected one JSON object on each line.")


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz", ".zip"])
def test_a_damaged_packed_file_is_named(tmp_path: Path, suffix: str):
    file = packed(tmp_path / f"a.csv{suffix}", random_csv())
    file.write_bytes(file.read_bytes()[:-1_000])
    assert "FILE: cannot be unpacked whole (" in error_of(file, "title")


@pytest.mark.parametrize(("name", "text"), [("a.csv", "text,labels\n"), ("a.jsonl", "\n")])
def test_a_file_without_documents_is_an_error(tmp_path: Path, name: str, text: str):
    assert error_of(write(tmp_path / name, text), "text") == "FILE: holds no document."


def test_an_empty_table_has_no_columns(tmp_path: Path):
    file = write(tmp_path / "a.csv", "")
    assert error_of(file, "text").endswith("names the columns (none).")


def test_an_empty_separator_is_an_error(tmp_path: Path):
    with pytest.raises(ValueError, match="label_separator is empty"):
        load(write(tmp_path / "a.csv", CSV), "title", label_separator="")
