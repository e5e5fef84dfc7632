"""Trying to read something that may be out of reach, without failing the page."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from include.disaster_recovery.errors import DisasterRecoveryError

log = logging.getLogger(__name__)

Found = TypeVar("Found")
UNKNOWN_HINT = "see the log of Airflow's API server"


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """Why something could not be read."""

    fact: str
    hint: str


def attempt(what: str, read: Callable[[], Found]) -> tuple[Found | None, Trouble | None]:
    """What was read, or why it could not be; other libraries' errors by their type, as their text may hold secrets."""
    try:
        return read(), None
    except DisasterRecoveryError as error:
        trouble = Trouble(fact=error.fact, hint=error.hint)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with a source, the page lists from the other one
        trouble = Trouble(fact=f"the {what} cannot be read: {type(error).__name__}", hint=UNKNOWN_HINT)
    log.warning("the %s cannot be read: %s", what, trouble.fact)
    return None, trouble
