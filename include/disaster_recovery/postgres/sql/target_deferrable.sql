-- Deferrable unique and exclusion constraints of the tables of a restore and of their partitions. The triggers that
-- check them do not fire under session_replication_role = replica.
with wanted as (
    select c.oid
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    join rows from (pg_catalog.unnest(%(schemas)s::text[]), pg_catalog.unnest(%(names)s::text[])) as t (schema_name, name)
        on t.schema_name = n.nspname and t.name = c.relname
)
select pg_catalog.json_build_object(
    'name', k.conname,
    'table_schema', n.nspname, 'table_name', c.relname, 'is_partitioned', c.relkind = 'p',
    'is_exclusion', k.contype = 'x',
    'nulls_are_equal', coalesce((to_jsonb(i.*) ->> 'indnullsnotdistinct')::boolean, false), -- since Postgres 15
    'predicate', pg_catalog.pg_get_expr(i.indpred, i.indrelid),
    'fields', (
        select json_agg(pg_catalog.json_build_object(
            'expression', pg_catalog.pg_get_indexdef(i.indexrelid, place, false),
            'operator_schema', opn.nspname, 'operator', op.oprname,
            'collation_schema', cn.nspname, 'collation', coll.collname
        ) order by place)
        from pg_catalog.generate_series(1, i.indnkeyatts) as place
        left join pg_catalog.pg_operator as op on op.oid = k.conexclop[place]
        left join pg_catalog.pg_namespace as opn on opn.oid = op.oprnamespace
        left join pg_catalog.pg_collation as coll on coll.oid = i.indcollation[place - 1]
        left join pg_catalog.pg_namespace as cn on cn.oid = coll.collnamespace
    )
)
from pg_catalog.pg_constraint as k
join pg_catalog.pg_index as i on i.indexrelid = k.conindid
join pg_catalog.pg_class as c on c.oid = k.conrelid
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where k.contype in ('p', 'u', 'x') and k.condeferrable and k.conparentid = 0
    and exists (select from wanted where wanted.oid in (c.oid, pg_catalog.pg_partition_root(c.oid)::oid))
order by n.nspname, c.relname, k.conname
