"""The shipped IAM policies, enforced by a real S3 server: what each identity does works, and nothing else does."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from botocore.exceptions import ClientError

from include.demo.stack.s3_server import S3Server
from include.disaster_recovery.backup_record import proof_of, verification_of
from include.disaster_recovery.dashboard.downloading import presign
from include.disaster_recovery.s3 import incidents, pins
from include.disaster_recovery.s3.records import list_records
from include.disaster_recovery.s3.tags import read_tags
from include.disaster_recovery.settings import Settings
from include.disaster_recovery.steps.restore.comparing import compare, write_report
from include.disaster_recovery.steps.retention.bucket_rules import check_rules
from include.disaster_recovery.steps.retention.tidying import tidy
from include.disaster_recovery.steps.watch.age import look_at_ages
from include.disaster_recovery.steps.watch.backup import look_at_backup
from tests.support import policies
from tests.support.drill_rig import DrillRig
from tests.support.planted import plant
from tests.support.policies import BUCKET, store_of
from tests.support.restore_rig import RestoreRig, everything
from tests.support.retention_rig import NOW, RetentionRig
from tests.support.rig import Rig
from tests.support.verify_rig import VerifyRig

A_BACKUP = "backups/collabhunts-backup-2026-03-14T00-00-00-000Z.json"
SOMEBODY_ELSES = "payroll/2026.csv"
PREFIX = "backups/"


@pytest.fixture(scope="module")
def governed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A server whose bucket has its policy, less the statement for TLS: it speaks plain HTTP here."""
    for server in policies.governed_server(tmp_path_factory.mktemp("governed")):
        policies.put_bucket_policy(server, "DenyPlainHttp")
        yield server


@pytest.fixture
def bucket(governed: S3Server) -> Iterator[S3Server]:
    """The bucket with one backup and somebody else's object; what else is in it afterwards is removed."""
    admin = store_of(governed, "admin")
    if admin.head(A_BACKUP) is None:
        plant(admin, PREFIX, [NOW.replace(hour=0)], now=NOW)
        admin.put(SOMEBODY_ELSES, b"secret")
    yield governed
    admin.abort_uploads("")
    admin.delete(set(admin.keys("")) - {A_BACKUP, SOMEBODY_ELSES})


