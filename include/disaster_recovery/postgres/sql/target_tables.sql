-- The tables of a restore as the target has them: columns, unique keys with the operators that tell rows apart,
-- triggers, rights. A key column must be NOT NULL, as NULLs never equal each other.
with recursive domains (oid, base) as (
    select t.oid, t.typbasetype from pg_catalog.pg_type as t where t.typtype = 'd'
    union all
    select d.oid, t.typbasetype from domains as d join pg_catalog.pg_type as t on t.oid = d.base where t.typtype = 'd'
),
bases (oid, name) as (
    select d.oid, pg_catalog.format_type(d.base, -1)
    from domains as d join pg_catalog.pg_type as t on t.oid = d.base where t.typtype <> 'd'
)
select n.nspname, c.relname, pg_catalog.json_build_object(
    'kind', c.relkind,
    'is_owned', pg_catalog.pg_has_role(c.relowner, 'USAGE'),
    'hides_rows', pg_catalog.row_security_active(c.oid),
    'missing_rights', array(
        select r from pg_catalog.unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE']) as r
        where not pg_catalog.has_table_privilege(c.oid, r)
        union all
        select 'USAGE on schema ' || pg_catalog.quote_ident(n.nspname)
        where not pg_catalog.has_schema_privilege(n.oid, 'USAGE')
        union all -- setval(), for the sequences that its columns own
        select 'UPDATE and SELECT on sequence ' || pg_catalog.quote_ident(s.relname)
        from pg_catalog.pg_depend as d
        join pg_catalog.pg_class as s on s.oid = d.objid and s.relkind = 'S'
        where d.classid = 'pg_catalog.pg_class'::regclass and d.refclassid = 'pg_catalog.pg_class'::regclass
            and d.refobjid = c.oid and d.refobjsubid > 0 and d.deptype in ('a', 'i')
            and not case when s.relkind = 'S' then pg_catalog.has_sequence_privilege(s.oid, 'UPDATE')
                and pg_catalog.has_sequence_privilege(s.oid, 'SELECT, USAGE') end
    ),
    'columns', (
        select coalesce(json_agg(pg_catalog.json_build_object(
            'name', a.attname,
            'type', pg_catalog.format_type(a.atttypid, -1),
            'full_type', pg_catalog.format_type(a.atttypid, a.atttypmod),
            'base_type', coalesce((select b.name from bases as b where b.oid = a.atttypid), pg_catalog.format_type(a.atttypid, -1)),
            'is_generated', a.attgenerated <> '',
            'is_identity_always', a.attidentity = 'a',
            'needs_value', (a.attnotnull or t.typnotnull)
                and not a.atthasdef and a.attidentity = '' and t.typdefault is null
        ) order by a.attnum), '[]')
        from pg_catalog.pg_attribute as a
        join pg_catalog.pg_type as t on t.oid = a.atttypid
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    ),
    'unique_indexes', (
        select count(*) + count(*) filter (where i.indisunique and i.indisexclusion)
        from pg_catalog.pg_index as i
        where (i.indisunique or i.indisexclusion)
            and i.indrelid in (select c.oid union all select p.relid from pg_catalog.pg_partition_tree(c.oid) as p)
            and not exists (select from pg_catalog.pg_inherits as parent where parent.inhrelid = i.indexrelid)
    ),
    'keys', (
        select coalesce(json_agg(pg_catalog.json_build_object('name', ic.relname, 'columns', keyed.columns)
            order by i.indisprimary desc, i.indnkeyatts, ic.relname), '[]')
        from pg_catalog.pg_index as i
        join pg_catalog.pg_class as ic on ic.oid = i.indexrelid
        join pg_catalog.pg_am as am on am.oid = ic.relam
        cross join lateral (
            select json_agg(pg_catalog.json_build_object(
                'name', a.attname,
                'base_type', (select b.name from bases as b where b.oid = a.atttypid),
                'operator_schema', opn.nspname, 'operator', op.oprname,
                'collation_schema', cn.nspname, 'collation', k.collname
            ) order by place) as columns,
                pg_catalog.bool_and(a.attnotnull) and count(*) = i.indnkeyatts as is_total
            from pg_catalog.generate_series(0, i.indnkeyatts - 1) as place
            join pg_catalog.pg_attribute as a on a.attrelid = i.indrelid and a.attnum = i.indkey[place]
            join pg_catalog.pg_opclass as of_index on of_index.oid = i.indclass[place]
            -- WITHOUT OVERLAPS has a GiST index: the type's default equality tells its rows apart
            join pg_catalog.pg_opclass as oc on oc.opcmethod = (select oid from pg_catalog.pg_am where amname = 'btree')
                and case when am.amname = 'btree' then oc.oid = of_index.oid
                    else oc.opcintype = of_index.opcintype and oc.opcdefault end
            join pg_catalog.pg_amop as ao on ao.amopfamily = oc.opcfamily and ao.amopstrategy = 3
                and ao.amoplefttype = oc.opcintype and ao.amoprighttype = oc.opcintype
            join pg_catalog.pg_operator as op on op.oid = ao.amopopr
            join pg_catalog.pg_namespace as opn on opn.oid = op.oprnamespace
            left join pg_catalog.pg_collation as k on k.oid = i.indcollation[place]
            left join pg_catalog.pg_namespace as cn on cn.oid = k.collnamespace
        ) as keyed
        where i.indrelid = c.oid and i.indisunique and i.indisvalid
            and i.indpred is null and i.indexprs is null and keyed.is_total
    ),
    'triggers', (
        select coalesce(json_agg(pg_catalog.json_build_object(
            'kind', loud.kind, 'table_schema', tn.nspname, 'table_name', tc.relname, 'name', loud.name, 'state', loud.state,
            'is_owned', pg_catalog.pg_has_role(tc.relowner, 'USAGE')
        ) order by tn.nspname, tc.relname, loud.name, loud.kind), '[]')
        from (
            select 'trigger' as kind, t.tgrelid as relid, t.tgname as name, t.tgenabled as state
            from pg_catalog.pg_trigger as t where not t.tgisinternal
            union all
            select 'rule', r.ev_class, r.rulename, r.ev_enabled
            from pg_catalog.pg_rewrite as r where r.ev_type <> '1' -- SELECT: there is one only for a view
        ) as loud
        join pg_catalog.pg_class as tc on tc.oid = loud.relid
        join pg_catalog.pg_namespace as tn on tn.oid = tc.relnamespace
        where loud.state <> 'D'
            and loud.relid in (select c.oid union all select p.relid from pg_catalog.pg_partition_tree(c.oid) as p)
    )
)
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where c.relkind in ('r', 'p')
    and exists (
        select from rows from (pg_catalog.unnest(%(schemas)s::text[]), pg_catalog.unnest(%(names)s::text[])) as wanted (schema_name, name)
        where wanted.schema_name = n.nspname and wanted.name = c.relname
    )
