-- {table: [{name, …, definition}]}: triggers on the schemas' tables, and those the application hung on other
-- tables (auth.users) by way of a function of its own.
select coalesce(json_object_agg(name, items order by name), '{}')
from (
    select case when n.nspname = 'public' then c.relname::text else n.nspname || '.' || c.relname end as name,
        json_agg(json_build_object(
            'name', t.tgname,
            'function', fn.nspname || '.' || p.proname,
            'enabled', case t.tgenabled when 'O' then 'origin' when 'D' then 'disabled' when 'R' then 'replica' else 'always' end,
            'attached', n.nspname = any(%(platform)s) and not n.nspname = any(%(schemas)s),
            'follow_up', array_remove(array[
                case when t.tgenabled <> 'O' then pg_catalog.format('ALTER TABLE %%I.%%I %%s TRIGGER %%I', n.nspname, c.relname,
                    case t.tgenabled when 'D' then 'DISABLE' when 'R' then 'ENABLE REPLICA' else 'ENABLE ALWAYS' end, t.tgname) end,
                case when pg_catalog.obj_description(t.oid, 'pg_trigger') is not null then pg_catalog.format(
                    'COMMENT ON TRIGGER %%I ON %%I.%%I IS %%L', t.tgname, n.nspname, c.relname,
                    pg_catalog.obj_description(t.oid, 'pg_trigger')) end], null),
            'comment', pg_catalog.obj_description(t.oid, 'pg_trigger'),
            'definition', pg_catalog.pg_get_triggerdef(t.oid)
        ) order by t.tgname) as items
    from pg_catalog.pg_trigger as t
    join pg_catalog.pg_class as c on c.oid = t.tgrelid
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    join pg_catalog.pg_proc as p on p.oid = t.tgfoid
    join pg_catalog.pg_namespace as fn on fn.oid = p.pronamespace
    where not t.tgisinternal
        and (n.nspname = any(%(schemas)s) or fn.nspname = any(%(schemas)s))
    group by 1
) as triggers
