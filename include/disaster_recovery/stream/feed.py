"""Taking exact numbers of bytes from a stream of chunks."""

from collections.abc import Iterator


class StreamEnded(Exception):
    """The stream ended before the bytes asked for; `missing` is how many were not there."""

    def __init__(self, missing: int) -> None:
        super().__init__(f"stream ended {missing} bytes early")
        self.missing = missing


class Feed:
    """Hands out the bytes of a chunk iterator in the portions asked for, without copying."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._left = memoryview(b"")

    def take(self, length: int) -> Iterator[memoryview]:
        """Yield exactly `length` bytes, in pieces.

        Raises:
            StreamEnded: there are fewer.
        """
        while length:
            if self.at_end():
                raise StreamEnded(length)
            piece, self._left = self._left[:length], self._left[length:]
            length -= len(piece)
            yield piece

    def take_all(self, length: int) -> bytearray:
        """Exactly `length` bytes in one buffer.

        Raises:
            StreamEnded: there are fewer.
        """
        data = bytearray()
        for piece in self.take(length):
            data += piece
        return data

    def at_end(self) -> bool:
        """Whether nothing is left."""
        while not self._left:
            chunk = next(self._chunks, None)
            if chunk is None:
                return True
            self._left = memoryview(chunk)
        return False
