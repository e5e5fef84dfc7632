"""What the source database holds: its relations and their sizes."""

from collections.abc import Sequence

from include.disaster_recovery.model import TableName
from include.disaster_recovery.postgres.errors import translated
from include.disaster_recovery.postgres.queries import statement
from include.disaster_recovery.postgres.session import Connection
from include.disaster_recovery.table_selection import Relation


def relations(connection: Connection, *, sized: Sequence[TableName] = ()) -> list[Relation]:
    """Every relation outside the system schemas.

    Args:
        sized: the tables whose size is wanted; the session has locked them, else this could wait for ever.

    Raises:
        DatabaseUnavailable: the connection was lost.
    """
    wanted = {"schemas": [t.schema_name for t in sized], "names": [t.table_name for t in sized]}
    with translated("list of relations"):
        rows = connection.execute(statement("relations"), wanted).fetchall()
    fields = list(Relation.model_fields)
    return [Relation.model_validate(dict(zip(fields, row, strict=True))) for row in rows]
