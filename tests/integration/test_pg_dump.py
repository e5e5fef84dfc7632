"""Which pg_dump a backup takes: the newest there is, never one older than the server."""

from __future__ import annotations

import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from include.disaster_recovery.errors import (
    DatabaseUnavailable,
    DescriptionFailed,
    PreflightFailed,
    SnapshotLost,
    TableLocked,
)
from include.disaster_recovery.postgres import pg_dump
from include.disaster_recovery.postgres.pg_dump import find_pg_dump
from tests.support.rig import Rig

ROOT = Path(__file__).parents[2]


def script(folder: Path, text: str) -> str:
    path = folder / f"pg_dump_{secrets.token_hex(4)}"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_newest_pg_dump_is_taken_even_if_the_settings_name_an_old_one(tmp_path: Path):
    old = script(tmp_path, "echo 'pg_dump (PostgreSQL) 9.6.24'")
    assert find_pg_dump(old, server_major=17).version >= (17, 0)


def test_pg_dump_of_the_settings_is_taken_if_it_is_the_newest(tmp_path: Path):
    new = script(tmp_path, "echo 'pg_dump (PostgreSQL) 98.1 (Debian 98.1-1)'")
    found = find_pg_dump(new, server_major=17)
    assert (found.path, found.version) == (new, (98, 1))


@pytest.mark.parametrize("text", ["exit 1", "echo nonsense", "printf '\\377\\376'"])
def test_program_that_is_no_pg_dump_is_passed_over(tmp_path: Path, text: str):
    assert find_pg_dump(script(tmp_path, text), server_major=17).version >= (17, 0)


def test_pg_dump_older_than_the_server_is_refused_with_what_to_install(tmp_path: Path):
    old = script(tmp_path, "echo 'pg_dump (PostgreSQL) 9.6.24'")
    with pytest.raises(PreflightFailed, match=r"the newest pg_dump is \d+\.\d+, the server is 99") as caught:
        find_pg_dump(old, server_major=99)
    assert "install postgresql-client-99" in caught.value.hint


def test_absent_pg_dump_is_refused():
    """In a Python without site-packages there is no wheel, on an empty PATH no program; Debian's folder may have some."""
    code = "from include.disaster_recovery.postgres.pg_dump import find_pg_dump; find_pg_dump(None, server_major=99)"
    ran = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env={"PATH": "", "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    installed = any(Path("/usr/lib/postgresql").glob("*/bin/pg_dump"))
    assert ("the newest pg_dump is" if installed else "there is no pg_dump, the server is 99") in ran.stderr
    assert "install postgresql-client-99" in ran.stderr


@pytest.mark.parametrize(
    "said, kind",
    [
        ('pg_dump: error: query failed: ERROR:  snapshot "00000005-00000004-1" does not exist', SnapshotLost),
        ("pg_dump: error: query failed: ERROR:  canceling statement due to lock timeout", TableLocked),
        ('pg_dump: error: connection to server at "::1", port 1 failed: Connection refused', DatabaseUnavailable),
        ("pg_dump: error: query failed: SSL SYSCALL error: EOF detected", DatabaseUnavailable),
        ("pg_dump: error: query failed: could not receive data from server: Connection reset", DatabaseUnavailable),
        ("pg_dump: error: query failed: ERROR:  permission denied for schema secret", DescriptionFailed),
        ("", DescriptionFailed),
    ],
)
def test_what_pg_dump_says_tells_whether_another_try_may_help(said: str, kind: type[Exception]) -> None:
    assert type(pg_dump._failure(said)) is kind


def test_a_snapshot_nobody_holds_is_lost_not_a_broken_schema(rig: Rig) -> None:
    dump = pg_dump.find_pg_dump(None, server_major=17)
    with pytest.raises(SnapshotLost, match=r"pg_dump failed: .*snapshot"):
        pg_dump.dump_section(
            dump, rig.parameters, section="pre-data", schemas=["public"], snapshot_id="00000003-0000001B-1"
        )
