"""What `make check` and `make audit` look for is found, and a database that cannot be asked is no all-clear."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
FLAWED = """
import pickle, ssl, subprocess, yaml

def read(text, name):
    yaml.load(text, Loader=yaml.Loader)
    pickle.loads(text)
    subprocess.run(name, shell=True)
    return ssl._create_unverified_context()

def find(cursor, name):
    return cursor.execute("select * from t where name = '%s'" % name)
"""


def audit(tmp_path: Path, says: str, code: int) -> subprocess.CompletedProcess[str]:
    """Run the script with a stand-in for pip-audit that says something and ends; it keeps its arguments."""
    tool = tmp_path / "pip-audit"
    tool.write_text(f"#!/bin/sh\necho \"$@\" >>{tmp_path}/arguments\necho '{says}' >&2\nexit {code}\n")
    tool.chmod(0o755)
    environment = {**os.environ, "PIP_AUDIT": str(tool), "AUDIT_ARGS": "--ignore-vuln X"}
    script = ["sh", str(PROJECT / "scripts" / "audit.sh")]
    return subprocess.run(script, env=environment, capture_output=True, text=True, check=False)


def test_every_lock_file_is_audited_and_nothing_unasked_passes(tmp_path: Path):
    assert audit(tmp_path, "No known vulnerabilities found", 0).returncode == 0
    calls = (tmp_path / "arguments").read_text().splitlines()
    assert [call.rpartition(" ")[2] for call in calls] == [
        "requirements.txt",
        "requirements-dev.txt",
        "requirements-image.txt",
    ]
    assert all("--strict" in call and "--ignore-vuln X" in call for call in calls)


def test_known_vulnerabilities_are_listed_and_fail(tmp_path: Path):
    done = audit(tmp_path, "Found 2 known vulnerabilities in 1 package", 1)
    assert done.returncode == 1
    assert done.stdout.count("Found 2 known vulnerabilities") == 3  # one lock file does not hide the next


@pytest.mark.parametrize(
    "says",
    [
        "requests.exceptions.ConnectionError: Failed to resolve",
        "ERROR:pip_audit._cli:idna: Dependency not found on PyPI and could not be audited: idna (3.4)",
    ],
)
def test_a_database_that_cannot_be_asked_is_said_and_fails_otherwise(tmp_path: Path, says: str):
    done = audit(tmp_path, says, 1)
    assert done.returncode == 2
    assert says in done.stdout
    assert "could not all be asked about; nothing is known of them" in done.stderr
    assert "hint: " in done.stderr


def test_bandit_finds_what_it_should_under_our_configuration(tmp_path: Path):
    (tmp_path / "flawed.py").write_text(FLAWED)
    bandit = [sys.executable, "-m", "bandit", "--quiet", "--recursive", "--configfile", str(PROJECT / "pyproject.toml")]
    done = subprocess.run([*bandit, "--format", "csv", str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    found = {line.split(",")[2] for line in done.stdout.splitlines()[1:] if line}
    assert {"B301", "B323", "B506", "B602", "B608"} <= found
