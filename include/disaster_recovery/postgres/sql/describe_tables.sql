-- {table: {columns, constraints, indexes, grants, rls, …}} for ordinary, partitioned and foreign tables of the schemas,
-- and for those named one by one (auth.users)
select coalesce(json_object_agg(name, item order by name), '{}')
from (
    select case when n.nspname = 'public' then c.relname::text else n.nspname || '.' || c.relname end as name,
        json_build_object(
            'kind', case c.relkind when 'r' then 'table' when 'p' then 'partitioned table' else 'foreign table' end,
            'owner', pg_catalog.pg_get_userbyid(c.relowner),
            'comment', pg_catalog.obj_description(c.oid, 'pg_class'),
            'persistence', case c.relpersistence when 'u' then 'unlogged' else 'permanent' end,
            'replica_identity', c.relreplident,
            'partition_key', pg_catalog.pg_get_partkeydef(c.oid),
            'partition_bound', pg_catalog.pg_get_expr(c.relpartbound, c.oid),
            'inherits', (
                select json_agg(i.inhparent::regclass::text order by i.inhseqno)
                from pg_catalog.pg_inherits as i where i.inhrelid = c.oid
            ),
            'rls', json_build_object('enabled', c.relrowsecurity, 'forced', c.relforcerowsecurity),
            'grants', c.relacl::text[],
            'columns', (
                select json_agg(json_build_object(
                    'name', a.attname,
                    'type', pg_catalog.format_type(a.atttypid, a.atttypmod),
                    'not_null', a.attnotnull,
                    'default', case when a.attgenerated = '' then pg_catalog.pg_get_expr(d.adbin, d.adrelid) end,
                    'generated', case when a.attgenerated <> '' then pg_catalog.pg_get_expr(d.adbin, d.adrelid) end,
                    'identity', case a.attidentity when 'a' then 'always' when 'd' then 'by default' end,
                    'collation', (
                        select k.collname from pg_catalog.pg_collation as k
                        join pg_catalog.pg_type as t on t.oid = a.atttypid
                        where k.oid = a.attcollation and a.attcollation <> t.typcollation
                    ),
                    'grants', a.attacl::text[],
                    'comment', pg_catalog.col_description(c.oid, a.attnum)
                ) order by a.attnum)
                from pg_catalog.pg_attribute as a
                left join pg_catalog.pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
                where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
            ),
            'constraints', (
                select coalesce(json_agg(json_build_object(
                    'name', k.conname,
                    'kind', case k.contype when 'p' then 'primary key' when 'u' then 'unique' when 'f' then 'foreign key'
                        when 'c' then 'check' when 'x' then 'exclusion' when 'n' then 'not null' else k.contype::text end,
                    'columns', (
                        select json_agg(a.attname order by u.place)
                        from unnest(k.conkey) with ordinality as u (attnum, place)
                        join pg_catalog.pg_attribute as a on a.attrelid = k.conrelid and a.attnum = u.attnum
                    ),
                    'references', case when k.contype = 'f' then k.confrelid::regclass::text end,
                    'validated', k.convalidated,
                    'definition', pg_catalog.pg_get_constraintdef(k.oid)
                ) order by k.contype, k.conname), '[]')
                from pg_catalog.pg_constraint as k where k.conrelid = c.oid and k.contype <> 't'
            ),
            'indexes', (
                select coalesce(json_agg(json_build_object(
                    'name', ic.relname,
                    'unique', i.indisunique,
                    'primary', i.indisprimary,
                    'valid', i.indisvalid,
                    'definition', pg_catalog.pg_get_indexdef(i.indexrelid)
                ) order by ic.relname), '[]')
                from pg_catalog.pg_index as i join pg_catalog.pg_class as ic on ic.oid = i.indexrelid
                where i.indrelid = c.oid
            )
        ) as item
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'f')
        and (
            n.nspname = any(%(schemas)s)
            or exists (
                select from rows from (pg_catalog.unnest(%(table_schemas)s::text[]), pg_catalog.unnest(%(table_names)s::text[]))
                    as named (schema_name, table_name)
                where named.schema_name = n.nspname and named.table_name = c.relname
            )
        )
) as tables
