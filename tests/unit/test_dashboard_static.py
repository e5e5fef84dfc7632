"""The page's own files: nothing in them may need a looser Content-Security-Policy, or another host."""

import re
from hashlib import sha256
from pathlib import Path

import pytest

STATIC = Path(__file__).resolve().parents[2] / "include" / "disaster_recovery" / "dashboard" / "static"
OWN = sorted(
    path for path in STATIC.rglob("*") if path.suffix in {".js", ".css", ".html"} and "vendor" not in path.parts
)
UPLOT = STATIC / "vendor" / "uplot"
FORBIDDEN = {
    "markup from text": r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|DOMParser",
    "code from text": r"\beval\(|new Function\(|setTimeout\(\s*[\"'`]|javascript:",
    "a dialog that the sandbox forbids": r"\bwindow\.(?:alert|confirm|prompt|open)\(",
    "another host": r"https?://(?!www\.w3\.org/)",
}
IN_MARKUP = {
    "an inline handler": r"\son[a-z]+\s*=",
    "an inline style": r"\sstyle\s*=|<style",
    "an inline script": r"<script(?![^>]*\ssrc=)",
}


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.relative_to(STATIC).as_posix())
def test_nothing_needs_a_looser_policy(path: Path):
    text = path.read_text(encoding="utf-8")
    rules = {**FORBIDDEN, **(IN_MARKUP if path.suffix == ".html" else {})}
    assert {what: found.group() for what, rule in rules.items() if (found := re.search(rule, text))} == {}


def test_every_file_that_a_page_or_module_names_is_there():
    for path in OWN:
        names = re.findall(
            r"""(?:from|import|src=|href=)\s*["'](\.{0,2}/?[^"'#?:]+\.(?:js|css|svg))["']""",
            path.read_text(encoding="utf-8"),
        )
        assert [name for name in names if not (_base(path) / name).is_file()] == [], path.name


def _base(path: Path) -> Path:
    """The page is served above its files."""
    return STATIC.parent if path.suffix == ".html" else path.parent


def test_vendored_files_are_those_of_the_release():
    lines = [line.split() for line in (UPLOT / "VERSION").read_text().splitlines() if line]
    sums = {words[-1]: words[0] for words in lines if re.fullmatch(r"[0-9a-f]{64}", words[0])}
    assert {path.name for path in UPLOT.iterdir()} - {"VERSION"} == set(sums)
    assert {name: sha256((UPLOT / name).read_bytes()).hexdigest() for name in sums} == sums
