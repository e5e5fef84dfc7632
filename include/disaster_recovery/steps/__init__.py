"""The story of each job: effects in order, no Airflow."""
