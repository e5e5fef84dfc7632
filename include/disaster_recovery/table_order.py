"""In which order tables are restored: referenced ones first. Pure."""

from collections.abc import Mapping, Sequence


def order_tables(names: Sequence[str], references: Sequence[tuple[str, str]]) -> tuple[list[str], list[list[str]]]:
    """Tables with those they reference before them, and the cycles in which that is not possible.

    Args:
        names: the tables; where nothing else decides they keep this order, which is the guide's.
        references: pairs of referencing and referenced table.
    """
    waiting = {name: {to for at, to in references if at == name and to != name and to in names} for name in names}
    ordered: list[str] = []
    cycles: list[list[str]] = []
    while waiting:
        free = next((name for name, needs in waiting.items() if not needs), None)
        if free is None:
            cycle = _cycle(waiting)
            cycles.append(cycle)
            free = min(cycle, key=names.index)
        ordered.append(free)
        del waiting[free]
        for needs in waiting.values():
            needs.discard(free)
    return ordered, cycles


def _cycle(waiting: Mapping[str, set[str]]) -> list[str]:
    """One cycle among tables that all wait for another."""
    path = [next(iter(waiting))]
    while True:
        step = min(waiting[path[-1]])
        if step in path:
            return path[path.index(step) :]
        path.append(step)


def reference_notes(cycles: Sequence[Sequence[str]], references: Sequence[tuple[str, str]]) -> list[str]:
    """How cycles and self-references are handled, for the operator."""
    own = sorted({at for at, to in references if at == to})
    notes = [
        f"tables {' -> '.join([*cycle, cycle[0]])} reference each other:"
        " their keys are unchecked while rows are written, and validated before the commit"
        for cycle in cycles
    ]
    if own:
        notes.append(f"tables that reference themselves, validated before the commit: {', '.join(own)}")
    return notes
