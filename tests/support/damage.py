"""Every kind of damage to every region of a stored document, each under a title, and what must be said of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from include.disaster_recovery.document import LOCATOR_SIZE, Manifest, closing_text
from include.disaster_recovery.settings import Compression
from include.disaster_recovery.stream.codec import stored_frame
from include.disaster_recovery.verification import places

END = "does not end with a locator: it is truncated"
DISPLACED = "the manifest should end at"
MANIFEST = "the manifest is damaged: its SHA-256 differs from the locator's"


@dataclass(frozen=True)
class Span:
    """A range of bytes of a stored document."""

    begin: int
    end: int

    @property
    def middle(self) -> int:
        return (self.begin + self.end) // 2


@dataclass(frozen=True)
class Document:
    """The stored bytes of a backup, and where its regions are."""

    data: bytes
    spans: Mapping[str, Span]

    def part(self, region: str) -> bytes:
        span = self.spans[region]
        return self.data[span.begin : span.end]

    def with_part(self, region: str, part: bytes) -> bytes:
        span = self.spans[region]
        return self.data[: span.begin] + part + self.data[span.end :]

    def swapped(self, one: str, other: str) -> bytes:
        """Two regions in each other's place; `one` comes first."""
        a, b = self.spans[one], self.spans[other]
        return (
            self.data[: a.begin] + self.part(other) + self.data[a.end : b.begin] + self.part(one) + self.data[b.end :]
        )


@dataclass(frozen=True)
class Region:
    """What verify says of damage in a region; what restore says, None where it does not read it."""

    verify: str
    restore: str | None


# In the order of the bytes. The tables are those of tests/chaos/test_corruption.py.
REGIONS: Mapping[str, Region] = {
    "head": Region("the bytes before section metadata are damaged", None),
    "metadata": Region("section metadata", None),
    "opening of the tables": Region("the bytes before table first, fragment 1 of 1 (behind section metadata)", None),
    "rows of a small table": Region("table first, fragment 1 of 1", "table first, fragment 1 of 1 is damaged"),
    "row_count of a table": Region("(behind table first, fragment 1 of 1)", None),
    "opening of a table": Region("the bytes before table large, fragment 1 of 3", None),
    "first fragment": Region("table large, fragment 1 of 3", "table large, fragment 1 of 3 is damaged"),
    "separator of fragments": Region("the bytes before table large, fragment 2 of 3", None),
    "middle fragment": Region("table large, fragment 2 of 3", "table large, fragment 2 of 3 is damaged"),
    "last fragment": Region("table large, fragment 3 of 3", "table large, fragment 3 of 3 is damaged"),
    "end of the tables": Region("the bytes before section schema (behind table second, fragment 1 of 1)", None),
    "schema": Region("section schema", "section schema cannot be read: it is damaged"),
    "opening of the edge functions": Region("the bytes before section edge_functions (behind section schema)", None),
    "edge functions": Region("section edge_functions", None),
    "opening of the manifest": Region("the bytes before the manifest (behind section edge_functions)", None),
    "manifest": Region(MANIFEST, MANIFEST),
    "locator's offset": Region(DISPLACED, DISPLACED),
    "locator's length": Region(DISPLACED, DISPLACED),
    "locator's hash": Region(MANIFEST, MANIFEST),
}
IN_LOCATOR = ("locator's offset", "locator's length", "locator's hash")


