-- Extensions live in their own schema, as on Supabase. pgcrypto is missing from some builds of the server, and
-- nothing else in this database may depend on it.
create schema extensions authorization postgres;
grant usage on schema extensions to anon, authenticated, service_role;

do $extension$
begin
  if exists (select from pg_catalog.pg_available_extensions where name = 'pgcrypto') then
    create extension if not exists pgcrypto with schema extensions;
  end if;
end
$extension$;
