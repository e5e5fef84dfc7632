"""docs/chaos.md names tests that there are, and counts the corruption matrix as it is."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.damage import COMPRESSIONS, chosen

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/chaos.md").read_text()


def named_tests() -> list[Path]:
    """A name without a folder stands in that of the one before it."""
    found, folder = [], ""
    for tier, name in re.findall(r"`(?:(\w+)/)?(test_\w+\.py)`", PAGE):
        folder = tier or folder
        found.append(Path(folder) / name)
    return found


def test_every_test_that_the_page_names_is_there():
    named = named_tests()
    assert len(named) > 40
    assert [str(path) for path in named if not (ROOT / "tests" / path).is_file()] == []


def test_every_file_of_the_suite_is_on_the_page():
    assert {path.name for path in (ROOT / "tests/chaos").glob("test_*.py")} <= {path.name for path in named_tests()}


def test_the_matrix_is_counted_as_it_is():
    short, long = (
        [f"{compression}-{case.title}" for compression in COMPRESSIONS for case in chosen(compression, is_long=is_long)]
        for is_long in (False, True)
    )
    assert f"{len(short)} cases, {len(long)} in the long form" in PAGE
    assert len(long) == len(set(long))
