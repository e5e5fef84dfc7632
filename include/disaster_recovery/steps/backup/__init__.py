"""The steps of a backup, one module each, in the order of the DAG."""
