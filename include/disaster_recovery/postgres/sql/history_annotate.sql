-- What is learnt of a backup later (verification, drill, expiry) joins what its row already says of it.
update public.backup_history
set components_backed_up =
    case jsonb_typeof(components_backed_up) when 'object' then components_backed_up else '{}' end || %(components)s
where file_name = %(file_name)s
returning id
