"""What row-level security answered when the backup was made, held against what it answers in the target. Pure."""

from collections.abc import Iterator, Mapping

from pydantic import Field

from include.disaster_recovery.model import Value
from include.disaster_recovery.recovery_proof import failed, listed, passed, skipped
from include.disaster_recovery.restore_model import Check

Answer = int | str


class Claims(Value):
    """What a signed-in user's token says; `sub` is the account's id, None where there is no account."""

    sub: str | None
    role: str


PROBED, TIMEOUT = "probed", "timeout"


class RoleProbe(Value):
    """Rows that a role sees, or why it sees none: `denied`, `timeout`, `error:<SQLSTATE>`."""

    status: str
    tables: dict[str, Answer]


class KeyBound(Value):
    """Rows up to a value of the first column of their table's primary key; `value` is its text."""

    column: str
    value: str


class RlsProbes(Value):
    """How row-level security answered the API roles; of a table in `bounds`, for the rows up to there."""

    claims: Claims
    bounds: dict[str, KeyBound] = Field(default_factory=dict)
    roles: dict[str, RoleProbe]


def compare_probes(expected: RlsProbes, found: RlsProbes, not_compared: Mapping[str, str]) -> Iterator[Check]:
    """Whether row-level security answers each role as it did.

    Args:
        not_compared: tables whose answers may differ, each with its reason.
    """
    for role, old in expected.roles.items():
        new = found.roles.get(role, RoleProbe(status="not asked", tables={}))
        if not old.tables:
            yield skipped(f"RLS as {role}", f"the backup did not ask this role: {old.status}")
        elif not new.tables and new.status != PROBED:
            yield skipped(f"RLS as {role}", f"the target could not be asked as this role: {new.status}")
        else:
            yield from _compare_answers(role, old, new, not_compared)


def _compare_answers(role: str, old: RoleProbe, new: RoleProbe, not_compared: Mapping[str, str]) -> Iterator[Check]:
    reasons: dict[str, list[str]] = {}
    for table, answer in old.tables.items():
        now = new.tables.get(table)
        if reason := not_compared.get(table) or _no_answer(answer, now):
            reasons.setdefault(reason, []).append(table)
        elif now == answer:
            yield passed(f"RLS of {table} as {role}", _told(answer))
        else:
            said = f"expected {_told(answer)}, found {_told(now)}"
            yield failed(f"RLS of {table} as {role}", f"{said} ({_MAY_DEPEND})")
    for reason, tables in reasons.items():
        yield skipped(f"RLS as {role}", f"{reason}: {listed(tables)}")


_MAY_DEPEND = "a policy may also depend on the clock, and on tables that were not restored"


def _no_answer(old: Answer, new: Answer | None) -> str | None:
    if old == TIMEOUT:
        return "took too long when the backup was made"
    if new == TIMEOUT:
        return "took too long in the target"
    return "not asked in the target" if new is None else None


def _told(answer: Answer | None) -> str:
    if not isinstance(answer, int):
        return str(answer)
    return "more than 1000 rows" if answer > 1000 else f"{answer} rows"
