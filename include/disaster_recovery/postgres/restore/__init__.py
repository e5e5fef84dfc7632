"""Restoring rows into a target: staged, compared, changed in one transaction, proven."""
