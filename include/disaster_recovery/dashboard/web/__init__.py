"""Backup History over HTTP: routes, guard, numbers for monitors. Knows no Airflow."""
