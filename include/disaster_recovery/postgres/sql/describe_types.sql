-- domains and composite types: [{name, kind, definition}]
select coalesce(json_agg(item order by item ->> 'name'), '[]')
from (
    select json_build_object(
        'name', case when n.nspname = 'public' then t.typname::text else n.nspname || '.' || t.typname end,
        'kind', case t.typtype when 'd' then 'domain' when 'r' then 'range' else 'composite' end,
        'base', case when t.typtype = 'd' then pg_catalog.format_type(t.typbasetype, t.typtypmod) end,
        'not_null', t.typnotnull,
        'default', t.typdefault,
        'checks', (
            select json_agg(pg_catalog.pg_get_constraintdef(k.oid) order by k.conname)
            from pg_catalog.pg_constraint as k where k.contypid = t.oid
        ),
        'attributes', (
            select json_agg(json_build_object('name', a.attname, 'type', pg_catalog.format_type(a.atttypid, a.atttypmod)) order by a.attnum)
            from pg_catalog.pg_attribute as a
            where a.attrelid = t.typrelid and t.typtype = 'c' and a.attnum > 0 and not a.attisdropped
        ),
        'owner', pg_catalog.pg_get_userbyid(t.typowner),
        'comment', pg_catalog.obj_description(t.oid, 'pg_type')
    ) as item
    from pg_catalog.pg_type as t
    join pg_catalog.pg_namespace as n on n.oid = t.typnamespace
    left join pg_catalog.pg_class as c on c.oid = t.typrelid
    where n.nspname = any(%(schemas)s)
        and not exists (
            select from pg_catalog.pg_depend as d
            where d.classid = 'pg_catalog.pg_type'::regclass and d.objid = t.oid and d.deptype = 'e'
        )
        and (t.typtype in ('d', 'r') or (t.typtype = 'c' and c.relkind = 'c'))
) as types
