"""What Backup History knows: the data behind its page, from bucket and history, cached. Safe to use from threads."""

from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from include.disaster_recovery.backup_key import is_backup_key
from include.disaster_recovery.dashboard.cache import Kept, Recent
from include.disaster_recovery.dashboard.detailing import comparison_of, detail_of, line_before
from include.disaster_recovery.dashboard.documents import Documents
from include.disaster_recovery.dashboard.downloading import presign
from include.disaster_recovery.dashboard.listing import page_of
from include.disaster_recovery.dashboard.model import (
    BackupDetail,
    BackupEntry,
    BackupPage,
    Comparison,
    DagFacts,
    Download,
    Overview,
    RunStatus,
    SortKey,
    Summary,
)
from include.disaster_recovery.dashboard.overview import overview_of, summary_of
from include.disaster_recovery.dashboard.reading import read_view, repinned
from include.disaster_recovery.dashboard.report_model import Report, ReportEntry, ReportKind
from include.disaster_recovery.dashboard.reporting import Reports
from include.disaster_recovery.dashboard.seams import Sources
from include.disaster_recovery.dashboard.view import Line, View
from include.disaster_recovery.errors import BackupUnknown, DatabaseUnavailable, StoreUnavailable
from include.disaster_recovery.s3 import pins

SHOWN = 100  # characters of an id that is unknown
MOST_RUNS = 100
CLOCKS_DIFFER = timedelta(minutes=1)  # of the workers that say when a run ended, and of this server


@dataclass(frozen=True, kw_only=True)
class BackupObject:
    """The object of a backup in the bucket; `size` in bytes."""

    key: str
    file_name: str
    size: int


