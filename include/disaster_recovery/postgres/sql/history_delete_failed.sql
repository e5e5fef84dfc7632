-- Only rows this package has written: those of a backup it opened, or that failed before it could open one.
delete from public.backup_history
where status = 'failed'
    and created_at < %(before)s
    and components_backed_up -> 'run' ->> 'run_id' is not null
returning id
