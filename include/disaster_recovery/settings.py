"""Typed settings, read once from `include/config/collabhunts.yaml` or the file named by `DISASTER_RECOVERY_CONFIG`."""

import os
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from include.disaster_recovery.errors import SettingsError

CONFIG_VARIABLE = "DISASTER_RECOVERY_CONFIG"
PROJECT_ROOT = Path(__file__).resolve().parents[2]
DEFAULT_FILE = PROJECT_ROOT / "include" / "config" / "collabhunts.yaml"

MIB = 1024 * 1024
WEEK_HOURS = 8 * 24  # from one weekly drill to the next, with a day for the backup and the drill themselves
BUCKET_NAME = r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$"  # Amazon S3 user guide, "bucket naming rules"
KEY_PREFIX = r"^([A-Za-z0-9_=-][A-Za-z0-9_=.-]*/)+$"  # no empty, `.` or `..` part: some servers rename those

UNION_BRANCHES = ("literal['all']", "list[str]")  # how pydantic names those of tables.include inside a path

Compression = Literal["none", "gzip", "zstd"]
Purpose = Literal["backup", "restore", "verify", "drill", "retention", "watch", "preflight", "page"]
PositiveInt = Annotated[int, Field(gt=0)]
Count = Annotated[int, Field(ge=0)]
ConnId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]{1,250}$")]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class S3Settings(_Section):
    """Where backups are kept. `region` empty means the connection's, else `AWS_REGION`.

    `connections` gives a DAG, or the page, an identity of its own: another Airflow connection than `collabhunts_s3`.
    """

    bucket: str = Field(default="collabhunts-backups", pattern=BUCKET_NAME)
    prefix: str = Field(default="backups/", pattern=KEY_PREFIX)
    staging_prefix: str = Field(default="staging/", pattern=KEY_PREFIX)
    region: str | None = None
    sse: Literal["AES256", "aws:kms"] | None = "AES256"
    kms_key_id: str | None = None
    connections: dict[Purpose, ConnId] = {}

    @model_validator(mode="after")
    def _consistent(self) -> "S3Settings":
        if self.kms_key_id and self.sse != "aws:kms":
            raise ValueError(f"kms_key_id is set but sse is {self.sse!r}, not 'aws:kms'")
        if self.prefix.startswith(self.staging_prefix) or self.staging_prefix.startswith(self.prefix):
            raise ValueError(f"prefix {self.prefix!r} and staging_prefix {self.staging_prefix!r} lie inside each other")
        return self


class SigningSettings(_Section):
    """The Airflow connection whose key signs manifests, further ones whose keys are accepted; null: nothing is signed.

    Documents opened before `unsigned_before` may be unsigned.
    """

    conn_id: ConnId | None = None
    accepted_conn_ids: list[ConnId] = []
    unsigned_before: AwareDatetime | None = None

    @model_validator(mode="after")
    def _consistent(self) -> "SigningSettings":
        if self.conn_id is None and (self.accepted_conn_ids or self.unsigned_before):
            raise ValueError("conn_id is null: accepted_conn_ids and unsigned_before mean nothing without it")
        if len({self.conn_id, *self.accepted_conn_ids}) <= len(self.accepted_conn_ids):
            raise ValueError(
                "accepted_conn_ids names a connection twice, or the one of conn_id, which is accepted anyway"
            )
        return self


class TableSettings(_Section):
    """Which tables are backed up: a list of names, or `all` of `schemas` minus `exclude`."""

    include: Literal["all"] | list[str] = Field(default="all")
    exclude: list[str] = []
    schemas: list[str] = Field(default=["public"], min_length=1)
    auth: bool = True

    @model_validator(mode="after")
    def _consistent(self) -> "TableSettings":
        if self.include == []:
            raise ValueError("include is empty: nothing would be backed up")
        if self.include != "all" and len(set(self.include)) != len(self.include):
            raise ValueError("include names a table twice")
        return self


class ExtractSettings(_Section):
    """How tables are cut into fragments. Bytes are on-disk bytes of the table with its TOAST."""

    split_bytes: int = Field(default=256 * MIB, ge=MIB)
    lock_timeout_seconds: PositiveInt = 60
    snapshot_start_seconds: PositiveInt = 180
    snapshot_idle_seconds: PositiveInt = 3600


class PostgresSettings(_Section):
    """Where a `pg_dump` may be found beside PATH and the embedded wheel."""

    pg_dump: str | None = None


class SupabaseSettings(_Section):
    """The platform's project: its id, and the folder with `config.toml` and `functions/`."""

    project_id: str = "collabhunts"
    folder: str = "include/supabase"


class DrillSettings(_Section):
    """How often the backup asset starts a drill, and of how large a document. One triggered by hand always runs."""

    every: Literal["backup", "day", "week"] = "backup"
    max_bytes: PositiveInt | None = None


class RetentionSettings(_Section):
    """Which backups are kept. Units are in the names; the `keep_*` are those of restic's `forget`, in UTC."""

    keep_last: Count = 0
    keep_daily: Count = 7
    keep_weekly: Count = 4
    keep_monthly: Count = 12
    keep_within_days: PositiveInt | None = None
    minimum_redundancy: PositiveInt = 1
    unverified_grace_days: PositiveInt = 7
    failed_rows_days: PositiveInt = 90
    reports_days: PositiveInt = 400

    @model_validator(mode="after")
    def _keeps_something(self) -> "RetentionSettings":
        if not (self.keep_last or self.keep_daily or self.keep_weekly or self.keep_monthly or self.keep_within_days):
            raise ValueError("every keep_* is 0 or null: the policy would keep nothing")
        return self


