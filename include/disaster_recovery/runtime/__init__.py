"""Where Airflow ends: Connections become clients, task context plain values. No other package here imports airflow."""
