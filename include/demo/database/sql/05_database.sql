-- What the owner role may do in this database. From Postgres 15 on nobody but the database's owner may create
-- in "public"; before that everybody could, which Supabase never allowed.
do $database$
begin
  execute format('grant connect, create, temporary on database %I to postgres', current_database());
end
$database$;

revoke create on schema public from public;
grant all on schema public to postgres with grant option;
grant usage on schema public to anon, authenticated, service_role;
