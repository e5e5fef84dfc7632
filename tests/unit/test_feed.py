import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.disaster_recovery.stream.feed import Feed, StreamEnded

chunked = st.lists(st.binary(max_size=6), max_size=10)


@given(chunked, st.lists(st.integers(0, 9), max_size=8))
def test_any_portions_are_taken_from_any_chunks(chunks: list[bytes], lengths: list[int]):
    feed, data, at = Feed(iter(chunks)), b"".join(chunks), 0
    for length in lengths:
        if at + length > len(data):
            with pytest.raises(StreamEnded) as ended:
                feed.take_all(length)
            assert ended.value.missing == at + length - len(data)
            return
        assert feed.take_all(length) == data[at : at + length]
        at += length
    assert feed.at_end() == (at == len(data))


def test_an_empty_chunk_is_not_the_end():
    feed = Feed(iter([b"", b"a", b"", b"", b"b", b""]))
    assert feed.take_all(2) == b"ab"
    assert feed.at_end()


def test_pieces_are_handed_out_without_copying():
    chunk = b"abcdef"
    pieces = list(Feed(iter([chunk])).take(4))
    assert [piece.obj is chunk for piece in pieces] == [True]
