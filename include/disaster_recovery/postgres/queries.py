"""The SQL files of `sql/`, one statement a file; parameters are psycopg's named placeholders."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import LiteralString

_FOLDER = Path(__file__).resolve().parent / "sql"


@cache
def statement(name: str) -> "LiteralString":
    """The statement kept in `sql/{name}.sql`. It is part of the program, never of its input."""
    return (_FOLDER / f"{name}.sql").read_text(encoding="utf-8")
