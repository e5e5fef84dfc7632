"""What the page says of a source that is out of reach: enough to act on, no address and no login."""

import pytest

from include.disaster_recovery.dashboard.attempts import attempt, without_address
from include.disaster_recovery.errors import StoreUnavailable


@pytest.mark.parametrize(
    "fact, shown",
    [
        (
            'connection collabhunts_db to db.example.org:5432/postgres failed: FATAL: password authentication failed for user "backup"',
            "connection collabhunts_db failed",
        ),
        ("connection collabhunts_db to 10.0.0.7:5432/x failed: could not\nconnect", "connection collabhunts_db failed"),
        (
            'LIST s3://b/backups/ failed: Could not connect to the endpoint URL: "http://10.0.0.8:9000/b?list-type=2"',
            "LIST s3://b/backups/ failed: Could not connect to the endpoint URL: the S3 server",
        ),
        ("backup_history cannot be read: permission denied", "backup_history cannot be read: permission denied"),
    ],
)
def test_an_address_is_not_shown(fact: str, shown: str):
    assert without_address(fact) == shown


def test_a_source_that_fails_is_told_without_its_address():
    def fail() -> None:
        raise StoreUnavailable("GET https://10.0.0.8/x failed", hint="check it")

    found, trouble = attempt("bucket", fail)
    assert found is None
    assert trouble is not None
    assert (trouble.fact, trouble.hint) == ("GET the S3 server failed", "check it")
