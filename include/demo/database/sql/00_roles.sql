-- The roles of a Supabase project. Roles belong to the whole server and several demo databases may share it,
-- so everything here may run again: a role is created only where it is missing.
begin;

-- Builders of two databases would otherwise update the same catalog rows ("tuple concurrently updated").
-- Advisory locks are per database; a lock on a shared catalog is the one thing both of them see.
lock table pg_catalog.pg_authid in share row exclusive mode;

do $roles$
declare
  wanted record;
begin
  for wanted in
    select * from (values
      ('supabase_admin',         'superuser nologin'),
      ('postgres',               'login'),
      ('anon',                   'nologin noinherit'),
      ('authenticated',          'nologin noinherit'),
      ('service_role',           'nologin noinherit bypassrls'),
      ('authenticator',          'login noinherit'),
      ('supabase_auth_admin',    'nologin noinherit createrole'),
      ('supabase_storage_admin', 'nologin noinherit createrole')
    ) as roles (name, options)
  loop
    if not exists (select from pg_catalog.pg_roles where rolname = wanted.name) then
      execute format('create role %I with %s', wanted.name, wanted.options);
    end if;
  end loop;

  if (select rolsuper from pg_catalog.pg_roles where rolname = 'postgres') then
    raise exception 'role postgres is a superuser here'
      using hint = 'The demo''s owner must not be one. Make the server with: initdb -U supabase_admin';
  end if;
end
$roles$;

-- What Supabase gives its customers' role: nearly everything, but not superuser.
alter role postgres with createdb createrole replication bypassrls;

grant anon, authenticated, service_role to authenticator;
grant anon, authenticated, service_role to postgres;
grant pg_read_all_data, pg_monitor to postgres;

do $parameter$
begin
  if current_setting('server_version_num')::int >= 150000 then
    execute 'grant set on parameter session_replication_role to postgres';
  end if;
end
$parameter$;

alter role anon set statement_timeout = '3s';
alter role authenticated set statement_timeout = '8s';
alter role postgres set search_path = "$user", public, extensions;

commit;
