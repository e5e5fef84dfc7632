"""The corruption matrix: each kind of damage to each region of a real document. Verify and restore say what and where."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

import pytest

from include.demo.stack.postgres_server import PostgresServer
from include.demo.stack.s3_server import S3Server
from include.disaster_recovery.errors import DocumentError
from include.disaster_recovery.postgres.restore import staging
from include.disaster_recovery.postgres.session import Connection
from include.disaster_recovery.s3.documents import read_manifest
from include.disaster_recovery.settings import Compression
from include.disaster_recovery.steps.restore.comparing import compare
from tests.chaos.conftest import own_rig
from tests.support.damage import COMPRESSIONS, REGIONS, Case, Document, cases, chosen, spans
from tests.support.restore_rig import RestoreRig, everything
from tests.support.rig import Outcome, Rig
from tests.support.verify_rig import VerifyRig, replaced

# Much room in the pages makes three fragments of little text.
SOURCE = """
create table public.first as select i, 'row ' || i as t from generate_series(1, 50) i;
create table public.large with (fillfactor = 10) as
    select i, md5(i::text) as t from generate_series(1, 4000) i;
create table public.second as select i, 'another ' || i as t from generate_series(1, 50) i;
alter table public.first add primary key (i);
alter table public.large add primary key (i);
alter table public.second add primary key (i);
"""
DIVERGE = """
update public.first set t = 'changed';
delete from public.first where i > 40;
truncate public.large;
update public.second set t = 'changed';
"""


@dataclass
class Sound:
    """A backup, another one of the same tables with other rows, and a database that has diverged since."""

    done: Outcome
    document: Document
    other: Document
    verifier: VerifyRig
    target: RestoreRig
    witness: Connection

    @property
    def key(self) -> str:
        return self.done.run.key


def document_of(rig: Rig, done: Outcome) -> Document:
    manifest, _ = read_manifest(rig.store, done.run.key, done.document.size)
    return Document(done.stored, spans(manifest, done.document.size, rig.settings.compression))


@pytest.fixture(scope="module")
def source(postgres_server: PostgresServer, s3_server: S3Server) -> Iterator[Rig]:
    with own_rig(postgres_server, s3_server, extract={"split_bytes": 1024**2}) as rig:
        yield rig


@pytest.fixture(scope="module")
def sound(source: Rig, request: pytest.FixtureRequest) -> Iterator[dict[Compression, Sound]]:
    """The documents, one of each compression that is asked for."""
    with source.connect() as connection:
        connection.execute(SOURCE.encode())
    wanted = COMPRESSIONS if request.config.getoption("--chaos-rounds") > 1 else COMPRESSIONS[:2]
    rigs = {compression: source.with_settings(compression=compression) for compression in wanted}
    done = {compression: rig.backup() for compression, rig in rigs.items()}
    with source.connect() as connection:
        connection.execute("update public.first set t = reverse(t)")
    other = {compression: rig.backup() for compression, rig in rigs.items()}
    with source.connect() as connection:
        connection.execute(DIVERGE.encode())
    with source.connect() as witness:
        yield {
            compression: Sound(
                done[compression],
                document_of(rig, done[compression]),
                document_of(rig, other[compression]),
                VerifyRig.of(rig).without_history(),
                RestoreRig.into(rig),
                witness,
            )
            for compression, rig in rigs.items()
        }


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    is_long = metafunc.config.getoption("--chaos-rounds") > 1
    if "case" in metafunc.fixturenames:
        matrix = [(compression, case) for compression in COMPRESSIONS for case in chosen(compression, is_long=is_long)]
        titles = [f"{compression}-{case.title}" for compression, case in matrix]
        metafunc.parametrize(("compression", "case"), matrix, ids=titles)
    elif "compression" in metafunc.fixturenames:
        metafunc.parametrize("compression", COMPRESSIONS if is_long else COMPRESSIONS[:2])


def restore(sound: Sound) -> list[str]:
    """What a restore says of the document before its target is touched; a load holds rows and digest against the manifest."""
    said: list[str] = []
    with saying(said):
        plan, units = sound.target.plan(backup_key=sound.key)
        for unit in units:
            with saying(said):
                assert sound.target.load(plan, unit).rows == unit.fragment.rows
        sound.target.clean_up(plan)
    return said


@contextmanager
def saying(said: list[str]) -> Iterator[None]:
    try:
        yield
    except DocumentError as error:
        said.append(f"{error.fact}; {error.hint}")


def state(sound: Sound) -> tuple[dict[str, str], list[tuple[str, str]], list[str]]:
    """The target's rows, and what a restore would leave in it or in the bucket."""
    rows = {name: md5 for name, md5 in everything(sound.witness).items() if name != "public.backup_history"}
    return rows, staging.marked(sound.witness), sound.target.store.keys("backups/in-use/")


def test_damage_is_named(sound: dict[Compression, Sound], compression: Compression, case: Case):
    it = sound[compression]
    damaged, before = case.damage(it.document, it.other), state(it)
    assert damaged != it.document.data
    replaced(it.target.store, it.done, damaged)
    verdict = it.verifier.verify(it.key)
    assert verdict.state == "invalid"
    for words in case.verify:
        assert any(words in finding for finding in verdict.findings), (words, verdict.findings)
    said = restore(it)
    assert bool(said) == (case.restore is not None), said
    assert any(case.restore in fact for fact in said) or case.restore is None, (case.restore, said)
    assert state(it) == before


def test_a_region_of_every_byte_is_in_the_matrix(sound: dict[Compression, Sound]):
    """What stands between the named regions is punctuation of their kinds, and the text of the locator."""
    for it in sound.values():
        found = it.document.spans
        assert list(found) == list(REGIONS)
        ordered = [found[name] for name in REGIONS]
        assert all(span.begin < span.end for span in ordered)
        assert all(one.end <= two.begin for one, two in pairwise(ordered))


def test_the_undamaged_ones_are_still_valid_and_come_back(sound: dict[Compression, Sound], compression: Compression):
    it = sound[compression]
    replaced(it.target.store, it.done, it.document.data)
    assert it.verifier.verify(it.key).findings == []
    before = it.target.restore(backup_key=it.key)
    diverged = {"first": (10, 40, 0), "large": (4000, 0, 0), "second": (0, 50, 0)}
    assert {each.table: (each.insert, each.update, each.delete) for each in before.applied} == diverged
    with it.target.connect() as connection:
        assert connection.execute("select t from public.first where i = 12").fetchall() == [("row 12",)]
        connection.execute(DIVERGE.encode())


def test_damaged_metadata_do_not_keep_a_restore_from_being_proven(
    sound: dict[Compression, Sound], caplog: pytest.LogCaptureFixture
):
    """No row hangs on them; when they were first read, the target had been changed already."""
    it = sound["none"]
    (case,) = (each for each in cases("none") if each.title == "metadata: flipped")
    replaced(it.target.store, it.done, case.damage(it.document, it.other))
    plan, units = it.target.plan(backup_key=it.key)
    it.target.load_all(plan, units)
    staged = it.target.check(plan)
    applied = it.target.apply(plan)
    moment = plan.run.opened_at
    report = compare(
        it.witness, it.target.store, plan, staged, applied,
        approved_by=None, skipped_objects=[], started_at=moment, now=lambda: moment,
    )  # fmt: skip
    it.target.clean_up(plan)
    assert report.subjects("failed") == []
    assert "section metadata cannot be read: it is damaged" in caplog.text
    it.witness.execute(DIVERGE.encode())
