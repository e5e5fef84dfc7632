"""Backup History: what the page shows, decided and read here; the web application around it. Knows no Airflow."""
