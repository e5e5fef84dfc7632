-- The table as it is deployed on the platform; created only where it is missing.
create table if not exists public.backup_history (
    id uuid primary key default pg_catalog.gen_random_uuid(),
    backup_type text not null check (backup_type in ('scheduled', 'manual')),
    status text not null default 'in_progress' check (status in ('in_progress', 'success', 'failed')),
    file_name text,
    s3_url text,
    file_size bigint,
    execution_time_ms integer,
    tables_backed_up text[],
    components_backed_up jsonb,
    migration_count integer,
    function_count integer,
    error_message text,
    backup_version text,
    triggered_by uuid,
    created_at timestamptz not null default pg_catalog.now()
)
