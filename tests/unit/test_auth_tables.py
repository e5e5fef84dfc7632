"""What of a described table may be written as text, and what its grants say."""

from __future__ import annotations

import pytest
from psycopg import sql

from include.disaster_recovery.errors import RebuildFailed
from include.disaster_recovery.supabase.auth_tables import AuthTable, _expression, parsed_grants


@pytest.mark.parametrize(
    "text",
    [
        "now()",
        "'it''s (fine'::text",
        "LEAST(email_confirmed_at, phone_confirmed_at)",
        "lower((identity_data ->> 'email'::text))",
        '("a)b" + 1)',
    ],
)
def test_single_expressions(text: str) -> None:
    assert _expression(text) == sql.SQL("({})").format(sql.SQL(text))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1) stored, x int default (1",
        "1); drop table t; --",
        "'a",
        '"a',
        "1 -- x",
        "1 /* x",
        "$$x$$",
        "E'\\''",
        "')' || (",
        "1;2",
        "a\0b",
    ],
)
def test_what_could_be_more_than_one_expression(text: str) -> None:
    assert _expression(text) is None


def test_grants_are_read_as_postgres_writes_them() -> None:
    grants = ["=r/o", "a=r*w/o", '"we ""ird=/"=arwdDxtm/o', "b=/o", "c=U/o", "malformed"]
    assert list(parsed_grants(grants)) == [
        ("", ["SELECT"], False),
        ("a", ["UPDATE"], False),
        ("a", ["SELECT"], True),
        ('we "ird=/', ["INSERT", "SELECT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN"], False),
    ]


def test_a_malformed_description_is_refused() -> None:
    with pytest.raises(RebuildFailed, match=r"description of table auth\.users has 7 wrong value"):
        AuthTable("auth.users", {})
