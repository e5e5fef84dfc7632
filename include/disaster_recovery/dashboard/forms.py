"""What the JSON endpoints of Backup History take."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from include.disaster_recovery.model import Value
from include.disaster_recovery.plain_text import printable
from include.disaster_recovery.restore_model import RestoreMode
from include.disaster_recovery.settings import ConnId


def _as_read_back(reason: object) -> object:
    """A pin's reason comes back on one line."""
    return printable(reason) if isinstance(reason, str) else reason


# The validator last: pydantic lets it come before the others then, and they see what it made.
Reason = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500), BeforeValidator(_as_read_back)
]
TableText = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class EmptyForm(Value):
    """Nothing: the address says it all."""


class VerifyForm(Value):
    """How deep to verify."""

    depth: Literal["quick", "full"] = "full"


class PinForm(Value):
    """Why a backup is kept."""

    reason: Reason


class RestoreForm(Value):
    """The restore's Params, as its DAG has them; the DAG itself checks them again.

    Here as in the page's form it is a dry run unless told otherwise: nobody changes a database by an omission.
    """

    backup_key: Annotated[str, StringConstraints(min_length=1, max_length=1024)]
    target_conn_id: ConnId = "collabhunts_restore_db"
    tables: Annotated[list[TableText], Field(min_length=1)] | None = None
    mode: RestoreMode = "upsert"
    restore_schema: bool = False
    dry_run: bool = True
    require_approval: bool = True
