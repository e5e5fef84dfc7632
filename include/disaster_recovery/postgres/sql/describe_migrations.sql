-- [{version, name, statements}] of the Supabase CLI
select coalesce(json_agg(to_json(m.*) order by m.version), '[]')
from supabase_migrations.schema_migrations as m
