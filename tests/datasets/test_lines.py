"""Lines of documents, as they come."""

from __future__ import annotations

import io
import os

import pytest

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


class Slow(io.RawIOBase):
    """A source that gives a megabyte at a time, without ever ending the line."""

    def __init__(self, n_chunks: int) -> None:
        self.left = n_chunks

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if self.left == 0:
            return 0
        self.left -= 1
        buffer[:] = b"x" * len(buffer)
        return len(buffer)


def test_a_line_without_end_is_refused_after_64_mib():
    source = Slow(10**9)
    with pytest.raises(ValueError, match="a line is longer than 64 MiB"):
        list(lines.read_documents(io.BufferedReader(source, 2**20)))
    assert 10**9 - source.left <= 70


def test_a_long_line_is_joined_once():
    (batch,) = lines.read_documents(io.BufferedReader(Slow(40), 2**20))
    assert [len(text) for text in batch] == [40 * 2**20]
