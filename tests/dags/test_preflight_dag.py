"""`collabhunts_preflight` as Airflow sees it, and the connection that each DAG reaches the bucket by."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from include.disaster_recovery.runtime import connections
from include.disaster_recovery.settings import CONFIG_VARIABLE


@pytest.fixture(scope="module")
def preflight_dag(dag_bag: Any) -> Any:
    return dag_bag.dags["collabhunts_preflight"]


@pytest.fixture
def two_identities(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Retention and the page have connections of their own."""
    file = tmp_path / "settings.yaml"
    own = {"retention": "collabhunts_s3_retention", "page": "collabhunts_s3_page"}
    file.write_text(yaml.safe_dump({"s3": {"connections": own}}))
    monkeypatch.setenv(CONFIG_VARIABLE, str(file))
    for conn_id in ("collabhunts_s3", *own.values()):
        extra = {"region_name": "eu-central-1", "endpoint_url": "http://127.0.0.1:9"}
        value = {"conn_type": "aws", "login": f"key of {conn_id}", "password": "secret", "extra": extra}
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(value))
    connections.settings.cache_clear()
    yield
    connections.settings.cache_clear()


def key_in_use(**wanted: Any) -> str:
    client: Any = connections.store(**wanted).client
    return str(client._request_signer._credentials.access_key)


def test_it_runs_by_hand_only_and_looks_before_it_judges(preflight_dag: Any) -> None:
    assert preflight_dag.schedule is None
    assert preflight_dag.max_active_runs == 1
    assert preflight_dag.get_task("require_fit").upstream_task_ids == {"examine_bucket"}


def test_its_page_says_what_red_means_and_which_policy_its_key_needs(preflight_dag: Any) -> None:
    assert "when it is red" in preflight_dag.doc_md
    assert "include/aws/policies/bucket-reader.json" in preflight_dag.doc_md


@pytest.mark.parametrize(
    "dag_id, conn_id",
    [
        ("collabhunts_retention", "collabhunts_s3_retention"),
        ("collabhunts_backup", "collabhunts_s3"),
        ("somebody_elses", "collabhunts_s3"),
        (None, "collabhunts_s3"),
    ],
)
def test_each_dag_reaches_the_bucket_as_the_identity_of_the_settings(
    two_identities: None, monkeypatch: pytest.MonkeyPatch, dag_id: str | None, conn_id: str
) -> None:
    monkeypatch.delenv("AIRFLOW_CTX_DAG_ID", raising=False)
    if dag_id:
        monkeypatch.setenv("AIRFLOW_CTX_DAG_ID", dag_id)
    assert key_in_use() == f"key of {conn_id}"


def test_the_page_has_an_identity_of_its_own_in_whatever_process_it_is_served(two_identities: None) -> None:
    assert key_in_use(purpose="page") == "key of collabhunts_s3_page"
