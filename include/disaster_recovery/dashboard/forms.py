"""What the JSON endpoints of Backup History take."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from include.disaster_recovery.model import Value
from include.disaster_recovery.restore_model import RestoreMode


def printable(text: object) -> object:
    """On one line, as the reason of a pin is read back."""
    return "".join(each if each.isprintable() else " " for each in text) if isinstance(text, str) else text


# The validator last: pydantic lets it come before the others then, and they see what it made.
Reason = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500), BeforeValidator(printable)
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
    target_conn_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{1,250}$")] = "collabhunts_restore_db"
    tables: (
        Annotated[list[Annotated[str, StringConstraints(min_length=1, max_length=200)]], Field(min_length=1)] | None
    ) = None
    mode: RestoreMode = "upsert"
    restore_schema: bool = False
    dry_run: bool = True
    require_approval: bool = True
