"""The tasks of `collabhunts_verify`: JSON in, one step of the verification, JSON out (XCom carries JSON)."""

import logging
from collections.abc import Mapping
from typing import Any

from airflow.sdk import get_current_context
from airflow.sdk.exceptions import AirflowSkipException

from include.disaster_recovery.model import Depth, Verdict
from include.disaster_recovery.runtime import context
from include.disaster_recovery.runtime.alerts import all_clear
from include.disaster_recovery.runtime.connections import settings, source, store
from include.disaster_recovery.steps.verify import planning, summarizing, verifying

log = logging.getLogger(__name__)

Json = dict[str, Any]
RESTORE = "restore"  # the depth that a drill reads on from: here it begins with a quick look
FULL: Depth = "full"
QUICK: Depth = "quick"
PLAN, VERIFY, DRILL, VERDICT = "plan_verify", "verify", "drill", "verdict"


def plan_verify() -> list[str]:
    """The keys of the backups to verify."""
    wanted = get_current_context()["params"]["backup_key"]
    return planning.plan_verify(store(), settings(), wanted, connect=source, most=context.most_mapped())


def verify(key: str) -> Json:
    """Verify one backup; its verdict is pushed whatever it says.

    Raises:
        VerificationFailed: it is missing or invalid.
        AirflowSkipException: it has expired since the run was planned.
    """
    airflow = get_current_context()
    depth = FULL if airflow["params"]["depth"] == FULL else QUICK
    verdict = verifying.verify(store(), settings(), key, depth, connect=source, now=context.now)
    if verdict is None:
        raise AirflowSkipException(f"{key} has expired")
    airflow["ti"].xcom_push(key=VERDICT, value={"key": key, **verdict.to_json()})
    verifying.require_valid(key, verdict)
    all_clear("verification-failed", key, f"{key} is valid ({depth}): {verdict.size} bytes, {verdict.rows} rows")
    return verdict.to_json()


def skip_unless_restore(airflow: Mapping[str, Any]) -> None:
    """Leave out the drill of a backup that only its bytes are asked for.

    Raises:
        AirflowSkipException: depth is another.
    """
    depth = airflow["params"]["depth"]
    if depth != RESTORE:
        raise AirflowSkipException(f"depth is {depth}, a drill belongs to depth {RESTORE}")


def summarize() -> Json:
    """One line a backup in the log; how many there are of each verdict. Nothing where nothing was planned."""
    airflow = get_current_context()
    ti = airflow["ti"]
    keys = list(ti.xcom_pull(task_ids=PLAN) or [])
    if not keys:
        log.info("no backup was planned: see the log of %s", PLAN)
        return {}
    pushed = ti.xcom_pull(task_ids=VERIFY, key=VERDICT, map_indexes=list(range(len(keys)))) or []
    verdicts = {
        each["key"]: Verdict.model_validate({name: value for name, value in each.items() if name != "key"})
        for each in pushed
        if each
    }
    states = context.task_states(ti, [DRILL])() if airflow["params"]["depth"] == RESTORE else {}
    drills = {key: states.get(f"{DRILL}_{index}") for index, key in enumerate(keys)}
    return summarizing.summarize(keys, verdicts, drills)
