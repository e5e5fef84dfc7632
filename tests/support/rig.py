"""A backup at engine level: the real steps over a real Postgres and a real S3 server, without a scheduler."""

from __future__ import annotations

import gzip
import json
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any

import zstandard

from include.disaster_recovery.model import (
    AssembledDocument,
    BackupRun,
    ExtractUnit,
    Snapshot,
    StagedFragment,
    StagedSection,
    Verdict,
)
from include.disaster_recovery.postgres.session import Connection, connect
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.settings import Settings
from include.disaster_recovery.steps.backup.assembling import assemble
from include.disaster_recovery.steps.backup.cleaning import remove_staging
from include.disaster_recovery.steps.backup.describing import describe_edge_functions, describe_schema
from include.disaster_recovery.steps.backup.extracting import extract
from include.disaster_recovery.steps.backup.holding import hold_snapshot
from include.disaster_recovery.steps.backup.opening import open_backup
from include.disaster_recovery.steps.backup.planning import plan_extracts
from include.disaster_recovery.steps.backup.preflight import preflight
from include.disaster_recovery.steps.backup.recording import record_backup
from include.disaster_recovery.steps.backup.verifying import verify_backup


@dataclass
class Assembled:
    """A backup up to its document, which nobody has verified yet."""

    uncovered: list[str]
    run: BackupRun
    snapshot: Snapshot
    units: list[ExtractUnit]
    fragments: list[StagedFragment]
    sections: list[StagedSection]
    document: AssembledDocument


@dataclass
class Outcome(Assembled):
    """What one whole backup left behind."""

    verdict: Verdict
    event: dict[str, Any]
    stored: bytes

    @property
    def plain(self) -> bytes:
        """The document's bytes, decompressed by the standard tools."""
        if self.run.key.endswith(".gz"):
            return gzip.decompress(self.stored)
        if self.run.key.endswith(".zst"):
            return zstandard.ZstdDecompressor().stream_reader(self.stored, read_across_frames=True).read()
        return self.stored

    @property
    def backup(self) -> dict[str, Any]:
        """The document, as the guide's reader sees it; some tests nest values deeper than Python's usual limit."""
        usual = sys.getrecursionlimit()
        sys.setrecursionlimit(20_000)
        try:
            return json.loads(self.plain)
        finally:
            sys.setrecursionlimit(usual)


@dataclass
class Rig:
    """A source database, a bucket and settings; `run_id` counts up."""

    parameters: Mapping[str, str]
    store: Store
    settings: Settings
    before_extract: Callable[[], None] = lambda: None
    _runs: list[str] = field(default_factory=list)

    def with_settings(self, **sections: Any) -> Rig:
        """The same rig with some settings changed, given as `section={…}`."""
        changed = self.settings.model_dump()
        for name, value in sections.items():
            changed[name] = {**changed[name], **value} if isinstance(value, dict) else value
        return replace(self, settings=Settings.model_validate(changed))

    def connect(self, **parameters: str) -> Connection:
        return connect({**self.parameters, **parameters}, name="collabhunts_db", application="test")

    def preflight(self, **parameters: str) -> list[str]:
        return preflight(
            self.settings,
            connect=lambda: self.connect(**parameters),
            connect_store=lambda: self.store,
            slots=lambda: None,
        )

    def open(self, now: datetime | None = None) -> BackupRun:
        self._runs.append(f"manual__{len(self._runs)}")
        with self.connect() as connection:
            return open_backup(
                connection,
                self.store,
                self.settings,
                run_id=self._runs[-1],
                backup_type="manual",
                triggered_by="tester",
                now=now or datetime.now(timezone.utc),
            )

    @contextmanager
    def held(self) -> Iterator[Snapshot]:
        """A snapshot held by a second session in a thread, as the holder's task does."""
        published: list[Snapshot] = []
        failures: list[BaseException] = []
        ready, release = threading.Event(), threading.Event()

        def hold() -> None:
            try:
                with self.connect() as connection:
                    hold_snapshot(
                        connection,
                        self.settings,
                        publish=lambda snapshot: (published.append(snapshot), ready.set()),  # type: ignore[arg-type, return-value]
                        task_states=lambda: {"extract": "success" if release.is_set() else "running"},
                        poll_seconds=0.05,
                    )
            except BaseException as error:
                failures.append(error)
            finally:
                ready.set()

        thread = threading.Thread(target=hold, daemon=True)
        thread.start()
        ready.wait(60)
        try:
            if not published:
                raise failures[0]
            yield published[0]
        finally:
            release.set()
            thread.join(30)
        if failures:
            raise failures[0]

    def plan(self, snapshot: Snapshot) -> list[ExtractUnit]:
        with self.connect() as connection:
            return plan_extracts(connection, self.settings, snapshot)

    def extract(self, run: BackupRun, unit: ExtractUnit, try_number: int = 1) -> StagedFragment:
        with self.connect() as connection:
            return extract(connection, self.store, run, unit, self.settings.compression, try_number=try_number)

    def describe(self, run: BackupRun, snapshot: Snapshot) -> list[StagedSection]:
        with self.connect() as connection:
            schema = describe_schema(connection, self.parameters, self.store, self.settings, run, snapshot)
        return [schema, describe_edge_functions(self.store, self.settings, run)]

    def assemble(
        self, run: BackupRun, snapshot: Snapshot, fragments: list[StagedFragment], sections: list[StagedSection]
    ) -> AssembledDocument:
        return assemble(self.store, self.settings, run, snapshot, fragments, sections)

    def verify(self, document: AssembledDocument, uncovered: list[str] | None = None) -> Verdict:
        now, sse = datetime.now(timezone.utc), self.settings.s3.sse
        return verify_backup(self.store, document, wanted_sse=sse, uncovered=uncovered or [], now=now)

    def backup_until_assembled(self) -> Assembled:
        """The steps up to the document, extracts two at a time."""
        uncovered = self.preflight()
        run = self.open()
        with self.held() as snapshot:
            self.before_extract()
            units = self.plan(snapshot)
            with ThreadPoolExecutor(2) as pool:
                fragments = list(pool.map(lambda unit: self.extract(run, unit), units))
            sections = self.describe(run, snapshot)
        document = self.assemble(run, snapshot, fragments, sections)
        return Assembled(uncovered, run, snapshot, units, fragments, sections, document)

    def record(self, done: Assembled, verdict: Verdict) -> dict[str, Any]:
        now = datetime.now(timezone.utc)
        with self.connect() as connection:
            return record_backup(connection, done.run, done.snapshot, done.document, done.sections, verdict, now=now)

    def backup(self) -> Outcome:
        """All steps in the order of the DAG."""
        done = self.backup_until_assembled()
        verdict = self.verify(done.document, done.uncovered)
        event = self.record(done, verdict)
        remove_staging(self.store, done.run)
        stored = self.store.read(done.run.key, 0, done.document.size)
        return Outcome(**vars(done), verdict=verdict, event=event, stored=stored)
