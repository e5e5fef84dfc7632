"""What the DAG files share. They are parsed again and again: nothing here may load a client library or read a file."""

import os
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from airflow.sdk import (  # type: ignore[attr-defined]
    Asset,
    DeadlineAlert,
    DeadlineReference,
    ExceptionRetryPolicy,
    Param,
    RetryAction,
    RetryRule,
    SyncCallback,
)

from include.disaster_recovery.errors import PermanentError

BACKUPS = Asset(name="collabhunts_backups", uri="s3://collabhunts-backups/backups/", group="disaster-recovery")
TAGS = ["collabhunts", "disaster-recovery"]
# The Airflow pool of the backup's tasks: its slots bound the sessions on the source database. It must exist, else no
# task starts; Airflow's own pool always does, and there the DAG's limits alone bound them.
SOURCE_POOL = os.environ.get("DISASTER_RECOVERY_SOURCE_POOL") or "default_pool"
# One line that is no path out of the bucket's prefix: no `..`, no `/` in front, no control character.
BACKUP_KEY = r"^(?!/)(?!.*\.\.)[^\x00-\x1f\x7f-\x9f\u2028\u2029]{1,1024}$(?!\n)"
# `messages`, or `messages [2/4]`; from the arguments, so that it shows while the task runs.
LOAD_LABEL = (
    "{% set unit = task.op_kwargs['unit'] %}{{ unit['table'] }}"
    "{% if unit['parts'] > 1 %} [{{ unit['part'] }}/{{ unit['parts'] }}]{% endif %}"
)


def default_args(on_failure: Callable[[Any], None], *, never_retried: Sequence[RetryRule] = ()) -> dict[str, Any]:
    """Arguments of every task: three retries, ever further apart, but for errors that trying again cannot mend."""
    permanent = RetryRule(exception=PermanentError, action=RetryAction.FAIL, reason="trying again cannot help")
    return {
        "owner": "disaster-recovery",
        "retries": 3,
        "retry_delay": timedelta(seconds=10),
        "retry_exponential_backoff": 2.0,
        "max_retry_delay": timedelta(minutes=5),
        "retry_policy": ExceptionRetryPolicy(rules=[permanent, *never_retried]),
        "execution_timeout": timedelta(minutes=15),
        "on_failure_callback": on_failure,
    }


def backup_key_param(description: str, *, examples: Sequence[str] = ("latest",)) -> Param:
    """The form's field for a backup key, a file name or one of the words in `examples`; the first is its default."""
    return Param(examples[0], description, type="string", title="Backup", pattern=BACKUP_KEY, examples=list(examples))


def backup_failed(context: Any) -> None:
    """Callback of `collabhunts_backup`: close the history row, raise the alarm."""
    from include.disaster_recovery.runtime.failures import record_failure

    record_failure(context)


def run_failed(context: Any) -> None:
    """Callback of all other DAGs: one line in the log, and the alarm."""
    from include.disaster_recovery.runtime.failures import log_failure

    log_failure(context)


def late_after(interval: timedelta) -> Any:
    """A deadline of the backup's runs, counted from when they were queued.

    Its callback runs in a process of the executor, beside a run that may hang; it is named by its path.
    """
    callback = SyncCallback(f"{__name__}.{backup_deadline_missed.__name__}")
    return DeadlineAlert(
        name="late", reference=DeadlineReference.DAGRUN_QUEUED_AT, interval=interval, callback=callback
    )


def backup_deadline_missed(context: Any) -> None:
    """Callback of the deadline of `collabhunts_backup`: a run that is still at work, or still waiting."""
    from include.disaster_recovery.runtime.failures import deadline_missed

    deadline_missed(context)
