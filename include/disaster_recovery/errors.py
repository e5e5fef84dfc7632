"""The error tree. Each error says a fact with its values, then a hint with the next action.

    DisasterRecoveryError
    ├── RetryableError            trying again, unchanged, may help
    │   ├── DatabaseUnavailable   the connection was refused, lost or timed out
    │   ├── BackupInProgress      another backup of the same database is running
    │   ├── RestoreInProgress     another restore into the same target is running
    │   ├── TableLocked           another session holds or awaits an exclusive lock
    │   └── StoreUnavailable      the S3 server failed, is full or could not be reached
    └── PermanentError            trying again, unchanged, never helps
        ├── SettingsError         the settings file or a connection is wrong
        ├── PreflightFailed       the environment cannot carry a backup
        ├── SnapshotLost          the exported snapshot is gone
        ├── SnapshotStarved       the other tasks of the run never got a slot
        ├── TableUnreadable       a table is missing, hidden or not exactly representable
        ├── DescriptionFailed     schema or edge functions could not be described
        ├── StoreRefused          the S3 server denied a request for good
        ├── BackupExists          an object with this key is already there
        ├── DocumentError         a document is truncated, foreign or damaged
        │   ├── NewerDocument     a document that a newer version of this package has written
        │   └── SignatureRefused  a document that nobody with an accepted key has signed
        ├── VerificationFailed    the stored bytes are not what was written
        ├── RestoreRefused        a restore as asked for is not possible; nothing was touched
        ├── RebuildFailed         the schema could not be rebuilt
        ├── StagingDiffers        what was staged is not what the manifest says
        │   └── StagingLost       what was staged is gone
        ├── RestoreFailed         the target refused the restore; everything was rolled back
        ├── ComparisonFailed      the restored target is not what the backup says
        ├── DrillFailed           a drill ended before its comparison
        ├── BackupLate            the newest backup is older than it should be
        ├── BackupUnknown         neither bucket nor history knows a backup, or a report, of that name
        └── RunRefused            Airflow did not start a run, or does not know it

Airflow's retry policy reads the two middle classes (`dags/`): permanent errors skip the remaining retries.
"""


class DisasterRecoveryError(Exception):
    """Base of every error this package raises on purpose.

    Args:
        fact: what happened, lower case, with the values that matter and no secret.
        hint: the next action for the person reading it.
    """

    def __init__(self, fact: str, *, hint: str) -> None:
        super().__init__(fact, hint)
        self.fact = fact
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.fact}\nhint: {self.hint}"

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.fact, self.hint)


def fact_of(error: BaseException) -> str:
    """An error in a line of a log: other libraries' by their type only, as their text may quote rows or secrets."""
    return error.fact if isinstance(error, DisasterRecoveryError) else type(error).__name__


def _rebuild(kind: type[DisasterRecoveryError], fact: str, hint: str) -> DisasterRecoveryError:
    return kind(fact, hint=hint)


class RetryableError(DisasterRecoveryError):
    """Trying again, unchanged, may help."""


class DatabaseUnavailable(RetryableError):
    """The database connection was refused, lost or timed out."""


class BackupInProgress(RetryableError):
    """Another backup of the same database is running."""


class RestoreInProgress(RetryableError):
    """Another restore into the same target, or an earlier try of this one, is running."""


class TableLocked(RetryableError):
    """Another session holds or awaits a lock that keeps readers out of the table."""


class StoreUnavailable(RetryableError):
    """The S3 server failed, is full or could not be reached."""


class PermanentError(DisasterRecoveryError):
    """Trying again, unchanged, never helps."""


class SettingsError(PermanentError):
    """The settings file or an Airflow connection is wrong."""


class PreflightFailed(PermanentError):
    """The environment cannot carry a backup; every failed check is listed."""


class SnapshotLost(PermanentError):
    """The exported snapshot is gone; only a fresh run can be consistent."""


class SnapshotStarved(PermanentError):
    """The snapshot is held but the tasks that should use it never started."""


class TableUnreadable(PermanentError):
    """A table is missing, hidden by row-level security or not exactly representable."""


class DescriptionFailed(PermanentError):
    """The schema or the edge functions could not be described."""


class StoreRefused(PermanentError):
    """The S3 server denied a request for good (permission, missing bucket, bad argument)."""


class BackupExists(PermanentError):
    """An object with this key is already there; no backup is ever overwritten."""


class DocumentError(PermanentError):
    """A document is truncated, foreign or damaged."""


class NewerDocument(DocumentError):
    """A document that a newer version of this package has written: nothing is known of its soundness."""


class SignatureRefused(DocumentError):
    """A document that nobody with an accepted signing key has signed, where the settings ask for it: is it ours?"""


class VerificationFailed(PermanentError):
    """The stored bytes are not what was written."""


class RestoreRefused(PermanentError):
    """A restore as asked for is not possible: a parameter, the backup or the target is wrong. Nothing was touched."""


class RebuildFailed(PermanentError):
    """The schema could not be rebuilt; what was created of it is removed again."""


class StagingDiffers(PermanentError):
    """What was staged is not what the manifest says; the target is untouched."""


class StagingLost(StagingDiffers):
    """What was staged is gone: removed by another restore, or lost in a crash of the server. No row was touched."""


class RestoreFailed(PermanentError):
    """The target refused the restore; the transaction was rolled back and the target is as it was."""


class ComparisonFailed(PermanentError):
    """The restored target is not what the backup says; every difference is listed."""


class BackupLate(PermanentError):
    """The newest backup is older than it should be; the alarm has been raised."""


class DrillFailed(PermanentError):
    """A drill ended before its comparison; the message says whether that tells anything of the backup."""


class BackupUnknown(PermanentError):
    """Neither bucket nor history knows a backup, or a report, of that name."""


class RunRefused(PermanentError):
    """Airflow did not start a run, or does not know it; `status` is its HTTP status."""

    def __init__(self, fact: str, *, hint: str, status: int = 502) -> None:
        super().__init__(fact, hint=hint)
        self.status = status
