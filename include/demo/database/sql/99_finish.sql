-- The scaffolding goes; statistics come, as a database in use has them.
drop schema demo_build cascade;

-- Supabase ends every statement after two minutes unless the session says otherwise.
do $database$
begin
  execute format('alter database %I set statement_timeout = %L', current_database(), '2min');
end
$database$;

analyze;
