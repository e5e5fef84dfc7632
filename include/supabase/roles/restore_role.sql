-- The role of the Airflow connection `collabhunts_restore_db`: brings rows back into one database, and the schema if wished.
-- Run it in the database to restore into. It is no superuser and makes no roles and no databases.
--
--   psql "$ADMIN" -f include/supabase/roles/restore_role.sql         (more: -v role=… -v schemas=… -v rebuild=on -v owners=…)
--   psql "$ADMIN" -c '\password collabhunts_restore'                 (so that no password is in a log or a shell's history)
--
-- $ADMIN is a superuser. On Supabase, where nobody is, restore as `postgres`, which has all of this.
-- Best made for one restore and dropped after it: whoever has the password may change every row.
-- Undo, as the same $ADMIN:
-- reassign owned by collabhunts_restore to postgres; drop owned by collabhunts_restore; drop role collabhunts_restore;
--
-- role     the name of the role
-- schemas  the schemas whose rows are restored, with commas; auth.users and auth.identities come on top
-- rebuild  on: for restore_schema into an empty database
-- owners   with rebuild: whose the objects shall be, with commas, as they were in the backup; the first gets the database
-- probes   on: the comparison also asks row-level security as anon, authenticated and service_role
\set ON_ERROR_STOP on
\if :{?role} \else \set role collabhunts_restore \endif
\if :{?schemas} \else \set schemas public \endif
\if :{?rebuild} \else \set rebuild off \endif
\if :{?owners} \else \set owners postgres \endif
\if :{?probes} \else \set probes off \endif

begin;

select format('create role %I with login', :'role')
where not exists (select from pg_catalog.pg_roles where rolname = :'role') \gexec

-- What is restored is counted and compared afterwards: a policy that hides a row would make it look lost.
alter role :"role" with bypassrls;

-- CREATE makes the schema that rows are staged in (collabhunts_restore_…, dropped at the end), and with rebuild the others.
select format('grant connect, create on database %I to %I', current_database(), :'role') \gexec

-- No trigger fires and no foreign key acts while rows come back: no mail is sent, no updated_at moves. From Postgres 15 on
-- this can be granted; before, the role must own the tables (rebuild, owners), whose triggers it then disables by name.
select format('grant set on parameter session_replication_role to %I', :'role')
where current_setting('server_version_num')::int >= 150000 \gexec

-- SELECT shows what would change, the others change it. Sequences go on after the highest value: UPDATE is setval().
-- Not views: they show what is in the tables.
select format('grant usage on schema %I to %I', nspname, :'role')
from pg_catalog.pg_namespace where nspname = any(string_to_array(:'schemas', ',')) \gexec
select format(
    case relkind when 'S' then 'grant select, update on sequence %I.%I to %I' else 'grant select, insert, update, delete on %I.%I to %I' end,
    nspname, relname, :'role')
from pg_catalog.pg_class as c join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where nspname = any(string_to_array(:'schemas', ',')) and relkind in ('r', 'p', 'S') \gexec

-- The accounts, and nothing else of schema auth.
select format('grant usage on schema auth to %I', :'role') where to_regnamespace('auth') is not null \gexec
select format('grant select, insert, update, delete on auth.%I to %I', name, :'role')
from (values ('users'), ('identities')) as wanted (name)
where to_regclass(format('auth.%I', name)) is not null \gexec

-- With triggers silenced nobody checks foreign keys but the restore itself, afterwards: it reads the columns of those that
-- lead from other tables to these, auth.sessions.user_id say, and no others of them.
select distinct format('grant usage on schema %I to %I', n.nspname, :'role'),
    format('grant select (%I) on %I.%I to %I', a.attname, n.nspname, c.relname, :'role')
from pg_catalog.pg_constraint as k
join pg_catalog.pg_class as c on c.oid = k.conrelid
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
join pg_catalog.pg_attribute as a on a.attrelid = k.conrelid and a.attnum = any(k.conkey)
join pg_catalog.pg_class as r on r.oid = k.confrelid
join pg_catalog.pg_namespace as rn on rn.oid = r.relnamespace
where k.contype = 'f'
    and (rn.nspname = any(string_to_array(:'schemas', ',')) or rn.nspname = 'auth' and r.relname in ('users', 'identities'))
    and not n.nspname = any(string_to_array(:'schemas', ',')) \gexec

-- The target keeps its own history: a restore never writes it.
select format('revoke insert, update, delete on public.backup_history from %I', :'role')
where to_regclass('public.backup_history') is not null \gexec

-- Only a member may give an object to a role, and only an owner may add its policies, triggers and grants.
\if :rebuild
select format('grant %I to %I', name, :'role')
    || case when current_setting('server_version_num')::int >= 160000 then ' with inherit true, set true' else '' end
from unnest(string_to_array(:'owners', ',')) as name \gexec
-- The empty database becomes the first one's, as Supabase's belongs to postgres: from Postgres 15 on only the owner of a
-- database may create in its schema public, and grant others its use.
select format('alter database %I owner to %I', current_database(), split_part(:'owners', ',', 1)) \gexec
\endif

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
    where (nspname = any(string_to_array(:'schemas', ',')) or nspname in ('auth'))
        and not has_schema_privilege(:'role', oid, 'USAGE')
    union all
    select 'SELECT on ' || quote_ident(nspname) || '.' || quote_ident(relname)
    from pg_catalog.pg_class as c join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where relkind in ('r', 'p')
        and (nspname = any(string_to_array(:'schemas', ',')) or nspname = 'auth' and relname in ('users', 'identities'))
        and not has_table_privilege(:'role', c.oid, 'SELECT')
) as missing
having count(*) > 0 \gexec

commit;
