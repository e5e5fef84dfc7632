"""Whether two sessions are in one and the same database, whatever host names or poolers they came by."""

from include.disaster_recovery.postgres.errors import translated
from include.disaster_recovery.postgres.queries import statement
from include.disaster_recovery.postgres.session import Connection

DatabaseIdentity = tuple[object, ...]


def database_identity(connection: Connection) -> DatabaseIdentity | None:
    """Equal for two sessions exactly where they are in the same database of the same running server.

    Raises:
        DatabaseUnavailable: the connection was lost.
    """
    with translated("identity of the database"):
        return connection.execute(statement("database_identity")).fetchone()
