"""The providers are imported once, in the processes that fork tasks, and only there."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOADED = """
import sys
sys.argv = ["airflow", *sys.argv[1:]]
import airflow_local_settings
print(airflow_local_settings.__all__, "boto3" in sys.modules, "airflow.providers.amazon.aws.hooks.s3" in sys.modules)
"""


@pytest.mark.parametrize(
    "command, expected",
    [
        ("celery worker --concurrency 8", "[] True True"),
        ("api-server", "[] False False"),
        ("tasks test collabhunts_backup scheduler", "[] False False"),
    ],
)
def test_only_what_forks_tasks_imports_the_providers(tmp_path: Path, command: str, expected: str) -> None:
    environment = {"PYTHONPATH": f"{ROOT / 'config'}:{ROOT}", "AIRFLOW_HOME": str(tmp_path), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *command.split()], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip().splitlines()[-1] == expected
