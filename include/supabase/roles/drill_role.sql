-- The role of the Airflow connection `collabhunts_drill_db`: makes a scratch database, restores into it, drops it.
-- Run it on the drill server, in any database; never on the production server.
--
--   psql "$ADMIN" -f include/supabase/roles/drill_role.sql           (more: -v role=… -v platform=… -v bypassrls=on)
--   psql "$ADMIN" -c '\password collabhunts_drill'                   (so that no password is in a log or a shell's history)
--
-- $ADMIN is a superuser. Undo: drop role collabhunts_drill;
--
-- role      the name of the role
-- platform  roles of the backup, with commas, that the server shall have: grants and policies name them. A drill that misses
--           some says which; with CREATEROLE it would make and remove them itself.
-- bypassrls on: for backups with tables that hide rows from their owners, too (force row level security). The drill of one
--           says so. It gives the role nothing but what other databases of this server grant it anyway.
\set ON_ERROR_STOP on
\if :{?role} \else \set role collabhunts_drill \endif
\if :{?bypassrls} \else \set bypassrls off \endif
\if :{?platform} \else \set platform anon,authenticated,service_role,authenticator,postgres,supabase_admin,supabase_auth_admin,supabase_storage_admin \endif

begin;

select format('create role %I with login', :'role')
where not exists (select from pg_catalog.pg_roles where rolname = :'role') \gexec

-- The scratch database is its own, and so is everything in it: it needs no right on anything else.
alter role :"role" with createdb;
\if :bypassrls
alter role :"role" with bypassrls;
\endif

-- Nobody logs in as these here, and the drill's role is no member of them.
select format('create role %I with nologin', name)
from unnest(string_to_array(:'platform', ',')) as name
where not exists (select from pg_catalog.pg_roles where rolname = name) \gexec

commit;
