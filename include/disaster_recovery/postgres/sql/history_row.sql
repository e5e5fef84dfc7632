-- Everything that one row says.
select
    id::text as id,
    coalesce(backup_type, '') as backup_type,
    coalesce(status, '') as status,
    file_name,
    s3_url,
    file_size,
    execution_time_ms,
    case jsonb_typeof(components_backed_up) when 'object' then components_backed_up else '{}' end as components,
    pg_catalog.left(error_message, 20001) as error_message,
    created_at,
    backup_version as version,
    triggered_by::text as triggered_by
from public.backup_history
where id::text = %(id)s
limit 1
