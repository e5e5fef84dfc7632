"""The steps of a restore, one module a task."""
