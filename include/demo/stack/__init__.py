"""The embedded stack of `make demo`, `make up` and the tests: Postgres, S3, Airflow as child processes, no Docker."""
