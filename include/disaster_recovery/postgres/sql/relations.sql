-- Every relation that might be meant by a table name, with its size on disk (heap and TOAST apart).
select n.nspname, c.relname, c.relkind::text, c.relispartition, c.relpersistence::text,
    exists (
        select from pg_catalog.pg_depend as d
        where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
    ) as of_extension,
    coalesce(pg_catalog.pg_relation_size(c.oid), 0) as heap_bytes,
    coalesce(pg_catalog.pg_relation_size(nullif(c.reltoastrelid, 0)), 0) as toast_bytes,
    pg_catalog.current_setting('block_size')::int as block_bytes
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'v', 'm', 'f')
    and n.nspname <> 'information_schema'
    and n.nspname !~ '^pg_'
order by n.nspname, c.relname
