"""Whether staged fragments make up whole tables of one snapshot. Pure."""

from collections.abc import Iterable, Sequence

from include.disaster_recovery.errors import SnapshotLost, VerificationFailed
from include.disaster_recovery.model import Snapshot, StagedFragment, StagedSection


def by_table(fragments: Iterable[StagedFragment]) -> dict[str, list[StagedFragment]]:
    """The fragments of each table in order, the tables in document order."""
    found: dict[str, list[StagedFragment]] = {}
    for fragment in sorted(fragments, key=lambda f: (f.position, f.part)):
        found.setdefault(fragment.table, []).append(fragment)
    return found


def check_complete(
    tables: dict[str, list[StagedFragment]], sections: Sequence[StagedSection], snapshot: Snapshot
) -> dict[str, int]:
    """The row count of each table, once every table is whole.

    Raises:
        SnapshotLost: something was read from another snapshot; a mixed document is never written.
        VerificationFailed: a table or fragment is missing, or rows were read that the database did not count.
    """
    for label, seen in [*((f.key, f.snapshot_id) for each in tables.values() for f in each), *_sections(sections)]:
        if seen != snapshot.snapshot_id:
            raise SnapshotLost(
                f"{label} was read from snapshot {seen}, the backup is of {snapshot.snapshot_id}",
                hint="trigger a new backup",
            )
    wanted = {table.name_in_document for table in snapshot.tables}
    if wanted != set(tables):
        raise VerificationFailed(
            f"fragments and snapshot differ in these tables: {', '.join(sorted(wanted ^ set(tables)))}",
            hint="trigger a new backup",
        )
    return {name: _check_table(name, fragments) for name, fragments in tables.items()}


def _sections(sections: Sequence[StagedSection]) -> list[tuple[str, str]]:
    return [(section.name, section.snapshot_id) for section in sections if section.snapshot_id]


def _check_table(name: str, fragments: Sequence[StagedFragment]) -> int:
    parts = [(f.part, f.parts) for f in fragments]
    if parts != [(part, len(fragments)) for part in range(1, len(fragments) + 1)]:
        raise VerificationFailed(
            f"table {name} has the fragments {parts}, not one of each", hint="trigger a new backup"
        )
    rows, counted = sum(f.rows for f in fragments), fragments[-1].table_rows
    if counted is None or rows != counted:
        raise VerificationFailed(
            f"table {name}: {rows} rows were read, the database counts {counted} in the same snapshot",
            hint="trigger a new backup; if it comes back, check the table with amcheck",
        )
    return rows
