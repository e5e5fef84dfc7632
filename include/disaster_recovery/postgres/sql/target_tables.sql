-- The tables of a restore as the target has them: columns, unique keys with the operators that tell rows apart,
-- triggers, rights. A key column must be NOT NULL, as NULLs never equal each other.
select n.nspname, c.relname, pg_catalog.json_build_object(
    'kind', c.relkind,
    'is_owned', pg_catalog.pg_has_role(c.relowner, 'USAGE'),
    'missing_rights', array(
        select r from pg_catalog.unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE']) as r
        where not pg_catalog.has_table_privilege(c.oid, r)
    ),
    'columns', (
        select coalesce(json_agg(pg_catalog.json_build_object(
            'name', a.attname,
            'type', pg_catalog.format_type(a.atttypid, -1),
            'full_type', pg_catalog.format_type(a.atttypid, a.atttypmod),
            'is_generated', a.attgenerated <> '',
            'is_identity_always', a.attidentity = 'a',
            'needs_value', a.attnotnull and not a.atthasdef and a.attidentity = ''
        ) order by a.attnum), '[]')
        from pg_catalog.pg_attribute as a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    ),
    'unique_indexes', (
        select count(*) from pg_catalog.pg_index as i
        where i.indrelid = c.oid and (i.indisunique or i.indisexclusion)
    ),
    'keys', (
        select coalesce(json_agg(pg_catalog.json_build_object('name', ic.relname, 'columns', keyed.columns)
            order by i.indisprimary desc, i.indnkeyatts, ic.relname), '[]')
        from pg_catalog.pg_index as i
        join pg_catalog.pg_class as ic on ic.oid = i.indexrelid
        join pg_catalog.pg_am as am on am.oid = ic.relam and am.amname = 'btree'
        cross join lateral (
            select json_agg(pg_catalog.json_build_object(
                'name', a.attname,
                'operator_schema', opn.nspname, 'operator', op.oprname,
                'collation_schema', cn.nspname, 'collation', k.collname
            ) order by place) as columns,
                pg_catalog.bool_and(a.attnotnull) as is_total
            from pg_catalog.generate_series(0, i.indnkeyatts - 1) as place
            join pg_catalog.pg_attribute as a on a.attrelid = i.indrelid and a.attnum = i.indkey[place]
            join pg_catalog.pg_opclass as oc on oc.oid = i.indclass[place]
            join pg_catalog.pg_amop as ao on ao.amopfamily = oc.opcfamily and ao.amopstrategy = 3
                and ao.amoplefttype = oc.opcintype and ao.amoprighttype = oc.opcintype
            join pg_catalog.pg_operator as op on op.oid = ao.amopopr
            join pg_catalog.pg_namespace as opn on opn.oid = op.oprnamespace
            left join pg_catalog.pg_collation as k on k.oid = i.indcollation[place]
            left join pg_catalog.pg_namespace as cn on cn.oid = k.collnamespace
        ) as keyed
        where i.indrelid = c.oid and i.indisunique and i.indisvalid and not i.indisexclusion
            and i.indpred is null and i.indexprs is null and keyed.is_total
    ),
    'triggers', (
        select coalesce(json_agg(pg_catalog.json_build_object(
            'table_schema', tn.nspname, 'table_name', tc.relname, 'name', t.tgname, 'state', t.tgenabled
        ) order by tn.nspname, tc.relname, t.tgname), '[]')
        from pg_catalog.pg_trigger as t
        join pg_catalog.pg_class as tc on tc.oid = t.tgrelid
        join pg_catalog.pg_namespace as tn on tn.oid = tc.relnamespace
        where not t.tgisinternal and t.tgenabled <> 'D'
            and t.tgrelid in (select c.oid union all select p.relid from pg_catalog.pg_partition_tree(c.oid) as p)
    )
)
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where c.relkind in ('r', 'p')
    and exists (
        select from rows from (pg_catalog.unnest(%(schemas)s::text[]), pg_catalog.unnest(%(names)s::text[])) as wanted (schema_name, name)
        where wanted.schema_name = n.nspname and wanted.name = c.relname
    )
