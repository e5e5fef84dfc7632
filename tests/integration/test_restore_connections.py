"""The target of a restore by its Airflow connection: found, named without secrets, told from the source."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from include.demo.stack.postgres_server import PostgresServer
from include.disaster_recovery.errors import RestoreRefused, SettingsError
from include.disaster_recovery.runtime import connections, context

Connect = Callable[..., None]


@pytest.fixture
def airflow_connection(postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Sets an Airflow connection to a database of the test server."""

    def connect(conn_id: str, database: str, **fields: object) -> None:
        known = {"host": postgres_server.host, "port": postgres_server.port, "login": postgres_server.superuser}
        secret = {"password": postgres_server.password, "schema": database, "conn_type": "postgres"}
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps({**known, **secret, **fields}))

    monkeypatch.setenv("AIRFLOW_CONN_COLLABHUNTS_DB", "")
    monkeypatch.delenv("AIRFLOW_CONN_COLLABHUNTS_DB")
    return connect


def test_a_target_is_named_by_host_port_and_database(
    postgres_server: PostgresServer, airflow_connection: Connect
) -> None:
    airflow_connection("new_project", "some_db", extra={"sslmode": "require"})
    assert connections.target_text("new_project") == f"{postgres_server.host}:{postgres_server.port}/some_db"


def test_a_missing_target_connection_is_named_with_its_parameter() -> None:
    with pytest.raises(SettingsError, match=r"target_conn_id is no_such_db: .*no_such_db is missing") as error:
        connections.target("no_such_db")
    assert "AIRFLOW_CONN_NO_SUCH_DB" in error.value.hint


def test_a_target_connection_of_another_type_is_refused(airflow_connection: Connect) -> None:
    airflow_connection("some_bucket", "", conn_type="aws")
    with pytest.raises(SettingsError, match=r"target_conn_id is some_bucket: .* of type aws"):
        connections.target("some_bucket")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_source_is_known_by_whatever_name_it_goes(
    airflow_connection: Connect, empty_database: str, host: str
) -> None:
    airflow_connection("collabhunts_db", empty_database)
    airflow_connection("restore", empty_database, host=host)
    with connections.target("restore") as connection:
        assert connections.is_source(connection, "restore") is True


def test_another_database_of_the_source_server_is_not_the_source(
    airflow_connection: Connect, empty_database: str
) -> None:
    airflow_connection("collabhunts_db", "postgres")
    airflow_connection("restore", empty_database)
    with connections.target("restore") as connection:
        assert connections.is_source(connection, "restore") is False


@pytest.mark.parametrize("gone", ["missing", "dropped", "down"])
def test_a_source_out_of_reach_is_not_the_target(
    airflow_connection: Connect, empty_database: str, gone: str, caplog: pytest.LogCaptureFixture
) -> None:
    if gone != "missing":
        airflow_connection("collabhunts_db", "no_such_database", **({"port": 1} if gone == "down" else {}))
    airflow_connection("restore", empty_database)
    with connections.target("restore") as connection:
        assert connections.is_source(connection, "restore") is False
    assert "out of reach" in caplog.text


@dataclass
class Answered:
    """A task instance whose approval got this answer."""

    answer: object

    def xcom_pull(self, *, task_ids: str) -> object:
        assert task_ids == "approve"
        return self.answer


def test_the_approver_is_whom_airflow_names() -> None:
    user = {"id": "7", "name": "Ada"}
    given = Answered({"chosen_options": ["Approve"], "responded_by_user": user})
    assert context.approver(given, "approve") == "Ada"
    assert context.approver(Answered(None), "approve") is None
    unnamed = Answered({"chosen_options": ["Approve"], "responded_by_user": None})
    assert context.approver(unnamed, "approve") == "unknown"


def test_a_rejection_is_never_taken_for_an_approval() -> None:
    with pytest.raises(RestoreRefused, match="rejected"):
        context.approver(Answered({"chosen_options": ["Reject"], "responded_by_user": None}), "approve")
