"""Lines of documents, as they come."""

from __future__ import annotations

import io
import os

from lightxml.datasets import lines


def read(content: bytes) -> list[list[str]]:
    return list(lines.read_documents(io.BufferedReader(io.BytesIO(content))))


def test_lines_that_come_one_by_one_are_handed_on_one_by_one():
    read_end, write_end = os.pipe()
    with open(read_end, "rb") as source, open(write_end, "wb", buffering=0) as sink:
        documents = lines.read_documents(source)
        for word in (b"one\n", b"two\r\n", b"\n"):
            sink.write(word)
            assert next(documents) == [word.decode().rstrip()]
        sink.write(b"three\nfo")
        assert next(documents) == ["three"]
        sink.write("ür".encode())
        sink.write(b"\nfive")
        assert next(documents) == ["foür"]
        sink.close()
        assert list(documents) == [["five"]]


def test_lines_that_are_all_there_come_in_batches():
    batches = read(b"".join(b"%d\n" % i for i in range(150)))
    assert [len(batch) for batch in batches] == [64, 64, 22]
    assert [text for batch in batches for text in batch] == [str(i) for i in range(150)]


def test_only_line_feeds_end_a_line_and_a_byte_order_mark_is_dropped():
    text = "\ufeffone\u2028still one\x0cone\rone\n\ufefftwo"
    documents = [document for batch in read(text.encode()) for document in batch]
    assert documents == ["one\u2028still one\x0cone\rone", "\ufefftwo"]
