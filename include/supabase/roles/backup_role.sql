-- The role of the Airflow connection `collabhunts_db`: reads what a backup needs, writes public.backup_history, nothing else.
--
--   psql "$ADMIN" -f include/supabase/roles/backup_role.sql          (more: -v role=… -v owner=… -v schemas=… …)
--   psql "$ADMIN" -c '\password collabhunts_backup'                  (so that no password is in a log or a shell's history)
--
-- $ADMIN is a superuser, or a role that owns the tables, may create roles and has BYPASSRLS (Supabase: postgres, which must
-- be allowed to pass on its rights in schema auth; what it may not pass on, this script says by name and stops).
-- May be run again, after new schemas were added say. Undo, as the same $ADMIN:
-- grant collabhunts_backup to current_user; drop owned by collabhunts_backup; drop role collabhunts_backup;
--
-- role     the name of the role
-- owner    who creates tables and sequences from now on: the backup may read those, too
-- schemas  tables.schemas of the settings, and those of tables named beyond them, with commas
-- auth     off: with tables.auth: false in the settings, the accounts are left out
-- probes   on: the role may act as anon, authenticated and service_role, so that a backup keeps what row-level security
--          answers them and a restore can compare it. Off by default: whoever has the password could write as them.
\set ON_ERROR_STOP on
\if :{?role} \else \set role collabhunts_backup \endif
\if :{?owner} \else \set owner postgres \endif
\if :{?schemas} \else \set schemas public \endif
\if :{?auth} \else \set auth on \endif
\if :{?probes} \else \set probes off \endif

begin;

-- NOINHERIT: what it may be a member of (probes) gives it nothing unless it says so.
select format('create role %I with login noinherit', :'role')
where not exists (select from pg_catalog.pg_roles where rolname = :'role') \gexec

-- A table whose rows a policy hides would be a backup that lacks them: sessions run with row_security=off, where such a
-- table is an error unless the role bypasses policies. It also writes backup_history past that table's policies.
alter role :"role" with bypassrls;

-- Who may connect is the database owner's to say; PUBLIC may by default, a hardened server says no.
select format('grant connect on database %I to %I', current_database(), :'role') \gexec

-- SELECT on every table of the schemas, not only on those that are backed up: pg_dump, which writes the DDL, locks them all.
-- On sequences: where each stands is part of the backup. Not on views, which may show what is in other schemas.
select format('grant usage on schema %I to %I', nspname, :'role')
from pg_catalog.pg_namespace where nspname = any(string_to_array(:'schemas', ',')) \gexec
select format(
    case relkind when 'S' then 'grant select on sequence %I.%I to %I' else 'grant select on %I.%I to %I' end,
    nspname, relname, :'role')
from pg_catalog.pg_class as c join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where nspname = any(string_to_array(:'schemas', ',')) and relkind in ('r', 'p', 'S') \gexec

-- The same for what the owner will make. (Postgres counts views as tables here.)
select format('alter default privileges for role %I in schema %I grant select on ' || kind || ' to %I', :'owner', name, :'role')
from unnest(string_to_array(:'schemas', ',')) as name cross join unnest(array['tables', 'sequences']) as kind \gexec

-- The accounts ride along, and nothing else of schema auth: no session, no token.
\if :auth
select format('grant usage on schema auth to %I', :'role') where to_regnamespace('auth') is not null \gexec
select format('grant select on auth.%I to %I', name, :'role')
from (values ('users'), ('identities')) as wanted (name)
where to_regclass(format('auth.%I', name)) is not null \gexec
\endif

-- Which migrations were applied.
select format('grant usage on schema supabase_migrations to %I', :'role')
where to_regnamespace('supabase_migrations') is not null \gexec
select format('grant select on supabase_migrations.schema_migrations to %I', :'role')
where to_regclass('supabase_migrations.schema_migrations') is not null \gexec

-- The history. Made here where it is missing, so that the role need not create anything.
\ir ../../disaster_recovery/postgres/sql/history_create.sql
-- INSERT and UPDATE: each run opens and closes a row, verify and drill add to it. DELETE: retention removes old rows of
-- failed runs (retention.failed_rows_days).
grant select, insert, update, delete on public.backup_history to :"role";

-- SET without INHERIT, from Postgres 16 on; before, the role's NOINHERIT is what keeps the rights apart.
\if :probes
select format('grant %I to %I', name, :'role')
    || case when current_setting('server_version_num')::int >= 160000 then ' with inherit false, set true' else '' end
from (values ('anon'), ('authenticated'), ('service_role')) as wanted (name)
where exists (select from pg_catalog.pg_roles where rolname = name) \gexec
\endif

-- Who may not pass a right on only gets a warning from Postgres; nothing shall look granted that is not.
select format('do %L', format('begin raise exception using message = %L, hint = %L; end',
    format('you may not grant %s to %s', string_agg(what, ', ' order by what), :'role'), 'run this as a superuser, or as their owner'))
from (
    select 'USAGE on schema ' || quote_ident(nspname) as what from pg_catalog.pg_namespace
    where (nspname = any(string_to_array(:'schemas', ',')) or nspname in ('auth', 'supabase_migrations'))
        and (:'auth' = 'on' or nspname <> 'auth') and not has_schema_privilege(:'role', oid, 'USAGE')
    union all
    select 'SELECT on ' || quote_ident(nspname) || '.' || quote_ident(relname)
    from pg_catalog.pg_class as c join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where relkind in ('r', 'p')
        and (nspname = any(string_to_array(:'schemas', ',')) or nspname = 'supabase_migrations' and relname = 'schema_migrations'
            or :'auth' = 'on' and nspname = 'auth' and relname in ('users', 'identities'))
        and not has_table_privilege(:'role', c.oid, 'SELECT')
) as missing
having count(*) > 0 \gexec

commit;
