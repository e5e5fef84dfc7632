"""What tasks import, imported once in the process that forks them: half of what a small task costs.

For Airflow's `airflow_local_settings`, which every process of Airflow's loads first: see `config/`. Our own modules are
not among them: each task imports those itself, so that new code is in use without a restart.
"""

import importlib
import sys
from collections.abc import Sequence

MODULES = (
    "airflow.providers.amazon.aws.assets.s3",
    "airflow.providers.amazon.aws.hooks.s3",
    "airflow.providers.standard.decorators.python",
    "airflow.providers.standard.operators.hitl",
    "airflow.providers.standard.operators.trigger_dagrun",
    "airflow.sdk.execution_time.task_runner",
    "boto3",
    "psycopg",
    "pydantic",
    "yaml",
)
# With LocalExecutor it is the scheduler that forks the tasks.
FORKING_COMMANDS = (["scheduler"], ["dag-processor"], ["celery", "worker"])


def preload(arguments: Sequence[str] = sys.argv) -> bool:
    """Import them in a scheduler, a dag-processor or a Celery worker; whether this is one.

    The API server, the triggerer and short commands fork no task: there it would only cost memory and time.
    """
    forks = any(list(arguments[1 : 1 + len(command)]) == command for command in FORKING_COMMANDS)
    if forks:
        for name in MODULES:
            importlib.import_module(name)
    return forks
