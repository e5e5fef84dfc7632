"""The recovery proof decides without I/O: what is a failure, what is skipped and why, and how it is told."""

from __future__ import annotations

import copy
from datetime import datetime, timezone
from typing import Any

import pytest

from include.disaster_recovery.catalog_facts import ALL_PRIVILEGES, KINDS, Fact, facts, privileges
from include.disaster_recovery.errors import ComparisonFailed
from include.disaster_recovery.recovery_proof import (
    MANAGED,
    NO_ROLE,
    NOT_RESTORED,
    OTHER_OWNER,
    Circumstances,
    behind,
    compare_facts,
    compare_rows,
    compare_sign_in,
    failed,
    listed,
    passed,
    require_equal,
    skipped,
    summary,
)
from include.disaster_recovery.restore_model import Check, RestoreReport, RestoreRequest, RestoreRun

REBUILT = Circumstances(restored_schema=True, roles=frozenset({"anon", "supabase_admin"}))
ITEM = {"owner": "postgres", "comment": None, "grants": None}
DESCRIBED: dict[str, Any] = {
    "schemas": {"public": ITEM},
    "enums": {"mood": ["sad"]},
    "types": [],
    "functions": [
        {"name": "f", "arguments": "", "returns": "int", "kind": "function", "language": "sql", "security_definer": False}
        | {"volatility": "stable", "settings": None, "definition": "…", **ITEM}
    ],
    "views": {},
    "sequences": {},
    "extensions": [{"name": "plpgsql", "schema": "pg_catalog", "version": "1.0"}],
    "tables": {
        name: {
            "kind": "table",
            "persistence": "permanent",
            "replica_identity": "d",
            "partition_key": None,
            "partition_bound": None,
            "inherits": None,
            "rls": {"enabled": True, "forced": False},
            "columns": None,
            "constraints": [{"name": "n", "kind": "not null", "validated": True, "definition": "NOT NULL i"}],
            "indexes": [],
            **ITEM,
        }
        for name in ("t", "auth.users")
    },
    "rls_policies": {
        "t": [{"name": "p", "command": "ALL", "permissive": True, "roles": ["anon"], "using": "true", "check": None}
              | {"attached": False, "comment": None}],
        "storage.objects": [],
    },
    "triggers": {},
    "publications": {},
    "default_privileges": [],
}  # fmt: skip


def described(**changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(DESCRIBED), **changes}


def compared(old: dict[str, Any], new: dict[str, Any], circumstances: Circumstances = REBUILT) -> list[Check]:
    """What did not pass."""
    sides = [facts(each, ["public"], known_privileges=ALL_PRIVILEGES) for each in (old, new)]
    return [check for check in compare_facts(*sides, circumstances) if check.outcome != "passed"]


def granted(*acl: str) -> dict[str, Any]:
    tables = copy.deepcopy(DESCRIBED["tables"])
    tables["t"]["grants"] = list(acl)
    return described(tables=tables)


def test_the_same_description_passes_in_every_kind():
    sides = facts(DESCRIBED, ["public"], known_privileges=ALL_PRIVILEGES)
    checks = compare_facts(sides, sides, REBUILT)
    assert [(check.subject, check.outcome) for check in checks] == [(kind, "passed") for kind in KINDS]
    assert {kind for kind, _ in sides} <= set(KINDS)


def test_tables_of_the_platform_are_not_the_schemas_own():
    found = facts(DESCRIBED, ["public"], known_privileges=ALL_PRIVILEGES)
    assert ("tables", "t") in found
    assert ("tables", "auth.users") not in found
    assert ("tables", "auth.users") in facts(DESCRIBED, ["public", "auth"], known_privileges=ALL_PRIVILEGES)


def test_missing_extra_and_changed_are_told_apart():
    old, new = (
        described(enums={"a": ["1"], "b": ["1"], "d": []}),
        described(enums={"b": ["1", "2"], "c": ["1"], "d": []}),
    )
    assert compared(old, new) == [failed("enums", "missing: a; extra: c; changed: b")]


def test_without_the_schema_nothing_of_it_is_a_failure():
    (check,) = compared(described(), described(enums={}), Circumstances(restored_schema=False))
    assert check == skipped("enums", f"{NOT_RESTORED}: missing: mood")


