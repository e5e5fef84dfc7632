"""`collabhunts_watch` and the tail of `collabhunts_backup` as Airflow sees them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest


@pytest.fixture(scope="module")
def watch_dag(dag_bag: Any) -> Any:
    return dag_bag.dags["collabhunts_watch"]


def test_it_looks_every_hour_once_at_a_time(watch_dag: Any) -> None:
    assert (watch_dag.timetable.expression, str(watch_dag.timetable.timezone)) == ("20 * * * *", "UTC")
    assert watch_dag.max_active_runs == 1
    assert watch_dag.catchup is False
    assert watch_dag.dagrun_timeout < timedelta(hours=1)  # the next look is not kept waiting
    assert watch_dag.has_on_failure_callback


def test_its_page_says_what_red_means(watch_dag: Any) -> None:
    assert "**Red means" in watch_dag.doc_md
    assert "docs/runbooks/backup-late.md" in watch_dag.doc_md


def test_the_backups_page_says_what_red_means(dag_bag: Any) -> None:
    assert "**Red means" in dag_bag.dags["collabhunts_backup"].doc_md


def test_the_watch_of_a_backup_has_a_short_time_limit(dag_bag: Any) -> None:
    task = dag_bag.dags["collabhunts_backup"].get_task("watch_backup")
    assert task.execution_timeout <= timedelta(minutes=10)


def test_a_backup_that_has_not_ended_after_three_hours_is_told(dag_bag: Any) -> None:
    (deadline,) = dag_bag.dags["collabhunts_backup"].deadline
    assert deadline.interval == timedelta(hours=3)
    assert deadline.callback.path == "include.disaster_recovery.runtime.wiring.backup_deadline_missed"
