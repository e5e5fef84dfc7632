"""What docs/format.md tells somebody without our software to do, done: its programs, as printed, on the golden documents."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from include.demo.stack.postgres_server import PostgresServer
from include.disaster_recovery.backup_key import backup_key
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.settings import Compression
from include.disaster_recovery.signing import SigningKey
from tests.support import golden
from tests.support.documents import build_document

PAGE = Path(__file__).parents[2] / "docs" / "format.md"
PROGRAMS = ("check_signature.py", "read_backup.py", "restore_backup.py", "read_table.sh", "restore.sh")


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder with the page's programs."""
    blocks = re.findall(
        r"^```(?:python|sh)\n# ([a-z_.]+): (.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    assert sorted(name for name, _ in blocks) == sorted(PROGRAMS)
    for name, text in blocks:
        (tmp_path / name).write_text(f"# {text}", encoding="utf-8")
    return tmp_path


def run(folder: Path, *command: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """As somebody would who has no package of ours: not in the project's folder, not with its PYTHONPATH."""
    places = [str(Path(sys.executable).parent), *([str(path)] if path else []), os.environ["PATH"]]
    environment = {"PATH": os.pathsep.join(places), "LC_ALL": "C.UTF-8"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done


def rows(printed: str) -> list[Any]:
    """Of one array after the other: a row may hold line breaks, so lines mean nothing."""
    found, at = [], 0
    while at < len(printed):
        fragment, at = json.JSONDecoder().raw_decode(printed, at)
        found += fragment
        at += len("\n")
    return found


@pytest.mark.parametrize("document", golden.DOCUMENTS)
def test_one_table_is_read_from_a_file(programs: Path, document: str) -> None:
    tables = json.loads(golden.stored("backup-v1.json"))["tables"]
    for name, table in tables.items():
        done = run(programs, sys.executable, "read_backup.py", str(golden.FOLDER / document), name)
        assert rows(done.stdout) == table["rows"]


@pytest.mark.parametrize("document", golden.DOCUMENTS)
def test_one_table_is_read_from_the_bucket_by_ranges(programs: Path, store: Store, document: str) -> None:
    tables = json.loads(golden.stored("backup-v1.json"))["tables"]
    store.put(golden.key_of(document), golden.stored(document))
    url = presigned(store, document)
    for name in ("many", "people", "nothing", "we\"ird %s {0} 'name"):
        assert rows(run(programs, sys.executable, "read_backup.py", url, name).stdout) == tables[name]["rows"]


@pytest.mark.skipif(
    not (shutil.which("curl") and shutil.which("jq")),
    reason="curl or jq is not here; the page's own Python reads the same ranges",
)
def test_one_table_is_read_with_curl_and_jq(programs: Path, store: Store) -> None:
    tables = json.loads(golden.stored("backup-v1.json"))["tables"]
    store.put(golden.key_of("backup-v1.json"), golden.stored("backup-v1.json"))
    for name in ("many", "nothing", "we\"ird %s {0} 'name"):
        done = run(programs, "sh", "read_table.sh", presigned(store, "backup-v1.json"), name)
        assert [json.loads(line) for line in done.stdout.split("\n") if line] == tables[name]["rows"]


def presigned(store: Store, document: str) -> str:
    wanted = {"Bucket": store.bucket, "Key": golden.key_of(document)}
    return str(store.client.generate_presigned_url("get_object", Params=wanted))


@pytest.mark.parametrize("document", golden.DOCUMENTS)
def test_everything_is_restored_with_psql(programs: Path, postgres_server: PostgresServer, document: str) -> None:
    with golden.new_project(postgres_server, f"by_hand_{secrets.token_hex(4)}") as target:
        run(programs, "sh", "restore.sh", str(golden.FOLDER / document), target, path=postgres_server.bin_dir)
        assert golden.contents(target) == golden.expected()
        assert sequences(target, postgres_server.bin_dir) == {
            "invoice_number": "1007",
            "numbers_by_default_seq": "5",
            "numbers_n_seq": "1000",
            "numbers_serial_number_seq": "5",
            "unused_number": "",
        }


def sequences(target: str, path: Path) -> dict[str, str]:
    query = "select sequencename, last_value from pg_sequences where schemaname = 'public'"
    done = run(Path("/"), "psql", "-XAt", "--dbname", target, "--command", query, path=path)
    return dict(line.split("|") for line in done.stdout.splitlines())


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_a_signature_is_checked_by_hand(
    programs: Path, monkeypatch: pytest.MonkeyPatch, compression: Compression
) -> None:
    key = SigningKey(key_id="2026-11", secret=secrets.token_urlsafe(32).encode())
    name = backup_key("", datetime(2026, 11, 23, tzinfo=timezone.utc), compression)
    built = build_document(compression=compression, sign=lambda offset, body: key.sign(f"backups/{name}", offset, body))
    (programs / name).write_bytes(built.data)
    (programs / f"other-{name}").write_bytes(built.data)
    (programs / f"unsigned-{name}").write_bytes(build_document(compression=compression).data)
    monkeypatch.setenv("SECRET", key.secret.decode())

    def said(file: str) -> str:
        command = [sys.executable, "check_signature.py", file]
        return subprocess.run(command, cwd=programs, capture_output=True, text=True, check=False).stderr

    assert said(name) == ""
    assert said(f"other-{name}") == "the signature with key 2026-11 does not hold\n"
    assert said(f"unsigned-{name}") == "not signed\n"
    monkeypatch.setenv("SECRET", "another secret of thirty-two bytes")
    assert said(name) == "the signature with key 2026-11 does not hold\n"


def test_damaged_document_is_refused_by_the_page_s_reader(programs: Path) -> None:
    stored = golden.stored("backup-v1.json")
    (programs / "damaged.json").write_bytes(stored.replace(b"of derived", b"of Derived", 1))
    (programs / "truncated.json").write_bytes(stored[:-1])
    for name, said in (("damaged.json", "damaged: "), ("truncated.json", "no locator")):
        command = [sys.executable, "read_backup.py", name, "derived"]
        done = subprocess.run(command, cwd=programs, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert said in done.stderr
