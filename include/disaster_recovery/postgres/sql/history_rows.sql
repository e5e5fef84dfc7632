-- The newest rows of the history, or those of one file.
select
    id::text as id,
    backup_type,
    status,
    file_name,
    s3_url,
    file_size,
    execution_time_ms,
    case jsonb_typeof(components_backed_up) when 'object' then components_backed_up else '{}' end as components,
    error_message,
    created_at
from public.backup_history
where (%(status)s::text is null or status = %(status)s)
    and (%(file_name)s::text is null or file_name = %(file_name)s)
order by created_at desc
limit %(most)s
