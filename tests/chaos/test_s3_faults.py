"""S3 that fails while a backup is written and while one is restored: outlived where it passes, else named and harmless."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from itertools import chain, repeat
from pathlib import Path

import pytest
from botocore.config import Config

from include.demo.stack.postgres_server import PostgresServer
from include.demo.stack.s3_server import S3Server
from include.disaster_recovery.backup_record import verification_of
from include.disaster_recovery.errors import DisasterRecoveryError, StoreRefused, StoreUnavailable
from include.disaster_recovery.postgres.restore import staging
from include.disaster_recovery.s3.documents import read_manifest
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.s3.tags import read_tags
from include.disaster_recovery.steps.backup.opening import remove_orphans
from tests.chaos.conftest import own_rig
from tests.support.faulty_wire import (
    QUICK,
    Exchange,
    Fault,
    FaultyWire,
    at_random,
    cut_off,
    from_request,
    late,
    lose_answer,
    refusing,
    slow_down,
)
from tests.support.restore_rig import RestoreRig, everything
from tests.support.rig import Rig
from tests.support.run_outcomes import statuses

# Two upload parts, and fragments that are copied on the server's side.
SOURCE = """
create table public.medium as select i, repeat(md5(i::text), 40) as t from generate_series(1, 8000) i;
create table public.small as select i, 'row ' || i as t from generate_series(1, 50) i;
alter table public.medium add primary key (i);
alter table public.small add primary key (i);
"""
LOSE = "delete from public.medium where i % 2 = 0; delete from public.small where i > 40"
ONE_TRY = Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=5)
WRITES = ("PUT", "POST", "DELETE")


@dataclass(frozen=True)
class Lasting:
    """What S3 says from some request on, and what is said of it."""

    fault: Fault
    methods: tuple[str, ...]
    kind: type[DisasterRecoveryError]
    said: str
    hint: str


EVERY = ("GET", "HEAD", *WRITES)
LASTING = {
    "expired token": Lasting(refusing(400, "ExpiredToken"), EVERY, StoreRefused, "ExpiredToken|400", "session token"),
    "key withdrawn": Lasting(
        refusing(403, "InvalidAccessKeyId"), EVERY, StoreRefused, "InvalidAccessKeyId|403", "collabhunts_s3|grant"
    ),
    "clock too skewed": Lasting(
        refusing(403, "RequestTimeTooSkewed"), EVERY, StoreRefused, "RequestTimeTooSkewed|403", "clock|grant"
    ),
    "put denied": Lasting(
        refusing(403, "AccessDenied"), WRITES, StoreRefused, "AccessDenied", "grant the connection's key"
    ),
    "no space": Lasting(refusing(507, "InsufficientStorage"), ("PUT",), StoreUnavailable, "Insufficient", "free space"),
    "down for good": Lasting(slow_down, EVERY, StoreUnavailable, "SlowDown|503", "S3 server"),
}
# What is asked of the wire before it asks the server, and after it; the share of requests; the fault.
PASSING: dict[str, tuple[tuple[str, float, Fault], ...]] = {
    "slow down and latency": (("before", 0.1, slow_down), ("before", 0.2, late(0.05))),
    "connections reset": (("before", 0.15, lose_answer), ("after", 0.15, lose_answer)),
    "answers cut off": (("after", 0.3, cut_off),),
}


@pytest.fixture(scope="module")
def source(postgres_server: PostgresServer, s3_server: S3Server) -> Iterator[Rig]:
    with own_rig(postgres_server, s3_server) as rig:
        with rig.connect() as connection:
            connection.execute(SOURCE.encode())
        yield rig


@dataclass(frozen=True)
class Requests:
    """The numbers of some of all requests that a backup makes, and a restore: from 1 on."""

    opened: int
    composed: int
    read: int
    restored: int


@pytest.fixture(scope="module")
def requests(source: Rig, s3_server: S3Server) -> Requests:
    with FaultyWire(s3_server) as wire:
        wired(source, wire).backup()
        backup = list(wire.seen)
        wire.seen.clear()
        RestoreRig.into(wired(source, wire)).restore()
        restore = list(wire.seen)
    return Requests(
        opened=first(backup, lambda each: each.path.endswith("/claim")),
        composed=first(backup, lambda each: each.operation == "Complete" and "/backups/" in each.path),
        read=first(backup, lambda each: each.path.endswith("?tagging")) - 1,
        restored=max(number for number, each in enumerate(restore, 1) if each.operation == "Get"),
    )


def first(seen: list[Exchange], is_it: Callable[[Exchange], bool]) -> int:
    return next(number for number, each in enumerate(seen, 1) if is_it(each))


def wired(rig: Rig, wire: FaultyWire, config: Config = QUICK) -> Rig:
    return replace(rig, store=replace(rig.store, client=wire.client(config)))


def rows(rig: Rig) -> dict[str, str]:
    with rig.connect() as connection:
        return {name: md5 for name, md5 in everything(connection).items() if name in {"public.medium", "public.small"}}


def leftovers(rig: Rig) -> tuple[list[tuple[str, str]], list[str], list[tuple[str, str]]]:
    """What a restore would leave: staging schemas and leases; and unfinished uploads of anybody."""
    with rig.connect() as connection:
        return staging.marked(connection), rig.store.keys("backups/in-use/"), rig.store.uploads("")


def each_of(place: str, faults: list[tuple[str, Fault]]) -> Fault:
    """Whichever of them stand there."""
    there = [fault for where, fault in faults if where == place]

    def act(exchange: Exchange) -> None:
        for fault in there:
            fault(exchange)

    return act


@pytest.mark.parametrize("weather", PASSING)
def test_faults_that_pass_are_outlived(source: Rig, wire: FaultyWire, chance: random.Random, rounds: int, weather: str):
    whole = rows(source)
    for _ in range(rounds):
        most = 2 // len(PASSING[weather])  # of three tries, one must be left
        faults = [(place, at_random(chance, share, fault, most=most)) for place, share, fault in PASSING[weather]]
        wire.before, wire.after = (each_of(place, faults) for place in ("before", "after"))
        outcome = wired(source, wire).backup()
        with source.connect() as connection:
            connection.execute(LOSE.encode())
        target = RestoreRig.into(wired(source, wire))
        assert target.restore(backup_key=outcome.run.key).of("medium") == (4000, 0, 0, 4000)
        wire.before = wire.after = None
        assert rows(source) == whole
        assert leftovers(source) == ([], [], [])
        assert source.verify(outcome.document).valid
        assert statuses(source)[-1] == "success"


@pytest.mark.parametrize(
    "phase, name",
    [("written", each) for each in LASTING] + [("verified", "expired token")],
)
def test_a_backup_that_a_lasting_fault_ends_promises_nothing_and_the_next_is_clean(
    source: Rig, requests: Requests, wire: FaultyWire, chance: random.Random, rounds: int, phase: str, name: str
):
    lasting, rig = LASTING[name], wired(source, wire, ONE_TRY)
    for _ in range(rounds):
        before = source.store.keys("backups/")
        since, until = (
            (requests.opened, requests.composed) if phase == "written" else (requests.composed, requests.read)
        )
        wire.before = from_request(chance.randint(since + 1, until), lasting.fault, methods=lasting.methods)
        with pytest.raises(lasting.kind, match=lasting.said) as caught:
            rig.backup()
        wire.before = None
        assert re.search(lasting.hint, caught.value.hint), caught.value.hint
        assert statuses(source)[-1] == "in_progress", caught.value
        published = [key for key in source.store.keys("backups/") if key not in before]
        assert len(published) == (phase == "verified")
        for key in published:  # whole, but nothing says yet that it can be trusted
            stored = source.store.head(key)
            assert stored is not None
            read_manifest(source.store, key, stored.size)
            assert verification_of(read_tags(source.store, key) or {}) is None
        assert source.verify(source.backup().document).rows == 8050
        assert statuses(source)[-2:] == ["failed", "success"]
    remove_orphans(source.store, source.settings, datetime.now(timezone.utc) + timedelta(days=2))
    assert (source.store.keys("staging/"), leftovers(source)) == ([], ([], [], []))


@pytest.mark.parametrize("name", ["expired token", "put denied", "no space", "down for good"])
def test_a_restore_under_a_lasting_fault_changes_nothing_or_needs_no_writes(
    source: Rig, requests: Requests, wire: FaultyWire, chance: random.Random, rounds: int, name: str
):
    lasting, whole = LASTING[name], rows(source)
    target = RestoreRig.into(wired(source, wire, ONE_TRY))
    for _ in range(rounds):
        lose(source)
        lost = rows(source)
        wire.before = from_request(chance.randint(1, requests.restored), lasting.fault, methods=lasting.methods)
        if "GET" in lasting.methods:
            with pytest.raises(lasting.kind, match=lasting.said) as caught:
                target.restore()
            assert re.search(lasting.hint, caught.value.hint), caught.value.hint
            assert rows(source) == lost
            wire.before = None
        target.restore()
        wire.before = None
        assert rows(source) == whole
        RestoreRig.into(source).restore(tables=["small"])  # the next run finds nothing in its way, and leaves nothing
        assert leftovers(source)[0] == []


def lose(rig: Rig) -> None:
    with rig.connect() as connection:
        connection.execute(LOSE.encode())


def test_a_full_s3_server_can_still_be_restored_from(bare_rig: Rig, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """A real one: SeaweedFS with two volumes of 8 MB."""
    with bare_rig.connect() as connection:
        connection.execute("create table public.small as select i, 'row ' || i as t from generate_series(1, 50) i")
    with S3Server(folder=tmp_path / "s3", capacity_mb=16) as server:
        server.create_bucket()
        rig = replace(bare_rig, store=Store(client=server.client("admin", ONE_TRY), bucket=server.bucket))
        rig = rig.with_settings(s3={"sse": None})
        rig.backup()
        fill(rig.store)
        with pytest.raises(StoreUnavailable, match="InternalError"):
            rig.backup()
        with rig.connect() as connection:
            connection.execute("delete from public.small where i > 40")
        assert RestoreRig.into(rig).restore().of("small") == (10, 0, 0, 40)
    assert "the backup is not protected from retention while it is restored" in caplog.text


def fill(store: Store) -> None:
    """Until it takes nothing any more."""
    sizes = chain(repeat(1024**2, 14), repeat(4096, 10_000))
    with suppress(StoreUnavailable):
        for number, size in enumerate(sizes):
            store.put(f"filling/{number}", bytes(size))
