"""Splitting of SQL scripts: what the server takes for one statement is one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.disaster_recovery.postgres.rebuild.sql_script import UnterminatedText, split

ATOMIC = """CREATE FUNCTION public.f(x integer) RETURNS integer
    LANGUAGE sql
    BEGIN ATOMIC
 INSERT INTO public.log (t) VALUES ('a;b');
 SELECT CASE WHEN (x > 0) THEN 1 ELSE CASE x WHEN 1 THEN 2 END END AS "end";
END"""
STATEMENTS = [
    "select 1",
    "select ';', 'it''s', '\\'",
    "select E'\\';' , e'\\\\', E''';'",
    "select E'a'\n -- why; not\n  '\\';'",
    'select 1 as "a;""b", "--", "/*"',
    "do $$ begin; end $$",
    "select $a$ $b$ ; $$ $a$, $$;$$, $_ä1$;$_ä1$",
    "select a$b$c from t",  # one identifier, as $ may stand in it
    "select 1 /* ; /* nested ; */ ' */ + 2",
    "select 1 -- ; '\n + 2",
    "select 1 - -1, 2 */*;*/ 3",
    "CREATE RULE r AS ON INSERT TO t DO INSTEAD ( INSERT INTO a VALUES (1); DELETE FROM b; )",
    ATOMIC,
    ATOMIC.replace("CREATE", "create or  replace\n").replace("FUNCTION", "procedure"),
    "begin",
    "CREATE TABLE public.begin (atomic int, begin int)",
    'select 1 as "end"',
    "select N'x', B'1', X'f', U&'d!0061' UESCAPE '!', U&\"x;\"",
    "select 'line\r\nbreak', \u2028col\u00a0umn",
]


@pytest.mark.parametrize("statement", STATEMENTS)
def test_one_statement_stays_one(statement: str) -> None:
    assert split(f"{statement};") == [statement]
    assert split(f"\n-- head;\n/* head; */ {statement}\n /* tail; */;-- end;") == [statement]


@given(st.lists(st.sampled_from(STATEMENTS)), st.sampled_from(["", " ", "\n", "-- ;\n", "/* ; ' */", "\n;;\n"]))
def test_a_script_is_its_statements(statements: list[str], between: str) -> None:
    assert split("".join(f"{between}{statement};" for statement in statements)) == statements
    assert split(";\n".join(statements)) == statements


quoted = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"])).map(lambda text: "'" + text.replace("'", "''") + "'"),
    st.text(st.characters(exclude_categories=["Cs"])).map(lambda text: '"' + text.replace('"', '""') + '"'),
    st.text(st.characters(exclude_categories=["Cs"])).map(
        lambda text: "E'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
    ),
    st.text(st.characters(exclude_characters="$", exclude_categories=["Cs"])).map(lambda text: f"$q$ {text} $ $$ $q$"),
)


@given(st.lists(st.lists(quoted, min_size=1, max_size=4), max_size=4))
def test_whatever_is_quoted_ends_nothing(lists: list[list[str]]) -> None:
    statements = ["select " + ", ".join(each) for each in lists]
    assert split("; ".join(statements)) == statements


@given(st.text(alphabet=" \n;'\"$aE\\()-/*", max_size=40))
def test_any_text_is_split_or_refused_and_again_the_same(script: str) -> None:
    try:
        statements = split(script)
    except UnterminatedText:
        return
    assert all(statement == statement.strip(" \n") for statement in statements)
    assert [split(statement) for statement in statements] == [[statement] for statement in statements]


@pytest.mark.parametrize("script", ["select 'a", 'select "a', "select $a$ $b$", "/* /* */", "select E'\\'"])
def test_unterminated_text_is_refused(script: str) -> None:
    with pytest.raises(UnterminatedText, match="is not closed"):
        split(script)


def test_nothing_is_no_statement() -> None:
    assert split("") == split(" -- x") == split(";;\n/* */;") == []
