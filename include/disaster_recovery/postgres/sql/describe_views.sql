-- {view: {definition, …}}, materialized ones included
select coalesce(json_object_agg(name, item order by name), '{}')
from (
    select case when n.nspname = 'public' then c.relname::text else n.nspname || '.' || c.relname end as name,
        json_build_object(
            'kind', case c.relkind when 'v' then 'view' else 'materialized view' end,
            'owner', pg_catalog.pg_get_userbyid(c.relowner),
            'options', c.reloptions,
            'grants', c.relacl::text[],
            'comment', pg_catalog.obj_description(c.oid, 'pg_class'),
            'definition', pg_catalog.pg_get_viewdef(c.oid)
        ) as item
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where c.relkind in ('v', 'm') and n.nspname = any(%(schemas)s)
) as views