@pytest.mark.parametrize(
    "acl, expected",
    [
        ([], {}),
        (["anon=arw/postgres"], {"anon": ["a", "r", "w"]}),
        (["anon=wra/somebody", "postgres=arwd/postgres"], {"anon": ["a", "r", "w"]}),
        (["anon=r/a", "anon=w*/b"], {"anon": ["r", "w*"]}),
        (["=X/postgres"], {"": ["X"]}),
        (['"we ird=""x/"=r*w/postgres'], {'we ird="x/': ["r*", "w"]}),
        (["anon=/postgres"], {}),
    ],
)
def test_privileges_are_read_whoever_granted_them(acl: list[str], expected: dict[str, list[str]]):
    assert privileges(acl, ALL_PRIVILEGES, owner="postgres") == expected


@pytest.mark.parametrize("text", ["", "anon", '"anon', '"anon"', '"a""=r/x', '"'])
def test_what_is_no_privilege_is_refused(text: str):
    with pytest.raises(ValueError, match="is no privilege"):
        privileges([text], ALL_PRIVILEGES, owner=None)


def test_a_privilege_that_one_server_does_not_know_is_left_out():
    assert privileges(["anon=rm/x"], ALL_PRIVILEGES.replace("m", ""), owner=None) == {"anon": ["r"]}


def test_the_grantor_and_the_owner_do_not_matter():
    old, new = (
        granted("anon=rw/postgres", "postgres=arwd/postgres"),
        granted("anon=wr/restorer", "restorer=arwd/restorer"),
    )
    new["tables"]["t"]["owner"] = "restorer"
    assert compared(old, new) == [skipped("owners", f"{OTHER_OWNER}: changed: t")]


def test_no_grants_at_all_are_the_defaults():
    old, new = described(), described()
    new["functions"][0]["grants"] = ["=X/postgres", "postgres=X/postgres"]
    assert compared(old, new) == []
    new["functions"][0]["grants"] = ["postgres=X/postgres"]
    assert compared(old, new) == [failed("function grants", "missing: f() to public")]


def test_grants_to_roles():
    assert compared(granted("anon=r/x"), granted()) == [failed("table grants", "missing: t to anon")]
    assert compared(granted("gone=r/x"), granted()) == [skipped("table grants", f"{NO_ROLE}: missing: t to gone")]
    assert compared(granted("supabase_admin=r/x"), granted())[0].outcome == "failed"
    assert compared(granted(), granted("supabase_admin=r/x")) == [
        skipped("table grants", f"{MANAGED}: extra: t to supabase_admin")
    ]


def test_more_extensions_are_no_failure_and_fewer_are():
    vault = [*DESCRIBED["extensions"], {"name": "supabase_vault", "schema": "vault", "version": "1"}]
    other = [*DESCRIBED["extensions"], {"name": "hstore", "schema": "public", "version": "1"}]
    newer = [{"name": "plpgsql", "schema": "pg_catalog", "version": "2.0"}]
    assert compared(described(), described(extensions=newer)) == []
    assert compared(described(), described(extensions=other)) == [skipped("extensions", f"{MANAGED}: extra: hstore")]
    assert compared(described(extensions=other), described()) == [failed("extensions", "missing: hstore")]
    assert compared(described(extensions=vault), described())[0].outcome == "skipped"


@pytest.mark.parametrize(
    "line, excused",
    [
        ("CREATE POLICY p ON public.t AS PERMISSIVE …: permission denied", True),
        ('CREATE POLICY "p" ON "t" …: permission denied', True),
        ("CREATE POLICY pp ON public.t …: permission denied", False),
        ("CREATE POLICY p ON public.tt …: permission denied", False),
        ("CREATE TRIGGER p ON public.t …: permission denied", False),
        ("", False),
    ],
)
def test_what_the_rebuild_left_out_is_recognised_by_kind_and_names(line: str, excused: bool):
    circumstances = Circumstances(restored_schema=True, skipped=[line])
    (check,) = compared(described(), described(rls_policies={}), circumstances)
    assert (check.subject, check.outcome == "skipped") == ("policies", excused)
    assert check.detail.endswith("missing: p of t")


