"""Verification: the bytes of a backup are what was written."""
