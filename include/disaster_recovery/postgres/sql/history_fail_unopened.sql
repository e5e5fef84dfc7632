-- A run that failed before its row was opened (preflight) gets one now; never a second one.
insert into public.backup_history
    (id, backup_type, status, error_message, components_backed_up, backup_version, triggered_by)
select pg_catalog.gen_random_uuid(), %(backup_type)s, 'failed', %(error)s, %(components)s, %(version)s, %(triggered_by)s
where not exists (
    select from public.backup_history where components_backed_up -> 'run' ->> 'run_id' = %(run_id)s
)
returning id
