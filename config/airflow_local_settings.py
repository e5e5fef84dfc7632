"""Airflow loads this file from `config/` below AIRFLOW_HOME. Have one already? Take over the import and the call."""

from include.disaster_recovery.runtime.preload import preload

__all__: list[str] = []  # nothing here is a setting of Airflow's

preload()
