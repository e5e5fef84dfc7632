from collections import defaultdict

from hypothesis import given, settings
from hypothesis import strategies as st

from include.disaster_recovery.assembly import MIN_PART
from include.disaster_recovery.extract_plan import TOAST_IN_BATCHES, document_order, plan_units
from include.disaster_recovery.model import ExtractUnit
from include.disaster_recovery.table_selection import Relation

MIB = 1024**2
BLOCK = 8192


def table(name: str, *, blocks: int = 1, toast: int = 0, kind: str = "r", block_bytes: int = BLOCK) -> Relation:
    return Relation(
        schema_name="public",
        name=name,
        kind=kind,
        is_partition=False,
        persistence="p",
        of_extension=False,
        heap_bytes=0 if kind == "p" else blocks * block_bytes,
        toast_bytes=toast,
        block_bytes=block_bytes,
    )


def plan(*tables: Relation, split_bytes: int = 256 * MIB) -> list[ExtractUnit]:
    return plan_units(tables, split_bytes=split_bytes, snapshot_id="s")


tables = st.lists(
    st.builds(
        lambda blocks, toast, kind, block_bytes: (blocks, toast, kind, block_bytes),
        st.one_of(st.just(0), st.integers(0, 2000), st.integers(0, 10**9)),
        st.one_of(st.just(0), st.integers(0, 10**12)),
        st.sampled_from("rrrp"),
        st.sampled_from([8192, 32768]),
    ),
    min_size=1,
    max_size=60,
).map(
    lambda drawn: [
        table(f"t{n}", blocks=blocks, toast=toast, kind=kind, block_bytes=size)
        for n, (blocks, toast, kind, size) in enumerate(drawn)
    ]
)


@given(tables, st.integers(MIB, 10**11))
@settings(max_examples=60, deadline=None)
def test_the_ranges_of_a_table_cover_every_block_once_and_are_open_at_the_end(drawn: list[Relation], split: int):
    units = defaultdict(list)
    for unit in plan(*drawn, split_bytes=split):
        units[unit.table.table_name].append(unit)
    assert set(units) == {relation.name for relation in drawn}
    for parts in units.values():
        parts.sort(key=lambda unit: unit.part)
        assert [(unit.part, unit.parts) for unit in parts] == [(n, len(parts)) for n in range(1, len(parts) + 1)]
        assert parts[0].first_block == 0
        assert [unit.last_block for unit in parts] == [unit.first_block for unit in parts[1:]] + [None]
        assert len({unit.first_block for unit in parts}) == len(parts), "no part may be empty by plan"


@given(tables, st.integers(MIB, 10**11))
@settings(max_examples=60, deadline=None)
def test_the_largest_units_come_first(drawn: list[Relation], split: int):
    units = plan(*drawn, split_bytes=split)
    sizes = {r.name: r.heap_bytes + r.toast_bytes for r in drawn}
    shares = [sizes[unit.table.table_name] / unit.parts for unit in units]
    assert shares == sorted(shares, reverse=True)


@given(st.lists(st.integers(0, 10**13), min_size=1, max_size=1024), st.integers(MIB, 10**9))
@settings(max_examples=30, deadline=None)
def test_airflow_can_map_every_plan(heap: list[int], split: int):
    drawn = [table(f"t{n}", blocks=size // BLOCK) for n, size in enumerate(heap)]
    assert len(plan(*drawn, split_bytes=split)) <= 1024


@given(tables)
@settings(max_examples=60, deadline=None)
def test_positions_number_the_tables_in_document_order(drawn: list[Relation]):
    names = {unit.position: unit.table.table_name for unit in plan(*drawn)}
    assert [names[n] for n in range(len(drawn))] == [relation.name for relation in document_order(drawn)]


def test_a_table_up_to_the_limit_stays_whole():
    (unit,) = plan(table("messages", blocks=256 * MIB // BLOCK))
    assert (unit.label, unit.first_block, unit.last_block) == ("messages", 0, None)


def test_a_table_over_the_limit_is_cut_evenly():
    units = plan(table("messages", blocks=100_000), split_bytes=300 * MIB)
    assert [(u.label, u.first_block, u.last_block) for u in units] == [
        ("messages [1/3]", 0, 33_333),
        ("messages [2/3]", 33_333, 66_666),
        ("messages [3/3]", 66_666, None),
    ]


def test_an_empty_table_is_one_unit():
    (unit,) = plan(table("empty", blocks=0))
    assert (unit.first_block, unit.last_block, unit.blocks) == (0, None, 0)


def test_toast_counts_for_the_cut_but_there_are_no_more_parts_than_blocks():
    assert [unit.parts for unit in plan(table("files", blocks=3, toast=10**12))] == [3, 3, 3]


def test_a_partitioned_table_is_read_whole_row_by_row():
    (unit,) = plan(table("events", kind="p"))
    assert (unit.mode, unit.is_partitioned, unit.last_block) == ("rows", True, None)


def test_only_tables_with_large_cells_are_read_row_by_row():
    units = plan(table("small", toast=TOAST_IN_BATCHES), table("large", blocks=2, toast=TOAST_IN_BATCHES + 1))
    assert {unit.table.table_name: unit.mode for unit in units} == {"small": "batches", "large": "rows"}


def test_a_batch_is_an_eighth_of_a_mebibyte_of_heap_whatever_the_block_size():
    units = plan(table("a"), table("b", block_bytes=32768))
    assert {unit.blocks_per_batch * (BLOCK if unit.table.table_name == "a" else 32768) for unit in units} == {MIB // 8}


def test_small_tables_stand_together_at_the_front_of_the_document():
    large = [table("big", blocks=MIN_PART // BLOCK), table("toasted", toast=MIN_PART)]
    small = [table("b"), table("a", blocks=MIN_PART // BLOCK - 1)]
    order = document_order([large[0], small[0], large[1], small[1]])
    assert [relation.name for relation in order] == ["b", "a", "big", "toasted"]
