"""`collabhunts_retention` as Airflow sees it: its form, its wiring, its limits."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from airflow.sdk.exceptions import ParamValidationError


@pytest.fixture(scope="module")
def dag(dag_bag: Any) -> Any:
    return dag_bag.dags["collabhunts_retention"]


def test_it_runs_daily_at_six_utc_and_by_hand_once_at_a_time(dag: Any) -> None:
    assert (dag.timetable.expression, str(dag.timetable.timezone)) == ("0 6 * * *", "UTC")
    assert (dag.catchup, dag.max_active_runs) == (False, 1)
    assert dag.dagrun_timeout < timedelta(days=1)
    assert dag.allowed_run_types is None or "manual" in {kind.value for kind in dag.allowed_run_types}
    assert {"collabhunts", "retention"} <= set(dag.tags)
    assert dag.has_on_failure_callback


def test_nothing_is_applied_to_the_bucket_unless_asked_for(dag: Any) -> None:
    assert dag.params.dump() == {"dry_run": False, "apply_lifecycle": False}
    for name in dag.params:
        param = dag.params.get_param(name)
        assert param.schema["title"], name
        assert param.description.endswith("."), name
        for wrong in (None, "yes", 1):
            with pytest.raises(ParamValidationError):
                param.resolve(wrong)


def test_all_is_planned_before_anything_expires_and_the_all_clear_comes_last(dag: Any) -> None:
    upstream = {task.task_id: set(task.upstream_task_ids) for task in dag.tasks}
    assert upstream == {
        "plan_expiry": set(),
        "expire": {"plan_expiry"},
        "lifecycle": set(),
        "tidy": {"expire", "lifecycle"},
    }


def test_a_dry_run_or_a_failure_goes_no_further(dag: Any) -> None:
    assert {task.trigger_rule.value for task in dag.tasks} == {"all_success"}
    assert dag.get_task("expire")._pre_execute_hook is not None


def test_every_task_is_retried_and_has_a_time_limit(dag: Any) -> None:
    for task in dag.tasks:
        assert task.retries >= 1, task.task_id
        assert task.retry_exponential_backoff, task.task_id
        assert task.execution_timeout < dag.dagrun_timeout, task.task_id


def test_the_page_says_what_red_means(dag: Any) -> None:
    assert "what red means" in dag.doc_md
    assert "docs/retention.md" in dag.doc_md


def test_unpausing_waits_for_the_next_six_o_clock(dag: Any) -> None:
    """Somebody may want to see a dry run before the first backup is deleted."""
    from airflow.serialization.serialized_objects import DagSerialization
    from airflow.timetables.base import TimeRestriction

    scheduled: Any = DagSerialization.from_dict(DagSerialization.to_dict(dag))  # what the scheduler goes by
    restriction = TimeRestriction(earliest=scheduled.start_date, latest=None, catchup=scheduled.catchup)
    first = scheduled.timetable.next_dagrun_info(last_automated_data_interval=None, restriction=restriction)
    assert first.run_after > datetime.now(timezone.utc)
