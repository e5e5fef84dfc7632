"""Planning of multipart parts: how staged objects and inline bytes become one object, decided without I/O.

S3 copies parts on its own side, but every part except the last must have 5 MiB or more. Larger pieces are
therefore copied whole, smaller ones are packed together, and where a pack is still too small it borrows the
beginning of the next large piece. Limits: Amazon S3 user guide, "multipart upload limits".
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from include.disaster_recovery.errors import DocumentError

MIN_PART = 5 * 1024**2
MAX_PART = 5 * 1024**3
MAX_PARTS = 10_000


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Bytes that go into the object next: inline `data`, or a whole staged object `key` of `size` bytes."""

    size: int
    data: bytes | None = None
    key: str | None = None


@dataclass(frozen=True, kw_only=True)
class Slice:
    """`length` bytes of a piece from `start`."""

    piece: Piece
    start: int
    length: int

    @property
    def is_whole(self) -> bool:
        """Whether the slice is all of its piece."""
        return self.start == 0 and self.length == self.piece.size


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part: `copied` by the server from a single staged object, or else uploaded by the worker."""

    slices: tuple[Slice, ...]
    copied: bool

    @property
    def size(self) -> int:
        """Bytes of the part."""
        return sum(s.length for s in self.slices)


@dataclass
class _Pack:
    """Slices waiting until together they are large enough for a part."""

    slices: list[Slice] = field(default_factory=list)
    size: int = 0

    def add(self, piece: Piece, start: int, length: int) -> None:
        self.slices.append(Slice(piece=piece, start=start, length=length))
        self.size += length

    def flush(self) -> Iterator[Part]:
        if self.slices:
            yield Part(slices=tuple(self.slices), copied=False)
        self.slices, self.size = [], 0


def inline(data: bytes) -> Piece:
    """A piece whose bytes the worker has in hand."""
    return Piece(size=len(data), data=data)


def staged(key: str, size: int) -> Piece:
    """A piece that stands in the bucket as an object of its own."""
    return Piece(size=size, key=key)


def plan_parts(pieces: Sequence[Piece], *, min_part: int = MIN_PART, max_part: int = MAX_PART) -> list[Part]:
    """Plan the parts whose concatenation is the concatenation of the pieces.

    Every part but the last has at least `min_part` bytes, none more than `max_part`, and there are at most
    10,000: where that would not do, the minimum is doubled until it does.

    Raises:
        DocumentError: the pieces are empty, or exceed what 10,000 parts can carry.
    """
    total = sum(piece.size for piece in pieces)
    if total == 0 or total > MAX_PARTS * max_part:
        raise DocumentError(
            f"document of {total} bytes cannot be one S3 object (1 to {MAX_PARTS * max_part} bytes)",
            hint="back up fewer tables, or set compression: zstd",
        )
    minimum = min_part
    while len(parts := list(_parts(pieces, minimum, max_part))) > MAX_PARTS:
        minimum *= 2
    return parts


def _parts(pieces: Sequence[Piece], minimum: int, maximum: int) -> Iterator[Part]:
    pack = _Pack()
    for piece in pieces:
        start = _borrowed(pack, piece, minimum)
        if start:
            pack.add(piece, 0, start)
        if pack.size >= minimum:
            yield from pack.flush()
        left = piece.size - start
        if left and piece.key is not None and left >= minimum and not pack.slices:
            yield from _copies(piece, start, maximum)
        elif left:
            pack.add(piece, start, left)
            if pack.size >= minimum:
                yield from pack.flush()
    yield from pack.flush()


def _borrowed(pack: _Pack, piece: Piece, minimum: int) -> int:
    """How many leading bytes of a piece fill up the pack so that the rest can still be copied."""
    if not pack.slices or piece.key is None:
        return 0
    missing = minimum - pack.size
    return missing if piece.size - missing >= minimum else 0


def _copies(piece: Piece, start: int, maximum: int) -> Iterator[Part]:
    length = piece.size - start
    count = -(-length // maximum)
    bounds = [start + length * i // count for i in range(count + 1)]
    for begin, end in pairwise(bounds):
        yield Part(slices=(Slice(piece=piece, start=begin, length=end - begin),), copied=True)
