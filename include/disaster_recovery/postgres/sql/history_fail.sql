-- The first error of a run is the one that explains it: only an open row is closed.
update public.backup_history
set status = 'failed',
    error_message = %(error)s,
    execution_time_ms = least(2147483647, 1000 * extract(epoch from pg_catalog.clock_timestamp() - created_at))::integer
where status = 'in_progress'
    and (%(run_id)s::text is null or components_backed_up -> 'run' ->> 'run_id' = %(run_id)s)
returning id, file_name
