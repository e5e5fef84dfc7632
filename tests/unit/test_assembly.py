from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from include.disaster_recovery import assembly
from include.disaster_recovery.assembly import MAX_PART, MIN_PART, Part, Piece, inline, plan_parts, staged
from include.disaster_recovery.errors import DocumentError

MIB = 1024**2
MINIMUM, MAXIMUM = 10, 35  # the same rules in small

sizes = st.one_of(st.integers(0, 12), st.integers(0, 60), st.sampled_from([0, 9, 10, 11, 19, 20, 21, 35, 36, 70, 200]))
pieces_of_any_size = st.lists(st.tuples(st.booleans(), sizes), min_size=1, max_size=40).map(
    lambda drawn: [
        inline(bytes([n % 251]) * size) if is_inline else staged(f"staged-{n}", size)
        for n, (is_inline, size) in enumerate(drawn)
    ]
)


def small(pieces: list[Piece]) -> list[Part]:
    return plan_parts(pieces, min_part=MINIMUM, max_part=MAXIMUM)


def total(pieces: list[Piece]) -> int:
    return sum(piece.size for piece in pieces)


def uploaded_of(parts: list[Part], piece: Piece) -> int:
    return sum(s.length for part in parts if not part.copied for s in part.slices if s.piece is piece)


def shape(parts: list[Part]) -> list[tuple[str, int]]:
    return [("copied" if part.copied else "uploaded", part.size) for part in parts]


@given(pieces_of_any_size.filter(total))
@example([staged("a", 36), staged("b", 71)])
@example([inline(b"x"), staged("a", 18), inline(b"y" * 100), staged("b", 70), inline(b"z")])
def test_the_parts_are_the_pieces_in_order_byte_for_byte(pieces: list[Piece]):
    slices = [s for part in small(pieces) for s in part.slices]
    assert all(s.length > 0 for s in slices)
    covered = {id(piece): 0 for piece in pieces}
    order = []
    for s in slices:
        assert s.start == covered[id(s.piece)]
        covered[id(s.piece)] += s.length
        order.append(next(n for n, piece in enumerate(pieces) if piece is s.piece))
    assert order == sorted(order)
    assert [covered[id(piece)] for piece in pieces] == [piece.size for piece in pieces]


@given(pieces_of_any_size.filter(total))
def test_every_part_but_the_last_reaches_the_minimum_and_none_exceeds_the_maximum(pieces: list[Piece]):
    parts = small(pieces)
    assert all(part.size >= MINIMUM for part in parts[:-1])
    assert all(0 < part.size <= MAXIMUM for part in parts)
    assert len(parts) <= assembly.MAX_PARTS


@given(pieces_of_any_size.filter(total))
def test_a_copied_part_is_one_slice_of_a_staged_object_that_may_be_copied_by_range(pieces: list[Piece]):
    for part in small(pieces):
        if part.copied:
            (only,) = part.slices
            assert only.piece.key is not None
            assert only.is_whole or only.piece.size > MINIMUM


@given(pieces_of_any_size.filter(total))
def test_an_uploaded_part_is_small_enough_to_hold(pieces: list[Piece]):
    assert all(part.size < 2 * MINIMUM for part in small(pieces) if not part.copied)


@given(pieces_of_any_size.filter(total))
def test_the_worker_moves_little_more_than_what_is_too_small_to_copy(pieces: list[Piece]):
    parts = small(pieces)
    for before, piece in pairwise([None, *pieces]):
        assert piece is not None
        if piece.key is None or piece.size < MINIMUM:
            assert uploaded_of(parts, piece) == piece.size
        elif piece.size >= 2 * MINIMUM:
            assert uploaded_of(parts, piece) < MINIMUM
        if piece.size >= MINIMUM and piece.key and before and before.key and before.size >= 2 * MINIMUM:
            assert uploaded_of(parts, piece) == 0, "nothing was waiting, so nothing had to be borrowed"
    borrowed = sum(uploaded_of(parts, p) for p in pieces if p.key and p.size >= MINIMUM)
    runs = sum(1 for part in parts if not part.copied)
    assert borrowed < 2 * MINIMUM * max(1, runs)


@given(pieces_of_any_size.filter(total), st.integers(1, 12))
def test_the_minimum_is_doubled_until_the_parts_are_few_enough(pieces: list[Piece], most: int):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(assembly, "MAX_PARTS", most)
        try:
            parts = plan_parts(pieces, min_part=2, max_part=400)
        except DocumentError:
            assert total(pieces) > most * 200 or len(pieces) > most
        else:
            assert len(parts) <= most
            assert sum(part.size for part in parts) == total(pieces)
            assert all(part.size >= 2 for part in parts[:-1])


def test_small_pieces_share_one_part():
    assert shape(plan_parts([inline(b"{"), staged("a", 100), staged("b", 200), inline(b"}")])) == [("uploaded", 302)]


def test_the_last_part_may_be_tiny():
    assert shape(plan_parts([staged("a", 8 * MIB), inline(b"}")])) == [("copied", 8 * MIB), ("uploaded", 1)]


def test_a_small_head_borrows_the_beginning_of_a_large_fragment():
    parts = plan_parts([inline(b"h" * 100), staged("a", 256 * MIB), staged("b", 256 * MIB), inline(b"}")])
    assert shape(parts) == [
        ("uploaded", MIN_PART),
        ("copied", 251 * MIB + 100),
        ("copied", 256 * MIB),
        ("uploaded", 1),
    ]
    assert [(s.start, s.length) for s in parts[0].slices] == [(0, 100), (0, MIN_PART - 100)]


def test_a_fragment_too_small_to_lend_is_uploaded_whole():
    assert shape(plan_parts([inline(b"h"), staged("a", 9 * MIB), staged("b", 6 * MIB)])) == [
        ("uploaded", 9 * MIB + 1),
        ("copied", 6 * MIB),
    ]


def test_a_fragment_of_exactly_the_minimum_is_copied():
    assert shape(plan_parts([staged("a", MIN_PART), staged("b", MIN_PART)])) == [("copied", MIN_PART)] * 2


def test_a_fragment_over_five_gibibytes_is_copied_in_even_ranges():
    parts = plan_parts([staged("a", 2 * MAX_PART + 1)])
    assert [part.copied for part in parts] == [True] * 3
    assert max(part.size for part in parts) - min(part.size for part in parts) <= 1
    assert sum(part.size for part in parts) == 2 * MAX_PART + 1


def test_twenty_thousand_large_tables_still_fit_ten_thousand_parts():
    parts = plan_parts([staged(str(n), 6 * MIB) for n in range(20_000)])
    assert len(parts) <= 10_000
    assert sum(part.size for part in parts) == 20_000 * 6 * MIB


@pytest.mark.parametrize("pieces", [[], [inline(b"")], [staged("a", 0), inline(b"")]])
def test_nothing_cannot_be_an_object(pieces: list[Piece]):
    with pytest.raises(DocumentError, match="document of 0 bytes"):
        plan_parts(pieces)


def test_more_than_s3_can_carry_is_refused_with_its_size():
    with pytest.raises(DocumentError, match=str(10_001 * MAX_PART)):
        plan_parts([staged("a", 10_001 * MAX_PART)])