def test_one_kind_may_have_failed_and_skipped_at_once():
    old, new = granted("anon=r/x", "gone=r/x"), granted("supabase_admin=r/x")
    assert [(each.subject, each.outcome) for each in compared(old, new)] == [
        ("table grants", "failed"),
        ("table grants", "skipped"),
        ("table grants", "skipped"),
    ]


def test_names_fit_a_line():
    assert listed(["a", "b"]) == "a, b"
    assert listed([f"n{i}" for i in range(20)]) == "n0, n1, n2, n3, n4, n5, n6, n7 and 12 more"
    assert listed(["a\nERROR b\x1b[31m\u202e", "x" * 500]) == "a?ERROR b?[31m?, " + "x" * 120


def test_rows():
    same = (3, "00ab")
    assert {c.outcome for c in compare_rows("t", expected=same, found=same, extra=0)} == {"passed"}
    assert (
        compare_rows("t", expected=same, found=same, extra=2)[0].detail == "3 rows, beside 2 that only the target has"
    )
    assert [c.outcome for c in compare_rows("t", expected=same, found=(3, "00ac"), extra=0)] == ["passed", "failed"]
    fewer = compare_rows("t", expected=same, found=(2, "00ac"), extra=0)
    assert [c.subject for c in fewer if c.outcome == "failed"] == ["rows of t", "content of t"]
    assert fewer[0].detail == "expected 3 rows, found 2 rows"


@pytest.mark.parametrize(
    "expected, found, may_have_more, outcome",
    [(5, 5, False, "passed"), (5, 4, False, "failed"), (5, 4, True, "failed"), (5, 6, False, "failed"), (5, 6, True, "passed")],
)  # fmt: skip
def test_sign_in(expected: int, found: int, may_have_more: bool, outcome: str):
    check = compare_sign_in(users=7, expected=expected, found=found, may_have_more=may_have_more)
    assert check.outcome == outcome
    assert check.detail.endswith(f"{7 - found} of 7 accounts have no identity")


@pytest.mark.parametrize(
    "next_value, increment, last, farthest, late",
    [
        (11, 1, 10, 10, False),
        (10, 1, 10, None, True),
        (10, 1, None, 10, True),
        (10, 1, None, None, False),
        (1000, 1, 10, 20, False),
        (-11, -1, -10, -10, False),
        (-10, -1, -10, None, True),
        (5, -1, None, 4, True),
    ],
)
def test_a_sequence_must_not_be_behind(
    next_value: int, increment: int, last: int | None, farthest: int | None, late: bool
):
    assert (behind(next_value, increment, last=last, farthest=farthest) is not None) is late


def test_the_summary_says_why_if_it_is_one_reason():
    checks = [passed("a", ""), passed("b", ""), skipped("c", f"{MANAGED}: x")]
    assert summary(checks) == "comparison: 2 passed, 0 failed, 1 skipped (managed by Supabase)"
    assert summary([*checks, skipped("d", "other"), failed("e", "")]) == "comparison: 2 passed, 1 failed, 2 skipped"


def report(*checks: Check) -> RestoreReport:
    moment = datetime(2025, 12, 7, tzinfo=timezone.utc)
    request = RestoreRequest(
        backup_key="k", target_conn_id="c", tables=None, mode="upsert", restore_schema=False, dry_run=False,
        require_approval=False,
    )  # fmt: skip
    run = RestoreRun(
        run_id="r", key="k", size=1, manifest_sha256="", request=request, staging_schema="s", opened_at=moment,
        triggered_by=None, target="host:5432/db", target_is_source=False,
    )  # fmt: skip
    return RestoreReport(
        run=run, started_at=moment, finished_at=moment, approved_by=None, applied=[], checks=list(checks)
    )


def test_a_failed_check_fails_the_restore_and_nothing_else_does():
    require_equal(report(passed("a", ""), skipped("b", "")))
    with pytest.raises(ComparisonFailed, match="2 of 3 checks of host:5432/db failed: x, y"):
        require_equal(report(failed("x", ""), passed("a", ""), failed("y", "")))


def test_every_fact_has_its_parts():
    for fact in facts(DESCRIBED, ["public"], known_privileges=ALL_PRIVILEGES).values():
        assert isinstance(fact, Fact)
        assert all(fact.parts)
