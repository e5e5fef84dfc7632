"""The repository itself: one command each, reproducible installs, a pure core, and nothing of one machine."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()
LOCKS = sorted(path.name for path in ROOT.glob("requirements*.txt"))
CORE = ROOT / "include" / "disaster_recovery"
PACKAGES = {"runtime", "steps", "history", "postgres", "s3", "supabase", "stream"}

PIN = re.compile(r"^([a-z0-9._-]+)==(\S+)(?: ; (.+?))?(?: \\)?$")
# Built from pieces, so that this file does not contain what it looks for.
MACHINE_PATHS = ("/" + "work/", "/" + "root/", "/" + "opt/pypi", "/" + "opt/wheels")
REGISTRY_HOSTS = (
    "pypi" + ".org",
    "pythonhosted" + ".org",
    "registry.npmjs" + ".org",
    "deb.debian" + ".org",
    "apt.postgresql" + ".org/",
)


def tracked_files() -> list[Path]:
    """What git publishes; a log or scratch file lying about is nobody's business."""
    command = ["git", "ls-files", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    files = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in files if path.is_file() and not path.is_symlink()]


def pins(name: str) -> dict[str, set[tuple[str, str]]]:
    """Package -> its (version, environment marker) pairs."""
    found: dict[str, set[tuple[str, str]]] = {}
    for line in (ROOT / name).read_text().splitlines():
        if match := PIN.match(line):
            found.setdefault(match[1], set()).add((match[2], match[3] or ""))
    return found


@pytest.mark.parametrize("target", ["help", "demo", "up", "test", "check", "fix", "lock", "clean"])
def test_make_target_is_documented_and_phony(target: str):
    assert re.search(rf"^{target}:.*## \S", MAKEFILE, re.MULTILINE)
    assert re.search(rf"^\.PHONY: {target}$", MAKEFILE, re.MULTILINE)


def test_make_alone_shows_every_target():
    result = subprocess.run(["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    targets = re.findall(r"^([a-z]+):.*## ", MAKEFILE, re.MULTILINE)
    assert re.findall(r"^  make (\S+) ", result.stdout, re.MULTILINE) == targets


@pytest.mark.parametrize("target", ["demo", "up", "test", "check", "audit", "fix", "lock"])
def test_make_target_bootstraps_by_itself(target: str):
    assert re.search(rf"^{target}: bootstrap\b", MAKEFILE, re.MULTILINE)


def test_ci_runs_check_and_test():
    script = (ROOT / ".ci" / "run").read_text()
    assert re.findall(r"^run (.+?)(?: \|\|.*)?$", script, re.MULTILINE) == ["make check", "make test"]
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_check_never_writes():
    recipe = MAKEFILE[MAKEFILE.index("\ncheck:") : MAKEFILE.index(".PHONY: fix")]
    assert "ruff format --check" in recipe
    assert "--fix" not in recipe


@pytest.mark.parametrize("name", LOCKS)
def test_every_requirement_is_pinned_and_hashed(name: str):
    requirements = re.split(r"\n(?=\S)", re.sub(r"^#.*\n", "", (ROOT / name).read_text(), flags=re.MULTILINE).strip())
    assert len(requirements) > 50
    for requirement in requirements:
        head = requirement.splitlines()[0]
        assert PIN.match(head), f"not pinned, or an option pip would obey: {head}"
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", requirement), f"no hash: {head}"


def test_every_source_of_requirements_has_its_lock():
    assert [path.with_suffix(".txt").name for path in sorted(ROOT.glob("requirements*.in"))] == LOCKS


def test_tests_run_with_the_pins_that_are_deployed():
    development = pins("requirements-dev.txt")
    for package, versions in pins("requirements.txt").items():
        # where the image needs a package on Windows only, another tool may need it everywhere: the pin is what counts
        tested, deployed = ({version for version, _ in found} for found in (development[package], versions))
        assert tested == deployed, f"{package}: run make lock"


def test_the_image_runs_the_pins_that_are_tested():
    image = pins("requirements-image.txt")
    assert {"apache-airflow-providers-celery", "apache-airflow-providers-fab"} <= set(image)
    for package, versions in pins("requirements.txt").items():
        # the image has one Python, so it lacks the pins of the others
        tested = {version for version, _ in versions}
        assert {version for version, _ in image.get(package, set())} <= tested, f"{package}: run make lock"


@pytest.mark.parametrize("name", sorted(path.name for path in ROOT.glob("requirements*.in")))
def test_every_direct_requirement_is_locked(name: str):
    locked = pins(Path(name).with_suffix(".txt").name)
    for line in (ROOT / name).read_text().splitlines():
        if match := re.match(r"[A-Za-z][A-Za-z0-9._-]*", line):
            assert re.sub(r"[._-]+", "-", match[0]).lower() in locked


def test_nothing_names_a_machine_or_a_registry():
    offences = []
    for path in tracked_files():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        offences += [
            f"{path.relative_to(ROOT)}: {forbidden}"
            for forbidden in (*MACHINE_PATHS, *REGISTRY_HOSTS)
            if re.search(
                rf"(?<![\w.~}}-]){re.escape(forbidden)}" if forbidden.startswith("/") else re.escape(forbidden), text
            )
        ]
    assert offences == []


def test_no_secret_file_is_tracked():
    names = {path.name for path in tracked_files()}
    assert not {
        name for name in names if re.fullmatch(r"\.env(?!\.example$).*|.*\.pem|id_rsa.*|.*passwords\.json.*", name)
    }


def imports_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def core_modules() -> list[Path]:
    return [path for path in sorted(CORE.glob("*.py")) if path.stem not in {*PACKAGES, "__init__"}]


@pytest.mark.parametrize("path", core_modules(), ids=lambda path: path.stem)
def test_the_core_imports_the_standard_library_and_pydantic_only(path: Path):
    allowed = {"pydantic", "include"} | ({"yaml"} if path.stem == "settings" else set())
    foreign = {name for name in imports_of(path) if name.partition(".")[0] not in sys.stdlib_module_names | allowed}
    assert foreign == set()