class Catalogue:
    """Everything that the page asks for.

    Args:
        sources: how bucket and history are reached.
    """

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._view: Kept[View] = Kept(partial(read_view, sources))
        self._caught_up: Recent[None] = Recent(MOST_RUNS)
        self._documents = Documents()
        self._reports = Reports()

    def page(
        self,
        status: str | None = None,
        search: str | None = None,
        sort: SortKey = "created_at",
        descending: bool = True,
        offset: int = 0,
        limit: int = 25,
    ) -> BackupPage:
        """A page of the table; `status` None or `all` means any."""
        return page_of(
            self._view.get(),
            status=status,
            search=search,
            sort=sort,
            descending=descending,
            offset=offset,
            limit=limit,
        )

    def overview(self, facts: DagFacts) -> Overview:
        """Everything above the table."""
        return overview_of(self._view.get(), facts, self._sources.settings.watch, self._sources.now())

    def summary(self, facts: DagFacts) -> Summary:
        """The answer in numbers, for outside monitors."""
        return summary_of(self._view.get(), facts, self._sources.settings.watch, self._sources.now())

    def detail(self, backup_id: str, before: str | None = None) -> BackupDetail:
        """One backup beside an earlier one: that of the id `before`, else the newest successful one before it.

        Raises:
            BackupUnknown: there is no backup of one of the ids.
            DatabaseUnavailable, StoreUnavailable: whether there is one cannot be seen.
        """
        view = self._view.get()
        line = _line(view, backup_id)
        other = _line(view, before) if before else line_before(view, line)
        return detail_of(self._sources, self._documents, line, other)

    def compare(self, before_id: str, after_id: str) -> Comparison:
        """Two backups side by side.

        Raises:
            BackupUnknown: there is no backup of one of the ids.
            DatabaseUnavailable, StoreUnavailable: whether there is one cannot be seen.
        """
        view = self._view.get()
        return comparison_of(self._sources, self._documents, _line(view, before_id), _line(view, after_id))

    def reports(self, kind: ReportKind) -> list[ReportEntry]:
        """The newest reports of restores, or of drills.

        Raises:
            SettingsError, StoreRefused, StoreUnavailable: the bucket cannot be listed.
        """
        return list(self._reports.list(self._sources.store(), self._prefix, kind))

    def report(self, kind: ReportKind, name: str) -> Report:
        """One report in full.

        Raises:
            BackupUnknown: there is no report of that name.
            SettingsError, StoreRefused, StoreUnavailable: the bucket cannot be read.
        """
        return self._reports.read(self._sources.store(), self._prefix, kind, name)

    def key_of(self, backup_id: str) -> str:
        """The backup key of an entry.

        Raises:
            BackupUnknown: there is no such entry, or the bucket has no object of it.
            DatabaseUnavailable, StoreUnavailable: whether there is one cannot be seen.
        """
        return self.object_of(backup_id).key

    def object_of(self, backup_id: str) -> BackupObject:
        """The object of an entry.

        Raises:
            BackupUnknown: there is no such entry, or the bucket has no object of it.
            DatabaseUnavailable, StoreUnavailable: whether there is one cannot be seen.
        """
        line = _line(self._view.get(), backup_id)
        entry = line.entry
        if line.key is None or not is_backup_key(self._prefix, line.key):
            name = entry.file_name or entry.id
            if entry.in_bucket is None:
                raise StoreUnavailable(f"backup {name}: the bucket cannot be read", hint="try again when it answers")
            raise BackupUnknown(
                f"backup {name}: the bucket has no object of it", hint="choose another backup, or reload"
            )
        return BackupObject(key=line.key, file_name=line.key.rpartition("/")[2], size=entry.size or 0)

    def download(self, backup_id: str) -> Download:
        """A link to the document: a credential.

        Raises:
            BackupUnknown: there is no such entry, or the bucket has no object of it.
            SettingsError, StoreRefused, StoreUnavailable: a request failed.
        """
        found = self.object_of(backup_id)
        return presign(self._sources.store(), found.key, found.file_name)

    def pin(self, backup_id: str, reason: str, by: str | None) -> BackupEntry:
        """Keep a backup until it is unpinned; how it is listed then.

        Raises:
            BackupUnknown: there is no such entry, or the bucket has no object of it.
            SettingsError, StoreRefused, StoreUnavailable: the pin cannot be written.
        """
        key, store = self.key_of(backup_id), self._sources.store()
        pins.pin(store, self._prefix, key, reason=reason, by=by, now=self._sources.now())
        return self._repinned(backup_id, key, reason)

    def unpin(self, backup_id: str) -> BackupEntry:
        """Leave a backup to the retention policy again; how it is listed then.

        Raises:
            BackupUnknown: there is no such entry, or the bucket has no object of it.
            SettingsError, StoreRefused, StoreUnavailable: the pin cannot be removed.
        """
        key = self.key_of(backup_id)
        pins.unpin(self._sources.store(), self._prefix, key)
        return self._repinned(backup_id, key, None)

    def check_wanted(self, backup_key: str) -> None:
        """Refuse what no restore would find: it takes `latest`, a file name, or a key below the prefix.

        Raises:
            BackupUnknown: it is none of these.
        """
        wanted = backup_key.strip()
        key = wanted if "/" in wanted else f"{self._prefix}{wanted}"
        if wanted != "latest" and not is_backup_key(self._prefix, key):
            raise BackupUnknown(
                f"backup_key {wanted[:SHOWN]!r} is no backup below {self._prefix}",
                hint="give `latest`, a file name or a key",
            )

    def catch_up(self, run: RunStatus) -> None:
        """Read anew where a run has ended since the last reading: whoever follows it looks next for what it brought."""
        if run.ended_at and run.ended_at > self._view.get().read_at - CLOCKS_DIFFER:
            self._caught_up.get((run.dag_id, run.run_id, run.ended_at), self._view.renew)

    @property
    def _prefix(self) -> str:
        return self._sources.settings.s3.prefix

    def _repinned(self, backup_id: str, key: str, reason: str | None) -> BackupEntry:
        """Listed at once; reading bucket and history anew, for what else may have changed, keeps nobody waiting."""
        view = self._view.change(lambda view: repinned(self._sources, view, key, reason))
        return _line(view, backup_id).entry


def _line(view: View, backup_id: str) -> Line:
    found = view.by_id.get(backup_id)
    if found is not None:
        return found
    # Bucket and history may know it by different ids: who has one of theirs must not be told that there is none.
    for is_read, unavailable, source in (
        (view.has_history, DatabaseUnavailable, "history"),
        (view.has_bucket, StoreUnavailable, "bucket"),
    ):
        if not is_read:
            fact = f"backup {backup_id[:SHOWN]!r} is not known while the {source} cannot be read"
            raise unavailable(fact, hint=f"reload the list of backups, or try again when the {source} can be read")
    raise BackupUnknown(f"there is no backup {backup_id[:SHOWN]!r}", hint="reload the list of backups")
