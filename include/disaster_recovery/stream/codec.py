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
    """The bytes as one frame whose size depends on their number only (no compression inside).

    Raises:
        ValueError: more than 255 bytes, which the one-byte zstd size field cannot say.
    """
    if len(data) > 255:
        raise ValueError(f"a stored frame takes at most 255 bytes, not {len(data)}")
    if compression == "gzip":
        compressor = zlib.compressobj(0, zlib.DEFLATED, GZIP_WINDOW)
        return compressor.compress(data) + compressor.flush()
    if compression == "zstd":
        return _zstd_stored(data)
    return data


def _zstd_stored(data: bytes) -> bytes:
    """RFC 8878: magic, single-segment header with a one-byte content size, one last raw block."""
    block = (len(data) << 3 | 1).to_bytes(3, "little")
    return zstandard.FRAME_HEADER + bytes((0x20, len(data))) + block + data


def expand(data: bytes, compression: Compression) -> bytes:
    """All frames of a range, decompressed and joined."""
    return b"".join(expand_stream(iter((data,)), compression))


def expand_stream(chunks: Iterator[bytes], compression: Compression) -> Iterator[bytes]:
    """Decompress consecutive frames as they arrive, without holding more than one chunk.

    Raises:
        ValueError: the bytes are no such frames, or end inside one.
    """
    if compression == "none":
        yield from chunks
        return
    decompressor = None
    for chunk in chunks:
        rest = chunk
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
