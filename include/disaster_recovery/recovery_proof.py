"""The recovery proof: what a backup says held against what the restored target says. Pure; each verdict has its reason.

Every comparison gives Checks. `failed` means the target is not what the backup says; `skipped` that there is nothing
to hold against each other, or that the difference is not the restore's to mend; the detail always says which.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from include.disaster_recovery.catalog_facts import KINDS, Fact
from include.disaster_recovery.errors import ComparisonFailed
from include.disaster_recovery.restore_model import Check, Outcome, RestoreReport

Facts = Mapping[tuple[str, str], Fact]

MOST_NAMED = 8  # names of one list; the rest is a number
MANAGED = "managed by Supabase"
NOT_RESTORED = "differs from the backup; the schema was not part of this restore"
NO_ROLE = "the target has no such role"
RESTORERS = "the right of the role that restored"
OTHER_OWNER = "an object belongs to the role that made it again"


@dataclass(frozen=True, kw_only=True)
class Circumstances:
    """What decides whether a difference of the schema is a failure.

    Attributes:
        restored_schema: this restore has rebuilt the schema.
        skipped: statements that the rebuild had to leave out, each with its reason.
        roles: those the target has.
        restorer: the role that restored, unless the backup knows it: its own rights are no part of the platform.
    """

    restored_schema: bool
    skipped: Sequence[str] = ()
    roles: frozenset[str] = frozenset()
    restorer: str | None = None


@dataclass
class _Differences:
    """Differences of one kind that share a reason."""

    missing: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        said = (("missing", self.missing), ("extra", self.extra), ("changed", self.changed))
        return "; ".join(f"{what}: {listed(names)}" for what, names in said if names)


def passed(subject: str, detail: str) -> Check:
    """A check that held."""
    return Check(subject=subject, outcome="passed", detail=detail)


def failed(subject: str, detail: str) -> Check:
    """A check that did not hold."""
    return Check(subject=subject, outcome="failed", detail=detail)


def skipped(subject: str, reason: str) -> Check:
    """A check that says nothing about the restore, and why."""
    return Check(subject=subject, outcome="skipped", detail=reason)


def readable(text: str) -> str:
    """The text on one line: what would break it, or hide in it, is shown as a question mark."""
    return "".join(c if c.isprintable() else "?" for c in text)


def listed(names: Sequence[str]) -> str:
    """Names in a line, not more than fit."""
    shown = ", ".join(readable(name)[:120] for name in names[:MOST_NAMED])
    return shown + (f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else "")


def compare_facts(expected: Facts, found: Facts, circumstances: Circumstances) -> list[Check]:
    """One check for each kind of object, and one more for each reason not to mind a difference."""
    return [check for kind in KINDS for check in _compare_kind(kind, expected, found, circumstances)]


def _compare_kind(kind: str, expected: Facts, found: Facts, circumstances: Circumstances) -> Iterator[Check]:
    both = {*expected, *found} if kind != "owners" else {*expected} & {*found}  # what is missing says so elsewhere
    wanted = sorted(key for key in both if key[0] == kind)
    failures, excused = _Differences(), dict[str, _Differences]()
    for key in wanted:
        old, new = expected.get(key), found.get(key)
        if old and new and old.value == new.value:
            continue
        reason = _excuse(old, new, circumstances)
        group = excused.setdefault(reason, _Differences()) if reason else failures
        (group.changed if old and new else group.missing if old else group.extra).append(key[1])
    if said := str(failures):
        yield failed(kind, said)
    elif not excused:
        yield passed(kind, f"{len(wanted)} as in the backup")
    for reason, differences in excused.items():
        yield skipped(kind, f"{reason}: {differences}")


def _excuse(old: Fact | None, new: Fact | None, circumstances: Circumstances) -> str | None:
    """Why a difference is no failure of the restore; None if it is one."""
    fact = old or new
    if fact is None or not circumstances.restored_schema:
        return NOT_RESTORED
    if fact.kind == "owners":
        return OTHER_OWNER
    if line := next((line for line in circumstances.skipped if _mentions(line, fact)), None):
        return f"left out by the rebuild ({listed([line])})"
    if old is None and fact.kind.endswith("grants") and fact.role and fact.role == circumstances.restorer:
        return RESTORERS
    if new is None and fact.role and fact.role not in circumstances.roles:
        return NO_ROLE
    # What the platform's own roles and tables have more is its own affair; what the application hung there is not.
    is_more = old is None and (fact.platform or fact.kind == "extensions")
    return MANAGED if is_more or (fact.platform and fact.kind in _PLATFORMS_OWN) else None


_PLATFORMS_OWN = {"extensions", "default privileges"}
# What stands in the statement that makes an object of a kind; of other kinds it is the kind itself, in the singular.
_STATEMENTS = {
    "enums": "type",
    "columns": "table",
    "RLS flags": "row level security",
    "policies": "policy",
    "indexes": "index",
    "comments": "comment on",
    "default privileges": "alter default privileges",
}


def _mentions(line: str, fact: Fact) -> bool:
    """Whether a left-out statement is about this object: of its kind, and naming all of its parts."""
    words = ("grant", "revoke") if fact.kind.endswith("grants") else (_STATEMENTS.get(fact.kind, fact.kind[:-1]),)
    return any(word in line.lower() for word in words) and all(_names(line, part) for part in fact.parts)


def _names(line: str, name: str) -> bool:
    spelled = {name, name.replace('"', '""'), name.split(".", 1)[-1]}
    return any(re.search(rf"(?<![\w$]){re.escape(each)}(?![\w$])", line) for each in spelled if each)


def compare_rows(table: str, *, expected: tuple[int, str], found: tuple[int, str], extra: int) -> list[Check]:
    """Row count and content digest of a table.

    Args:
        expected: rows and digest of what was staged.
        found: rows and digest of the target's rows that were compared.
        extra: rows of the target that the backup does not have and this restore has kept.
    """
    kept = f", beside {extra} that only the target has" if extra else ""
    subjects = f"rows of {table}", f"content of {table}"
    counted = f"{found[0]} rows{kept}"
    if expected == found:
        return [passed(subjects[0], counted), passed(subjects[1], f"digest {found[1]}")]
    count = (
        passed(subjects[0], counted)
        if expected[0] == found[0]
        else failed(subjects[0], f"expected {expected[0]} rows, found {counted}")
    )
    return [count, failed(subjects[1], f"expected digest {expected[1]}, found {found[1]}: rows were lost or changed")]


def compare_sign_in(*, users: int, expected: int, found: int, may_have_more: bool) -> Check:
    """Accounts that have an identity; without one nobody can sign in."""
    subject, without = "sign-in", f"{users - found} of {users} accounts have no identity"
    if found < expected or (found > expected and not may_have_more):
        return failed(subject, f"expected {expected} accounts that can sign in, found {found}; {without}")
    return passed(subject, f"{found} accounts can sign in; {without}")


def behind(next_value: int, increment: int, *, last: int | None, farthest: int | None) -> str | None:
    """Why a sequence would give a value again that was given before; None if it would not.

    Args:
        last: the last value the backup's sequence had given.
        farthest: the last value in its column, seen in the sequence's direction.
    """
    direction = 1 if increment > 0 else -1
    if last is not None and (next_value - last) * direction <= 0:
        return f"gives {next_value} next, the backup's had given {last}"
    if farthest is not None and (next_value - farthest) * direction <= 0:
        return f"gives {next_value} next, its column holds {farthest}"
    return None


def next_of(sequence: Mapping[str, Any]) -> int:
    """The value that a described sequence gives next: behind the last one, or its first.

    Raises:
        KeyError, TypeError: the description is malformed.
    """
    last, increment = sequence["last_value"], sequence["increment"]
    return int(sequence["start"]) if last is None else int(last) + int(increment)


def summary(checks: Sequence[Check]) -> str:
    """The verdict in one line."""
    count = {outcome: sum(check.outcome == outcome for check in checks) for outcome in ("passed", "failed", "skipped")}
    left = [check.detail for check in checks if check.outcome == "skipped"]
    why = f" ({MANAGED})" if left and all(detail.startswith(MANAGED) for detail in left) else ""
    return f"comparison: {count['passed']} passed, {count['failed']} failed, {count['skipped']} skipped{why}"


def require_equal(report: RestoreReport) -> None:
    """Refuse a restore that failed its proof; call it when the report is kept.

    Raises:
        ComparisonFailed: at least one check failed; each is named.
    """
    subjects = report.subjects(_FAILED)
    if subjects:
        raise ComparisonFailed(
            f"{len(subjects)} of {len(report.checks)} checks of {report.run.target} failed: {listed(subjects)}",
            hint="the restore is committed; read the report, mend what it names, or restore again",
        )


_FAILED: Outcome = "failed"
