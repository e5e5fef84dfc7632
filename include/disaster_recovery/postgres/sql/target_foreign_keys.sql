-- Foreign keys that lead from or to the tables of a restore, or one of their partitions. What a partition has from its
-- parent stands with the parent.
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
    'references_schema', pn.nspname, 'references_name', pc.relname, 'references_partitioned', pc.relkind = 'p',
    'columns', (
        select json_agg(pg_catalog.json_build_object(
            'name', fa.attname, 'referenced', pa.attname, 'is_not_null', fa.attnotnull,
            'operator_schema', opn.nspname, 'operator', op.oprname,
            'collation_schema', cn.nspname, 'collation', coll.collname
        ) order by u.place)
        from rows from (pg_catalog.unnest(k.conkey), pg_catalog.unnest(k.confkey), pg_catalog.unnest(k.conpfeqop))
            with ordinality as u (fk, pk, operator, place)
        join pg_catalog.pg_attribute as fa on fa.attrelid = k.conrelid and fa.attnum = u.fk
        join pg_catalog.pg_attribute as pa on pa.attrelid = k.confrelid and pa.attnum = u.pk
        join pg_catalog.pg_operator as op on op.oid = u.operator
        join pg_catalog.pg_namespace as opn on opn.oid = op.oprnamespace
        left join pg_catalog.pg_collation as coll on coll.oid = pa.attcollation
        left join pg_catalog.pg_namespace as cn on cn.oid = coll.collnamespace
    ),
    'is_full', k.confmatchtype = 'f',
    'is_validated', k.convalidated,
    'is_enforced', coalesce((to_jsonb(k.*) ->> 'conenforced')::boolean, true), -- since Postgres 18
    'is_temporal', coalesce((to_jsonb(k.*) ->> 'conperiod')::boolean, false), -- since Postgres 18
    'acts_on_delete', k.confdeltype in ('c', 'n', 'd'),
    'acts_on_update', k.confupdtype in ('c', 'n', 'd'),
    'is_owned', pg_catalog.pg_has_role(c.relowner, 'USAGE'),
    'can_read', not exists (
        select c.oid, pg_catalog.unnest(k.conkey) union all select pc.oid, pg_catalog.unnest(k.confkey)
        except
        select a.attrelid, a.attnum from pg_catalog.pg_attribute as a
        where a.attrelid in (c.oid, pc.oid) and pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'SELECT')
            and not pg_catalog.row_security_active(a.attrelid)
    ),
    'can_add', pg_catalog.has_any_column_privilege(pc.oid, 'REFERENCES'),
    'can_lock', pg_catalog.has_table_privilege(c.oid, 'UPDATE, DELETE, TRUNCATE'),
    'can_lock_referenced', pg_catalog.has_table_privilege(pc.oid, 'UPDATE, DELETE, TRUNCATE'),
    'definition', pg_catalog.pg_get_constraintdef(k.oid),
    'comment', pg_catalog.obj_description(k.oid, 'pg_constraint')
)
from pg_catalog.pg_constraint as k
join pg_catalog.pg_class as c on c.oid = k.conrelid
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
join pg_catalog.pg_class as pc on pc.oid = k.confrelid
join pg_catalog.pg_namespace as pn on pn.oid = pc.relnamespace
where k.contype = 'f' and k.conparentid = 0
    and exists (
        select from wanted
        where wanted.oid in (
            c.oid, pc.oid, pg_catalog.pg_partition_root(c.oid)::oid, pg_catalog.pg_partition_root(pc.oid)::oid
        )
    )
order by n.nspname, c.relname, k.conname
