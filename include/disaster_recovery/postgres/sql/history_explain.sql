-- The run as a whole says why it failed; what a task said before, often in consequence, is kept behind it.
update public.backup_history
set error_message = pg_catalog.left(%(error)s || '; before that: ' || error_message, %(limit)s)
where status = 'failed'
    and components_backed_up -> 'run' ->> 'run_id' = %(run_id)s
    and pg_catalog.strpos(error_message, %(error)s) = 0
returning id
