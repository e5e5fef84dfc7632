"""What a task instance's `hostname` says: the name of the worker, where several share one machine."""

import os
import socket

VARIABLE = "COLLABHUNTS_WORKER"
CALLABLE = f"{__name__}.worker_name"  # for AIRFLOW__CORE__HOSTNAME_CALLABLE


def worker_name() -> str:
    """The worker's own name, else the machine's."""
    return os.environ.get(VARIABLE) or socket.gethostname()
