import gzip
import subprocess
import zlib
from collections.abc import Iterator
from itertools import product
from shutil import which

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from include.disaster_recovery.settings import Compression
from include.disaster_recovery.stream.codec import expand, expand_stream, frame, new_frame, stored_frame
from tests.support.documents import standard_tool

COMPRESSIONS: list[Compression] = ["none", "gzip", "zstd"]
COMPRESSED: list[Compression] = ["gzip", "zstd"]
SIZES = [1, 2, 178, 255, 256, 257, 800, 65_535]
texts = st.binary(max_size=300) | st.binary(min_size=1, max_size=20).map(lambda data: data * 500)


def portions(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


@pytest.mark.parametrize("compression", COMPRESSIONS)
@given(parts=st.lists(texts, max_size=5), size=st.integers(1, 3000))
@settings(max_examples=60, deadline=None)
def test_frames_one_after_the_other_are_one_stream(parts: list[bytes], size: int, compression: Compression):
    stored = b"".join(frame(part, compression) for part in parts)
    assert expand(stored, compression) == b"".join(parts) == standard_tool(stored, compression)
    assert b"".join(expand_stream(portions(stored, size), compression)) == b"".join(parts)


@pytest.mark.parametrize("compression", COMPRESSIONS)
@given(parts=st.lists(texts, min_size=1, max_size=5))
@settings(max_examples=30, deadline=None)
def test_a_frame_may_be_written_piece_by_piece(parts: list[bytes], compression: Compression):
    compressor = new_frame(compression)
    stored = b"".join([*(compressor.compress(part) for part in parts), compressor.flush()])
    assert expand(stored, compression) == b"".join(parts)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_nothing_makes_no_frame(compression: Compression):
    assert frame(b"", compression) == b""
    assert expand(b"", compression) == b""


@pytest.mark.parametrize("compression, size", list(product(COMPRESSIONS, SIZES)))
def test_a_stored_frame_is_read_by_standard_tools_and_has_a_fixed_size(compression: Compression, size: int):
    blank, varied = b" " * size, bytes(n % 251 for n in range(size))
    frames = [stored_frame(data, compression) for data in (blank, varied)]
    assert [standard_tool(each, compression) for each in frames] == [blank, varied]
    assert [expand(each, compression) for each in frames] == [blank, varied]
    assert len(frames[0]) == len(frames[1])


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_stored_frame_has_a_limit(compression: Compression):
    with pytest.raises(ValueError, match="at most 65535 bytes, not 65536"):
        stored_frame(b"x" * 65_536, compression)


def test_stored_frames_are_these_bytes_for_ever():
    assert stored_frame(b"hi", "none") == b"hi"
    assert stored_frame(b"hi", "gzip").hex() == "1f8b08000000000000ff010200fdff6869ac2a93d802000000"
    assert stored_frame(b"hi", "zstd").hex() == "28b52ffd20021100006869"
    assert stored_frame(b"h" * 300, "zstd").hex().startswith("28b52ffd602c006109006868")


@pytest.mark.parametrize("tool", [tool for tool in ("gzip", "zstd") if which(tool)])
@pytest.mark.parametrize("size", SIZES)
def test_the_command_line_tool_reads_stored_frames(size: int, tool: Compression):
    stored = stored_frame(b"x" * size, tool) + frame(b"y", tool)
    assert subprocess.run([tool, "-dc"], input=stored, capture_output=True, check=True).stdout == b"x" * size + b"y"


@pytest.mark.parametrize("compression", COMPRESSED)
@pytest.mark.parametrize("make", [frame, stored_frame])
def test_a_frame_cut_short_anywhere_is_refused(compression: Compression, make):
    stored = make(b"some text, and some text again", compression)
    assert stored
    for end in range(1, len(stored)):
        with pytest.raises(ValueError, match=f"the {compression} stream ends inside a frame"):
            expand(stored[:end], compression)


@pytest.mark.parametrize("compression", COMPRESSED)
@pytest.mark.parametrize("garbage", [b"{}", b"\0", b"\n"])
def test_bytes_behind_the_last_frame_are_refused(compression: Compression, garbage: bytes):
    with pytest.raises(ValueError, match=compression):
        expand(frame(b"text", compression) + garbage, compression)


@pytest.mark.parametrize("compression", COMPRESSED)
def test_a_flipped_byte_of_the_content_is_noticed_by_the_frame_itself(compression: Compression):
    stored = bytearray(frame(bytes(range(256)), compression))
    stored[len(stored) // 2] ^= 1
    with pytest.raises(ValueError, match=f"not a {compression} stream"):
        expand(bytes(stored), compression)


def test_frames_carry_a_checksum_of_their_content():
    assert zstandard.get_frame_parameters(frame(b"x" * 99, "zstd")).has_checksum
    assert gzip.decompress(frame(b"x" * 99, "gzip")) == b"x" * 99
    assert frame(b"x" * 99, "gzip")[-8:-4] == zlib.crc32(b"x" * 99).to_bytes(4, "little")


@pytest.mark.parametrize("compression", COMPRESSED)
def test_rows_that_compress_extremely_well_are_still_expanded_in_bounded_portions(compression: Compression):
    stored = frame(b"a" * (128 * 1024**2), compression)
    pieces = [len(piece) for piece in expand_stream(iter([stored]), compression)]
    assert sum(pieces) == 128 * 1024**2
    assert max(pieces) <= (64 if compression == "zstd" else 3) * 1024**2
