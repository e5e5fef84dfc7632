-- {name: [labels in order]}
select coalesce(json_object_agg(name, labels order by name), '{}')
from (
    select case when n.nspname = 'public' then t.typname::text else n.nspname || '.' || t.typname end as name,
        json_agg(e.enumlabel order by e.enumsortorder) as labels
    from pg_catalog.pg_type as t
    join pg_catalog.pg_namespace as n on n.oid = t.typnamespace
    join pg_catalog.pg_enum as e on e.enumtypid = t.oid
    where n.nspname = any(%(schemas)s)
    group by 1
) as enums
