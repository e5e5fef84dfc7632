-- What tells this database from every other: this start of its server, to the microsecond, and the database in it.
-- No host name (poolers), no pg_control_system() (a provider may have revoked it; copies of a cluster share it).
select
  pg_catalog.pg_postmaster_start_time()::text,
  (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())::text,
  pg_catalog.current_database()::text
