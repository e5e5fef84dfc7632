"""Frames: byte strings that stand for themselves in a document, plain or compressed.

A compressed document is the concatenation of gzip members (RFC 1952) or zstd frames (RFC 8878), which any
standard tool reads as one stream; because each range of the manifest is made of whole frames, it can be read alone.
"""

import zlib
from collections.abc import Iterator
from typing import Protocol

import zstandard

from include.disaster_recovery.settings import Compression

GZIP_WINDOW = 31  # zlib: 15 window bits + 16 for a gzip header and trailer
GZIP_LEVEL = 6
ZSTD_LEVEL = 1
STORED_LIMIT = 0xFFFF  # one stored deflate block
SLICE = 2048  # compressed bytes expanded at once: at most 1032 times as many by deflate, 32,768 times by zstd
_GZIP_HEADER = bytes.fromhex("1f8b08000000000000ff")  # RFC 1952: deflate, no flags, no time, unknown system


class Compressor(Protocol):
    """One frame in the making."""

    def compress(self, data: bytes, /) -> bytes:
        """Take bytes; return what is ready of the frame."""

    def flush(self) -> bytes:
        """End the frame; return the rest of it."""


class _Plain:
    def compress(self, data: bytes, /) -> bytes:
        return data

    def flush(self) -> bytes:
        return b""


def new_frame(compression: Compression) -> Compressor:
    """A compressor for one frame."""
    if compression == "gzip":
        return zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, GZIP_WINDOW)
    if compression == "zstd":
        return zstandard.ZstdCompressor(level=ZSTD_LEVEL, write_checksum=True).compressobj()
    return _Plain()


def frame(data: bytes, compression: Compression) -> bytes:
    """The bytes as one whole frame; nothing at all for nothing."""
    if not data:
        return b""
    compressor = new_frame(compression)
    return compressor.compress(data) + compressor.flush()


def stored_frame(data: bytes, compression: Compression) -> bytes:
    """The bytes as one frame without compression: every byte of it is determined by `data`, its size by their number.

    Made by hand, as compression libraries differ in what they write; so a reader may expect exactly these bytes.

    Raises:
        ValueError: more than 65,535 bytes.
    """
    if len(data) > STORED_LIMIT:
        raise ValueError(f"a stored frame takes at most {STORED_LIMIT} bytes, not {len(data)}")
    if compression == "gzip":
        return _gzip_stored(data)
    if compression == "zstd":
        return _zstd_stored(data)
    return data


def _gzip_stored(data: bytes) -> bytes:
    """RFC 1951: one last stored block, its length and the complement; RFC 1952: CRC-32 and size."""
    length = len(data)
    block = b"\x01" + length.to_bytes(2, "little") + (length ^ 0xFFFF).to_bytes(2, "little") + data
    return _GZIP_HEADER + block + zlib.crc32(data).to_bytes(4, "little") + length.to_bytes(4, "little")


def _zstd_stored(data: bytes) -> bytes:
    """RFC 8878: magic, single-segment header with a content size of one or two bytes, one last raw block."""
    length = len(data)
    header = bytes((0x20, length)) if length < 256 else b"\x60" + (length - 256).to_bytes(2, "little")
    return zstandard.FRAME_HEADER + header + (length << 3 | 1).to_bytes(3, "little") + data


def expand(data: bytes, compression: Compression) -> bytes:
    """All frames of a range, decompressed and joined."""
    return b"".join(expand_stream(iter((data,)), compression))


def expand_stream(chunks: Iterator[bytes], compression: Compression) -> Iterator[bytes]:
    """Decompress consecutive frames as they arrive, in bounded memory however well they are compressed.

    Raises:
        ValueError: the bytes are no such frames, or end inside one.
    """
    if compression == "none":
        yield from chunks
        return
    decompressor = None
    for piece in _sliced(chunks):
        rest = piece
        while rest:
            decompressor = decompressor or _decompressor(compression)
            try:
                data = decompressor.decompress(rest)
            except (zlib.error, zstandard.ZstdError) as error:
                raise ValueError(f"not a {compression} stream: {error}") from error
            if data:
                yield data
            rest = decompressor.unused_data if decompressor.eof else b""
            if decompressor.eof:
                decompressor = None
    if decompressor is not None:
        raise ValueError(f"the {compression} stream ends inside a frame")


def _sliced(chunks: Iterator[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        for start in range(0, len(chunk), SLICE):
            yield chunk[start : start + SLICE]


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, /) -> bytes: ...


def _decompressor(compression: Compression) -> _Decompressor:
    if compression == "gzip":
        return zlib.decompressobj(GZIP_WINDOW)
    return zstandard.ZstdDecompressor().decompressobj()
