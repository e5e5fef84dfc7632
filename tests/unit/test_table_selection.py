import pytest

from include.disaster_recovery.errors import TableUnreadable
from include.disaster_recovery.settings import TableSettings
from include.disaster_recovery.table_selection import Relation, name_in_document, select_tables, table_name


def relation(name: str, *, schema: str = "public", kind: str = "r", **changes: object) -> Relation:
    values = {
        "is_partition": False,
        "persistence": "p",
        "of_extension": False,
        "heap_bytes": 8192,
        "toast_bytes": 0,
        "block_bytes": 8192,
    }
    return Relation.model_validate({"schema_name": schema, "name": name, "kind": kind, **values, **changes})


DATABASE = [
    relation("users", schema="auth"),
    relation("identities", schema="auth"),
    relation("sessions", schema="auth"),
    relation("profiles"),
    relation("messages", kind="p"),
    relation("messages_2025", is_partition=True),
    relation("scratch", persistence="u"),
    relation("temporary", persistence="t"),
    relation("spatial_ref_sys", of_extension=True),
    relation("overview", kind="v"),
    relation("totals", kind="m"),
    relation("remote", kind="f"),
    relation("profiles", schema="crm"),
    relation("leads", schema="crm"),
]


def select(database: list[Relation] = DATABASE, **settings: object) -> tuple[list[str], list[str]]:
    selection = select_tables(TableSettings.model_validate(settings), database)
    return tuple([r.table.name_in_document for r in each] for each in (selection.covered, selection.uncovered))  # type: ignore[return-value]


def refused(database: list[Relation] = DATABASE, **settings: object) -> str:
    with pytest.raises(TableUnreadable) as error:
        select(database, **settings)
    return error.value.fact


def test_all_takes_the_ordinary_and_partitioned_tables_and_auth():
    covered, uncovered = select(include="all")
    assert covered == ["profiles", "messages", "scratch", "auth.users", "auth.identities"]
    assert uncovered == []


def test_all_takes_several_schemas():
    covered, _ = select(include="all", schemas=["crm", "public"], auth=False)
    assert covered == ["profiles", "messages", "scratch", "crm.profiles", "crm.leads"]


def test_a_list_is_kept_in_its_order_and_what_it_leaves_out_is_said():
    covered, uncovered = select(include=["messages", "profiles"])
    assert covered == ["messages", "profiles", "auth.users", "auth.identities"]
    assert uncovered == ["scratch"]


def test_what_is_excluded_by_name_is_left_out_knowingly():
    covered, uncovered = select(include="all", exclude=["scratch", "auth.identities", "not_there"])
    assert covered == ["profiles", "messages", "auth.users"]
    assert uncovered == []
    assert select(include=["profiles", "messages"], exclude=["scratch"])[1] == []


def test_auth_can_be_left_out():
    assert select(include=["profiles"], auth=False)[0] == ["profiles"]


def test_auth_is_taken_where_it_exists():
    assert select([relation("profiles"), relation("users", schema="auth", kind="v")], include="all")[0] == ["profiles"]


def test_auth_named_by_hand_is_not_taken_twice():
    assert select(include=["auth.users", "profiles"])[0] == ["auth.users", "profiles", "auth.identities"]


def test_one_table_under_two_names_is_taken_once():
    assert select(include=["profiles", "public.profiles"], auth=False)[0] == ["profiles"]


def test_a_bare_name_is_looked_for_in_the_schemas_in_their_order():
    assert select(include=["profiles"], schemas=["crm", "public"], auth=False)[0] == ["crm.profiles"]
    assert select(include=["profiles"], schemas=["public", "crm"], auth=False)[0] == ["profiles"]


def test_a_qualified_name_reaches_beyond_the_schemas():
    assert select(include=["crm.leads"], auth=False)[0] == ["crm.leads"]


def test_a_bare_name_does_not_reach_beyond_the_schemas():
    assert refused(include=["leads"]) == "1 of 1 tables to back up are not there: leads (no such table)"


def test_every_name_that_means_no_table_is_listed_with_its_reason():
    assert refused(include=["profiles", "profils", "overview", "totals", "remote", "crm.nothing"]) == (
        "5 of 6 tables to back up are not there: profils (no such table), overview (a view), "
        "totals (a materialized view), remote (a foreign table), crm.nothing (no such table)"
    )


def test_dots_may_stand_in_the_name_of_a_schema_or_a_table():
    database = [relation("t", schema="my.schema"), relation("a.b", schema="my"), relation("c.d")]
    assert select(database, include=["my.schema.t", "my.a.b", "c.d"])[0] == ["my.schema.t", "my.a.b", "c.d"]


def test_two_tables_of_one_name_in_the_document_are_refused():
    database = [relation("auth.users"), relation("users", schema="auth")]
    assert refused(database, include="all") == "two tables would have the same name in the document: auth.users"
    assert select(database, include="all", exclude=["public.auth.users"])[0] == ["auth.users"]


def test_an_empty_database_is_not_backed_up_as_if_it_were_one():
    assert refused([relation("overview", kind="v")], include="all", schemas=["public", "crm"]) == (
        "there is no table to back up in the schemas public, crm"
    )


@pytest.mark.parametrize(
    "schema, name, shown",
    [("public", "profiles", "profiles"), ("auth", "users", "auth.users"), ("public", 'say "hi"', 'say "hi"')],
)
def test_names_in_the_document_are_bare_for_public(schema: str, name: str, shown: str):
    assert name_in_document(schema, name) == shown
    assert table_name(schema, name).name_in_document == shown
