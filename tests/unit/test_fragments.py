import pytest

from include.disaster_recovery.errors import SnapshotLost, VerificationFailed
from include.disaster_recovery.fragments import by_table, check_complete
from include.disaster_recovery.model import StagedFragment, StagedSection
from tests.support.documents import SNAPSHOT, build_document, snapshot_of

TABLES = {
    "profiles": [[[{"id": 1}]]],
    "messages": [[[{"id": 1}, {"id": 2}]], [[{"id": 3}]], []],
}
FRAGMENTS = build_document(TABLES).fragments
SNAPSHOT_OF_BOTH = snapshot_of("profiles", "messages")


def check(fragments: list[StagedFragment], sections: list[StagedSection] | None = None) -> dict[str, int]:
    return check_complete(by_table(fragments), sections or [], SNAPSHOT_OF_BOTH)


def changed(fragments: list[StagedFragment], at: int, **values: object) -> list[StagedFragment]:
    return [f.model_copy(update=values) if n == at else f for n, f in enumerate(fragments)]


def section(snapshot_id: str | None) -> StagedSection:
    return StagedSection(name="schema", key="k", size=1, sha256="", counts={}, warnings=[], snapshot_id=snapshot_id)


def test_whole_tables_give_their_row_counts_in_document_order():
    counts = check(FRAGMENTS)
    assert list(counts.items()) == [("profiles", 1), ("messages", 3)]


def test_fragments_may_arrive_in_any_order():
    assert list(by_table(FRAGMENTS[::-1]).items()) == list(by_table(FRAGMENTS).items())


def test_a_fragment_of_another_snapshot_is_never_mixed_in():
    with pytest.raises(SnapshotLost, match="staging/1-2 was read from snapshot other"):
        check(changed(FRAGMENTS, 2, snapshot_id="other"))


def test_a_schema_of_another_snapshot_is_never_mixed_in():
    assert check(FRAGMENTS, [section(None), section(SNAPSHOT)])
    with pytest.raises(SnapshotLost, match="schema was read from snapshot other"):
        check(FRAGMENTS, [section("other")])


@pytest.mark.parametrize("missing", [1, 2, 3])
def test_a_missing_fragment_is_named_by_its_table(missing: int):
    with pytest.raises(VerificationFailed, match="messages"):
        check([f for n, f in enumerate(FRAGMENTS) if n != missing])


def test_a_fragment_delivered_by_two_tries_is_refused():
    with pytest.raises(VerificationFailed, match=r"messages has the fragments \[\(1, 3\), \(1, 3\)"):
        check([*FRAGMENTS, FRAGMENTS[1].model_copy(update={"key": "second try"})])


def test_a_missing_table_is_named():
    with pytest.raises(VerificationFailed, match="differ in these tables: profiles"):
        check(FRAGMENTS[1:])


def test_a_table_nobody_asked_for_is_named():
    extra = FRAGMENTS[0].model_copy(update={"table": "intruder", "position": 9})
    with pytest.raises(VerificationFailed, match="differ in these tables: intruder"):
        check([*FRAGMENTS, extra])


@pytest.mark.parametrize("counted", [2, 4, None])
def test_a_count_that_differs_from_the_databases_is_refused(counted: int | None):
    with pytest.raises(VerificationFailed, match=f"messages: 3 rows were read, the database counts {counted}"):
        check(changed(FRAGMENTS, 3, table_rows=counted))


def test_two_tables_of_one_name_never_hide_each_other():
    namesake = FRAGMENTS[0].model_copy(update={"position": 7})
    assert len(by_table([*FRAGMENTS, namesake])["profiles"]) == 2
    with pytest.raises(VerificationFailed, match="profiles has the fragments"):
        check([*FRAGMENTS, namesake])
