"""Values of rows appear in no error and in no log, whatever goes wrong with them."""

from __future__ import annotations

import logging
import re
from hashlib import sha256

import pytest

from include.disaster_recovery.errors import DisasterRecoveryError, RestoreFailed, StagingDiffers
from tests.support.documents import read_from_end
from tests.support.forging import forged
from tests.support.restore_rig import RestoreRig, everything
from tests.support.rig import Rig

CANARY = "canary-7f3a"
SCHEMA = f"""
create type public.mood as enum ('calm', 'gloomy');
create table public.others (id int primary key);
insert into public.others values (1);
create table public.t (id int primary key, t text, moment text, mood public.mood, other int);
insert into public.t values (1, '{CANARY}', '2020-01-01 00:00:00 {CANARY}/Zone', 'gloomy', 1), (2, 'calm', null, 'calm', 1);
create function public.raising(t text) returns text immutable language plpgsql as $$ begin
    if t like 'canary%' then raise exception 'what about %', t using errcode = 'XY123'; end if; return t; end $$;
"""
# What makes the target refuse the rows, by what is said then.
REFUSING = {
    "alter table public.t alter t type int using 0": (StagingDiffers, "a value of the backup does not fit"),
    "alter table public.t alter t type varchar(3) using 'x'": (StagingDiffers, "a value of the backup does not fit"),
    "alter table public.t alter moment type timestamptz using null": (StagingDiffers, "does not fit"),
    "alter table public.t add check (t <> 'canary-7f3a') not valid": (RestoreFailed, "CheckViolation by t_t_check of table t"),
    "create unique index by_other on public.t (other)": (RestoreFailed, "UniqueViolation by by_other of table t"),
    "alter table public.t alter moment set not null": (RestoreFailed, "NotNullViolation by moment of table t"),
    "create index raising on public.t (public.raising(t))": (RestoreFailed, "XY123"),
    "alter table public.t add g text generated always as (public.raising(t)) stored": (RestoreFailed, "XY123"),
    "alter table public.t add foreign key (other) references public.others; delete from public.others": (
        RestoreFailed, "2 rows of t break t_other_fkey"),
    "alter table public.t alter mood type text; drop type public.mood; create type public.mood as enum ('calm');"
    "alter table public.t alter mood type public.mood using 'calm'": (StagingDiffers, "InvalidTextRepresentation"),
}  # fmt: skip


def refused(rig: RestoreRig, kind: type[DisasterRecoveryError], fact: str, **wanted) -> None:
    with rig.connect() as connection:
        before = everything(connection)
    with pytest.raises(kind, match=fact) as caught:
        rig.restore(**wanted)
    assert not {CANARY, "canary", "gloomy"} & set(re.findall(r"[\w-]+", str(caught.value)))
    assert caught.value.hint
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    with rig.connect() as connection:
        assert everything(connection) == before


@pytest.fixture
def source(bare_rig: Rig, caplog: pytest.LogCaptureFixture) -> Rig:
    caplog.set_level(logging.DEBUG, logger="include")
    with bare_rig.connect() as connection:
        connection.execute("set search_path = public")
        connection.execute(SCHEMA.encode())
    return bare_rig


def test_what_the_target_refuses_is_said_without_the_value(source: Rig, caplog: pytest.LogCaptureFixture):
    source.backup()
    target = RestoreRig.into(source)
    for change, (kind, fact) in REFUSING.items():
        with source.connect() as connection:
            connection.execute("set search_path = public")
            connection.execute("delete from public.t")
            connection.execute(change.encode())
        refused(target, kind, fact, tables=["t"])
        with source.connect() as connection:
            connection.execute("drop table public.t, public.others; drop type public.mood;"
                               "drop function public.raising")  # fmt: skip
            connection.execute("set search_path = public")
            connection.execute(SCHEMA.encode())
    assert CANARY not in caplog.text


def test_what_cannot_be_parsed_is_said_without_the_value(source: Rig, caplog: pytest.LogCaptureFixture):
    done = source.backup()
    target, key = RestoreRig.into(source), done.run.key
    place = read_from_end(done.stored, "none")[0].tables["t"].fragments[0]
    rows = done.stored[place.offset : place.offset + place.length]
    for old, new in (
        (b'"t":"canary-7f3a"', b'"t" "canary-7f3a"'),
        (b'"t":"canary-7f3a"', b'"t":\\"canary-7f3a'),
        (b'"id":1', b'"id":x'),
        (b'"mood":"gloomy"', b'"mood":"canary"'),
        (b'"t":"canary-7f3a"', b'"t":"canary-7f3\\"'),
        (b'"t":"canary-7f3a"', b'"t":"canary-7f3\x00"'),
        (b'"t":"canary-7f3a"', b'"t":"canary-7f3b"'),
    ):
        changed = rows.replace(old, new)
        assert (len(changed), changed != rows) == (len(rows), True)
        data = done.stored[: place.offset] + changed + done.stored[place.offset + len(rows) :]

        def hashed(content, changed=changed):
            content["tables"]["t"]["fragments"][0]["sha256"] = sha256(changed).hexdigest()

        target.store.put(key, forged(data, manifest=hashed))
        refused(target, DisasterRecoveryError, "table t", tables=["t"])
    assert "canary" not in caplog.text
