"""Airflow plugins: registration and access checks only; the pages behind them live in `include/disaster_recovery`."""
