-- The platform's own tables. platform_settings has a column for nearly every kind of value Postgres knows.
set role postgres;

create table public.platform_settings (
  key text primary key,
  value jsonb,
  t text,
  description text,
  labels text[],
  limits integer[],
  ratio double precision,
  exact numeric,
  secret bytea,
  network cidr,
  gateway inet,
  maintenance tstzrange,
  effective_from timestamptz,
  local_time timestamp,
  grace interval,
  office public.postal_address,
  offices public.postal_address[],
  allowed_roles public.app_role[],
  windows datemultirange,
  updated_by uuid,
  updated_at timestamptz not null default now()
);
comment on column public.platform_settings.t is 'Type of the value. A name that many queries take for their table alias.';

create table public.backup_history (
  id uuid primary key default gen_random_uuid(),
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
  created_at timestamptz not null default now()
);
reset role;