class LifecycleSettings(_Section):
    """Rules that the bucket itself applies, as a net below the package's own tidying; days."""

    incomplete_upload_days: PositiveInt = 2
    staging_days: PositiveInt = 1
    noncurrent_days: PositiveInt = 30
    expired_days: PositiveInt = 30


class AnomalySettings(_Section):
    """When the size, the rows or the duration of a backup are unusual for its own history."""

    backups: PositiveInt = 20
    least_backups: PositiveInt = 5
    deviations: Annotated[float, Field(gt=0)] = 6.0
    least_change: Annotated[float, Field(ge=0, le=1)] = 0.2
    least_rows: Count = 100
    least_bytes: Count = MIB
    least_seconds: Count = 60


class WatchSettings(_Section):
    """When the newest backup, and the newest drill that proved one, are too old."""

    late_hours: PositiveInt = 26
    unproven_hours: PositiveInt | None = 50


class SmtpChannel(_Section):
    """Mail, through an Airflow connection of type smtp."""

    conn_id: ConnId = "collabhunts_smtp"
    to: list[str] = Field(min_length=1)
    from_email: str | None = None


class SnsChannel(_Section):
    """A topic of Amazon SNS, through an Airflow connection of type aws."""

    topic_arn: str = Field(pattern=r"^arn:")
    conn_id: ConnId = "collabhunts_s3"
    region: str | None = None


class SlackChannel(_Section):
    """A Slack incoming webhook, through an Airflow connection of type slackwebhook; needs the slack provider."""

    conn_id: ConnId = "collabhunts_slack"


class WebhookChannel(_Section):
    """Any HTTP endpoint that takes a JSON object, through an Airflow connection of type http."""

    conn_id: ConnId = "collabhunts_webhook"
    endpoint: str = ""


class CloudWatchChannel(_Section):
    """Metrics in Amazon CloudWatch, through an Airflow connection of type aws."""

    namespace: str = Field(default="CollabHunts/DisasterRecovery", min_length=1, max_length=255)
    conn_id: ConnId = "collabhunts_s3"
    region: str | None = None


class AlertSettings(_Section):
    """Who hears of trouble; with nothing configured it is in the log and in the history only."""

    smtp: SmtpChannel | None = None
    sns: SnsChannel | None = None
    slack: SlackChannel | None = None
    webhook: WebhookChannel | None = None
    cloudwatch: CloudWatchChannel | None = None


class Settings(_Section):
    """All settings; see `include/config/collabhunts.yaml` for the meaning of each."""

    s3: S3Settings = S3Settings()
    compression: Compression = "none"
    signing: SigningSettings = SigningSettings()
    tables: TableSettings = TableSettings()
    extract: ExtractSettings = ExtractSettings()
    postgres: PostgresSettings = PostgresSettings()
    supabase: SupabaseSettings = SupabaseSettings()
    drill: DrillSettings = DrillSettings()
    retention: RetentionSettings = RetentionSettings()
    lifecycle: LifecycleSettings = LifecycleSettings()
    anomalies: AnomalySettings = AnomalySettings()
    watch: WatchSettings = WatchSettings()
    alerts: AlertSettings = AlertSettings()

    @model_validator(mode="after")
    def _consistent(self) -> "Settings":
        if self.drill.every == "week" and (self.watch.unproven_hours or WEEK_HOURS) < WEEK_HOURS:
            raise ValueError(
                f"drill.every is week, but watch.unproven_hours is {self.watch.unproven_hours}:"
                f" every drill would be late, give it {WEEK_HOURS} or more, or null"
            )
        return self

    def supabase_folder(self) -> Path:
        """The `supabase/` folder; relative paths start at the project root."""
        return PROJECT_ROOT / self.supabase.folder


def load_settings(file: Path | None = None) -> Settings:
    """Read and validate the settings.

    Args:
        file: the YAML file; by default the one `DISASTER_RECOVERY_CONFIG` names, else the package's own.

    Raises:
        SettingsError: the file is missing, is no YAML mapping, or a value is wrong; all wrong values are named.
    """
    path = file or Path(os.environ.get(CONFIG_VARIABLE) or DEFAULT_FILE)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(
            f"settings file {path} cannot be read: {error.strerror}",
            hint=f"create it, or point {CONFIG_VARIABLE} at an existing file",
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"settings file {path} is not valid YAML: {error}", hint="mend the line named") from error
    return _validated(content, path)


def _validated(content: object, path: Path) -> Settings:
    try:
        return Settings.model_validate({} if content is None else content)
    except ValidationError as error:
        wrong = _wrong_values(error)
        raise SettingsError(
            f"settings file {path} has {len(wrong)} wrong value(s): {'; '.join(wrong)}",
            hint="compare with include/config/collabhunts.yaml, which documents every setting",
        ) from None


def _wrong_values(error: ValidationError) -> list[str]:
    """Each wrong value once, by its path in the file: `s3.bucket: what is wrong`."""
    found: dict[str, list[str]] = {}
    for each in error.errors():
        path = ".".join(str(step) for step in each["loc"] if step not in UNION_BRANCHES)
        found.setdefault(path or "file", []).append(each["msg"])
    return [f"{path}: {' or '.join(messages)}" for path, messages in found.items()]
