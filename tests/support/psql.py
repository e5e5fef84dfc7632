"""SQL files run by psql itself, as an operator runs them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from include.disaster_recovery.postgres.pg_dump import environment

ROLES = Path(__file__).parents[2] / "include" / "supabase" / "roles"


class Refused(Exception):
    """What psql said before it stopped."""


def psql(bin_dir: Path, parameters: Mapping[str, str], file: Path, **variables: str) -> str:
    """Run a file; what it printed.

    Raises:
        Refused: it failed.
    """
    settings = [f"--set={name}={value}" for name, value in variables.items()]
    done = subprocess.run(
        [str(bin_dir / "psql"), "-X", "--quiet", *settings, f"--file={file}"],
        env={**os.environ, **environment(parameters)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Refused(done.stderr)
    return done.stdout
