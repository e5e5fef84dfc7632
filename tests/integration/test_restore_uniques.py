"""Rows that exclude each other: values swapped, moved and taken since the backup."""

from __future__ import annotations

import pytest

from include.disaster_recovery.errors import RestoreFailed
from tests.support.rig import Rig
from tests.support.scenario import Scenario, changes, scenario_of

EXCLUSIVE = """
    create table public.swapped (id int primary key, u int unique, v int);
    create table public.partial (id int primary key, u int, is_live bool not null); create unique index on public.partial (u) where is_live;
    create table public.expression (id int primary key, u text); create unique index on public.expression (lower(u));
    create table public.excluded (id int primary key, r int4range, exclude using gist (r with &&));
    create table public.deferred (id int primary key, u int unique deferrable initially deferred, r int4range,
        exclude using gist (r with &&) deferrable);
    create table public.always (id int primary key, n int generated always as identity);
    create table public.parted (id int primary key, u int) partition by range (id);
    create table public.parted_1 partition of public.parted for values from (1) to (100);
    create unique index on public.parted_1 (u);
    insert into public.swapped select i, i, i from generate_series(1, 6) as i;
    insert into public.partial select i, i % 3, i < 4 from generate_series(1, 6) as i;
    insert into public.expression select i, 'U' || i from generate_series(1, 6) as i;
    insert into public.excluded select i, int4range(i, i + 1) from generate_series(1, 6) as i;
    insert into public.deferred select i, i, int4range(i, i + 1) from generate_series(1, 6) as i;
    insert into public.always (id) select i from generate_series(1, 6) as i;
    insert into public.parted select i, i from generate_series(1, 6) as i"""
SWAPPED = """
    update public.swapped set u = -u; update public.swapped set u = 7 + u;
    update public.partial set is_live = not is_live; update public.partial set u = -u - 1; update public.partial set u = u + 3;
    update public.expression set u = 'x' || u; update public.expression set u = 'u' || 7 - id;
    update public.excluded set r = int4range(-id, 1 - id); update public.excluded set r = int4range(7 - id, 8 - id);
    update public.deferred set u = 7 - u; update public.deferred set r = int4range(-id, 1 - id);
    update public.deferred set r = int4range(7 - id, 8 - id);
    update public.always set n = default;
    update public.parted set u = -u; update public.parted set u = 7 + u"""


@pytest.mark.parametrize(
    "extra", ["", "alter table public.{0} add late int default 0; update public.{0} set late = id"]
)
def test_swapped_values(bare_rig: Rig, extra: str):
    scenario = Scenario(bare_rig, EXCLUSIVE)
    names = ["swapped", "partial", "expression", "excluded", "deferred", "always", "parted"]
    for mode in ("upsert", "replace"):
        scenario.run(SWAPPED)
        scenario.run(";".join(extra.format(name) for name in names))
        done = scenario.restore(mode=mode)
        assert all(table.rewrites for table in done.plan.tables)
        assert changes(done) == dict.fromkeys(names, (0, 6, 0))
        if extra:
            for name in names:
                assert scenario.value(f"select bool_and(late = id) and count(*) = 6 from public.{name}") is True
                scenario.run(f"alter table public.{name} drop late")
        assert scenario.rows() == scenario.before


@pytest.mark.parametrize(
    "taken, said",
    [
        ("swapped set u = null where u = 3; insert into public.swapped values (77, 3, 0)",
         "table swapped cannot be restored: UniqueViolation by swapped_u_key of table swapped"),
        ("partial set is_live = false where id = 2; insert into public.partial values (77, 2, true)",
         "table partial cannot be restored: UniqueViolation by partial_u_idx of table partial"),
        ("excluded set r = null where id = 3; insert into public.excluded values (77, '[3,4)')",
         "table excluded cannot be restored: ExclusionViolation by excluded_r_excl of table excluded"),
        ("deferred set u = null where id = 3; insert into public.deferred values (77, 3, null)",
         r"rows exclude each other after the restore: deferred_u_key of deferred \(1 times\)"),
        ("deferred set r = null where id = 3; insert into public.deferred values (77, 77, '[3,4)')",
         r"rows exclude each other after the restore: deferred_r_excl of deferred \(2 times\)"),
        ("parted set u = null where id = 3; insert into public.parted values (77, 3)",
         "table parted cannot be restored: UniqueViolation by parted_1_u_idx of table parted_1"),
    ],
)  # fmt: skip
def test_values_taken_by_a_row_that_the_backup_does_not_have(exclusive: Scenario, taken: str, said: str):
    exclusive.run(f"update public.{taken}")
    before = exclusive.rows()
    with pytest.raises(RestoreFailed, match=said) as refused:
        exclusive.restore(mode="upsert")
    assert "mode=replace" in refused.value.hint
    assert exclusive.rows() == before
    exclusive.restore(mode="replace")
    assert exclusive.rows() == exclusive.before


@pytest.fixture(scope="module")
def exclusive(postgres_server, s3_server):
    with scenario_of(postgres_server, s3_server, EXCLUSIVE) as scenario:
        yield scenario
