"""`collabhunts_drill` as Airflow sees it: when it runs, its form, its wiring, its limits."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk.exceptions import ParamValidationError


@pytest.fixture(scope="module")
def dag(dag_bag: Any) -> Any:
    return dag_bag.dags["collabhunts_drill"]


@pytest.fixture(scope="module")
def upstream(dag: Any) -> dict[str, set[str]]:
    return {task.task_id: set(task.upstream_task_ids) for task in dag.tasks}


def test_the_backup_asset_starts_it_one_at_a_time(dag: Any) -> None:
    assert [asset.name for asset in dag.timetable.asset_condition.objects] == ["collabhunts_backups"]
    assert dag.max_active_runs == 1
    assert dag.catchup is False
    assert dag.allowed_run_types is None  # by the asset, by hand, and by collabhunts_verify
    assert {"collabhunts", "drill"} <= set(dag.tags)
    assert dag.has_on_failure_callback


def test_its_page_says_what_red_means(dag: Any) -> None:
    assert dag.doc_md.strip().startswith("### CollabHunts drill")
    assert "**Red means**" in dag.doc_md
    assert "docs/runbooks/drill-failed.md" in dag.doc_md


def test_the_form_asks_for_a_backup_only(dag: Any) -> None:
    assert dag.params.dump() == {"backup_key": "latest"}
    param = dag.params.get_param("backup_key")
    assert param.schema["title"]
    assert param.description.endswith(".")
    key = "backups/collabhunts-backup-2025-12-07T18-33-07-123Z.json"
    assert param.resolve(key) == key
    with pytest.raises(ParamValidationError):
        param.resolve("backups/../secrets.json")


def test_tasks_are_wired_in_the_order_of_a_restore(upstream: dict[str, set[str]]) -> None:
    assert upstream["plan_drill"] == set()
    assert upstream["rebuild_schema"] == {"plan_drill"}
    assert upstream["load"] == {"plan_drill", "rebuild_schema"}
    assert upstream["check_staging"] == {"plan_drill", "load"}
    assert upstream["apply"] == {"plan_drill", "check_staging"}
    assert upstream["compare"] == {"plan_drill", "check_staging", "apply"}


def test_the_verdict_is_given_whatever_became_of_the_steps(dag: Any, upstream: dict[str, set[str]]) -> None:
    assert upstream["prove"] == {"plan_drill", "rebuild_schema", "load", "check_staging", "apply", "compare"}
    assert dag.get_task("prove").trigger_rule == "all_done"
    # The only leaf but for the teardown, which does not count: where prove is red, the run is.
    assert [task.task_id for task in dag.tasks if task.downstream_task_ids == {"drop_scratch"}] == ["prove"]
    assert not dag.get_task("drop_scratch").on_failure_fail_dagrun


def test_a_drill_that_is_not_due_runs_nothing(dag: Any) -> None:
    """A skipped `plan_drill` leaves no success above `check_staging`, which a backup without rows has."""
    assert dag.get_task("check_staging").trigger_rule == "none_failed_min_one_success"
    for task_id in ("rebuild_schema", "load", "apply", "compare"):
        assert dag.get_task(task_id).trigger_rule == "all_success", task_id


def test_the_scratch_database_is_dropped_last_and_whatever_happened(dag: Any, upstream: dict[str, set[str]]) -> None:
    drop = dag.get_task("drop_scratch")
    assert {"plan_drill", "rebuild_schema", "load", "compare", "prove"} <= upstream["drop_scratch"]
    assert drop.is_teardown
    assert drop.trigger_rule == "all_done_setup_success"


def test_every_task_is_retried_and_has_a_time_limit(dag: Any) -> None:
    for task in dag.tasks:
        assert task.retries >= 1, task.task_id
        assert task.execution_timeout is not None, task.task_id
        assert task.execution_timeout < dag.dagrun_timeout


def test_loads_are_limited_in_number_and_labelled(dag: Any) -> None:
    load = dag.get_task("load")
    assert load.max_active_tis_per_dagrun == 4
    assert "unit['table']" in load.map_index_template
