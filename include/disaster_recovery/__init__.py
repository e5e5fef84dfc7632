"""Disaster recovery of the CollabHunts platform: snapshot, document, verify, restore."""

__version__ = "0.1.0"
