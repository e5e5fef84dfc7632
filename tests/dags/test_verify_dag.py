"""`collabhunts_verify` as Airflow sees it: its form, its wiring, its limits."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException, ParamValidationError


@pytest.fixture(scope="module")
def dag(dag_bag: Any) -> Any:
    return dag_bag.dags["collabhunts_verify"]


def test_it_has_no_schedule(dag: Any) -> None:
    assert dag.timetable.can_be_scheduled is False
    assert dag.catchup is False
    assert {"collabhunts", "verify"} <= set(dag.tags)
    assert dag.doc_md.strip().startswith("### CollabHunts verify")
    assert dag.has_on_failure_callback


def test_its_page_says_what_red_means_and_what_to_do(dag: Any) -> None:
    for text in (
        "when it is red",
        "`VerificationFailed`",
        "docs/runbooks/verification-failed.md",
        "`quick`",
        "`restore`",
    ):
        assert text in dag.doc_md


def test_the_form_asks_for_a_backup_and_a_depth(dag: Any) -> None:
    assert dag.params.dump() == {"backup_key": "latest", "depth": "full"}
    for name in ("backup_key", "depth"):
        param = dag.params.get_param(name)
        assert param.schema["title"], name
        assert param.description.endswith("."), name
    assert dag.params.get_param("backup_key").schema["examples"] == ["latest", "all"]
    depth = dag.params.get_param("depth").schema
    assert sorted(depth["enum"]) == ["full", "quick", "restore"] == sorted(depth["values_display"])


@pytest.mark.parametrize(
    "name, value",
    [("backup_key", ""), ("backup_key", "/x"), ("backup_key", "a/../b"), ("depth", "deep"), ("depth", None)],
)
def test_the_form_refuses(dag: Any, name: str, value: object) -> None:
    with pytest.raises(ParamValidationError):
        dag.params.get_param(name).resolve(value)


def test_each_backup_is_verified_and_drilled_by_itself(dag: Any) -> None:
    verify, drill = dag.get_task("verify"), dag.get_task("drill")
    assert verify.get_closest_mapped_task_group() is drill.get_closest_mapped_task_group() is not None
    assert verify.upstream_task_ids == {"plan_verify"}
    assert "verify" in drill.upstream_task_ids
    assert set(verify.op_kwargs) == {"key"}  # the alerts take the backup from it
    assert "op_kwargs['key']" in verify.map_index_template
    assert "backup_key" in drill.map_index_template


def test_the_drill_is_the_drills_own_dag_and_has_to_succeed(dag: Any) -> None:
    drill = dag.get_task("drill")
    assert drill.trigger_dag_id == "collabhunts_drill"
    assert set(drill.conf) == {"backup_key"}
    assert (drill.wait_for_completion, drill.deferrable, drill.fail_when_dag_is_paused) == (True, False, True)
    assert [str(state.value) for state in drill.allowed_states] == ["success"]
    assert drill.max_active_tis_per_dagrun == 1


@pytest.mark.parametrize("depth", ["quick", "full"])
def test_other_depths_need_no_drill(depth: str) -> None:
    from include.disaster_recovery.runtime.verify_tasks import skip_unless_restore

    with pytest.raises(AirflowSkipException, match=f"depth is {depth}"):
        skip_unless_restore({"params": {"depth": depth}})
    skip_unless_restore({"params": {"depth": "restore"}})


def test_the_summary_comes_last_and_decides_nothing(dag: Any) -> None:
    summarize = dag.get_task("summarize")
    assert summarize.is_teardown
    assert summarize.on_failure_fail_dagrun is False
    assert "drill" in summarize.upstream_task_ids


def test_readings_are_tried_again_and_drills_are_not(dag: Any) -> None:
    assert dag.get_task("verify").retries == 3
    assert dag.get_task("drill").retries == 0
    for task in dag.tasks:
        assert task.execution_timeout is not None, task.task_id
