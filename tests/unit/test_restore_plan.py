from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from include.disaster_recovery.restore_plan import label_notes, table_in_document
from include.disaster_recovery.table_order import order_tables, reference_notes

NAMES = [f"t{n}" for n in range(12)]
PAIRS = st.lists(st.tuples(st.sampled_from([*NAMES, "elsewhere"]), st.sampled_from([*NAMES, "elsewhere"])), max_size=40)


def met(ordered: list[str], references: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The references whose table comes before the one it references."""
    places = {name: place for place, name in enumerate(ordered)}
    return [(at, to) for at, to in references if at in places and to in places and at != to and places[at] < places[to]]


@given(st.permutations(NAMES), PAIRS)
@settings(deadline=None)
def test_every_acyclic_graph_is_ordered(names: list[str], pairs: list[tuple[str, str]]):
    rank = {name: int(name[1:]) for name in names}
    references = [(at, to) for at, to in pairs if rank.get(at, 99) >= rank.get(to, 99)]
    ordered, cycles = order_tables(names, references)
    assert sorted(ordered) == sorted(names)
    assert cycles == []
    assert met(ordered, references) == []


@given(st.permutations(NAMES), PAIRS)
@settings(deadline=None)
def test_cycles_are_cycles_and_only_they_break_the_order(names: list[str], references: list[tuple[str, str]]):
    ordered, cycles = order_tables(names, references)
    assert sorted(ordered) == sorted(names)
    for cycle in cycles:
        assert len(cycle) == len(set(cycle)) >= 2
        assert all(step in references for step in zip(cycle, [*cycle[1:], cycle[0]], strict=True))
    broken = met(ordered, references)
    assert bool(broken) == bool(cycles)
    for at, to in broken:
        assert reaches(to, at, references), f"{at} -> {to} is in no cycle"


def reaches(start: str, end: str, references: list[tuple[str, str]]) -> bool:
    seen, waiting = {start}, [start]
    while waiting:
        here = waiting.pop()
        further = {to for at, to in references if at == here and to in NAMES} - seen
        seen |= further
        waiting += further
    return end in seen


@given(st.permutations(NAMES))
def test_without_references_the_order_stays(names: list[str]):
    assert order_tables(names, []) == (names, [])


def test_ties_are_broken_by_the_order_given():
    ordered, cycles = order_tables(["c", "b", "a", "z"], [("c", "z"), ("a", "b"), ("b", "a"), ("a", "a")])
    assert ordered == ["z", "c", "b", "a"]
    assert cycles == [["b", "a"]]


def test_notes_name_cycles_and_self_references():
    references = [("a", "b"), ("b", "a"), ("tree", "tree"), ("list", "list"), ("list", "list")]
    assert reference_notes([["b", "a"]], references) == [
        "tables b -> a -> b reference each other: their keys are unchecked while rows are written, and validated before the commit",
        "tables that reference themselves, validated before the commit: list, tree",
    ]
    assert reference_notes([], []) == []


def test_only_labels_that_are_gone_are_noted():
    described = {"mood": ["low", "it's", "high"], "added": ["a"], "gone": ["x"], "same": ["a", "b"]}
    found = {"mood": ["low"], "added": ["b", "a"], "same": ["b", "a"]}
    assert label_notes(described, found) == [
        """enum mood has lost "it's", 'high' since the backup: tables whose rows use it cannot be loaded"""
    ]


def test_names_in_a_document_mean_tables():
    schemas = ["public", "crm", "crm.old", "auth"]
    found = {
        name: (table_in_document(name, schemas).schema_name, table_in_document(name, schemas).table_name)
        for name in ("profiles", "crm.leads", "auth.users", "a.b", "public.x")
    }
    assert found == {
        "profiles": ("public", "profiles"),
        "crm.leads": ("crm", "leads"),
        "auth.users": ("auth", "users"),
        "a.b": ("public", "a.b"),
        "public.x": ("public", "public.x"),
    }
