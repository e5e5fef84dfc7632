-- Every relation that might be meant by a table name. The size on disk (heap and TOAST apart) only of those asked for:
-- pg_relation_size waits for ever behind an exclusive lock, so it is called only where the session holds one already.
select n.nspname, c.relname, c.relkind::text, c.relispartition, c.relpersistence::text,
    exists (
        select from pg_catalog.pg_depend as d
        where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
    ) as of_extension,
    coalesce(case when sized.is_wanted then pg_catalog.pg_relation_size(c.oid) end, 0) as heap_bytes,
    coalesce(case when sized.is_wanted then pg_catalog.pg_relation_size(nullif(c.reltoastrelid, 0)) end, 0) as toast_bytes,
    pg_catalog.current_setting('block_size')::int as block_bytes
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
cross join lateral (
    select exists (
        select from rows from (pg_catalog.unnest(%(schemas)s::text[]), pg_catalog.unnest(%(names)s::text[])) as wanted (schema_name, name)
        where wanted.schema_name = n.nspname and wanted.name = c.relname
    ) as is_wanted
    offset 0
) as sized
where c.relkind in ('r', 'p', 'v', 'm', 'f')
    and n.nspname <> 'information_schema'
    and n.nspname !~ '^pg_'
order by n.nspname, c.relname
