-- The lock says "a backup is reading this database"; it goes with the transaction.
select locked, case when locked then pg_catalog.pg_export_snapshot() end, pg_catalog.pg_backend_pid(),
    pg_catalog.current_setting('server_version')
from (select pg_catalog.pg_try_advisory_xact_lock(%(lock)s) as locked offset 0) as attempt
