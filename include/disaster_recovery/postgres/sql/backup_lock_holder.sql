-- A bigint advisory lock shows as its two halves (documentation of pg_locks).
select pid
from pg_catalog.pg_locks
where locktype = 'advisory'
    and objsubid = 1
    and granted
    and classid::bigint = (%(lock)s::bigint >> 32)
    and objid::bigint = (%(lock)s::bigint & 4294967295)
    and database = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())
