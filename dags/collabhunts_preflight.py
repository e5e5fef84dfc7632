"""### CollabHunts preflight

Is the bucket set up as backups need it? Only triggered by hand, at any time: it reads settings of the bucket, and
writes nothing. Run it after `terraform apply` in `include/aws`, after somebody has changed the bucket, and whenever you
want to be sure.

| task | what it does | when it is red |
|---|---|---|
| `examine_bucket` | reads every setting, logs and returns the report | no such bucket, wrong keys, no answer |
| `require_fit` | nothing but the verdict | **something required is missing**: each is named with its hint |

| in the report | what it means |
|---|---|
| `met` | the live bucket is as it has to be |
| `MISSING` | it is not; the hint names the Terraform resource that mends it |
| `UNREADABLE` | this key may not look, which says nothing of the bucket; what is required counts as missing |
| `UNSUPPORTED` | the server has no such setting: see to it by other means; it does not count |

*Required* is what keeps backups from being read by others, lost, or changed on the way: TLS, encryption, no public
access, old versions, no rule that deletes by age. *Recommended* is what limits the damage of a stolen key: denying
other encryption and overwriting, Object Lock, an access log, our lifecycle rules.

Whether a backup can be taken right now (tables, grants, `pg_dump`, a probe written and deleted) is what the task
`preflight` of `collabhunts_backup` checks, before each backup. Connection: `collabhunts_s3`, or the one that
`s3.connections` gives for `preflight`; its key needs `include/aws/policies/bucket-reader.json` and nothing more.
All of it: `docs/security.md`.
"""

from datetime import timedelta
from typing import Any

import pendulum
from airflow.sdk import DAG, task

from include.disaster_recovery.runtime.wiring import TAGS, default_args, run_failed

Json = dict[str, Any]


def tasks() -> Any:
    """The bodies of the tasks, imported when one runs: parsing a DAG file should load no client library."""
    from include.disaster_recovery.runtime import preflight_tasks

    return preflight_tasks


with DAG(
    dag_id="collabhunts_preflight",
    schedule=None,
    start_date=pendulum.datetime(2025, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=1),
    default_args=default_args(run_failed),
    tags=[*TAGS, "preflight"],
    doc_md=__doc__,
):

    @task(multiple_outputs=False)
    def examine_bucket() -> Json:
        return tasks().examine_bucket()

    # A task of its own: where one fails, Airflow does not keep what it would have returned.
    @task
    def require_fit(report: Json) -> None:
        tasks().require_fit(report)

    require_fit(examine_bucket())
