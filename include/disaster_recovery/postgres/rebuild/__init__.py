"""Rebuilding a schema in an empty target: the DDL, what it needs, and what would undo it."""
