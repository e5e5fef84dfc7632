-- Whatever the row said before (a failed task may have been cleared and run again), what is verified now is a success.
update public.backup_history
set status = 'success',
    error_message = null,
    file_size = %(file_size)s,
    execution_time_ms = %(execution_time_ms)s,
    tables_backed_up = %(tables)s,
    components_backed_up = coalesce(components_backed_up, '{}') || %(components)s,
    migration_count = %(migration_count)s,
    function_count = %(function_count)s
where id = %(id)s
returning id
