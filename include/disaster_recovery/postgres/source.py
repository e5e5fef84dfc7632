"""What the source database holds: its relations and their sizes."""

from include.disaster_recovery.postgres.errors import translated
from include.disaster_recovery.postgres.queries import statement
from include.disaster_recovery.postgres.session import Connection
from include.disaster_recovery.table_selection import Relation


def relations(connection: Connection) -> list[Relation]:
    """Every relation outside the system schemas.

    Raises:
        DatabaseUnavailable: the connection was lost.
    """
    with translated("list of relations"):
        rows = connection.execute(statement("relations")).fetchall()
    fields = list(Relation.model_fields)
    return [Relation.model_validate(dict(zip(fields, row, strict=True))) for row in rows]