def spans(manifest: Manifest, size: int, compression: Compression) -> dict[str, Span]:
    """Where the regions are in a document of `size` bytes."""
    found, at = {}, 0
    for place in places(manifest):
        for text in place.punctuation:
            length = len(stored_frame(text, compression))
            found[f"{place.label}|{text.decode()}"] = Span(at, at + length)
            at += length
        length = place.entry.length if place.entry else size - tail_size(compression) - at
        found[place.label] = Span(at, at + length)
        at += length
    rows = closing_text(manifest.tables["first"].row_count).decode()
    return {
        "head": found['section metadata|{"metadata":'],
        "metadata": found["section metadata"],
        "opening of the tables": found['table first, fragment 1 of 1|,\n"tables":{'],
        "rows of a small table": found["table first, fragment 1 of 1"],
        "row_count of a table": found[f"table large, fragment 1 of 3|{rows}"],
        "opening of a table": found['table large, fragment 1 of 3|,\n"large":'],
        "first fragment": found["table large, fragment 1 of 3"],
        "separator of fragments": found["table large, fragment 2 of 3|,\n"],
        "middle fragment": found["table large, fragment 2 of 3"],
        "last fragment": found["table large, fragment 3 of 3"],
        "end of the tables": found["section schema|}"],
        "schema": found["section schema"],
        "opening of the edge functions": found['section edge_functions|,\n"edge_functions":'],
        "edge functions": found["section edge_functions"],
        "opening of the manifest": found['the manifest|,\n"manifest":'],
        "manifest": found["the manifest"],
        **_locator(size, compression),
    }


def tail_size(compression: Compression) -> int:
    return len(stored_frame(b" " * LOCATOR_SIZE, compression))


def _locator(size: int, compression: Compression) -> dict[str, Span]:
    """The last digits of both numbers and the hash, by the fixed places that they have in the text of the locator."""
    frame = stored_frame(b"0" * LOCATOR_SIZE, compression)
    start = size - tail_size(compression) + frame.index(b"0" * LOCATOR_SIZE)
    end = start + LOCATOR_SIZE
    hash_end = end - len('"}}}\n')
    length_end = hash_end - 64 - len(',"manifest_sha256":"')
    offset_end = length_end - 20 - len(',"manifest_length":')
    return {
        "locator's offset": Span(offset_end - 1, offset_end),
        "locator's length": Span(length_end - 1, length_end),
        "locator's hash": Span(hash_end - 64, hash_end),
    }


@dataclass(frozen=True)
class Case:
    """One damaged document: how it is made of a sound one and of another backup, and what is said of it."""

    title: str
    damage: Callable[[Document, Document], bytes]
    verify: tuple[str, ...]
    restore: str | None

    @property
    def kind(self) -> str:
        """What was done to a region; empty where more than one is concerned."""
        return self.title.partition(": ")[2]


def cases(compression: Compression) -> Iterator[Case]:
    """All damage, by region and kind. A gzip frame has a checksum over its text: whatever is wrong in it is no locator."""
    for name, region in REGIONS.items():
        yield from _in_region(name, region, compression)
    yield from _swaps(compression)
    yield from _at_the_end()


COMPRESSIONS: tuple[Compression, ...] = ("none", "zstd", "gzip")
SHORT = {"flipped", "second half missing", "a byte put in", ""}


def chosen(compression: Compression, *, is_long: bool) -> list[Case]:
    """All of them where there is time; compression changes neither what damage there is nor what finds it."""
    kinds = {"none": SHORT, "zstd": {"flipped"}, "gzip": set[str]()}[compression]
    return [case for case in cases(compression) if is_long or case.kind in kinds]


def _in_region(name: str, region: Region, compression: Compression) -> Iterator[Case]:
    said = END if name in IN_LOCATOR and compression == "gzip" else ""
    is_read = region.restore is not None
    flip = _other_digit if name in IN_LOCATOR else _flip
    yield Case(
        f"{name}: flipped", _edit(name, flip), (said or region.verify,), (said or region.restore) if is_read else None
    )
    said = said or (END if name in IN_LOCATOR else "")
    yield Case(
        f"{name}: zeros", _edit(name, _zeros), (said or region.verify,), (said or region.restore) if is_read else None
    )
    yield Case(f"{name}: cut off in it", lambda sound, _: sound.data[: sound.spans[name].middle], (END,), END)
    yield from _displaced(name, region)


