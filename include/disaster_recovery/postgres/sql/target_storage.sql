-- Whether a table and all its partitions are stored as heaps, and a hash of their columns: one dropped and made anew
-- changes no row.
with tables as (
    select c.oid, c.relkind, c.relam
    from pg_catalog.pg_class as c
    where c.oid in (
        select %(relation)s::pg_catalog.regclass
        union all select p.relid from pg_catalog.pg_partition_tree(%(relation)s::pg_catalog.regclass) as p
    )
)
select
    (
        select coalesce(pg_catalog.bool_and(m.amname is not distinct from 'heap'), true)
        from tables as t
        left join pg_catalog.pg_am as m on m.oid = t.relam
        where t.relkind <> 'p'
    ),
    (
        select pg_catalog.hashtextextended(coalesce(pg_catalog.string_agg(
            pg_catalog.format('%%s %%s %%s %%s %%s', a.attrelid, a.attnum, a.atttypid, a.atttypmod, a.attname), ','
            order by a.attrelid, a.attnum
        ), '') collate "C", 0)
        from pg_catalog.pg_attribute as a
        where a.attrelid in (select t.oid from tables as t) and a.attnum > 0 and not a.attisdropped
    )
