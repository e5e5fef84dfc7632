"""Statements of a newer pg_dump on an older server, and how they are shown."""

from __future__ import annotations

import pytest

from include.disaster_recovery.postgres.rebuild.statements import first_words, without_maintain


@pytest.mark.parametrize(
    "statement, expected",
    [
        ("GRANT SELECT,MAINTAIN,UPDATE ON TABLE t TO a", "GRANT SELECT,UPDATE ON TABLE t TO a"),
        ("GRANT MAINTAIN ON TABLE t TO a", ""),
        ("GRANT ALL ON TABLE t TO a", "GRANT ALL ON TABLE t TO a"),
        ("GRANT UPDATE(a) ON TABLE t TO a", "GRANT UPDATE(a) ON TABLE t TO a"),
        ("REVOKE INSERT,MAINTAIN ON TABLE t FROM a", "REVOKE INSERT ON TABLE t FROM a"),
        (
            'ALTER DEFAULT PRIVILEGES FOR ROLE "GRANT" IN SCHEMA s GRANT DELETE, MAINTAIN ON tables TO a',
            'ALTER DEFAULT PRIVILEGES FOR ROLE "GRANT" IN SCHEMA s GRANT DELETE ON tables TO a',
        ),
        ("COMMENT ON TABLE t IS 'GRANT MAINTAIN ON x'", "COMMENT ON TABLE t IS 'GRANT MAINTAIN ON x'"),
    ],
)
def test_maintain_is_left_out_of_grants_alone(statement: str, expected: str) -> None:
    assert without_maintain(statement) == expected


def test_statements_are_shown_on_one_short_line() -> None:
    assert first_words("CREATE TABLE t (\n    i int\n)") == "CREATE TABLE t ( i int )"
    assert first_words("x" * 200) == "x" * 120 + " …"