def _displaced(name: str, region: Region) -> Iterator[Case]:
    """What follows stands elsewhere than the locator says. From the middle on: the region itself is what differs first."""
    if name in IN_LOCATOR:
        missing = inserted = (END,)
    else:
        where = () if name == "manifest" else (f"the first place that differs: {_first(region.verify)}",)
        missing, inserted = (DISPLACED, "missing", *where), (DISPLACED, "1 are too many", *where)
    yield Case(f"{name}: second half missing", _edit(name, _halved), missing, missing[0])
    yield Case(f"{name}: a byte put in", _edit(name, _grown), inserted, inserted[0])


def _first(said: str) -> str:
    return "" if said.startswith("(") else said.removesuffix(" are damaged")


def _swaps(compression: Compression) -> Iterator[Case]:
    def swap(one: str, other: str) -> Callable[[Document, Document], bytes]:
        return lambda sound, _: sound.swapped(one, other)

    first = "table large, fragment 1 of 3"
    yield Case("fragments swapped", swap("first fragment", "last fragment"), (first,), f"{first} is damaged")
    small = "table first, fragment 1 of 1"
    yield Case(
        "rows of two tables swapped", swap("rows of a small table", "middle fragment"), (small,), f"{small} is damaged"
    )
    yield Case("sections swapped", swap("schema", "edge functions"), ("section schema",), "section schema")
    yield Case("rows and schema swapped", swap("last fragment", "schema"), ("fragment 3 of 3",), "section schema")
    yield Case("rows and manifest swapped", swap("last fragment", "manifest"), (MANIFEST,), MANIFEST)
    yield Case("head and end swapped", lambda sound, _: sound.data[100:] + sound.data[:100], (END,), END)
    yield Case(
        "first half of another backup",
        lambda sound, other: other.data[: len(sound.data) // 2] + sound.data[len(sound.data) // 2 :],
        ("section metadata", small),
        f"{small} is damaged",
    )
    if compression == "none":  # else the two are not of one length
        yield Case(
            "second half of another backup",
            lambda sound, other: sound.data[: len(sound.data) // 2] + other.data[len(sound.data) // 2 :],
            ("section metadata", small),
            f"{small} is damaged",
        )
        yield Case(
            "a fragment of another backup",
            lambda sound, other: sound.with_part("rows of a small table", other.part("rows of a small table")),
            (small,),
            f"{small} is damaged",
        )


def _at_the_end() -> Iterator[Case]:
    yield Case("a byte behind the end", lambda sound, _: sound.data + b"\n", (END,), END)
    yield Case("the last byte missing", lambda sound, _: sound.data[:-1], (END,), END)
    yield Case("zeros behind the end", lambda sound, _: sound.data + bytes(4096), (END,), END)
    yield Case("the last page zeros", lambda sound, _: sound.data[:-4096] + bytes(4096), (END,), END)
    yield Case("twice", lambda sound, _: sound.data * 2, (DISPLACED, "too many"), DISPLACED)
    yield Case(
        "another backup behind it", lambda sound, other: sound.data + other.data, (DISPLACED, "too many"), DISPLACED
    )
    yield Case("nothing but zeros", lambda sound, _: bytes(len(sound.data)), (END,), END)
    yield Case("empty", lambda _, __: b"", (END,), END)


def _edit(region: str, change: Callable[[bytes], bytes]) -> Callable[[Document, Document], bytes]:
    return lambda sound, _: sound.with_part(region, change(sound.part(region)))


def _flip(part: bytes) -> bytes:
    at = len(part) // 2
    return part[:at] + bytes([part[at] ^ 0x01]) + part[at + 1 :]


def _other_digit(part: bytes) -> bytes:
    return (b"1" if part[:1] == b"0" else b"0") + part[1:]


def _zeros(part: bytes) -> bytes:
    return bytes(len(part))


def _halved(part: bytes) -> bytes:
    return part[: len(part) // 2]


def _grown(part: bytes) -> bytes:
    at = len(part) // 2
    return part[:at] + b"x" + part[at:]
