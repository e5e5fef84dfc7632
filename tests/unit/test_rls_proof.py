"""What row-level security answered, then and now."""

from __future__ import annotations

import pytest

from include.disaster_recovery.rls_proof import Claims, KeyBound, RlsProbes, RoleProbe, compare_probes


def probes(status: str = "probed", **tables: int | str) -> RlsProbes:
    role = RoleProbe(status=status, tables=tables)
    return RlsProbes(claims=Claims(sub=None, role="authenticated"), roles={"anon": role})


@pytest.mark.parametrize(
    "old, new, outcome, detail",
    [
        (5, 5, "passed", "5 rows"),
        (1001, 1001, "passed", "more than 1000 rows"),
        ("denied", "denied", "passed", "denied"),
        ("error:22012", "error:22012", "passed", "error:22012"),
        (5, 4, "failed", "expected 5 rows, found 4 rows"),
        ("denied", 0, "failed", "expected denied, found 0 rows"),
        (0, "denied", "failed", "expected 0 rows, found denied"),
        ("timeout", 7, "skipped", "took too long when the backup was made: t"),
        (7, "timeout", "skipped", "took too long in the target: t"),
    ],
)
def test_answers(old: int | str, new: int | str, outcome: str, detail: str):
    (check,) = compare_probes(probes(t=old), probes(t=new), {})
    assert (check.outcome, check.subject) == (outcome, "RLS as anon" if outcome == "skipped" else "RLS of t as anon")
    assert check.detail.startswith(detail)


def test_answers_that_are_not_compared():
    reasons = [
        list(compare_probes(probes(t=1, u=2), probes(t=9, u=8), {"t": "because", "u": "because"})),
        list(compare_probes(probes(t=1), probes(u=1), {})),
        list(compare_probes(probes("no such role"), probes(t=1), {})),
        list(compare_probes(probes(t=1), probes("not a member of the role"), {})),
    ]
    assert [[(each.outcome, each.detail) for each in checks] for checks in reasons] == [
        [("skipped", "because: t, u")],
        [("skipped", "not asked in the target: t")],
        [("skipped", "the backup did not ask this role: no such role")],
        [("skipped", "the target could not be asked as this role: not a member of the role")],
    ]


def test_probes_without_bounds_are_those_of_an_older_document():
    older = {"claims": {"sub": None, "role": "authenticated"}, "roles": {}}
    assert RlsProbes.model_validate(older).bounds == {}
    bounded = probes().model_copy(update={"bounds": {"t": KeyBound(column="id", value="7")}})
    assert RlsProbes.model_validate(bounded.to_json()) == bounded
