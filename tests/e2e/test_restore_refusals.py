"""What `collabhunts_restore` refuses: in the form, or in its first task, which names the parameter."""

from __future__ import annotations

from typing import Any

import pytest

from include.demo.stack.airflow_client import AirflowApiError
from tests.e2e.conftest import RESTORE_DAG, Platform


@pytest.mark.parametrize(
    "conf, named",
    [
        ({"backup_key": "../backups/x.json"}, "backup_key"),
        ({"backup_key": ""}, "backup_key"),
        ({"target_conn_id": "postgresql://user@host/db"}, "target_conn_id"),
        ({"tables": []}, "tables"),
        ({"mode": "merge"}, "mode"),
        ({"dry_run": "perhaps"}, "dry_run"),
    ],
)
def test_the_form_refuses_what_can_never_be_right(
    platform: Platform, key: str, conf: dict[str, Any], named: str
) -> None:
    with pytest.raises(AirflowApiError, match=f"answered 400.*{named}"):
        platform.api.trigger(RESTORE_DAG, conf)


@pytest.mark.parametrize(
    "conf, said",
    [
        (
            {"backup_key": "collabhunts-backup-2001-01-01T00-00-00-000Z.json"},
            ["backup_key", "the nearest are: backups/"],
        ),
        ({"target_conn_id": "no_such_db"}, ["target_conn_id is no_such_db", "AIRFLOW_CONN_NO_SUCH_DB"]),
        ({"target_conn_id": "collabhunts_s3"}, ["target_conn_id is collabhunts_s3", "of type aws"]),
    ],
)
def test_the_first_task_names_what_is_wrong(
    platform: Platform, key: str, target: str, conf: dict[str, Any], said: list[str]
) -> None:
    run_id, state = platform.run(RESTORE_DAG, **{"backup_key": key, **conf})
    assert state == "failed"
    log = platform.api.task_log(RESTORE_DAG, run_id, "plan_restore")
    for text in [*said, "hint:"]:
        assert text in log
    (plan,) = [each for each in platform.api.task_instances(RESTORE_DAG, run_id) if each.task_id == "plan_restore"]
    assert plan.try_number == 1
