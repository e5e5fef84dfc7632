"""How much a schema section describes, and what has changed in it since the backup before, named. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from include.disaster_recovery.catalog_facts import KINDS, Description, Fact, facts
from include.disaster_recovery.model import Value

EVERY_PRIVILEGE = "arwdDxtmXUCTcsA"  # both backups are of one server, whatever privileges it knows
MOST_NAMED = 40  # changes that are named, the rest is a number


class Drift(Value):
    """The changes by kind and name, as `policies own rows of messages`."""

    added: list[str]
    removed: list[str]
    changed: list[str]

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)

    def __str__(self) -> str:
        """In one line: `added: columns tip of bookings; removed: …`, as many as are worth reading."""
        left, said = MOST_NAMED, []
        for what, names in (("added", self.added), ("removed", self.removed), ("changed", self.changed)):
            shown = names[:left]
            left -= len(shown)
            if shown:
                said.append(f"{what}: {', '.join(shown)}")
        more = len(self.added) + len(self.removed) + len(self.changed) - (MOST_NAMED - left)
        return "; ".join([*said, f"and {more} more"] if more else said)


def section_counts(described: Mapping[str, Any]) -> dict[str, int]:
    """How many of each kind a schema section describes."""
    return {name: _count(each) for name, each in described.items() if name not in ("ddl", "rls_probes")}


def _count(section: Any) -> int:
    """Entries of a section; of `{table: [items]}` the items."""
    if isinstance(section, dict) and all(isinstance(items, list) for items in section.values()):
        items = list(section.values())
        return (
            sum(map(len, items)) if items and all(isinstance(i, dict) for each in items for i in each) else len(section)
        )
    return len(section)


def find_drift(before: Description, after: Description, covered: Sequence[str]) -> Drift:
    """What the schema section of a backup says otherwise than that of the backup before.

    Args:
        covered: the schemas that are backed up.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: a section is malformed.
    """
    old = facts(before, covered, known_privileges=EVERY_PRIVILEGE)
    new = facts(after, covered, known_privileges=EVERY_PRIVILEGE)
    both = [name for name in new if name in old]
    return Drift(
        added=list(_named([fact for name, fact in new.items() if name not in old], [*old.values()])),
        removed=list(_named([fact for name, fact in old.items() if name not in new], [*new.values()])),
        changed=list(_named([new[name] for name in both if new[name].value != old[name].value], [])),
    )


def _named(found: Sequence[Fact], others: Sequence[Fact]) -> Iterator[str]:
    """Names in the order of the kinds; of a whole table that came or went, the table alone."""
    there = {fact.name for fact in others if fact.kind == "tables"}
    whole = {fact.name for fact in found if fact.kind == "tables"} - there
    order = {kind: place for place, kind in enumerate(KINDS)}
    for fact in sorted(found, key=lambda fact: (order.get(fact.kind, len(order)), fact.name)):
        if fact.kind == "tables" or not (others and _table_of(fact) in whole):
            yield f"{fact.kind} {fact.name}"


def _table_of(fact: Fact) -> str:
    """The table that a fact is about, or something that is no table's name."""
    if fact.kind in {"columns", "constraints", "indexes", "policies", "triggers"}:
        return fact.parts[1]
    return fact.parts[0]
