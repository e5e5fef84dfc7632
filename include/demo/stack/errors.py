"""Errors of the embedded stack.

StackError
├── BinaryMissing      a server's program is not installed
├── PortsExhausted     no free port was found
├── ProcessFailed      a child process ended, or was not ready in time
└── AirflowApiError    Airflow's REST API answered with an error

Every message is a lower-case fact with values, then `hint:` and the next action.
"""

from __future__ import annotations


class StackError(RuntimeError):
    """Something of the embedded stack did not work; the message says what and what to do next."""

    def __init__(self, fact: str, *, hint: str = "") -> None:
        """Join `fact` and `hint` to one message."""
        super().__init__(f"{fact}\nhint: {hint}" if hint else fact)
        self.fact = fact
        self.hint = hint


class BinaryMissing(StackError):
    """A program that the stack starts is not installed."""


class PortsExhausted(StackError):
    """No free port was found on 127.0.0.1."""


class ProcessFailed(StackError):
    """A child process ended by itself or did not become ready in time; the message ends with its log's tail."""


class AirflowApiError(StackError):
    """Airflow's REST API answered with a status of 400 or more, or a run did not end in time."""
