select pg_catalog.to_regclass('public.backup_history') is not null
