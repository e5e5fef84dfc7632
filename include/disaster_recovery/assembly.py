"""Planning of multipart parts: how staged objects and inline bytes become one object, decided without I/O.

S3 copies parts on its own side, but every part except the last must have 5 MiB or more. Larger pieces are
therefore copied whole, smaller ones are packed together, and where a pack is still too small it borrows the
beginning of the next large piece. Limits: Amazon S3 user guide, "multipart upload limits".
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise

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
    10,000: where that would not do, the minimum is doubled until it does. An uploaded part has less than twice
    the minimum, so the worker's memory is bounded. `max_part` must be at least twice `min_part`.

    Raises:
        DocumentError: the pieces are empty, or more than 10,000 parts can carry.
    """
    total, minimum = sum(piece.size for piece in pieces), min_part
    while 0 < total <= MAX_PARTS * max_part and 2 * minimum <= max_part:
        parts = list(islice(_parts(pieces, minimum, max_part), MAX_PARTS + 1))
        if len(parts) <= MAX_PARTS:
            return parts
        minimum *= 2
    raise DocumentError(
        f"document of {total} bytes in {len(pieces)} pieces cannot be one S3 object of at most {MAX_PARTS} parts"
        f" of {max_part} bytes",
        hint="back up fewer tables, or set compression: zstd",
    )


def _parts(pieces: Sequence[Piece], minimum: int, maximum: int) -> Iterator[Part]:
    pack = _Pack()
    for piece in pieces:
        start = 0
        for length in _uploads(pack.size, piece, minimum):
            pack.add(piece, start, length)
            start += length
            if pack.size >= minimum:
                yield from pack.flush()
        if start < piece.size:
            yield from _copies(piece, start, maximum)
    yield from pack.flush()


def _uploads(packed: int, piece: Piece, minimum: int) -> Iterator[int]:
    """The lengths, from its beginning, in which a piece joins the pack; what then is left of it is copied.

    A staged piece only fills up the pack, if its rest is still large enough; else it is uploaded whole.
    """
    missing = minimum - packed if packed else 0
    if piece.key is not None and piece.size - missing >= minimum:
        yield from (missing,) if missing else ()
        return
    left = piece.size
    while packed + left >= 2 * minimum:  # only inline bytes can be that many
        yield (cut := minimum - packed)
        left, packed = left - cut, 0
    if left:
        yield left


def _copies(piece: Piece, start: int, maximum: int) -> Iterator[Part]:
    length = piece.size - start
    count = -(-length // maximum)
    bounds = [start + length * i // count for i in range(count + 1)]
    for begin, end in pairwise(bounds):
        yield Part(slices=(Slice(piece=piece, start=begin, length=end - begin),), copied=True)