@pytest.fixture
def writer(tables: Rig, bucket: S3Server) -> Rig:
    """The source database, and the bucket as the backup's identity reaches it."""
    return replace(tables, store=store_of(bucket, "backup"))


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Steps carry on without what they may not do, and log it: here nothing may be refused at all."""
    caplog.set_level(logging.WARNING, "include.disaster_recovery")
    yield caplog
    said = [record.getMessage() for record in caplog.get_records("call")]
    assert [text for text in said if "AccessDenied" in text or "failed: 403" in text] == []


def now() -> datetime:
    return datetime.now(timezone.utc)


def test_backup_is_written_verified_and_tidied_up_by_the_writer(big: Rig, bucket: S3Server, quiet: Any):
    writer = replace(big, store=store_of(bucket, "backup"))  # large enough to be composed of what is staged
    done = writer.backup()
    assert done.document.parts_copied > 0
    assert done.verdict.valid
    look = look_at_backup(writer.connect, writer.store, writer.settings, done.run.key, [])
    admin = store_of(bucket, "admin")
    assert look.numbers["BackupBytes"] == done.document.size
    assert verification_of(read_tags(admin, done.run.key) or {}) is not None
    assert admin.keys("staging/") == []


def test_restore_reads_leases_and_reports_as_the_reader(writer: Rig, bucket: S3Server, quiet: Any):
    done = writer.backup()
    with writer.connect() as connection:
        before = everything(connection)
        connection.execute("delete from public.second")
    reader = replace(RestoreRig.into(writer), store=store_of(bucket, "restore"))
    restored = reader.restore(backup_key="latest", tables=["first", "second", "third"])
    assert (restored.plan.run.key, restored.of("second")[0]) == (done.run.key, 50)
    with writer.connect() as connection:
        assert everything(connection)["public.second"] == before["public.second"]
    assert store_of(bucket, "admin").keys("backups/in-use/") == []


def test_report_of_a_restore_is_kept_by_the_reader(writer: Rig, bucket: S3Server, quiet: Any):
    done, reader = writer.backup(), replace(RestoreRig.into(writer), store=store_of(bucket, "restore"))
    plan, units = reader.plan()
    reader.load_all(plan, units)
    staged, applied = reader.check(plan), reader.apply(plan)
    with reader.connect() as connection:
        report = compare(
            connection,
            reader.store,
            plan,
            staged,
            applied,
            approved_by=None,
            skipped_objects=[],
            started_at=plan.run.opened_at,
            now=now,
        )
    reader.clean_up(plan)
    key = write_report(reader.store, PREFIX, report)
    assert report.run.key == done.run.key
    assert store_of(bucket, "admin").keys("backups/restores/") == [key]


def test_verify_and_drill_keep_their_verdicts_by_their_own_identities(writer: Rig, bucket: S3Server, quiet: Any):
    key = writer.backup().run.key
    verifier = VerifyRig.of(replace(writer, store=store_of(bucket, "verify")))
    assert verifier.verify(key).valid
    assert verifier.tagged(key) is not None
    report = replace(DrillRig.of(writer), store=store_of(bucket, "drill")).drill()
    admin = store_of(bucket, "admin")
    assert (report.key, report.state) == (key, "proven")
    assert proof_of(read_tags(admin, key) or {}) is not None
    assert len(admin.keys("backups/drills/")) == 1
    assert admin.keys("backups/in-use/") == []


def test_retention_expires_and_tidies_as_retention(writer: Rig, bucket: S3Server, quiet: Any):
    admin = store_of(bucket, "admin")
    keys = plant(admin, PREFIX, 12, now=NOW)
    pins.pin(admin, PREFIX, keys[0], reason="the audit", by="auditor", now=NOW)
    admin.put(
        f"backups/restores/2020-01-01T00-00-00-000Z-of-{keys[0].partition('/')[2].removesuffix('.json')}.json", b"{}"
    )
    retention = RetentionRig(replace(writer, store=store_of(bucket, "retention"))).keeping(keep_last=3)
    retention.add_rows(keys)
    report = retention.run()
    assert len(report.expired) == 8
    assert retention.keys() == [keys[0], *keys[-3:]]
    with writer.connect() as connection:
        removed = tidy(connection, retention.store, retention.settings, is_active=lambda _: False, now=NOW)
    assert removed["reports"] == 1
    assert check_rules(retention.store, retention.settings, apply=False).refused is None


def test_what_retention_has_deleted_is_still_there_as_an_old_version_that_nobody_may_delete(
    bucket: S3Server, writer: Rig
):
    admin = bucket.client("admin")
    key = plant(store_of(bucket, "admin"), PREFIX, [NOW.replace(day=1, hour=0)], now=NOW)[0]
    whole = admin.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    retention = RetentionRig(replace(writer, store=store_of(bucket, "retention"))).keeping(keep_last=1)
    retention.add_rows([key])
    assert retention.run().expired == [key]
    found = admin.list_object_versions(Bucket=BUCKET, Prefix=key)
    (version,) = [each["VersionId"] for each in found["Versions"]]
    (marker,) = [each["VersionId"] for each in found["DeleteMarkers"]]
    for identity in policies.IDENTITIES:
        with pytest.raises(ClientError) as caught:
            bucket.client(identity).delete_object(Bucket=BUCKET, Key=key, VersionId=version)
        assert caught.value.response["Error"]["Code"] == "AccessDenied"
    admin.delete_object(Bucket=BUCKET, Key=key, VersionId=marker)
    assert admin.get_object(Bucket=BUCKET, Key=key)["Body"].read() == whole


@pytest.fixture
def locking(bucket: S3Server) -> Iterator[S3Server]:
    """The bucket with `object_lock_days` 1."""
    configured: dict[str, Any] = {"ObjectLockEnabled": "Enabled"}
    rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}
    client: Any = bucket.client("admin")
    client.put_object_lock_configuration(Bucket=BUCKET, ObjectLockConfiguration={**configured, "Rule": rule})
    yield bucket
    client.put_object_lock_configuration(Bucket=BUCKET, ObjectLockConfiguration=configured)


def test_default_lock_keeps_backups_from_retention_and_nothing_from_being_tidied_up(
    locking: S3Server, writer: Rig, quiet: Any
):
    key, admin = writer.backup().run.key, store_of(locking, "admin")
    assert admin.keys("staging/") == []
    later = plant(admin, PREFIX, [now() + timedelta(minutes=1)], now=now())[0]
    retention = RetentionRig(replace(writer, store=store_of(locking, "retention")), now=now()).keeping(keep_last=1)
    retention.add_rows([later])
    report = retention.run()
    assert key not in report.expired
    assert "locked by Object Lock until" in str(report.to_json())
    assert {key, later} <= set(retention.keys())


def test_watch_and_page_see_the_backups_as_themselves(bucket: S3Server, writer: Rig, quiet: Any):
    ages = look_at_ages(writer.connect, store_of(bucket, "watch"), Settings(), NOW)
    assert (ages.kept, ages.verified) == (1, A_BACKUP)
    page = store_of(bucket, "page")
    pins.pin(page, PREFIX, A_BACKUP, reason="the audit", by="auditor", now=NOW)
    assert [record.pinned for record in list_records(page, PREFIX, NOW)] == ["the audit"]
    pins.unpin(page, PREFIX, A_BACKUP)
    assert presign(page, A_BACKUP, "backup.json").url


@pytest.mark.parametrize("identity", [name for name, several in policies.IDENTITIES.items() if "alerts" in several])
def test_every_identity_that_alerts_may_raise_and_end_an_alarm(bucket: S3Server, identity: str):
    own = store_of(bucket, identity)
    assert incidents.report(own, PREFIX, "backup-late", identity, "a fact", NOW)
    incidents.told(own, PREFIX, "backup-late", [identity])
    assert [each.subject for each in incidents.open_incidents(own, PREFIX, "backup-late")] == [identity]
    assert incidents.close(own, PREFIX, "backup-late", identity) is not None


Attempt = Callable[[Any], Any]


def get(key: str) -> Attempt:
    return lambda client: client.get_object(Bucket=BUCKET, Key=key)


def put(key: str) -> Attempt:
    return lambda client: client.put_object(Bucket=BUCKET, Key=key, Body=b"x", ServerSideEncryption="AES256")


def delete(key: str) -> Attempt:
    return lambda client: client.delete_object(Bucket=BUCKET, Key=key)


def upload(key: str) -> Attempt:
    return lambda client: client.create_multipart_upload(Bucket=BUCKET, Key=key)


def copied(source: str, key: str) -> Attempt:
    return lambda client: client.copy_object(Bucket=BUCKET, Key=key, CopySource={"Bucket": BUCKET, "Key": source})


def listed(prefix: str) -> Attempt:
    return lambda client: client.list_objects_v2(Bucket=BUCKET, Prefix=prefix)


def tag(key: str) -> Attempt:
    tags = {"TagSet": [{"Key": "verification", "Value": "valid"}]}
    return lambda client: client.put_object_tagging(Bucket=BUCKET, Key=key, Tagging=tags)


def set_policy(client: Any) -> Any:
    return client.delete_bucket_policy(Bucket=BUCKET)


REPORT, LEASE, PIN = "backups/restores/r.json", "backups/in-use/a.0123456789abcdef", "backups/pinned/a.json"
REFUSED: list[tuple[str, str, Attempt]] = [
    ("backup", "deletes a backup", delete(A_BACKUP)),
    ("backup", "deletes a pin", delete(PIN)),
    ("backup", "deletes a report", delete(REPORT)),
    ("backup", "reads another prefix", get(SOMEBODY_ELSES)),
    ("backup", "copies from another prefix", copied(SOMEBODY_ELSES, "staging/stolen")),
    ("backup", "lists another prefix", listed("payroll/")),
    ("backup", "lists the whole bucket", listed("")),
    ("backup", "writes another prefix", put(SOMEBODY_ELSES)),
    ("backup", "uploads to another prefix", upload(SOMEBODY_ELSES)),
    ("backup", "changes the bucket's policy", set_policy),
    ("restore", "writes a backup", put(A_BACKUP)),
    ("restore", "opens an upload of a backup", upload(A_BACKUP)),
    ("restore", "deletes a backup", delete(A_BACKUP)),
    ("restore", "tags a backup", tag(A_BACKUP)),
    ("restore", "reads another prefix", get(SOMEBODY_ELSES)),
    ("restore", "unpins a backup", delete(PIN)),
    ("restore", "deletes a report", delete(REPORT)),
    ("verify", "writes a backup", put(A_BACKUP)),
    ("verify", "deletes a backup", delete(A_BACKUP)),
    ("verify", "takes a lease", put(LEASE)),
    ("drill", "writes a backup", put(A_BACKUP)),
    ("drill", "deletes a backup", delete(A_BACKUP)),
    ("drill", "writes a restore's report", put(REPORT)),
    ("retention", "deletes outside the prefix", delete(SOMEBODY_ELSES)),
    ("retention", "deletes what is staged", delete("staging/2026-03-14T00-00-00-000Z/claim")),
    ("retention", "writes a backup", put(A_BACKUP)),
    ("retention", "reads another prefix", get(SOMEBODY_ELSES)),
    ("watch", "writes a backup", put(A_BACKUP)),
    ("watch", "deletes a backup", delete(A_BACKUP)),
    ("watch", "tags a backup", tag(A_BACKUP)),
    ("preflight", "reads a backup", get(A_BACKUP)),
    ("preflight", "deletes a backup", delete(A_BACKUP)),
    ("preflight", "changes the bucket's policy", set_policy),
    ("page", "writes a backup", put(A_BACKUP)),
    ("page", "deletes a backup", delete(A_BACKUP)),
    ("page", "reads another prefix", get(SOMEBODY_ELSES)),
]


@pytest.mark.parametrize(
    "identity, attempt", [(who, what) for who, _, what in REFUSED], ids=[f"{who} {text}" for who, text, _ in REFUSED]
)
def test_refused(bucket: S3Server, identity: str, attempt: Attempt):
    admin = store_of(bucket, "admin")
    before = {key: admin.head(key) for key in admin.keys("")}
    with pytest.raises(ClientError) as caught:
        attempt(bucket.client(identity))
    assert caught.value.response["Error"]["Code"] == "AccessDenied"
    assert {key: admin.head(key) for key in admin.keys("")} == before


def test_deleting_many_at_once_is_refused_key_by_key(bucket: S3Server):
    answer = bucket.client("backup").delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": A_BACKUP}]})
    assert [error["Code"] for error in answer["Errors"]] == ["AccessDenied"]
    assert store_of(bucket, "admin").head(A_BACKUP) is not None


@pytest.mark.parametrize(
    "wanted",
    [{"ServerSideEncryption": "aws:kms"}, {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}],
    ids=["another algorithm", "a key of the client's"],
)
def test_another_encryption_than_the_buckets_own_is_refused(bucket: S3Server, wanted: dict[str, str]):
    with pytest.raises(ClientError) as caught:
        bucket.client("backup").put_object(Bucket=BUCKET, Key="staging/x", Body=b"x", **wanted)
    assert caught.value.response["Error"]["Code"] == "AccessDenied"


def test_plain_http_is_refused_to_everybody(governed: S3Server):
    """In a bucket of its own: not even an administrator gets past it, to take it away again."""
    governed.create_bucket("plain-http")
    document = policies.rendered("bucket").replace(BUCKET, "plain-http")
    admin = governed.client("admin")
    admin.put_bucket_policy(Bucket="plain-http", Policy=document)
    for attempt in (
        lambda: admin.put_object(Bucket="plain-http", Key="staging/x", Body=b"x"),
        lambda: admin.list_objects_v2(Bucket="plain-http"),
        lambda: admin.get_bucket_policy(Bucket="plain-http"),
    ):
        with pytest.raises(ClientError) as caught:
            attempt()
        assert caught.value.response["Error"]["Code"] == "AccessDenied"
