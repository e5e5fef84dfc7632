-- Rows of backups that nobody is taking any more; one that has closed since is left as it is.
update public.backup_history
set status = 'failed',
    error_message = %(error)s,
    execution_time_ms = least(2147483647, 1000 * extract(epoch from pg_catalog.clock_timestamp() - created_at))::integer
where status = 'in_progress'
    and id = any(%(ids)s::uuid[])
returning id
