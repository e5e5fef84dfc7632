"""What has changed between two schema sections, named."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from include.disaster_recovery.schema_drift import MOST_NAMED, Drift, find_drift
from tests.support.golden import FOLDER


@pytest.fixture
def schema() -> dict[str, Any]:
    import json

    found: dict[str, Any] = json.loads((FOLDER / "backup-v1.json").read_text())["schema"]
    return found


def drift(before: dict[str, Any], after: dict[str, Any]) -> Drift:
    return find_drift(before, after, list(after["schemas"]))


def test_the_same_schema_has_not_drifted(schema: dict[str, Any]):
    assert not drift(schema, copy.deepcopy(schema))


def test_a_column_that_came_and_one_that_changed(schema: dict[str, Any]):
    after = copy.deepcopy(schema)
    name = next(name for name in after["tables"] if "." not in name)
    columns = after["tables"][name]["columns"]
    columns.append({**columns[0], "name": "tip"})
    columns[0]["type"] = "another"
    found = drift(schema, after)
    assert found.added == [f"columns tip of {name}"]
    assert found.changed == [f"columns {columns[0]['name']} of {name}"]
    assert found.removed == []


def test_a_table_that_went_is_named_alone(schema: dict[str, Any]):
    after = copy.deepcopy(schema)
    name = next(name for name in after["tables"] if "." not in name)
    del after["tables"][name]
    after["rls_policies"].pop(name, None)
    after["triggers"].pop(name, None)
    found = drift(schema, after)
    assert f"tables {name}" in found.removed
    assert not [each for each in found.removed if each.endswith(f" of {name}")]
    assert f"tables {name}" in drift(after, schema).added


def test_a_long_list_is_cut():
    many = Drift(added=[f"tables t{i}" for i in range(30)], removed=[f"tables u{i}" for i in range(30)], changed=["x"])
    assert str(many).count("tables") == MOST_NAMED
    assert str(many).endswith("; and 21 more")


@pytest.mark.parametrize("section", [{}, {"tables": []}, {"tables": {"a": None}}])
def test_a_malformed_section_says_so(schema: dict[str, Any], section: dict[str, Any]):
    with pytest.raises((KeyError, TypeError, ValueError, AttributeError)):
        find_drift(section, schema, ["public"])
