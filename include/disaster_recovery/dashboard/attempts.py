"""Trying to read something that may be out of reach, without failing the page."""

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from include.disaster_recovery.dashboard.traces import trace_of
from include.disaster_recovery.errors import DisasterRecoveryError

log = logging.getLogger(__name__)

Found = TypeVar("Found")
_REFUSED = re.compile(r"(connection \S+) to \S+ failed\b.*", re.DOTALL)
_URL = re.compile(r"""["']?https?://[^\s"']+["']?""")
UNKNOWN_HINT = "see the log of Airflow's API server"


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """Why something could not be read."""

    fact: str
    hint: str


def without_address(fact: str) -> str:
    """A fact for whoever may look at the page: neither host, port and database nor login. The log has them."""
    return _URL.sub("the S3 server", _REFUSED.sub(r"\1 failed", fact))


def attempt(what: str, read: Callable[[], Found]) -> tuple[Found | None, Trouble | None]:
    """What was read, or why it could not be; other libraries' errors by their type, as their text may hold secrets."""
    try:
        return read(), None
    except DisasterRecoveryError as error:
        log.warning("the %s cannot be read: %s", what, error.fact)
        return None, Trouble(fact=without_address(error.fact), hint=error.hint)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with a source, the page lists from the other one
        fact = f"the {what} cannot be read: {type(error).__name__}"
        log.warning("the %s cannot be read: %s", what, trace_of(error))
        return None, Trouble(fact=fact, hint=UNKNOWN_HINT)
