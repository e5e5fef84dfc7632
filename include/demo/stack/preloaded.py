"""The `airflow_local_settings` of the stack: what every task imports is imported once, before the tasks are forked.

More than half of what a small task costs. Our own modules are not among them: each task imports those itself.
"""

from __future__ import annotations

import importlib
import inspect
import sys

__all__: list[str] = []  # nothing here is a setting of Airflow's

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

if {"scheduler", "dag-processor"} & set(sys.argv):
    for name in MODULES:
        importlib.import_module(name)
    inspect.stack()  # as the S3 hook does to find its caller: the first call looks for the file of every module
